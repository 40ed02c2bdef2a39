"""`archcalc train`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archcalc.cli import _machines
from archcalc.cli._options import SPLIT, Ep, FormatOption, Offline, Pp, Refresh, Set, Tp, Vram, bundled, gpus
from archcalc.cli._records import options
from archcalc.cli._run import Format, leave, print_each
from archcalc.errors import ArchcalcError, UsageError
from archcalc.records import NamedTuple
from archcalc.report import TrainReport, to_plain

if TYPE_CHECKING:
    from archcalc.analysis.training.method import Asked
    from archcalc.frameworks.framework import Ask
    from archcalc.hardware import GpuSpec


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
    params = "params"
    all = "all"


class Frameworks(str, Enum):
    """Whose conventions."""

    megatron = "megatron"
    torchtitan = "torchtitan"
    deepspeed = "deepspeed"
    torchtune = "torchtune"
    llm_foundry = "llm-foundry"
    llama_factory = "llama-factory"
    axolotl = "axolotl"
    nanochat = "nanochat"
    litgpt = "litgpt"
    transformers = "transformers"


ADAPT = "Adapters and frozen parts"
COST = "Cost"
COMPUTE = "What is kept and computed"


def _number(name: str, least: int, most: int, text: str, panel: str, metavar: str | None = None) -> Any:
    return typer.Option(name, min=least, max=most, help=text, rich_help_panel=panel, metavar=metavar)


class Computed(NamedTuple):
    """What a run computes, and what it keeps of it. What is not given is None."""

    seq: Annotated[
        str | None,
        typer.Option(
            "--seq",
            metavar="TOKENS",
            help="Tokens of one sequence: 8k; the framework's default, else 4k.",
            rich_help_panel=COMPUTE,
        ),
    ] = None
    micro_batch: Annotated[int | None, _number("--micro-batch", 1, 1 << 20, "Sequences at once on one replica: 1.", COMPUTE)] = None
    accumulate: Annotated[int | None, _number("--accumulate", 1, 1 << 20, "Micro-batches of one step: 1.", COMPUTE)] = None
    optimizer: Annotated[
        Optimizers | None, typer.Option("--optimizer", help="Whose states: adamw-fused.", rich_help_panel=COMPUTE)
    ] = None
    precision: Annotated[
        Precisions | None,
        typer.Option(
            "--precision",
            help="mixed (default): bf16 and an fp32 master; amp: fp32 under autocast; pure: bf16 alone.",
            rich_help_panel=COMPUTE,
        ),
    ] = None
    checkpointing: Annotated[
        Checkpointing | None,
        typer.Option("--checkpointing", help="What is made again in the backward pass: none.", rich_help_panel=COMPUTE),
    ] = None
    checkpoint_every: Annotated[
        int | None, _number("--checkpoint-every", 1, 10_000, "Layers between two checkpoints: 1.", COMPUTE)
    ] = None
    recompute_modules: Annotated[
        str | None,
        typer.Option(
            "--recompute-modules",
            metavar="NAMES",
            help="Megatron's, made again: core_attn,layernorm,mla_up_proj,mlp,moe,moe_act,shared_experts.",
            rich_help_panel=COMPUTE,
        ),
    ] = None
    attention: Annotated[
        Attentions | None, typer.Option("--attention", help="eager keeps the scores; sdpa.", rich_help_panel=COMPUTE)
    ] = None
    implementation: Annotated[
        Implementations | None,
        typer.Option(
            "--implementation",
            help="transformers, tensor by tensor (default), or Megatron's published formulas.",
            rich_help_panel=COMPUTE,
        ),
    ] = None
    loss: Annotated[
        Losses | None,
        typer.Option("--loss", help="Whole logits (default), chunks, or fused with the head.", rich_help_panel=COMPUTE),
    ] = None
    loss_chunks: Annotated[int | None, _number("--loss-chunks", 1, 4096, "Chunks of the chunked loss: 8.", COMPUTE)] = None
    grad_dtype: Annotated[
        str | None, typer.Option("--grad-dtype", metavar="DTYPE", help="Gradients in fp32 or bf16.", rich_help_panel=COMPUTE)
    ] = None
    moment_dtype: Annotated[
        str | None,
        typer.Option(
            "--moment-dtype",
            metavar="DTYPE",
            help="Megatron's precision-aware Adam: moments in bf16, fp16, fp8.",
            rich_help_panel=COMPUTE,
        ),
    ] = None
    ema: Annotated[bool, typer.Option("--ema", help="An fp32 average of the weights beside them.", rich_help_panel=COMPUTE)] = False
    offload: Annotated[
        Offloads | None, typer.Option("--offload", help="What the CPU's memory holds: none.", rich_help_panel=COMPUTE)
    ] = None
    capacity: Annotated[
        str | None,
        typer.Option("--capacity", metavar="FACTOR", help="Room of routed experts: 1 of an even spread.", rich_help_panel=COMPUTE),
    ] = None
    dropout: Annotated[
        bool | None, typer.Option("--dropout/--no-dropout", help="Masks in Megatron's formulas.", rich_help_panel=COMPUTE)
    ] = None


class Split(NamedTuple):
    """How a run is spread over GPUs."""

    dp: Annotated[int | None, _number("--dp", 1, 1 << 20, "Replicas.", SPLIT)] = None
    fsdp: Annotated[int | None, _number("--fsdp", 1, 1 << 20, "Ranks that share a replica (with --dp: hybrid).", SPLIT)] = None
    zero: Annotated[int | None, _number("--zero", 0, 3, "1: optimizer, 2: gradients too, 3: weights too, over dp.", SPLIT)] = None
    tp: Tp = None
    sp: Annotated[bool, typer.Option("--sp", help="Sequence parallelism over the ranks of tp.", rich_help_panel=SPLIT)] = False
    pp: Pp = None
    interleave: Annotated[int | None, _number("--interleave", 1, 4096, "Chunks of a stage.", SPLIT)] = None
    cp: Annotated[int | None, _number("--cp", 1, 4096, "Context parallelism.", SPLIT)] = None
    ep: Ep = None
    etp: Annotated[int | None, _number("--etp", 1, 4096, "Ranks that split each expert, in Megatron's modules; tp.", SPLIT)] = None


class Trained(NamedTuple):
    """What is trained."""

    lora: Annotated[int | None, _number("--lora", 0, 1 << 16, "Train adapters.", ADAPT, "RANK")] = None
    lora_targets: Annotated[
        str | None,
        typer.Option(
            "--lora-targets",
            metavar="NAMES",
            help="all-linear, attention, mlp, qv, experts, head, embedding, ends of module names, or a regular expression.",
            rich_help_panel=ADAPT,
        ),
    ] = None
    dora: Annotated[
        bool, typer.Option("--dora", help="Adapters with a trained magnitude for each output.", rich_help_panel=ADAPT)
    ] = False
    modules_to_save: Annotated[
        str | None,
        typer.Option(
            "--modules-to-save",
            metavar="NAMES",
            help="Trained whole beside adapters, as copies: embed_tokens,lm_head.",
            rich_help_panel=ADAPT,
        ),
    ] = None
    qlora: Annotated[bool, typer.Option("--qlora", help="Frozen matrices in nf4.", rich_help_panel=ADAPT)] = False
    int8: Annotated[bool, typer.Option("--int8", help="Frozen matrices in LLM.int8().", rich_help_panel=ADAPT)] = False
    double_quant: Annotated[
        bool | None, typer.Option("--double-quant/--no-double-quant", help="nf4's scales in 8 bits.", rich_help_panel=ADAPT)
    ] = None
    freeze: Annotated[
        str | None,
        typer.Option("--freeze", metavar="PARTS", help="Parts or roles not trained: embedding,vision.", rich_help_panel=ADAPT),
    ] = None


class Methods(str, Enum):
    """What is learned from."""

    sft = "sft"
    dpo = "dpo"
    kto = "kto"
    grpo = "grpo"
    ppo = "ppo"
    reward = "reward"


METHOD = "Preference and reinforcement learning"


class Learned(NamedTuple):
    """Which method, and what stands beside the model for it."""

    method: Annotated[
        Methods | None,
        typer.Option("--method", help="sft; dpo and reward take pairs. Adapters: --lora RANK.", rich_help_panel=METHOD),
    ] = None
    completion: Annotated[
        str | None,
        typer.Option("--completion", metavar="TOKENS", help="Tokens of a sequence that are scored; all.", rich_help_panel=METHOD),
    ] = None
    reference: Annotated[
        bool | None, typer.Option("--reference/--no-reference", help="A reference model on the GPUs.", rich_help_panel=METHOD)
    ] = None
    rollout_share: Annotated[
        str | None,
        typer.Option("--rollout-share", metavar="SHARE", help="Of the GPU for the rollouts' engine.", rich_help_panel=METHOD),
    ] = None


class Machine(NamedTuple):
    """What it runs on, and what that costs."""

    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="SPEC", help="8xH100, 4090, p5.48xlarge; here is this machine.", autocompletion=gpus),
    ] = None
    vram: Vram = None
    tokens: Annotated[str | None, typer.Option("--tokens", metavar="N", help="Train on so many: 1T.", rich_help_panel=COST)] = None
    mfu: Annotated[
        str | None,
        typer.Option(
            "--mfu",
            metavar="SHARE",
            help="Of the peak rate; what the framework was published to reach, else 0.4.",
            rich_help_panel=COST,
        ),
    ] = None


@options
def command(
    computed: Computed,
    split: Split,
    trained: Trained,
    learned: Learned,
    machine: Machine,
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE...]",
            help="A bundled name, Hub repo or config; a recipe may name the model itself.",
            autocompletion=bundled,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="FILE", help="A framework's own configuration: YAML, TOML, JSON or the script that starts the run."
        ),
    ] = None,
    framework: Annotated[Frameworks | None, typer.Option("--framework", help="Whose conventions.")] = None,
    framework_version: Annotated[
        str | None, typer.Option("--framework-version", metavar="V", help="Its release, where rules changed.")
    ] = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Say what training takes of each GPU, term by term, whether it fits, what would make it fit, and what it costs.

    Activations are the tensors that autograd keeps, counted for each layer; the rest follows from the parameters. With `--recipe` the run
    is what a framework's own configuration says: Megatron-LM, torchtitan, axolotl, LLaMA-Factory, torchtune, TRL, DeepSpeed, llm-foundry,
    nanochat. Exit status 0, or 1 if a run does not fit the GPUs named.
    """
    from archcalc import units
    from archcalc.analysis.train_report import MFU
    from archcalc.frameworks.framework import Ask

    spec = None if machine.gpu is None and machine.vram is None else _machines.machine(machine.gpu, machine.vram, most=1 << 20)
    changes = _changes(computed, split, trained, alone=recipe is None, named=framework is not None)
    method = _method(learned, spec)
    share = None if machine.mfu is None else units.parse_share(machine.mfu, "--mfu")
    negative = machine.tokens is not None and machine.tokens.strip().startswith("-")
    count = None if machine.tokens is None or negative else units.parse_count(machine.tokens, "tokens")
    if negative or count == 0:
        raise UsageError(f"--tokens {machine.tokens}: a number of tokens above 0 was expected", "such as 1T, 300B or 50M")
    if count is not None and spec is None:
        raise UsageError("--tokens changes nothing in this call", "give --gpu 8xH100 with it, or leave it out")
    if not source and recipe is None:
        raise UsageError("SOURCE is missing: which model?", "such as llama-3.1-8b; or --recipe FILE, which may name it")
    ask = Ask(None, spec, tuple(set_ or ()), changes, share or MFU, count, offline, refresh, framework_version, method)
    report = _report_of(recipe, framework.value if framework else None, ask, share is None)
    missing: list[str] = []

    def noted(r: TrainReport) -> TrainReport:
        if r.fits is False:
            missing.append(r.source)
        return r

    def csv(reports: Iterable[TrainReport]) -> None:
        _csv(map(noted, reports))

    print_each(
        source or [recipe or ""], report, form, plain=lambda r: to_plain(noted(r)), page=lambda r: _page(noted(r)),
        markdown=lambda r: _markdown(noted(r)), csv=csv,
    )  # fmt: skip
    if missing:
        leave(1)


def _report_of(recipe: str | None, framework: str | None, ask: Ask, usual: bool) -> Callable[[str], TrainReport]:
    """How one SOURCE, or the recipe alone, is reported; at what such runs were published to reach, if `usual`."""
    from archcalc.analysis.speed.training import reached
    from archcalc.frameworks import framework as frameworks

    known = None

    def told(r: TrainReport) -> TrainReport:
        if known is not None and r.work.tokens_per_s is not None:
            r.notes.append(
                f"speed is at {known.share:.0%} of the peak: {known.runs} of this framework on such GPUs lay between {known.low:.0%} "
                f"and {known.high:.0%} ({known.source}); --mfu names another"
            )
        return r

    if recipe is not None:
        from archcalc.frameworks import files

        file = files.read(recipe)
        chosen = frameworks.framework(framework) if framework else frameworks.recognized(file)
        known = reached(chosen.name, ask.gpus.device) if usual and ask.gpus else None
        ask = ask._replace(mfu=known.share) if known else ask
        return lambda text: told(chosen.report(file, ask._replace(source=None if text == recipe else text)))

    known = reached(framework, ask.gpus.device) if usual and ask.gpus else None
    ask = ask._replace(mfu=known.share) if known else ask

    def report(text: str) -> TrainReport:
        try:
            return told(frameworks.asked(framework, ask._replace(source=text)))
        except ArchcalcError as error:
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    return report


def _method(learned: Learned, spec: GpuSpec | None) -> Asked | None:
    from archcalc import units
    from archcalc.analysis.training.method import Asked

    if learned == Learned():
        return None
    share = 0
    if learned.rollout_share is not None:
        part = units.parse_share(learned.rollout_share, "--rollout-share")
        if spec is None:
            raise UsageError("--rollout-share is a share of a GPU, and none is named", "give --gpu 8xH100 with it")
        share = round(part * spec.device.visible_bytes)
    completion = None if learned.completion is None else units.parse_tokens(learned.completion)
    return Asked(learned.method.value if learned.method else "sft", completion, learned.reference, share)


def _changes(computed: Computed, split: Split, trained: Trained, *, alone: bool, named: bool) -> dict[str, Any]:
    """The fields of a run that options set. Raises `UsageError` for an option that changes nothing beside the others, `alone` where no
    recipe stands behind them, `named` where a framework does, which has defaults of its own."""
    from archcalc import units
    from archcalc.analysis.training.adapters import split_targets

    every, loss = computed.checkpoint_every, computed.loss
    for option, wrong, needed in (
        ("--lora-targets", trained.lora_targets is not None and not trained.lora and alone, "--lora 16"),
        (
            "--loss-chunks",
            computed.loss_chunks is not None and loss is not Losses.chunked and ((alone and not named) or loss is not None),
            "--loss chunked",
        ),
        ("--checkpoint-every", (every or 1) > 1 and computed.checkpointing is Checkpointing.selective, "--checkpointing full"),
        (
            "--dropout" if computed.dropout else "--no-dropout",
            computed.dropout is not None and computed.implementation is not Implementations.megatron and alone and not named,
            "--implementation megatron",
        ),
        (
            "--recompute-modules",
            computed.recompute_modules is not None
            and computed.implementation is not Implementations.megatron
            and alone
            and not named,
            "--implementation megatron",
        ),
        (
            "--recompute-modules",
            computed.recompute_modules is not None and computed.checkpointing in (Checkpointing.none, Checkpointing.full),
            "--checkpointing selective",
        ),
        ("--dora", trained.dora and not trained.lora and alone, "--lora 16"),
        ("--modules-to-save", trained.modules_to_save is not None and not trained.lora and alone, "--lora 16"),
        ("--int8", trained.int8 and trained.qlora, "--lora 16 and no --qlora"),
        (
            "--double-quant" if trained.double_quant else "--no-double-quant",
            trained.double_quant is not None and not trained.qlora and alone,
            "--lora 16 --qlora",
        ),
    ):
        if wrong:
            raise UsageError(f"{option} changes nothing in this call", f"give {needed} with it, or leave it out")
    out: dict[str, Any] = {
        "seq": None if computed.seq is None else units.parse_tokens(computed.seq),
        "micro_batch": computed.micro_batch,
        "micro_batches": computed.accumulate,
        "recompute": "full"
        if (every or 1) > 1
        else "selective"
        if computed.recompute_modules is not None
        else computed.checkpointing and computed.checkpointing.value,
        "every": every,
        "modules": _modules(computed.recompute_modules),
        "loss": loss and loss.value,
        "chunks": computed.loss_chunks,
        "grad_size": _size("--grad-dtype", computed.grad_dtype, "gradients are", {"fp32": 4, "bf16": 2, "fp16": 2}),
        "moment_size": _size("--moment-dtype", computed.moment_dtype, "moments are", {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1}),
        "ema": computed.ema or None,
        "capacity": None if computed.capacity is None else _capacity(computed.capacity),
        "dropout": computed.dropout,
        "sequence": split.sp or None,
        "lora": trained.lora,
        "targets": None if trained.lora_targets is None else split_targets(trained.lora_targets),
        "dora": trained.dora or None,
        "saved": None if trained.modules_to_save is None else split_targets(trained.modules_to_save),
        "quant": "nf4" if trained.qlora else "int8" if trained.int8 else None,
        "double_quant": trained.double_quant,
        "frozen": None if trained.freeze is None else _frozen(trained.freeze),
    }
    for name in ("optimizer", "precision", "attention", "implementation", "offload"):
        value = getattr(computed, name)
        out[name] = value and value.value
    out |= {name: getattr(split, name) for name in ("dp", "fsdp", "zero", "tp", "pp", "interleave", "cp", "ep", "etp")}
    return {name: value for name, value in out.items() if value is not None}


def _modules(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name for name in text.replace(",", " ").split() if name))
    if not names:
        raise UsageError("--recompute-modules names no module", "such as --recompute-modules core_attn,layernorm")
    return names


def _size(option: str, text: str | None, what: str, sizes: Mapping[str, int]) -> int | None:
    from archcalc import units

    if text is None:
        return None
    name = units.parse_dtype(text)
    if name not in sizes:
        raise UsageError(f"{option} {text}: {what} kept in {', '.join(sizes)}")
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
