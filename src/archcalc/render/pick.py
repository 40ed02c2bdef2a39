"""A recommendation: the model and how to start it, the reasons, the runners-up."""

from __future__ import annotations

from typing import Any, TextIO

from archcalc import units
from archcalc.render.fit import holds, plan_text, rate, write_command
from archcalc.render.rows import Column, count, text
from archcalc.render.terminal import console, plain_table
from archcalc.report import Pick, Picked


def _time(value: Any) -> str:
    return "" if value is None else units.format_seconds(value)


COLUMNS = (
    Column("name", "model"),
    Column("params_total", "size", count, right=True),
    Column("quant", "weights", text),
    Column("context_tokens", "context", lambda value: units.format_tokens(value) if value else "", right=True),
    Column("rate", "tokens/s", text, right=True),
    Column("params_active", "active", count, right=True, spare=2),
    Column("release", "released", lambda value: text(value)[:7] or "not known", spare=1),
    Column("max_context_tokens", "at most", lambda value: units.format_tokens(value) if value else "", right=True, spare=6),
    Column("max_concurrency", "sequences", units.format_held, right=True, spare=4),
    Column("tpot_seconds_floor", "a token takes at least", _time, right=True, spare=7),
    Column("plan", "plan", text, spare=5),
    Column("license", "license", text, spare=3),
)


CSV = tuple(
    column
    for of in COLUMNS
    for column in (
        [of]
        if of.key != "rate"
        else [
            Column(key, key)
            for key in ("tokens_per_s", "bound_tokens_per_s", "requests_per_s", "usd_per_hour", "usd_per_million_output_tokens")
        ]
    )
)
"""With a forecast and a bound as numbers apart."""


def row(p: Picked) -> dict[str, Any]:
    """One model of the list; its rate is a forecast, or a bound that says so."""
    made = {column.key: getattr(p, column.key, None) for column in (*COLUMNS, *CSV)}
    return {**made, "rate": rate(p.tokens_per_s, p.bound_tokens_per_s), "quant": p.plan.quant, "plan": plan_text(p.plan)}


def write_page(r: Pick, out: TextIO) -> None:
    """One recommendation, as text."""
    from rich.text import Text

    from archcalc.render.rows import write_table

    page = console(out)
    if r.best is None:
        page.print(Text(f"no bundled model meets this on {r.machine}", style="bold red"))
    else:
        best = r.best
        page.print(Text.assemble((best.name, "bold green"), f"  on {r.machine} under {best.engine}: {plan_text(best.plan)}"))
        page.print()
        table = plain_table(heads=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row(
            "size", f"{units.format_count(best.params_total)}, {units.format_count(best.params_active)} active, {best.attention}"
        )
        table.add_row("holds", holds(best.max_context_tokens, best.max_concurrency, best.context_tokens, r.concurrency))
        if best.tpot_seconds_floor is not None:
            full = f"with {units.format_tokens(best.context_tokens)} tokens before it"
            table.add_row(
                "a token", f"takes at least {units.format_seconds(best.tpot_seconds_floor, least=True)} {full} (bandwidth)"
            )
        if best.tpot_ms is not None and best.tpot_ms_low is not None and best.tpot_ms_high is not None:
            low, high = (units.format_seconds(ms / 1000) for ms in (best.tpot_ms_low, best.tpot_ms_high))
            load = f"{units.format_tokens(best.isl)} prompt and {units.format_tokens(best.osl)} output tokens, {r.concurrency:,} at once"
            first = "" if best.ttft_ms is None else f"; {units.format_seconds(best.ttft_ms / 1000)} to the first"
            table.add_row("forecast", f"{units.format_seconds(best.tpot_ms / 1000)} a token ({low} to {high}){first}: {load}")
        if best.usd_per_hour is not None:
            paid = best.usd_per_million_output_tokens
            tokens = "" if paid is None else f"; ${units.format_rate(paid)} a million output tokens, their prompts included"
            of = f"; {best.price_of}" if best.price_of else ""
            table.add_row("rent", f"from ${best.usd_per_hour:,.2f} an hour{tokens}{of}")
        table.add_row("license", best.license or "not known")
        table.add_row("released", best.release or "not known")
        page.print(table)
        write_command(best.command, page)
        page.print("\nWhy", style="bold")
        table = plain_table(heads=False)
        for reason in r.why:
            table.add_row("-", reason)
        page.print(table)
    if r.runners_up:
        page.print("\nRunners-up", style="bold")
        write_table(COLUMNS, [row(p) for p in r.runners_up], out)
    left_out = [f"{n} {why}" for why, n in sorted(r.left_out.items(), key=lambda x: -x[1])]
    left_out += [f"{r.not_judged} not judged, as they stand behind these (--all)"] if r.not_judged else []
    if left_out:
        page.print("\nLeft out: " + ", ".join(left_out), style="dim")
    for note in r.notes:
        page.print(f"- {note}", style="dim")
