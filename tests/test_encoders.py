"""Encoders of images, video and sound: what their processors make of the largest input, and what engines set aside for it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcalc import hardware, zoo
from archcalc.arch import parse, schema_of
from archcalc.engines.budget import Serving, budget
from archcalc.engines.placement import Placement, rank_weights
from archcalc.engines.vllm.encoders import Encoding, encoding
from archcalc.engines.weights import WeightOptions
from archcalc.errors import ArchcalcError
from archcalc.hardware.here import with_memory
from archcalc.model import Architecture

TESTS = Path(__file__).resolve().parent
GIB = 1 << 30
DEVICE = with_memory(hardware.parse_spec("h100").device, 80 * GIB)


def rows() -> list[dict[str, str]]:
    with (TESTS / "data" / "encoders.tsv").open(encoding="utf-8") as lines:
        return list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE))


def published() -> dict[str, Architecture]:
    found = {name: parse(zoo.config(name)) for name in zoo.names()}
    for path in sorted((TESTS / "data" / "engine_configs").glob("*.json")):
        found[path.stem] = parse(json.loads(path.read_text(encoding="utf-8")))
    return {name: a for name, a in found.items() if any(s.part in ("vision", "audio") for s in (*a.stacks, *a.groups))}


PUBLISHED = published()
MULTIMODAL = st.sampled_from(sorted(PUBLISHED))


def seen(a: Architecture, tokens: int = 8192, sequences: int = 1024, tp: int = 1, **serving: Any) -> Encoding:
    return encoding(DEVICE, a, Placement(tp), Serving(**{"context_tokens": 32768, **serving}), tokens, sequences)


# Processors


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['model_type']} {row['modality']}")
def test_the_largest_input_is_that_of_the_processor(row: dict[str, str]) -> None:
    schema = schema_of(row["model_type"]).model_validate(json.loads(row["config"]))
    encoder = next(e for e in schema.encoders() if e.modality == row["modality"])
    # A limit of pixels is not reached by a square image, and marks between tiles are not patches.
    assert int(row["patches"]) <= encoder.patches <= 1.05 * int(row["patches"])
    assert 0.98 * int(row["tokens"]) <= encoder.tokens <= 1.05 * int(row["tokens"])
    assert encoder.source
    assert encoder.hidden > 0


def goldens() -> list[tuple[str, Architecture]]:
    found = []
    for path in sorted((TESTS / "golden").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                a = parse(json.loads(line)["config"])
            except ArchcalcError:
                continue
            if any(s.part in ("vision", "audio") for s in a.stacks):
                found.append((path.stem, a))
    return found


def test_no_encoder_needs_more_than_a_few_gib() -> None:
    for name, a in PUBLISHED.items():
        assert seen(a).peak < 6 * GIB, name
    # Defaults of classes are wider than what is published: a tower as wide as its text model, a patch of 614,400 elements.
    for name, a in goldens():
        assert seen(a).peak < 16 * GIB, name


def test_every_image_input_of_a_published_model_is_known() -> None:
    for name, a in PUBLISHED.items():
        if any(s.part == "vision" for s in a.stacks):
            assert any(e.modality == "image" for e in a.encoders), name
            assert not seen(a).note


def test_an_input_that_is_not_known_is_said_and_bounded() -> None:
    a = PUBLISHED["gemma-3-4b"]._replace(encoders=())
    guessed = seen(a)
    assert "not known" in guessed.note
    assert 0 < guessed.peak < 3 * GIB
    device = hardware.device("h100-sxm-80gb")
    made = budget(device, a, Placement(), rank_weights(a, Placement(), WeightOptions("vllm", None, device)), Serving())
    assert guessed.note in made.notes


@pytest.mark.parametrize(("name", "gib"), [("gemma-4-26b-a4b", 2), ("kimi-k2.5", 2), ("deepseek-ocr", 2)])
def test_encoders_with_large_position_tables(name: str, gib: int) -> None:
    """A table of positions was taken for patches: these needed 4,322, 29 and 1,153 GiB."""
    assert 0 < seen(PUBLISHED[name]).peak < gib * GIB


def test_a_model_with_a_large_position_table_fits() -> None:
    a, device = PUBLISHED["gemma-4-26b-a4b"], hardware.device("h200-sxm-141gb")
    made = budget(
        device, a, Placement(), rank_weights(a, Placement(), WeightOptions("vllm", None, device)), Serving(context_tokens=32768)
    )
    assert made.kv_room_bytes > 60 * GIB


# vLLM's rules by release


@pytest.mark.parametrize(
    ("name", "version", "tokens", "context", "items", "what"),
    [
        # 4,225 tokens of an image in a budget of 8,192: rounded up until 0.9.2, down since.
        ("kimi-k2.5", "0.9.2", 8192, 32768, 2, "image"),
        ("kimi-k2.5", "0.10.0", 8192, 32768, 1, "image"),
        ("kimi-k2.5", "0.33.0", 2048, 32768, 1, "image"),
        ("gemma-3-27b", "0.10.0", 8192, 32768, 32, "image"),
        ("gemma-3-27b", "0.33.0", 2048, 32768, 8, "image"),
        # Dense models without a state ran without their encoders in two releases; those with experts or a state did not.
        ("gemma-3-27b", "0.24.0", 8192, 32768, 32, "image"),
        ("gemma-3-27b", "0.25.0", 8192, 32768, 0, ""),
        ("gemma-3-27b", "0.26.0", 8192, 32768, 0, ""),
        ("gemma-3-27b", "0.27.0", 8192, 32768, 32, "image"),
        ("qwen3.5-27b", "0.26.0", 8192, 32768, 1, "image"),
        ("llama-4-scout", "0.26.0", 8192, 32768, 3, "image"),
        # A video with times was taken for 12.5 positions a token.
        ("qwen3-vl-235b-a22b", "0.11.0", 2048, 65536, 1, "video"),
        ("qwen3-vl-235b-a22b", "0.12.0", 2048, 65536, 1, "video"),
        ("qwen3-vl-235b-a22b", "0.13.0", 2048, 65536, 1, "image"),
    ],
)
def test_as_many_inputs_as_the_release_profiles(name: str, version: str, tokens: int, context: int, items: int, what: str) -> None:
    made = seen(PUBLISHED[name], tokens, version=version, context_tokens=context)
    assert made.formula.startswith(f"{items} {what}" if items else "")
    assert bool(made.peak) == bool(items)


def test_outputs_are_kept_while_the_text_model_is_profiled() -> None:
    a = PUBLISHED["qwen3-vl-235b-a22b"]
    assert seen(a, 2048, version="0.11.0").kept == 2 * 4096 * 4 * (12288 * 25 // 2)
    assert seen(a, 2048, version="0.33.0").kept == 2 * 4096 * 4 * 16384
    device = hardware.device("rtx-3090")
    for version, kept in (("0.11.0", 5033164800), ("0.33.0", 2 * 4096 * 4 * 16384)):
        serving = Serving(version=version, context_tokens=65536)
        made = budget(device, a, Placement(4), rank_weights(a, Placement(4), WeightOptions("vllm", version, device)), serving)
        assert {t.name: t.bytes for t in made.activation_terms}.get("encoder outputs") == kept


def test_a_video_is_as_long_as_the_context_and_the_profile_allow() -> None:
    a = PUBLISHED["qwen2.5-vl-3b"]
    for context, clips in ((4096, 1), (16384, 1), (32768, 2), (65536, 4), (128_000, 7), (1 << 20, 7)):
        assert f"{clips * 16384:,} tokens" in seen(a, context_tokens=context).formula


def test_a_video_left_room_for_an_image() -> None:
    a = PUBLISHED["qwen2.5-vl-3b"]
    assert "16,384 tokens" in seen(a, context_tokens=32768, version="0.10.0").formula
    assert "32,768 tokens" in seen(a, context_tokens=32768, version="0.11.0").formula


@pytest.mark.parametrize(
    ("name", "version", "flag"),
    [
        ("qwen2.5-vl-3b", None, "--language-model-only"),
        ("qwen2.5-vl-3b", "0.11.0", """--limit-mm-per-prompt '{"image": 0, "video": 0}'"""),
        ("gemma-3-4b", "0.24.0", None),
        ("minicpm-v-2.6", "0.11.0", None),
        ("step-3.7-flash", "0.24.0", "--language-model-only"),
        ("step-3.7-flash", "0.12.0", """--limit-mm-per-prompt '{"image": 0}'"""),
        ("kimi-k2.5", None, None),
    ],
)
def test_what_images_cost_is_told_with_the_flag_that_spares_it(name: str, version: str | None, flag: str | None) -> None:
    a, device = PUBLISHED[name], hardware.device("rtx-4090")
    weights = rank_weights(a, Placement(), WeightOptions("vllm", version, device))
    notes = budget(device, a, Placement(), weights, Serving(version=version, context_tokens=32768)).notes
    assert any((flag or "--") in note for note in notes) == bool(flag), notes
    assert not budget(device, a, Placement(), weights, Serving(version=version, images=False)).notes


# Laws


@given(MULTIMODAL, st.integers(1, 4), st.sampled_from([None, "0.9.2", "0.11.0", "0.20.0", "0.33.0"]), st.sampled_from([1, 2, 4]))
def test_the_peak_grows_with_the_image(name: str, times: int, version: str | None, tp: int) -> None:
    a = PUBLISHED[name]
    larger = a._replace(encoders=tuple(e._replace(patches=e.patches * times) for e in a.encoders))
    small, large = seen(a, tp=tp, version=version), seen(larger, tp=tp, version=version)
    assert small.peak <= large.peak <= times * small.peak
    assert small.kept == large.kept


@given(MULTIMODAL, st.integers(256, 65536), st.sampled_from([None, "0.8.5", "0.26.0", "0.33.0"]))
def test_nothing_is_set_aside_without_images(name: str, tokens: int, version: str | None) -> None:
    assert seen(PUBLISHED[name], tokens, images=False, version=version) == Encoding()


@given(MULTIMODAL, st.integers(1, 4096))
def test_position_tables_do_not_count(name: str, factor: int) -> None:
    a = PUBLISHED[name]
    positions = ("position", "pos_emb", "positional", "rel_pos")
    groups = tuple(
        g._replace(
            tensors=tuple(
                t._replace(shape=(*(side * factor for side in t.shape[:-1]), t.shape[-1]))
                if any(p in t.name for p in positions)
                else t
                for t in g.tensors
            )
        )
        for g in a.groups
    )
    assume(groups != a.groups or factor == 1)
    assert seen(a._replace(groups=groups)) == seen(a)


@pytest.mark.parametrize(
    ("model_type", "key"),
    [("gemma4", "position_embedding_size"), ("kimi_k25", "pos_emb_height"), ("qwen3_vl", "num_position_embeddings")],
)
def test_the_size_of_a_position_table_changes_nothing(model_type: str, key: str) -> None:
    schema = schema_of(model_type)
    small, large = (schema.model_validate({"vision_config": {key: rows}}).encoders() for rows in (4096, 65536))
    assert small == large


@given(MULTIMODAL, st.sampled_from([2048, 8192, 16384]), st.integers(1, 1024))
def test_more_tokens_or_sequences_never_need_less(name: str, tokens: int, sequences: int) -> None:
    a = PUBLISHED[name]
    assert seen(a, tokens, sequences).peak <= seen(a, 2 * tokens, sequences).peak
    assert seen(a, tokens, sequences).peak <= seen(a, tokens, sequences + 1).peak
