"""A user's own command against the hosts that its GPUs are on: what one process starts, it starts on one of them."""

from __future__ import annotations

from archcalc.engines.plan import Ask, Start
from archcalc.hardware import Device

CARDS = 10
"""Cards of PCIe in one server, at most, whose machine is nobody's to know (Supermicro SYS-420GP-TNR, ten of two slots)."""


def most(device: Device) -> int:
    """The GPUs that one host can have: of cards that go into any machine, as many as there are servers for."""
    fixed = (device.link and not device.bridge) or not device.domain or device.built_in
    return device.per_host if fixed else max(device.per_host, CARDS)


def crowded(ask: Ask, title: str, here: int, joined: str = "") -> Start | None:
    """Why a command does not start that runs `here` ranks on one host, each on a GPU of its own; None where the host can have as many.
    `joined` are the flags that spread them over the hosts."""
    gpus = ask.gpus
    if ask.own is None or gpus.nodes == 1 or here <= most(gpus.device):
        return None
    what = "compute tray" if gpus.device.of_rack else "machine"
    has = "one GPU" if most(gpus.device) == 1 else f"{most(gpus.device)} GPUs at most"
    limit = f"{title} starts {here:,} ranks on one host so, and a {what} has {has}"
    return Start(False, limit, joined or None, refused=True)
