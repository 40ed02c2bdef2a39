"""A training run: the fullest GPU term by term, what would make it fit, operations and cost."""

from __future__ import annotations

from typing import Any, TextIO

from archcalc import units
from archcalc.render.rows import Column, markdown_text, write_markdown
from archcalc.render.terminal import console, plain_table, write_notes
from archcalc.report import TrainPlan, TrainReport

_LABEL = 12


def plan_text(p: TrainPlan) -> str:
    """`2 x 8k tokens, mixed, adamw, FSDP 8, full checkpointing`."""
    words = [f"{p.micro_batch} x {units.format_tokens(p.seq_tokens)} tokens", p.precision, p.optimizer]
    words += [f"{name.upper()} {n}" for name in ("dp", "fsdp", "tp", "pp", "cp", "ep") if (n := getattr(p, name)) > 1]
    words += [f"ZeRO {p.zero}"] if p.zero and p.fsdp == 1 else []
    words += ["sequence parallel"] if p.sp else []
    words += [f"{'DoRA' if p.dora else 'LoRA'} {p.lora_rank} on {', '.join(p.lora_targets)}"] if p.lora_rank else []
    words += [p.quant] if p.quant else []
    words += [f"checkpointing {p.checkpointing}", f"{p.attention} attention", f"{p.loss} loss"]
    words += [f"offload {p.offload}"] if p.offload != "none" else []
    return ", ".join(words)


def _tenths(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1}f}"


def write_page(r: TrainReport, out: TextIO) -> None:
    """One run, as text."""
    from rich.text import Text

    page, g, guess = console(out), r.per_gpu, "~" if r.basis == "guessed" else ""
    machine = f"  ({r.gpus} x {r.gpu})" if r.gpu else f"  ({r.gpus} GPU{'s' if r.gpus > 1 else ''})"
    page.print(Text.assemble((r.source, "bold"), machine))
    page.print(Text(guess + r.verdict, style="bold cyan" if r.fits is None else "bold green" if r.fits else "bold red"))
    page.print(Text(plan_text(r.plan), style="dim"))
    page.print("\nThe fullest GPU" + (f" (pipeline stage {r.stage})" if r.plan.pp > 1 else ""), style="bold")
    table = plain_table()
    table.add_column("term", overflow="fold", min_width=_LABEL)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("formula", overflow="fold")
    for t in r.terms:
        table.add_row(t.name, guess + units.format_bytes(t.bytes), units.format_share(t.bytes, g.total_bytes), t.formula)
    table.add_row("total", guess + units.format_bytes(g.total_bytes), "", f"at the {r.moment}", style="bold")
    page.print(table)
    table = plain_table(heads=False)
    table.add_column(style="dim", min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(
        "reserved", f"about {units.format_bytes(g.reserved_bytes)} by the end of a step: the allocator keeps what is freed"
    )
    table.add_row("outside", f"{units.format_bytes(g.overhead_bytes)} that CUDA and its libraries take")
    if g.cpu_bytes:
        table.add_row("on the CPU", f"{units.format_bytes(g.cpu_bytes)} for each GPU")
    if g.memory_bytes is not None:
        table.add_row("GPU", f"{units.format_bytes(g.memory_bytes)} as the framework sees it")
    if r.max_micro_batch is not None:
        table.add_row(
            "at most",
            f"micro-batch {r.max_micro_batch:,} at this length, {units.format_tokens(r.max_seq_tokens or 0)} tokens at this micro-batch",
        )
    page.print(table)
    if r.would_fit:
        page.print("\nWould fit with, cheapest first", style="bold")
        table = plain_table(heads=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        for remedy in r.would_fit:
            table.add_row(remedy.options, f"{units.format_bytes(remedy.headroom_bytes)} to spare", remedy.cost)
        page.print(table)
    elif r.fits is False:
        page.print("\nNo single change that was tried makes it fit: it takes more GPUs, or a split over them.")
    page.print("\nWork", style="bold")
    table = plain_table(heads=False)
    table.add_column(style="dim", min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in work_rows(r):
        table.add_row(label, guess + text)
    page.print(table)
    write_notes(page, r.notes)


def work_rows(r: TrainReport) -> list[tuple[str, str]]:
    """Operations, speed and cost, each with its convention."""
    w = r.work
    parts = (
        f"matrices {units.format_flops(w.matrices_flops_per_token)}, attention {units.format_flops(w.attention_flops_per_token)}"
    )
    out = [
        ("trained", f"{units.format_exact(r.trainable_params)} of {units.format_exact(r.params)} parameters"),
        ("per token", f"{units.format_flops(w.flops_per_token)} ({parts}; PaLM's convention, and Megatron's)"),
        ("per step", f"{units.format_flops(w.flops_per_step)} for {w.tokens_per_step:,} tokens"),
    ]
    if w.hardware_flops_per_token != w.flops_per_token:
        out.append(("computed", f"{units.format_flops(w.hardware_flops_per_token)} a token with what checkpointing makes again"))
    if w.tokens_per_s is not None:
        out.append(
            ("speed", f"{w.tokens_per_s:,.0f} tokens/s at {w.mfu:.0%} of {units.format_flops(w.peak_flops_per_s or 0)}/s a GPU")
        )
    if w.gpu_hours is not None and w.hours is not None:
        out.append(
            ("time", f"{w.hours:,.1f} hours for {units.format_count(w.tokens or 0)} tokens: {_tenths(w.gpu_hours)} GPU hours")
        )
    if w.usd is not None:
        out.append(("cost", f"${w.usd:,.{0 if w.usd >= 100 else 2}f} at ${w.usd_per_hour:,.2f} an hour ({w.instance}, on demand)"))
    elif w.usd_per_hour is not None:
        out.append(("rent", f"from ${w.usd_per_hour:,.2f} an hour ({w.instance}, on demand)"))
    out.append(("Chinchilla", f"{units.format_count(w.chinchilla_tokens)} tokens: 20 for each parameter that a token visits"))
    return out


def write_markdown_page(r: TrainReport, out: TextIO) -> None:
    """One run under a heading."""
    out.write(f"## Training {markdown_text(r.source)}\n\n{markdown_text(r.verdict)}\n\n{plan_text(r.plan)}\n\n")
    rows: list[dict[str, Any]] = [vars(t) for t in r.terms]
    rows.append({"name": "**total**", "bytes": r.per_gpu.total_bytes, "share": 1.0, "formula": f"at the {r.moment}"})
    write_markdown(
        (
            Column("name", "Fullest GPU"),
            Column("bytes", "Memory", units.format_bytes, True),
            Column("share", "Share", lambda share: f"{share:.1%}", True),
            Column("formula", "Formula"),
        ),
        rows,
        out,
    )
    for remedy in r.would_fit:
        out.write(f"\n- would fit with `{remedy.options}` ({remedy.cost}): {units.format_bytes(remedy.headroom_bytes)} to spare")
    out.write("\n" if r.would_fit else "")
    for label, text in work_rows(r):
        out.write(f"\n- {label}: {markdown_text(text)}")
    for note in r.notes:
        out.write(f"\n- {markdown_text(note)}")
    out.write("\n")


COLUMNS = tuple(
    Column(key, key)
    for key in (
        "source", "gpu", "gpus", "fits", "params", "active_params", "trainable_params",
        "seq_tokens", "micro_batch", "precision", "optimizer",
        "checkpointing", "attention", "dp", "fsdp", "zero", "tp", "pp", "cp", "ep", "lora_rank", "weights_bytes", "gradients_bytes",
        "optimizer_bytes", "activations_bytes", "logits_bytes", "total_bytes", "reserved_bytes", "overhead_bytes", "headroom_bytes",
        "cpu_bytes",
        "max_micro_batch", "max_seq_tokens", "flops_per_token", "tokens_per_s", "gpu_hours", "usd",
    )
)  # fmt: skip


def row(r: TrainReport) -> dict[str, Any]:
    """The main figures of one run, flat."""
    flat = {**vars(r.work), **vars(r.plan), **vars(r.per_gpu), **vars(r)}
    return {column.key: flat[column.key] for column in COLUMNS}
