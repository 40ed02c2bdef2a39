"""The report of `archcalc train`: a run on a machine, judged and priced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from archcalc import hardware, report, units
from archcalc.analysis.activations import without_rule
from archcalc.analysis.params import components
from archcalc.analysis.training import (
    CHINCHILLA_TOKENS,
    CONTEXT_BYTES,
    CUBLAS_BYTES,
    Planner,
    Run,
    limits,
    remedies,
    trainable,
    work,
)
from archcalc.analysis.training.adapters import PARAMETER, targeted
from archcalc.analysis.training.choose import choose
from archcalc.errors import UsageError
from archcalc.loader import Loaded
from archcalc.model import Architecture

OVERHEAD_BYTES = CONTEXT_BYTES + CUBLAS_BYTES
MFU = 0.4
"""The share of the peak rate that dense models reach with care (Korthikanti et al. 2022, table 5: 0.42 to 0.56; PaLM: 0.46)."""


RESERVED, RESERVED_MOST = 107, 121
"""What a GPU must have for each 100 bytes that the allocator holds at most: the median of 17 published pairs of bytes reserved and
allocated, and their 90th percentile."""


def needed(total: int) -> int:
    """Bytes that PyTorch's allocator needs of the GPU to hold `total` at most (fitted)."""
    return total * RESERVED // 100


def reserved(total: int, segments: int, budget: int | None) -> int:
    """Bytes that the allocator has taken from the GPU by the end of a step: what it needs, and the `segments` that it keeps as long as the
    GPU has room for them."""
    least = needed(total)
    most = max(least, segments)
    return most if budget is None else min(most, max(least, budget))


def near(total: int, budget: int | None) -> list[str]:
    """What the spread of the allocator's share makes of a verdict that is near; `total` is what it holds at most."""
    if budget is None or total > budget or total * RESERVED_MOST // 100 <= budget:
        return []
    most = units.format_bytes(total * RESERVED_MOST // 100)
    if needed(total) <= budget:
        return [
            f"near: of published runs one in ten reserved 1.21 times what was allocated or more, {most} here, which would not fit"
        ]
    return [f"near: what is allocated would fit alone; published runs reserved 1.07 times that (median), one in ten 1.21 ({most})"]


def place(run: Run, gpus: int) -> tuple[Run, str]:
    """The run on so many GPUs: those that no parallelism names hold replicas. Raises `UsageError` where they do not come out
    even."""
    if run.gpus == gpus:
        return run, ""
    if run.dp > 1 or gpus % run.gpus:
        ways = ", ".join(f"{name} {n}" for name in ("dp", "fsdp", "tp", "pp", "cp") if (n := getattr(run, name)) > 1)
        raise UsageError(
            f"{ways or 'the run'} makes {run.gpus} ranks, and there are {gpus} GPUs", "their product must be the number of GPUs"
        )
    return run._replace(
        dp=gpus // run.gpus
    ), f"{gpus // run.gpus} replicas, for no option says what the GPUs are for (--fsdp, --zero, --tp, ...)"


def train_report(
    loaded: Loaded,
    run: Run,
    *,
    gpus: hardware.GpuSpec | None = None,
    mfu: float = MFU,
    tokens: int | None = None,
    brief: bool = False,
    recipe: report.TrainRecipe | None = None,
    given: frozenset[str] | None = None,
    planner: Planner | None = None,
    means: frozenset[str] | None = None,
    takes: Callable[[Mapping[str, Any]], bool] | None = None,
    elsewhere: Callable[[Planner, Run], list[str]] | None = None,
) -> report.TrainReport:
    """The report of one run. `brief` leaves out what would take further trials: the limits and the remedies. With `given`, the
    fields of the run that are set, the rest of the plan is chosen for the GPUs; without, replicas fill them. `planner` is a framework's
    own where it has one, `means` how it can spread a run, `takes` which changes of one it has something for, `elsewhere` says what other
    frameworks make of it."""
    a, notes = loaded.architecture, list(loaded.architecture.notes)
    if loaded.architecture.unmodelled_keys:
        notes += loaded.architecture.doubts
    if loaded.note:
        notes.insert(0, f"config: {loaded.note}")
    planner = planner or Planner(a)
    if run.lora:
        # PEFT 0.21, tuners/tuners_utils.py `inject_adapter`: one name of a list must match, not each.
        missing: list[str] = []
        targeted(a, run.targets, missing=missing)
        if missing:
            run = run._replace(targets=tuple(name for name in run.targets if name not in missing))
            notes.append(
                f"no linear module is named {', '.join(missing)}: adapters go on {', '.join(run.targets)} alone, as in PEFT"
            )
    if gpus is not None:
        # The model's own rules first: they tell more than a product that does not come out.
        planner.check(run._replace(ep=1, sequence=run.sequence or (given is not None and run.tp > 1)))
        if given is None:
            run, said = place(run, gpus.count)
        else:
            most_held = (gpus.device.visible_bytes - OVERHEAD_BYTES) * 100 // RESERVED
            run, said = choose(
                planner,
                run,
                given,
                gpus.count,
                gpus.device.per_machine if gpus.device.of_rack else gpus.device.per_node,
                most_held,
                means,
            )
        notes += [*([said] if said else []), *gpus.notes]
    m = planner.memory(run)
    capacity = gpus.device.visible_bytes if gpus else None
    budget = capacity - OVERHEAD_BYTES if capacity is not None else None
    taken = needed(m.total)
    fits = None if budget is None else taken <= budget
    room = None if budget is None else budget * 100 // RESERVED
    most = limits(planner, run, room) if room is not None and not brief else None
    would = remedies(planner, run, room, takes) if room is not None and not fits and not brief else []
    counted = [c for c in components(a) if c.part != "mtp"]
    total, active = sum(c.total for c in counted), sum(c.active for c in counted)
    trained, added = trainable(a, run)
    notes += [*near(m.total, budget), *(elsewhere(planner, run) if elsewhere else []), *_notes(a, run)]
    if recipe is None and run.implementation == "megatron" and run.pp > 1 and a.layers % (run.pp * run.interleave):
        notes.append(
            f"{a.layers} layers do not divide over {run.pp * run.interleave} stages: Megatron-LM has to be told how many each has "
            "(--decoder-first-pipeline-num-layers, --decoder-last-pipeline-num-layers, --pipeline-model-parallel-layout)"
        )
    if not m.of("activations") and (kept := sum(size for _, size in m.kept)):
        notes.append(
            f"activations take {units.format_bytes(kept)} at the end of the forward pass, and are gone at the fullest moment"
        )
    elif not m.of("gradients") and run.micro_batches == 1:
        notes.append(
            "gradients live from the backward pass to the step alone, as nothing is accumulated: not at the fullest moment"
        )
    return report.TrainReport(
        schema_version=report.SCHEMA_VERSION,
        source=loaded.source.name,
        status=a.status,
        params=total,
        active_params=active,
        trainable_params=trained + added,
        gpu=gpus.device.id if gpus else None,
        gpus=run.gpus,
        plan=_plan(run),
        per_gpu=report.TrainPerGpu(
            m.of("weights"), m.of("gradients"), m.of("optimizer"), m.of("activations"), m.of("logits"), m.total,
            reserved(m.total, m.segments, budget), OVERHEAD_BYTES,
            capacity, None if budget is None else budget - taken, m.cpu_bytes,
        ),
        fits=fits,
        verdict=verdict(m.total, taken, budget, gpus),
        moment=m.moment,
        terms=[report.TrainTerm(t.group, t.name, t.bytes, round(t.bytes / m.total, 4), t.formula) for t in m.terms],
        moments=[report.TrainMoment(*moment) for moment in m.moments],
        stage=m.stage,
        stages=[report.TrainStage(i, *stage) for i, stage in enumerate(zip(m.static, m.stages, strict=True))],
        recipe=recipe,
        max_micro_batch=most.micro_batch if most else None,
        max_seq_tokens=most.seq if most else None,
        would_fit=[report.TrainRemedy(*remedy, (budget or 0) - needed(remedy.total)) for remedy in would],
        work=_work(a, run, gpus, mfu, tokens, active),
        basis=_basis(a),
        notes=notes,
    )  # fmt: skip


def _plan(run: Run) -> report.TrainPlan:
    checkpointing = run.recompute if run.every == 1 else f"{run.recompute}, every {run.every} layers"
    if run.one_in > 1:
        checkpointing = f"{run.recompute}, one layer in {run.one_in}"
    return report.TrainPlan(
        run.seq, run.micro_batch, run.micro_batches, run.sequences, run.precision, run.optimizer, run.implementation, run.attention,
        checkpointing, run.loss, run.dp, run.fsdp, run.stage, run.tp, run.sequence, run.pp, run.interleave, run.cp, run.ep,
        run.lora, [name.removeprefix(PARAMETER) for name in run.targets] if run.lora else [], run.dora, run.quant or None, run.offload,
    )  # fmt: skip


def _basis(a: Architecture) -> Literal["counted", "formula", "guessed"]:
    """Activations are counted where every kind of layer is: dense or routed FFNs behind softmax attention. Recurrences go by
    formula."""
    if a.status == "guessed":
        return "guessed"
    softmax = ("full", "sliding", "chunked", "latent")
    counted = all(c.kind in softmax for s in a.stacks for layer in s.kinds for c in layer.caches)
    return "counted" if counted else "formula"


def verdict(total: int, taken: int, budget: int | None, gpus: hardware.GpuSpec | None) -> str:
    """Whether it fits, in words: `taken` is what the allocator needs for the `total` that it holds."""
    size = units.format_bytes(total)
    if budget is None or gpus is None:
        return f"{size} on the fullest GPU"
    spare = budget - taken
    machine = f"{gpus.count} x {gpus.device.name}" if gpus.count > 1 else gpus.device.name
    about = f"{size} on the fullest GPU, about {units.format_bytes(taken)} with the allocator's gaps"
    if spare >= 0:
        return f"Fits {machine}: {about}, {units.format_bytes(spare)} to spare"
    return f"Does not fit {machine}: {about}, {units.format_bytes(-spare)} too much"


def _every_expert(a: Architecture) -> bool:
    """Whether the reference implementation computes every routed expert on every token."""
    layers = (layer for s in a.stacks if s.part == "decoder" for layer in s.kinds)
    return any((routing := layer.routing()) is not None and routing.kind == "all" for layer in layers)


def _notes(a: Architecture, run: Run) -> list[str]:
    notes = []
    if odd := without_rule(a):
        notes.append(f"what a layer keeps for {', '.join(odd[:4])} is not counted: no rule knows its part in the layer")
    if not a.head_rows and not any(group.part == "head" for group in a.groups):
        notes.append(f"{a.model_type} has no head here: its loss is of hidden states, and no logits are counted")
    context = a.facts.context_tokens
    if context is not None and run.seq > context:
        notes.append(f"{run.seq:,} tokens are beyond the {context:,} positions that the config states")
    if any(s.part in ("vision", "audio") for s in a.stacks):
        notes.append("activations are those of the text model: no image or sound in the batch")
    if any(layer.keeps("state") for s in a.stacks for layer in s.kinds):
        notes.append("recurrences as fused kernels compute them: their inputs and outputs, and an fp32 state every chunk of tokens")
    if a.facts.moe and run.implementation == "transformers" and _every_expert(a):
        notes.append("the reference implementation computes every routed expert on every token, and keeps all of that")
    elif a.facts.moe:
        notes.append("routed experts as one grouped product, tokens spread evenly")
    if run.offload != "none" or run.optimizer.startswith("paged"):
        notes.append("what is offloaded lies in the CPU's memory")
    if a.mtp_layers:
        notes.append("MTP layers are left out, as the reference implementation leaves them out")
    if a.status == "guessed":
        notes.append("a guess by the usual keys: no adapter reads this model type")
    return notes


def _work(
    a: Architecture, run: Run, gpus: hardware.GpuSpec | None, mfu: float, tokens: int | None, active: int
) -> report.TrainWork:
    w = work(a, run)
    return priced(
        w.six_n, w.attention, w.hardware - w.model, run.sequences * run.seq, run.size, run.gpus, gpus, mfu, tokens, active
    )


def priced(
    matrices: int, attention: int, again: int, step_tokens: int, size: int, number: int, gpus: hardware.GpuSpec | None, mfu: float,
    tokens: int | None, active: int,
) -> report.TrainWork:  # fmt: skip
    """What operations of one token come to: `matrices` and `attention` of the model, and those that are computed `again`."""
    rates = gpus.device.tflops if gpus else None
    model = matrices + attention
    # Without half-precision matrix units of its own type a device computes in the next that it has.
    peak = ((rates.tf32 or rates.fp32) if size == 4 else (rates.bf16 or rates.fp16)) if rates else None
    flops = round(peak * 1e12) if peak else None
    rate = flops * number * mfu / model if flops else None
    hours = tokens / rate / 3600 if tokens and rate else None
    offers = hardware.rent(gpus) if gpus else []
    price = offers[0][0] if offers else None
    return report.TrainWork(
        flops_per_token=model,
        matrices_flops_per_token=matrices,
        attention_flops_per_token=attention,
        hardware_flops_per_token=model + again,
        flops_per_step=model * step_tokens,
        tokens_per_step=step_tokens,
        mfu=mfu,
        peak_flops_per_s=flops,
        tokens_per_s=round(rate, 1) if rate else None,
        tokens=tokens,
        hours=round(hours, 2) if hours else None,
        gpu_hours=round(hours * number, 1) if hours else None,
        usd_per_hour=price,
        usd=round(hours * price, 2) if hours and price else None,
        instance=offers[0][2].id if offers else None,
        chinchilla_tokens=CHINCHILLA_TOKENS * active,
    )
