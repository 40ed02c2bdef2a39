"""What `archcalc fit` says without SOURCE: every bundled model on the machines, those that fit first."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archcalc.cli._fits import SHOWN, Forms, Order
from archcalc.cli._run import complain, each, failure, leave
from archcalc.errors import ArchcalcError, UsageError

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec


def _order(sort: Order, r: dict[str, Any], timed: bool) -> tuple[float, ...]:
    """Smaller is better; by default what is too slow to be used comes last, unless a time per token was asked for, and before that what
    nobody knows the speed of. The newer and larger model stands first of what is equal."""
    from archcalc.analysis.pick import rank
    from archcalc.analysis.verdict import is_slow
    from archcalc.zoo import standing

    slow = is_slow(r["tokens_per_s"], r["decode_tokens_per_s_ceiling"], r["concurrency"])
    first = {
        Order.best: (float(rank(slow and not timed, r["ram_unrated"] or bool(r["task"]), r["engine"], r["quant"])),),
        Order.size: (-float(r["params_total"]),),
        Order.context: (-float(r["max_context_tokens"]),),
        Order.speed: r["quickest"],
        Order.cost: (float(r["usd_per_million_output_tokens"] or 1e9),),
    }
    return *first[sort], -standing(r["params_total"], r["release"])


def write(
    asks: dict[GpuSpec, tuple[Ask, Wanted]], form: Forms, sort: Order, min_params: int, family: str | None, license_: str | None,
    max_quant: str | None, all_: bool, unsaid: Sequence[str], alone: bool,
) -> None:  # fmt: skip
    """Every bundled model on the machines, those that fit first."""
    from archcalc import zoo
    from archcalc.analysis.choose import steps_of
    from archcalc.analysis.params import components
    from archcalc.analysis.pick import is_fine, listed
    from archcalc.engines.plan import longest_of
    from archcalc.loader import load
    from archcalc.render.fit import list_row, write_list

    entries = [
        e
        for e in zoo.entries()
        if not e.use
        and (not family or family.lower() in e.family.lower())
        and (not license_ or license_.lower() in (e.license or "").lower())
    ]
    by_name = {e.name: e for e in entries}
    if not entries:
        said = " and ".join(f"{option} {word}" for option, word in (("--family", family), ("--license", license_)) if word)
        complain(f"no bundled model is of {said}", "`archcalc models` lists them with their families and licenses")
        if form is Forms.json:
            print("[]")
        leave(1)
    found: list[dict[str, Any]] = []
    for at, (spec, (ask, wanted)) in enumerate(asks.items()):
        steps = () if max_quant or ask.quant else steps_of(spec.device, ask.engine, alone=alone, listed=True)

        fine = (lambda r, wanted=wanted: is_fine(r, wanted)) if wanted.aims else None

        def report(name: str) -> dict[str, Any] | None:
            loaded = load(name)
            total = sum(c.total for c in components(loaded.architecture) if c.part != "mtp")
            longest = longest_of(loaded.architecture, ask)  # noqa: B023
            if total < min_params or (ask.context_tokens and longest and ask.context_tokens > longest):  # noqa: B023
                return None
            limit = None if max_quant == "none" else max_quant
            made = listed(
                loaded, ask, max_quant=limit, wanted=wanted, steps=steps, fine=fine, unsaid=unsaid  # noqa: B023
            )  # fmt: skip
            unrated = made.ram.used_bytes > 0 and made.speed.decode_tokens_per_s is None and wanted.ram_bytes_per_s is None  # noqa: B023
            return list_row(made, total, by_name[name], unrated, wanted.sized)  # noqa: B023

        errors: list[tuple[str, ArchcalcError]] = []
        rows: list[dict[str, Any]] = []
        for name, result in each([e.name for e in entries], report):
            if isinstance(result, ArchcalcError):
                errors.append((name, result))
            elif result is not None:
                rows.append(result)
        if sort is Order.cost and rows and all(r["usd_per_hour"] is None for r in rows):
            raise UsageError(
                f"--sort cost: the catalog has no price of {spec.named}",
                "leave it out, or take --sort speed; a machine has one price",
            )
        rows.sort(key=lambda r: (not r["fits"], r["target_met"] is False, *_order(sort, r, wanted.tpot is not None)))
        found += rows
        if form is Forms.jsonl:
            for r in rows:
                print(json.dumps(_plain(r)))
            for name, error in errors:
                print(json.dumps(failure(name, error)))
        elif form is not Forms.json:
            if at and form in (Forms.table, Forms.markdown):
                print()
            shown, timed = None if all_ else SHOWN, wanted.tpot is not None
            write_list(rows, form.value, sys.stdout, spec, ask, shown, sort.value, unsaid, timed, wanted.sized)
            sys.stdout.flush()
        if len(errors) == 1:
            complain(f"{errors[0][0]}: {errors[0][1].message}")
        elif errors and form is not Forms.jsonl:
            names = ", ".join(name for name, _ in errors)
            complain(
                f"{len(errors)} models are left out, which {ask.engine} does not run so: {names}", "archcalc fit NAME says why"
            )
    if form is Forms.json:
        print(json.dumps([_plain(r) for r in found], indent=2, ensure_ascii=False))
    if not any(r["fits"] and r["target_met"] is not False for r in found):
        leave(1)


def _plain(r: dict[str, Any]) -> dict[str, Any]:
    """A line without what only the words below the table need."""
    return {
        key: value for key, value in r.items() if key not in ("lengths", "ram_unrated", "task", "quickest", "ways", "target_why")
    }
