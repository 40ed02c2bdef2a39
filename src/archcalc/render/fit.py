"""A fit: the verdict, a bar of the fullest GPU, the plan and what else was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from archcalc import units
from archcalc.render.rows import Column, count, markdown_text, text, write_markdown
from archcalc.render.terminal import console, plain_table, write_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.text import Text

    from archcalc.report import FitPlan, FitReport

_LABEL = 12
# A command is broken for the narrowest terminal, however wide this one is.
_PASTED = 80
# Letters tell the parts of the bar apart where there is no colour.
_PARTS = (
    ("weights", "weights_bytes", "W", "cyan"),
    ("activations", "activation_bytes", "A", "yellow"),
    ("overhead", "overhead_bytes", "O", "magenta"),
    ("KV cache", "kv_needed_bytes", "K", "green"),
)


def plan_text(p: FitPlan) -> str:
    """`TP 8, EP 8, fp8 weights, bf16 cache`."""
    ways = [f"{name.upper()} {n}" for name, n in (("tp", p.tp), ("pp", p.pp), ("ep", p.ep), ("dp", p.dp)) if n > 1]
    return ", ".join([*(ways or ["one GPU"]), f"{p.quant} weights", f"{p.kv_dtype} cache"])


def bar(r: FitReport, width: int) -> Text:
    """The memory of the fullest GPU to scale, the memory that the engine leaves alone as `.`, what is missing beyond the end as `!`."""
    from rich.text import Text

    g = r.per_gpu
    needed = g.weights_bytes + g.activation_bytes + g.overhead_bytes + g.kv_needed_bytes
    scale = max(needed, g.memory_bytes)
    line, at, drawn = Text(), 0, 0
    edge = round(min(g.memory_bytes, scale) / scale * width)
    for _, key, letter, style in _PARTS:
        at += max(0, getattr(g, key))
        upto = round(at / scale * width)
        inside = max(0, min(upto, edge) - drawn)
        line.append(letter * inside, style=style)
        line.append("!" * max(0, upto - max(edge, drawn)), style="red")
        drawn = max(drawn, upto)
    free = round(min(g.budget_bytes, scale) / scale * width)
    line.append(" " * max(0, free - drawn))
    line.append("." * max(0, edge - max(free, drawn)), style="dim")
    return line


def write_command(command: str, page: Console) -> None:
    """A command as it can be pasted: broken at its flags, with nothing around it."""
    from rich.text import Text

    from archcalc.analysis.command import wrapped

    if command:
        page.print("\nCommand", style="bold")
        for line in wrapped(command, min(page.width, _PASTED)):
            # A long word is left whole, for the terminal to fold.
            page.print(Text(line), soft_wrap=True)


def write_page(r: FitReport, out: TextIO, explain: bool = False) -> None:
    """One fit, as text."""
    from rich.text import Text

    page, g = console(out), r.per_gpu
    page.print(Text.assemble((r.source, "bold"), f"  ({r.gpus} x {r.gpu}, {r.engine})"))
    page.print(Text(r.verdict, style="bold green" if r.fits else "bold red"))
    page.print()
    page.print(Text.assemble("[", bar(r, page.width - 2), "]"))
    table = plain_table(heads=False)
    table.add_column(no_wrap=True)
    table.add_column(min_width=_LABEL)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, key, letter, _ in _PARTS:
        size = getattr(g, key)
        share = units.format_share(max(0, size), g.memory_bytes)
        what = f"{r.concurrency} x {units.format_tokens(r.context_tokens)} tokens" if key == "kv_needed_bytes" else ""
        table.add_row(letter, name, units.format_bytes(size), f"{share} of the GPU{', ' + what if what else ''}")
    spare = g.headroom_bytes
    table.add_row("" if spare >= 0 else "!", "to spare" if spare >= 0 else "missing", units.format_bytes(abs(spare)), "")
    table.add_row(
        ".",
        "not taken",
        units.format_bytes(g.memory_bytes - g.budget_bytes),
        f"of {units.format_bytes(g.memory_bytes)} that the engine sees",
    )
    page.print(table)
    page.print()
    table = plain_table(heads=False)
    table.add_column(style="dim", min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("plan", f"{plan_text(r.plan)}: {r.why}")
    table.add_row(
        "holds",
        f"{units.format_tokens(r.max_context_tokens)} tokens at this concurrency, or {r.max_concurrency:,.2f} such sequences",
    )
    if r.kv_tokens:
        table.add_row("KV tokens", f"{r.kv_tokens:,} in all, as the engine reports")
    for name, words in speed_rows(r):
        table.add_row(name, words)
    if r.start.flag and not r.start.starts:
        table.add_row("to start", r.start.flag)
    page.print(table)
    write_command(r.command, page)
    if r.would_fit:
        page.print("\nWould fit" if not r.fits else "\nAlso", style="bold")
        table = plain_table(heads=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for change in r.would_fit:
            price = f", from ${change.usd_per_hour:,.2f} an hour" if change.usd_per_hour is not None else ""
            table.add_row(change.what, change.options, f"{units.format_bytes(change.headroom_bytes)} to spare{price}")
        page.print(table)
    elif not r.fits:
        page.print("\nNo change that was tried makes it fit.")
    if r.runners_up:
        page.print("\nOther plans", style="bold")
        table = plain_table(heads=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for other in r.runners_up:
            spare_text = units.format_bytes(abs(other.headroom_bytes)) + (" to spare" if other.fits else " missing")
            table.add_row(plan_text(other.plan), f"{spare_text}, {other.max_concurrency:,.2f} sequences")
        page.print(table)
    if explain:
        page.print("\nHow", style="bold")
        table = plain_table(heads=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for e in r.explain:
            table.add_row(e.name, units.format_exact(e.bytes), f"{e.formula}{'; ' + e.source if e.source else ''}")
        for t in r.speed.terms:
            stands = f"{t.rows:,} rows of {t.sources} sources"
            table.add_row(f"{t.phase}: {t.name}", f"{t.ms:,.3f} ms", f"{t.formula} x {t.coefficient:.4g}; fitted to {stands}")
        page.print(table)
    write_notes(page, r.notes)


def speed_rows(r: FitReport) -> Iterator[tuple[str, str]]:
    """How fast and at what price, a label and words each: the forecast with its 80 %, or the bound and why nothing is forecast."""
    s, c = r.speed, r.cost
    if not r.fits:
        return
    load = f"{units.format_tokens(s.isl)} prompt and {units.format_tokens(s.osl)} output tokens, {r.concurrency:,} at once"
    if s.tpot_ms is not None:
        each = 1000 / s.tpot_ms
        yield "a token", f"{_ms(s.tpot_ms)} ({_ms(s.tpot_ms_low)} to {_ms(s.tpot_ms_high)}): {each:,.3g} tokens/s each; {load}"
        if r.concurrency > 1:
            low, high = s.decode_tokens_per_s_low, s.decode_tokens_per_s_high
            yield "in all", f"{s.decode_tokens_per_s:,.0f} tokens/s ({low:,.0f} to {high:,.0f})"
    if s.prefill_tokens_per_s is not None:
        low, high = s.prefill_tokens_per_s_low, s.prefill_tokens_per_s_high
        yield "prompt", f"{s.prefill_tokens_per_s:,.0f} tokens/s ({low:,.0f} to {high:,.0f})"
    if s.ttft_ms is not None:
        yield "first token", f"{_ms(s.ttft_ms)} ({_ms(s.ttft_ms_low)} to {_ms(s.ttft_ms_high)}), by how requests arrive"
    if s.bound_tokens_per_s is not None:
        floor = "" if s.prefill_ms_floor is None else f"; a prompt takes at least {_ms(s.prefill_ms_floor)} (matrix units)"
        yield "bound", f"at most {s.bound_tokens_per_s:,.0f} tokens/s (bandwidth){floor}"
    elif s.prefill_ms_floor is not None:
        yield "bound", f"an input of {units.format_tokens(s.isl)} takes at least {_ms(s.prefill_ms_floor)} (matrix units)"
    if s.why:
        yield "not forecast", s.why
    elif s.stands_on:
        yield "stands on", s.stands_on
    if s.target is not None:
        yield "target", s.target.why or f"kept with a margin of {s.target.margin:g}: {r.concurrency:,} requests at once"
    if r.usd_per_hour is not None:
        price = f"from ${r.usd_per_hour:,.2f} an hour ({r.instance})"
        if c and c.usd_per_million_output_tokens is not None:
            price += (
                f"; ${c.usd_per_million_output_tokens:,.3g} a million output tokens"
                f" (${c.usd_per_million_output_tokens_low:,.3g} to ${c.usd_per_million_output_tokens_high:,.3g}), {c.of}"
            )
        yield "rent", price


def _ms(value: float | None) -> str:
    return "" if value is None else units.format_seconds(value / 1000)


def write_markdown_page(r: FitReport, out: TextIO) -> None:
    """One fit under a heading."""
    out.write(f"## {markdown_text(r.source)} on {r.gpus} x {r.gpu}\n\n{markdown_text(r.verdict)}\n\n")
    g = r.per_gpu
    rows = [{"part": name, "bytes": getattr(g, key)} for name, key, _, _ in _PARTS]
    rows += [
        {"part": "to spare" if r.fits else "missing", "bytes": abs(g.headroom_bytes)},
        {"part": "budget", "bytes": g.budget_bytes},
    ]
    write_markdown((Column("part", "Fullest GPU"), Column("bytes", "Memory", units.format_bytes, True)), rows, out)
    out.write(f"\nPlan: {plan_text(r.plan)} ({r.why})\n")
    if r.command:
        from archcalc.analysis.command import wrapped

        lines = "\n".join(wrapped(r.command))
        out.write(f"\n```console\n{lines}\n```\n")
    for change in r.would_fit:
        out.write(f"\n- would fit with {change.what}: `{change.options}`")
    out.write("\n" if r.would_fit else "")
    for i, note in enumerate(r.notes):
        out.write(f"{'' if i else chr(10)}- {markdown_text(note)}\n")


COLUMNS = tuple(
    Column(key, key)
    for key in (
        "source", "gpu", "gpus", "engine", "fits", "tp", "pp", "ep", "dp", "quant", "kv_dtype", "memory_bytes", "budget_bytes",
        "weights_bytes", "activation_bytes", "overhead_bytes", "kv_room_bytes", "kv_needed_bytes", "headroom_bytes", "context_tokens",
        "concurrency", "max_context_tokens", "max_concurrency", "kv_tokens", "decode_tokens_per_s_ceiling", "usd_per_hour",
    )
)  # fmt: skip


def row(r: FitReport) -> dict[str, Any]:
    """The main figures of one fit, flat."""
    flat = {**vars(r), **vars(r.plan), **vars(r.per_gpu)}
    return {column.key: flat[column.key] for column in COLUMNS}


def list_row(r: FitReport, params_total: int, license_name: str | None) -> dict[str, Any]:
    """One model of a list."""
    return {**row(r), "params_total": params_total, "license": license_name, "plan": plan_text(r.plan), "verdict": r.verdict}


def _yes(value: Any) -> str:
    return "fits" if value else "no"


def _tokens(value: Any) -> str:
    return units.format_tokens(value) if value else ""


def _rate(value: Any) -> str:
    return "" if value is None else f"{value:,.0f}"


LIST_COLUMNS = (
    Column("source", "model"),
    Column("params_total", "size", count, right=True),
    Column("fits", "verdict", _yes),
    Column(
        "headroom_bytes",
        "to spare",
        lambda value: ("" if value >= 0 else "-") + units.format_bytes(abs(value)),
        right=True,
        spare=1,
    ),
    Column("max_context_tokens", "context", _tokens, right=True),
    Column("max_concurrency", "sequences", lambda value: f"{value:,.1f}", right=True, spare=2),
    Column("decode_tokens_per_s_ceiling", "tokens/s at most", _rate, right=True, spare=3),
    Column("plan", "plan", text, spare=4),
    Column("license", "license", text, spare=5),
)
