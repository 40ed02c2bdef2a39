"""`vllm serve` for a plan.

Source: vLLM 0.33, engine/arg_utils.py; `--nnodes` is in 0.11.1 and not in 0.11.0, and infers the replicas of each machine
(`create_engine_config`); before, they are named (0.10, docs/serving/data_parallel_deployment.md; the flags are in 0.9.0 and not in 0.8.5).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.engines._command import everywhere, overrides, revision, told, trusted, untold, word
from archcalc.engines.placement import Placement, even
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, capability, machines
from archcalc.engines.served import classes_of, renamed
from archcalc.engines.vllm import towers
from archcalc.engines.vllm.loading import takes_nodes
from archcalc.engines.vllm.quantization import ALLOW, DTYPES, asks_for_half, deprecated
from archcalc.engines.vllm.rules import ENGINE, at_least, rules
from archcalc.engines.vllm.served import REGISTRY
from archcalc.model import Architecture

_CACHES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "auto"}


def command(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
    trust, notes = trusted("vllm", ENGINE, model.architecture, ask.version)
    if known := renamed(REGISTRY, model.architecture, ask.version):
        named = named._replace(overrides=(*named.overrides, ("architectures", [known])))
    words = [
        *_words(named, ask, model, fit),
        *told(model.architecture),
        *([ALLOW] if deprecated(ask, model.architecture.quantization, model.options.online) else []),
        *trust,
        *named.how,
        *overrides("--hf-overrides", named),
        *fit.taken.flags,
    ]
    if "--dtype" not in words and asks_for_half(model.architecture, ask.version, capability(ask.gpus.device)):
        words += ["--dtype", DTYPES["fp16"]]
    count = machines(ask.gpus)
    if count == 1:
        return Command(" ".join(words), notes)
    more, note = joined(count, ask.version, fit.placement)
    return Command(" ".join([*words, *more]), (note, *notes))


def _words(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Iterator[str]:
    p = fit.placement
    yield f"vllm serve {word(named)}"
    yield from revision(named)
    yield from split(p)
    if towers.whole(model.architecture, p, ask):
        yield towers.WHOLE
    yield from pooling(model.architecture, ask.version)
    yield f"--max-model-len {fit.context_tokens}"
    if ask.kv_dtype is not None:
        dtype = _CACHES.get(fit.kv_dtype, fit.kv_dtype)
        yield f"--kv-cache-dtype {dtype if dtype in rules(ask.version).dtypes else 'auto'}"
    if ask.utilization is not None:
        yield f"--gpu-memory-utilization {ask.utilization:g}"
    if ask.batched_tokens is not None:
        yield f"--max-num-batched-tokens {ask.batched_tokens}"


def split(p: Placement) -> Iterator[str]:
    """The flags that name a split."""
    for flag, ways in (("tensor", p.tp), ("pipeline", p.pp), ("data", p.dp)):
        if ways > 1:
            yield f"--{flag}-parallel-size {ways}"
    if p.ep > 1:
        yield "--enable-expert-parallel"
    if p.dcp > 1:
        yield f"--decode-context-parallel-size {p.dcp}"


def cannot_say(version: str | None, p: Placement, machines: int) -> str:
    """Why a release cannot be told of a split; empty where it can.

    0.8.3 to 0.8.5, v1/engine/core_client.py `DPAsyncMPClient`: "Multi-node not yet supported", so that it starts all replicas on one
    machine; `--data-parallel-address` and `--data-parallel-size-local` are in 0.9.0."""
    if why := untold("vllm", split(p), version):
        return why
    if machines > 1 and p.dp > 1 and not at_least(version, 0, 9):
        return f"vLLM {version} starts all {p.dp} replicas on one machine: from 0.9.0 on they lie on several"
    return ""


def pooling(architecture: Architecture, version: str | None) -> Iterator[str]:
    """The flag that has a class of decoders pool what it makes, where its name alone says that it generates.

    Source: vLLM 0.33, config/model.py `_get_default_runner_type`, `_SUFFIX_TO_DEFAULTS`; `--runner` is in 0.10, `--task` before."""
    names = classes_of(architecture)
    if (architecture.encodes or architecture.use) and names and names[0].endswith(REGISTRY.generate):
        yield "--runner pooling" if at_least(version, 0, 10) else "--task embed"


def joined(count: int, version: str | None, p: Placement) -> tuple[list[str], str]:
    """The flags that spread a plan over so many hosts, and what runs on the others."""
    each, ranks = everywhere(count)
    nodes = takes_nodes(version)
    if not nodes and p.dp > 1 and p.dp % count == 0 and at_least(version, 0, 9):
        here = p.dp // count
        words = [f"--data-parallel-size-local {here}", "--data-parallel-address <address-of-the-first-machine>"]
        first = f"--data-parallel-start-rank {here}" + (f" (and {here} more on each further one)" if count > 2 else "")
        return words, f"{each}, run the same with --headless {first}"
    # Nodes get as many ranks each; Ray fills one machine after the other.
    if not nodes or not even(p, count):
        words = ["--distributed-executor-backend ray"]
        return words, f"join the {count} machines first: ray start --head, and {each} ray start --address"
    words = [f"--nnodes {count}", "--node-rank 0", "--master-addr <address-of-the-first-machine>"]
    return words, f"{each}, run the same with --node-rank {ranks} --headless"
