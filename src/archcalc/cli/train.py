"""`archcalc train`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import typer

from archcalc.cli._options import FormatOption, Offline, Refresh, Set, Sources
from archcalc.cli._run import Format, leave, print_each
from archcalc.errors import ArchcalcError, UsageError
from archcalc.report import TrainReport, to_plain


class Optimizers(str, Enum):
    """What keeps which states."""

    adamw = "adamw"
    adamw_fused = "adamw-fused"
    adamw_8bit = "adamw-8bit"
    paged_adamw = "paged-adamw"
    paged_adamw_8bit = "paged-adamw-8bit"
    sgd = "sgd"
    sgd_momentum = "sgd-momentum"
    adafactor = "adafactor"
    lion = "lion"
    lion_8bit = "lion-8bit"
    muon = "muon"


class Precisions(str, Enum):
    """What weights, gradients and states are kept in."""

    mixed = "mixed"
    amp = "amp"
    pure = "pure"
    fp32 = "fp32"


class Checkpointing(str, Enum):
    """What is made again in the backward pass."""

    none = "none"
    selective = "selective"
    full = "full"


class Attentions(str, Enum):
    """Which attention."""

    eager = "eager"
    sdpa = "sdpa"
    sdpa_mask = "sdpa-mask"
    flash = "flash"


class Implementations(str, Enum):
    """Whose accounting of activations."""

    transformers = "transformers"
    megatron = "megatron"


class Losses(str, Enum):
    """How logits become a loss."""

    full = "full"
    chunked = "chunked"
    fused = "fused"
    none = "none"


class Offloads(str, Enum):
    """What the CPU's memory holds."""

    none = "none"
    optimizer = "optimizer"
    all = "all"


SPLIT = "Parallelism"
ADAPT = "Adapters and frozen parts"
COST = "Cost"


def command(
    source: Sources,
    seq: Annotated[str | None, typer.Option("--seq", metavar="TOKENS", help="Tokens of one sequence: 8k.")] = None,
    micro_batch: Annotated[int, typer.Option("--micro-batch", min=1, max=1 << 20, help="Sequences at once on one replica.")] = 1,
    gpu: Annotated[str | None, typer.Option("--gpu", metavar="SPEC", help="8xH100, 4090, p5.48xlarge.")] = None,
    vram: Annotated[
        str | None, typer.Option("--vram", metavar="BYTES", help="A card that is not listed, by its memory: 24GiB.")
    ] = None,
    optimizer: Annotated[Optimizers, typer.Option("--optimizer", help="Whose states.")] = Optimizers.adamw,
    precision: Annotated[
        Precisions, typer.Option("--precision", help="mixed: bf16 and an fp32 master; amp: fp32 under autocast; pure: bf16 alone.")
    ] = Precisions.mixed,
    checkpointing: Annotated[
        Checkpointing, typer.Option("--checkpointing", help="What is made again in the backward pass.")
    ] = Checkpointing.none,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, max=10_000, help="Layers between two checkpoints.")
    ] = 1,
    attention: Annotated[Attentions, typer.Option("--attention", help="eager keeps the scores.")] = Attentions.sdpa,
    implementation: Annotated[
        Implementations, typer.Option("--implementation", help="transformers, tensor by tensor, or Megatron's published formulas.")
    ] = Implementations.transformers,
    loss: Annotated[Losses, typer.Option("--loss", help="Whole logits, chunks, or fused with the head.")] = Losses.full,
    loss_chunks: Annotated[int, typer.Option("--loss-chunks", min=1, max=4096, help="Chunks of the chunked loss.")] = 8,
    accumulate: Annotated[int, typer.Option("--accumulate", min=1, max=1 << 20, help="Micro-batches of one step.")] = 1,
    grad_dtype: Annotated[str | None, typer.Option("--grad-dtype", metavar="DTYPE", help="Gradients in fp32 or bf16.")] = None,
    ema: Annotated[bool, typer.Option("--ema", help="An fp32 average of the weights beside them.")] = False,
    offload: Annotated[Offloads, typer.Option("--offload", help="What the CPU's memory holds.")] = Offloads.none,
    capacity: Annotated[
        str, typer.Option("--capacity", metavar="FACTOR", help="Room of routed experts: 1.25 of an even spread.")
    ] = "1",
    dropout: Annotated[bool, typer.Option("--dropout/--no-dropout", help="Masks in Megatron's formulas.")] = True,
    dp: Annotated[int | None, typer.Option("--dp", min=1, max=1 << 20, help="Replicas.", rich_help_panel=SPLIT)] = None,
    fsdp: Annotated[
        int,
        typer.Option("--fsdp", min=1, max=1 << 20, help="Ranks that share a replica (with --dp: hybrid).", rich_help_panel=SPLIT),
    ] = 1,
    zero: Annotated[
        int,
        typer.Option(
            "--zero", min=0, max=3, help="1: optimizer, 2: gradients too, 3: weights too, over dp.", rich_help_panel=SPLIT
        ),
    ] = 0,
    tp: Annotated[int, typer.Option("--tp", min=1, max=4096, help="Tensor parallelism.", rich_help_panel=SPLIT)] = 1,
    sp: Annotated[bool, typer.Option("--sp", help="Sequence parallelism over the ranks of tp.", rich_help_panel=SPLIT)] = False,
    pp: Annotated[int, typer.Option("--pp", min=1, max=4096, help="Pipeline stages, 1F1B.", rich_help_panel=SPLIT)] = 1,
    interleave: Annotated[int, typer.Option("--interleave", min=1, max=4096, help="Chunks of a stage.", rich_help_panel=SPLIT)] = 1,
    cp: Annotated[int, typer.Option("--cp", min=1, max=4096, help="Context parallelism.", rich_help_panel=SPLIT)] = 1,
    ep: Annotated[
        int, typer.Option("--ep", min=1, max=4096, help="Ranks of dp, fsdp and cp that share the experts.", rich_help_panel=SPLIT)
    ] = 1,
    lora: Annotated[
        int, typer.Option("--lora", min=0, max=1 << 16, metavar="RANK", help="Train adapters.", rich_help_panel=ADAPT)
    ] = 0,
    lora_targets: Annotated[
        str,
        typer.Option(
            "--lora-targets",
            metavar="NAMES",
            help="all-linear, attention, mlp, qv, experts, ends of module names, or a regular expression.",
            rich_help_panel=ADAPT,
        ),
    ] = "all-linear",
    qlora: Annotated[bool, typer.Option("--qlora", help="Frozen matrices in nf4.", rich_help_panel=ADAPT)] = False,
    double_quant: Annotated[
        bool, typer.Option("--double-quant/--no-double-quant", help="nf4's scales in 8 bits.", rich_help_panel=ADAPT)
    ] = True,
    freeze: Annotated[
        str | None,
        typer.Option("--freeze", metavar="PARTS", help="Parts or roles not trained: embedding,vision.", rich_help_panel=ADAPT),
    ] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", metavar="N", help="Train on so many: 1T.", rich_help_panel=COST)] = None,
    mfu: Annotated[str, typer.Option("--mfu", metavar="SHARE", help="Of the peak rate.", rich_help_panel=COST)] = "0.4",
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Say what training takes of each GPU, term by term, whether it fits, what would make it fit, and what it costs.

    Activations are the tensors that autograd keeps, counted for each layer; the rest follows from the parameters. Exit status 0, or 1 if
    a run does not fit the GPUs named.
    """
    from archcalc import hardware, units
    from archcalc.analysis.train_report import train_report
    from archcalc.analysis.training import Run
    from archcalc.analysis.training.adapters import split_targets
    from archcalc.loader import load

    if seq is None:
        raise UsageError("--seq is missing: how long are the sequences?", "such as --seq 8k")
    spec = None
    if vram is not None:
        if gpu is not None and not gpu.strip().isdecimal():
            raise UsageError(
                "--vram is for a card that --gpu does not name", "give one of them; --gpu 2 --vram 24GiB for two such cards"
            )
        spec = hardware.GpuSpec(hardware.custom(units.parse_bytes(vram)), max(1, int(gpu or 1)))
    elif gpu is not None:
        spec = hardware.parse_spec(gpu, limit=1 << 20)
    for option, alone, needed in (
        ("--lora-targets", lora_targets != "all-linear" and not lora, "--lora 16"),
        ("--loss-chunks", loss_chunks != 8 and loss is not Losses.chunked, "--loss chunked"),
        ("--checkpoint-every", checkpoint_every > 1 and checkpointing is Checkpointing.selective, "--checkpointing full"),
        ("--tokens", tokens is not None and spec is None, "--gpu 8xH100"),
        ("--no-dropout", not dropout and implementation is not Implementations.megatron, "--implementation megatron"),
        ("--no-double-quant", not double_quant and not qlora, "--lora 16 --qlora"),
    ):
        if alone:
            raise UsageError(f"{option} changes nothing in this call", f"give {needed} with it, or leave it out")
    run = Run(
        seq=units.parse_tokens(seq),
        micro_batch=micro_batch,
        precision=precision.value,
        optimizer=optimizer.value,
        implementation=implementation.value,
        attention=attention.value,
        recompute="full" if checkpoint_every > 1 else checkpointing.value,
        every=checkpoint_every,
        loss=loss.value,
        chunks=loss_chunks,
        dp=dp or 1,
        fsdp=fsdp,
        zero=zero,
        tp=tp,
        sequence=sp,
        pp=pp,
        interleave=interleave,
        micro_batches=accumulate if accumulate > 1 or pp == 1 else pp,
        cp=cp,
        ep=ep,
        ema=ema,
        grad_size=_gradient(grad_dtype),
        lora=lora,
        targets=split_targets(lora_targets),
        quant="nf4" if qlora else "",
        double_quant=double_quant,
        frozen=_frozen(freeze),
        offload=offload.value,
        dropout=dropout,
        capacity=_capacity(capacity),
    )
    share, count = units.parse_share(mfu, "--mfu"), units.parse_count(tokens) if tokens is not None else None

    def report(text: str) -> TrainReport:
        loaded = load(text, offline=offline, refresh=refresh, overrides=set_ or ())
        try:
            return train_report(loaded, run, gpus=spec, mfu=share, tokens=count)
        except ArchcalcError as error:
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    missing: list[str] = []

    def noted(r: TrainReport) -> TrainReport:
        if r.fits is False:
            missing.append(r.source)
        return r

    def csv(reports: Iterable[TrainReport]) -> None:
        _csv(map(noted, reports))

    print_each(
        source, report, form, plain=lambda r: to_plain(noted(r)), page=lambda r: _page(noted(r)), markdown=lambda r: _markdown(noted(r)),
        csv=csv,
    )  # fmt: skip
    if missing:
        leave(1)


def _gradient(text: str | None) -> int | None:
    from archcalc import units

    if text is None:
        return None
    sizes = {"fp32": 4, "bf16": 2, "fp16": 2}
    name = units.parse_dtype(text)
    if name not in sizes:
        raise UsageError(f"--grad-dtype {text}: gradients are kept in {', '.join(sizes)}")
    return sizes[name]


def _frozen(text: str | None) -> frozenset[str]:
    from archcalc.model import PARTS, ROLES

    names = frozenset(name.strip() for name in (text or "").split(",") if name.strip())
    known = dict.fromkeys((*PARTS, *ROLES))
    if unknown := sorted(names - set(known)):
        raise UsageError(f"--freeze {unknown[0]}: no part or role has that name", f"one of {', '.join(known)}")
    return names


def _capacity(text: str) -> int:
    """A factor in percent."""
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.01 <= factor <= 1000:
        raise UsageError(f"--capacity {text}: a factor above 0 was expected", "such as 1.25")
    return round(100 * factor)


def _page(r: TrainReport) -> None:
    from archcalc.render.train import write_page

    write_page(r, sys.stdout)


def _markdown(r: TrainReport) -> None:
    from archcalc.render.train import write_markdown_page

    write_markdown_page(r, sys.stdout)


def _csv(reports: Iterable[TrainReport]) -> None:
    from archcalc.render.rows import write_csv
    from archcalc.render.train import COLUMNS, row

    write_csv(COLUMNS, map(row, reports), sys.stdout)
