"""An engine's log against what was predicted: term by term, why it stopped, and the smallest change that starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from archcalc import report, units
from archcalc.analysis.ask import Understood, understand, with_draft
from archcalc.analysis.fit import Ask, Fit, Plans, max_context, plans
from archcalc.commands.change import changed
from archcalc.commands.flags import table
from archcalc.commands.logs import APART, WORDS, Kind, Logged
from archcalc.commands.words import Command, of_arguments
from archcalc.engines.plan import Ask as _Ask
from archcalc.errors import ArchcalcError, UsageError
from archcalc.hardware import GpuSpec, custom, parse_spec
from archcalc.loader import Loaded, load

_STOPPED: frozenset[Kind] = frozenset({"network", "shared-memory", "killed", "neighbour", "other"})
_ASKED: frozenset[Kind] = frozenset({"no-cache", "one-request", "states", "heads", "context", "share", "flag", "model"})
_REFUSED = _ASKED | APART - _STOPPED
# What takes memory beside the pool of the cache, which fills the engine's share whatever else is smaller.
_BEYOND: frozenset[Kind] = frozenset({"capturing", "serving", "sampling", "cache"})
_NEXT: Mapping[Kind, str] = {
    "gpus": "CUDA_VISIBLE_DEVICES and the container's GPUs decide how many are seen",
    "device": "nvidia-smi in the same container says what is seen: docker needs --gpus all, and the driver must be as new as the CUDA of"
    " the engine",
    "kernel": "no change of memory helps: another data type, another build of the engine or a newer GPU does",
    "architecture": "a newer release of the engine, or of transformers beside it, may know the model",
    "code": "--trust-remote-code allows it, once you have read that code",
    "file": "have it downloaded again, and compare its size with the repository's",
    "quant": "leave the quantization out, for the engine to take what the checkpoint states",
    "port": "give another --port, or end the process that listens on it",
    "disk": "free some space where weights and compiled kernels are kept (HF_HOME, ~/.cache), or name another place",
    "network": "NCCL_DEBUG=INFO has it say what failed; between containers it needs --ipc=host or --shm-size, between machines a free port",
    "shared-memory": "docker run --ipc=host, or --shm-size 16g",
    "killed": "`dmesg -T | grep -i oom` says whether RAM ran out: the machine, or its container, then needs more of it",
    "neighbour": "start it alone on the GPU, or one engine after the other",
    "other": "what the line says is not of memory, as far as is known here: search for it in the engine's issues",
    "ram": "what stays on the CPU needs more RAM: more layers on the GPU, a smaller quantization or a shorter context",
}
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
    refresh: bool = False, overrides: tuple[str, ...] = (),
) -> tuple[report.Diagnosis, Predicted | None]:  # fmt: skip
    """The log explained. `model` and `gpus` stand in for what it does not say. What cannot be had is named in the notes."""
    notes: list[str] = []
    command = _command(log, model, notes)
    source = model or log.model
    predicted = _predicted(log, command, source, gpus, quant, offline, refresh, overrides, notes)
    kind = log.failure
    if "inferred" in dict(log.figures) and predicted is not None and _short(log, predicted):
        log = log._replace(started=False)
    terms = _terms(log, predicted)
    if kind is None and not log.started and predicted is not None and (short := _short(log, predicted)):
        kind = short
        if not log.said:
            notes.append("the log does not say why it stopped: this is what is predicted of its command")
    outcome: Literal["started", "oom", "refused", "stopped", "unknown"]
    outcome = "started" if log.started else "unknown" if kind is None else "refused" if kind in _REFUSED else "oom"
    if kind in _STOPPED and not log.started:
        outcome = "stopped"
    if kind is not None and log.failure is None and not log.said:
        outcome = "unknown"
    cause = _cause(log, kind, predicted) if not log.started or kind else ""
    if not log.started and kind is None and log.term("weights") is not None:
        notes.append("the log ends once the weights are loaded: nothing in it stopped the engine so far")
    if difference := _difference(terms):
        notes.append(difference)

    def judged(line: str) -> Predicted | None:
        """The prediction of a changed command."""
        try:
            of = of_arguments(shlex.split(line))._replace(version=command.version if command else None)
        except (ArchcalcError, ValueError):
            return None
        return _predicted(log, of, source, gpus, quant, offline, False, overrides, [])

    remedies = list(_remedies(log, kind, command, predicted, judged)) if kind is not None else []
    notes += _told(log, kind, predicted, bool(remedies))
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
            remedies=remedies[:_MOST],
            notes=notes,
        ),
        predicted,
    )


def _told(log: Logged, kind: Kind | None, predicted: Predicted | None, helped: bool) -> Iterator[str]:
    """What is said beside the figures."""
    if (starts := int(dict(log.figures).get("starts", 0))) > 1:
        yield f"the log holds {starts} starts: this is the last of them that says how it went"
    if kind is None and log.started and log.engine == "sglang" and log.tokens and log.tokens < (log.context_tokens or 0):
        yield (
            f"it serves, and its cache holds {log.tokens:,} tokens, fewer than the context of {log.context_tokens:,}: longer requests are"
            " cut short or refused"
        )
    if kind is not None and kind in _NEXT:
        yield _NEXT[kind]
    elif kind == "model" and re.search(r"gated|401|403|restricted|authenticated", log.said):
        yield "accept its licence on the model's page, and log in where the engine runs: `hf auth login`, or HF_TOKEN"
    elif kind is not None and kind not in ("model", "flag") and not log.started and predicted is not None and not helped:
        yield "no change that was tried starts by the prediction"


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
    # The log's own name stays in what is printed: --model says where its config is.
    name = log.model or model
    if log.engine == "ollama" and name is not None and "/blobs/" in name:
        name = model or name
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
    # Ollama's releases are not those of the llama.cpp in it.
    return Command(engine, _PROGRAMS[log.engine], tuple(words), (), None if log.engine == "ollama" else log.version)


def _line(command: Command) -> str:
    return " ".join(shlex.quote(w) for w in (*command.program.split(), *command.words))


def _predicted(
    log: Logged, command: Command | None, source: str | None, gpus: GpuSpec | None, quant: str | None, offline: bool,
    refresh: bool, overrides: tuple[str, ...], notes: list[str],
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
        loaded = load(
            source or understood.asked.model, offline=offline, refresh=refresh, overrides=(*understood.asked.overrides, *overrides)
        )
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
    if kind == "states" and log.engine == "sglang":
        return "the cache of recurrent states does not hold one request"
    if kind == "ram" and "ram" in figures:
        return f"{said}: {units.format_bytes(int(figures['ram needed']))} against {units.format_bytes(int(figures['ram']))}"
    if kind == "gpus" and "apart 1" in figures:
        return f"{said}: {int(figures['apart 0'])} against {int(figures['apart 1'])}"
    if kind == "batch" and "apart 1" in figures:
        of = "tokens of the longest request" if "max_model_len" in log.said else "sequences at once"
        return f"{said}: {int(figures['apart 0']):,} tokens against {int(figures['apart 1']):,} {of}"
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


_Judge = Callable[[str], "Predicted | None"]


def _lifted(command: Command, changes: Mapping[str, Any], gives_up: str, judged: _Judge) -> Iterator[report.Remedy]:
    """A change that lifts a refusal, and what memory needs beside it; nothing where it is predicted not to start even so."""
    line = changed(command, changes)
    then = judged(line)
    if then is None:
        yield report.Remedy(line, None, gives_up)
    elif then.best.fits:
        yield report.Remedy(line, then.best.headroom_bytes, gives_up)
    elif then.ask.engine in ("vllm", "sglang"):
        for n in (0, 64) if then.ask.engine == "vllm" else (0,):
            ask = then.ask._replace(own=then.ask.own._replace(sequences=n)) if n else then.ask
            try:
                longest = max_context(then.found.model, then.best, ask) // 1024 * 1024
            except ArchcalcError:
                return
            if 0 < longest < then.best.context_tokens:
                shorter = changed(command, {**changes, "context_tokens": longest, **({"sequences": n} if n else {})})
                less = judged(shorter)
                if less is not None and less.best.fits:
                    more = f"requests longer than {longest:,} tokens"
                    more = more if "context_tokens" in changes else f"{gives_up}; {more}"
                    yield report.Remedy(shorter, less.best.headroom_bytes, more)
                    return


def _remedies(
    log: Logged, kind: Kind, command: Command | None, predicted: Predicted | None, judged: _Judge
) -> Iterator[report.Remedy]:
    """Changes that start by what was predicted, the smallest first."""
    if command is None or kind in ("model", "flag"):
        if command is not None and kind == "flag" and (hint := _nearest(log)):
            yield report.Remedy(hint, None, "nothing: the flag was misspelled, or is of another release")
        return
    figures = dict(log.figures)
    if kind in APART or kind == "ram":
        yield from _settled(log, kind, command, predicted, judged)
        return
    if kind == "context" and "longest" in figures:
        longest = int(figures["longest"])
        yield from _lifted(command, {"context_tokens": longest}, f"requests longer than {longest:,} tokens", judged)
        return
    if kind == "share" and (free := log.term("free")) and log.memory_bytes:
        share = free * 100 // log.memory_bytes / 100
        yield from _lifted(command, {"utilization": share}, "the cache that the larger share would have held", judged)
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
        yield from _divisors(command, predicted, judged)
        return
    if predicted is None:
        return
    missing = _missing(log, kind, predicted)
    beyond = _beyond(log, kind, predicted)

    def starts(each: _Try) -> Fit | None:
        try:
            best = plans(predicted.loaded.architecture, each.ask, alternatives=0).best
        except ArchcalcError:
            return None
        if log.engine == "sglang" and beyond:
            # It serves with a cache smaller than the context, and what is left outside the pool is what a smaller share is for.
            return best if best.start.starts and best.budget.kv_room_bytes > 0 else None
        return best if best.fits and best.headroom_bytes >= missing else None

    small, short, more = list[report.Remedy](), list[_Try](), list[report.Remedy]()
    for tried in _tries(log, kind, predicted, beyond=beyond):
        if shorter and set(tried.changes) == {"context_tokens"}:
            continue
        each, best = tried, starts(tried)
        if best is not None and best.headroom_bytes < missing:
            # The engine starts, and its cache is smaller than the context: one that it holds is the one to ask for.
            for less in _shorter(log, predicted, each.ask):
                both = _Try({**each.changes, **less.changes}, less.ask, f"{each.gives_up}; {less.gives_up}")
                if (held := starts(both)) is not None and held.headroom_bytes >= missing:
                    each, best = both, held
        if best is not None and (line := _printed(log, command, each.changes)) is not None:
            spare = best.headroom_bytes - missing
            (more if "tp" in each.changes else small).append(report.Remedy(line, spare if spare >= 0 else None, each.gives_up))
        elif best is None and set(each.changes) & _FREEING:
            short.append(each)
    if log.engine == "vllm" and not shorter and not any("weights are quantized" not in each.gives_up for each in small):
        # What one change does not make up for, it may with a shorter context.
        for each in short:
            for less in _shorter(log, predicted, each.ask):
                both = _Try({**each.changes, **less.changes}, less.ask, f"{each.gives_up}; {less.gives_up}")
                if (best := starts(both)) is not None:
                    small.append(report.Remedy(changed(command, both.changes), best.headroom_bytes - missing, both.gives_up))
    yield from (*small[: _MOST - min(len(more), 2)], *more)


_MOST = 5
# Changes that free memory at once, not of the cache.
_FREEING = frozenset({"sequences", "batched_tokens", "text_alone", "eager"})


def _printed(log: Logged, command: Command, changes: Mapping[str, Any]) -> str | None:
    """The changed command; Ollama is told by its environment, and what that does not say is None."""
    if log.engine != "ollama":
        return changed(command, changes)
    words = []
    for name, value in changes.items():
        if name == "context_tokens":
            slots = max(1, int(dict(log.asked).get("--parallel", 1)))
            words.append(f"OLLAMA_CONTEXT_LENGTH={int(value) // slots}")
        elif name == "kv_dtype":
            words += ["OLLAMA_FLASH_ATTENTION=1", f"OLLAMA_KV_CACHE_TYPE={value}"]
        else:
            return None
    return " ".join([*words, "ollama serve"])


def _settled(log: Logged, kind: Kind, command: Command, predicted: Predicted | None, judged: _Judge) -> Iterator[report.Remedy]:
    """What lifts a refusal that has nothing to do with memory, where a flag does."""
    figures = dict(log.figures)
    first, second = int(figures.get("apart 0", 0)), int(figures.get("apart 1", 0))
    if kind == "batch" and second:
        if "max_model_len" in log.said:
            if (then := judged(changed(command, {"batched_tokens": second}))) is None or then.best.fits:
                yield from _lifted(command, {"batched_tokens": second}, "the memory that the larger batch takes", judged)
            yield from _lifted(command, {"context_tokens": first}, f"requests longer than {first:,} tokens", judged)
        else:
            yield from _lifted(command, {"sequences": first}, f"more than {first:,} sequences at once: others wait", judged)
    elif kind == "gpus" and 0 < second < first:
        yield from _lifted(command, {"tp": second}, f"{first - second} ranks, whose GPUs are not there", judged)
    elif kind == "quant" and log.engine == "vllm" and "does not match" in log.said:
        yield from _lifted(command, {"quant": False}, "nothing: the checkpoint says how it is stored", judged)
    elif kind == "code" and log.engine in ("vllm", "sglang"):
        yield from _lifted(command, {"trusts": True}, "the safety of code that somebody has read", judged)
    elif kind == "kernel" and log.engine in ("vllm", "sglang") and re.search(r"[Bb]float16 is only supported", log.said):
        yield from _lifted(command, {"dtype": "half"}, "the range of bfloat16: some models overflow in float16", judged)


def _missing(log: Logged, kind: Kind | None, predicted: Predicted) -> int:
    """How much less room the log shows than was predicted: what a change has to make up for besides."""
    room = log.term("room")
    best = predicted.best
    if room is not None:
        return max(0, best.budget.kv_room_bytes - room)
    if kind is not None and _beyond(log, kind, predicted):
        # The pool has the room that was predicted: what ran out lies beside it.
        return 0
    tried = int(dict(log.figures).get("tried", 0))
    # It ran out although it was predicted to fit: all that was to spare was taken by something else, and what it tried beside.
    return best.headroom_bytes + tried if best.fits and log.failure not in (None, "one-request") else 0


def _beyond(log: Logged, kind: Kind, predicted: Predicted) -> bool:
    """Whether memory ran out beside a pool that was made. Where the log does not name the place, the process tells by what it holds: the
    engine's whole share, which weights and what a step takes do not fill by the prediction."""
    if kind in _BEYOND:
        return True
    if kind != "memory" or log.engine not in ("vllm", "sglang") or not log.memory_bytes:
        return False
    figures, budget = dict(log.figures), predicted.best.budget
    held = figures.get("in use", log.memory_bytes - figures.get("free", log.memory_bytes))
    return budget.kv_room_bytes > 0 and held >= budget.utilization * log.memory_bytes


def _tries(log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[_Try]:
    """Changes that free what ran out, the smallest first. Beside the pool, which fills the engine's share whatever else is smaller, only
    what is outside it and the share itself count; what ran out before the pool was made does not depend on the share. What one token or
    one request takes of a pool makes no difference where nothing is left for a pool, nor under SGLang, which fills its share with
    whatever there is, until the pool itself runs out."""
    ask, best = predicted.ask, predicted.best
    own = ask.own
    budget = best.budget
    before = kind in ("loading", "profiling")
    of_pool = kind != "no-cache" and (ask.engine != "sglang" or kind in ("pool", "one-request", "states"))
    figures = dict(log.figures)
    if ask.engine == "vllm":
        if beyond and own.cache_bytes is not None:
            yield from _smaller_pool(log, predicted)
        tried, free = figures.get("tried", 0), figures.get("free", 0)
        for n in (256, 64, 16) if kind not in ("loading", "cache", "serving") else ():
            if budget.sequences <= n or n < ask.concurrency or (kind == "sampling" and tried * n > free * budget.sequences > 0):
                continue
            fewer = ask._replace(own=own._replace(sequences=n))
            yield _Try({"sequences": n}, fewer, f"more than {n} sequences at once: others wait")
        for n in (8192, 2048) if kind not in ("loading", "capturing", "sampling", "cache") else ():
            if budget.batched_tokens > n:
                yield _Try({"batched_tokens": n}, ask._replace(batched_tokens=n), "some speed of long prompts")
        if predicted.loaded.architecture.encoders and not own.text_alone and not beyond:
            alone = ask._replace(own=own._replace(text_alone=True))
            yield _Try({"text_alone": True}, alone, "every input but text")
        if budget.utilization < 0.95 and not beyond and not before and own.cache_bytes is None:
            yield _Try({"utilization": 0.95}, ask._replace(utilization=0.95), "memory for anything else on the GPU")
        if beyond and own.cache_bytes is None:
            yield from _smaller_share(log, predicted)
        if own.graphs and not before and kind not in ("cache", "serving"):
            eager = ask._replace(own=own._replace(graphs=False))
            yield _Try({"eager": True}, eager, "CUDA graphs: decoding is slower")
    if ask.engine == "sglang":
        if kind == "pool" and (log.tokens or 0) >= best.context_tokens:
            n = (log.tokens or 0) // best.context_tokens
            few = ask._replace(own=own._replace(running=n))
            yield _Try({"running": n}, few, f"more than {n} requests at once: others wait")
        if kind in ("no-cache", "one-request", "states", "pool"):
            least = figures.get("least share", 0)
            for share in (round(least + 0.03, 2), 0.9, 0.95) if budget.utilization < 0.95 else ():
                if budget.utilization < share and least < share < 1:
                    yield _Try({"utilization": share}, ask._replace(utilization=share), "memory for activations and graphs")
        elif not before:
            yield from _smaller_share(log, predicted)
            if kind == "capturing":
                if (own.graph_batch or 256) > 16:
                    few = ask._replace(own=own._replace(graph_batch=16))
                    yield _Try({"graph_batch": 16}, few, "CUDA graphs of more than 16 sequences")
                yield _Try({"eager": True}, ask._replace(own=own._replace(graphs=False)), "CUDA graphs: decoding is slower")
    if beyond and ask.engine != "llama.cpp":
        return
    if ask.kv_dtype is None and not before and of_pool:
        kinds = {"vllm": "fp8", "sglang": "fp8_e4m3", "llama.cpp": "q8_0"}
        if dtype := kinds.get(ask.engine):
            smaller = ask._replace(kv_dtype=dtype)
            if ask.engine == "llama.cpp":
                smaller = smaller._replace(own=own._replace(type_k=dtype, type_v=dtype))
            yield _Try({"kv_dtype": dtype}, smaller, f"some precision: the cache is kept in {dtype}")
    if not before and of_pool:
        yield from _shorter(log, predicted, ask)
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


# Beside what was asked for, what an allocator needs to find it in one piece.
_SLACK = 256 << 20


def _lacking(log: Logged) -> int:
    figures = dict(log.figures)
    return max(0, int(figures.get("tried", 512 << 20)) - int(figures.get("free", 0))) + _SLACK


def _smaller_share(log: Logged, predicted: Predicted) -> Iterator[_Try]:
    """A share of the memory that leaves what was asked for outside it, and one that leaves more."""
    ask, budget = predicted.ask, predicted.best.budget
    least = round((int(budget.utilization * 100 + 1e-6) - -(-_lacking(log) * 100 // budget.memory_bytes)) / 100, 2)
    for share in (least, round(least - 0.05, 2)):
        if 0.2 <= share < budget.utilization:
            yield _Try({"utilization": share}, ask._replace(utilization=share), "a part of the cache")


def _smaller_pool(log: Logged, predicted: Predicted) -> Iterator[_Try]:
    """The pool that was given in bytes, as large as the rest leaves of the memory."""
    ask, budget = predicted.ask, predicted.best.budget
    taken = budget.weights_bytes + budget.activation_bytes + budget.overhead_bytes
    size = min(budget.memory_bytes - taken - 2 * _SLACK, ask.own.cache_bytes - _lacking(log)) // _SLACK * _SLACK
    if 0 < size < ask.own.cache_bytes:
        smaller = ask._replace(own=ask.own._replace(cache_bytes=size))
        yield _Try({"cache_bytes": size}, smaller, "a part of the cache")


def _shorter(log: Logged, predicted: Predicted, ask: Ask) -> Iterator[_Try]:
    """A shorter context: the longest that fits, by the log's own room where it has one."""
    best = predicted.best
    missing = _missing(log, log.failure, predicted)
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
                f"speed: the experts of {n} layer{'s' if n > 1 else ''} run from RAM",
            )
    held = largest(lambda n: fits(ask.own._replace(gpu_layers=n)), layers)
    if held:
        yield _Try(
            {"gpu_layers": held},
            ask._replace(own=ask.own._replace(gpu_layers=held)),
            f"speed: {_layers(layers + 1 - held)} from RAM",
        )


def _layers(n: int) -> str:
    return f"{n} layer runs" if n == 1 else f"{n} layers run"


def _divisors(command: Command, predicted: Predicted | None, judged: _Judge) -> Iterator[report.Remedy]:
    from archcalc.commands.flags import read

    given = read(command)
    ranks = given.get("--tensor-parallel-size", "--tp-size") or 1
    heads = predicted.loaded.architecture.facts.heads if predicted else 0
    # A log may name any number; no more ranks than heads divide them.
    for tp in range(min(int(ranks) - 1, heads or 4096), 0, -1):
        if (heads and heads % tp == 0) or (not heads and tp & (tp - 1) == 0):
            lifted = list(_lifted(command, {"tp": tp}, f"{int(ranks) - tp} of the GPUs", judged))
            if lifted:
                yield from lifted
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
