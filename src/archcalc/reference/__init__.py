"""Models that no adapter reads, as transformers itself builds them: the extra `archcalc[reference]`.

The model is built without weights in a process of its own, bounded in time and memory, by `_build.py`; no code of a repository is run.
Its tensors are the inventory, its own cache classes say what each layer keeps. Status `reference`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.formats import counted
from archcalc.formats.headers import Header, Held
from archcalc.model import Architecture, Cache, Experts, Facts, Layer, Moe, Stack, State, Tensor, stack

SECONDS = 180
"""The longest that building may take: a model of a thousand layers takes some twenty seconds."""
MEMORY = 24 * 2**30
"""The most address space of that process, where the system can bound it: importing torch alone maps some GiB."""
ANSWER = 64 * 2**20
EXTRA = "pip install 'archcalc[reference]'"
_LISTED = re.compile(r"^(.*\bexperts\.(?:expert_)?)(\d+)(\..+)$")


def installed() -> bool:
    """Whether torch and transformers can be imported here."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers"))


def architecture(config: Mapping[str, Any]) -> Architecture:
    """The model that transformers builds from the config.

    Raises `UnsupportedError` where the extra is not installed, where transformers does not know the type, and where it cannot build it.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise UnsupportedError("the config has no model_type, by which transformers finds a class", "give --set model_type=NAME")
    if not installed():
        raise UnsupportedError("--reference needs torch and transformers, which are not installed here", EXTRA)
    said = _built(config)
    if said.get("unknown"):
        raise UnsupportedError(
            f"transformers {said['version']} does not know model_type {model_type!r} either",
            "a newer release may: pip install --upgrade transformers",
        )
    return _architecture(said, config)


def _built(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the builder says, from the user's cache where it was asked before."""
    from importlib.metadata import version

    text = json.dumps(config, sort_keys=True)
    builder = Path(__file__).with_name("_build.py")
    key = hashlib.sha256(f"{version('transformers')}\n{builder.read_text(encoding='utf-8')}\n{text}".encode()).hexdigest()
    kept = _folder() / f"{key}.json"
    try:
        said: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = _run(builder, text)
        _keep(kept, said)
    return said


def _folder() -> Path:
    """Where answers are kept: ARCHCALC_CACHE, else the system's place for such files."""
    if own := os.environ.get("ARCHCALC_CACHE"):
        return Path(own) / "reference"
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "archcalc" / "reference"


def _keep(path: Path, said: dict[str, Any]) -> None:
    """Keep an answer whole or not at all; a place that cannot be written to is no error."""
    from archcalc import files

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(str(path), json.dumps(said))
    except OSError:
        pass


def _run(builder: Path, text: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(builder)], input=text.encode(), capture_output=True, timeout=SECONDS, check=False,
            preexec_fn=_bounded if os.name == "posix" else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UnsupportedError(
            f"transformers did not build the model within {SECONDS} seconds", "its headers tell its size"
        ) from None
    if done.returncode or len(done.stdout) > ANSWER:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        why = lines[-1][:300] if lines else f"it ended with status {done.returncode}"
        raise UnsupportedError(
            f"transformers cannot build the model: {why}", "correct the config, or give the checkpoint's headers"
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _bounded() -> None:  # pragma: no cover - runs in the child, before it starts
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _architecture(said: Mapping[str, Any], config: Mapping[str, Any]) -> Architecture:
    from archcalc.arch._schema import stored_dtype
    from archcalc.quant import stated

    nested = [value for value in config.values() if isinstance(value, Mapping)]
    dtype = stored_dtype(config, *nested)
    rows = {name: (tuple(shape), kind, experts, chosen) for name, shape, kind, experts, chosen in said["tensors"]}
    held = {name: Held(shape, dtype) for name, (shape, *_) in rows.items()}
    header = Header("reference", held, {}, (f"transformers {said['version']}",))
    base = counted.architecture(header, config, "no adapter reads it")

    def detailed(full: str, tensor: Tensor) -> Tensor:
        _, kind, experts, chosen = rows[full]
        tensor = tensor._replace(kind=kind, dtype=None)
        return tensor._replace(experts=Experts(experts, min(chosen, experts)), role="experts") if experts and chosen else tensor

    groups = tuple(g._replace(tensors=tuple(detailed(t.name, t) for t in g.tensors)) for g in base.groups)
    longest = max((s for s in base.stacks if s.part == "decoder"), key=lambda s: len(s.pattern), default=None)
    caches: list[dict[str, Any]] | None = said["caches"]
    why = said["why"]
    if caches and (longest is None or len(caches) != len(longest.pattern)):
        why = f"{len(caches)} layers of its cache stand against other layers of its tensors"
        caches = None
    stacks = tuple(_stack(s, detailed, rows, caches if s is longest else None) for s in base.stacks)
    tied = any(kind == "tied" for _, kind, *_ in rows.values())
    held_layers = (t for s in stacks for layer in s.kinds for t in layer.tensors)
    unknown = any(t.role == "experts" and t.experts is None for t in held_layers)
    notes = [
        f"no adapter reads {config['model_type']!r}: built by transformers {said['version']} as {said['class']}, without weights"
    ]
    if caches is None:
        notes.append(f"what it caches is not known: {why}")
    if unknown:
        notes.append("how many experts a token visits is not known: all count as active")
    return base._replace(
        groups=groups, stacks=stacks, facts=_facts(base.facts, stacks, tied, caches), dtype=dtype, quantization=stated(config),
        status="reference", notes=tuple(notes),
    )  # fmt: skip


def _stack(s: Stack, detailed: Any, rows: Mapping[str, Any], caches: list[dict[str, Any]] | None) -> Stack:
    built: dict[tuple[int, str], Layer] = {}
    layers = []
    for at, kind in enumerate(s.pattern):
        number = s.start + at
        said = json.dumps(caches[at]) if caches else ""
        if (kind, said) not in built:
            prefix = f"{s.prefix}.{number}."
            own = [detailed(prefix + t.name, t) for t in s.kinds[kind].tensors]
            built[kind, said] = _layer(_joined(own, rows, prefix), caches[at] if caches else None)
        layers.append(built[kind, said])
    return stack(s.prefix, s.part, layers, s.start)


def _joined(tensors: list[Tensor], rows: Mapping[str, Any], prefix: str) -> tuple[Tensor, ...]:
    """Experts that are listed one by one as one tensor each, whose axis 0 is the expert."""
    out: list[Tensor] = []
    listed: dict[tuple[str, str], list[Tensor]] = {}
    for t in tensors:
        match = _LISTED.match(t.name)
        if match is None:
            out.append(t)
        else:
            listed.setdefault((match[1], match[3]), []).append(t)
    for (before, after), each in listed.items():
        chosen = rows[prefix + each[0].name][3]
        if not chosen or any(t.shape != each[0].shape for t in each):
            out += each
            continue
        name = f"{before}{{}}{after}"
        out.append(
            each[0]._replace(
                name=name,
                shape=(len(each), *each[0].shape),
                role="experts",
                stored=(name,),
                experts=Experts(len(each), min(chosen, len(each))),
            )
        )
    return tuple(out)


def _layer(tensors: tuple[Tensor, ...], said: Mapping[str, Any] | None) -> Layer:
    experts = any(t.role == "experts" for t in tensors)
    ffn = "MoE" if experts else "FFN"
    if said is None:
        return Layer("not known", ffn, tensors)
    caches = []
    if said["states"]:
        caches.append(Cache("state", states=tuple(_state(*one) for one in said["states"])))
    if "heads" in said:
        window = said["window"]
        caches.append(Cache("sliding" if window else "full", said["heads"], said["key_dim"], said["value_dim"], window))
    words = []
    if said["states"]:
        words.append("recurrent")
    if "heads" in said:
        words.append(f"{said['heads']} KV heads x {said['key_dim']}" + (f", window {said['window']:,}" if said["window"] else ""))
    return Layer(" + ".join(words) or "keeps nothing", ffn, tensors, tuple(caches))


def _state(name: str, shape: list[int], dtype: str) -> State:
    if name == "conv_states":
        # Transformers keeps a column for the token that is being read beside those of the past.
        shape = [*shape[:-1], shape[-1] - 1]
    return State("conv" if name == "conv_states" else "recurrent", tuple(shape), 1, "fp32" if dtype == "float32" else None)


def _facts(facts: Facts, stacks: tuple[Stack, ...], tied: bool, caches: list[dict[str, Any]] | None) -> Facts:
    kinds = [(layer, n) for s in stacks if s.part == "decoder" for layer, n in zip(s.kinds, s.counts(), strict=True)]
    routed = [(next(t for t in layer.tensors if t.experts), n) for layer, n in kinds if any(t.experts for t in layer.tensors)]
    moe = None
    if routed and (experts := routed[0][0].experts):
        moe = Moe(experts.total, experts.active, 0, sum(n for _, n in routed), facts.intermediate_size or 0)
    window = next((c["window"] for c in caches or () if c.get("window")), None)
    return facts._replace(moe=moe, sliding_window=window, attention="as transformers builds it", tied_embeddings=tied)
