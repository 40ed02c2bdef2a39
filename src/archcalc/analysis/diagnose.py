"""An engine's log against what was predicted: term by term, why it stopped, and the smallest change that starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from archcalc import report, units
from archcalc.analysis.ask import Understood, understand, with_draft
from archcalc.analysis.fit import Ask, Fit, Plans, max_context, plans
from archcalc.commands.change import changed
from archcalc.commands.flags import table
from archcalc.commands.logs import WORDS, Kind, Logged
from archcalc.commands.words import Command, of_arguments
from archcalc.engines.plan import Ask as _Ask
from archcalc.errors import ArchcalcError, UsageError
from archcalc.hardware import GpuSpec, custom, parse_spec
from archcalc.loader import Loaded, load

_REFUSED: frozenset[Kind] = frozenset({"no-cache", "one-request", "states", "heads", "context", "share", "flag", "model"})
_PROGRAMS = {"vllm": "vllm serve", "sglang": "python -m sglang.launch_server", "llama.cpp": "llama-server", "ollama": "ollama run"}
_MODEL_FLAGS = {"vllm": "", "sglang": "--model-path", "llama.cpp": "-m", "ollama": ""}


class Predicted(NamedTuple):
    """What archcalc says of the log's own command on the log's own machine."""

    loaded: Loaded
    ask: Ask
    found: Plans
    understood: Understood

    @property
    def best(self) -> Fit:
        return self.found.best


def diagnose(
    log: Logged, *, model: str | None = None, gpus: GpuSpec | None = None, quant: str | None = None, offline: bool = False,
    overrides: tuple[str, ...] = (),
) -> tuple[report.Diagnosis, Predicted | None]:  # fmt: skip
    """The log explained. `model` and `gpus` stand in for what it does not say. What cannot be had is named in the notes."""
    notes: list[str] = []
    command = _command(log, model, notes)
    source = model or log.model
    predicted = _predicted(log, command, source, gpus, quant, offline, overrides, notes)
    kind = log.failure
    if "inferred" in dict(log.figures) and predicted is not None and _short(log, predicted):
        log = log._replace(started=False)
    terms = _terms(log, predicted)
    if kind is None and not log.started and predicted is not None and (short := _short(log, predicted)):
        kind = short
        if not log.said:
            notes.append("the log does not say why it stopped: this is what is predicted of its command")
    outcome: Literal["started", "oom", "refused", "unknown"]
    outcome = "started" if log.started else "unknown" if kind is None else "refused" if kind in _REFUSED else "oom"
    if kind is not None and log.failure is None and not log.said:
        outcome = "unknown"
    cause = _cause(log, kind, predicted) if not log.started or kind else ""
    if not log.started and kind is None and log.term("weights") is not None:
        notes.append("the log ends once the weights are loaded: nothing in it stopped the engine so far")
    if difference := _difference(terms):
        notes.append(difference)
    remedies = list(_remedies(log, kind, command, predicted)) if kind is not None else []
    spec = gpus or (predicted.ask.gpus if predicted else None)
    return (
        report.Diagnosis(
            schema_version=report.SCHEMA_VERSION,
            engine=log.engine,
            engine_version=log.version,
            model=source or "",
            gpu=spec.device.id if spec else log.gpu,
            gpus=spec.count if spec else log.gpus,
            command=_line(command) if command else log.command,
            terms=terms,
            tokens=report.DiagnosedTokens(log.tokens, predicted.best.kv_tokens if predicted else None),
            outcome=outcome,
            kind=kind,
            cause=cause or None,
            said=log.said or None,
            remedies=remedies[:5],
            notes=notes,
        ),
        predicted,
    )


# The command


def _command(log: Logged, model: str | None, notes: list[str]) -> Command | None:
    """The command of the log: as it stands there, or made of the arguments that it lists."""
    if log.command:
        try:
            return of_arguments(shlex.split(log.command))._replace(version=log.version)
        except (ArchcalcError, ValueError):
            pass
    engine = log.engine if log.engine != "ollama" else "llama.cpp"
    known = table(engine).at(None)
    words: list[str] = []
    name = model or log.model
    if name:
        words += [_MODEL_FLAGS[engine], name] if _MODEL_FLAGS[engine] else [name]
    for flag, value in log.asked:
        full = known.get(flag)
        if full is None or full[0].name in ("--model", "--model-path", "--hf-repo") or value is False:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, (dict, list, tuple)):
            import json

            words += [flag, json.dumps(value)]
        else:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    if engine == "vllm" and log.context_tokens and not any(f == "--max-model-len" for f, _ in log.asked):
        words += ["--max-model-len", str(log.context_tokens)]
    if not name:
        return None
    return Command(engine, _PROGRAMS[engine], tuple(words), (), log.version)


def _line(command: Command) -> str:
    return " ".join(shlex.quote(w) for w in (*command.program.split(), *command.words))


def _predicted(
    log: Logged, command: Command | None, source: str | None, gpus: GpuSpec | None, quant: str | None, offline: bool,
    overrides: tuple[str, ...], notes: list[str],
) -> Predicted | None:  # fmt: skip
    """The prediction of the same command on the same machine; None, and a note, where something that it needs is not known."""
    from archcalc.engines.engine import server

    if command is None:
        notes.append("the log names no model: give --model with its repository or config.json for a prediction")
        return None
    version = log.version if log.engine in ("vllm", "sglang") else None
    try:
        understood = with_draft(understand(command, version), offline=offline)
    except ArchcalcError as error:
        notes.append(f"its arguments cannot be read: {error.message}")
        return None
    spec = gpus or _machine(log, understood)
    if spec is None:
        notes.append("the log names no GPU that is known: give --gpu for a prediction")
        return None
    try:
        loaded = load(source or understood.asked.model, offline=offline, overrides=(*understood.asked.overrides, *overrides))
    except ArchcalcError as error:
        notes.append(
            f"no prediction without the config.json of {source or understood.asked.model}: give it with --model ({error.message})"
        )
        return None
    values = dict(understood.asked.values)
    if quant is not None:
        values["quant"] = quant
    elif log.engine in ("llama.cpp", "ollama") and "quant" not in values and (kind := _file_type(log.model or "")):
        values["quant"] = kind
    if str(values.get("quant", "")).startswith("~"):
        usual = values["quant"][1:]
        values["quant"] = usual if usual in server("llama.cpp").storages(loaded.architecture) else None
    if str(values.get("quant", "")).startswith("?"):
        values["quant"] = values["quant"][1:] if loaded.architecture.quantization is None else None
    values.setdefault("concurrency", 1)
    wanted = understood.asked.gpus or spec.count
    if wanted != spec.count:
        spec = spec._replace(count=wanted)
    try:
        notes += server(understood.asked.engine).released(understood.asked.version)
        own = understood.asked.own
        if log.engine in ("llama.cpp", "ollama"):
            # What the engine set by itself stands in its log.
            own = own._replace(fits=False)
        ask = _Ask(gpus=spec, engine=understood.asked.engine, version=understood.asked.version, own=own, **values)
        found = plans(loaded.architecture, ask, alternatives=0)
        return Predicted(loaded, found.asked(ask), found, understood)
    except ArchcalcError as error:
        notes.append(f"predicted: {error.message}")
        return None


def _file_type(name: str) -> str | None:
    """The storage that a GGUF file's name states."""
    found = re.search(r"(?i)[-._]((?:i?q\d(?:_[a-z0-9]+)*)|mxfp4(?:_moe)?|bf16|f16|f32)(?:-\d+-of-\d+)?\.gguf$", name)
    return found[1].lower() if found else None


def _machine(log: Logged, understood: Understood) -> GpuSpec | None:
    """The GPUs of the log: by their name, else by the memory that it states."""
    count = understood.asked.gpus or log.gpus or 1
    spec: GpuSpec | None
    if log.gpu:
        try:
            spec = parse_spec(log.gpu)._replace(count=count)
            if log.memory_bytes and abs(log.memory_bytes - spec.device.visible_bytes) > spec.device.visible_bytes // 50:
                from archcalc.hardware.here import with_memory

                spec = spec._replace(device=with_memory(spec.device, log.memory_bytes))
        except UsageError:
            spec = None
        if spec is not None:
            return spec
    return GpuSpec(custom(log.memory_bytes), count) if log.memory_bytes else None


# What it says


def _terms(log: Logged, predicted: Predicted | None) -> list[report.DiagnosedTerm]:
    """The memory lines of the log, each with what was predicted for it; what was predicted alone stands behind them."""
    expected: dict[str, int] = {}
    if predicted is not None:
        b, best = predicted.best.budget, predicted.best
        named = {t.name: t.bytes for t in (*b.activation_terms, *b.overhead_terms)}
        expected = {
            "memory": b.memory_bytes,
            "weights": b.weights_bytes,
            "room": b.kv_room_bytes,
            "kv needed": best.kv_needed_bytes,
        }
        if log.engine == "vllm":
            expected |= {"budget": b.budget_bytes, "activation": b.activation_bytes, "graphs": named.get("CUDA graphs", 0)}
            expected["non-torch"] = b.overhead_bytes - expected["graphs"]
        elif log.engine == "sglang":
            expected["cache"] = b.kv_room_bytes
        else:
            states = _states(predicted)
            expected |= {"cache": best.kv_needed_bytes - states, "states": states, "compute": b.activation_bytes}
            expected["weights in RAM"] = best.weights.cpu_bytes
    out = [report.DiagnosedTerm(name, size, expected.get(name)) for name, size in log.terms]
    seen = {name for name, _ in log.terms}
    if log.memory_bytes is not None and "memory" not in seen:
        out.insert(0, report.DiagnosedTerm("memory", log.memory_bytes, expected.get("memory")))
        seen.add("memory")
    return [*out, *(report.DiagnosedTerm(name, None, size) for name, size in expected.items() if name not in seen and size)]


def _states(predicted: Predicted) -> int:
    from archcalc.engines.engine import server

    ask = predicted.ask
    try:
        from archcalc.engines._allocation import Workload

        made = server(ask.engine).cache(
            predicted.loaded.architecture, Workload(predicted.best.context_tokens, predicted.best.concurrency), {}
        )
    except ArchcalcError:
        return 0
    slots = ask.own.slots if ask.own is not None and ask.own.unified else predicted.best.concurrency
    return made.state_bytes // max(1, predicted.best.concurrency) * slots


def _difference(terms: list[report.DiagnosedTerm]) -> str:
    """The term that explains most of what lies between the log and the prediction, where that is worth telling."""
    apart = [
        (abs(t.logged_bytes - t.predicted_bytes), t)
        for t in terms
        if t.logged_bytes is not None and t.predicted_bytes is not None and t.name not in ("room", "memory", "budget")
    ]
    rooms = [
        t.logged_bytes - t.predicted_bytes
        for t in terms
        if t.name == "room" and t.logged_bytes is not None and t.predicted_bytes is not None
    ]
    size, term = max(apart, key=lambda pair: pair[0], default=(0, None))
    if rooms and abs(rooms[0]) > 2 * size and abs(rooms[0]) > 512 << 20:
        more = "more" if rooms[0] > 0 else "less"
        return f"the room is {units.format_bytes(abs(rooms[0]))} {more} than predicted, and no line of the log says what takes it"
    if term is None:
        return ""
    assert term.logged_bytes is not None and term.predicted_bytes is not None
    if size < 256 << 20 or size < term.predicted_bytes // 50:
        return ""
    more = "more" if term.logged_bytes > term.predicted_bytes else "less"
    return f"{term.name} explains most of the difference: {units.format_bytes(size)} {more} than predicted"


def _short(log: Logged, predicted: Predicted) -> Kind | None:
    """What stops the command by the log's own figures, or else by the prediction."""
    best = predicted.best
    room = log.term("room")
    if room is not None and room <= 0:
        return "no-cache"
    tokens = log.tokens
    if tokens is not None and log.engine == "vllm" and tokens < best.context_tokens:
        return "one-request"
    if tokens is None and room is not None and log.engine == "vllm" and log.concurrency is None and room < best.kv_needed_bytes:
        return "one-request"
    if room is not None or tokens is not None or (log.concurrency or 0) >= 1:
        return None
    if best.fits:
        return None
    if best.budget.kv_room_bytes < 0:
        return "no-cache" if best.budget.weights_bytes <= best.budget.budget_bytes else "loading"
    if log.engine == "sglang" and best.start.starts:
        return None
    return "one-request"


def _cause(log: Logged, kind: Kind | None, predicted: Predicted | None) -> str:
    if kind is None:
        return ""
    figures = dict(log.figures)
    said = WORDS[kind]
    room, needed = log.term("room"), log.term("kv needed")
    if kind == "one-request" and needed is not None and room is not None:
        return (
            f"{said}: {units.format_bytes(needed)} for {log.context_tokens or 0:,} tokens, and {units.format_bytes(room)} are there"
        )
    if kind == "one-request" and log.tokens is not None:
        length = log.context_tokens or (predicted.best.context_tokens if predicted else 0)
        return f"{said}: the cache holds {log.tokens:,} tokens, and {length:,} are asked for"
    if kind == "no-cache" and room is not None:
        return f"{said}: {units.format_bytes(-room)} are missing before a single token is kept"
    if kind == "context" and "longest" in figures:
        return f"{said}: {log.context_tokens or 0:,} tokens against {int(figures['longest']):,}"
    if kind == "states" and "state blocks" in figures:
        return f"{said}: there are {int(figures['state blocks']):,}"
    if "tried" in figures:
        return f"{said}: {units.format_bytes(int(figures['tried']))} more were asked for"
    return said


# What starts


class _Try(NamedTuple):
    """A change to try: what the command says, the same of the question, and what it costs."""

    changes: dict[str, Any]
    ask: Ask
    gives_up: str


def _remedies(log: Logged, kind: Kind, command: Command | None, predicted: Predicted | None) -> Iterator[report.Remedy]:
    """Changes that start by what was predicted, the smallest first."""
    if command is None or kind in ("model", "flag"):
        if command is not None and kind == "flag" and (hint := _nearest(log)):
            yield report.Remedy(hint, None, "nothing: the flag was misspelled, or is of another release")
        return
    figures = dict(log.figures)
    if kind == "context" and "longest" in figures:
        longest = int(figures["longest"])
        yield report.Remedy(changed(command, {"context_tokens": longest}), None, f"requests longer than {longest:,} tokens")
        return
    if kind == "share" and (free := log.term("free")) and log.memory_bytes:
        share = free * 100 // log.memory_bytes / 100
        yield report.Remedy(changed(command, {"utilization": share}), None, "the cache that the larger share would have held")
        return
    if kind == "states" and "state blocks" in figures:
        n = 1 << (int(figures["state blocks"]).bit_length() - 1)
        yield report.Remedy(changed(command, {"sequences": n}), None, f"more than {n} sequences at once: others wait")
        return
    shorter = False
    if kind == "one-request" and (longest := int(figures.get("longest", 0)) // 16 * 16) > 0:
        # The engine's own estimate, of the room that it found.
        shorter = True
        yield report.Remedy(changed(command, {"context_tokens": longest}), None, f"requests longer than {longest:,} tokens")
    if kind == "heads":
        yield from _divisors(command, predicted)
        return
    if predicted is None:
        return
    missing = _missing(log, predicted)
    for each in _tries(log, kind, predicted):
        if shorter and set(each.changes) == {"context_tokens"}:
            continue
        try:
            best = plans(predicted.loaded.architecture, each.ask, alternatives=0).best
        except ArchcalcError:
            continue
        if best.fits and best.headroom_bytes >= missing:
            yield report.Remedy(changed(command, each.changes), best.headroom_bytes - missing, each.gives_up)


def _missing(log: Logged, predicted: Predicted) -> int:
    """How much less room the log shows than was predicted: what a change has to make up for besides."""
    room = log.term("room")
    best = predicted.best
    if room is not None:
        return max(0, best.budget.kv_room_bytes - room)
    tried = int(dict(log.figures).get("tried", 0))
    # It ran out although it was predicted to fit: all that was to spare was taken by something else, and what it tried beside.
    return best.headroom_bytes + tried if best.fits and log.failure not in (None, "one-request") else 0


def _tries(log: Logged, kind: Kind, predicted: Predicted) -> Iterator[_Try]:
    ask, best = predicted.ask, predicted.best
    own = ask.own
    budget = best.budget
    if ask.engine == "vllm":
        for n in (64, 16):
            if budget.sequences > n >= ask.concurrency:
                fewer = ask._replace(own=own._replace(sequences=n))
                yield _Try({"sequences": n}, fewer, f"more than {n} sequences at once: others wait")
        if budget.batched_tokens > 2048:
            yield _Try({"batched_tokens": 2048}, ask._replace(batched_tokens=2048), "some speed of long prompts")
        if predicted.loaded.architecture.encoders and not own.text_alone:
            alone = ask._replace(own=own._replace(text_alone=True))
            yield _Try({"text_alone": True}, alone, "every input but text")
        if budget.utilization < 0.95 and kind not in ("capturing", "serving", "sampling"):
            yield _Try({"utilization": 0.95}, ask._replace(utilization=0.95), "memory for anything else on the GPU")
        if own.graphs:
            eager = ask._replace(own=own._replace(graphs=False))
            yield _Try({"eager": True}, eager, "CUDA graphs: decoding is slower")
        if kind in ("capturing", "serving", "sampling") and budget.utilization > 0.85:
            yield _Try({"utilization": 0.85}, ask._replace(utilization=0.85), "a part of the cache")
    if ask.engine == "sglang":
        if kind in ("no-cache", "one-request", "cache"):
            for share in (0.9, 0.95):
                if budget.utilization < share:
                    yield _Try({"utilization": share}, ask._replace(utilization=share), "memory for activations and graphs")
        else:
            lower = round(budget.utilization - 0.08, 2)
            yield _Try({"utilization": lower}, ask._replace(utilization=lower), "a part of the cache")
            yield _Try({"eager": True}, ask._replace(own=own._replace(graphs=False)), "CUDA graphs: decoding is slower")
    if ask.kv_dtype is None:
        kinds = {"vllm": "fp8", "sglang": "fp8_e4m3", "llama.cpp": "q8_0"}
        if dtype := kinds.get(ask.engine):
            smaller = ask._replace(kv_dtype=dtype)
            if ask.engine == "llama.cpp":
                smaller = smaller._replace(own=own._replace(type_k=dtype, type_v=dtype))
            yield _Try({"kv_dtype": dtype}, smaller, f"some precision: the cache is kept in {dtype}")
    yield from _shorter(log, predicted)
    if ask.engine == "llama.cpp":
        yield from _to_cpu(predicted)
    if ask.quant is None and predicted.loaded.architecture.quantization is None and ask.engine == "vllm":
        yield _Try({"quant": "fp8"}, ask._replace(quant="fp8"), "some precision: weights are quantized to FP8 as they load")
    for tp in (2, 4, 8):
        if ask.engine != "llama.cpp" and tp > best.placement.tp:
            more = ask._replace(
                tp=tp,
                gpus=ask.gpus._replace(count=ask.gpus.count // best.placement.tp * tp),
                ep=None if ask.ep in (None, 1) else tp,
            )
            yield _Try({"tp": tp}, more, f"{tp // best.placement.tp} times the GPUs")


def _shorter(log: Logged, predicted: Predicted) -> Iterator[_Try]:
    """A shorter context: the longest that fits, by the log's own room where it has one."""
    ask, best = predicted.ask, predicted.best
    missing = _missing(log, predicted)
    smaller = ask
    if missing:
        device = ask.gpus.device
        share = best.budget.utilization or 1.0
        smaller = ask._replace(
            gpus=ask.gpus._replace(device=device._replace(visible_bytes=int(device.visible_bytes - missing / share)))
        )
    try:
        longest = max_context(predicted.found.model, best, smaller)
    except ArchcalcError:
        return
    if (said := dict(log.figures).get("longest")) is not None:
        longest = min(longest, int(said) // 16 * 16)
    tokens = longest // 1024 * 1024 or longest
    if not 0 < tokens < best.context_tokens:
        return
    slots = ask.own.slots if ask.engine == "llama.cpp" and not ask.own.unified else 1
    yield _Try({"context_tokens": tokens * slots}, ask._replace(context_tokens=tokens), f"requests longer than {tokens:,} tokens")


def _to_cpu(predicted: Predicted) -> Iterator[_Try]:
    """Experts first, which few tokens visit, then whole layers: the fewest that make it fit."""
    ask, layers = predicted.ask, predicted.loaded.architecture.layers
    from archcalc.engines.plan import largest

    def fits(own: Any) -> bool:
        try:
            return plans(predicted.loaded.architecture, ask._replace(own=own), alternatives=0).best.fits
        except ArchcalcError:
            return False

    if predicted.loaded.architecture.facts.moe is not None:
        stay = largest(lambda n: fits(ask.own._replace(cpu_experts=layers - n)), layers)
        if stay or fits(ask.own._replace(cpu_experts=layers)):
            n = layers - stay
            yield _Try(
                {"cpu_experts": n},
                ask._replace(own=ask.own._replace(cpu_experts=n)),
                f"speed: the experts of {n} layers run from RAM",
            )
    held = largest(lambda n: fits(ask.own._replace(gpu_layers=n)), layers)
    if held:
        yield _Try(
            {"gpu_layers": held},
            ask._replace(own=ask.own._replace(gpu_layers=held)),
            f"speed: {layers + 1 - held} layers run from RAM",
        )


def _divisors(command: Command, predicted: Predicted | None) -> Iterator[report.Remedy]:
    from archcalc.commands.flags import read

    given = read(command)
    ranks = given.get("--tensor-parallel-size", "--tp-size") or 1
    heads = predicted.loaded.architecture.facts.heads if predicted else 0
    for tp in range(int(ranks) - 1, 0, -1):
        if (heads and heads % tp == 0) or (not heads and tp & (tp - 1) == 0):
            yield report.Remedy(changed(command, {"tp": tp}), None, f"{int(ranks) - tp} of the GPUs")
            return


def _nearest(log: Logged) -> str:
    """The command with the flag that was meant."""
    from difflib import get_close_matches

    found = re.search(r"(--?[A-Za-z][\w.-]*)", log.said.partition("rguments")[2] or log.said.partition(":")[2])
    if not found:
        return ""
    near = get_close_matches(found[1], list(table(log.engine if log.engine != "ollama" else "llama.cpp").at(None)), 1, 0.6)
    return f"{near[0]} in place of {found[1]}" if near else ""


def calibration(log: Logged, predicted: Predicted) -> Mapping[str, Any]:
    """What this host's overheads were beyond those predicted, for `fit --calibration`. Raises `UsageError` where the log has no room."""
    room = log.term("room")
    if room is None:
        raise UsageError(
            "the log states no room for the cache, so there is nothing to calibrate with",
            "give a log of vLLM or SGLang that started",
        )
    return {
        "engine": predicted.ask.engine,
        "gpu": predicted.ask.gpus.device.id,
        "overhead_bytes": predicted.best.budget.kv_room_bytes - room,
        "of": log.model or "",
        "engine_version": log.version,
    }
