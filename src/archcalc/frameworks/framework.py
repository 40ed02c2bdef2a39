"""What every framework of training answers, and the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol, cast

from archcalc import hardware, report, units
from archcalc.analysis.training import Planner, Run
from archcalc.analysis.training.choose import SPLITS
from archcalc.analysis.training.method import Asked, with_method
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks import flash
from archcalc.frameworks.files import File
from archcalc.frameworks.others import refuse_others
from archcalc.model import Architecture
from archcalc.records import NamedTuple


class Ask(NamedTuple):
    """What the command line says beside a recipe: `changes` are fields of the run that options set, which win over the recipe's."""

    source: str | None
    gpus: hardware.GpuSpec | None
    overrides: Sequence[str] = ()
    changes: Mapping[str, Any] = MappingProxyType({})
    mfu: float = 0.4
    tokens: int | None = None
    offline: bool = False
    refresh: bool = False
    version: str | None = None
    method: Asked | None = None


class Framework(Protocol):
    """One framework. Found by its name, or by its configuration file."""

    name: str

    def recognizes(self, file: File) -> bool:
        """Whether the file is a configuration of this framework."""

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of a run as this framework sets them where options do not, `given` those that options set, its `version` and what the run
        learns from, its `method`."""

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        """The report of the run that the file starts. Raises errors that name the file and the key."""


# In the order in which their files are recognized: those with a mark of their own first.
REGISTRY = {
    "megatron": "archcalc.frameworks.megatron.recipe",
    "torchtitan": "archcalc.frameworks.torchtitan",
    "deepspeed": "archcalc.frameworks.deepspeed",
    "torchtune": "archcalc.frameworks.torchtune",
    "llm-foundry": "archcalc.frameworks.llm_foundry",
    "llama-factory": "archcalc.frameworks.llama_factory",
    "axolotl": "archcalc.frameworks.axolotl",
    "nanochat": "archcalc.frameworks.nanochat",
    "litgpt": "archcalc.frameworks.litgpt",
    "transformers": "archcalc.frameworks.transformers",
}


def framework(name: str) -> Framework:
    """A framework by its name. Raises `UsageError` for another."""
    if name not in REGISTRY:
        raise UsageError(f"--framework {name}: no framework has that name", f"one of {', '.join(REGISTRY)}")
    return cast(Framework, import_module(REGISTRY[name]).FRAMEWORK)


def recognized(file: File) -> Framework:
    """The framework that a configuration file belongs to. Raises `UsageError` where none reads it."""
    for name in REGISTRY:
        found = framework(name)
        if found.recognizes(file):
            if name in ("transformers", "llama-factory"):
                refuse_others(file.path, file.data, "")  # ms-swift's keys are the Trainer's, and more.
            return found
    refuse_others(file.path, file.data, " ".join(file.words))
    raise UsageError(
        f"{file.path} is no configuration that a framework known here reads", f"--framework names it: {', '.join(REGISTRY)}"
    )


def planner_of(a: Architecture, run: Run, gpus: hardware.GpuSpec | None) -> Planner | None:
    """The planner of a framework that counts by modules of its own, where they cover the model."""
    if run.implementation != "megatron":
        return None
    from archcalc.frameworks.megatron.source import MegatronPlanner, covers

    return MegatronPlanner(a, gpus.device if gpus else None) if covers(a, run) else None


# By which means each spreads a run: torchtitan 2026-08, distributed/parallel_dims.py; torchtune 0.6, training/_distributed.py;
# LitGPT 0.5.13, finetune/lora.py (`FSDPStrategy`); llm-foundry 0.22, FSDP; DeepSpeed's ZeRO; nanochat, optim.py (states shared);
# Megatron-LM's; the Trainer's by accelerate 1.15 (FSDP, ZeRO, and `ParallelismConfig` of tp and cp), as in axolotl.
_TRAINER = frozenset({"dp", "fsdp", "zero", "zero-2", "zero-3", "tp", "cp"})
MEANS: Mapping[str, frozenset[str]] = {
    "megatron": frozenset({"dp", "zero", "tp", "pp", "cp", "ep", "fsdp"}),
    "torchtitan": frozenset({"dp", "fsdp", "tp", "pp", "cp", "ep"}),
    "deepspeed": frozenset({"dp", "zero", "zero-2", "zero-3", "pp", "tp", "ep"}),
    "torchtune": frozenset({"dp", "fsdp", "tp"}),
    "llm-foundry": frozenset({"dp", "fsdp"}),
    "llama-factory": frozenset({"dp", "fsdp", "zero", "zero-2", "zero-3"}),
    "axolotl": _TRAINER | {"ep"},
    "nanochat": frozenset({"dp", "zero", "zero-2"}),
    "litgpt": frozenset({"dp", "fsdp"}),
    "transformers": _TRAINER,
}
VERSIONED = ("transformers", "torchtitan", "llama-factory")
"""Those whose rules differ by release here."""
_PEFT = ("llama-factory", "axolotl", "transformers", "deepspeed")
_NO_ADAPTERS = ("megatron", "nanochat")
_MOST_ZERO = {"nanochat": 2, "megatron": 1}


def _tried(name: str | None) -> frozenset[str] | None:
    """What a plan may be chosen of: the Trainer's tensor and context parallelism are taken where they are asked for, and Megatron-FSDP,
    which is no part of the modules that are counted."""
    means = MEANS.get(name or "")
    if name == "megatron" and means is not None:
        return means - {"fsdp"}
    return means - {"tp", "cp", "ep"} if means is not None and means >= _TRAINER else means


def _can(name: str, given: Mapping[str, Any], changes: Mapping[str, Any], gpus: int) -> None:
    """Raises `UsageError` for options that the framework named has nothing for, or which change nothing with what it takes."""
    means = MEANS[name]
    for split in SPLITS:
        if split not in means and given.get(split, 0) > (0 if split == "zero" else 1):
            has = ", ".join(f"--{one}" for one in SPLITS if one in means)
            raise UsageError(f"--{split} {given[split]}: {name} does not spread a run so", f"it has {has}")
    if given.get("zero", 0) > _MOST_ZERO.get(name, 3):
        raise UsageError(f"--zero {given['zero']}: {name} shares no more than ZeRO {_MOST_ZERO[name]} does", "give that, or none")
    if name == "litgpt" and given.get("quant") and gpus > 1:
        # finetune/lora.py `setup`.
        raise UsageError("--qlora: LitGPT trains quantized models on one GPU alone", "give one GPU, or leave --qlora out")
    # torchtitan 0.3, components/lora.py; llm-foundry 0.22, models/hf/hf_causal_lm.py (`peft_config`): adapters beside whole matrices.
    for option, used, without in (
        ("--lora", bool(given.get("lora")), _NO_ADAPTERS),
        ("--qlora", bool(given.get("quant")), (*_NO_ADAPTERS, "torchtitan", "llm-foundry")),
    ):
        if used and name in without:
            raise UsageError(f"{option}: {name} has nothing of the kind", f"leave it out, or name one of {', '.join(_PEFT)}")
    for option, used in (("--int8", given.get("quant") == "int8"), ("--modules-to-save", bool(given.get("saved")))):
        if used and name not in _PEFT:
            raise UsageError(f"{option}: {name} has nothing of the kind", f"{', '.join(_PEFT)} train through PEFT and bitsandbytes")
    if given.get("dora") and name not in (*_PEFT, "torchtune"):
        raise UsageError(f"--dora: {name} has nothing of the kind", f"{', '.join((*_PEFT, 'torchtune'))} have")
    for field, option, wrong, needed in (
        ("dropout", "--dropout", changes.get("implementation") != "megatron", "--implementation megatron"),
        ("modules", "--recompute-modules", changes.get("implementation") != "megatron", "--implementation megatron"),
        ("chunks", "--loss-chunks", changes.get("loss") != "chunked", "--loss chunked"),
    ):
        if field in given and wrong:
            raise UsageError(f"{option} changes nothing in this call", f"give {needed} with it, or leave it out")


def taken_by(name: str, gpus: int) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a framework has something for changes of a run."""

    def takes(changes: Mapping[str, Any]) -> bool:
        zero = changes.get("zero", 0)
        if zero and ("zero" if zero == 1 else f"zero-{zero}") not in MEANS[name]:
            return False
        try:
            _can(name, changes, changes, gpus)
        except UsageError:
            return False
        return True

    return takes


# torchtitan 2026-08, config/configs.py `TrainingConfig`; LLaMA-Factory 0.9.5, hparams/data_args.py; axolotl 0.19,
# utils/schemas/config.py; TRL 1.16, trainer/sft_config.py; nanochat, scripts/base_train.py.
_LENGTHS: Mapping[str, tuple[int, str]] = {
    "torchtitan": (2048, "training.seq_len"),
    "llama-factory": (2048, "cutoff_len"),
    "axolotl": (512, "sequence_len"),
    "transformers": (1024, "TRL's max_length"),
    "nanochat": (2048, "max_seq_len"),
}
_LENGTH = 4096
"""What Llama 2 (arXiv:2307.09288, table 1), DeepSeek-V3 (arXiv:2412.19437, section 4.2) and Qwen3 (arXiv:2505.09388, section 3.2) were
pretrained on."""


def length(name: str | None, a: Architecture) -> tuple[int, str]:
    """The sequences of a run that says nothing of them, and what to say: the framework's default, or what models are pretrained on, and no
    more than the model takes."""
    tokens, whose = _LENGTHS.get(name or "", (_LENGTH, ""))
    most = a.facts.context_tokens
    least = min(tokens, most) if most else tokens
    why = (
        "the model's whole context"
        if least < tokens
        else f"{name}'s default ({whose})"
        if whose
        else "as Llama 2, DeepSeek-V3 and Qwen3 were pretrained"
    )
    return least, f"assumed: sequences of {least:,} tokens, {why}; --seq names another length"


_LITGPT_CHUNK, _CHUNKS = 128, 8


def told(given: Mapping[str, Any]) -> tuple[str, str] | None:
    """The framework that options tell though none is named, and by what.

    A loss in chunks of 128 tokens is LitGPT's (0.5.13, finetune/lora.py `fit`: `lm_head_chunk_size=128`): others that have one count
    chunks instead, 8 of a batch (torchtune 0.6, modules/loss/ce_chunked_output_loss.py; torchtitan 0.3, components/loss.py). Its finetuning
    shards by FSDP alone.
    """
    chunks, seq = given.get("chunks"), given.get("seq")
    if given.get("loss") != "chunked" or not chunks or not seq or chunks in (1, _CHUNKS) or -(-seq // _LITGPT_CHUNK) != chunks:
        return None
    split = given.keys() & {"tp", "pp", "ep", "cp", "zero", "implementation"}
    if split or given.get("precision") not in ("pure", "amp", "fp32"):
        return None
    return (
        "litgpt",
        f"a loss in chunks of {_LITGPT_CHUNK} tokens is LitGPT's, and so is the rest: a --framework that is named decides",
    )


def usual(given: Mapping[str, Any], gpus: int, *, plain: bool = True) -> dict[str, Any]:
    """What options leave open where no framework is named, as those that publish such runs have it.

    Full training over several GPUs with fp32 shards is torchtitan's, but where it is not `plain` (log-probabilities are read): a
    compiled loss, embedding and head as units of their own. Routed experts are in nf4 beside other matrices that are: axolotl
    quantizes them, and so did transformers before release 5, whose experts were linear modules (4.52,
    models/qwen3_moe/modeling_qwen3_moe.py `Qwen3MoeSparseMoeBlock`); plain transformers 5 leaves them. Adapters compute
    under autocast, as the Trainer's bf16 has it, but where everything is asked to be in half precision.
    """
    # Every framework compared below steps with PyTorch's fused AdamW; a loop of one's own may copy gradients (`--optimizer adamw`).
    own: dict[str, Any] = {} if given.get("implementation") == "megatron" else {"optimizer": "adamw-fused"}
    if given.get("lora") and given.get("precision", "mixed") == "mixed":
        own["adapter_autocast"] = True
    if given.get("quant"):
        return {"quantized_experts": True, **own}
    if given.get("lora"):
        return own
    alone = gpus * given.get("fsdp", 1) * given.get("dp", 1) * given.get("tp", 1) * given.get("pp", 1) == 1
    apart = given.get("zero") or given.get("frozen") or given.get("implementation") == "megatron"
    if alone or apart or not plain or given.get("precision", "mixed") != "mixed":
        return own
    return {"loss": "compiled", "ends_apart": True, **own}


def _said(a: Architecture, run: Run, taken: Mapping[str, Any]) -> list[str]:
    """Which of the usual conventions the run has."""
    notes = []
    if taken.get("quantized_experts") and any(t.experts for s in a.stacks for layer in s.kinds for t in layer.tensors):
        notes.append(f"routed experts in {run.quant} too, as axolotl has them; --framework transformers leaves them as they are")
    if "loss" in taken and run.loss == taken["loss"]:
        notes.append("no framework is named: torchtitan's compiled loss, 4 bytes a logit; --loss full for the Trainer's 14")
    return notes


_COMPARED = ("transformers", "axolotl", "torchtune", "torchtitan")
_ALIKE = ("recompute", "attention")
"""What the run is compared with as it is, whatever a framework's default."""


def _elsewhere(taken: Mapping[str, Any], given: Mapping[str, Any], planner: Planner, run: Run) -> list[str]:
    """What the run takes by the defaults of frameworks that could start it, in place of those `taken` where none is named: the plan,
    checkpointing and attention are the run's. Where the run is outside of their figures, what it has that the nearest has not."""
    plain = run._replace(**{name: Run._field_defaults[name] for name in taken})
    found: dict[str, tuple[int, Run]] = {}
    for name in _COMPARED:
        means = MEANS[name] | ({"zero"} if f"zero-{run.zero}" in MEANS[name] else set())
        if any(getattr(run, split) > (split != "zero") for split in SPLITS if split not in means) or (
            run.lora and "cp" in means - _TRAINER
        ):
            continue
        own = framework(name).defaults(given)
        changes = {key: value for key, value in own.items() if key in Run._fields and key not in (*given, *_ALIKE)}
        try:
            _can(name, {**given, **{split: getattr(run, split) for split in SPLITS}}, {**own, **given}, run.gpus)
        except UsageError:
            continue
        theirs = plain._replace(**changes)
        found[name] = planner.total(theirs), theirs
    least, most = (pick(found, key=lambda one: found[one][0]) if found else "" for pick in (min, max))
    if not found or found[least][0] == found[most][0]:
        return []
    low, high = (units.format_bytes(found[one][0]) for one in (least, most))
    note = (
        f"by framework: {low} ({least}) to {high} ({most}); with this plan, checkpointing and attention in each: --framework says whose "
        "precision, loss and optimizer count"
    )
    total = planner.total(run)
    if found[least][0] <= total <= found[most][0]:
        return [note]
    nearest = least if total < found[least][0] else most
    other = found[nearest][1]
    differ = [
        f"{what} {getattr(run, what)} ({nearest}: {getattr(other, what)})"
        for what in ("precision", "loss", "optimizer")
        if getattr(run, what) != getattr(other, what)
    ]
    has = f": {', '.join(differ)}" if differ else ""
    return [note, f"by options alone it is {units.format_bytes(total)}, which none of these frameworks has{has}"]


def asked(name: str | None, ask: Ask) -> report.TrainReport:
    """The report of a SOURCE and options alone, by the conventions of a framework where one is named."""
    from archcalc.analysis.train_report import train_report
    from archcalc.loader import load

    asked_for = {**ask.changes, "version": ask.version, "method": ask.method.method if ask.method else "sft"}
    known = None if name else told(ask.changes)
    if known:
        name = known[0]
    taken = (
        framework(name).defaults(asked_for)
        if name
        else usual(ask.changes, ask.gpus.count if ask.gpus else 1, plain=ask.method is None or ask.method.method == "sft")
    )
    changes = {**taken, **ask.changes}
    if ask.changes.get("precision") == "mixed" and changes.get("lora") and not changes.get("quant"):
        # Mixed precision that is asked for casts fp32 shards under FSDP, frozen ones among them (PEFT 0.13, examples/sft/utils.py: what
        # is not quantized is loaded in fp32, as TRL's default is); a model loaded in half precision is `pure`.
        changes["fp32_shards"] = True
    if ask.version is not None and name not in VERSIONED:
        whose = f"{name}'s rules are those of one release" if name else "no framework is named"
        raise UsageError(
            f"--framework-version changes nothing here: {whose}", f"leave it out, or give --framework {' or '.join(VERSIONED)}"
        )
    if name:
        _can(name, ask.changes, changes, ask.gpus.count if ask.gpus else 1)
    if changes.get("attention") == "flash" and "attention" in ask.changes and changes.get("precision") == "fp32":
        raise UsageError("--attention flash computes in half precision alone", "--attention sdpa, or another --precision")
    lacks = flash.missing(ask.gpus) if changes.get("attention") == "flash" else ""
    if lacks and "attention" in ask.changes:
        raise UsageError(f"--attention flash: {lacks}", "--attention sdpa, whose memory-efficient kernel runs there")
    if lacks:
        changes["attention"] = "sdpa"
    if ask.method is not None and ask.method.method == "reward" and "loss" in ask.changes:
        raise UsageError("--loss changes nothing with --method reward: a score is one number, not logits", "leave it out")
    assert ask.source is not None
    loaded = load(ask.source, offline=ask.offline, refresh=ask.refresh, overrides=ask.overrides)
    assumed = []
    if "seq" not in changes:
        changes["seq"], said = length(name, loaded.architecture)
        assumed.append(said)
    given = frozenset(changes)
    if "micro_batches" not in changes:
        changes["micro_batches"] = changes.get("pp", 1)
    if changes.get("moment_size"):
        changes.setdefault("zero", 1)  # The precision-aware optimizer is a distributed one; what is not given is still chosen.
    run, notes = with_method(Run(**changes), ask.method or Asked())
    notes = [*assumed, *notes]
    if run.fp32_shards and run.fsdp > 1:
        notes.append(
            "frozen weights are sharded in fp32, as mixed precision has them under FSDP; --precision pure: in half precision"
        )
    if lacks:
        notes.append(f"attention is PyTorch's own: {lacks}")
    if known:
        notes = [*notes, f"no framework is named: {known[1]}"]
    elif not name:
        notes = [*notes, *_said(loaded.architecture, run, taken)]
    planner = planner_of(loaded.architecture, run, ask.gpus)
    for option, asked_of in (("--recompute-modules", run.modules), ("--moment-dtype", run.moment_size)):
        if asked_of and planner is None:
            raise UnsupportedError(
                f"{option}: this model or run is not counted by Megatron-LM's modules, which alone have it",
                "--implementation megatron without adapters and FSDP, or leave it out",
            )
    open_ = not name and planner is None and (ask.method is None or ask.method.method == "sft")
    r = train_report(
        loaded, run, gpus=ask.gpus, mfu=ask.mfu, tokens=ask.tokens, given=given, planner=planner, means=_tried(name),
        takes=taken_by(name, ask.gpus.count if ask.gpus else 1) if name else None,
        elsewhere=partial(_elsewhere, taken, asked_for) if open_ else None,
    )  # fmt: skip
    if run.size == 2 and (half := flash.half(ask.gpus)):
        notes.append(half)
    r.notes[:0] = notes
    return r
