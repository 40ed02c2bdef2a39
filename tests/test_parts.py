"""Encoders alone: counted, and refused by name where a question is about tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.refusals import refuse_part
from archcalc.arch import parse
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.figures.checkpoint import inventory, summary
from conftest import Run

GOLDEN = Path(__file__).parent / "golden"


def _first(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(path.open(encoding="utf-8").readline())["config"]
    return config


T5 = {
    "model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": 100, "n_positions": 512,
    "architectures": ["T5EncoderModel"],
}  # fmt: skip
ALONE = {
    **{
        path.stem: config
        for path in sorted(GOLDEN.glob("*.jsonl"))
        if parse(config := _first(path)).is_part and ("_class_name" not in config or path.stem == "flux")
    },
}


def test_there_are_some() -> None:
    assert {"dinov2", "wav2vec2", "hubert"} <= set(ALONE)


@pytest.mark.parametrize("name", ALONE)
def test_a_part_is_counted_and_shown_and_neither_served_nor_trained(name: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text(json.dumps(ALONE[name]), encoding="utf-8")
    inspected = json.loads(cli("inspect", "part.json", "--format", "json").stdout)
    assert inspected["params"]["total"] > 0
    # The page, the card and the charts say what is known of it.
    for command in (("report", "part.json", "-o", "page.html"), ("card", "part.json"), ("plot", "params", "part.json")):
        assert (done := cli(*command)).returncode == 0, done.stderr
    for command in (
        ("fit", "part.json", "--gpu", "1xH100"),
        ("fit", "part.json", "--gpu", "1xH100", "--ctx", "1k", "--engine", "transformers"),
        ("train", "part.json", "--gpu", "1xH100", "--seq", "1k"),
    ):
        done = cli(*command)
        assert (done.returncode, done.stdout) == (2, "")
        ways = (
            "without a decoder", "of no tokens", "whose decoder writes no tokens", "whose decoder is no attention over tokens",
            "each of which writes the next one's input",
        )  # fmt: skip
        assert any(f"{what}: it keeps no cache" in done.stderr for what in ways)
        assert "archcalc inspect" in done.stderr
    kept = cli("kv", "part.json", "--ctx", "1k", "--engine", "textbook", "--format", "json")
    assert json.loads(kept.stdout)["bytes"] == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        # Detectors, masks, depths and points: transformers 5.24, models/*/modeling_*.py (DetrDecoder, SamMaskDecoder, DPTNeck, ...).
        *((name, "a model of images whose decoder writes no tokens") for name in (
            "detr", "deformable_detr", "rt_detr", "mask2former", "maskformer", "upernet", "glpn", "dpt", "depth_anything", "sam", "sam2",
            "superpoint",
        )),
        # Codecs, and a transducer's LSTM.
        *((name, "a model of sound whose decoder is no attention over tokens") for name in (
            "dac", "parakeet_rnnt", "parakeet_tdt", "nemotron_asr_streaming", "vibevoice_acoustic_tokenizer",
        )),
        ("bark", "a chain of models"),
        *((name, "an encoder alone, without a decoder") for name in ("dinov2", "vit", "wav2vec2", "hubert", "parakeet_ctc")),
        *((name, "a model of no tokens") for name in ("vits", "timesfm", "time_series_transformer")),
    ],
)  # fmt: skip
def test_what_a_part_is_called_is_on_its_record(name: str, said: str) -> None:
    """By what its adapter says that its decoder makes, not by what its modules are called."""
    with pytest.raises(UnsupportedError, match=said):
        refuse_part(parse(_first(GOLDEN / f"{name}.jsonl")))


@pytest.mark.parametrize(
    ("config", "cached"),
    [
        (_first(GOLDEN / "bert.jsonl") | {"architectures": ["BertForSequenceClassification"]}, False),
        (
            {
                "model_type": "openai_privacy_filter", "architectures": ["OpenAIPrivacyFilterForTokenClassification"], "hidden_size": 640,
                "num_hidden_layers": 3, "num_attention_heads": 14, "vocab_size": 200064, "id2label": {str(i): str(i) for i in range(4)},
            },
            False,
        ),
        (_first(GOLDEN / "gpt2.jsonl"), True),
    ],
)  # fmt: skip
def test_what_keeps_no_cache_has_no_rate_of_decoding(config: dict[str, Any], cached: bool, cli: Run, tmp_path: Path) -> None:
    """An encoder reads its whole input at once, and its head is no table of the vocabulary."""
    (tmp_path / "model.json").write_text(json.dumps(config), encoding="utf-8")
    got = json.loads(
        cli("fit", "model.json", "--gpu", "1xH100", "--ctx", "512", "--engine", "transformers", "--format", "json").stdout
    )
    assert (got["speed"]["bound_tokens_per_s"] is not None) == cached
    assert (got["decode_tokens_per_s_ceiling"] is not None) == cached
    assert got["prefill_seconds_floor"] >= 0
    assert got["speed"]["prefill_ms_floor"] > 0


@pytest.mark.parametrize("named", [[], [None], [3], None])
@pytest.mark.parametrize("name", ["dinov2", "wav2vec2"])
def test_architectures_of_another_kind_name_no_class(name: str, named: object) -> None:
    parse({**ALONE[name], "architectures": named})


@pytest.mark.parametrize("named", [2**62, "Dinov2Model", {"a": "b"}])
def test_architectures_that_are_no_list_are_refused(named: object) -> None:
    with pytest.raises(ConfigError, match="a list was expected"):
        parse({**ALONE["dinov2"], "architectures": named})


def test_an_encoder_of_tokens_is_served_and_not_trained_without_its_decoder(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t5.json").write_text(json.dumps(T5), encoding="utf-8")
    served = cli("fit", "t5.json", "--gpu", "1xH100", "--ctx", "512", "--engine", "transformers", "--format", "json")
    assert json.loads(served.stdout)["fits"]
    assert cli("report", "t5.json", "-o", "page.html").returncode == 0
    done = cli("train", "t5.json", "--gpu", "1xH100", "--seq", "128")
    assert (done.returncode, done.stdout) == (2, "")
    assert "without its decoder" in done.stderr


CLIP_TEXT = {
    "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 32, "intermediate_size": 64,
    "num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 10, "vocab_size": 100, "torch_dtype": "bfloat16",
}  # fmt: skip


def _pipeline(folder: Path, **parts: dict[str, Any]) -> str:
    index: dict[str, Any] = {
        "_class_name": "FluxPipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    }
    for name, config in parts.items():
        index[name] = ["diffusers", str(config.get("_class_name"))]
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return str(folder)


def test_a_pipeline_is_the_sum_of_its_parts_and_names_those_that_are_not_read(cli: Run, tmp_path: Path) -> None:
    row = json.loads((GOLDEN / "flux.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    # Tables, two layers and the last norm of the text encoder, as transformers counts them.
    text = 100 * 32 + 10 * 32 + 2 * (4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32) + 2 * 32
    both = _pipeline(tmp_path / "both", transformer=row["config"], text_encoder=CLIP_TEXT)
    read = json.loads(cli("inspect", both, "--format", "json").stdout)
    assert (read["params"]["total"], read["status"]) == (row["total"] + text, "counted")
    assert read["checkpoint"]["by_dtype"] == {"BF16": row["total"] + text}
    kept = cli("kv", both, "--ctx", "1k", "--engine", "textbook", "--format", "json")
    assert json.loads(kept.stdout)["bytes"] == 0
    with_vae = _pipeline(
        tmp_path / "three", transformer=row["config"], text_encoder=CLIP_TEXT, vae={"_class_name": "AutoencoderKL"}
    )
    part = json.loads(cli("inspect", with_vae, "--format", "json").stdout)
    assert (part["params"]["total"], part["status"]) == (row["total"] + text, "partial")
    assert any("vae (AutoencoderKL)" in note for note in part["notes"])


T5_TEXT = {
    "architectures": ["T5EncoderModel"], "model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_heads": 2, "num_layers": 2,
    "vocab_size": 100,
}  # fmt: skip


@pytest.mark.parametrize("dtypes", [("float16", "bfloat16"), ("float32", None), (None, None), ("float16", "float16")])
def test_the_bytes_of_a_pipeline_are_those_of_its_parts(cli: Run, tmp_path: Path, dtypes: tuple[str | None, str | None]) -> None:
    """Each part in the dtype that its config states, or that is assumed of it alone, which is said once of each."""
    stated = {} if dtypes[0] is None else {"torch_dtype": dtypes[0]}
    parts = {
        "transformer": _first(GOLDEN / "wan.jsonl"),
        "text_encoder": {**CLIP_TEXT, "torch_dtype": dtypes[0]},
        "text_encoder_2": {**T5_TEXT, "dtype": dtypes[1]},
        "transformer_2": {**_first(GOLDEN / "flux.jsonl"), **stated},
    }
    whole = json.loads(cli("inspect", _pipeline(tmp_path / "whole", **parts), "--format", "json").stdout)
    alone = [json.loads(cli("inspect", str(tmp_path / "whole" / name), "--format", "json").stdout) for name in parts]
    assert whole["checkpoint"]["bytes"] == sum(one["checkpoint"]["bytes"] for one in alone)
    for name in parts:
        one = json.loads(cli("inspect", str(tmp_path / "whole" / name), "--format", "json").stdout)
        said = [note for note in one["notes"] if "states no dtype" in note]
        assert len(said) < 2
        assert [note for note in whole["notes"] if note.startswith(f"{name}: ")] == [f"{name}: {note}" for note in said]


def test_a_pipeline_with_a_quantized_part_says_so(cli: Run, tmp_path: Path) -> None:
    packed = {**T5_TEXT, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    folder = _pipeline(tmp_path / "whole", transformer=_first(GOLDEN / "flux.jsonl"), text_encoder=packed)
    read = json.loads(cli("inspect", folder, "--format", "json").stdout)
    assert read["status"] == "partial" and any("text_encoder (bitsandbytes)" in note for note in read["notes"])


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        # metadata.total_size of transformer/diffusion_pytorch_model.safetensors.index.json in black-forest-labs/FLUX.1-dev, Qwen/Qwen-Image
        # and Wan-AI/Wan2.2-T2V-A14B-Diffusers, whose configs are the defaults of their classes, with guidance in the first.
        ("flux", 23_802_816_640), ("qwen_image", 40_860_802_176), ("wan", 57_153_966_336),
    ],
)  # fmt: skip
def test_a_diffusion_transformer_is_as_large_as_its_published_files(kind: str, stored: int) -> None:
    a = parse(_first(GOLDEN / f"{kind}.jsonl"))
    assert summary(a).bytes == stored
    assert sum("states no dtype" in note for note in a.notes) == 1


def test_a_pipeline_of_which_no_part_is_read_is_refused(cli: Run, tmp_path: Path) -> None:
    done = cli("inspect", _pipeline(tmp_path / "one", unet={"_class_name": "UNet2DConditionModel"}))
    assert (done.returncode, done.stdout) == (2, "") and "no part of this diffusers pipeline is read" in done.stderr


def test_a_part_has_no_table_of_machines_that_serve_it(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text(json.dumps(_first(GOLDEN / "wan.jsonl")), encoding="utf-8")
    done = cli("inspect", str(tmp_path / "part.json"))
    assert done.returncode == 0 and "on disk" in done.stdout and "GPUs that hold it" not in done.stdout
    assert "a model of no tokens" in cli("fit", str(tmp_path / "part.json"), "--gpu", "1xH100").stderr


def test_a_thinker_is_read_and_its_tensors_keep_its_name() -> None:
    """Qwen3-ASR's first configs (vLLM 0.33, models/qwen3_asr.py `hf_to_vllm_mapper`; the aligner's head, qwen3_asr_forced_aligner.py)."""
    row = json.loads((GOLDEN / "qwen3_asr.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert "thinker_config" in row["config"]
    names = {entry.name for entry in inventory(parse(row["config"]))}
    assert all(name.startswith("thinker.") for name in names)
    assert {"thinker.audio_tower.proj1.weight", "thinker.model.layers.{}.mlp.up_proj.weight"} <= names
    thinker = {**row["config"]["thinker_config"], "classify_num": 5000}
    aligner = parse({**row["config"], "thinker_config": thinker})
    assert sum(t.elements * n for _, t, n in aligner.each_tensor() if t.counted) == row["total"] + 5000 * 1024


@pytest.mark.parametrize(
    ("config", "total"),
    [
        # Built by transformers 5.24 without weights: widths that eight heads do not divide, of which each class rounds other parts down.
        ({"model_type": "dbrx", "d_model": 100, "n_heads": 8, "n_layers": 2, "attn_config": {"kv_n_heads": 2},
          "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2}}, 404_500),
        ({"model_type": "olmoe"}, 412_796),
        ({"model_type": "flex_olmo"}, 412_788),
    ],
)  # fmt: skip
def test_widths_that_heads_do_not_divide(config: dict[str, Any], total: int) -> None:
    from archcalc.analysis.params import components

    plain = {
        "hidden_size": 100, "num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64,
        "num_experts": 4, "num_experts_per_tok": 2,
    }  # fmt: skip
    made = parse({**({} if "d_model" in config else plain), "vocab_size": 1000, **config})
    assert sum(c.total for c in components(made)) == total


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("detr", "a model of images whose decoder writes no tokens"),
        ("rt_detr", "a model of images whose decoder writes no tokens"),
        ("mask2former", "a model of images whose decoder writes no tokens"),
        ("sam", "a model of images whose decoder writes no tokens"),
        ("parakeet_tdt", "a model of sound whose decoder is no attention over tokens"),
        ("vit", "an encoder alone, without a decoder"),
    ],
)
def test_what_has_a_decoder_that_writes_no_tokens_is_no_encoder_alone(cli: Run, tmp_path: Path, name: str, what: str) -> None:
    """DETR's decoder attends from a number of queries of its own (Carion et al. 2020, arXiv:2005.12872, section 3.2), SAM's from prompts; a
    transducer predicts with an LSTM."""
    (tmp_path / "c.json").write_text(json.dumps(_first(GOLDEN / f"{name}.jsonl")), encoding="utf-8")
    for command in (("fit", "--gpu", "h100"), ("kv",)):
        done = cli(*command, str(tmp_path / "c.json"), "--offline")
        assert done.returncode == 2 and f"is {what}: it keeps no cache" in done.stderr, done.stderr
