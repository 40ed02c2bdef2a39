"""`archcalc inspect` on a terminal: one page a model, readable at 80 columns, plain in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from archcalc import units
from archcalc.render.terminal import Column, Grid, Page

if TYPE_CHECKING:
    from archcalc.report import ArchitectureInfo, Inspection

_LABEL = 12
_MIXERS = {
    "F": "full attention",
    "W": "sliding window",
    "C": "chunked",
    "M": "latent (MLA)",
    "L": "linear",
    "H": "attention + linear",
    "-": "none",
}
_FFNS = {"d": "dense", "e": "experts", "-": "none"}
_STYLES = {"F": "cyan", "M": "cyan", "W": "green", "C": "green", "L": "magenta", "H": "yellow", "d": "blue", "e": "red"}
_PART_NAMES = {
    "embedding": "embedding",
    "decoder": "",
    "head": "head",
    "mtp": "MTP",
    "vision": "vision",
    "audio": "audio",
    "other": "other",
}
_TOWERS = {"vision": "vision tower", "audio": "audio tower"}
_ROLE_NAMES = {
    "embedding": "embeddings", "attention": "attention", "mlp": "FFN", "experts": "routed experts", "shared_experts": "shared experts",
    "router": "routers", "norm": "norms", "head": "head", "other": "other",
}  # fmt: skip


def component_name(part: str, role: str) -> str:
    """`routed experts`, `vision: attention`, `embedding`."""
    part_name, role_name = _PART_NAMES[part], _ROLE_NAMES[role]
    if not part_name or part == role:
        return role_name
    if part in ("embedding", "head") and role in ("embedding", "head"):
        return part_name
    return f"{part_name}: {role_name}"


def knobs(a: ArchitectureInfo) -> list[tuple[str, str]]:
    """The knobs of an architecture, each with its numbers, in the order they are read."""
    out = [("type", a.model_type)]
    alone = a.heads == a.kv_heads or a.attention == "MLA" or not a.kv_heads
    heads = f"{a.heads} heads" if alone else f"{a.heads} query heads, {a.kv_heads} KV heads"
    wide = f" of {a.head_dim}" if a.head_dim else ""
    out.append(("attention", f"{a.attention}, {heads}{wide}" if a.heads else a.attention))
    if a.sliding_window:
        out.append(("window", f"{a.sliding_window:,} tokens"))
    out += a.more.items()
    out += [("norm", a.norm), ("position", a.position)]
    if a.intermediate_size:
        ratio = f" ({a.ffn_ratio:.3g} x hidden)" if a.ffn_ratio else ""
        out.append(("FFN", f"{a.activation}, {a.intermediate_size:,} wide{ratio}"))
    else:
        out.append(("activation", a.activation))
    if a.moe:
        m = a.moe
        shared = f" + {m.shared} shared" if m.shared else ""
        out.append(
            ("MoE", f"{m.experts} experts of {m.intermediate_size:,}, top-{m.active}{shared}, in {m.layers} of {a.layers} layers")
        )
    tied = "head tied to the embedding" if a.tied_embeddings else "no head for it" if "head" in a.more else "head of its own"
    if a.hidden_size and a.vocab_size:
        out.append(("width", f"{a.hidden_size:,} hidden, {a.vocab_size:,} vocabulary, {tied}"))
    if a.context_tokens:
        out.append(("context", f"{a.context_tokens:,} tokens"))
    if a.mtp_layers:
        layers = "1 layer" if a.mtp_layers == 1 else f"{a.mtp_layers} layers"
        out.append(("MTP", f"{layers} for multi-token prediction, after the decoder"))
    return out


def write_page(r: Inspection, out: TextIO) -> None:
    """One inspection, as text: what it takes first, then what it is made of."""
    page = Page(out)
    _title(page, r)
    _weights(page, r)
    _cache(page, r)
    _params(page, r)
    _knobs(page, r)
    _layers(page, r)
    _compute(page, r)
    if r.explain:
        page.print("\nHow", style="bold")
        said = ""
        for figure in r.explain:
            page.print(f"{figure.name} = {units.format_exact(figure.value)} {figure.unit}")
            table = Grid(Column(width=2), Column(overflow="fold"), heads=False)
            table.add_row("=", figure.formula)
            if figure.source != said:
                table.add_row("", figure.source, style="dim")
            said = figure.source
            page.print(table)
    page.notes(r.notes)


def _title(page: Page, r: Inspection) -> None:
    where = {"bundled": "bundled snapshot", "hub": "from the Hub", "cache": "from the local Hub cache", "stdin": "standard input"}
    origin = where.get(r.source.kind, r.source.format)
    if r.source.revision:
        origin += f" at {r.source.revision}"
    page.spans((r.source.name, "bold"), (f"  ({origin}; {r.status})", ""))
    page.print(r.summary, style="bold cyan")


def _knobs(page: Page, r: Inspection) -> None:
    table = Grid(Column(style="dim", min_width=_LABEL, no_wrap=True), Column(overflow="fold"), heads=False)
    for label, value in knobs(r.architecture):
        table.add_row(label, value)
    page.print("\nAnatomy", style="bold")
    page.print(table)


def _strip(letters: str, width: int) -> list[str]:
    """Letters in groups of four, as many groups a line as fit."""
    groups = [letters[i : i + 4] for i in range(0, len(letters), 4)]
    per_line = max(1, width // 5)
    return [" ".join(groups[i : i + per_line]) for i in range(0, len(groups), per_line)]


def _layers(page: Page, r: Inspection) -> None:
    a = r.architecture
    page.print("\nLayers", style="bold")
    table = Grid(Column(style="dim", min_width=_LABEL, overflow="fold", max_width=24), Column(overflow="fold"), heads=False)
    for kind in a.layer_kinds:
        table.add_row(kind.layers, "; ".join(block for block in (kind.mixer, kind.ffn) if block != "none") or "none")
    page.print(table)
    if len(a.layer_kinds) > 1:
        for label, letters, names in (("mixer", a.pattern["mixer"], _MIXERS), ("FFN", a.pattern["ffn"], _FFNS)):
            if len(set(letters)) < 2:
                continue
            for i, line in enumerate(_strip(letters, page.width - _LABEL - 2)):
                label_of = (label if i == 0 else "").ljust(_LABEL + 2)
                page.spans((label_of, "dim"), *((letter, _STYLES.get(letter, "")) for letter in line))
            legend = ", ".join(f"{letter} {names[letter]}" for letter in dict.fromkeys(letters))
            page.print(" " * (_LABEL + 2) + legend, style="dim")


def _params(page: Page, r: Inspection) -> None:
    p = r.params
    guess = "~" if r.status == "guessed" else ""
    moe = p.active != p.total
    page.print("\nParameters", style="bold")
    heads = ("count", "share", "active", "share") if moe else ("count", "share")
    table = Grid(Column("component", min_width=_LABEL), *(Column(head, justify="right", no_wrap=True) for head in heads))
    rows = [(component_name(c.part, c.role), c.total, c.active) for c in p.components if c.part not in ("mtp", *_TOWERS)]
    # A tower is one component of the page; its roles stand in the JSON.
    rows += [(_TOWERS[part], total, total) for part, total in p.by_part.items() if part in _TOWERS and total]
    for name, total, active in rows:
        row = [name, guess + units.format_exact(total), units.format_share(total, p.total)]
        if moe:
            row += [guess + units.format_exact(active), units.format_share(active, p.active)]
        table.add_row(*row)
    total_row = ["total", guess + units.format_exact(p.total), ""]
    table.add_row(*total_row, *([guess + units.format_exact(p.active), ""] if moe else []), style="bold")
    if p.mtp:
        table.add_row("not in it: MTP", guess + units.format_exact(p.mtp), *([""] * (3 if moe else 1)))
    page.print(table)
    if moe:
        c = p.active_by_convention
        known = [f"{guess}{units.format_count(value)} {name}" for name, value in c.items() if value != p.active]
        if known:
            page.print(f"active by other conventions: {', '.join(known)}", style="dim")


_FORMATS = {"w4a16": "4 bits (w4a16)"}


def _weights(page: Page, r: Inspection) -> None:
    """What the files take, and once loaded each format with the smallest machine that holds it."""
    guess = "~" if r.status == "guessed" else ""
    c = r.checkpoint
    if c is None and not r.loaded:
        return
    page.print("\nWeights", style="bold")
    if c is not None:
        table = Grid(Column(min_width=_LABEL), Column(justify="right", no_wrap=True), Column(overflow="fold"), heads=False)
        several = len(c.by_dtype) > 1
        held = next(iter(c.by_dtype), "") if not several else ""
        # The bytes are of all that is stored; weights are counted without their scales, and one by one where several share a number. The
        # Hub leaves some packed, and counts some scales.
        weights = c.elements if c.weights is None else c.weights
        scaled = c.stored_elements != weights
        total = f"{guess}{units.format_exact(c.stored_elements)} elements{' as stored, scales included' if scaled else ''}"
        place = f"all in {c.asked}" if c.asked else "on disk"
        table.add_row(place, f"{guess}{units.format_bytes(c.bytes)}", f"{total}{f' of {held}' if held else ''}", style="bold")
        if scaled:
            table.add_row("", "", f"{guess}{units.format_exact(weights)} weights without scales, packed ones counted one by one")
        if weights != c.elements:
            table.add_row("", "", f"{guess}{units.format_exact(c.elements)} elements as the Hugging Face Hub counts them")
        for dtype, elements in c.by_dtype.items() if several else ():
            table.add_row(
                "", "", f"{guess}{units.format_exact(elements)} {f'of them in {dtype}' if scaled else f'elements of {dtype}'}"
            )
        page.print(table)
    if r.loaded:
        from archcalc import hardware
        from archcalc.engines.engine import server

        page.print()
        names = (hardware.device(card.gpu).name for card in r.loaded[0].cards)
        table = Grid(
            Column("", min_width=_LABEL),
            Column("loaded", justify="right", no_wrap=True),
            *(Column(name.removeprefix("NVIDIA ").removeprefix("GeForce "), justify="right") for name in names),
        )
        for size in r.loaded:
            name = _FORMATS.get(size.quant, size.quant)
            cells = [str(card.gpus or ("none" if card.why else "more than 16")) for card in size.cards]
            table.add_row(f"published: {name}" if size.published else name, units.format_bytes(size.bytes), *cells)
        page.print(table)
        engine, context = server(r.loaded[0].engine).title, units.format_tokens(r.loaded[0].context_tokens)
        page.print(
            f"GPUs that hold it under {engine} with one sequence of {context} tokens; archcalc fit answers for all others",
            style="dim",
        )
        for size in r.loaded:
            for why in dict.fromkeys(card.why for card in size.cards if card.why):
                page.print(f"none of {_FORMATS.get(size.quant, size.quant)}: {why}", style="dim")


def _cache(page: Page, r: Inspection) -> None:
    guess = "~" if r.status == "guessed" else ""
    if r.kv_cache:
        from archcalc.engines.engine import TEXTBOOK

        k = r.kv_cache
        if not k.by_kind:
            page.print("\nKV cache", style="bold")
            under = "" if k.engine == TEXTBOOK else f" under {k.engine}"
            page.print(f"none{under}: nothing of one pass over a text is read by the next")
            return
        rule = "textbook: every token a layer can see, once" if k.engine == TEXTBOOK else f"as {k.engine} allocates it"
        page.print(f"\nKV cache, {k.dtype}, one sequence ({rule})", style="bold")
        table = Grid(
            Column("context", justify="right", min_width=_LABEL),
            Column("bytes", justify="right", no_wrap=True),
            Column("one more token", justify="right", no_wrap=True),
        )
        for at in r.kv_contexts:
            table.add_row(
                units.format_tokens(at.context_tokens),
                guess + units.format_bytes(at.bytes),
                guess + units.format_bytes(at.bytes_per_token),
            )
        page.print(table)
        table = Grid(Column(min_width=_LABEL), Column(overflow="fold"), heads=False)
        for kind in k.by_kind if len(k.by_kind) > 1 or k.state_bytes else []:
            window = f" of {kind.window:,}" if kind.window else ""
            table.add_row(
                f"{kind.kind}{window}",
                f"{kind.layers} layers, {units.format_bytes(kind.bytes)} at {units.format_tokens(k.context_tokens)}",
            )
        if k.batch > 1:
            table.add_row(f"batch {k.batch}", f"{guess}{units.format_bytes(k.bytes)} at {units.format_tokens(k.context_tokens)}")
        if table.rows:
            page.print(table)


def _compute(page: Page, r: Inspection) -> None:
    guess = "~" if r.status == "guessed" else ""
    table = Grid(Column(min_width=_LABEL), Column(overflow="fold"), heads=False)
    if r.flops_per_token:
        f = r.flops_per_token
        parts = f"matrices {units.format_flops(f.matmul)}, attention {units.format_flops(f.attention)}"
        if f.scan:
            parts += f", recurrence {units.format_flops(f.scan)}"
        table.add_row("per token", f"{guess}{units.format_flops(f.total)} at {units.format_tokens(f.context_tokens)} ({parts})")
    if r.forward:
        w = r.forward
        table.add_row(
            "activations",
            f"{guess}{units.format_bytes(w.bytes)} for a forward pass of {w.tokens:,} tokens in {w.dtype} (by formula), "
            + (f"logits {units.format_bytes(w.logits_bytes)} a position" if w.logits_bytes else "without a head no logits"),
        )
    if table.rows:
        page.print("\nCompute", style="bold")
        page.print(table)
