"""Files that a recipe names: read where they are, known where the framework ships them, refused by name otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware
from archcalc.errors import ArchcalcError
from archcalc.frameworks import files
from archcalc.frameworks.framework import Ask, framework, recognized
from archcalc.report import TrainReport
from conftest import Run as Run_

LF = "model_name_or_path: Qwen/Qwen3-8B\nstage: sft\nfinetuning_type: full\ncutoff_len: 1024\nper_device_train_batch_size: 1\nbf16: true\n"
AX = "base_model: Qwen/Qwen3-8B\nsequence_len: 1024\nmicro_batch_size: 1\nbf16: auto\n"
TRL = "model_name_or_path: Qwen/Qwen3-8B\nper_device_train_batch_size: 1\nmax_length: 1024\nbf16: true\n"
LORA = "adapter: lora\nlora_r: 8\n"
CPU = {"device": "cpu"}


def ds(stage: int, **more: Any) -> dict[str, Any]:
    return {"zero_optimization": {"stage": stage, "reduce_bucket_size": "auto", **more}, "bf16": {"enabled": "auto"}}


def told(folder: Path, text: str, beside: dict[str, Any], *changes: str, gpus: str = "8xh100") -> TrainReport:
    recipe = folder / "recipe.yaml"
    recipe.write_text(text, encoding="utf-8")
    for name, data in beside.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    file = files.read(str(recipe))
    return recognized(file).report(file, Ask(None, hardware.parse_spec(gpus), changes, offline=True))


READ: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # DeepSpeed's JSON, whatever it is called.
    *(
        (f"{text}deepspeed: {name}\n", name, {name: data}, {"zero": stage, "fsdp": 1, "offload": offload})
        for text in (LF, AX, TRL)
        for name, data, stage, offload in (
            ("ds3.json", ds(3), 3, "none"),
            ("zero1.json", ds(3), 3, "none"),
            ("conf/ds_z3_config.json", ds(2, offload_optimizer=CPU), 2, "optimizer"),
            ("a.json", ds(3, offload_optimizer=CPU, offload_param={"device": "nvme"}), 3, "all"),
            ("a.json", ds(3, offload_param=CPU), 3, "params"),
            ("a.json", ds(2, offload_param=CPU), 2, "none"),
            ("zero3.json", {"train_batch_size": 8}, 0, "none"),
            ("b.json", ds(2, reduce_bucket_size=5e8, cpu_offload=True), 2, "optimizer"),
        )
    ),
    # The same keys as a table.
    (f"{TRL}deepspeed: {json.dumps(ds(3, offload_optimizer=CPU))}\n", "deepspeed", {}, {"zero": 3, "offload": "optimizer"}),
    # accelerate's.
    (f"{TRL}deepspeed_config: {{deepspeed_config_file: x.json}}\n", "x.json", {"x.json": ds(3)}, {"zero": 3}),
    (f"{TRL}deepspeed_config: {{zero_stage: 2, offload_optimizer_device: cpu}}\n", "", {}, {"zero": 2, "offload": "optimizer"}),
    (f"{TRL}accelerate_config: a.yaml\n", "a.yaml", {"a.yaml": "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3, "
     "offload_optimizer_device: cpu, offload_param_device: cpu}\n"}, {"zero": 3, "offload": "all"}),
    (f"{TRL}accelerate_config: a.yaml\n", "a.yaml", {"a.yaml": "distributed_type: FSDP\nfsdp_config: {fsdp_offload_params: true, "
     "fsdp_activation_checkpointing: true}\n"}, {"fsdp": 8, "offload": "all", "checkpointing": "full"}),
    # FSDP's, by the Trainer's key and axolotl's.
    (f"{TRL}fsdp: true\nfsdp_config: f.json\n", "f.json", {"f.json": {"cpu_offload": True, "version": 2}}, {"fsdp": 8, "offload": "all"}),
    (f"{TRL}fsdp_config: f.json\n", "", {}, {"fsdp": 1, "dp": 8, "offload": "none"}),
    (f"{AX}fsdp_config: {{offload_params: true}}\n", "", {}, {"fsdp": 8, "offload": "all"}),
    (f"{AX}fsdp:\nfsdp_config:\ndeepspeed:\n", "", {}, {"fsdp": 1, "dp": 8, "zero": 0}),
    (f"{TRL}fsdp: full_shard auto_wrap offload\nfsdp_config: {{fsdp_version: 1, fsdp_auto_wrap_policy: x}}\n", "", {}, {"offload": "all"}),
    (f"{AX.replace('Qwen/Qwen3-8B', 'gpt2')}base_model_config: Qwen/Qwen3-8B\n", "", {}, {"dp": 8}),
    # An adapter that training goes on with.
    (f"{AX}{LORA}lora_model_dir: out\n", "out", {"out/adapter_config.json": {"peft_type": "LORA", "r": 64, "target_modules": ["q_proj"]}},
     {"lora_rank": 64, "lora_targets": ["q_proj"]}),
    (f"{LF.replace('full', 'lora')}adapter_name_or_path: out\n", "out",
     {"out/adapter_config.json": {"peft_type": "LORA", "r": 64, "target_modules": ["q_proj", "v_proj"]}}, {"lora_rank": 64}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "beside", "plan"), READ, ids=map(str, range(len(READ))))
def test_what_is_named_is_read(tmp_path: Path, text: str, name: str, beside: dict[str, Any], plan: dict[str, Any]) -> None:
    r = told(tmp_path, text, beside)
    assert {key: getattr(r.plan, key) for key in plan} == plan
    assert not beside or any(name in note and str(tmp_path) in note for note in r.notes)
    assert r.source == "qwen3-8b"
    assert r.recipe is not None
    said = [*r.recipe.used, *r.recipe.inert, *r.recipe.unmodelled]
    assert len(said) == len(set(said))
    assert not r.recipe.unmodelled


def test_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "ds3.json").write_text(json.dumps(ds(3)), encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert told(tmp_path / "recipes", f"{LF}deepspeed: d/ds3.json\n", {}).plan.zero == 3


# What the files hold in the frameworks' repositories: hiyouga/LLaMA-Factory at ff6d4d1, axolotl-ai-cloud/axolotl at 067b021, TRL 1.16.
SHIPPED = [
    (LF, "deepspeed", "examples/deepspeed/ds_z0_config.json", 0, 1, "none"),
    (LF, "deepspeed", "examples/deepspeed/ds_z2_config.json", 2, 1, "none"),
    (LF, "deepspeed", "ds_z2_offload_config.json", 2, 1, "optimizer"),
    (LF, "deepspeed", "examples/deepspeed/ds_z3_config.json", 3, 1, "none"),
    (LF, "deepspeed", "x/ds_z3_offload_config.json", 3, 1, "all"),
    (LF, "deepspeed", "examples/deepspeed/ds_z3_fp8_config.json", 3, 1, "optimizer"),
    (AX, "deepspeed", "deepspeed_configs/zero1.json", 1, 1, "none"),
    (AX, "deepspeed", "deepspeed_configs/zero2.json", 2, 1, "optimizer"),
    (AX, "deepspeed", "deepspeed_configs/zero3_bf16.json", 3, 1, "none"),
    (AX, "deepspeed", "deepspeed_configs/zero3_bf16_cpuoffload_all.json", 3, 1, "all"),
    (AX, "deepspeed", "deepspeed_configs/zero3_bf16_cpuoffload_params.json", 3, 1, "params"),
    (TRL, "accelerate_config", "zero2", 2, 1, "none"),
    (TRL, "accelerate_config", "zero3", 3, 1, "none"),
    (TRL, "accelerate_config", "fsdp2", 3, 8, "none"),
    (TRL, "accelerate_config", "multi_gpu", 0, 1, "none"),
]


@pytest.mark.parametrize(("text", "key", "name", "stage", "fsdp", "offload"), SHIPPED)
def test_what_frameworks_ship(tmp_path: Path, text: str, key: str, name: str, stage: int, fsdp: int, offload: str) -> None:
    r = told(tmp_path, f"{text}{key}: {name}\n", {})
    assert (r.plan.zero, r.plan.fsdp, r.plan.offload) == (stage, fsdp, offload)
    assert any(name in note and "not here" in note for note in r.notes)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((f"{text}deepspeed: {name}\n", {}, name) for text in (LF, AX, TRL) for name in ("zero3_mine.json", "no/ds3.json")),
    # Only a framework's own names are known.
    (f"{LF}deepspeed: zero3.json\n", {}, "zero3.json"),
    (f"{TRL}deepspeed: ds_z3_config.json\n", {}, "ds_z3_config.json"),
    (f"{LF}deepspeed: ds_z2_autotp_config.json\n", {}, "tensor_parallel.autotp_size"),
    (f"{LF}deepspeed: a.json\n", {"a.json": "{"}, "a.json"),
    (f"{LF}deepspeed: a.json\n", {"a.json": "[]"}, "a.json"),
    (f"{LF}deepspeed: a.json\n", {"a.json": '{"zero_optimization": {"stage": 2, "stage": 3}}'}, "'stage' twice"),
    (f"{LF}deepspeed: a.json\n", {"a.json": json.dumps(ds(4))}, "zero_optimization.stage"),
    (f"{LF}deepspeed: a.json\n", {"a.json": json.dumps(ds(3, offload_param={"device": "tape"}))}, "offload_param.device"),
    (f"{LF}deepspeed: a.json\n", {"a.json": json.dumps(ds(3, offload_optimizer={**CPU, "ratio": 0.5}))}, "ratio"),
    (f"{LF}deepspeed: a.json\n", {"a.json": {**ds(3), "train_micro_batch_size_per_gpu": 4}}, "train_micro_batch_size_per_gpu"),
    (f"{LF}deepspeed: a.json\n", {"a.json": " " * (files.MAX_BYTES + 1)}, "MiB"),
    (f"{LF}deepspeed: d\n", {"d/x": "x"}, "recipe.yaml: deepspeed"),
    (f"{LF}deepspeed: [a.json]\n", {}, "deepspeed"),
    (f"{LF}deepspeed: ${{DS}}\n", {}, "DS"),
    (f"{TRL}fsdp: full_shard\nfsdp_config: f.json\n", {}, "f.json"),
    (f"{TRL}deepspeed_config: {{deepspeed_config_file: x.json}}\n", {}, "x.json"),
    (f"{TRL}accelerate_config: zero4\n", {}, "zero4"),
    (f"{TRL}accelerate_config: a.yaml\n", {"a.yaml": "distributed_type: MEGATRON_LM\n"}, "MEGATRON_LM"),
    (f"{TRL}base_config: b.yaml\n", {"b.yaml": "bf16: true\n"}, "base_config"),
    (f"{AX}{LORA}lora_model_dir: out\n", {}, "lora_model_dir"),
    (f"{AX}{LORA}lora_model_dir: out\n", {"out/adapter_config.json": {"peft_type": "IA3"}}, "adapter_config.json"),
]


@pytest.mark.parametrize(("text", "beside", "named"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_is_not_known_is_refused_by_name(tmp_path: Path, text: str, beside: dict[str, Any], named: str) -> None:
    with pytest.raises(ArchcalcError) as raised:
        told(tmp_path, text, beside)
    assert named in raised.value.message
    assert raised.value.hint or named != "zero3_mine.json"


def test_only_regular_files(tmp_path: Path) -> None:
    """A pipe without a writer would wait for one."""
    os.mkfifo(tmp_path / "ds.json")
    with pytest.raises(ArchcalcError, match="pipe"):
        told(tmp_path, f"{LF}deepspeed: ds.json\n", {})


def test_a_file_s_keys_are_set(tmp_path: Path) -> None:
    """`--set` reaches them, and takes the file away."""
    text, beside = f"{LF}deepspeed: ds3.json\n", {"ds3.json": ds(3)}
    assert told(tmp_path, text, beside, "deepspeed.zero_optimization.stage=2").plan.zero == 2
    assert told(tmp_path, text, {}, "deepspeed=null").plan.zero == 0
    table = f"{LF}deepspeed: {json.dumps(ds(3))}\n"
    assert told(tmp_path, table, {}, "deepspeed=null").plan.zero == 0


@pytest.mark.parametrize("text", [LF, AX, TRL])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_has_its_own_fp32_weights(tmp_path: Path, text: str, stage: int) -> None:
    """Rajbhandari et al. 2020 (arXiv:1910.02054, section 3.1): 2 bytes of weights, 2 of gradients, 12 of states a parameter, the last of
    which stage 1 shares, then the gradients, then the weights; a tensor is shared in whole elements."""
    r = told(tmp_path, f"{text}gradient_accumulation_steps: 2\ndeepspeed: a.json\n", {"a.json": ds(stage)})
    g = r.per_gpu
    for found, each, least in ((g.weights_bytes, 2, 3), (g.gradients_bytes, 2, 2), (g.optimizer_bytes, 12, 1)):
        assert found >= each * r.params // (8 if stage >= least else 1)
    assert g.optimizer_bytes == pytest.approx(12 * r.params / 8, rel=0.001)


def test_shape_sized_buckets(tmp_path: Path) -> None:
    """`"auto"` is the hidden size squared (transformers, integrations/deepspeed.py `trainer_config_finalize`): 4096 in Qwen3-8B."""

    def taken(size: Any) -> int:
        r = told(tmp_path, f"{LF}deepspeed: d.json\n", {"d.json": ds(3, reduce_bucket_size=size)})
        return r.per_gpu.total_bytes

    assert taken("auto") == taken(4096**2)
    assert taken(4096**2 + 1000) > taken("auto")


def test_from_the_command_line(cli: Run_, tmp_path: Path) -> None:
    (tmp_path / "lf.yaml").write_text(f"{LF}deepspeed: ds3.json\n", encoding="utf-8")
    words = ("train", "--recipe", str(tmp_path / "lf.yaml"), "--gpu", "8xh100", "--offline")
    done = cli(*words)
    assert done.returncode == 2
    assert "ds3.json" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "ds3.json").write_text(json.dumps(ds(3)), encoding="utf-8")
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert "ZeRO 3" in done.stdout


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("accelerate launch --config_file fsdp.yaml train.py --bf16 true\n", "scripts"),
        ("deepspeed pretrain.py --num-attention-heads 8 --deepspeed_config ds.json\n", "--deepspeed_config"),
    ],
)
def test_scripts_that_name_files(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "run.sh"
    path.write_text(text, encoding="utf-8")
    file = files.read(str(path))
    chosen = framework("megatron" if "attention-heads" in text else "transformers")
    with pytest.raises(ArchcalcError, match=named):
        chosen.report(
            file, Ask(None, hardware.parse_spec("8xh100"), changes={"seq": 1024} if named == "scripts" else {}, offline=True)
        )


def test_code_that_a_recipe_imports_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[job]\ncustom_config_module = "mine"\n[model]\nname = "llama3"\nflavor = "8B"\n[training]\nseq_len = 1024\n',
        encoding="utf-8",
    )
    r = recognized(files.read(str(path))).report(files.read(str(path)), Ask(None, hardware.parse_spec("8xh100"), offline=True))
    assert r.recipe is not None
    assert r.recipe.unmodelled == ["job.custom_config_module"]


ACCELERATE = "compute_environment: LOCAL_MACHINE\ndistributed_type: {kind}\nmixed_precision: {half}\nnum_processes: 8\n{more}"
SHARDED = "fsdp_config:\n  fsdp_version: 2\n  fsdp_reshard_after_forward: true\n  fsdp_offload_params: false\n"


@pytest.mark.parametrize(("kind", "half", "more", "plan"), [
    # TRL 1.16, accelerate_configs; the trained shards are in fp32 where accelerate's mixed precision is on.
    ("FSDP", "bf16", SHARDED, {"fsdp": 8, "precision": "mixed"}), ("FSDP", "no", SHARDED, {"fsdp": 8, "precision": "pure"}),
    ("DEEPSPEED", "bf16", "deepspeed_config:\n  zero_stage: 3\n", {"dp": 8, "zero": 3}),
    ("MULTI_GPU", "bf16", "", {"dp": 8, "zero": 0}), ("'NO'", "bf16", "", {"dp": 8}),
])  # fmt: skip
def test_a_configuration_of_accelerate_alone(
    cli: Run_, tmp_path: Path, kind: str, half: str, more: str, plan: dict[str, Any]
) -> None:
    """Who shares a run: the rest is the Trainer's, or what options say."""
    path = tmp_path / "fsdp2.yaml"
    path.write_text(ACCELERATE.format(kind=kind, half=half, more=more), encoding="utf-8")
    words = ("train", "llama-3.1-8b", "--recipe", str(path), "--gpu", "8xH100", "--format", "json", "--offline")
    r = json.loads(cli(*words).stdout)
    assert {name: r["plan"][name] for name in plan} == plan
    assert r["plan"]["micro_batch"] == 8 and not r["recipe"]["unmodelled"]
    assert any("accelerate's configuration" in note for note in r["notes"])
    assert json.loads(cli(*words, "--micro-batch", "1").stdout)["plan"]["micro_batch"] == 1


@pytest.mark.parametrize("each", [False, True])
def test_gradients_are_summed_whole_unless_each_batch_is_synchronized(cli: Run_, tmp_path: Path, each: bool) -> None:
    """transformers 5.24, trainer.py: `sync_each_batch` of accelerate's gradient accumulation."""
    path = tmp_path / "a.yaml"
    text = (
        "base_model: llama-3.1-8b\nsequence_len: 1024\nbf16: true\ngradient_accumulation_steps: 2\ngradient_checkpointing: true\n"
    )
    text += "fsdp_version: 2\nfsdp_config:\n  reshard_after_forward: true\naccelerator_config:\n  gradient_accumulation_kwargs:\n"
    path.write_text(f"{text}    sync_each_batch: {str(each).lower()}\n", encoding="utf-8")
    r = json.loads(cli("train", "--recipe", str(path), "--gpu", "8xH100", "--format", "json", "--offline").stdout)
    # Whole in bf16 beside a shard of them, or the shard alone.
    assert (r["per_gpu"]["gradients_bytes"] > 2 * 8_030_261_248) != each
    assert not r["recipe"]["unmodelled"]


@pytest.mark.parametrize(("script", "said"), [
    # TRL 1.16, examples/scripts and trl/scripts.
    ("sft_vlm", {"micro_batch": 8, "loss": "fused"}), ("dpo_vlm", {"micro_batch": 16, "loss": "fused"}), ("mpo_vlm", {"micro_batch": 16}),
    ("orpo", {"micro_batch": 16, "loss": "full"}), ("cpo", {"micro_batch": 16}), ("grpo_agent", {"micro_batch": 8, "seq_tokens": 1024}),
    ("gspo", {"micro_batch": 8}), ("reward_modeling", {"micro_batch": 16, "loss": "scalar"}), ("train", {"loss": "full"}),
    ("gkd", "gkd"), ("online_dpo", "online_dpo"), ("nash_md", "nash_md"), ("async_grpo", "async_grpo"), ("bco", "bco"),
])  # fmt: skip
def test_scripts_of_trl_say_what_they_learn_from(cli: Run_, tmp_path: Path, script: str, said: dict[str, Any] | str) -> None:
    path = tmp_path / "run.sh"
    path.write_text(
        f"accelerate launch examples/scripts/{script}.py --model_name_or_path Qwen/Qwen3-8B --num_train_epochs 1\n",
        encoding="utf-8",
    )
    done = cli("train", "--recipe", str(path), "--gpu", "1xH200", "--format", "json", "--offline")
    if isinstance(said, str):
        assert done.returncode == 2 and said in done.stderr
        return
    r = json.loads(done.stdout)
    assert {name: r["plan"][name] for name in said} == said
    reference = any(note.startswith("a reference model is kept") for note in r["notes"])
    assert reference == script.startswith(("dpo", "mpo"))


def test_a_script_of_ppo_leaves_no_key_unsaid(cli: Run_, tmp_path: Path) -> None:
    """TRL, examples/scripts/ppo/ppo.py."""
    path = tmp_path / "run.sh"
    path.write_text(
        "accelerate launch --num_processes 8 examples/scripts/ppo/ppo.py --output_dir x --num_ppo_epochs 1 --num_mini_batches 1 "
        "--learning_rate 3e-6 --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --total_episodes 10000 "
        "--model_name_or_path Qwen/Qwen3-0.6B --sft_model_path Qwen/Qwen3-0.6B --reward_model_path Qwen/Qwen3-0.6B "
        "--local_rollout_forward_batch_size 1 --missing_eos_penalty 1.0 --stop_token eos --attn_implementation "
        "kernels-community/vllm-flash-attn3\n",
        encoding="utf-8",
    )
    r = json.loads(cli("train", "--recipe", str(path), "--gpu", "8xH100", "--format", "json", "--offline").stdout)
    assert not r["recipe"]["unmodelled"] and r["plan"]["attention"] == "flash"
    assert "reward_model_path" in r["recipe"]["used"] and any("value model" in note for note in r["notes"])


# LLaMA-Factory at ff6d4d1: train/ppo/workflow.py and train/rm/workflow.py load one model with a value head; train/trainer_utils.py
# `create_reward_model` and `create_ref_model` say what stands beside it.
HEADED = [
    ("stage: ppo\nfinetuning_type: lora\n", 0), ("stage: ppo\nfinetuning_type: lora\nreward_model_type: api\n", 0),
    ("stage: ppo\nfinetuning_type: lora\nreward_model_type: full\n", 1),
    ("stage: ppo\nfinetuning_type: full\nreward_model_type: full\n", 2),
    ("stage: ppo\nfinetuning_type: full\nreward_model_type: api\n", 1), ("stage: rm\nfinetuning_type: lora\n", 0),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "beside"), HEADED)
def test_a_value_head_is_on_the_model_itself(tmp_path: Path, stage: str, beside: int) -> None:
    text = (
        f"model_name_or_path: Qwen/Qwen3-8B\n{stage}cutoff_len: 1024\nper_device_train_batch_size: 1\nbf16: true\npure_bf16: true\n"
    )
    terms = {t.name: t for t in told(tmp_path, text, {}).terms}
    # All 8,190,735,360 parameters are there once, the table of the head among them.
    once = 2 * 8_190_735_360
    assert terms["weights"].bytes == once
    assert ("models beside it" in terms) == (beside > 0) and (not beside or terms["models beside it"].bytes == beside * once)


def test_a_score_beside_the_vocabulary_has_logits(tmp_path: Path) -> None:
    """TRL 0.24, models/modeling_value_head.py `forward`: logits of all tokens in bf16, and cast to fp32."""
    text = "model_name_or_path: Qwen/Qwen3-8B\nstage: rm\nfinetuning_type: lora\ncutoff_len: 1024\nbf16: true\n"
    r = told(tmp_path, f"{text}per_device_train_batch_size: 1\n", {})
    assert max(t.bytes for t in r.terms if t.name == "logits and loss") == 2 * 1024 * (6 * 151_936 + 4)


@pytest.mark.parametrize(
    ("lines", "gpus", "trained"),
    [
        # LLaMA-Factory 0.9.3, train/rm/trainer.py `compute_loss`: the loss is of values alone, so the head of the vocabulary has no
        # gradient, and PyTorch's AdamW no state for it (optim/adamw.py: `if p.grad is None: continue`).
        ("stage: rm\nfinetuning_type: full\n", 1, 8_190_735_360 - 151_936 * 4096),
        ("stage: sft\nfinetuning_type: full\n", 1, 8_190_735_360),
        ("stage: ppo\nfinetuning_type: full\nreward_model_type: full\n", 1, 8_190_735_360),
        # ZeRO has states for all that requires a gradient (runtime/zero/stage_1_and_2.py: one flat tensor of a group).
        ("stage: rm\nfinetuning_type: full\ndeepspeed: examples/deepspeed/ds_z3_config.json\n", 8, 8_190_735_360),
    ],
)
def test_a_head_that_no_loss_reads_has_no_states(tmp_path: Path, lines: str, gpus: int, trained: int) -> None:
    text = f"model_name_or_path: Qwen/Qwen3-8B\n{lines}cutoff_len: 1024\nper_device_train_batch_size: 1\nbf16: true\n"
    r = told(tmp_path, text, {}, gpus=f"{gpus}xH200")
    assert r.trainable_params == trained
    assert r.per_gpu.optimizer_bytes >= 8 * trained // gpus


def test_a_reward_adapter_needs_an_adapter(tmp_path: Path) -> None:
    """hparams/finetuning_args.py `__post_init__`: "cannot be lora for Freeze/Full PPO training"."""
    with pytest.raises(ArchcalcError, match="reward_model_type lora"):
        told(tmp_path, LF.replace("stage: sft", "stage: ppo"), {})


def test_unknown_keys_of_a_table_are_told(tmp_path: Path) -> None:
    """axolotl at 067b021, utils/schemas/trl.py `TRLConfig` and vllm.py `VllmConfig`: what they have and memory does not follow from is
    quiet, the rest is told; Liger's loss makes no logits."""
    text = "base_model: Qwen/Qwen3-8B\nrl: grpo\nadapter: lora\nlora_r: 8\nsequence_len: 1024\nmicro_batch_size: 1\nbf16: true\n"
    text += "trl:\n  num_generations: 8\n  generation_kwargs: {top_p: 0.9}\n  use_liger_loss: true\n  num_generationz: 8\n"
    recipe = told(tmp_path, f"{text}vllm:\n  tensor_parallel_size: 2\n  tensor_size: 2\n", {}).recipe
    assert recipe is not None and set(recipe.unmodelled) == {"trl.use_liger_loss", "trl.num_generationz", "vllm.tensor_size"}
