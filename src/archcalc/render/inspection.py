"""An inspection as Markdown, and as a row of a list."""

from __future__ import annotations

from typing import Any, TextIO

from archcalc import units
from archcalc.render.page import component_name, knobs
from archcalc.render.rows import Column, markdown_text, write_markdown
from archcalc.report import Inspection

COLUMNS = tuple(
    Column(key, key)
    for key in (
        "source", "status", "model_type", "kind", "layers", "hidden_size", "vocab_size", "context_tokens", "attention", "heads",
        "kv_heads", "head_dim", "params_total", "params_active", "params_mtp", "checkpoint_elements", "checkpoint_bytes",
        "kv_context_tokens", "kv_dtype", "kv_bytes", "kv_bytes_per_token", "kv_state_bytes", "error",
    )
)  # fmt: skip


def row(r: Inspection) -> dict[str, Any]:
    """The main figures of one inspection, flat."""
    a, p, c, k = r.architecture, r.params, r.checkpoint, r.kv_cache
    return {
        "source": r.source.name, "status": r.status, "model_type": a.model_type, "kind": a.kind, "layers": a.layers,
        "hidden_size": a.hidden_size, "vocab_size": a.vocab_size, "context_tokens": a.context_tokens, "attention": a.attention,
        "heads": a.heads, "kv_heads": a.kv_heads, "head_dim": a.head_dim, "params_total": p.total, "params_active": p.active,
        "params_mtp": p.mtp, "checkpoint_elements": c.elements if c else None, "checkpoint_bytes": c.bytes if c else None,
        "kv_context_tokens": k.context_tokens if k else None, "kv_dtype": k.dtype if k else None, "kv_bytes": k.bytes if k else None,
        "kv_bytes_per_token": k.bytes_per_token if k else None, "kv_state_bytes": k.state_bytes if k else None, "error": None,
    }  # fmt: skip


def write_inspection_markdown(r: Inspection, out: TextIO) -> None:
    """One inspection under a heading, in tables."""
    out.write(f"## {markdown_text(r.source.name)}\n\n{markdown_text(r.summary)}\n\n")
    facts = [{"fact": label, "value": value} for label, value in knobs(r.architecture)]
    write_markdown((Column("fact", "Fact"), Column("value", "Value")), facts, out)
    components = [
        {"name": component_name(c.part, c.role), "total": c.total, "active": c.active}
        for c in r.params.components
        if c.part != "mtp"
    ]
    components.append({"name": "**total**", "total": r.params.total, "active": r.params.active})
    out.write("\n")
    number = units.format_exact
    write_markdown(
        (Column("name", "Component"), Column("total", "Parameters", number, True), Column("active", "Active", number, True)),
        components,
        out,
    )
    if r.kv_cache:
        out.write("\n")
        rows = [vars(at) for at in r.kv_contexts]
        write_markdown(
            (
                Column("context_tokens", "Context", units.format_tokens, True),
                Column("bytes", f"KV cache ({r.kv_cache.dtype})", units.format_bytes, True),
                Column("bytes_per_token", "One more token", units.format_bytes, True),
            ),
            rows,
            out,
        )
    if r.checkpoint:
        c = r.checkpoint
        scaled = f", scales included ({units.format_exact(c.elements)} weights without)" if c.stored_elements != c.elements else ""
        what = f"All weights in {c.asked}" if c.asked else "Checkpoint"
        out.write(f"\n{what}: {units.format_exact(c.stored_elements)} elements{scaled}, {units.format_bytes(c.bytes)}\n")
    for note in r.notes:
        out.write(f"\n- {markdown_text(note)}" if note is not r.notes[0] else f"\n\n- {markdown_text(note)}")
    out.write("\n")
