"""The rules that a run must keep."""

from __future__ import annotations

from archcalc.analysis.params import components
from archcalc.analysis.refusals import refuse_headers, refuse_part
from archcalc.analysis.training.pieces import trainable, unmatched
from archcalc.analysis.training.run import Run
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import PARTS, ROLES, Architecture


def check(a: Architecture, run: Run) -> None:
    """Raises `UsageError` naming the rule that a run breaks."""
    f = a.facts
    for name in (
        "seq",
        "micro_batch",
        "dp",
        "fsdp",
        "tp",
        "pp",
        "cp",
        "ep",
        "micro_batches",
        "interleave",
        "every",
        "one_in",
        "chunks",
    ):
        if getattr(run, name) < 1:
            raise UsageError(f"{name.replace('_', '-')} is {getattr(run, name)}: at least 1 was expected")
    refuse_headers(a)
    refuse_part(a)
    if not any(s.part == "decoder" for s in a.stacks):
        raise UnsupportedError(
            f"{a.model_type}: training of an encoder without its decoder is not modelled", "give the whole model"
        )
    if f.context_tokens is not None and run.seq > f.context_tokens and f.position.kind == "learned":
        raise UsageError(
            f"--seq {run.seq:,}: the model has learned positions for {f.context_tokens:,} tokens", "train on shorter sequences"
        )
    if run.pp > a.layers:
        raise UsageError(f"--pp {run.pp}: more stages than the {a.layers} layers", "use fewer stages")
    if run.pp > 1 and run.zero >= 2:
        raise UsageError(
            f"ZeRO {run.zero} with --pp {run.pp}: gradients or weights would be gathered again for each micro-batch of the pipeline",
            "ZeRO 1 goes with pipelines (DeepSpeed refuses the others); --fsdp keeps its weights gathered there",
        )
    if run.interleave > 1 and run.pp == 1:
        raise UsageError(
            f"--interleave {run.interleave}: chunks are parts of a pipeline's stage, and there is one stage",
            "give --pp with it, or leave it out",
        )
    if run.interleave > 1 and (a.layers % (run.pp * run.interleave)):
        raise UsageError(
            f"--interleave {run.interleave}: the {a.layers} layers must divide by stages x chunks ({run.pp} x {run.interleave})",
            "choose a divisor",
        )
    if run.tp > 1:
        for s in a.stacks:
            for layer in s.kinds if s.part == "decoder" else ():
                for attend in layer.attends:
                    if attend.heads and attend.v_dim and attend.heads % run.tp:
                        raise UsageError(
                            f"--tp {run.tp} does not divide the {attend.heads} attention heads", "choose a divisor of them"
                        )
                for t in layer.tensors:
                    ways = run.expert_tp if t.role == "experts" else run.tp
                    if t.shard and t.role in ("mlp", "experts", "shared_experts") and t.shard.units % ways:
                        raise UsageError(
                            f"--tp {ways} does not divide the {t.shard.units:,} columns of {t.name}", "choose a divisor of them"
                        )
    if run.sequence and run.tp == 1:
        raise UsageError("--sp splits what tensor parallelism leaves whole: it needs --tp above 1", "give --tp, or leave --sp out")
    if run.cp > 1 and run.attention == "eager":
        raise UsageError(
            "--cp splits sequences inside a fused attention: it does not go with --attention eager", "use flash or sdpa"
        )
    if run.cp > 1 and run.seq % run.cp:
        raise UsageError(f"--cp {run.cp} does not divide the sequence of {run.seq:,} tokens", "choose a divisor")
    if run.etp and (f.moe is None or run.implementation != "megatron"):
        raise UsageError(
            f"--etp {run.etp}: "
            + (
                "the model has no routed experts"
                if f.moe is None
                else "experts are split as the rest is but in Megatron-LM's modules"
            ),
            "leave it out" if f.moe is None else "--implementation megatron with it, or leave it out",
        )
    if run.capacity != 100 and f.moe is None:
        raise UsageError("--capacity: the model has no routed experts", "leave it out")
    if run.ep > 1:
        if f.moe is None:
            raise UsageError(f"--ep {run.ep}: the model has no routed experts to spread", "leave --ep out")
        if f.moe.experts % run.ep:
            raise UsageError(f"--ep {run.ep} does not divide the {f.moe.experts} routed experts", "choose a divisor of them")
        if run.etp and run.dp * run.tp * run.cp % (run.ep * run.etp):
            raise UsageError(
                f"--ep {run.ep} x --etp {run.etp} take their ranks from those of tp x dp x cp ({run.dp * run.tp * run.cp}), and do not "
                "divide them",
                "choose a divisor",
            )
        if not run.etp and run.dp * run.fsdp * run.cp % run.ep:
            raise UsageError(
                f"--ep {run.ep} takes its ranks from those of dp x fsdp x cp ({run.dp * run.fsdp * run.cp}), and does not divide them",
                "choose a divisor, or --etp 1 to take them from tp too"
                if run.implementation == "megatron" and run.tp > 1
                else "choose a divisor",
            )
    if run.frozen:
        _frozen(a, run)
    if run.unfrozen and (missing := unmatched(a, run)):
        raise UsageError(
            f"unfrozen_parameters: {missing[0]!r} opens no parameter of the model",
            "names as transformers has them: archcalc tensors SOURCE lists them",
        )
    if run.zero not in (0, 1, 2, 3):
        raise UsageError(f"--zero {run.zero}: the stages are 1, 2 and 3 (0 for none)")
    if run.zero and run.fsdp > 1:
        raise UsageError("--zero and --fsdp both shard the states", "give one of them")
    if run.offload == "params" and run.zero != 3 and run.gpus > 1:
        raise UsageError(
            "--offload params is ZeRO 3's; FSDP's offload takes gradients and states along",
            "--zero 3 with it, or --offload all",
        )
    if run.dora and not run.lora:
        raise UsageError("--dora: magnitudes are trained beside an adapter", "--lora 16 with it, or leave it out")
    if run.dora and run.implementation == "megatron":
        # PEFT 0.21, tuners/lora/config.py `LoraConfig.__post_init__`.
        raise UsageError("--dora: PEFT has it for no module of Megatron-LM", "leave it out, or --implementation transformers")
    option = "--int8" if run.quant == "int8" else "--qlora"
    if run.quant and not run.lora:
        raise UsageError(f"{option}: quantized weights cannot be trained", "train an adapter beside them: --lora 16")
    if run.quant and run.precision == "amp":
        raise UsageError(f"{option} computes in half precision: it does not go with --precision amp", "use pure or mixed")
    if run.quant == "int8" and (run.stage == 3 or run.tp > 1):
        raise UsageError(
            f"{option}: bitsandbytes' int8 matrices, whose scales stand beside them, are whole on every rank",
            "--dp without ZeRO 3, or --qlora",
        )


def _frozen(a: Architecture, run: Run) -> None:
    """Raises `UsageError` for parts that the model has not, and where nothing is left to train."""
    held: set[str] = {name for s in a.stacks for layer in s.kinds for t in layer.tensors for name in (s.part, t.role)}
    held |= {name for c in components(a) for name in (c.part, c.role)}
    if unknown := sorted(run.frozen - held):
        known = [name for name in (*PARTS, *ROLES) if name in held]
        raise UsageError(f"--freeze {unknown[0]}: the model has none", f"it has {', '.join(dict.fromkeys(known))}")
    if not run.lora and not any(trainable(a, run)):
        raise UsageError("--freeze leaves nothing to train", "leave out what is to be trained, or train an adapter: --lora 16")
