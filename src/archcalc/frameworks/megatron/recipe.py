"""The report of a run that Megatron-LM's own arguments start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import hardware, report
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.arguments import Arguments, from_file
from archcalc.frameworks.megatron.fp8 import refuse_gpu
from archcalc.frameworks.megatron.terms import terms_of


class Megatron:
    """Megatron-LM, Megatron-core."""

    name = "megatron"

    def recognizes(self, file: File) -> bool:
        if file.kind == "shell":
            words = set(file.words)
            return "--num-attention-heads" in words or "--tensor-model-parallel-size" in words
        return "MODEL_ARGS" in file.data

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"implementation": "megatron"}

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        if ask.source is not None:
            raise UsageError(f"{file.path} describes the model itself: SOURCE would change nothing", "leave SOURCE out")
        if ask.changes:
            raise UsageError(
                f"{', '.join(sorted(ask.changes))}: {file.path} says so itself",
                "--set NAME=VALUE changes an argument, as in --set micro-batch-size=2",
            )
        a = from_file(file)
        values = dict(a.values)
        for override in ask.overrides:
            key, equals, value = override.partition("=")
            if not equals:
                raise UsageError(f"--set {override}: KEY=VALUE was expected", "such as --set vocab-size=50257")
            values[key.strip().lstrip("-")] = {"true": True, "false": False}.get(value.lower(), value)
        a = Arguments(a.path, values, a.env)
        if ask.gpus is None:
            raise UsageError(f"{file.path}: --gpu is missing: on what does it run?", "--gpu 8xH100")
        _training(a)
        r = _report(a, ask, ask.gpus)
        r.notes[:0] = file.notes
        return r


FRAMEWORK = Megatron()

_GENERATES = (
    "out-seq-length", "sample-output-file", "sample-input-file", "genfile", "num-samples", "prompt-file", "prompt-type",
    "max-tokens-to-oom", "num-tokens-to-generate", "guess-file", "eval-prompt",
)  # fmt: skip


def _training(a: Arguments) -> None:
    """Raises `UnsupportedError` for scripts that generate text or score it (examples/inference, examples/academic_paper_scripts)."""
    if found := [f"--{name}" for name in _GENERATES if a.values.get(name) not in (None, False)]:
        raise UnsupportedError(f"{a.path}: {', '.join(found)}: this script starts no training", "the script that does")


def _report(a: Arguments, ask: Ask, gpus: hardware.GpuSpec) -> report.TrainReport:
    from archcalc.analysis.train_report import OVERHEAD_BYTES, near, needed, verdict

    s, model = mm.read(a, gpus.count)
    refuse_gpu(a.path, s.fp8, gpus.device)
    chunks = mm.chunks(a, s, len(model.layers)) if s.family != "t5" else [[list(range(len(model.layers)))]]
    stages = [mm.stage_of(s, model, i, layers, gpus.device, a.environment()) for i, layers in enumerate(chunks)]
    fullest = max(range(len(stages)), key=lambda i: stages[i].total)
    static, f = stages[fullest].static, stages[fullest].fullest
    used, inert, unmodelled = a.sorted()
    capacity = gpus.device.visible_bytes
    budget = capacity - OVERHEAD_BYTES
    taken = needed(f.total)
    total, active = mm.parameters(s, model)
    notes = [*([model.note] if model.note else []), *gpus.notes, *near(f.total, budget)]
    if unmodelled:
        notes.append(f"not modelled, taken as changing nothing: {', '.join(unmodelled)}")
    if s.userbuffers:
        notes.append("buffers of --tp-comm-overlap stand outside of PyTorch's allocator, and are not counted")
    if s.pp > 1:
        notes.append(f"{s.pp} stages, 1F1B" + (f" with {s.virtual} chunks each" if s.virtual > 1 else ""))
    return report.TrainReport(
        schema_version=report.SCHEMA_VERSION,
        source=a.path,
        status="counted",
        params=total,
        active_params=active,
        trainable_params=total,
        gpu=gpus.device.id,
        gpus=gpus.count,
        plan=_plan(s),
        per_gpu=report.TrainPerGpu(
            f.weights + f.gathered, f.gradients + f.between, f.optimizer,
            sum(f.activations.values()) + f.again + f.work + f.buffers, f.logits, f.total,
            taken, OVERHEAD_BYTES, capacity, budget - taken, f.on_cpu,
        ),
        fits=taken <= budget,
        verdict=verdict(f.total, taken, budget, gpus),
        moment=stages[fullest].moment,
        terms=[report.TrainTerm(group, name, size, round(size / f.total, 4), text) for group, name, size, text in terms_of(s, f)],
        moments=[report.TrainMoment("between two iterations", static), report.TrainMoment("at most", f.total)],
        stage=fullest,
        stages=[report.TrainStage(i, stage.static, stage.total) for i, stage in enumerate(stages)],
        recipe=report.TrainRecipe("megatron", ask.version, used, inert, unmodelled),
        max_micro_batch=None,
        max_seq_tokens=None,
        would_fit=[],
        work=_work(s, model, gpus, ask, active),
        basis="counted",
        notes=notes,
    )  # fmt: skip


def _plan(s: mm.Settings) -> report.TrainPlan:
    data = s.gpus // (s.tp * s.pp * s.cp)
    return report.TrainPlan(
        s.seq, s.micro_batch, s.micro_batches, s.micro_batch * s.micro_batches * data, s.precision, s.optimizer, "megatron",
        s.rank.attention,
        s.recompute, "fused" if s.fused_loss else "full", data, 1, int(s.distributed), s.tp, s.rank.sp, s.pp, s.virtual, s.cp, s.ep, 0, [],
        False, None, "none",
    )  # fmt: skip


def _work(s: mm.Settings, model: mm.Model, gpus: hardware.GpuSpec, ask: Ask, active: int) -> report.TrainWork:
    from archcalc.analysis.train_report import priced

    matrices = 6 * (active - (s.learned + (0 if s.tied else s.vocab)) * model.hidden)
    attention = 6 * model.attention * s.seq
    again = matrices // 3 + attention // 3 if s.recompute == "full" else attention // 3 if s.recompute == "selective" else 0
    tokens = s.micro_batch * s.micro_batches * (s.gpus // (s.tp * s.pp * s.cp)) * s.seq
    return priced(matrices, attention, again, tokens, 2 if s.precision != "fp32" else 4, s.gpus, gpus, ask.mfu, ask.tokens, active)
