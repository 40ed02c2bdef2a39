"""An engine's log against what was predicted: term by term, why it stopped, and the smallest change that starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from archcalc import report, units
from archcalc.analysis.ask import understand
from archcalc.analysis.diagnose.lost import apart, estimated, listed, lost, with_quant
from archcalc.analysis.diagnose.predicted import Judged, Predicted, command_of, left_out, predict
from archcalc.analysis.diagnose.program import before_weights, others_hold, program
from archcalc.analysis.diagnose.remedies import MOST
from archcalc.analysis.diagnose.remedies import remedies as remedies_of
from archcalc.commands.logs import APART, WORDS, Kind, Logged
from archcalc.commands.words import Command
from archcalc.errors import ArchcalcError, UsageError
from archcalc.hardware import GpuSpec

__all__ = ["Predicted", "calibration", "diagnose"]

_STOPPED: frozenset[Kind] = frozenset({"network", "shared-memory", "killed", "ended", "neighbour", "other"})
_ASKED: frozenset[Kind] = frozenset({"no-cache", "one-request", "states", "heads", "context", "share", "flag", "model"})
_REFUSED = _ASKED | APART - _STOPPED
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
    "ended": "the log holds no cause of its own: what runs it (docker stop, a time limit, Ctrl-C, a failed probe) ended it",
    "neighbour": "start it alone on the GPU, or one engine after the other",
    "other": "what the line says is not of memory, as far as is known here: search for it in the engine's issues",
    "ram": "what stays on the CPU needs more RAM: more layers on the GPU, a smaller quantization or a shorter context",
}


def diagnose(
    log: Logged, *, model: str | None = None, gpus: GpuSpec | None = None, quant: str | None = None, offline: bool = False,
    refresh: bool = False, overrides: tuple[str, ...] = (),
) -> tuple[report.Diagnosis, Predicted | None]:  # fmt: skip
    """The log explained. `model` and `gpus` stand in for what it does not say. What cannot be had is named in the notes."""
    notes: list[str] = []
    command = command_of(log, model, notes)
    source = model or log.model
    first = predict(log, command, model, gpus, quant, offline, refresh, overrides, notes)
    predicted = first.predicted
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
    if outcome == "unknown" and kind is not None:
        # Of the log's own end nothing is known.
        cause = f"predicted: {cause}"
    if not log.started and kind is None and log.term("weights") is not None:
        notes.append("the log ends once the weights are loaded: nothing in it stopped the engine so far")
    if difference := _difference(terms):
        notes.append(difference)

    readable = command is not None and _readable(log, command)
    taken = 0 if program(log).share_of_all else others_hold(log)

    def judged(changes: Mapping[str, Any]) -> Judged:
        try:
            again = program(log).again(log, command, changes) if command is not None else None
        except ArchcalcError:
            again = None
        if again is None:
            return Judged(refused=True)
        found = predict(log, again, model, gpus, quant, offline, False, overrides, [], strict=readable, taken=taken)
        # What holds for the log's own command too is no fault of a change.
        return Judged() if found.unmodelled and first.unmodelled else found

    if (
        gpus is not None
        and log.memory_bytes
        and abs(log.memory_bytes - gpus.device.visible_bytes) > gpus.device.visible_bytes // 20
    ):
        notes.append(
            f"the log is of a GPU with {units.format_bytes(log.memory_bytes)}, and {gpus.device.known_as} has"
            f" {units.format_bytes(gpus.device.visible_bytes)}: what is predicted is of the latter"
        )
    if gpus is None and predicted is not None and (resized := _resized(predicted)):
        notes.append(resized)
    unknown = lost(log, predicted, model) if kind is not None and kind not in _STOPPED else []
    if not unknown and not listed(log):
        words = with_quant(command, predicted, quant)
        if words is None:
            unknown = [f"the command needs a checkpoint in {quant}, and {source} is not: --model names the one that it loads"]
        elif command is not None:
            command = command._replace(words=(*command.words, *words))
            notes.append("the log does not list the arguments of its command: whatever else it has, the commands here lack")
    if unknown:
        notes += [*unknown, *filter(None, [estimated(log)])]
    remedies = list(remedies_of(log, kind, command, predicted, judged)) if kind is not None and not unknown else []
    if remedies:
        notes += left_out(log)
    notes += _told(log, kind, predicted, bool(remedies or unknown))
    stands = program(log).stands(log, command) if command else log.command
    spec = gpus or (predicted.ask.gpus if predicted else None)
    return (
        report.Diagnosis(
            schema_version=report.SCHEMA_VERSION,
            engine=log.engine,
            engine_version=log.version,
            model=source or "",
            gpu=spec.device.known_as if spec else log.gpu,
            gpus=spec.count if spec else log.gpus,
            command=stands,
            terms=terms,
            # Each replica has a cache of its own, and says what that holds.
            tokens=report.DiagnosedTokens(
                log.tokens, predicted.best.kv_tokens // predicted.best.placement.dp if predicted else None
            ),
            outcome=outcome,
            kind=kind,
            cause=cause or None,
            said=log.said or None,
            remedies=[each for each in remedies if command is None or each.command != stands][:MOST],
            notes=notes,
        ),
        predicted,
    )


def _readable(log: Logged, command: Command) -> bool:
    """Whether the log's own command is read whole."""
    try:
        understand(command, log.version if program(log).releases else None)
    except ArchcalcError:
        return False
    return True


def _resized(predicted: Predicted) -> str:
    """What to know of a card whose memory is not that of the one that it is taken for."""
    from archcalc.hardware import devices

    here = predicted.ask.gpus.device
    listed = next((d for d in devices() if d.id == here.id), here)
    if abs(here.visible_bytes - listed.visible_bytes) <= listed.visible_bytes // 50:
        return ""
    sizes = f"{units.format_bytes(here.visible_bytes)}, and {listed.id} has {units.format_bytes(listed.visible_bytes)}"
    return f"the log's GPU has {sizes}: it is taken for one with the memory that the log states"


_SPEAKS_OF_MEMORY = re.compile(r"(?i)\bmemory\b|mem[-_]fraction|gpu[-_]memory[-_]utilization|\bkv[ _-]?cache\b|\bcache blocks\b")


def _of_cache(log: Logged) -> str:
    """What is wrong with the type that llama.cpp's cache was asked to have (src/llama-context.cpp `llama_init_from_model`)."""
    if re.search(r"(?i)V cache quantization requires flash_attn|quantized V cache (?:was requested|requires)", log.said):
        return "a V cache in fewer bits needs flash attention, which is off or cannot be used"
    if re.search(r"[KV] cache type \S+ with block size \d+ does not divide", log.said):
        return "the heads of this model do not divide into blocks of the type that the cache was asked to have"
    return ""


def _told(log: Logged, kind: Kind | None, predicted: Predicted | None, helped: bool) -> Iterator[str]:
    """What is said beside the figures."""
    if (starts := int(dict(log.figures).get("starts", 0))) > 1:
        yield f"the log holds {starts} starts: this is the last of them that says how it went"
    if kind is None and log.started and program(log).serves_less and log.tokens and log.tokens < (log.context_tokens or 0):
        yield (
            f"it serves, and its cache holds {log.tokens:,} tokens, fewer than the context of {log.context_tokens:,}: longer requests are"
            " cut short or refused"
        )
    if neighbours := _neighbours(log, kind):
        alone = ""
        if predicted is not None:
            does = "fits" if predicted.best.fits else "does not fit even then"
            alone = f"; on a GPU of its own the command as it stands {does} by the prediction"
        above = ", which the commands above leave to others" if helped and predicted is not None else ""
        yield f"{neighbours} of this GPU{above}{alone}: `nvidia-smi` shows whose it is"
    if kind == "other" and _SPEAKS_OF_MEMORY.search(log.said.replace("illegal memory access", "")):
        yield "the line speaks of memory, in words that are not known here: which remedy is right, it says itself"
    elif kind == "quant" and _of_cache(log):
        pass
    elif kind == "ram" and program(log).fills_share:
        yield "the machine, or its container, needs more RAM: weights pass through it, and what the command keeps on the CPU stays there"
    elif before_weights(log):
        yield (
            "NCCL found no memory for its buffers before any weights were loaded: no change of the command frees it; `nvidia-smi` shows"
            " what else holds these GPUs"
        )
    elif kind is not None and kind in _NEXT:
        yield _NEXT[kind]
    elif kind == "model" and re.search(r"gated|401|403|restricted|authenticated", log.said):
        yield "accept its licence on the model's page, and log in where the engine runs: `hf auth login`, or HF_TOKEN"
    elif kind is not None and kind not in ("model", "flag") and predicted is not None and not helped:
        yield "no change that was tried starts by the prediction"


def _terms(log: Logged, predicted: Predicted | None) -> list[report.DiagnosedTerm]:
    """The memory lines of the log, each with what was predicted for it; what was predicted alone stands behind them."""
    expected: dict[str, int] = {}
    if predicted is not None:
        b, best = predicted.best.budget, predicted.best
        expected = {
            "memory": b.memory_bytes,
            "weights": b.weights_bytes,
            "room": b.kv_room_bytes,
            "kv needed": best.kv_needed_bytes,
            **program(log).terms(predicted),
        }
    out = [report.DiagnosedTerm(name, size, expected.get(name)) for name, size in log.terms]
    seen = {name for name, _ in log.terms}
    if log.memory_bytes is not None and "memory" not in seen:
        out.insert(0, report.DiagnosedTerm("memory", log.memory_bytes, expected.get("memory")))
        seen.add("memory")
    return [*out, *(report.DiagnosedTerm(name, None, size) for name, size in expected.items() if name not in seen and size)]


def _difference(terms: list[report.DiagnosedTerm]) -> str:
    """The term that explains most of what lies between the log and the prediction, where that is worth telling."""
    both = [(t.logged_bytes - t.predicted_bytes, t) for t in terms if t.logged_bytes is not None and t.predicted_bytes is not None]
    room = next((size for size, t in both if t.name == "room"), None)
    # What takes more leaves less room; where a room is told, the cache is that room and no reason of it.
    beside = ("room", "memory", "budget", *(("cache", "states", "kv needed") if room is not None else ()))
    apart = [(abs(size), t) for size, t in both if t.name not in beside and (room is None or size * room < 0)]
    size, term = max(apart, key=lambda pair: pair[0], default=(0, None))
    if room is not None and abs(room) > 2 * size:
        if abs(room) <= 512 << 20:
            return ""
        what = (
            "more than predicted, and no line of the log says what takes less"
            if room > 0
            else ("less than predicted, and no line of the log says what takes it")
        )
        return f"the room is {units.format_bytes(abs(room))} {what}"
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
    of = program(log)
    if of.short(log, best):
        return "one-request"
    if room is not None or log.tokens is not None or (log.concurrency or 0) >= 1:
        return None
    if best.fits:
        return None
    if best.budget.kv_room_bytes < 0:
        return "no-cache" if best.budget.weights_bytes <= best.budget.budget_bytes else "loading"
    if of.serves_less and best.start.starts:
        return None
    return "one-request"


def _cause(log: Logged, kind: Kind | None, predicted: Predicted | None) -> str:
    if kind is None:
        return ""
    if neighbours := _neighbours(log, kind):
        return f"{_own_cause(log, kind, predicted)}, where {neighbours} of the GPU"
    return _own_cause(log, kind, predicted)


def _neighbours(log: Logged, kind: Kind | None) -> str:
    """Who else holds how much, where memory of the GPU is what lacks."""
    figures = dict(log.figures)
    if kind is None or kind in (_REFUSED | _STOPPED | {"ram"}) - {"no-cache", "one-request"} or not (held := others_hold(log)):
        return ""
    count, size = int(figures.get("beside count", 0)), units.format_bytes(held)
    if not count:
        return f"other processes hold {size}"
    who = f"process {int(figures['beside pid'])}"
    return f"{who} holds {size}" if count == 1 else f"{who} and {count - 1} more hold {size}"


def _own_cause(log: Logged, kind: Kind, predicted: Predicted | None) -> str:
    figures = dict(log.figures)
    said = WORDS[kind]
    room, needed = log.term("room"), log.term("kv needed")
    if kind == "one-request" and needed is not None and room is not None:
        of = f" for {log.context_tokens:,} tokens" if log.context_tokens else ""
        return f"{said}: {units.format_bytes(needed)}{of}, and {units.format_bytes(room)} are there"
    if kind == "one-request" and log.tokens is not None:
        length = log.context_tokens or (predicted.best.context_tokens if predicted else 0)
        return f"{said}: the cache holds {log.tokens:,} tokens, and {length:,} are asked for"
    if kind == "no-cache" and room is not None and room < 0:
        return f"{said}: {units.format_bytes(-room)} are missing before a single token is kept"
    if kind == "context" and "longest" in figures:
        return f"{said}: {log.context_tokens or 0:,} tokens against {int(figures['longest']):,}"
    if (own := program(log).causes.get(kind)) is not None:
        return own
    if kind == "quant" and (words := _of_cache(log)):
        return words
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


def calibration(log: Logged, predicted: Predicted) -> Mapping[str, Any]:
    """What this host's overheads were beyond those predicted, for `fit --calibration`. Raises `UsageError` where the log has no room."""
    room = log.term("room")
    if room is None:
        raise UsageError(
            "the log states no room for the cache, so there is nothing to calibrate with",
            "give a log of vLLM or SGLang that started",
        )
    size, budget = predicted.best.budget.kv_room_bytes - room, predicted.best.budget
    for name, logged, expected in apart(log, predicted):
        raise UsageError(
            f"{name}: {units.format_bytes(logged)} in the log, {units.format_bytes(expected)} predicted: what differs is no"
            " overhead of this host",
            "--model and --quant say what the log is of",
        )
    if budget.activation_bytes + budget.overhead_bytes + size < 0:
        raise UsageError(
            f"the log shows {units.format_bytes(-size)} more room than is predicted, and"
            f" {units.format_bytes(budget.activation_bytes + budget.overhead_bytes)} are predicted beside the weights: this host's overhead"
            " would be less than none",
            "a line of the log is of another command or GPU: --gpu and --model say which; or the prediction is wrong for it",
        )
    return {
        "engine": predicted.ask.engine,
        "gpu": predicted.ask.gpus.device.known_as,
        "overhead_bytes": size,
        "of": log.model or "",
        "engine_version": log.version,
    }
