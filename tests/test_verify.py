"""The predicted inventory against checkpoints: real indexes agree, and each way to spoil a copy is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcalc import loader
from archcalc.analysis.verify import fold, verify
from archcalc.arch import parse
from archcalc.figures import checkpoint
from archcalc.formats import headers
from checkpoints import gguf_bytes, write_safetensors
from conftest import Run
from test_formats import QWEN3, QWEN3_CONFIG, gguf_tensors

INDEXES = Path(__file__).parent / "data" / "indexes"
MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 48, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 64, "num_local_experts": 4, "num_experts_per_tok": 2, "torch_dtype": "bfloat16",
}  # fmt: skip
# A type that no adapter reads, and what its config must state to be guessed.
ODD = {"model_type": "odd", "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
# A buffer that the publisher stored beside the weights.
EXTRA = {"DeepSeek-OCR": ["model.vision_model.embeddings.position_ids"]}
Tensor = tuple[str, tuple[int, ...], str]


@pytest.mark.parametrize("name", sorted(path.name for path in INDEXES.iterdir()))
def test_the_names_of_real_checkpoints_are_predicted(name: str) -> None:
    path = str(INDEXES / name)
    loaded = loader.load(path, offline=True)
    if loaded.architecture.status == "guessed":
        pytest.skip("no adapter")
    found = verify(loaded, headers.read(path), path)
    assert [each.name for each in found.missing] == []
    assert [each.name for each in found.extra] == EXTRA.get(name, [])
    assert found.agrees == (name not in EXTRA)


def stored(config: dict[str, Any]) -> list[Tensor]:
    return list(checkpoint.expand(parse(config)))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A model's folder: config.json and a safetensors file of the tensors given."""

    def make(config: dict[str, Any], tensors: list[Tensor], **kwargs: Any) -> Path:
        (tmp_path / "m").mkdir(exist_ok=True)
        (tmp_path / "m" / "config.json").write_text(json.dumps(config))
        write_safetensors(tmp_path / "m" / "model.safetensors", tensors, **kwargs)
        return tmp_path / "m"

    return make


def test_a_checkpoint_that_agrees(run: Run, folder: Callable[..., Path]) -> None:
    path = folder(MIXTRAL, stored(MIXTRAL), data=True)
    for arguments in (["m"], ["m/config.json", "m"], ["m/config.json", "m/model.safetensors"]):
        done = run("verify", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "agree" in done.stdout
    report = json.loads(run("verify", str(path), "--format", "json").stdout)
    assert (report["agrees"], report["format"], report["missing"], report["notes"]) == (True, "safetensors", [], [])


def test_each_way_to_differ_is_named_and_folded(run: Run, folder: Callable[..., Path]) -> None:
    spoilt: list[Tensor] = []
    for name, shape, dtype in stored(MIXTRAL):
        if ".experts." in name and ".w2." in name:
            continue
        if name.endswith("o_proj.weight"):
            shape = (shape[0], shape[1] + 1)  # noqa: PLW2901
        if name.endswith("1.input_layernorm.weight"):
            dtype = "F32"  # noqa: PLW2901
        spoilt.append((name, shape, dtype))
    spoilt += [(f"model.layers.{i}.self_attn.rotary_emb.inv_freq", (4,), "F32") for i in range(3)]
    folder(MIXTRAL, spoilt)
    done = run("verify", "m", "--format", "json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["agrees"] is False
    (missing,), (extra,), (shape_,), (dtype_,) = (report[k] for k in ("missing", "extra", "wrong_shape", "wrong_dtype"))
    assert (missing["name"], missing["count"]) == ("model.layers.0-2.block_sparse_moe.experts.0-3.w2.weight", 12)
    assert missing["expected"] == "BF16 32 x 48"
    assert (extra["name"], extra["count"], "buffer" in extra["why"]) == ("model.layers.0-2.self_attn.rotary_emb.inv_freq", 3, True)
    assert (shape_["name"], shape_["expected"], shape_["found"]) == (
        "model.layers.0-2.self_attn.o_proj.weight",
        "32 x 32",
        "32 x 33",
    )
    assert (dtype_["name"], dtype_["expected"], dtype_["found"]) == ("model.layers.1.input_layernorm.weight", "BF16", "F32")
    assert any("ends" in note for note in report["notes"])  # headers without data
    for form in ("table", "markdown", "csv", "jsonl"):
        done = run("verify", "m", "--format", form)
        assert done.returncode == 1
        assert "experts.0-3.w2.weight" in done.stdout


def test_a_sharded_checkpoint_of_which_some_files_are_there(run: Run, tmp_path: Path) -> None:
    tensors = stored(MIXTRAL)
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(MIXTRAL))
    half = len(tensors) // 2
    write_safetensors(folder / "model-1.safetensors", tensors[:half], data=True)
    places = {name: f"model-{1 + (i >= half)}.safetensors" for i, (name, _, _) in enumerate(tensors)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    done = run("verify", "m", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("1 of 2 files are not there" in note for note in json.loads(done.stdout)["notes"])
    write_safetensors(folder / "model-2.safetensors", [*tensors[half:], tensors[0]], data=True)
    done = run("verify", "m")
    assert (done.returncode, "in two files" in done.stderr) == (2, True)


@pytest.mark.parametrize("prefix", ["", "base_model."])
def test_an_outer_name_alone_is_no_difference(prefix: str) -> None:
    config = {"model_type": "bloom", "n_layer": 2, "hidden_size": 16, "n_head": 2, "vocab_size": 32}
    loaded = loader.read(_source(config), config, _source_info())
    held = {prefix + name.removeprefix("transformer."): headers.Held(shape, dtype) for name, shape, dtype in stored(config)}
    if prefix:
        held = {f"{prefix}{name}": headers.Held(shape, dtype) for name, shape, dtype in stored(config)}
    found = verify(loaded, headers.Header("safetensors", held, {}), "x")
    assert found.agrees
    assert any(note.endswith("compared without") for note in found.notes)


def _source(config: dict[str, Any]) -> Any:
    from archcalc.sources import Source

    return Source("x", "stdin", "hf-config", None, config)


def _source_info() -> Any:
    from archcalc.report import SourceInfo

    return SourceInfo("x", "stdin", "hf-config", None)


def test_a_checkpoint_under_its_publishers_own_names(run: Run, tmp_path: Path) -> None:
    h, names = 32, {"attention.wq": (32, 32), "attention.wk": (16, 32), "attention.wv": (16, 32), "attention.wo": (32, 32)}
    names |= {"feed_forward.w1": (48, 32), "feed_forward.w2": (32, 48), "feed_forward.w3": (48, 32)}
    names |= {"attention_norm": (h,), "ffn_norm": (h,)}
    tensors = [(f"layers.{i}.{name}.weight", shape, "BF16") for i in range(2) for name, shape in names.items()]
    tensors += [("tok_embeddings.weight", (64, h), "BF16"), ("norm.weight", (h,), "BF16"), ("output.weight", (64, h), "BF16")]
    params = {"dim": h, "n_layers": 2, "head_dim": 8, "hidden_dim": 48, "n_heads": 4, "n_kv_heads": 2, "vocab_size": 64}
    (tmp_path / "params.json").write_text(json.dumps(params))
    write_safetensors(tmp_path / "consolidated.safetensors", tensors, data=True)
    done = run("verify", ".")
    assert done.returncode == 0, done.stdout + done.stderr
    write_safetensors(tmp_path / "consolidated.safetensors", tensors[1:], data=True)
    assert "layers.0.attention.wq.weight" in run("verify", ".").stdout


def test_gguf_against_its_own_metadata_and_against_a_config(run: Run, tmp_path: Path) -> None:
    tensors = gguf_tensors(QWEN3_CONFIG, "q4_k_m")
    (tmp_path / "m.gguf").write_bytes(
        gguf_bytes({**QWEN3, "general.file_type": 15}, [*tensors, ("rope_freqs.weight", (32,), "F32")])
    )
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_CONFIG))
    for arguments in (["m.gguf"], ["config.json", "m.gguf"]):
        done = run("verify", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    spoilt = [(name, shape, "F16" if name == "blk.2.ffn_up.weight" else dtype) for name, shape, dtype in tensors[:-1]]
    (tmp_path / "m.gguf").write_bytes(gguf_bytes({**QWEN3, "general.file_type": 15}, spoilt))
    report = json.loads(run("verify", "config.json", "m.gguf", "--format", "jsonl").stdout)
    assert [each["name"] for each in report["wrong_dtype"]] == ["blk.2.ffn_up.weight"]
    assert [each["name"] for each in report["missing"]] == [tensors[-1][0]]


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32"])
def test_gguf_that_is_not_quantized(run: Run, tmp_path: Path, kind: str) -> None:
    tensors = gguf_tensors(QWEN3_CONFIG, kind)
    assert {dtype for _, _, dtype in tensors} == {kind.upper(), "F32"}
    number = {"f32": 0, "f16": 1, "bf16": 32}[kind]
    (tmp_path / "m.gguf").write_bytes(gguf_bytes({**QWEN3, "general.file_type": number}, tensors))
    done = run("verify", "m.gguf")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-like-it"], "neither a bundled model nor a file"),
        (["llama-3.1-8b", "gone.safetensors"], "no such file"),
        (["llama-3.1-8b"], "network"),
        (["llama-3.1-8b", "x", "--hub"], "exclude"),
        (["config.json", "bad.safetensors"], "truncated"),
        (["config.json", "bad.gguf"], "not GGUF"),
        (["config.json", "bad.index.json"], "weight_map"),
        (["config.json", "empty"], "holds no .safetensors"),
        (["odd.json", "bad.safetensors"], "truncated"),
    ],
)
def test_calls_that_cannot_be_answered_end_with_2(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MIXTRAL))
    (tmp_path / "odd.json").write_text(json.dumps({**MIXTRAL, **ODD}))
    (tmp_path / "bad.safetensors").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    (tmp_path / "bad.gguf").write_bytes(b"nothing")
    (tmp_path / "bad.index.json").write_text('{"weight_map": []}')
    (tmp_path / "empty").mkdir()
    done = run("verify", *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr, done.stderr


def test_a_guess_verifies_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(json.dumps({**MIXTRAL, **ODD}))
    write_safetensors(tmp_path / "m.safetensors", stored(MIXTRAL))
    done = run("verify", "odd.json", "m.safetensors")
    assert done.returncode == 2
    assert "no adapter reads" in done.stderr


def test_numbers_fold_into_ranges() -> None:
    rows = [(f"l.{i}.e.{j}.w", "", None, None) for i in range(4) for j in range(3) if (i, j) != (2, 1)]
    assert [(each.name, each.count) for each in fold(rows)] == [("l.0-1,3.e.0-2.w", 9), ("l.2.e.0,2.w", 2)]
    assert [each.name for each in fold([("w1.weight", "", None, None)])] == ["w1.weight"]
