"""Remedies beside an engine's own command, in its words: each is written into the command, and read back before it is named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archcalc.analysis.advice import Change
from archcalc.cli._command import question
from archcalc.errors import ArchcalcError
from archcalc.records import NamedTuple
from archcalc.units import format_bytes

if TYPE_CHECKING:
    from archcalc.analysis.fit import Plans
    from archcalc.commands.words import Command
    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec

BEHIND = " -- … "
"""Stands between options of archcalc, in front of a command, and flags that are written into it."""
_OF_LAYERS = re.compile(r"(-ngl|--n-cpu-moe) (\d+) \(llama-server\)")
_LIMITS = 3
"""How many limits of the start are lifted, one after the other, before a change is given up."""
_LAYERS = {"-ngl": "gpu_layers", "--n-cpu-moe": "cpu_experts"}


class Remedies(NamedTuple):
    """A command, with what was asked beside it and how its model is read."""

    command: Command
    version: str | None
    gpus: GpuSpec
    quant: str | None
    concurrency: int
    ram_bytes: int | None
    host_bytes: int
    counted: bool
    reading: dict[str, Any]

    def change(self, change: Change) -> Change | None:
        """The change as it is written into the command, with the plan that is read back from there; None where the command has no words
        for it, is refused with them, or does not fit."""
        for each in _about(change):
            try:
                if found := self._told(each):
                    return found
            except ArchcalcError:
                continue
        return None

    def _told(self, change: Change) -> Change | None:
        from archcalc.commands.change import altered, told, with_words

        values = dict(change.values)
        if layers := _OF_LAYERS.fullmatch(change.options):
            values[_LAYERS[layers[1]]] = int(layers[2])
        ram = self.ram_bytes
        if stays := re.fullmatch(r"--ram (\d+)GiB", change.options):
            ram = int(stays[1]) << 30
        front = [change.options] if change.gpus is not None or stays else []
        concurrency = values.pop("concurrency", self.concurrency)
        quant, words = self._stored(values.pop("quant", None))
        front += [f"--concurrency {concurrency}"] if concurrency != self.concurrency else []
        front += [f"--quant {quant}"] if quant != self.quant else []
        self._in_ranks(values)
        said = told(self.command, values)
        if said is None:
            return None
        command = altered(self.command, values)
        gpus = change.gpus or self.gpus
        if words:
            command, more = with_words(command, shlex.join(words))
            said += more
        found, more = self._lifted(command, gpus, quant, concurrency, ram)
        if not found[1].best.fits:
            return None
        best, said = found[1].best, [*said, *more]
        options = " ".join(front) + (BEHIND if front and said else "") + " ".join(said)
        what = re.sub(r"\([^()]* there\)", f"({format_bytes(best.ram_bytes)} there)", change.what)
        return change._replace(what=what, options=options, fit=best)

    def lifted(self) -> tuple[Ask, Plans] | None:
        """The question and its plans with what lifts the limit of the start, where that is refused whatever the memory; None where the
        command is refused with it too."""
        try:
            ask, found = self._lifted(self.command, self.gpus, self.quant, self.concurrency, self.ram_bytes)[0]
        except ArchcalcError:
            return None
        return None if found.best.start.refused else (ask, found)

    def _lifted(
        self, command: Command, gpus: GpuSpec, quant: str | None, concurrency: int, ram: int | None
    ) -> tuple[tuple[Ask, Plans], list[str]]:
        """What becomes of the command with the flags that its start asks for, and those: behind one limit may stand another."""
        from archcalc.commands.change import with_words

        made, said = self._judged(command, gpus, quant, concurrency, ram), list[str]()
        for _ in range(_LIMITS):
            best = made[1].best
            if best.fits or best.start.flag is None:
                break
            command, more = with_words(command, best.start.flag)
            said += more
            made = self._judged(command, gpus, quant, concurrency, ram)
        return made, said

    def _stored(self, quant: str | None) -> tuple[str | None, tuple[str, ...]]:
        """The storage to name in front of the command, or the words with which its engine quantizes so as it loads."""
        from archcalc.analysis.ask import ENGINES
        from archcalc.engines.engine import server
        from archcalc.quant import canonical

        if quant is None:
            return self.quant, ()
        engine = server(ENGINES[self.command.engine])
        words = engine.loading(self.version or self.command.version, canonical(quant))
        return (self.quant, words) if words else (quant, ())

    def _in_ranks(self, values: dict[str, Any]) -> None:
        """What the command's own flags count in place of a question's: cells of all slots, ranks of all replicas of the attention."""
        from archcalc.analysis.ask import understand

        if not {"context_tokens", "tp"} & set(values):
            return
        asked = understand(self.command, self.version).asked
        own = asked.own
        if "context_tokens" in values and not getattr(own, "unified", True):
            values["context_tokens"] *= getattr(own, "slots", 1)
        if "tp" in values and getattr(own, "attention_dp", False):
            values["tp"] *= asked.values.get("dp") or 1

    def _judged(self, command: Command, gpus: GpuSpec, quant: str | None, concurrency: int, ram: int | None) -> tuple[Ask, Plans]:
        """What becomes of the command, read as any other. Raises `ArchcalcError` where it is refused."""
        from archcalc.analysis.ask import resolved, understand, with_draft
        from archcalc.analysis.fit import plans

        reading = dict(self.reading)
        found = understand(command, self.version)
        found = with_draft(found, offline=reading["offline"], refresh=False)
        ask = question(found, gpus, quant, concurrency, ram, self.counted)._replace(host_bytes=self.host_bytes)
        loaded, ask, _ = resolved(found.asked.model, ask, **{**reading, "refresh": False})
        return ask, plans(loaded.architecture, ask, alternatives=0)


def _about(change: Change) -> Iterator[Change]:
    """The change, and of layers that stay on a GPU a few fewer: what the CPU computes takes memory of the GPU's too."""
    yield change
    if layers := _OF_LAYERS.fullmatch(change.options):
        flag, n = layers[1], int(layers[2])
        for less in range(1, 9):
            m = n - less if flag == "-ngl" else n + less
            if m >= 0:
                what = re.sub(rf"\b{n}\b", str(m), change.what, count=1)
                yield change._replace(what=what, options=f"{flag} {m} (llama-server)")
