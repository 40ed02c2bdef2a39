"""What layers compute stands on the layer: no figure moves with the name of a type, and a wrapper's are those of the decoder it holds.

`data/activations_types.jsonl.gz` holds bytes that autograd saved in transformers 5.24 on the CPU, in small models of 90 types
(`scripts/build_training.py --types`).
"""

from __future__ import annotations

import ast
import gzip
import inspect
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import archcalc
from archcalc.analysis.activations import How, layer_saved, step_saved
from archcalc.analysis.kv import allocate
from archcalc.arch import _rotary, adapter_name, model_types, parse, schema_of
from archcalc.arch._schema import ConfigSchema
from archcalc.engines._allocation import Workload
from archcalc.errors import ArchcalcError, UnsupportedError
from archcalc.model import Architecture, Layer, Step, Tensor

HERE = Path(__file__).parent
SOURCE = Path(archcalc.__file__).parent


def golden() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((HERE / "golden").glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            yield f"{path.stem} {number}", json.loads(line)["config"]


@cache
def whole() -> dict[str, Architecture]:
    """Every golden config, in one dtype."""
    found = {}
    for name, config in golden():
        try:
            a = parse(config)
        except ArchcalcError:
            # Types that transformers 5.24 builds and that are refused by name.
            continue
        found[name] = a._replace(dtype="BF16", quantization=None)
    return found


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The config of the decoder that a composite holds, where the composite's schema reads it."""
    name = adapter_name(config)
    fields = schema_of(name).model_fields if name else {}
    keys = ("text_config", "llm_config", "language_config", "vlm_config", "thinker_config")
    inner = next((config[key] for key in keys if key in fields and isinstance(config.get(key), dict)), None)
    return None if inner is None else text_of(inner) or inner


def figures(a: Architecture) -> dict[str, Any]:
    """Training activations, and caches as the formula and the reference have them."""
    out: dict[str, Any] = {}
    for attention in ("sdpa", "eager"):
        out[attention] = step_saved(a, How(attention=attention, tokens=512, batch=2))
    for engine in ("textbook", "transformers"):
        try:
            found = allocate(a, engine, Workload(3000, 2))
            out[engine] = (found.bytes, found.bytes_per_token, found.state_bytes)
        except ArchcalcError as error:
            out[engine] = type(error)
    return out


def pairs() -> dict[str, tuple[Architecture, Architecture]]:
    found = {}
    for name, config in golden():
        if name not in whole() or (inner := text_of(config)) is None:
            continue
        # Two encoders side by side are no decoder within another model.
        if not all(schema_of(kind).language for one in (config, inner) if (kind := adapter_name(one))):
            continue
        try:
            text = parse(inner)
            outer = whole()[name]
        except ArchcalcError:
            # Nested configs may leave out what the outer one's type gives them.
            continue
        # A composite may have another head than its decoder alone, or none.
        found[name] = (headless(outer), headless(text._replace(dtype="BF16", quantization=None)))
    return found


def headless(a: Architecture) -> Architecture:
    return a._replace(groups=tuple(g for g in a.groups if g.part != "head"))


def test_a_composite_computes_what_the_decoder_in_it_computes() -> None:
    assert len(pairs()) >= 100
    # A block-diffusion model turns the last pass's logits into an input of the next, which its text model alone does not.
    outside = "model.decoder.self_conditioning.pre_norm"
    assert {name for name, (a, _) in pairs().items() if any(t.name.startswith(outside) for g in a.groups for t in g.tensors)} == {
        "diffusion_gemma 0"
    }
    wrong = {name: (figures(outer), figures(inner)) for name, (outer, inner) in pairs().items() if figures(outer) != figures(inner)}
    wrong.pop("diffusion_gemma 0")
    assert not wrong


def test_no_figure_moves_with_the_name_of_the_type() -> None:
    moved = [
        name
        for name, a in whole().items()
        if figures(a) != figures(a._replace(model_type="of_another_name", text=None, coded=True))
    ]
    assert not moved


def decoders() -> Iterator[tuple[str, Layer]]:
    for name, a in whole().items():
        for stack in a.stacks:
            if stack.part == "decoder":
                for layer in stack.kinds:
                    yield name, layer


def test_every_gain_says_how_its_norm_is_computed_and_every_router_how_it_weighs() -> None:
    def is_gain(t: Tensor) -> bool:
        # A clip's scale, a temperature and the matrices of a norm that has some are no gains.
        module, _, leaf = t.name.rpartition(".")
        return t.role == "norm" and leaf == "weight" and "norm" in module.rpartition(".")[2]

    assert not [(name, t.name) for name, layer in decoders() for t in layer.tensors if is_gain(t) and t.norm is None]
    routed = [(name, layer) for name, layer in decoders() if any(t.experts and len(t.shape) == 3 for t in layer.tensors)]
    assert len(routed) > 80
    assert not [name for name, layer in routed if layer.routing() is None]


CROSS = re.compile(r"cross_?att|encoder_attn|encoder_decoder_attention|EncDecAttention")
"""What the reference calls attention to an encoder's output."""


def test_decoders_that_read_an_encoder_say_so() -> None:
    for name, a in whole().items():
        named = any(CROSS.search(t.name) for s in a.stacks if s.part == "decoder" for layer in s.kinds for t in layer.tensors)
        assert a.crosses or not named, name


class Unheard(NamedTuple):
    """A step of a kind that nothing knows."""

    width: int


def test_a_step_of_an_unknown_kind_is_refused_by_name() -> None:
    a = whole()["llama 0"]
    layer = a.stacks[0].kinds[0]
    strange: Any = Unheard(4)
    steps: tuple[Step, ...] = (*layer.steps, strange)
    with pytest.raises(UnsupportedError, match="Unheard"):
        layer_saved(a, layer._replace(steps=steps), How(tokens=8))
    norms: Any = tuple(t._replace(norm="by the moon") if t.norm else t for t in layer.tensors)
    with pytest.raises(UnsupportedError, match="by the moon"):
        layer_saved(a, layer._replace(tensors=norms), How(tokens=8))


# Against the reference


def measured() -> list[dict[str, Any]]:
    with gzip.open(HERE / "data" / "activations_types.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# Types whose layers compute what no step stands for yet; the list may only get shorter.
LEFT = frozenset(
    """bailing_hybrid inkling2_text kimi_linear olmo_hybrid qwen4_exp_text
    recurrent_gemma""".split()
)


def predicted(row: dict[str, Any]) -> int:
    config = row["config"]
    name = adapter_name({"model_type": row["model_type"]})
    assert name is not None
    schema: type[ConfigSchema] = schema_of(name)
    a = schema.model_validate(config).standalone()
    a = a._replace(rotary=_rotary.tables(config, a.facts))
    return step_saved(a, How(size=2, attention=row["attn"], tokens=row["seq"], batch=row["batch"], cpu=True))


def test_what_is_saved_in_most_types_within_two_percent() -> None:
    errors: dict[str, float] = {}
    for row in measured():
        error = abs(predicted(row) / row["saved_bytes"] - 1)
        errors[row["model_type"]] = max(errors.get(row["model_type"], 0), error)
    assert len(errors) >= 85
    assert {name for name, error in errors.items() if error > 0.02} == LEFT


# The house

# Where a type's name still decides something, and in how many places; the list may only get shorter. Where `explain` finds the adapter
# to quote; which class transformers builds of a type, and whether an engine has a class for its config, from their
# registries; llama.cpp's own names of architectures in its table of
# quantizations.
NAMED = {
    "analysis/explain.py": 1,
    "engines/served.py": 2,
    # The Auto class that has the type, by transformers' own mappings.
    "engines/transformers/command.py": 1,
    # The models that Liger patches, by its own mapping.
    "frameworks/liger.py": 2,
    "quant/gguf.py": 2,
}
BELOW = ("analysis", "blocks", "cards", "engines", "figures", "frameworks", "quant", "render")
WORDS = frozenset({"position", "norm", "attention", "more", "activation"})


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def holds(node: ast.AST, *names: str) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr in names) or (isinstance(n, ast.Name) and n.id in names) for n in ast.walk(node)
    )


def asks(node: ast.AST) -> bool:
    """Whether a node decides by the name of a type: compares it, looks it up, or takes its beginning."""
    kinds = ("model_type", "model_types")
    if isinstance(node, ast.Compare):
        plain = [side for side in (node.left, *node.comparators) if isinstance(side, (ast.Attribute, ast.Name))]
        return any(holds(side, *kinds) for side in plain)
    if isinstance(node, ast.Subscript):
        return holds(node.slice, *kinds)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitAnd) and holds(node, *kinds)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("startswith", "endswith"):
            return holds(node.func.value, *kinds)
        return node.func.attr == "get" and any(holds(argument, *kinds) for argument in node.args[:1])
    return False


def test_below_the_adapters_no_type_is_asked_for_by_name() -> None:
    found = Counter(path for path, tree in trees(*BELOW) for node in ast.walk(tree) if asks(node))
    assert dict(found) == NAMED


def test_a_hook_has_one_signature() -> None:
    """What an adapter overrides takes what its base takes: the same names, kinds and defaults, and at most options of its own."""
    odd = set()
    for name in sorted(model_types()):
        lineage = schema_of(name).__mro__
        for i, cls in enumerate(lineage):
            if not cls.__module__.startswith("archcalc.arch."):
                continue
            for key, hook in vars(cls).items():
                base = next((vars(other)[key] for other in lineage[i + 1 :] if key in vars(other)), None)
                if not inspect.isfunction(hook) or not inspect.isfunction(base) or key.startswith("_"):
                    continue
                own, inherited = (
                    [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in (hook, base)
                )
                further = own[len(inherited) :]
                if own[: len(inherited)] != inherited or any(default is inspect.Parameter.empty for *_, default in further):
                    odd.add(f"{cls.__module__}.{cls.__qualname__}.{key}")
    assert odd == set()


def reads(node: ast.AST) -> bool:
    """Whether a node takes words for people apart: compares them, searches them, looks one up."""

    def words(part: ast.AST) -> bool:
        typed = {id(n.value) for n in ast.walk(part) if isinstance(n, ast.Attribute) and n.attr in ("kind", "share")}
        return any(
            isinstance(n, ast.Attribute) and n.attr in WORDS and id(n) not in typed and holds(n.value, "facts", "f")
            for n in ast.walk(part)
        )

    if isinstance(node, ast.Compare):
        return words(node)
    if isinstance(node, ast.Subscript):
        return words(node.value)
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and words(function.value):
            return True
        return isinstance(function, ast.Attribute) and holds(function.value, "re") and any(map(words, node.args))
    return False


def test_no_figure_is_read_from_words_for_people() -> None:
    """`facts.position.kind` is no word: of a position, only what is said is."""
    assert [
        (path, ast.unparse(n))
        for path, tree in trees("analysis", "engines", "figures", "frameworks", "quant")
        for n in ast.walk(tree)
        if reads(n)
    ] == []


def test_both_tests_of_the_house_see_what_they_forbid() -> None:
    asked = (
        "a.model_type == 'x'",
        "a.model_type in T",
        "T.get(a.model_type, 1)",
        "T[a.model_type]",
        "a.model_types & T",
        "a.model_type.startswith('x')",
    )
    for text in asked:
        assert any(asks(n) for n in ast.walk(ast.parse(text))), text
    read = (
        "'RoPE' in a.facts.position",
        "a.facts.norm.startswith('L')",
        "re.search('x', a.facts.position.said)",
        "dict(a.facts.more)['x']",
        "dict(facts.more).get('x')",
    )
    for text in read:
        assert any(reads(n) for n in ast.walk(ast.parse(text))), text
    for text in ("a.facts.position.kind == 'rotary'", "report(norm=a.facts.norm)", "error(a.model_type)"):
        assert not any(reads(n) or asks(n) for n in ast.walk(ast.parse(text))), text
