"""A fit: the verdict, a bar of the fullest GPU, the plan and what else was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from archcalc import units
from archcalc.render.rows import Column, count, markdown_text, text, told_of, write_markdown
from archcalc.render.terminal import console, plain_table, write_notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec
    from archcalc.report import FitPlan, FitReads, FitReport
    from archcalc.zoo import Entry

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

    from archcalc.engines.engine import engine

    page, g = console(out), r.per_gpu
    page.print(Text.assemble((r.source, "bold"), f"  ({r.gpus} x {r.gpu}, {r.engine})"))
    kept = r.speed.target is None or r.speed.target.met
    page.print(Text(r.verdict, style="bold green" if r.fits and kept else "bold red"))
    page.print()
    page.print(Text.assemble("[", bar(r, page.width - 2), "]"))
    table = plain_table(heads=False)
    table.add_column(no_wrap=True)
    table.add_column(min_width=_LABEL, no_wrap=True)
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
    if r.ram is not None and r.ram.used_bytes:
        given = (
            f"of {units.format_bytes(r.ram.budget_bytes)} that the CPU has"
            if r.ram.budget_bytes
            else "in the CPU's memory, of one machine" + (", whose size --ram says" if r.ram.assumed_bytes else "")
        )
        table.add_row("", "RAM", units.format_bytes(r.ram.used_bytes), given)
    page.print(table)
    page.print()
    table = plain_table(heads=False)
    table.add_column(style="dim", min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("plan", f"{plan_text(r.plan)}: {r.why}")
    most = holds(r.max_context_tokens, r.max_concurrency, r.context_tokens, r.concurrency)
    stopped = spare >= 0 and not r.start.starts
    refused = spare >= 0 and not r.fits
    if r.reads is not None and r.max_context_tokens:
        table.add_row("takes" if not refused else "would take", takes(r.max_context_tokens, r.reads))
    else:
        table.add_row("holds" if not refused else "would hold", most)
    if r.kv_tokens and (r.start.starts or spare < 0):
        reported = ", as the engine reports" if engine(r.engine).reports_tokens else ""
        table.add_row("KV tokens", f"{r.kv_tokens:,} in all{reported}")
    for name, words in speed_rows(r):
        table.add_row(name, words)
    if r.start.flag and not r.start.starts:
        table.add_row("to start", r.start.flag)
    if r.assumed:
        table.add_row("assumed", r.assumed)
    page.print(table)
    write_command(r.command, page)
    _write_formats(r, page)
    if r.would_fit:
        own = r.own_context
        page.print(
            "\nWould fit" if not r.fits or own is None else f"\nFor all {units.format_tokens(own.context_tokens)} tokens",
            style="bold",
        )
        table = plain_table(heads=False)
        # Options are pasted: they are on a line each where the columns would break them.
        beside = 2 * max(len(change.options) for change in r.would_fit) <= page.width
        for no_wrap in (False, True, False) if beside else (False,):
            table.add_column(overflow="fold", no_wrap=no_wrap)
        for change in r.would_fit:
            price = f", from ${change.usd_per_hour:,.2f} an hour" if change.usd_per_hour is not None else ""
            left = f"{units.format_bytes(change.headroom_bytes)} to spare" if change.headroom_bytes else ""
            cells = [change.what, change.options, f"{left}{price}"]
            for row in [cells] if beside else [[cell] for cell in cells if cell]:
                table.add_row(*row)
        page.print(table)
    elif not r.fits and not (stopped and r.start.flag):
        page.print("\nNo change that was tried makes it fit.")
    if r.runners_up:
        page.print("\nOther plans", style="bold")
        table = plain_table(heads=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for other in r.runners_up:
            spare_text = units.format_bytes(abs(other.headroom_bytes)) + (" to spare" if other.headroom_bytes >= 0 else " missing")
            spare_text += "" if other.fits or other.headroom_bytes < 0 else ", and does not start"
            made = "" if other.tokens_per_s is None else f", {units.format_rate(other.tokens_per_s)} tokens/s"
            if other.tokens_per_s is None and other.bound_tokens_per_s is not None:
                made = f", at most {units.format_at_most(other.bound_tokens_per_s)} tokens/s"
            if r.concurrency > 1 and other.requests_per_s is not None:
                made = f", {units.format_rate(other.requests_per_s)} requests/s"
            table.add_row(plan_text(other.plan), f"{spare_text}, {units.format_held(other.max_concurrency)} sequences{made}")
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


def _write_formats(r: FitReport, page: Console) -> None:
    """The storages that were tried because none was asked for, and how to start those that are not the plan."""
    from rich.text import Text

    from archcalc.analysis.command import wrapped

    if not r.formats:
        return
    page.print("\nFormats", style="bold")
    table = plain_table()
    for head, side in (("weights", "left"), ("engine", "left"), ("fits", "left"), ("size", "right"), ("context", "right")):
        table.add_column(head, justify="right" if side == "right" else "left", no_wrap=True)
    table.add_column("tokens/s" if r.concurrency == 1 else "tokens/s each", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for f in r.formats:
        what = "as published" if f.as_published else "all of the context" if f.whole_context else ""
        context = units.format_tokens(f.context_tokens) if f.fits else ""
        shown = rate(f.tokens_per_s, f.bound_tokens_per_s)
        table.add_row(f.quant, f.engine, _yes(f.fits), units.format_bytes(f.weights_bytes), context, shown, what)
    page.print(table)
    for f in r.formats:
        if f.command and f.command != r.command:
            page.print(f"\nIn {f.quant}", style="bold")
            for line in wrapped(f.command, min(page.width, _PASTED)):
                page.print(Text(line), soft_wrap=True)


def holds(longest: int, most: float, context: int, concurrency: int) -> str:
    """How much the cache holds, every sequence taken as full: `up to 45,136 tokens in each of 8 sequences, or 40 sequences of 8k`."""
    if not longest and most >= 1:
        full = f"{units.format_held(most)} sequences if every one is {units.format_tokens(context)} long, more if they are shorter"
        return f"fewer than {concurrency:,} sequences, however short: {full}"
    if not longest and most < 1:
        return "not one sequence of that context" if most else "nothing: weights and overhead leave no room"
    each = "" if concurrency == 1 else f" in each of {concurrency:,} sequences"
    whole = f"; {units.format_held(most)} sequences if every one is {units.format_tokens(context)} long, more if they are shorter"
    return f"up to {units.format_tokens(longest)} tokens{each}{whole}"


def takes(longest: int, reads: FitReads) -> str:
    """What a model that decodes nothing reads: `inputs of up to 8k tokens, 256 at once, in batches of up to 8,192 tokens`."""
    at_once = "one at a time" if reads.inputs == 1 else f"{reads.inputs:,} at once"
    batch = f", in batches of up to {reads.batch_tokens:,} tokens" if reads.batch_tokens >= longest else ""
    return f"inputs of up to {units.format_tokens(longest)} tokens, {at_once}{batch}"


def speed_rows(r: FitReport) -> Iterator[tuple[str, str]]:
    """How fast and at what price, a label and words each: the forecast with its 80 %, or the bound and why nothing is forecast."""
    from archcalc.analysis.speed.plan import RAISED

    s, c = r.speed, r.cost
    if not r.fits and s.bound_tokens_per_s is None:
        return
    if not r.fits and s.tpot_ms is not None and (s.stands_on or "").startswith(RAISED):
        yield "if raised", "the speed where the GPU is given more of the memory than by default, as the notes say"
    load = f"{units.format_tokens(s.isl)} prompt and {units.format_tokens(s.osl)} output tokens, {s.concurrency:,} at once"
    if s.tpot_ms is not None:
        each = 1000 / s.tpot_ms
        yield (
            "a token",
            f"{_ms(s.tpot_ms)} ({_ms(s.tpot_ms_low)} to {_ms(s.tpot_ms_high)}): {units.format_rate(each)} tokens/s each; {load}",
        )
        if s.concurrency > 1:
            low, high = s.decode_tokens_per_s_low, s.decode_tokens_per_s_high
            yield "in all", f"{s.decode_tokens_per_s:,.0f} tokens/s ({low:,.0f} to {high:,.0f}) as they decode"
    if s.requests_per_s is not None and (s.concurrency > 1 or s.osl == 1):
        whole, least, most = map(units.format_rate, (s.requests_per_s, s.requests_per_s_low or 0, s.requests_per_s_high or 0))
        of = f": {units.format_rate(s.osl * s.requests_per_s)} output tokens/s" if s.tpot_ms is not None else f"; {load}"
        yield "requests", f"{whole} a second ({least} to {most}), each begun when another ends{of}"
    if s.prefill_tokens_per_s is not None:
        low, high = s.prefill_tokens_per_s_low, s.prefill_tokens_per_s_high
        alone = "" if s.concurrency == 1 else " in all, where it reads nothing but prompts"
        yield "prompt", f"{s.prefill_tokens_per_s:,.0f} tokens/s ({low:,.0f} to {high:,.0f}){alone}"
    if s.ttft_ms is not None:
        yield "first token", f"{_ms(s.ttft_ms)} ({_ms(s.ttft_ms_low)} to {_ms(s.ttft_ms_high)}), by how requests arrive"
    if s.bound_tokens_per_s is not None:
        floor = "" if s.prefill_ms_floor is None else f"; a prompt takes at least {_least(s.prefill_ms_floor)} (matrix units)"
        yield "bound", f"at most {units.format_at_most(s.bound_tokens_per_s)} tokens/s (bandwidth){floor}"
    elif s.prefill_ms_floor is not None:
        yield "bound", f"an input of {units.format_tokens(s.isl)} takes at least {_least(s.prefill_ms_floor)} (matrix units)"
    if s.why:
        yield "not forecast", s.why
    if s.stands_on:
        yield "stands on", s.stands_on
    if s.target is not None:
        ways = [f"with a margin of {s.target.margin:g}"] if s.target.tpot_ms is not None else []
        ways += ["by the end of the first token's 80 %"] if s.target.ttft_ms is not None else []
        yield (
            "target",
            s.target.why
            or f"kept {' and '.join(ways)}: {s.concurrency:,} request{'' if s.concurrency == 1 else 's'} at once"
            + (f"; {s.target.limit}" if s.target.limit else ""),
        )
    if r.usd_per_hour is not None:
        price = f"from ${r.usd_per_hour:,.2f} an hour ({r.instance})"
        if c and c.usd_per_million_output_tokens is not None:
            low, high = c.usd_per_million_output_tokens_low or 0, c.usd_per_million_output_tokens_high or 0
            tokens = f"; ${units.format_rate(c.usd_per_million_output_tokens)} a million output tokens, their prompts included"
            price += f"{tokens} (${units.format_rate(low)} to ${units.format_rate(high)})"
            if c.usd_per_million_input_tokens is not None:
                low, high = c.usd_per_million_input_tokens_low or 0, c.usd_per_million_input_tokens_high or 0
                tokens = units.format_rate(c.usd_per_million_input_tokens)
                price += f"; ${tokens} a million prompt tokens where it reads nothing but prompts"
                price += f" (${units.format_rate(low)} to ${units.format_rate(high)})"
        if c:
            price += f"; {c.of}"
        yield "rent", price


def _ms(value: float | None) -> str:
    return "" if value is None else units.format_seconds(value / 1000)


def _least(ms: float) -> str:
    return units.format_seconds(ms / 1000, least=True)


def write_markdown_page(r: FitReport, out: TextIO) -> None:
    """One fit under a heading."""
    out.write(f"## {markdown_text(r.source)} on {r.gpus} x {r.gpu}\n\n{markdown_text(r.verdict)}\n\n")
    g = r.per_gpu
    rows = [{"part": name, "bytes": getattr(g, key)} for name, key, _, _ in _PARTS]
    rows += [
        {"part": "to spare" if g.headroom_bytes >= 0 else "missing", "bytes": abs(g.headroom_bytes)},
        {"part": "budget", "bytes": g.budget_bytes},
    ]
    write_markdown((Column("part", "Fullest GPU"), Column("bytes", "Memory", units.format_bytes, True)), rows, out)
    out.write(f"\nPlan: {plan_text(r.plan)} ({r.why})\n")
    if speeds := [{"what": name, "words": words} for name, words in speed_rows(r)]:
        out.write("\n")
        write_markdown((Column("what", "Speed"), Column("words", "Forecast")), speeds, out)
    if r.command:
        from archcalc.analysis.command import wrapped

        lines = "\n".join(wrapped(r.command))
        out.write(f"\n```console\n{lines}\n```\n")
    if r.assumed:
        out.write(f"\nTaken for granted: {markdown_text(r.assumed)}\n")
    if r.formats:
        out.write("\n")
        columns = (
            Column("quant", "Weights"), Column("engine", "Engine"), Column("fits", "Fits", _yes),
            Column("weights_bytes", "Size", units.format_bytes, True), Column("context_tokens", "Context", _tokens, True),
            Column("command", "Command", lambda value: f"`{value}`" if value else ""),
        )  # fmt: skip
        write_markdown(columns, [{**vars(f), "context_tokens": f.context_tokens if f.fits else 0} for f in r.formats], out)
    for change in r.would_fit:
        out.write(f"\n- {'would fit' if not r.fits else 'all of its context would fit'} with {change.what}: `{change.options}`")
    out.write("\n" if r.would_fit else "")
    for i, note in enumerate(r.notes):
        out.write(f"{'' if i else chr(10)}- {markdown_text(note)}\n")


COLUMNS = tuple(
    Column(key, key)
    for key in (
        "source", "gpu", "gpus", "engine", "fits", "tp", "pp", "ep", "dp", "quant", "kv_dtype", "memory_bytes", "budget_bytes",
        "weights_bytes", "activation_bytes", "overhead_bytes", "kv_room_bytes", "kv_needed_bytes", "headroom_bytes", "context_tokens",
        "concurrency", "max_context_tokens", "max_concurrency", "kv_tokens", "decode_tokens_per_s_ceiling", "usd_per_hour",
        "tokens_per_s", "tokens_per_s_low", "tokens_per_s_high", "requests_per_s", "usd_per_million_output_tokens", "price_of", "command",
    )
)  # fmt: skip


def row(r: FitReport) -> dict[str, Any]:
    """The main figures of one fit, flat; `tokens_per_s` is the forecast of all requests together as they decode, `requests_per_s` of whole
    ones, null where nothing is."""
    s, c = r.speed, r.cost
    flat = {
        **vars(r),
        **vars(r.plan),
        **vars(r.per_gpu),
        **dict.fromkeys(("tokens_per_s", "tokens_per_s_low", "tokens_per_s_high", "requests_per_s")),
        **(
            {name: getattr(s, f"decode_{name}") for name in ("tokens_per_s", "tokens_per_s_low", "tokens_per_s_high")}
            | {"requests_per_s": s.requests_per_s}
            if r.fits
            else {}
        ),
        "usd_per_million_output_tokens": c.usd_per_million_output_tokens if c else None,
        "price_of": c.of if c else None,
    }
    return {column.key: flat[column.key] for column in COLUMNS}


def table_row(r: FitReport) -> dict[str, Any]:
    """One line of a table of models and machines."""
    return {
        **row(r),
        "machine": f"{r.gpus}x{r.gpu}",
        "plan": ways(r.plan),
        "bound": r.speed.bound_tokens_per_s if r.fits else None,
        "ram_bytes": _in_ram(r),
        "target_met": r.speed.target.met if r.speed.target else None,
        "lengths": (r.speed.isl, r.speed.osl),
    }


def _in_ram(r: FitReport) -> int:
    return r.ram.used_bytes if r.ram is not None and r.fits else 0


def refused_row(source: str, gpu: str, gpus: int) -> dict[str, Any]:
    """The line of a model that is not judged on a machine: why stands beside the table."""
    return {**dict.fromkeys((c.key for c in FITS), None), "source": source, "machine": f"{gpus}x{gpu}", "fits": None, "bound": None}


def ways(p: FitPlan) -> str:
    """`TP 8 EP 8`, `1 GPU`."""
    return (
        " ".join(f"{name.upper()} {n}" for name, n in (("tp", p.tp), ("pp", p.pp), ("ep", p.ep), ("dp", p.dp)) if n > 1) or "1 GPU"
    )


def list_row(r: FitReport, params_total: int, entry: Entry, ram_unrated: bool = False, sized: bool = False) -> dict[str, Any]:
    """One model of a list. `ram_unrated` is whether its speed rests on the CPU's memory, of which nobody says how fast it is;
    `sized` is whether the lengths of requests were asked about."""
    from archcalc.analysis.speed.plan import quickest

    return {
        **row(r),
        "params_total": params_total,
        "license": entry.license,
        "release": entry.release,
        "plan": plan_text(r.plan),
        "ways": ways(r.plan),
        "verdict": r.verdict,
        "ram_bytes": _in_ram(r),
        "own_context_tokens": r.own_context.context_tokens if r.own_context else None,
        "bound": r.speed.bound_tokens_per_s if r.fits else None,
        "target_met": r.speed.target.met if r.speed.target else None,
        "target_why": r.speed.target.why if r.speed.target else None,
        "lengths": (r.speed.isl, r.speed.osl),
        "ram_unrated": ram_unrated,
        "task": entry.task,
        "quickest": quickest(r.speed, sized, ram_unrated),
    }


def _yes(value: Any) -> str:
    return {True: "yes", False: "no", None: "refused"}[value]


def _tokens(value: Any) -> str:
    return units.format_tokens(value) if value else ""


def _usd(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"


def _a_million(value: Any) -> str:
    return "" if value is None else units.format_rate(value)


def _spare(value: Any) -> str:
    return "" if value is None else ("" if value >= 0 else "-") + units.format_bytes(abs(value))


def _sequences(value: Any) -> str:
    return "" if value is None else units.format_held(value)


_RAM = Column("ram_bytes", "in RAM", lambda value: units.format_bytes(value) if value else "", right=True)
"""What lies in the CPU's memory, where any line has some there."""

_AT_ONCE = Column("requests", "requests", lambda value: f"{value:,}" if value else "", right=True)
"""How many requests at once a target lets run, where one was asked for."""

_WHOLE = Column("whole", "requests/s", lambda value: "" if value is None else units.format_rate(value), right=True, spare=3)
"""Whole requests a second, where several run at once or their lengths are no usual ones."""

FITS = (
    Column("source", "model"),
    Column("machine", "machine"),
    Column("fits", "fits", _yes),
    Column("quant", "weights", text),
    _RAM,
    Column("context_tokens", "context", _tokens, right=True),
    Column("max_concurrency", "sequences", _sequences, right=True, spare=4),
    _AT_ONCE,
    Column("rate", "tokens/s", text, right=True),
    _WHOLE,
    Column("usd_per_hour", "$/hour", _usd, right=True, spare=1),
    Column("usd_per_million_output_tokens", "$/M tokens", _a_million, right=True, spare=2),
    Column("plan", "plan", text, spare=5),
    Column("headroom_bytes", "to spare", _spare, right=True, spare=7),
    Column("engine", "engine", text, spare=6),
)
"""A table of models and machines. `max_concurrency` is of sequences that are all as long as the context."""

_ENGINE = Column("engine", "engine", text, spare=1)
LIST = (
    Column("source", "model"),
    Column("params_total", "size", count, right=True, spare=1),
    Column("fits", "fits", _yes),
    Column("quant", "weights", text),
    _ENGINE,
    _RAM,
    Column("context_tokens", "context", _tokens, right=True),
    _AT_ONCE,
    Column("rate", "tokens/s", text, right=True),
    _WHOLE,
    Column("usd_per_million_output_tokens", "$/M tokens", _a_million, right=True),
    Column("release", "released", lambda value: text(value)[:7] or "not known", spare=2),
    Column("headroom_bytes", "to spare", _spare, right=True, spare=3),
    Column("max_concurrency", "sequences", _sequences, right=True, spare=5),
    Column("license", "license", text, spare=4),
    Column("ways", "plan", text, spare=6),
)


def rate(forecast: float | None, bound: float | None) -> str:
    """Tokens a second as a cell: the forecast, else a bound that says that it is one.

    >>> rate(1234.5, 2000.0), rate(9.94, None), rate(None, 2000.2), rate(None, None)
    ('1,234', '9.9', '<= 2,001', '')
    """
    if forecast is None:
        return "" if bound is None else f"<= {units.format_at_most(bound)}"
    return f"{forecast:,.0f}" if forecast >= 10 else f"{forecast:,.1f}"


def _shown(r: dict[str, Any]) -> dict[str, Any]:
    """With the forecast as a cell; a bound says that it is one. A line that does not fit names no plan."""
    from archcalc.analysis.speed.plan import USUAL

    requests = r["concurrency"] if r["fits"] and r.get("target_met") is not None else None
    several = "lengths" in r and (r["concurrency"] != 1 or r["lengths"] != (USUAL, USUAL))
    plans = {} if r["fits"] is not False else dict.fromkeys(("plan", "ways"), "")
    cell = rate(r["tokens_per_s"] if r["fits"] else None, r.get("bound"))
    return {**r, **plans, "rate": cell, "requests": requests, "whole": r.get("requests_per_s"), "several": several}


def write_fits(reports: Sequence[FitReport | dict[str, Any]], form: str, out: TextIO, more: Sequence[str] = ()) -> None:
    """Models and machines as one table, with `more` and what it stands on below; a dictionary is the line of one that was refused."""
    made = [r for r in reports if not isinstance(r, dict)]
    lines = [_shown(r if isinstance(r, dict) else table_row(r)) for r in reports]
    # A list of all machines names its model below it, and what it holds fits.
    same = {"fits"} if all(line["fits"] for line in lines) else set()
    same |= {"source"} if len({line["source"] for line in lines}) == 1 else set()
    columns = told(tuple(column for column in FITS if not (more and column.key in same)), lines)
    legends = told_of(tuple(_table_notes(made)), [column.head for column in FITS if column not in columns])
    notes = [*more, *_would_fit(made), *_missed(made), *legends]
    _write(form, columns, lines, ", ".join(dict.fromkeys(str(line["source"]) for line in lines)), notes, out)


def told(columns: Sequence[Column], lines: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns without that of the CPU's memory, where nothing lies there, of requests, where no target finds their number, of whole
    ones, where one of usual lengths runs at a time, and of the engine, where it is that of all."""
    some = {id(_RAM): "ram_bytes", id(_AT_ONCE): "requests", id(_WHOLE): "several"}
    if len({line.get("engine") for line in lines}) < 2:
        columns = [c for c in columns if c is not _ENGINE]
    return tuple(c for c in columns if id(c) not in some or any(line.get(some[id(c)]) for line in lines))


def _write(
    form: str, columns: Sequence[Column], lines: list[dict[str, Any]], title: str, notes: Sequence[str], out: TextIO
) -> None:
    """A table in one of its forms, with what qualifies it below."""
    from archcalc.render.rows import write_html, write_latex, write_table

    if form == "latex":
        write_latex(columns, lines, out, notes)
    elif form == "html":
        write_html(columns, lines, out, title, notes)
    elif form == "markdown":
        write_markdown(columns, lines, out)
        out.writelines(f"\n{markdown_text(note)}\n" for note in notes)
    else:
        left_out = write_table(columns, lines, out)
        page = console(out)
        page.print()
        for note in told_of(notes, left_out):
            page.print(note, style="dim")


def _would_fit(reports: Sequence[FitReport]) -> Iterator[str]:
    """For each line that does not fit the first change that makes it fit, a shorter context last; one that helps several is said once."""
    helped: dict[str, list[str]] = {}
    models = {r.source for r in reports}
    for r in reports:
        if not r.fits:
            change = next(iter(sorted(r.would_fit, key=lambda each: each.options.startswith("--ctx"))), None)
            words = f"would fit with {change.what}: {change.options}" if change else "no change that was tried makes it fit"
            if r.start.flag and not r.start.starts and r.per_gpu.headroom_bytes >= 0:
                words = f"would start with {r.start.flag}"
            helped.setdefault(words, []).append(f"{r.source} on {r.gpus}x{r.gpu}" if len(models) > 1 else f"{r.gpus}x{r.gpu}")
    for words, lines in helped.items():
        yield f"{', '.join(lines)}: {words}"


def _missed(reports: Sequence[FitReport]) -> Iterator[str]:
    """Of each line that fits and misses the target that was asked for, by how much."""
    for r in reports:
        if r.fits and r.speed.target is not None and not r.speed.target.met:
            yield f"{r.source} on {r.gpus}x{r.gpu} is not shown to keep the target: {r.speed.target.why}"


def _table_notes(reports: Sequence[FitReport]) -> Iterator[str]:
    """What the columns of a table are of."""
    first = reports[0]
    at_once = {r.concurrency for r in reports}
    load = f"{_lengths([(r.speed.isl, r.speed.osl) for r in reports])} a request"
    load += f", {first.concurrency:,} at once" if len(at_once) == 1 else ", as many at once as the line is of"
    yield (
        f"tokens/s: forecast of all requests together as they decode, {load}; <= is a bound, where none is. $/M tokens: of the output of"
        " whole requests, their prompts included."
    )
    yield "requests/s: whole requests a second, each begun when another ends; plans and prices go by them."
    if any(r.speed.target is not None for r in reports):
        yield "requests: the most at once that keep the target (--tpot, --ttft), or as many as were asked for."
    yield "sequences: how many the cache holds if every one is as long as the context; shorter ones are more."
    if assumed := _assumed(reports):
        yield f"taken for granted: {assumed}"
    if free := list(dict.fromkeys(f"{r.gpus}x{r.gpu}" for r in reports if r.usd_per_hour is None)):
        yield f"no price is listed of {', '.join(free)}"
    prices = list(dict.fromkeys((f"{r.gpus}x{r.gpu}", r.cost.of) for r in reports if r.cost))
    for machine, of in prices[:_PRICES]:
        yield f"price of {machine}: {of}"
    if len(prices) > _PRICES:
        yield f"prices of the other {len(prices) - _PRICES}: the cheapest listing of each likewise; --format json names them (cost.of)"


def _lengths(requests: Sequence[tuple[int, int]]) -> str:
    """`1k prompt and 512 to 1k output tokens`: those of all lines, for a model whose context is short has shorter requests."""
    spans = [
        " to ".join(dict.fromkeys(units.format_tokens(n) for n in (min(tokens), max(tokens))))
        for tokens in zip(*requests, strict=True)
    ]
    return "{} prompt and {} output tokens".format(*spans) if spans else ""


_PRICES = 6
"""Machines whose price is told of in full below a table."""


_OR = {
    "--quant": "weights as published, or in a format that fits (--quant)",
    "--ctx": "the model's own context, or the longest that fits (--ctx)",
}
"""What is taken for granted where it is not the same in all lines."""


def _assumed(reports: Sequence[FitReport]) -> str:
    """What was taken for granted in all of them, an option each."""
    said: dict[str, list[str]] = {}
    for r in reports:
        for words in r.assumed.split("; ") if r.assumed else ():
            option = words.rpartition("(")[2].rstrip(")")
            if words not in said.setdefault(option, []):
                said[option].append(words)
    plain = [_OR.get(option, " or ".join(words)) if len(words) > 1 else words[0] for option, words in said.items()]
    return "; ".join(plain)


def write_list(
    rows: Sequence[dict[str, Any]],
    form: str,
    out: TextIO,
    spec: GpuSpec,
    ask: Ask,
    most: int | None,
    order: str,
    unsaid: Sequence[str],
    timed: bool = False,
    sized: bool = False,
) -> None:
    """Models on one machine; `most` lines, of those that fit, unless that is None. `timed` is whether a time per token was asked for,
    `sized` whether the lengths of requests were."""
    from archcalc.engines.engine import LOCAL, server
    from archcalc.render.rows import write_csv

    fitting = [r for r in rows if r["fits"] and r["target_met"] is not False]
    aimed = any(r["target_met"] is not None for r in rows)
    kept = list(rows) if most is None or form == "csv" else fitting[:most]
    if form == "csv":
        write_csv((*COLUMNS, *(Column(k, k) for k in ("params_total", "license", "release"))), kept, out)
        return
    lines = [_shown(r) for r in kept]
    idle = {"fits"} if len(kept) <= len(fitting) else set()
    idle |= {"usd_per_million_output_tokens"} if order != "cost" else set()
    columns = told([column for column in LIST if column.key not in idle], lines)
    notes = []
    engines = list(dict.fromkeys([ask.engine, *(r["engine"] for r in kept)]))
    local = LOCAL not in engines and "--engine" not in unsaid and spec.device.personal and ask.quant is None
    local = local and not server(LOCAL).runs_on(spec.device)
    tried = f" under {ask.engine} (--engine {LOCAL} tries GGUF files, which take less)" if local else ""
    if len(kept) < len(rows):
        more = [
            f"{n:,} {words}"
            for n, words in (
                (len(fitting) - len(kept), "more fit"),
                (
                    len(rows) - len(fitting),
                    f"do not fit{tried}" if not aimed else f"do not fit{tried} or are not shown to keep the target",
                ),
            )
            if n > 0 and most is not None
        ]
        notes.append(f"{' and '.join(more)}: --all lists them" if more else "")
    from archcalc.analysis.pick import NEWEST, SLOW_LAST

    first = "those that keep the target come first" if timed else SLOW_LAST
    orders = {
        "best": f"{first}, then {NEWEST}; quality is not ranked, as no scores are bundled",
        "context": "the longest context that each could hold" + (", beyond the one asked for" if "--ctx" not in unsaid else ""),
        "speed": ("output tokens/s of whole requests" if sized else "tokens/s")
        + ", those of which something is forecast first; a bound is no speed, and comes behind them",
        "cost": "what a million output tokens cost, of whole requests, their prompts included",
    }
    under = " or ".join(engines) + (" (where weights of the first do not fit)" if len(engines) > 1 else "")
    notes.append(f"on {spec.named} under {under}; order: {orders.get(order, order)}")
    notes += spec.notes
    if unrated := sum(r["ram_unrated"] for r in fitting):
        where = {"best": ", and stand behind those that need none of it, if they are not slow so", "speed": ", and come last"}
        notes.append(
            f"{unrated:,} with a part in RAM have bounds that take it to be as fast as the GPU's memory{where.get(order, '')}: "
            "--ram-bandwidth says how fast it is, such as 80GB"
        )
    if not fitting and (near := next((r for r in rows if r["fits"] and r["target_why"]), None)) is not None:
        notes.append(f"none is shown to keep the target; of {near['source']}, the first that fits, {near['target_why']}")
    lengths = _lengths([r["lengths"] for r in kept or rows])
    usual = [
        words
        for option, words in (
            ("--ctx", f"requests of {lengths} (--isl, --osl)" if aimed else "the longest context that fits (--ctx)"),
            ("--concurrency", "one sequence (--concurrency)"),
            ("--quant", "weights as published, or quantized if only that fits or is fast enough (--quant, --max-quant)"),
        )
        if option in unsaid
    ]  # fmt: skip
    notes.append(f"taken for granted: {'; '.join(usual)}" if usual else "")
    notes.append(f"tokens/s: forecast of all sequences together as they decode, {lengths}; <= is a bound" if kept else "")
    notes.append(
        "requests/s: whole requests a second, each begun when another ends" if any(line["several"] for line in lines) else ""
    )
    notes.append("requests: the most at once that keep the target, or as many as were asked for" if aimed else "")
    notes = told_of(filter(None, notes), [column.head for column in LIST if column not in columns])
    _write(form, columns, lines, f"What runs on {spec.named}", notes, out)
