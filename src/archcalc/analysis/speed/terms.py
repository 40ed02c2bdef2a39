"""The time of a step and of a prompt as a sum of terms, each a quantity that the model and the device give times a coefficient.

A quantity is the time that a part would take at the published rate of what it uses (bytes over bandwidth, operations over the matrix rate),
or a count (layers, messages, sequences). Its coefficient is dimensionless in the first case (1 is the published rate), seconds in the
second. Being linear, the same terms serve the forecast and the fit.

Sources of the forms: Williams et al. 2009, doi:10.1145/1498765.1498785 (roofline); Pope et al. 2022, arXiv:2211.05102, section 2 (what a
decoding step reads and sends); Thakur et al. 2005, doi:10.1177/1094342005051521 (ring all-reduce: 2 (n-1)/n of the bytes); Agrawal et
al. 2023, arXiv:2308.16369, section 3 (prompts that share steps with decoding); vLLM 0.33, v1/cudagraph_dispatcher.py and SGLang 0.5.9,
model_executor/cuda_graph_runner.py (whole steps are captured of decoding alone).
"""

from __future__ import annotations

from math import exp

from archcalc.analysis.roofline import Rate
from archcalc.analysis.speed.rates import UNTOLD, peak, scores
from archcalc.analysis.speed.work import Work
from archcalc.hardware import Device
from archcalc.records import NamedTuple

BATCH = {"llama.cpp": 512, "mlx": 2048}
"""Tokens of a prompt that are multiplied at once: llama.cpp 0c1e57098, common/common.h `n_ubatch`; mlx-lm 0.28, generate.py
`prefill_step_size`. Others take 2,048 or more (vLLM 0.33, config/scheduler.py `DEFAULT_MAX_NUM_BATCHED_TOKENS`)."""
PROMPTS = frozenset(
    {"prompt_products", "prompt_experts", "prompt_rows", "prompt_scores", "prompt_read", "prompt_layer", "prompt_moe_layer"}
)
"""The terms of a prompt of an engine that reads it alone."""
ROWS = frozenset({"own_prompt", "prompt_products", "prompt_experts", "prompt_scores"})
"""The terms of a prompt that grow with how many are read at once; the others are of a pass."""
HOST = 3e-3
"""What the CPU does for a step, in seconds, roughly: models of 0.5 to 1.2 billion parameters took 2.4 ms a step on an H100 and 3.2 and 4.2
on an A100 under vLLM, where their weights are read in 0.5 to 0.7 (`tests/data/speed_rows.jsonl`). How much of it counts is fitted."""
LAUNCH = 30e-6
"""What a GPU is busy with a layer beside reading, in seconds, roughly: it and `HOST` say only which steps are so short that the CPU's time
counts."""
_LAPTOP_LINK = 16 * 10**9
_ALONE = 0.85
"""T tokens of a step visit as many experts as T to this would that choose alone: those of one text, and of one language, choose alike. Of
0.65, 0.75, 0.85 and 1 the exponent whose fits were nearest to sources that were left out."""


class Load(NamedTuple):
    """Requests of `isl` prompt and `osl` output tokens, `concurrency` of them at once over all replicas.

    `batch` is how many tokens of a prompt llama.cpp is told to multiply at once, the engine's own number where it is None.
    """

    isl: int
    osl: int
    concurrency: int = 1
    batch: int | None = None


class Term(NamedTuple):
    """One part of a time: what it is, its quantity, the coefficient that multiplies it, and how the quantity came about."""

    name: str
    quantity: float
    formula: str


def decode(work: Work, device: Device, load: Load, engine: str) -> list[Term]:
    """The terms of the time between two tokens of a sequence, in seconds at the published rates, or counts.

    Raises `ValueError` where the device's bandwidth is not published.
    """
    bandwidth = device.bandwidth_bytes_per_s
    if bandwidth is None:
        raise ValueError("bandwidth")
    p = work.placement
    # Replicas of a dense model send each other nothing; of one with experts each holds a part of them.
    ranks = p.tp * work.sharing
    each = max(1.0, load.concurrency / p.dp)
    context = load.isl + load.osl / 2
    share = _share(work, load)
    weights = work.dense_bytes + work.expert_bytes * share
    cache = each * work.cache_bytes(context)
    terms = [
        Term("weights", weights / bandwidth, _weights(work, share, bandwidth)),
        Term("cache", cache / bandwidth, f"{each:g} sequences x {work.cache_bytes(context):,.0f} B / {bandwidth / 1e9:,.0f} GB/s"),
        Term("layer", work.layers, f"{work.layers:g} layers"),
        Term("moe_layer", float(work.moe_layers), f"{work.moe_layers} layers of experts"),
        Term("recurrent_layer", float(work.recurrent), f"{work.recurrent} layers with a state"),
        Term("step", 1.0, "once a step"),
    ]
    if work.latent:
        terms.append(Term("latent_layer", float(work.latent), f"{work.latent} layers of latent attention"))
    if work.indexed:
        terms.append(Term("indexed_layer", float(work.indexed), f"{work.indexed} layers that choose what they attend to"))
    served = engine in SERVED
    # Prompts that start at a step: a request's own is not among those that it waits for.
    others = max(0, load.concurrency - p.dp) / load.osl
    gpus = p.tp * p.dp * p.pp
    if ranks > 1:
        link = link_bytes_per_s(device, ranks)
        sent = 2 * work.layers * each * work.sent_bytes * 2 * (ranks - 1) / ranks
        terms.append(Term("message", 2.0 * work.layers, f"2 x {work.layers:g} layers"))
        terms.append(
            Term(
                "sent",
                sent / link,
                f"2 x {work.layers:g} layers x {each:g} x {work.sent_bytes:,} B x 2 x {ranks - 1}/{ranks} / link",
            )
        )
    rate = reference(device, engine)
    if each > 1 and rate is not None:
        step = _of_token(work, device, context, engine)
        terms.append(Term("products", each / p.tp * _seconds(step), f"{each / p.tp:g} x ({_said(step)})"))
    if served:
        # The CPU prepares a step while the GPU runs the one before it, or after it: where that takes longer the GPU waits.
        busy = (weights + cache) / bandwidth + LAUNCH * (work.layers + work.moe_layers + (2 * work.layers if ranks > 1 else 0))
        terms.append(Term("host", max(0.0, HOST - busy), f"{HOST:g} s of the CPU less {busy:.3g} s of the GPU"))
        terms.append(Term("sequence", each, f"{each:g} sequences of a replica"))
        if rate is not None:
            prompt = _of_prompt(work, device, load.isl, engine) or []
            text = f"{max(0, load.concurrency - p.dp)} / {load.osl} prompts of others a step x ({{}}) / {gpus} GPUs"
            for name, part in (
                ("prompts", [q for q in prompt if not q.routed]),
                ("prompts_experts", [q for q in prompt if q.routed]),
            ):
                terms.append(Term(name, others / gpus * _seconds(part), text.format(_said(part) or "none")))
            # A step that reads a prompt has a size of its own, of which no graph was captured: every kernel is started from the CPU.
            mixed = 1 - exp(-others / p.dp * -(-load.isl // BATCH.get(engine, 2048)))
            terms.append(
                Term("mixed_layer", work.layers * mixed, f"{work.layers:g} layers x {mixed:.3g} of the steps read a prompt")
            )
    elif each > 1 and load.isl and rate is not None:
        # llama-server reads the prompts of new requests in the steps of the others: tools/server/server.cpp `update_slots`, 0c1e57098.
        at_once = BATCH[engine] if work.experts or not load.batch else load.batch
        passes = -(-load.isl // min(load.isl, at_once))
        terms += _joining(prefill(work, device, load.isl, engine, at_once), others, passes)
    return terms


def prefill(work: Work, device: Device, isl: int, engine: str, at_once: int | None = None) -> list[Term]:
    """The terms of the time of one prompt, of which `at_once` tokens are multiplied together (by default as many as the engine takes).

    Raises `ValueError` where a rate that they need is not published.
    """
    rate, bandwidth = reference(device, engine), device.bandwidth_bytes_per_s
    if rate is None or bandwidth is None:
        raise ValueError("rate")
    p = work.placement
    gpus = float(p.tp * p.dp)
    batch = min(isl, at_once or BATCH.get(engine, 2048))
    passes = -(-isl // batch)
    routed = work.routed_flops * isl
    attention = work.prompt_scores(isl)
    dense = work.prefill_flops(isl) - attention - routed
    # An expert sees few tokens of a batch, and a product of few rows takes as long as one of more.
    idle = routed * work.experts / (work.active * batch) if work.active else 0.0
    read = passes * (work.dense_bytes + work.expert_bytes * work.visited(batch)) / bandwidth
    if p.pp > 1:
        # Stages work on different batches of the prompt at once.
        gpus *= passes * p.pp / (passes + p.pp - 1)
    per = rate.flops_per_s * gpus
    return [
        Term("prompt_products", dense / per, f"{dense:.3g} operations / {per:.3g} a second ({rate.dtype})"),
        Term("prompt_experts", routed / per, f"{routed:.3g} operations of experts"),
        Term(
            "prompt_rows",
            idle / per,
            f"the same x {work.experts}/({work.active} x {batch}): one more row of each expert" if idle else "",
        ),
        Term("prompt_scores", attention / per, f"{attention:.3g} operations of attention / {per:.3g} a second (16 bits)"),
        Term("prompt_read", read, f"{passes} passes over the weights"),
        Term("prompt_layer", work.layers * passes, f"{work.layers:g} layers x {passes} passes"),
        Term("prompt_moe_layer", float(work.moe_layers * passes), f"{work.moe_layers} layers of experts x {passes} passes"),
    ]


def _joining(prompt: list[Term], begun: float, passes: int) -> list[Term]:
    """The terms of prompts that are read in others' steps: the last of their passes shares the step's reading of the weights."""
    of_pass = ("prompt_read", "prompt_layer", "prompt_moe_layer")
    shares = [begun * ((passes - 1) / passes if t.name in of_pass else 1) for t in prompt]
    return [Term(t.name, x * t.quantity, f"{x:.3g} prompts a step x {t.formula}") for t, x in zip(prompt, shares, strict=True)]


def first(work: Work, device: Device, load: Load, engine: str) -> list[Term]:
    """The terms of the time to the first token of an engine that serves many at once.

    A prompt is read in passes, each of which reads the weights, starts every layer's kernels and sends the activations of its tokens,
    behind those of others and the step that runs when it comes: a request that is alone meets none. How many others wait with it depends
    on how requests arrive, which nobody says: their coefficient is of closed loops with random lengths, as benchmarks run them.

    Raises `ValueError` where no matrix rate or bandwidth is published.
    """
    bandwidth = device.bandwidth_bytes_per_s
    if reference(device, engine) is None or bandwidth is None:
        raise ValueError("rate")
    p = work.placement
    prompt = _of_prompt(work, device, load.isl, engine) or []
    alone = _seconds(prompt) / (p.tp * p.pp * p.dp)
    passes = -(-load.isl // BATCH.get(engine, 2048))
    # A replica reads a prompt, all of them its experts; stages work on different passes of it at once.
    shared = work.sharing
    own = sum(q.seconds / (shared if q.routed else 1) for q in prompt) / (p.tp * p.pp * passes / (passes + p.pp - 1))
    read = work.dense_bytes + work.expert_bytes * work.visited(min(load.isl, BATCH.get(engine, 2048)))
    each = max(1.0, load.concurrency / p.dp)
    step = work.dense_bytes + work.expert_bytes * _share(work, load) + each * work.cache_bytes(load.isl + load.osl / 2)
    # Replicas of a dense model wait for none of each other's; those that share experts run in step.
    replicas = p.dp // shared
    others = max(0.0, load.concurrency / replicas - 1)
    # A request that is alone meets no step, nor does one where none writes a second token.
    running = (1 - 1 / max(1.0, load.concurrency / replicas)) * (1 - 1 / load.osl)
    text = f"({_said(prompt)}) / {p.tp * p.pp * p.dp} GPUs"
    found = [
        Term("own_prompt", own, f"{own:.3g} s: ({_said(prompt)}) on a replica's GPUs"),
        Term("own_read", passes * read / bandwidth, f"{passes} passes x {read:,.0f} B / {bandwidth / 1e9:,.0f} GB/s"),
        Term("own_layer", work.layers * passes, f"{work.layers:g} layers x {passes} passes"),
        Term(
            "own_step", running * step / bandwidth, f"a step before it x {running:.3g}: {step:,.0f} B / {bandwidth / 1e9:,.0f} GB/s"
        ),
        Term("waiting", alone * replicas * others, f"{text} x {replicas * others:g} others"),
        Term("wait_layer", work.layers * passes * others, f"{work.layers:g} layers x {passes} passes x {others:g} others"),
        Term("first", 1.0, "once a request"),
    ]
    ranks = p.tp * shared
    if ranks > 1:
        sent = 2 * work.layers * load.isl * work.sent_bytes * 2 * (ranks - 1) / ranks
        link = link_bytes_per_s(device, ranks)
        said = f"2 x {work.layers:g} layers x {load.isl} x {work.sent_bytes:,} B x 2 x {ranks - 1}/{ranks} / link"
        found.append(Term("own_sent", sent / link, said))
    if work.moe_layers:
        found.append(
            Term("own_moe_layer", float(work.moe_layers * passes), f"{work.moe_layers} layers of experts x {passes} passes")
        )
    return found


def packing(work: Work, load: Load, engine: str) -> tuple[int, float]:
    """How many prompts one pass reads where nothing else is done, of a replica or of all that share experts, and how many times as long
    as one its products take."""
    p = work.placement
    ways = min(load.concurrency, work.sharing)
    each = -(-load.concurrency // p.dp)
    rows = max(1, min(each, BATCH.get(engine, 2048) // load.isl))
    # Replicas that share experts multiply the rest of a prompt alone, and its experts together.
    routed = work.routed_flops * load.isl / p.dp if ways > 1 else 0.0
    alone = work.prefill_flops(load.isl) - routed * p.dp
    return rows * ways, rows * (alone + ways * routed) / (alone + routed)


def _share(work: Work, load: Load) -> float:
    """The share of a rank's experts that a step reads."""
    return work.visited(load.concurrency**_ALONE)


class Spent(NamedTuple):
    """Operations of one type, and the rate that one GPU makes them at; `routed` are those of routed experts."""

    flops: float
    rate: Rate
    routed: bool = False

    @property
    def seconds(self) -> float:
        return self.flops / self.rate.flops_per_s


def _seconds(parts: list[Spent]) -> float:
    return sum(part.seconds for part in parts)


def _said(parts: list[Spent]) -> str:
    of: dict[Rate, float] = {}
    for part in parts:
        of[part.rate] = of.get(part.rate, 0.0) + part.flops
    return " + ".join(f"{n:.3g} operations / {rate.flops_per_s:.3g} a second ({rate.dtype})" for rate, n in of.items() if n)


def _spent(work: Work, device: Device, tokens: float, rows: float, engine: str, fastest: bool = False) -> list[Spent] | None:
    """The matrices of so many tokens, of which the head makes so many rows; None where a rate is not published. `fastest` is with what an
    engine can be told to multiply in, not what it takes unless it is."""
    found = []
    for p in work.products:
        rate = peak(device, p.kind if fastest else UNTOLD.get((engine, p.kind), p.kind), engine not in SERVED)
        if rate is None:
            return None
        found.append(Spent((p.flops - p.head - p.routed) * tokens + p.head * rows, rate))
        if p.routed:
            found.append(Spent(p.routed * tokens, rate, routed=True))
    return found


def fastest_prompt(work: Work, device: Device, isl: int, engine: str) -> list[Spent] | None:
    """The least that a prompt takes of one GPU, at the peak rates of what it is multiplied in; None where no matrix rate is published.

    Attention over an FP8 cache is taken to be in FP8 wherever the device has it.
    """
    return _of_prompt(work, device, isl, engine, fastest=True)


def _of_prompt(work: Work, device: Device, isl: int, engine: str, fastest: bool = False) -> list[Spent] | None:
    made = _spent(work, device, isl, 1, engine, fastest)
    rate = scores(device, work.cached, engine not in SERVED, work.latent > 0 and not fastest)
    return None if made is None or rate is None else [*made, Spent(work.prompt_scores(isl), rate)]


def _of_token(work: Work, device: Device, context: float, engine: str) -> list[Spent]:
    """What a token that sees so many others takes; engines for one user widen every block to 16 bits on the way."""
    attention = sum(s.of(context) for s in work.scores)
    if engine not in SERVED:
        rate = reference(device, engine)
        return [] if rate is None else [Spent(work.flops_per_token + attention, rate)]
    made, rate = _spent(work, device, 1, 1, engine), scores(device, work.cached)
    return [] if made is None or rate is None else [*made, Spent(attention, rate)]


def reference(device: Device, engine: str) -> Rate | None:
    """The rate of 16 bits, which coefficients of an engine for one user refer to: llama.cpp and MLX come near it whatever a block's
    format, as they widen it on the way; those of the others refer to what each matrix is multiplied in."""
    return peak(device, "fp16", engine not in SERVED)


SERVED = frozenset({"vllm", "sglang", "tensorrt-llm"})
"""Engines that serve many requests at once, and split layers among GPUs."""


def link_bytes_per_s(device: Device, ranks: int) -> float:
    """What each of so many GPUs sends its peers in one direction: half its links, or PCIe, as where they are more than a bridge joins."""
    if device.link_bytes_per_s and (not device.bridge or ranks <= device.bridge):
        return device.link_bytes_per_s / 2
    return float(device.pcie_bytes_per_s or _LAPTOP_LINK)


def _weights(work: Work, share: float, bandwidth: int) -> str:
    dense = f"{work.dense_bytes:,} B"
    if work.experts:
        dense = f"({dense} + {work.expert_bytes:,} B of experts x {share:.3f})"
    return f"{dense} / {bandwidth / 1e9:,.0f} GB/s"
