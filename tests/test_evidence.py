"""Every adapter is run by a row of the reference, or by the count of a published checkpoint; one without either is partial.

Rows: tests/golden (the reference built without weights), tests/data/towers_alone.tsv (parts built alone), published_counts.jsonl (what
publishers' checkpoints hold).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

from archcalc import arch
from archcalc.analysis.params import components
from archcalc.arch import model_types, parse, schema_of
from test_golden import listed, wanted

TESTS = Path(__file__).parent
GOLDEN = {
    row["id"]: row
    for path in sorted((TESTS / "golden").glob("*.jsonl"))
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
}
PUBLISHED = [json.loads(line) for line in (TESTS / "data" / "published_counts.jsonl").read_text(encoding="utf-8").splitlines()]
TOWERS = list(csv.DictReader((TESTS / "data" / "towers_alone.tsv").open(encoding="utf-8"), delimiter="\t"))

# Types that engines load by another type's code, and the row of that type under their own keys.
AS = {
    # vLLM 0.33, model_executor/models/registry.py: both classes are read by llama.py.
    "internlm": ("small/llama-bias", {"model_type": "internlm", "bias": True}),
    "xverse": ("small/llama-plain", {"model_type": "xverse"}),
    # The same: `TeleChat3ForCausalLM`; `TeleFLMForCausalLM` is a subclass of Llama's that only scales what comes out.
    "telechat3": ("small/llama-plain", {"model_type": "telechat3"}),
    "teleflm": ("small/llama-plain", {"model_type": "TeleFLM"}),
    # Tencent-Hunyuan/Hunyuan-A13B, models/: what transformers has as hunyuan_v1_moe.
    "hunyuan": ("small/hunyuan_v1_moe", {"model_type": "hunyuan", "use_qk_norm": True, "use_mixed_mlp_moe": True}),
    # llama.cpp 0c1e57098, conversion/stablelm.py: one converter for both classes.
    "stablelm_epoch": ("default/stablelm", {"model_type": "stablelm_epoch"}),
    # mlx-lm 0.32, utils.py (`MODEL_REMAPPING`).
    "joyai_llm_flash": ("default/deepseek_v3", {"model_type": "joyai_llm_flash"}),
    # vLLM 0.33, models/minimax_m3: one code for the text model alone and inside the multimodal one.
    "minimax_m3": ("default/minimax_m3_vl_text", {"model_type": "minimax_m3"}),
}
ELSEWHERE = {
    "chatglm_6b": "tests/test_config_forms.py: the published total of THUDM/chatglm-6b",
    "diffusers_pipeline": "tests/test_parts.py: the sum of parts that have rows of their own",
    "eagle3": "tests/test_formats.py: the size of a published draft",
    "grok1": "the bundled grok-2, whose index says that its total is the published one; no count is stored here",
    "refinedweb": "tests/test_types_of_engines.py: Falcon's rows under the keys that it was first published with",
    "refinedwebmodel": "the same",
    "nanogpt": "below: it loads openai-community/gpt2, model.py `GPT.from_pretrained`",
}


def _held(value: Any) -> Iterator[type]:
    """The classes of all schemas inside one."""
    if isinstance(value, pydantic.BaseModel):
        yield type(value)
        for inner in value.__dict__.values():
            yield from _held(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _held(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _held(inner)


def _run_by_rows(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    built: list[Any] = []
    original = pydantic.BaseModel.model_validate.__func__  # type: ignore[attr-defined]

    def watched(cls: type, *args: Any, **options: Any) -> Any:
        built.append(original(cls, *args, **options))
        return built[-1]

    monkeypatch.setattr(pydantic.BaseModel, "model_validate", classmethod(watched))
    for row in [*GOLDEN.values(), *PUBLISHED]:
        parse(row["config"] or GOLDEN[row["id"]]["config"])
    classes = {cls for schema in built for cls in _held(schema)}
    return {name for name in model_types() if schema_of(name) in classes} | {row["model_type"] for row in TOWERS}


def test_every_adapter_is_run_by_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    without = model_types() - _run_by_rows(monkeypatch) - AS.keys() - ELSEWHERE.keys()
    assert without == arch._UNCOMPARED
    assert not [name for name in arch._UNCOMPARED if name in AS]


def test_an_adapter_that_was_compared_with_nothing_is_partial() -> None:
    config = {
        "model_type": "orion",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": 100,
    }
    a = parse(config)
    assert a.status == "partial"
    assert any("orion was compared with no checkpoint" in note for note in a.notes)


@pytest.mark.parametrize("name", sorted(AS))
def test_a_type_that_another_code_loads_has_its_tensors(name: str) -> None:
    row, changes = AS[name]
    config = {key: value for key, value in GOLDEN[row]["config"].items() if key != "architectures"}
    assert listed(parse({**config, **changes})) == wanted(GOLDEN[row])


def test_nanogpt_is_as_large_as_the_gpt2_that_it_loads() -> None:
    a = parse({"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024, "vocab_size": 50257, "bias": True})
    assert sum(c.total for c in components(a)) == GOLDEN["openai-community/gpt2"]["total"]
