"""What a list says of a model is what is said of it by its name."""

from __future__ import annotations

import pytest

from archcalc import hardware, zoo
from archcalc.analysis.choose import steps_of
from archcalc.analysis.fit import Ask
from archcalc.analysis.verdict import fit_report
from archcalc.engines.engine import chosen_for
from archcalc.engines.plan import largest, largest_left
from archcalc.errors import ArchcalcError
from archcalc.loader import load

MACHINES = ["4090", "3060", "m4-max-64gb", "7900xtx", "2x3090", "h100", "8xh100", "strix-halo"]
NAMES = [entry.name for entry in zoo.entries() if not entry.use]


@pytest.mark.parametrize("ram", [None, 64 * 2**30], ids=["", "ram"])
@pytest.mark.parametrize("gpu", MACHINES)
def test_a_list_answers_as_a_name_does(gpu: str, ram: int | None) -> None:
    spec = hardware.parse_spec(gpu)
    if ram is not None and not spec.device.personal:
        pytest.skip("a list for the CPU's memory is of cards of one's own")
    ask = Ask(spec, chosen_for(spec.device), ram_bytes=ram)
    # On a machine of a data centre a list also takes 8 bits, where a name is asked for it by --max-quant.
    steps = steps_of(spec.device, ask.engine, alone=False, listed=True)
    seen = 0
    for name in NAMES[MACHINES.index(gpu) + (ram is not None) * 11 :: 41]:
        loaded = load(name)
        try:
            line, page = (fit_report(loaded, ask, brief=brief, steps=steps, unsaid=("--engine",)) for brief in (True, False))
        except ArchcalcError:
            continue
        told = [
            (r.fits, r.engine, r.plan, r.context_tokens, r.per_gpu, r.max_context_tokens, r.command, r.ram) for r in (line, page)
        ]
        assert told[0] == told[1], name
        assert line.speed.decode_tokens_per_s == page.speed.decode_tokens_per_s
        seen += 1
    assert seen > 3


@pytest.mark.parametrize("limit", [1, 2, 300, 4096, 131072])
@pytest.mark.parametrize("end", [0, 1, 2, 255, 256, 257, 3000, 131072])
@pytest.mark.parametrize("step", [1, 16, 256, 1056])
def test_a_straight_line_leads_where_halves_do(limit: int, end: int, step: int) -> None:
    """What is left falls in steps, and bends."""

    def left(n: int) -> int:
        cells = -(-n // step) * step
        return int(end - cells) if n % 7 else int((end - cells) * 1.5 - 0.5 * (cells > end))

    assert largest_left(left, limit) == largest(lambda n: left(n) >= 0, limit)
