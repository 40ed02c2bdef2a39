"""The terminal page of `inspect`: what people came for stands first, equals what `fit` says, and has its words whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis import sizes
from archcalc.analysis.fit import Ask
from archcalc.analysis.verdict import fit_report
from archcalc.loader import load
from conftest import Run


def rows(text: str) -> dict[str, list[str]]:
    """The formats of the page's second table, with what is loaded and the number of each card."""
    lines = text[text.index("loaded") :].splitlines()[1:]
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("GPUs that hold it"))]
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line.strip()) for line in table)}


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-120b", "qwen3-next-80b-a3b"])
def test_formats_and_machines_are_those_of_fit(name: str) -> None:
    made = sizes.sizes(load(name).architecture)
    assert [size.published for size in made] == [True] + [False] * (len(made) - 1)
    for size in made:
        for card, count in zip(sizes.CARDS, (each.gpus for each in size.cards), strict=True):
            for n in {count or 16, max((k for k in sizes.COUNTS if k < (count or 17)), default=1)}:
                quant = None if size.published else size.quant
                ask = Ask(hardware.parse_spec(f"{n}x{card}"), "vllm", 8192, quant=quant)
                said = fit_report(load(name), ask, brief=True)
                assert said.fits is (count is not None and n >= count), (size.quant, card, n)
                if n == 1:
                    assert said.per_gpu.weights_bytes == size.bytes


def test_the_page_begins_with_what_people_came_for(run: Run) -> None:
    text = run("inspect", "deepseek-v3").stdout
    heads = [
        line for line in text.splitlines() if re.fullmatch(r"Weights|KV cache,.*|Parameters|Anatomy|Layers|Compute|Notes", line)
    ]
    assert [head.partition(",")[0] for head in heads] == [
        "Weights",
        "KV cache",
        "Parameters",
        "Anatomy",
        "Layers",
        "Compute",
        "Notes",
    ]
    assert text.splitlines()[1].startswith("MoE, MLA, 61 layers, 671.0 B total, 37.6 B active")
    # Stored in fp8 as published: the files are the larger for their MTP layer and scales.
    assert rows(text)["published: fp8"] == ["628.9 GiB", "more than 16", "16"]
    assert not re.search("as the Hub counts|beside|as others count", text)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["deepseek-v3", "qwen3.5-27b", "gemma-3n-e4b", "gpt2"])
def test_the_page_stays_within_the_terminal(name: str, width: int, run: Run) -> None:
    text = run("inspect", name, env={"COLUMNS": str(width)}).stdout
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text


def test_what_the_engine_does_not_hold_is_left_out(tmp_path_factory: pytest.TempPathFactory, run: Run) -> None:
    folder = tmp_path_factory.mktemp("guess")
    (folder / "guess.json").write_text(json.dumps({
        "model_type": "never-heard-of", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
        "intermediate_size": 128, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    }))  # fmt: skip
    text = run("inspect", str(folder / "guess.json")).stdout
    assert "on disk" in text
    assert "GPUs that hold it" not in text


def test_the_weights_table_is_in_the_json_too(run: Run) -> None:
    """The same rows as on the page; null in long lists, and in the library unless asked for."""
    import archcalc

    call = ("inspect", "qwen3-8b", "--format", "json")
    rows = json.loads(run(*call).stdout)["loaded"]
    assert [(row["quant"], row["published"]) for row in rows] == [("bf16", True), ("fp8", False), ("w4a16", False)]
    assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
    assert [card["gpu"] for card in rows[0]["cards"]] == list(sizes.CARDS)
    assert json.loads(run(*call, "--no-loaded").stdout)["loaded"] is None
    nine = run("inspect", *["qwen3-8b"] * 9, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["loaded"] for line in nine] == [None] * 9
    assert archcalc.inspect("qwen3-8b", offline=True).loaded is None


def test_a_table_of_fits_says_what_would_fit_and_that_fits(run: Run) -> None:
    done = run("fit", "llama-3.3-70b", "--gpu", "h100,l40s", "--ctx", "8k")
    assert done.returncode == 1
    said = re.search(r"1xh100-sxm-80gb: would fit with [^:]+: (--\S+) (\S+)", done.stdout)
    assert said is not None and "1xl40s: would fit with" in done.stdout
    machine = () if said[1] == "--gpu" else ("--gpu", "h100")
    assert run("fit", "llama-3.3-70b", "--ctx", "8k", *machine, said[1], said[2]).returncode == 0


def test_an_engine_is_found_by_the_programs_that_run_on_it(run: Run) -> None:
    for name in ("ollama", "LM Studio"):
        assert "--engine llama.cpp" in run("fit", "qwen3-8b", "--gpu", "4090", "--engine", name).stderr


@pytest.mark.parametrize(
    ("tag", "model"),
    [
        ("llama3.1:8b-text", "llama-3.1-8b"),
        ("qwen3:30b-a3b-q4_K_M", "qwen3-30b-a3b"),
        ("llama3.2:3b-instruct-q8_0", "llama-3.2-3b"),
    ],
)
def test_a_tag_of_ollama_names_the_size(run: Run, tag: str, model: str) -> None:
    done = run("fit", "--gpu", "4090", "--format", "json", "--", "ollama", "run", tag)
    assert json.loads(done.stdout)["source"].replace(":", "-").replace("llama3", "llama-3") == model, done.stderr


@pytest.mark.parametrize(("name", "weights", "packed"), [("deepseek-v3", 684489845504, False), ("gpt-oss-20b", 20914757184, True)])
def test_elements_on_disk_say_whether_scales_are_among_them(name: str, weights: int, packed: bool, cli: Run) -> None:
    """The bytes are of all that is stored, scales too; what the Hub counts is weights without them, packed ones one by one."""
    c = json.loads(cli("inspect", name, "--offline", "--format", "json").stdout)["checkpoint"]
    assert c["elements"] == weights == sum(c["by_dtype"].values())
    assert (c["stored_elements"] < weights) is packed and c["stored_elements"] != weights
    lines = [" ".join(line.split()) for line in cli("inspect", name, "--offline").stdout.splitlines()]
    assert any(line.endswith(f"{c['stored_elements']:,} elements as stored, scales included") for line in lines)
    assert f"{weights:,} weights without scales, packed ones counted one by one" in lines
    for dtype, n in c["by_dtype"].items():
        assert f"{n:,} of them in {dtype}" in lines


@pytest.mark.parametrize(
    ("stated", "of_the_hub"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, False), ({"quant_method": "awq", "bits": 4, "group_size": 128}, False),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, False), ({"quant_method": "bitsandbytes", "load_in_4bit": True}, False),
        # The Hub counts scales of this one, and bytes of the two below (huggingface.js, parse-safetensors-metadata.ts).
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, True),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}, True), ({"bits": 4, "group_size": 64}, True),
    ],
)  # fmt: skip
def test_a_count_of_weights_is_one(stated: dict[str, Any], of_the_hub: bool, cli: Run) -> None:
    """However they are packed, the model has as many."""
    plain = json.loads(cli("inspect", "llama-3.1-8b", "--offline", "--format", "json").stdout)
    override = f"{'quantization_config' if 'quant_method' in stated else 'quantization'}={json.dumps(stated)}"
    options = ("inspect", "llama-3.1-8b", "--offline", "--set", override)
    c = json.loads(cli(*options, "--format", "json").stdout)["checkpoint"]
    assert c["weights"] == plain["params"]["total"] == plain["checkpoint"]["weights"]
    lines = [" ".join(line.split()) for line in cli(*options).stdout.splitlines()]
    assert f"{c['weights']:,} weights without scales, packed ones counted one by one" in lines
    assert (
        (f"{c['elements']:,} elements as the Hugging Face Hub counts them" in lines)
        is of_the_hub
        is (c["elements"] != c["weights"])
    )


def test_learned_positions_are_positions(cli: Run, tmp_path: Path) -> None:
    """NoPE is the name of layers without any."""
    bert = {
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 128,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(bert), encoding="utf-8")
    for source in (str(path), "bloom-176b"):
        assert "NoPE" not in cli("inspect", source, "--offline").stdout
    assert "NoPE" in cli("inspect", "smollm3-3b", "--offline").stdout


@pytest.mark.parametrize(
    ("model", "total"), [("deepseek-v3", 684_489_845_504), ("llama-3.1-8b", 8_030_261_248), ("gpt-oss-20b", 20_914_757_184)]
)
def test_a_dtype_that_is_asked_for_holds_for_all_weights(cli: Run, model: str, total: int) -> None:
    call = ("inspect", model, "--dtype", "bf16", "--no-loaded", "--offline")
    held = json.loads(cli(*call, "--format", "json").stdout)["checkpoint"]
    assert (held["elements"], held["by_dtype"].get("F8_E4M3"), held["by_dtype"].get("U8"), held["asked"]) == (
        total,
        None,
        None,
        "bf16",
    )
    assert held["bytes"] == pytest.approx(2 * total, rel=1e-6)
    text = cli(*call).stdout
    assert "all in bf16" in text
    assert "on disk" not in text


def test_a_storage_that_the_engine_does_not_load_is_no_matter_of_gpus(cli: Run) -> None:
    """vLLM 0.33, model_executor/layers/quantization/auto_gptq.py `TYPE_MAP`: 4 or 8 bits."""
    quantization = json.dumps({"quant_method": "gptq", "bits": 3, "group_size": 128, "sym": True, "desc_act": False})
    call = ("inspect", "llama-3.1-8b", "--set", f"quantization_config={quantization}", "--offline")
    row = json.loads(cli(*call, "--format", "json").stdout)["loaded"][0]
    assert [(card["gpus"], "GPTQ of 4 or 8 bits" in card["why"]) for card in row["cards"]] == [(None, True)] * 2
    text = cli(*call).stdout
    assert "more than 16" not in text
    assert "none of gptq: vLLM loads GPTQ of 4 or 8 bits" in " ".join(text.split())
    fit = cli("fit", "llama-3.1-8b", "--set", f"quantization_config={quantization}", "--gpu", "h100", "--offline").stdout
    assert "would hold    up to 128k tokens" in fit


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        # transformers 5.24, configuration_qwen3.py: 22,016 where it is left out.
        ({"model_type": "qwen3"}, ["intermediate_size is not in the config: 22,016"]),
        ({"model_type": "qwen3", "intermediate_size": 22016}, []),
        # configuration_qwen3_moe.py: 768, 128 experts, of which 8 are visited.
        (
            {"model_type": "qwen3_moe", "num_experts": 128},
            ["moe_intermediate_size is not in the config: 768", "num_experts_per_tok is not in the config: 8"],
        ),
    ],
)
def test_a_size_that_a_config_leaves_out_is_told(keys: dict[str, object], said: list[str], cli: Run, tmp_path: Path) -> None:
    config = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100}
    (tmp_path / "config.json").write_text(json.dumps({**config, **keys}))
    notes = json.loads(cli("inspect", str(tmp_path), "--format", "json").stdout)["notes"]
    assert [note.partition(", which the reference")[0] for note in notes if "not in the config" in note] == said
