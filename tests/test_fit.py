"""Fit: what adds up, what may never shrink, what is refused, and the contract's JSON."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import hardware, units, zoo
from archcalc.analysis import fit as rules
from archcalc.analysis.fit import Ask, Plans, max_context, plans
from archcalc.analysis.verdict import fit_report
from archcalc.arch import parse
from archcalc.engines.engine import server, servers
from archcalc.engines.plan import Taken
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.loader import Loaded, load
from archcalc.model import Architecture
from conftest import Run

KEYS = {
    "": "source gpu gpus engine fits plan per_gpu context_tokens concurrency max_context_tokens max_concurrency kv_tokens "
    "decode_tokens_per_s_ceiling command would_fit notes",
    "plan": "tp pp ep dp quant kv_dtype",
    "per_gpu": "memory_bytes budget_bytes weights_bytes activation_bytes overhead_bytes kv_room_bytes kv_needed_bytes headroom_bytes",
}
NAMES = zoo.names()
GPUS = ["h100", "8xh100", "4090", "2x4090", "l4", "8xh200", "4xa100", "mi300x", "4xb200", "m4-max-128gb"]

models, machines = st.sampled_from(NAMES), st.sampled_from(GPUS)


def architecture(name: str) -> Architecture:
    found = zoo.spec(name)
    assert found is not None
    return found


def typed(asked: list[str], options: str) -> list[str]:
    """A call with further options, each in place of what it says already."""
    words = list(asked)
    for option in [word for word in options.split() if word.startswith("--")]:
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    return [*words, *options.split()]


def judged(name: str, ask: Ask) -> Plans | None:
    """The plans, or None where the engine does not have this model."""
    try:
        return plans(architecture(name), ask, alternatives=0)
    except (UsageError, UnsupportedError):
        return None


def test_json_keeps_the_contract(run: Run) -> None:
    done = run("fit", "llama-3.1-70b", "--gpu", "8xH100", "--ctx", "128k", "--format", "json")
    assert done.returncode == 0
    got = json.loads(done.stdout)
    for path, keys in KEYS.items():
        assert set(keys.split()) <= set(got[path] if path else got)
    assert (got["gpu"], got["gpus"], got["engine"], got["fits"], got["plan"]["tp"]) == ("h100-sxm-80gb", 8, "vllm", True, 8)
    words = shlex.split(got["command"])
    assert words[:3] == ["vllm", "serve", "meta-llama/Llama-3.1-70B"]
    assert words[words.index("--tensor-parallel-size") + 1] == "8"
    assert words[words.index("--max-model-len") + 1] == "131072"


def test_exit_status_and_changes_that_were_tried(run: Run) -> None:
    done = run("fit", "deepseek-v3", "--gpu", "8xH100", "--format", "json")
    got = json.loads(done.stdout)
    assert (done.returncode, got["fits"], got["command"]) == (1, False, "")
    assert got["per_gpu"]["headroom_bytes"] < 0
    # 671 GB of FP8 weights on 8 x 80 GB: DeepSeek serves it on no fewer than 16 (arXiv:2412.19437, section 3.4, uses 32).
    assert any(change["options"].startswith("--gpu 16x") for change in got["would_fit"])
    assert all(change["headroom_bytes"] >= 0 for change in got["would_fit"])


@settings(max_examples=80, deadline=None)
@given(models, machines, st.sampled_from(servers()), st.integers(1, 64))
def test_the_fullest_gpu_adds_up(name: str, gpu: str, engine: str, concurrency: int) -> None:
    ask = Ask(hardware.parse_spec(gpu), engine, 4096 if engine != "vllm" else None, concurrency)  # type: ignore[arg-type]
    try:
        r = fit_report(Loaded(load(name).source, architecture(name)), ask, brief=True)
    except (UsageError, UnsupportedError):
        return
    g = r.per_gpu
    assert g.weights_bytes + g.activation_bytes + g.overhead_bytes + g.kv_room_bytes == g.budget_bytes <= g.memory_bytes
    assert g.kv_room_bytes - g.kv_needed_bytes == g.headroom_bytes
    assert r.fits == (g.headroom_bytes >= 0)
    assert r.plan.tp * r.plan.pp * r.plan.dp == r.gpus
    if r.fits:
        assert r.max_context_tokens >= r.context_tokens


@settings(max_examples=60, deadline=None)
@given(models, machines, st.sampled_from(servers()), st.integers(1, 1 << 15), st.integers(1, 1 << 15))
def test_more_context_never_needs_less(name: str, gpu: str, engine: str, some: int, more: int) -> None:
    longest = architecture(name).facts.context_tokens or 0
    if some + more > longest:
        return
    ask = Ask(hardware.parse_spec(gpu), engine, some, tp=1, dp=1)  # type: ignore[arg-type]
    short, long = judged(name, ask), judged(name, ask._replace(context_tokens=some + more))
    if short and long and short.best.placement == long.best.placement:
        assert short.best.kv_needed_bytes <= long.best.kv_needed_bytes
        assert short.best.headroom_bytes >= long.best.headroom_bytes


@settings(max_examples=60, deadline=None)
@given(models, st.sampled_from(["h100", "a100", "4090", "b200"]), st.sampled_from([1, 2, 4]))
def test_more_gpus_never_hold_more_each(name: str, gpu: str, tp: int) -> None:
    few = judged(name, Ask(hardware.parse_spec(f"{tp}x{gpu}"), "vllm", 2048, tp=tp))
    many = judged(name, Ask(hardware.parse_spec(f"{2 * tp}x{gpu}"), "vllm", 2048, tp=2 * tp))
    if few and many and longest_enough(name):
        assert many.best.weights.bytes <= few.best.weights.bytes


def longest_enough(name: str) -> bool:
    return (architecture(name).facts.context_tokens or 0) >= 2048


@settings(max_examples=40, deadline=None)
@given(models, machines)
def test_the_longest_context_fits_and_the_next_does_not(name: str, gpu: str) -> None:
    ask = Ask(hardware.parse_spec(gpu), "vllm")
    found = judged(name, ask)
    if found is None:
        return
    longest = max_context(found.model, found.best, ask)
    p = found.best.placement
    # The plan as it stands: with fewer sequences than these, a longer context may fit.
    fixed = ask._replace(tp=p.tp, pp=p.pp, dp=p.dp, ep=p.ep, sequences=found.best.budget.sequences)

    def fits(tokens: int) -> bool:
        again = judged(name, fixed._replace(context_tokens=tokens))
        return again is not None and again.best.fits and again.settings == found.settings

    limit = architecture(name).facts.context_tokens or 0
    assert longest == 0 or fits(longest)
    assert longest == limit or not fits(longest + 1)


def test_a_guess_gets_no_verdict() -> None:
    from archcalc.arch import parse

    config = {**zoo.config("llama-3.1-8b"), "model_type": "zorblax"}
    with pytest.raises(ArchcalcError, match="guess"):
        plans(parse(config), Ask(hardware.parse_spec("h100")))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["llama-3.1-8b"], "--gpu"),
        (["llama-3.1-8b", "--gpu", "voodoo2"], "voodoo2"),
        (["llama-3.1-8b", "--gpu", "rtx 6000"], "could be"),
        (["llama-3.1-8b", "--gpu", "0xh100"], "0 GPUs"),
        (["llama-3.1-8b", "--gpu", "5000xh100"], "5,000"),
        (["llama-3.1-8b", "--gpu", "4xh100+4xa100"], "one kind"),
        (["llama-3.1-8b", "--gpu", "8xh100", "--tp", "3"], "tp 3"),
        (["qwen2.5-7b", "--gpu", "8xh100", "--tp", "8"], "28 attention heads"),
        (["llama-3.1-8b", "--gpu", "2xh100", "--ep", "2"], "no routed experts"),
        (["llama-3.1-8b", "--gpu", "h100", "--ctx", "1m"], "beyond the model's"),
        (["llama-3.1-8b", "--gpu", "h100", "--kv-dtype", "q8_0"], "q8_0"),
        (["llama-3.1-8b", "--gpu", "h100", "--quant", "q99"], "q99"),
        (["llama-3.1-8b", "--gpu", "h100", "--utilization", "1.5"], "1.5"),
        (["llama-3.1-8b", "--vram", "24"], "unit"),
        (["llama-3.1-8b", "--gpu", "h100", "--vram", "800GiB"], "--vram"),
        (["llama-3.1-8b", "--gpu", "h100", "--quant", "fp8", "--max-quant", "fp8"], "exclude"),
        (["no-such-model", "--gpu", "h100"], "no-such-model"),
        (["llama-3.1-8b", "--gpu", "h100", "--family", "llama"], "--family is for a call without SOURCE"),
        (["llama-3.1-8b", "--gpu", "h100", "--sort", "speed"], "--sort speed is an order of machines, and one is asked about"),
        (["llama-3.1-8b", "--gpu", "h100", "--sort", "size"], "--sort size is for a call without SOURCE"),
        (["--gpu", "h100", "--set", "num_hidden_layers=1"], "--set is for a call with SOURCE"),
        (["--gpu", "h100", "--explain"], "--explain is for a call with SOURCE"),
        (["llama-3.1-8b", "--gpu", "h100", "--engine", "transformers", "--engine-version", "0.10"], "--engine-version"),
        (["llama-3.1-8b", "--gpu", "m4-max", "--max-num-batched-tokens", "64"], "not of llama.cpp"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_calls_that_cannot_be(arguments: list[str], said: str, run: Run) -> None:
    done = run("fit", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_fp8_on_a_card_without_it_is_told(run: Run) -> None:
    got = json.loads(run("fit", "llama-3.1-8b", "--gpu", "a100", "--quant", "fp8", "--format", "json").stdout)
    assert any("no FP8" in note for note in got["notes"])


def test_every_bundled_model_on_one_card(run: Run) -> None:
    done = run(
        "fit", "--gpu", "4090", "--ctx", "4k", "--max-quant", "w4a16", "--family", "qwen3", "--sort", "size", "--format", "json"
    )
    rows = json.loads(done.stdout)
    assert rows == sorted(rows, key=lambda r: (not r["fits"], -r["params_total"]))
    by_name = {r["source"]: r for r in rows}
    assert by_name["qwen3-8b"]["fits"]
    assert by_name["qwen3-8b"]["quant"] == "bf16"
    assert by_name["qwen3-32b"]["quant"] == "w4a16"
    assert not by_name["qwen3-235b-a22b"]["fits"]


@pytest.mark.parametrize("width", [80, 120])
def test_pages_fit_the_terminal(width: int, run: Run) -> None:
    for arguments in (["gpt-oss-120b", "--gpu", "h100", "--explain"], ["llama-3.1-70b", "--gpu", "8xh100"], ["--gpu", "4090"]):
        out = run("fit", *arguments, env={"COLUMNS": str(width)}).stdout
        assert out
        assert max(map(len, out.splitlines())) <= width


def test_a_bundled_model_is_fitted_without_pydantic() -> None:
    from conftest import imported
    from test_cli import HEAVY

    assert not imported("fit", "llama-3.1-8b", "--gpu", "h100", "--format", "json") & {*HEAVY, "pydantic", "rich"}


@pytest.mark.parametrize(
    ("arguments", "plan"),
    [
        ("llama-3.1-405b --gpu 8xH100 --pp 2 --ctx 8k", (4, 2, 1)),
        ("llama-3.1-405b --gpu 8xH100 --pp 8 --ctx 8k", (1, 8, 1)),
        ("qwen3-235b-a22b --gpu 4xh100-nvl-94gb --tp 2 --pp 2", (2, 2, 1)),
        ("llama-3.1-8b --gpu 8xH100 --tp 2 --pp 2", (2, 2, 2)),
        ("llama-3.1-8b --gpu 8xH100 --dp 2", (4, 1, 2)),
        ("llama-3.1-8b --gpu 4xH100 --engine llama.cpp", (1, 4, 1)),
        ("llama-3.1-8b --gpu 4xH100 --engine transformers --dp 1", (1, 4, 1)),
    ],
)
def test_options_left_out_use_the_other_gpus(arguments: str, plan: tuple[int, int, int], run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--format", "json").stdout)
    assert (got["plan"]["tp"], got["plan"]["pp"], got["plan"]["dp"]) == plan
    assert got["gpus"] == plan[0] * plan[1] * plan[2]


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ("--gpu 8xH100 --tp 8 --pp 2", ("16 GPUs", "8 GPUs")),
        ("--gpu 8xH100 --tp 2 --pp 2 --dp 1", ("4 GPUs", "8 GPUs")),
        ("--gpu 8xH100 --tp 3", ("tp 3", "8 GPUs")),
        ("--gpu 1xH100 --dp 2", ("dp 2", "1 GPU")),
        ("--gpu 4xH100 --engine sglang --tp 4 --dp 4", ("16 GPUs", "4 GPUs")),
        ("--gpu 4xH100 --engine llama.cpp --pp 2", ("pp 2", "4 GPUs")),
        ("--gpu 2xH100 --engine transformers --pp 4", ("pp 4", "2 GPUs")),
    ],
)
def test_a_split_of_other_gpus_is_refused_with_both_numbers(arguments: str, numbers: tuple[str, str], run: Run) -> None:
    done = run("fit", "llama-3.1-8b", *arguments.split())
    assert done.returncode == 2
    assert all(number in done.stderr for number in numbers)


_WAYS = st.one_of(st.none(), st.integers(1, 12))


@settings(max_examples=300)
@given(
    st.sampled_from(["llama-3.1-8b", "qwen3-30b-a3b", "gpt2", "qwen3.5-27b"]),
    st.sampled_from(servers()),
    st.integers(1, 12),
    _WAYS,
    _WAYS,
    _WAYS,
    _WAYS,
)
def test_a_plan_uses_exactly_the_gpus_named(
    name: str, engine: str, count: int, tp: int | None, pp: int | None, ep: int | None, dp: int | None
) -> None:
    there = (hardware.device(name) for name in ("h100-sxm-80gb", "apple-m4-max-128gb"))
    spec = hardware.GpuSpec(next(device for device in there if not server(engine).runs_on(device)), count)
    ask = Ask(spec, engine, 1024, tp=tp, pp=pp, ep=ep, dp=dp)  # type: ignore[arg-type]
    made = 1
    for ways in (tp, pp, dp):
        made *= ways or 1
    try:
        found = plans(architecture(name), ask)
    except UsageError as error:
        if count % made or (tp and pp and dp and made != count):
            assert f"{count} GPU" in error.message
        return
    except UnsupportedError as error:
        assert "has no rule for" in error.message
        return
    for fit in (found.best, *found.others):
        p = fit.placement
        assert p.tp * p.pp * p.dp == count
        for asked, took in ((tp, p.tp), (pp, p.pp), (ep, p.ep), (dp, p.dp)):
            assert asked in (None, took)


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        # OpenAI's card of gpt-oss-120b: "fits into a single 80GB GPU (like NVIDIA H100)".
        ("gpt-oss-120b --gpu h100", "--max-num-seqs 256"),
        ("gpt-oss-120b --gpu h100 --engine-version 0.32.0", ""),
        ("qwen2.5-7b --gpu 4090 --ctx 100k", ""),
        ("qwen2.5-7b --gpu 4090 --ctx 112k", "--max-num-seqs 32"),
    ],
)
def test_fewer_sequences_are_taken_only_where_nothing_else_fits(arguments: str, taken: str, run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--format", "json").stdout)
    assert got["fits"]
    assert (got["start"]["flag"] or "") == taken
    assert got["command"].endswith(taken)
    assert all("others wait" in note for note in got["notes"] if "--max-num-seqs" in note)


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ("qwen3-32b --gpu h100 --ctx 40k --engine-version 0.16.0", "--utilization 0.95"),
        ("llama-3.1-405b --gpu 8xh100 --ctx 16k --tp 4 --engine-version 0.10.0", "--quant fp8"),
        ("llama-3.1-70b --gpu 2xh100 --ctx 64k --tp 2 --pp 1", "--kv-dtype fp8"),
    ],
)
def test_what_would_fit_does_when_it_is_typed(arguments: str, first: str, run: Run) -> None:
    asked = arguments.split()
    changes = json.loads(run("fit", *asked, "--format", "json").stdout)["would_fit"]
    assert changes[0]["options"] == first
    for change in changes:
        words = typed(asked, change["options"])
        for dropped in change["what"].partition(", without ")[2].split():
            del words[words.index(dropped) : words.index(dropped) + 2]
        got = json.loads(run("fit", *words, "--format", "json").stdout)
        assert (got["fits"], got["per_gpu"]["headroom_bytes"]) == (True, change["headroom_bytes"]), change


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("kimi-k2.5 --gpu 8xh100 --ctx 32k", ("--gpu-memory-utilization 0.95", "--max-num-batched-tokens 2048")),
        # OpenAI's and vLLM's guides start it on one H100 with a larger share and smaller steps.
        ("gpt-oss-120b --gpu h100 --engine-version 0.10.1", ("--gpu-memory-utilization 0.95",)),
        # There is room, though not for so much: what is asked for is not there.
        ("qwen3-32b --gpu h100 --ctx 40k --engine-version 0.16.0", None),
        # What was asked for is no one's to change.
        ("kimi-k2.5 --gpu 8xh100 --ctx 32k --utilization 0.9", None),
        ("- --gpu 8xh100 -- vllm serve moonshotai/Kimi-K2.5 --tensor-parallel-size 8 --max-model-len 32768", None),
    ],
)
def test_settings_are_chosen_where_the_defaults_leave_no_room(arguments: str, flags: tuple[str, ...] | None, run: Run) -> None:
    name, *rest = arguments.split()
    own = rest.index("--") if "--" in rest else len(rest)
    asked = ["--format", "json", *rest] if own < len(rest) else [name, "--format", "json", *rest]
    got = json.loads(run("fit", *asked).stdout)
    assert got["fits"] == (flags is not None)
    chosen = [note for note in got["notes"] if "does not fit with the defaults" in note]
    assert bool(chosen) == (flags is not None)
    assert all(flag in got["command"] for flag in flags or ())


def test_what_may_be_quantized_is_judged_so(run: Run) -> None:
    """4-bit weights of 32.8 B parameters are about 18 GiB: a 24 GB card lacks some GiB for 16k tokens, not the 40 of 16-bit weights."""
    asked = "qwen3-32b --gpu 4090 --max-quant w4a16 --ctx 16k".split()
    got = json.loads(run("fit", *asked, "--format", "json").stdout)
    assert not got["fits"]
    assert got["plan"]["quant"] == "w4a16"
    assert -4 << 30 < got["per_gpu"]["headroom_bytes"] < 0
    for change in got["would_fit"]:
        assert json.loads(run("fit", *typed(asked, change["options"]), "--format", "json").stdout)["fits"], change


def test_a_flag_is_said_once() -> None:
    taken = (
        Taken().with_flag("--max-num-seqs 300", "--max-num-seqs 300: many").with_flag("--max-num-seqs 8", "--max-num-seqs 8: few")
    )
    assert (taken.flags, taken.notes) == (("--max-num-seqs 8",), ("--max-num-seqs 8: few",))


XLM_ROBERTA = {
    "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "hidden_size": 1024, "num_hidden_layers": 24,
    "num_attention_heads": 16, "intermediate_size": 4096, "max_position_embeddings": 8194, "vocab_size": 250002,
    "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5, "torch_dtype": "float32",
}  # fmt: skip
T5 = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 768, "d_ff": 3072, "d_kv": 64, "num_layers": 12,
    "num_heads": 12, "vocab_size": 32128, "relative_attention_num_buckets": 32, "n_positions": 512, "is_encoder_decoder": True,
}  # fmt: skip


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_an_encoder_needs_no_cache_to_start(engine: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "config.json").write_text(json.dumps(XLM_ROBERTA))
    got = json.loads(run("fit", str(tmp_path), "--gpu", "l4", "--engine", engine, "--format", "json").stdout)
    assert (got["fits"], got["start"]["starts"], got["per_gpu"]["kv_needed_bytes"]) == (True, True, 0)


@pytest.mark.parametrize(("engine", "status"), [("vllm", 2), ("sglang", 2), ("transformers", 0)])
def test_no_plan_for_a_model_that_an_engine_has_no_code_for(engine: str, status: int, tmp_path: Path, run: Run) -> None:
    """vLLM's and SGLang's registries list encoder-decoder models of speech and of images alone."""
    (tmp_path / "config.json").write_text(json.dumps(T5))
    done = run("fit", str(tmp_path), "--gpu", "l4", "--engine", engine, "--ctx", "512")
    assert done.returncode == status
    assert ("whose decoder reads an encoder's output" in " ".join(done.stderr.split())) == bool(status)


# vLLM 0.33, config/model.py `_get_and_verify_max_len`: the factor is applied, but for types whose stated positions are the scaled ones.
@pytest.mark.parametrize(
    ("scaling", "longest"),
    [
        ({"type": "linear", "factor": 4.0}, 524288),
        ({"rope_type": "dynamic", "factor": 2.0}, 262144),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}, 131072),
        (None, 131072),
    ],
)
def test_scaled_positions_reach_beyond_the_stated_ones(scaling: dict[str, Any] | None, longest: int) -> None:
    found = parse({**zoo.config("llama-3.1-8b"), "rope_scaling": scaling})
    assert found.facts.context_tokens == 131072
    assert found.longest == longest
    ask = Ask(hardware.parse_spec("8xh100"), "vllm", longest)
    assert plans(found, ask).best.context_tokens == longest
    with pytest.raises(UsageError, match="beyond the model's"):
        plans(found, ask._replace(context_tokens=longest + 1))


def test_gemma_3_states_its_context_as_scaled() -> None:
    for name in ("gemma-3-27b", "gemma-3-4b"):
        assert architecture(name).longest == architecture(name).facts.context_tokens == 131072


def test_a_list_says_in_one_line_what_it_leaves_out(run: Run) -> None:
    done = run("fit", "--gpu", "8xh100", "--ctx", "8k", "--engine", "vllm")
    said = done.stderr.splitlines()
    assert len(said) == 2, done.stderr
    assert "minimax-text-01" in said[0]
    assert "archcalc fit NAME" in said[1]


def test_a_stretched_context_is_explained(run: Run) -> None:
    # vLLM 0.33, config/model.py `_get_and_verify_max_len`: the factor of linear and dynamic scaling multiplies the positions.
    words = ["llama-2-7b", "--gpu", "h100", "--set", 'rope_scaling={"type": "dynamic", "factor": 2.0}', "--format", "json"]
    refused = run("fit", *words, "--ctx", "9k")
    assert refused.returncode == 2
    assert "4,096 positions" in refused.stderr and "2 times" in refused.stderr
    got = json.loads(run("fit", *words).stdout)
    assert any("--ctx 8192" in note and "4,096 positions" in note for note in got["notes"])
    assert not any("positions" in note for note in json.loads(run("fit", *words, "--ctx", "8k").stdout)["notes"])


@pytest.mark.parametrize(
    "arguments",
    [
        "llama-3.1-8b --gpu h100 --ctx 8k --concurrency 8 --utilization 0.999",
        "llama-3.1-8b --gpu h100 --ctx 1k --concurrency 300 --engine llama.cpp",
        "llama-3.1-8b qwen3-8b --gpu h100 --ctx 8k --utilization 0.999",
        "qwen3-8b --gpu h100 --ctx 8k --tp 1 --utilization 0.9999",
    ],
)
def test_what_does_not_start_says_one_thing(arguments: str, cli: Run) -> None:
    """The memory suffices, and the engine refuses: nothing is missing, what memory would hold is no zero, and the flag is a way."""
    asked = ("fit", *arguments.split(), "--offline")
    page, sheet = cli(*asked), cli(*asked, "--format", "markdown")
    assert page.returncode == sheet.returncode == 1
    for said in (page.stdout, sheet.stdout):
        assert "missing" not in said
        assert "No change" not in said and "no change" not in said
    many = json.loads(cli(*asked, "--format", "json").stdout)
    for got in many if isinstance(many, list) else [many]:
        assert not got["start"]["starts"] and got["start"]["flag"] and got["per_gpu"]["headroom_bytes"] >= 0
        assert got["max_context_tokens"] >= got["context_tokens"]
        assert got["max_concurrency"] >= got["concurrency"]
        assert got["cost"]["usd_per_million_output_tokens"] is None


@pytest.mark.parametrize("context", ["16", "200"])
def test_many_short_sequences_hold_at_least_what_fits(context: str, cli: Run) -> None:
    """vLLM refuses a step of fewer tokens than sequences, and so contexts of a few tokens: longer ones still hold."""
    asked = ("fit", "llama-3.1-8b", "--gpu", "h100", "--ctx", context, "--concurrency", "2000", "--offline", "--format", "json")
    got = json.loads(cli(*asked).stdout)
    assert got["fits"]
    # 15 GiB of weights leave some 54 GiB: at 128 KiB a token 216 tokens each.
    assert 200 <= got["max_context_tokens"] <= 216


@pytest.mark.parametrize("arguments", ["qwen3.5-27b --ctx 8k --concurrency 400", "llama-3.1-8b --ctx 8k --concurrency 2000"])
def test_what_does_not_fit_sets_no_flags(arguments: str, cli: Run) -> None:
    """There is no command to set them in, and the sequences that they would name are not those asked for."""
    got = json.loads(cli("fit", *arguments.split(), "--gpu", "h100", "--offline", "--format", "json").stdout)
    assert not got["fits"] and not got["command"]
    assert not [note for note in got["notes"] if note.startswith("--")]
    # SGLang starts with a smaller pool all the same, and that is said.
    small = json.loads(
        cli(
            "fit", "qwen3-8b", "--vram", "25GiB", "--ctx", "40k", "--engine", "sglang", "--quant", "bf16", "--format", "json"
        ).stdout
    )
    assert not small["fits"] and any("serves sequences of up to so many" in note for note in small["notes"])


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize(
    ("name", "gpu", "replicated"),
    [
        # vLLM's recipes for these name a strategy of data-parallel attention with spread experts (recipes/models, `single_node_dep`,
        # `multi_node_dep`), SGLang's guide of DP attention the same for models with latent attention.
        ("deepseek-v3", "16xh200", True),
        ("deepseek-v3", "8xh200", True),
        ("kimi-k2", "16xh200", True),
        ("deepseek-v2-lite", "4xh100", True),
        # Keys and values by head are divided by tensor parallelism.
        ("qwen3-30b-a3b", "8xh100", False),
        ("mixtral-8x7b", "8xh100", False),
        ("llama-3.1-70b", "8xh100", False),
    ],
)
def test_a_latent_cache_is_not_copied_where_experts_can_be_spread(name: str, gpu: str, replicated: bool, engine: Any) -> None:
    spec = hardware.parse_spec(gpu)
    ask = Ask(spec, engine, 16384)
    r = fit_report(load(name), ask)
    assert r.fits and r.plan.tp * r.plan.pp * r.plan.dp == spec.count
    assert (r.plan.dp > 1) == replicated, r.plan
    assert brief_plan(name, ask) == r.plan
    if not replicated:
        return
    assert r.plan.ep == spec.count and r.plan.pp == 1
    other = r.runners_up[0]
    assert other.plan.dp == 1 and other.max_concurrency < r.max_concurrency
    for named in ("copy of the latent cache", "exchange of tokens", f"{units.format_held(other.max_concurrency)} sequences"):
        assert named in r.why
    assert ("over the network" in r.why) == (spec.count > spec.device.per_machine)


def brief_plan(name: str, ask: Ask) -> Any:
    return fit_report(load(name), ask, brief=True).plan


def test_where_replicas_hold_less_tensor_parallelism_stays() -> None:
    """The weights of each replica's attention can leave less than they save: what is chosen holds the most of both."""
    tight = 0
    for name, gpu in (("deepseek-v3", "8xh200"), ("deepseek-v3", "16xh100"), ("kimi-k2", "16xh100"), ("deepseek-v2", "8xh100")):
        found = plans(architecture(name), Ask(hardware.parse_spec(gpu), "vllm", 4096), alternatives=8)
        if found.best.fits:
            assert all(f.max_concurrency <= found.best.max_concurrency or f.placement.pp > 1 for f in found.others if f.fits)
            tight += 1
    assert tight


@pytest.mark.parametrize(
    ("engine", "command"),
    [
        ("vllm", "vllm serve deepseek-v3 -tp 2 -dp 4 -ep"),
        ("sglang", "python -m sglang.launch_server --model-path deepseek-v3 --tp 8 --attn-dp-size 4 --ep-size 8"),
        ("sglang", "python -m sglang.launch_server --model-path deepseek-v3 --tp 8 --dp-size 4 --enable-dp-attention --ep-size 8"),
    ],
)
def test_replicas_of_attention_in_an_engines_own_words(engine: str, command: str, cli: Run) -> None:
    got = json.loads(cli("fit", "--gpu", "8xh200", "--format", "json", "--", *command.split()).stdout)
    assert (got["plan"]["tp"], got["plan"]["dp"], got["plan"]["ep"]) == (2, 4, 8)
    assert not got["options"]["unmodelled"]


@pytest.mark.parametrize(
    ("arguments", "starts", "weights", "cache", "gib"),
    [
        # vLLM 0.33, config/model.py `_FLOAT16_NOT_SUPPORTED_MODELS`, `_check_valid_dtype`: refused in float16 on any GPU, whatever fits.
        ("--gpu t4 -- vllm serve gemma-3-4b --dtype half", "vLLM refuses float16", "fp16", "fp16", 8.57),
        ("--gpu t4 -- vllm serve gemma-2-2b --dtype half", "vLLM refuses float16", "fp16", "fp16", 4.9),
        ("--gpu h100 -- vllm serve gemma-3-4b --dtype float16", "vLLM refuses float16", "fp16", "fp16", 8.57),
        # platforms/cuda.py `check_if_supports_dtype`.
        ("--gpu t4 -- vllm serve gemma-3-12b --dtype bfloat16", "compute capability 8.0", "bf16", "bf16", 24.0),
        ("--gpu t4 --engine vllm --quant fp16 --ctx 4k gemma-3-4b", "vLLM refuses float16", "fp16", "fp16", 8.57),
        # What is asked for is what is held, in the cache too: `--dtype float32` is in the command.
        ("--gpu h100 --engine vllm --quant fp32 --ctx 4k qwen3-0.6b", "", "fp32", "fp32", 2.28),
        ("--gpu h100 -- vllm serve qwen3-0.6b --dtype float32 --max-model-len 4096", "", "fp32", "fp32", 2.28),
        # Left to vLLM, what is not run in either half precision is widened (`_resolve_auto_dtype`).
        ("--gpu a100 -- vllm serve gemma-3-4b", "", "bf16", "bf16", 8.57),
    ],
)
def test_words_of_a_plan_agree_with_its_bytes(arguments: str, starts: str, weights: str, cache: str, gib: float, cli: Run) -> None:
    got = json.loads(cli("fit", "--format", "json", *arguments.split()).stdout)
    assert (got["plan"]["quant"], got["plan"]["kv_dtype"]) == (weights, cache)
    assert got["per_gpu"]["weights_bytes"] / 2**30 == pytest.approx(gib, rel=0.03)
    assert got["fits"] == (not starts)
    if starts:
        assert got["verdict"].startswith("does not start: ") and starts in got["verdict"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("gemma-3-4b --gpu t4 --ctx 4k", "as published (bf16, which vLLM holds in fp32 here)"),
        ("qwen3-8b --gpu t4 --engine vllm --ctx 4k", "as published (bf16, which vLLM holds in fp16 here)"),
        ("qwen3-32b --gpu 4090 --engine vllm --ctx 4k", "as published (bf16)"),
    ],
)
def test_as_published_is_what_was_published(arguments: str, said: str, cli: Run) -> None:
    assert said in json.loads(cli("fit", "--format", "json", *arguments.split()).stdout)["verdict"]


FORECAST = [
    # Many requests: stages over all GPUs idle where replicas of the attention work (SGLang's own recipe for DeepSeek-V3 on 8 H200).
    ("deepseek-v3 --gpu 8xh200 --ctx 32k --concurrency 64 --engine sglang", "the most requests of the splits that fit"),
    ("llama-3.1-8b --gpu 8xh100 --ctx 8k --concurrency 256", "the most requests of the splits that fit"),
    # Where none is ahead by more than forecasts are off, the usual one.
    ("qwen3-32b --gpu 4xh100 --ctx 8k --concurrency 16", "tensor parallelism over all GPUs: they share a machine"),
    # No term of the forecast is of the network: tensor parallelism stays within a machine.
    ("llama-3.1-405b --gpu 16xh100 --ctx 8k --concurrency 32", "tensor parallelism of 8"),
]


@pytest.mark.parametrize(("arguments", "why"), FORECAST)
def test_with_several_requests_the_forecast_decides_among_plans_that_fit(arguments: str, why: str, cli: Run) -> None:
    made = json.loads(cli("fit", *arguments.split(), "--format", "json").stdout)
    made = made[0] if isinstance(made, list) else made
    assert made["fits"] and made["why"].startswith(why)
    rate = made["speed"]["decode_tokens_per_s"]
    swept = json.loads(cli("sweep", *arguments.split(), "--format", "json").stdout)[0]
    p = made["plan"]
    assert swept["plan"] == f"tp{p['tp']} pp{p['pp']} ep{p['ep']} dp{p['dp']}" and swept["tokens_per_s"] == rate
    others = [other["tokens_per_s"] for other in made["runners_up"] if other["fits"] and other["tokens_per_s"]]
    assert all(other <= 1.3 * rate for other in others)


def test_over_machines_attention_is_in_replicas_before_stages_are_within_machines(cli: Run) -> None:
    """vLLM 0.33, docs/serving/data_parallel_deployment.md and expert_parallel_deployment.md: DP with EP over nodes; parallelism_scaling.md:
    stages for as many nodes. TP 8 x PP 2 lacks the memory here."""
    arguments = ("kimi-k2", "--gpu", "16xh200", "--ctx", "64k", "--concurrency", "64")
    made = json.loads(cli("fit", *arguments, "--format", "json").stdout)
    assert made["fits"] and made["why"].startswith("attention in 16 replicas") and made["plan"]["pp"] == 1
    assert any(other["plan"]["pp"] == 8 and other["fits"] for other in made["runners_up"])


def test_a_context_that_only_slow_plans_hold_is_told_of(cli: Run) -> None:
    made = cli("fit", "deepseek-v3", "--gpu", "8xh200", "--concurrency", "64", "--format", "json")
    note = next(note for note in json.loads(made.stdout)["notes"] if note.startswith("only slower splits hold"))
    context, rate = re.findall(r"--ctx (\S+) .*and ([\d.,]+) requests a second", note)[0]
    there = json.loads(
        cli("fit", "deepseek-v3", "--gpu", "8xh200", "--concurrency", "64", "--ctx", context, "--format", "json").stdout
    )
    assert there["fits"] and there["speed"]["requests_per_s"] == pytest.approx(float(rate), rel=0.01)


WHY = [
    ("deepseek-v3 --gpu 8xh200 --ctx 59k --concurrency 64", "8 pipeline stages, which idle", "over the rest"),
    ("llama-3.1-8b --gpu 4xgh200 --ctx 8k --tp 4", "as asked", "share a machine"),
    ("llama-3.1-70b --gpu 8xh100 --ctx 8k --concurrency 256", "no split fits; this one comes closest", "widest"),
]


@pytest.mark.parametrize(("arguments", "said", "unsaid"), WHY)
def test_the_reason_of_a_plan_is_true_of_it(arguments: str, said: str, unsaid: str, cli: Run) -> None:
    made = json.loads(cli("fit", *arguments.split(), "--format", "json").stdout)
    assert said in made["why"] and unsaid not in made["why"]


def test_gpus_of_several_machines_share_none() -> None:
    from archcalc.analysis.reasons import why

    ask = Ask(hardware.parse_spec("4xgh200"), context_tokens=8192)
    found = plans(architecture("llama-3.1-8b"), ask)
    wide = next(f for f in (found.best, *found.others) if f.placement.tp == 4)
    assert "4 machines" in why(found._replace(best=wide), ask)


def test_a_room_that_is_not_there_holds_nothing(cli: Run) -> None:
    command = "vllm serve deepseek-ai/DeepSeek-V3 -tp 1 -dp 16 --enable-expert-parallel --data-parallel-size-local 8 --max-model-len 32768"
    made = json.loads(cli("fit", "--gpu", "16xh100", "--format", "json", "--", *command.split()).stdout)
    assert made["per_gpu"]["kv_room_bytes"] < 0
    assert (made["max_context_tokens"], made["max_concurrency"], made["start"]["flag"]) == (0, 0, None)


REQUESTS = [
    # Qwen3's own length is 32,768 (its model card, "Processing Long Texts"), its config says 40,960.
    ("--isl 200k", "--isl and --osl of 40,960 tokens together", 6.2813),
    ("--isl 30k --osl 40k", "--isl and --osl of 40,960 tokens together", 2.1875),
    ("--ctx 100k", "ask for --ctx 40960 or less", 3.125),
]


@pytest.mark.parametrize(("lengths", "way", "factor"), REQUESTS)
def test_what_to_do_of_requests_beyond_the_window(lengths: str, way: str, factor: float, cli: Run) -> None:
    said = cli("fit", "qwen3-8b", "--gpu", "h200", *lengths.split())
    assert said.returncode == 2 and way in said.stderr
    made = json.loads(re.findall(r"rope_scaling=(\{.*?\})", said.stderr)[0])
    assert (made["original_max_position_embeddings"], made["factor"]) == (32768, factor)
    # Typed as it is printed it works.
    sets = [each.strip("'") for each in re.findall(r"--set ('[^']*'|\S+)", said.stderr)]
    again = cli("fit", "qwen3-8b", "--gpu", "h200", *lengths.split(), *(word for each in sets for word in ("--set", each)))
    assert again.returncode == 0, again.stderr


def test_tables_of_a_target_tell_the_requests(cli: Run) -> None:
    table = cli("fit", "qwen3-8b", "deepseek-v3", "--gpu", "8xh100", "--tpot", "30ms").stdout
    head, *lines = table.splitlines()
    one = json.loads(cli("fit", "qwen3-8b", "--gpu", "8xh100", "--tpot", "30ms", "--format", "json").stdout)
    at = head.index("requests") + len("requests")
    assert lines[0][:at].split()[-1] == f"{one['concurrency']:,}"
    # Of what does not fit no plan and no number of requests stands there.
    missing = next(line for line in lines if line.startswith("deepseek-v3"))
    assert not missing[at - 8 : at].strip() and "TP" not in missing
    assert "requests" not in cli("fit", "qwen3-8b", "deepseek-v3", "--gpu", "8xh100").stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [("--isl 8k --osl 2k", "8k prompt and 2k output tokens"), ("--tpot 30ms", "requests of 1k prompt and 1k output tokens (--isl")],
)
def test_a_list_says_what_its_speeds_are_of(options: str, said: str, cli: Run) -> None:
    made = cli("fit", "--gpu", "h100", "--min-params", "30B", *options.split())
    assert said in " ".join(made.stdout.split())


def test_the_margin_of_llama_cpp_is_named_where_it_alone_is_missing(cli: Run) -> None:
    """common/fit.cpp keeps 1 GiB free where `-ngl` is not set; with it set the same command starts, as its own line says."""
    asked = ("--gpu", "4090", "--quant", "q4_k_m")
    short = json.loads(cli("fit", "qwen3-32b", *asked, "--engine", "llama.cpp", "--ctx", "16k", "--format", "json").stdout)
    offered = [each for each in short["would_fit"] if each["options"].startswith("-ngl 99")]
    assert not short["fits"] and len(offered) == 1 and "--fit keeps free" in offered[0]["what"]
    own = json.loads(
        cli("fit", *asked, "--format", "json", "--", *"llama-server -m qwen3-32b -c 16384 -np 1 -ngl 99".split()).stdout
    )
    assert own["fits"] and f"{own['per_gpu']['headroom_bytes'] / 2**20:.1f} MiB to spare" in offered[0]["what"]


def test_as_published_names_the_publisher_s_own_format(cli: Run) -> None:
    """DeepSeek-R1's config.json says fp8; bf16 is what llama.cpp's converter makes of it."""
    found = json.loads(cli("fit", "deepseek-r1", "--gpu", "m3-ultra-512gb", "--format", "json").stdout)
    assert "as published (fp8, which llama.cpp holds in bf16 here)" in found["verdict"]


CORNERS = [
    # Too large for any split, for all but the widest, and close to the edge of each machine.
    ("deepseek-v3", "vllm", "16x4090", "w4a16"), ("deepseek-v3", "vllm", "8xh100", None), ("deepseek-v3", "sglang", "16xh100", None),
    ("gpt-oss-120b", "vllm", "4x4090", None), ("gpt-oss-120b", "sglang", "h100", None), ("qwen3-next-80b-a3b", "vllm", "2xh100", None),
    ("nemotron-h-56b", "vllm", "2xh100", None), ("llama-3.1-70b", "vllm", "2xh100", None),
    ("llama-3.1-70b", "llama.cpp", "2x4090", "q4_k_m"),
    ("mixtral-8x7b", "sglang", "4x4090", "fp8"), ("qwen3-30b-a3b", "transformers", "2x4090", None), ("gemma-3-27b", "vllm", "2x4090", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "engine", "gpus", "quant"), CORNERS)
@pytest.mark.parametrize("concurrency", [1, 32])
def test_a_search_that_is_cut_short_finds_what_the_whole_one_finds(
    name: str, engine: str, gpus: str, quant: str | None, concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = architecture(name)
    context = min(8192, model.longest or 8192)
    ask = Ask(hardware.parse_spec(gpus), engine, context, concurrency=concurrency, quant=quant)
    made = plans(model, ask)
    held = rules.holds(model, ask, rules.candidate(model, ask))
    monkeypatch.setattr(rules, "_roomy", lambda *_: True)
    whole = plans(model, ask)
    assert made._replace(model=whole.model) == whole
    if server(engine).one_share:
        assert len({f.budget.budget_bytes for f in (whole.best, *whole.others)}) == 1
    assert held == (whole.best.fits, None if whole.best.fits or whole.best.headroom_bytes < 0 else whole.best.start.limit)
