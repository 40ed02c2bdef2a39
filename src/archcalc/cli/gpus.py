"""`archcalc gpus`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from archcalc.cli._options import FormatOption, Offline
from archcalc.cli._run import Format, complain, leave
from archcalc.errors import ArchcalcError, UsageError


def command(
    query: Annotated[
        str | None, typer.Argument(metavar="[WORD]", help="Only devices with these words in their name or kind.")
    ] = None,
    min_memory: Annotated[
        str | None, typer.Option("--min-memory", metavar="BYTES", help="Only devices that show this much.")
    ] = None,
    vendor: Annotated[
        str | None, typer.Option("--vendor", metavar="NAME", help="nvidia, amd, intel, apple, google or aws.")
    ] = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
) -> None:
    """List the catalog of GPUs: what an engine sees of the memory, bandwidth, matrix rates, links, the cheapest instance.

    Memory is what the driver gives, not the number on the box. Rates are dense. A tilde marks memory that was estimated, not measured.
    """
    from archcalc import hardware, units
    from archcalc.render import rows
    from archcalc.render.gpus import COLUMNS, CSV, flat

    vendors = sorted({device.vendor for device in hardware.devices()})
    if vendor is not None and vendor.strip().lower() not in vendors:
        raise UsageError(f"--vendor {vendor}: the catalog has none of it", f"one of {', '.join(vendors)}")
    least = units.parse_bytes(min_memory) if min_memory else 0
    found, said = hardware.search(query or "", least, vendor or ""), ""
    if query and not found:
        # What --gpu takes is known here too: a number of cards, or a machine that is rented.
        try:
            spec = hardware.parse_spec(query)
        except ArchcalcError as error:
            said = error.hint
        else:
            found = [d for d in (spec.device,) if d.driver_bytes >= least and vendor in (None, d.vendor)]
            said = f"{query} is {spec.named}" if found else ""
    listed = [_row(device) for device in found]
    if form in (Format.table, Format.markdown, Format.csv):
        listed = [flat(row) for row in listed]
    rows.write(form.value, CSV if form is Format.csv else COLUMNS, listed, sys.stdout)
    if not found:
        sys.stdout.flush()
        complain("no device of the catalog matches", said or "leave --min-memory and --vendor out, or name fewer words")
        leave(1)
    elif said:
        print(f"archcalc: {said}", file=sys.stderr)


def _row(d: Any) -> dict[str, Any]:
    from archcalc import hardware

    offers = hardware.offers(d.id, 1)
    return {
        "id": d.id,
        "name": d.name,
        "vendor": d.vendor,
        "category": d.category,
        "architecture": d.architecture,
        "year": d.year,
        "status": d.status,
        "compute": d.compute,
        "visible_bytes": d.visible_bytes,
        "visible_basis": d.visible_basis,
        "driver_bytes": d.driver_bytes,
        "driver_basis": d.driver_basis,
        "memory_type": d.memory_type,
        "ram_bytes": d.ram_bytes,
        "bandwidth_bytes_per_s": d.bandwidth_bytes_per_s,
        "dense_tflops": d.tflops._asdict(),
        "link": d.link,
        "link_bytes_per_s": d.link_bytes_per_s,
        "per_machine": d.per_machine,
        "domain": d.domain,
        "cheapest": {"instance": offers[0][2].id, "gpus": offers[0][2].gpu_count, "usd_per_hour": offers[0][0]} if offers else None,
        "confidence": d.confidence,
        "notes": d.notes,
        "conflict": d.conflict,
        "aliases": list(d.aliases),
        "sources": list(d.sources),
    }
