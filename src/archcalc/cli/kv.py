"""`archcalc kv`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archcalc.cli._options import ENGINES, Batch, Context, FormatOption, KvDtype, MaybeSources, Offline, Refresh, Set, all_engines
from archcalc.cli._records import options, said
from archcalc.cli._run import Format, explains, print_each
from archcalc.engines.engine import TEXTBOOK
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.analysis.kv import Comparison


_MAX = 1 << 20
_BOTH, _VLLM, _SGLANG, _LLAMA, _TRANSFORMERS = "vLLM and SGLang", "vLLM", "SGLang", "llama.cpp", "transformers"


class Ranks(NamedTuple):
    """How vLLM and SGLang spread a model over GPUs."""

    tp: Annotated[int | None, typer.Option(min=1, max=_MAX, help="Tensor parallelism.", rich_help_panel=_BOTH)] = None
    dcp: Annotated[int | None, typer.Option(min=1, max=_MAX, help="Decode context parallelism.", rich_help_panel=_BOTH)] = None


class Blocks(NamedTuple):
    """vLLM's own."""

    pp: Annotated[int | None, typer.Option(min=1, max=_MAX, help="Pipeline parallelism.", rich_help_panel=_VLLM)] = None
    block_size: Annotated[int | None, typer.Option(min=1, max=_MAX, help="Tokens of a block.", rich_help_panel=_VLLM)] = None
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(min=1, max=_MAX, help="Tokens of a step, 8192 without it.", rich_help_panel=_VLLM)
    ] = None
    no_prefix_caching: Annotated[
        bool, typer.Option("--no-prefix-caching", help="As --no-enable-prefix-caching.", rich_help_panel=_VLLM)
    ] = False
    capability: Annotated[
        str | None,
        typer.Option(metavar="X.Y", help="The GPU's compute capability, for its kernels' blocks.", rich_help_panel=_VLLM),
    ] = None
    kv_cache_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="A budget per GPU, such as 40GiB: blocks, tokens and requests it holds.", rich_help_panel=_VLLM
        ),
    ] = None


class Pages(NamedTuple):
    """SGLang's own."""

    page_size: Annotated[int | None, typer.Option(min=1, max=_MAX, help="Tokens of a page.", rich_help_panel=_SGLANG)] = None
    swa_full_tokens_ratio: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Sliding layers' share of token slots, 0.8 without it.", rich_help_panel=_SGLANG),
    ] = None


class Slots(NamedTuple):
    """llama.cpp's own."""

    np: Annotated[
        int | None, typer.Option("--np", min=1, max=_MAX, help="Slots; the batch without it.", rich_help_panel=_LLAMA)
    ] = None
    unified: Annotated[bool, typer.Option("--unified", help="One buffer for all sequences (-kvu).", rich_help_panel=_LLAMA)] = False
    ubatch: Annotated[
        int | None, typer.Option(min=1, max=_MAX, help="Tokens of a micro-batch, 512 without it.", rich_help_panel=_LLAMA)
    ] = None
    swa_full: Annotated[bool, typer.Option("--swa-full", help="Whole contexts for sliding layers.", rich_help_panel=_LLAMA)] = False


class Kept(NamedTuple):
    """transformers' own."""

    static: Annotated[
        bool, typer.Option("--static", help="StaticCache, as long as the context.", rich_help_panel=_TRANSFORMERS)
    ] = False


@options
def command(
    *,
    call: typer.Context,
    source: MaybeSources = None,
    ctx: Context = None,
    batch: Batch = 1,
    kv_dtype: KvDtype = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", metavar=ENGINES, help="Whose rules; all side by side without it.", autocompletion=all_engines),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Each figure as its formula, and where its rule stands.")] = False,
    engine_version: Annotated[
        str | None, typer.Option("--engine-version", metavar="VERSION", help="Rules as of that version of the engine.")
    ] = None,
    ranks: Ranks,
    blocks: Blocks,
    pages: Pages,
    slots: Slots,
    kept: Kept,
    command_file: Annotated[
        str | None,
        typer.Option("--command-file", metavar="FILE", help="An engine's command from a script or manifest, - for standard input."),
    ] = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Say what KV caches and recurrent states take as engines allocate them, with the rule that made each figure.

    Without --engine all engines stand side by side (in JSON: the textbook). Figures are per GPU. An engine's own command stands in place
    of SOURCE and its options: archcalc kv -- vllm serve MODEL --its-flags
    """
    from archcalc import units
    from archcalc.analysis import kv
    from archcalc.cli._command import given, refuse
    from archcalc.loader import load_or_repacked
    from archcalc.report import KvReport

    explains(explain, form)
    own = given(call, command_file)
    if own is not None:
        refuse(
            own,
            {
                "SOURCE": source,
                "--ctx": ctx,
                "--batch": batch > 1,
                "--kv-dtype": kv_dtype,
                "--engine": engine,
                **said(ranks),
            },
        )
    elif not source:
        raise UsageError("no SOURCE is named", "name a model, or an engine's command: archcalc kv -- vllm serve MODEL")
    found, released = None, tuple[str, ...]()
    if own is not None:
        from archcalc.analysis.ask import understand, with_draft
        from archcalc.engines.engine import server

        found = with_draft(understand(own, engine_version), offline=offline, refresh=refresh)
        released = server(found.asked.engine).released(found.asked.version)
    version = None if found is not None else engine_version
    own_options = _stated({"engine_version": version}, ranks, _read(blocks), _read(pages), slots, kept)
    overrides: tuple[str, ...] = tuple(set_ or ())
    if found is not None:
        engine, source = found.asked.engine, [found.asked.model]
        overrides = (*found.asked.overrides, *overrides)
    name = engine or (TEXTBOOK if form in (Format.json, Format.jsonl) else None)
    kv.check_options(engine, own_options)
    tokens = units.parse_tokens(ctx) if ctx is not None else None
    cache = units.parse_cache_dtype(kv_dtype) if kv_dtype is not None else None
    if found is not None:
        tokens, batch = found.asked.values.get("context_tokens"), found.asked.values.get("concurrency", 1)
        cache = found.asked.values.get("kv_dtype")

    def report(text: str) -> Comparison:
        # A file of weights that is not here is known by its name, as for `fit`.
        known = None
        if found is not None:
            from archcalc.loader import stands_for

            known = stands_for(text)
        loaded = load_or_repacked(known[0] if known else text, offline=offline, refresh=refresh, overrides=overrides)
        taken: tuple[str, ...] = (f"{text} is not here, and taken for {known[0]}",) if known else ()
        taken += (loaded.note,) if loaded.stands_in else ()
        length, asked, dtype = tokens, found and found.asked, cache
        if found is not None and asked is not None:
            asked = server(found.asked.engine).resolved(loaded.architecture, asked)
            taken += tuple(note for note in asked.notes if note not in found.asked.notes)
            dtype = asked.values.get("kv_dtype")
            kv.refuse_command(loaded.architecture, asked)
        if length is None and found is not None:
            length = server(found.asked.engine).length(loaded.architecture, found.asked.version, found.asked.own).usual
            if found is not None and found.asked.by_memory:
                taken += ("the trained length: how much of it Ollama takes by itself depends on the GPU's memory (fit --gpu)",)
        made = kv.compare(loaded, name, context_tokens=length, batch=batch, kv_dtype=dtype, options=own_options, asked=asked)
        if found is None:
            for each in made.found:
                if isinstance(each, KvReport):
                    each.notes += taken
            return made
        # Engines of one set of rules are not told the version.
        for each in made.found:
            if isinstance(each, KvReport):
                left = [f"not taken into account: {', '.join(flags)}"] if (flags := found.options.unmodelled) else []
                each.notes += [note for note in (*found.notes, *taken, *released, *left) if note not in each.notes]
        return made

    def page(c: Comparison) -> None:
        from archcalc.render.kv import write_page

        write_page(c, sys.stdout, explain=explain)

    def markdown(c: Comparison) -> None:
        from archcalc.render.kv import write_kv_markdown

        write_kv_markdown(c, sys.stdout, explain=explain)

    print_each(source or [], report, form, plain=_plain, page=page, markdown=markdown, csv=_csv)


def _plain(c: Comparison) -> Any:
    """JSON holds one engine's report."""
    from archcalc.report import to_plain

    return to_plain(c.found[0])


def _csv(comparisons: Iterable[Comparison]) -> None:
    from archcalc.render.kv import COLUMNS, rows
    from archcalc.render.rows import write_csv

    write_csv(COLUMNS, rows(comparisons), sys.stdout)


def _read(group: Blocks | Pages) -> dict[str, Any]:
    """Options that are texts, as the engine takes them."""
    from archcalc import units

    made: dict[str, Any] = group._asdict()
    if isinstance(group, Pages):
        ratio = group.swa_full_tokens_ratio
        return {**made, "swa_full_tokens_ratio": None if ratio is None else units.parse_share(ratio, "--swa-full-tokens-ratio")}
    made["prefix_caching"] = False if made.pop("no_prefix_caching") else None
    memory = group.kv_cache_memory
    return {**made, "capability": _capability(group.capability), "kv_cache_memory": units.parse_bytes(memory) if memory else None}


def _stated(*groups: dict[str, Any] | Ranks | Slots | Kept) -> dict[str, Any]:
    """What was given of these, by the names that engines have for it: a switch that is off is none."""
    made = [
        group if isinstance(group, dict) else {name: value or None for name, value in group._asdict().items()} for group in groups
    ]
    return {name: value for group in made for name, value in group.items() if value is not None}


def _capability(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    import re

    # One digit behind the point; without one, 90 is how compilers write 9.0 (sm_90).
    written = re.fullmatch(r"(1?[0-9])(?:\.([0-9]))?", text, re.ASCII)
    if written is None or int(written[1]) < 1 or (written[2] is None and len(text) > 1):
        compiled = re.fullmatch(r"(?:sm_?)?(1?[0-9])([0-9])[af]?", text, re.ASCII | re.IGNORECASE)
        meant = f"{compiled[1]}.{compiled[2]}" if compiled and int(compiled[1]) > 2 else "9.0 (Hopper) or 8.6"
        raise UsageError(f"--capability {text} is not a compute capability", f"write it like {meant}")
    return int(written[1]), int(written[2] or 0)
