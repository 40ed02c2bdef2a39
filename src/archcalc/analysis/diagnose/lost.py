"""A log from its middle on, or of another model than is named: what of its command is not known, and which option tells it.

No change is told to start then: it would be a change of a command that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc import units
from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import program
from archcalc.commands.change import FLAGS
from archcalc.commands.logs import Logged
from archcalc.commands.words import Command
from archcalc.quant import canonical

_FAR = 0.15
"""How far a size may be from what is predicted of the arguments, beyond which they are not those of the log."""
_LEAST = 512 << 20


def listed(log: Logged) -> bool:
    """Whether the log has its command, or lists its arguments. llama.cpp and Ollama print what they settled instead."""
    return log.command is not None or "listed" in dict(log.figures) or not program(log).lists


def apart(log: Logged, predicted: Predicted) -> Iterator[tuple[str, int, int]]:
    """The terms that follow from model and arguments alone and are far from what is predicted of them: name, logged, predicted."""
    best = predicted.best
    needed = best.kv_needed_bytes if best.context_tokens == log.context_tokens else 0
    for name, expected in (("weights", best.budget.weights_bytes), ("kv needed", needed)):
        logged = log.term(name)
        if logged and expected > 0 and abs(logged - expected) > max(_LEAST, _FAR * expected):
            yield name, logged, expected


def lost(log: Logged, predicted: Predicted | None, model: str | None) -> list[str]:
    """What to say where changes of the command cannot be judged; empty where they can."""
    if predicted is None:
        return [] if listed(log) else [_unlisted(log, None)]
    far = list(apart(log, predicted))
    known = [name for name in ("weights", "kv needed") if log.term(name)]
    if not far and (listed(log) or known):
        return []
    said = [] if listed(log) else [_unlisted(log, predicted)]
    for name, logged, expected in far:
        sizes = f"{units.format_bytes(logged)} in the log, {units.format_bytes(expected)} by what is known of its command"
        if name == "weights":
            given = "" if model else " or --model"
            said.append(
                f"weights on a GPU: {sizes}. --quant{given} says how they are stored, where they are another's or were quantized"
            )
        else:
            said.append(f"cache of one request: {sizes}: its type, or the ranks, are others")
    said.append("so no change of the command is judged here; the log from its first line on has all that this needs")
    return said


def _unlisted(log: Logged, predicted: Predicted | None) -> str:
    figures = dict(log.figures)
    ranks = ""
    if "by ranks" in figures:
        ranks = f": {' '.join(f'{flag} {value}'.replace(' True', '') for flag, value in log.asked)} is read from the names of its workers"
    return f"this log does not hold the whole list of its command's arguments: they are not known{ranks}"


def estimated(log: Logged) -> str:
    """The engine's own estimate, as a flag beside those of the command."""
    longest = int(dict(log.figures).get("longest", 0)) // 16 * 16
    flags = FLAGS.get(program(log).engine, {}).get("context_tokens", ())
    if not longest or not flags or log.failure != "one-request":
        return ""
    return (
        f"the engine itself says that {longest:,} tokens are the most: {flags[0]} {longest} beside the flags that the command has"
    )


def with_quant(command: Command | None, predicted: Predicted | None, quant: str | None) -> tuple[str, ...] | None:
    """The flags that have an engine store the weights as `quant` says, where the log does not list what did; None where none do."""
    from archcalc.engines.engine import server

    if command is None or predicted is None or quant is None:
        return ()
    engine = server(predicted.ask.engine)
    if engine.one_file or predicted.loaded.architecture.quantization is not None:
        return ()
    return engine.loading(predicted.ask.version, canonical(quant))
