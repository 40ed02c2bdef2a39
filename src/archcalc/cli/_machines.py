"""The machines of `--gpu` and `--vram`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archcalc.errors import UsageError

if TYPE_CHECKING:
    from archcalc.hardware import GpuSpec


def machines_of(
    gpu: Sequence[str] | None, vram: str | None, *, alone: bool = False, mixed: bool = False, nodes: int | None = None
) -> list[GpuSpec]:
    """The machines of `--gpu`, given several times or as a list, or so many `nodes` of each. Without one it is this machine.

    Where each stands `alone` a list is no list of machines, but of the cards of one, as `mixed` allows; `+` joins such cards too.
    """
    from archcalc import hardware

    if nodes is not None:
        if not gpu or vram is not None or every(gpu):
            raise UsageError(
                f"--nodes {nodes} is of a machine that --gpu names",
                "such as --gpu 8xH100 --nodes 2; leave --vram and --gpu all out",
            )
        gpu = [_several(part, nodes) for text in gpu for part in ([text] if alone else hardware.split_list(text))]
    if every(gpu):
        if alone or vram is not None or len(gpu or ()) > 1:
            raise UsageError(
                "--gpu all is every machine that is rented, for a model by its name",
                "name the machine of a command" if alone else "leave the other --gpu and --vram out",
            )
        return hardware.rented()
    if not gpu or vram is not None:
        if gpu and len(gpu) > 1:
            raise UsageError(f"--vram {vram} is of one machine, and --gpu names {len(gpu)}", "ask about each alone")
        if gpu or vram is not None:
            return [machine(gpu[0] if gpu else None, vram, mixed)]
        try:
            return [machine("here", None, mixed)]
        except UsageError as error:
            error.message = error.message.replace("--gpu here:", "without --gpu it is this machine, and")
            raise
    found = []
    for text in gpu:
        parts = [text.replace("+", ",") if mixed else text] if alone else hardware.split_list(text)
        found += [machine(part, None, mixed) for part in parts]
    return list(dict.fromkeys(found))


def _several(text: str, nodes: int) -> str:
    """So many machines of a name; itself where it names as many already. Raises `UsageError` where it names others."""
    from archcalc import hardware

    spec = hardware.parse_spec(text)
    if nodes in (1, spec.nodes) and spec.nodes <= nodes:
        return text
    if spec.nodes > 1:
        raise UsageError(
            f"--gpu {text} is {spec.nodes} machines, and --nodes {nodes}", "name the GPUs of one machine, or leave --nodes out"
        )
    # A number in front of one that is there is of machines.
    return f"{nodes}x{text if counts(text) and not spec.instance else f'1x{text}' if not spec.instance else text}"


def every(gpu: Sequence[str] | None) -> bool:
    """Whether `--gpu` asks for all machines that are rented."""
    return any(text.strip().lower() == "all" for text in gpu or ())


def counts(gpu: str) -> bool:
    """Whether a machine's name says how many GPUs it has: as a number, as a list, or as the name of a whole machine."""
    from archcalc import hardware
    from archcalc.units import split_count

    try:
        return split_count(gpu)[1].strip() != gpu.strip().lower() or hardware.parse_spec(gpu).instance is not None
    except UsageError:
        return True


def machine(gpu: str | None, vram: str | None, mixed: bool = False, most: int | None = None) -> GpuSpec:
    """The machine of `--gpu` and `--vram`, of `most` GPUs; `mixed` takes several kinds of cards in one, as llama.cpp does."""
    from archcalc import hardware, units

    most = most or hardware.MAX_GPUS
    if vram is not None:
        size = units.parse_bytes(vram)
        named = None if gpu is None else _named(gpu, most)
        if named is None:
            count = 1 if gpu is None else int(gpu)
            if not 1 <= count <= hardware.MAX_GPUS:
                raise UsageError(
                    f"--gpu {gpu}: a number of cards was expected beside --vram, or a card of the catalog",
                    "--gpu 2 --vram 24GiB for two such cards",
                )
            return hardware.GpuSpec(hardware.custom(size), count)
        from archcalc.hardware.here import resized

        return resized(named, size, vram)
    if gpu is not None and gpu.strip().lower() == "here":
        from archcalc.hardware import here

        return here.spec()
    if gpu is None:
        raise UsageError(
            "--gpu is missing: what should it fit?", "such as --gpu 8xH100, --gpu 4090 or --vram 24GiB; `archcalc gpus` lists them"
        )
    return hardware.parse_mixed(gpu) if mixed else hardware.parse_spec(gpu, limit=most)


def _named(gpu: str, most: int) -> GpuSpec | None:
    """The machine that a text names; None for a number that names none (a 4090 is a card)."""
    from archcalc import hardware

    try:
        return hardware.parse_spec(gpu, limit=most)
    except UsageError:
        if gpu.strip().isdecimal():
            return None
        raise
