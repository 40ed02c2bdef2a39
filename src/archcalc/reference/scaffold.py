"""The file that a new adapter starts from, written from the reference's config class and module tree, and its golden row.

The class is built in a process of its own by `_scaffold.py`. Where its layers are those of a plain decoder the file is whole; of others
it names the tensors that are left, and the adapter refuses every config until they are named.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from archcalc.errors import UnsupportedError, UsageError
from archcalc.records import NamedTuple

_LAYER = re.compile(r"\.(\d+)\.")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
# The keys that every decoder's schema reads, and those that are read for what is told of a model.
_USUAL = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)
_TOLD = ("hidden_act", "max_position_embeddings", "tie_word_embeddings", "sliding_window", "layer_types")
_FFN = ("gate_proj.weight", "up_proj.weight", "down_proj.weight")
_ATTENTION = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight")
_TYPES = {"num_hidden_layers": "Layers", "max_position_embeddings": "Tokens", "sliding_window": "Tokens"}

Rows = list[list[Any]]


class Scaffold(NamedTuple):
    """What was made: the name of the file, its text, the golden row, and the tensors that are left to name."""

    name: str
    text: str
    row: dict[str, Any]
    left: tuple[str, ...]
    shaping: tuple[str, ...]


class _Plain(NamedTuple):
    """A plain decoder's layers, as its tensors show them."""

    prefix: str
    layers: str
    embed: str
    final: str
    mixer: str
    ffn: str
    norms: tuple[str, ...]
    layer_norms: bool
    qk_norm: str
    biases: tuple[bool, bool]
    head: str
    gated: bool


def asked(class_name: str) -> dict[str, Any]:
    """What transformers says of a class.

    Raises `UnsupportedError` where the extra is not installed or the class is not known.
    """
    from archcalc import reference

    if not reference.installed():
        raise UnsupportedError("new-adapter needs torch and transformers, which are not installed here", reference.EXTRA)
    said = reference._run(Path(__file__).with_name("_scaffold.py"), json.dumps({"class": class_name}))
    if said.get("unknown"):
        raise UnsupportedError(f"transformers {said['version']} has no model class {class_name!r}", "as in LlamaForCausalLM")
    return said


def folded(tensors: Rows) -> Rows:
    """Equal tensors of equal layers as one row, with the layers' numbers as runs."""
    held: dict[tuple[str, str, str], list[int]] = {}
    rows: Rows = []
    for name, shape, kind in tensors:
        match = _LAYER.search(name)
        if match is None:
            rows.append([name, shape, kind])
            continue
        pattern = f"{name[: match.start(1)]}{{}}{name[match.end(1) :]}"
        key = pattern, json.dumps(shape), kind
        if key not in held:
            held[key] = []
            rows.append([pattern, shape, kind, held[key]])
        held[key].append(int(match[1]))
    return [[*row[:3], runs(row[3])] if len(row) > 3 else row for row in rows]


def runs(numbers: Iterable[int]) -> str:
    """Numbers as runs: 0-2,4-6."""
    found: list[list[int]] = []
    for n in sorted(numbers):
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def scaffold(model_type: str, said: Mapping[str, Any]) -> Scaffold:
    """The adapter's file and its golden row, of what `asked` returns."""
    name = re.sub(r"[-.]", "_", model_type).lower()
    if not name.isidentifier():
        raise UsageError(f"{model_type!r} is no model_type", 'as in "llama"')
    config = {"model_type": model_type, "architectures": [said["class"]], **said["config"]}
    row = {
        "id": f"default/{model_type}",
        "class": said["class"],
        "total": sum(prod(shape) for _, shape, kind in said["tensors"] if kind != "tied"),
        "config": config,
        "tensors": folded(said["tensors"]),
    }
    plain, left = _plain(said["tensors"], said["config"])
    text = _whole(model_type, said, plain) if plain else _started(model_type, said, left)
    return Scaffold(name, text, row, () if plain else left, tuple(said["shaping"]))


def _plain(tensors: Rows, config: Mapping[str, Any]) -> tuple[_Plain | None, tuple[str, ...]]:
    """The layers as a plain decoder's, or the tensors that do not fit one."""
    inside: dict[str, dict[int, dict[str, tuple[int, ...]]]] = {}
    outside: dict[str, tuple[int, ...]] = {}
    tied = {name for name, _, kind in tensors if kind == "tied"}
    for name, shape, _ in tensors:
        match = _LAYER.search(name)
        if match is None:
            outside[name] = tuple(shape)
        else:
            inside.setdefault(name[: match.start()], {}).setdefault(int(match[1]), {})[name[match.end() :]] = tuple(shape)
    rows = tuple(row[0] + (f"  {row[1]}" if len(row) < 4 else f"  {row[1]} in layers {row[3]}") for row in folded(tensors))
    if len(inside) != 1 or not all(key in config for key in _USUAL[:5]):
        return None, rows
    (place, layers), *_ = inside.items()
    first = layers[min(layers)]
    if any(layer != first for layer in layers.values()):
        return None, rows
    found = _layer(first)
    prefix, _, layers_name = place.rpartition(".")
    embed = next((n for n in outside if n.startswith(f"{prefix}.") and n.endswith(".weight") and len(outside[n]) == 2), "")
    final = next((n for n in outside if n.startswith(f"{prefix}.") and n.endswith(".weight") and len(outside[n]) == 1), "")
    head = next((n for n in outside if not n.startswith(f"{prefix}.") and len(outside[n]) == 2), "")
    known = {embed, final, head, final.replace(".weight", ".bias")}
    if (
        found is None
        or not (embed and final and head)
        or set(outside) - known
        or (head in tied) != bool(config.get("tie_word_embeddings"))
    ):
        return None, rows
    below = len(prefix) + 1
    return found._replace(
        prefix=prefix, layers=layers_name, embed=embed[below:-7], final=final[below:-7], head=head.removesuffix(".weight")
    ), ()


def _layer(tensors: Mapping[str, tuple[int, ...]]) -> _Plain | None:
    """Attention, FFN and norms of one layer, if those are all that it holds."""
    mixer = next((n.removesuffix(f".{_ATTENTION[0]}") for n in tensors if n.endswith(f".{_ATTENTION[0]}")), None)
    ffn = next((n.removesuffix(f".{_FFN[1]}") for n in tensors if n.endswith(f".{_FFN[1]}")), None)
    if mixer is None or ffn is None:
        return None
    gated = f"{ffn}.{_FFN[0]}" in tensors
    known = {f"{mixer}.{end}" for end in _ATTENTION} | {f"{ffn}.{end}" for end in _FFN[0 if gated else 1 :]}
    if not known <= tensors.keys():
        return None
    norms = [n for n, shape in tensors.items() if len(shape) == 1 and n.count(".") == 1 and n.endswith(".weight")]
    biased = [n for n in norms if n.replace(".weight", ".bias") in tensors]
    if biased and len(biased) != len(norms):
        return None
    known |= set(norms) | {n.replace(".weight", ".bias") for n in biased}
    qk = tensors.get(f"{mixer}.q_norm.weight")
    qk_norm = "none"
    if qk is not None:
        whole = tensors[f"{mixer}.q_proj.weight"][0]
        qk_norm = "full" if qk[0] == whole else "head"
        known |= {f"{mixer}.q_norm.weight", f"{mixer}.k_norm.weight"}
    biases = f"{mixer}.q_proj.bias" in tensors, f"{mixer}.o_proj.bias" in tensors
    known |= {f"{mixer}.{n}_proj.bias" for n in "qkv" if biases[0]} | ({f"{mixer}.o_proj.bias"} if biases[1] else set())
    if set(tensors) - known:
        return None
    return _Plain(
        "", "", "", "", mixer, ffn, tuple(n.removesuffix(".weight") for n in norms), bool(biased), qk_norm, biases, "", gated
    )


def _fields(said: Mapping[str, Any]) -> tuple[list[str], set[str]]:
    """The schema's lines, and the types that they need."""
    config, lines, types = said["config"], [], set[str]()
    for key in (*_USUAL, *_TOLD, *(k for k in said["shaping"] if k not in (*_USUAL, *_TOLD))):
        if key not in config or key in said["parts"] or (key == "hidden_act" and config[key] == "silu") or key == "layer_types":
            continue
        value = config[key]
        if isinstance(value, bool):
            kind = "Flag"
        elif isinstance(value, int) or (value is None and key in (*_USUAL, *_TOLD)):
            kind = _TYPES.get(key, "Size")
        elif isinstance(value, str):
            kind = "str"
        else:
            continue
        types |= {kind} - {"str"}
        optional = value is None or key in ("num_key_value_heads", "head_dim")
        lines.append(f"    {key}: {kind}{' | None' if optional else ''} = {json.dumps(value) if isinstance(value, str) else value}")
    return lines, types


def _head(model_type: str, said: Mapping[str, Any], what: str) -> list[str]:
    return [
        f'"""{model_type}: {what}',
        "",
        f"Source: transformers {said['version']}, {said['source']} and its configuration (defaults).",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]


def _named(model_type: str) -> list[str]:
    """The type's name, where its file's is another."""
    return [] if model_type == re.sub(r"[-.]", "_", model_type).lower() else [f'    name = "{model_type}"']


def _whole(model_type: str, said: Mapping[str, Any], plain: _Plain) -> str:
    """A plain decoder's file."""
    fields, types = _fields(said)
    switched = "attention_bias" in said["shaping"]
    base = "BiasedSchema" if switched and {"mlp_bias", "attention_bias"} <= set(said["shaping"]) else "PlainSchema"
    if base == "BiasedSchema":
        fields = [
            line for line in fields if not line.startswith(("    attention_bias: Flag = False", "    mlp_bias: Flag = False"))
        ]
    hooks = []
    if switched and base == "PlainSchema":
        output = "self.attention_bias" if plain.biases[1] or not plain.biases[0] else "False"
        hooks += ["", "    def biases(self) -> tuple[bool, bool]:", f"        return self.attention_bias, {output}"]
    elif not switched and any(plain.biases):
        hooks += ["", "    def biases(self) -> tuple[bool, bool]:", f"        return {plain.biases[0]}, {plain.biases[1]}"]
    if not plain.gated:
        bias = "self.ffn_bias()"
        hooks += ["", "    def dense(self) -> Block:"]
        hooks += [f'        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, {bias}, ("up_proj", "down_proj"))']
    placed = {
        key: value
        for key, value, usual in (
            ("embed", plain.embed, "embed_tokens"), ("layers_name", plain.layers, "layers"), ("head", plain.head, "lm_head"),
        )
        if value != usual
    }  # fmt: skip
    if placed:
        hooks += ["", "    def decoder_options(self) -> dict[str, Any]:", f"        return {placed!r}".replace("'", '"')]
    said_of = [*_named(model_type), *([] if plain.gated else ["    gated = False"])]
    if plain.norms != ("input_layernorm", "post_attention_layernorm"):
        said_of.append(f"    norms = {plain.norms!r}".replace("'", '"'))
    if plain.layer_norms:
        said_of += ["    layer_norms = True", '    norm_label = "LayerNorm (pre)"']
    for key, value, usual in (
        ("prefix", plain.prefix, "model"),
        ("mixer_name", plain.mixer, "self_attn"), ("ffn_name", plain.ffn, "mlp"), ("last_norm", plain.final, "norm"),
    ):  # fmt: skip
        if value != usual:
            said_of.append(f'    {key} = "{value}"')
    if plain.qk_norm != "none":
        said_of.append(f'    qk_norm = "{plain.qk_norm}"')
    lines = _head(model_type, said, "a plain decoder. Say here what differs from Llama.")
    lines += [*(["from typing import Any", ""] if placed else []), f"from archcalc.arch._plain import {base}"]
    if types:
        lines.append(f"from archcalc.arch._schema import {', '.join(sorted(types))}")
    lines += [] if plain.gated else ["from archcalc.blocks._tensor import Block"]
    lines += [] if plain.gated else ["from archcalc.blocks.feedforward import FeedForward"]
    lines += ["", "", f"class Schema({base}):", *said_of, *([""] if said_of else []), *fields, *hooks]
    return "\n".join(lines) + "\n"


def _started(model_type: str, said: Mapping[str, Any], left: tuple[str, ...]) -> str:
    """The file of a model whose blocks are still to be named: it refuses every config."""
    fields, types = _fields(said)
    lines = _head(model_type, said, "say here what it is.")
    lines += [
        f"from archcalc.arch._schema import {', '.join(sorted({'ConfigSchema', *types}))}",
        "from archcalc.errors import UnsupportedError",
        "from archcalc.model import Architecture",
        "",
        "# Left to name in blocks (src/archcalc/blocks), from the class's defaults:",
        *(f"# {one}" for one in left[:120]),
        *([f"# and {len(left) - 120} more: tests/golden has all"] if len(left) > 120 else []),
        "",
        "",
        "class Schema(ConfigSchema):",
        *_named(model_type),
        *fields,
        "",
        "    def architecture(self, prefix: str) -> Architecture:",
        f'        raise UnsupportedError("{model_type}: the blocks of its adapter are not named yet")',
    ]
    return "\n".join(line for line in lines) + "\n"


def written(made: Scaffold, root: Path, force: bool = False) -> tuple[Path, Path]:
    """Write the adapter and its golden row into a checkout; the two files' paths.

    Raises `UsageError` where `root` is no checkout, or where the adapter is there already.
    """
    adapter = root / "src" / "archcalc" / "arch" / f"{made.name}.py"
    golden = root / "tests" / "golden" / f"{made.name}.jsonl"
    if not adapter.parent.is_dir() or not golden.parent.is_dir():
        raise UsageError(f"{root} is no checkout of archcalc: src/archcalc/arch or tests/golden is missing", "give --into FOLDER")
    if adapter.exists() and not force:
        raise UsageError(f"{adapter} is there already", "edit it, or write over it with --force")
    adapter.write_text(made.text, encoding="utf-8")
    golden.write_text(json.dumps(made.row) + "\n", encoding="utf-8")
    return adapter, golden


def missing(made: Scaffold, path: Path) -> list[str]:
    """The tensors in which the written adapter and the golden row differ, each with the side that has it."""
    import importlib.util

    from archcalc.arch._schema import validate

    spec = importlib.util.spec_from_file_location(f"archcalc.arch.{made.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # pydantic looks the names of annotations up there.
    held = sys.modules.get(spec.name)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        a = validate(module.Schema, made.row["config"]).standalone()
    finally:
        if held is None:
            del sys.modules[spec.name]
        else:
            sys.modules[spec.name] = held
    ours = {(t.name, t.shape, t.kind) for g in a.groups for t in g.tensors}
    for s in a.stacks:
        for k, layer in enumerate(s.kinds):
            at = runs(s.indices(k))
            ours |= {(f"{s.prefix}.{{}}.{t.name} in {at}", t.shape, t.kind) for t in layer.tensors}
    theirs = {(f"{r[0]} in {r[3]}" if len(r) > 3 else r[0], tuple(r[1]), r[2]) for r in made.row["tensors"]}
    return [f"only in the reference: {n} {s}" for n, s, _ in sorted(theirs - ours)] + [
        f"only in the adapter: {n} {s}" for n, s, _ in sorted(ours - theirs)
    ]
