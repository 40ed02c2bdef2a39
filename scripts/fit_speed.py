"""Fit the coefficients of the speed forecast: ``python scripts/fit_speed.py DATA… [--configs DIR] [--write]``. Needs numpy and scipy.

DATA is JSON lines of published measurements (`id`, `source`, `group`, `kind`, `phase`, `model`, `quant`, `engine`, `device`, `gpus`, `tp`,
`pp`, `ep`, `dp`, `concurrency`, `isl`, `osl`, `metric`, `value`, `confidence`, `spec_decoding`). Rows of one `group` are one source.

A coefficient is a base times effects of the engine, of the class of devices and of the two together, each of which at least three sources
must carry; effects are drawn to none, and bases to plausible values, by as much as PRIOR says. Rows are split by source, never singly:
errors and intervals are of a fit to all other sources. A class with fewer than three sources has no interval of its own: on NVIDIA's GPUs
that of classes that were left out whole stands in, elsewhere nothing is forecast.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import rankdata

from archcalc.analysis.fit import Ask, candidate
from archcalc.analysis.speed import terms as t
from archcalc.analysis.speed.coefficients import CARDS, FEWEST_SOURCES, GENERATIONS, STACKED, device_class, stand_ins
from archcalc.analysis.speed.forecast import MARGIN
from archcalc.analysis.speed.work import Work, work
from archcalc.engines.placement import Placement, rank_weights
from archcalc.errors import ArchcalcError
from archcalc.hardware import Device, parse_spec
from archcalc.loader import load

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "src" / "archcalc" / "analysis" / "speed" / "coefficients.json"
ENGINE = {"trtllm": "tensorrt-llm"}
STORED_AS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "sglang", "llama.cpp": "llama.cpp", "mlx": "mlx"}
US = 1e-6
NVIDIA = *CARDS, STACKED, *GENERATIONS
"""Classes of devices that one vendor's libraries serve: where an engine was not measured on one, the others stand in for it."""
YEAR = {"lhl-strix": [2025], "geerlingguy": [2024, 2026], "mlx-lm": [2025], "mlx-examples#1281": [2025]}
"""Where the rows themselves do not say it."""
COLD = "cold"
"""What the first requests to a server wait for kernels that it makes or chooses, as a share of the mean: no term of a forecast."""
ROUNDS = "InferenceX/", "aic-gap/"
"""Sources whose times are means of some ten rounds, the first of them cold: SemiAnalysisAI/InferenceX, utils/bench_serving, and its issue
870, where the mean of eight requests at once is 331 ms and the 99th percentile 1,975 ms."""
# A term's plausible coefficient, how far (in logarithms) the base may lie from it, and how far an effect from none.
PRIOR = {
    "weights": (1.25, 0.3, 0.15), "cache": (1.5, 0.5, 0.3), "layer": (15 * US, 0.8, 0.5), "moe_layer": (20 * US, 0.8, 0.5),
    "recurrent_layer": (15 * US, 0.8, 0.5), "latent_layer": (15 * US, 0.8, 0.4), "indexed_layer": (30 * US, 1.0, 0.3),
    "step": (100 * US, 1.5, 0.3), "host": (0.7, 0.4, 0.3), "mixed_layer": (30 * US, 1.0, 0.4),
    "message": (6 * US, 0.8, 0.4), "sent": (2.0, 0.7, 0.3),
    "products": (2.0, 0.5, 0.2), "sequence": (5 * US, 1.0, 0.4), "prompts": (2.0, 0.5, 0.3), "prompts_experts": (3.0, 0.5, 0.3),
    "prompt_products": (1.5, 0.5, 0.3), "prompt_experts": (1.5, 0.5, 0.3),
    "prompt_rows": (60.0, 0.8, 0.3), "prompt_scores": (2.0, 0.5, 0.3),
    "prompt_read": (1.2, 0.3, 0.1), "prompt_layer": (20 * US, 0.8, 0.4),
    "prompt_moe_layer": (300 * US, 1.0, 0.4),
    "own_prompt": (3.0, 0.6, 0.4), "waiting": (1.0, 1.0, 0.4), "first": (0.03, 0.8, 0.4),
    "own_read": (1.25, 0.2, 0.1), "own_layer": (300 * US, 1.0, 0.4), "own_step": (3.0, 0.7, 0.3), "wait_layer": (20 * US, 1.0, 0.4),
    "own_sent": (2.0, 0.7, 0.3), "own_moe_layer": (300 * US, 1.0, 0.4), COLD: (0.05, 1.0, 0.8),
}  # fmt: skip
PAIR = 0.55  # Effects of an engine on a class of devices are drawn to none by as much less.
NOISE = 0.12  # Logarithmic scatter of one source's rows.
OLD = {"dstack-r1": "engines of early 2025, before their kernels for this attention"}
DOUBTS = {
    "tt-inference-server#356": "the engine is not named, and two nodes",
    "InferenceX/deepseek-r1/gb200/trtllm": "prompts were computed elsewhere",
}


class Row(NamedTuple):
    """A measurement with what the forecast is made of. `seconds` is the time that its terms add up to."""

    raw: dict[str, Any]
    engine: str
    device: Device
    group: str
    phase: str
    quant: str
    work: Work
    seconds: float
    terms: dict[str, float]

    @property
    def pair(self) -> str:
        return f"{self.engine}/{device_class(self.device, self.engine)}"


def read(paths: list[Path], configs: Path) -> tuple[list[Row], list[tuple[dict[str, Any], str]]]:
    """The rows that are fitted to, and those that are not, with the reason."""
    raw = []
    for path in paths:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            raw += [json.loads(line) for line in lines if line.strip()]
    rows: list[Row] = []
    out: list[tuple[dict[str, Any], str]] = []
    seen: set[tuple[Any, ...]] = set()
    made: dict[tuple[Any, ...], Any] = {}
    for r in raw:
        why = doubt(r)
        found = None
        if not why:
            found, why = built(r, configs, made)
        if found is None:
            out.append((r, why))
            continue
        same = found.group, found.phase, key(r), f"{r['value']:.5g}"
        if same in seen:
            out.append((r, "the same measurement, published again"))
            continue
        seen.add(same)
        rows.append(found)
    rows, later = inconsistent(rows)
    return rows, out + later


def key(r: dict[str, Any]) -> tuple[Any, ...]:
    names = ("model", "quant", "engine", "device", "gpus", "tp", "pp", "ep", "dp", "ubatch", "isl", "osl", "concurrency")
    return tuple(r.get(name) for name in names)


def doubt(r: dict[str, Any]) -> str:
    """Why a row is not fitted to, from what is said of it; empty where nothing is."""
    if r.get("spec_decoding"):
        return "speculative decoding"
    if r["kind"] == "served-max":
        return "concurrency not stated"
    if "eGPU" in r.get("note", ""):
        return "a card behind a slow link to a small board"
    if r.get("quant") == "?":
        return "storage not stated"
    for start, why in (*OLD.items(), *DOUBTS.items()):
        if r["group"].startswith(start):
            return why
    ways = (r.get("tp") or 1) * (r.get("dp") or 1)
    if (r.get("ep") or 1) > 1 and ways > r["ep"] and r["engine"] in ("sglang", "trtllm"):
        return "tensor and expert parallelism were multiplied: the run used fewer GPUs"
    if r["kind"] == "local" and r["engine"] == "vllm" and (r.get("isl") or 0) > 20 * max(1, r.get("osl") or 1):
        return "the rate includes the time of the prompt"
    return ""


def built(r: dict[str, Any], configs: Path, made: dict[tuple[Any, ...], Any]) -> tuple[Row | None, str]:
    engine = ENGINE.get(r["engine"], r["engine"])
    tp, pp, ep, dp = (r.get(name) or 1 for name in ("tp", "pp", "ep", "dp"))
    if engine in ("llama.cpp", "mlx"):
        tp, pp, ep, dp = 1, r["gpus"], 1, 1
    at = r["model"], r.get("quant"), engine, r["device"], tp, pp, ep, dp
    try:
        if at not in made:
            made[at] = model(r, configs, engine, Placement(tp, pp, ep, dp))
        w, device, quant, weights = made[at]
    except ArchcalcError as error:
        return None, error.message
    if weights > device.visible_bytes:
        return None, "the weights are more than the memory: some of it ran elsewhere"
    load_ = t.Load(
        r.get("isl") or r.get("depth") or 0, max(1, r.get("osl") or 1), max(1, int(r.get("concurrency") or 1)), r.get("ubatch")
    )
    held = weights + load_.concurrency / dp * w.cache_bytes(load_.isl + load_.osl) / pp
    if r["kind"] == "served" and held > device.visible_bytes:
        return None, "more requests than the cache has room for: some waited"
    try:
        if r["phase"] == "prefill":
            parts = t.prefill(w, device, load_.isl, engine, load_.batch)
            seconds = load_.isl / r["value"]
        elif r["phase"] == "decode":
            parts = t.decode(w, device, load_, engine)
            seconds = r["value"] / 1000 if r["metric"] == "tpot ms" else load_.concurrency / r["value"]
            if load_.concurrency / seconds > bound(w, device, load_):
                return None, "faster than its bound"
        else:
            parts = t.first(w, device, load_, engine)
            seconds = r["value"] / 1000
    except ValueError as error:
        return None, f"no {error} is published for {device.name}"
    terms = {p.name: p.quantity for p in parts}
    if r["phase"] == "ttft" and r["group"].startswith(ROUNDS):
        terms[COLD] = 1.0
    return Row(r, engine, device, r["group"], r["phase"], quant, w, seconds, terms), ""


def bound(w: Work, device: Device, load_: t.Load) -> float:
    each = -(-load_.concurrency // w.placement.dp)
    return load_.concurrency * (device.bandwidth_bytes_per_s or 0) / w.floor_bytes(each, load_.isl, each)


def model(r: dict[str, Any], configs: Path, engine: str, placement: Placement) -> tuple[Work, Device, str, int]:
    name, overrides = r["model"], []
    if "(" in name:
        return derived(r, configs, engine, placement)
    loaded = load(str(configs / name) if "/" in name else name, offline=True, overrides=overrides)
    return placed(loaded.architecture, r, engine, placement)


def derived(r: dict[str, Any], configs: Path, engine: str, placement: Placement) -> tuple[Work, Device, str, int]:
    """A model that is described by another's config: `X (Llama 3.2 1B config with hidden 3072, 28 layers, 24 heads of 128)`."""
    import re

    text = r["model"]
    base = re.search(r"\((.+?) config", text)
    numbers = re.search(r"hidden (\d+), (\d+) layers, (\d+) heads of (\d+)", text)
    assert base and numbers, text
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim")
    overrides = [f"{name}={value}" for name, value in zip(keys, numbers.groups(), strict=True)]
    loaded = load(base[1].lower().replace(" ", "-"), offline=True, overrides=overrides)
    return placed(loaded.architecture, r, engine, placement)


def placed(architecture: Any, r: dict[str, Any], engine: str, placement: Placement) -> tuple[Work, Device, str, int]:
    spec = parse_spec(f"{r['gpus']}x{r['device']}" if r["gpus"] > 1 else r["device"])
    made = candidate(architecture, Ask(spec, STORED_AS[engine], quant=r.get("quant")))
    one = rank_weights(made.architecture, placement._replace(pp=1), made.options, made.tensors)
    of = work(made.architecture, one.components, placement, (2, 2))
    if r.get("group", "").startswith("InferenceX/"):
        # InferenceX, benchmarks/gptoss_fp4_b200_docker.sh: `VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8=1`.
        told = {"mxfp4-experts": "mxfp4-mxfp8"}
        of = of._replace(products=tuple(p._replace(kind=told.get(p.kind, p.kind)) for p in of.products))
    return (
        of,
        spec.device,
        made.quant,
        one.bytes // placement.pp,
    )


def inconsistent(rows: list[Row]) -> tuple[list[Row], list[tuple[dict[str, Any], str]]]:
    """Leave out rows that their own source contradicts: more requests that are much faster, and the fast one of two runs alike."""
    sweeps: dict[tuple[Any, ...], list[Row]] = collections.defaultdict(list)
    for row in rows:
        if row.raw["kind"] == "served" and row.phase == "decode":
            sweeps[(row.group, *key(row.raw)[:-1])].append(row)
    bad: dict[str, str] = {}
    of_phase = {
        phase: {(row.group, *key(row.raw)): row.seconds for row in rows if row.phase == phase} for phase in ("decode", "ttft")
    }
    for row in rows:
        # Little 1961, doi:10.1287/opre.9.3.383: fewer than half of the requests decoded at once.
        at = row.group, *key(row.raw)
        token, waited = of_phase["decode"].get(at), of_phase["ttft"].get(at)
        if row.raw["kind"] == "served" and token and waited and waited > max(1, row.raw["osl"]) * token:
            bad[row.raw["id"]] = "most of the requests waited for their first token"
    alike: dict[tuple[Any, ...], list[Row]] = collections.defaultdict(list)
    for row in rows:
        if row.raw["kind"] == "local" or row.phase == "ttft":
            alike[(row.group, row.phase, *key(row.raw))].append(row)
    for found in alike.values():
        fastest = min(row.seconds for row in found)
        bad.update({r.raw["id"]: "another run of the same setting took half as long" for r in found if r.seconds > 2 * fastest})
    for found in sweeps.values():
        for row in found:
            c = row.raw["concurrency"]
            if any(o.raw["concurrency"] * 2 <= c and o.seconds > 1.15 * row.seconds for o in found):
                bad[row.raw["id"]] = "faster than the same sweep at half the concurrency"
            if any(o.raw["concurrency"] == c and o.seconds > 1.35 * row.seconds for o in found):
                bad[row.raw["id"]] = "another run of the same setting took 1.35 times as long"
    return [r for r in rows if r.raw["id"] not in bad], [(r.raw, bad[r.raw["id"]]) for r in rows if r.raw["id"] in bad]


# The fit


class Model(NamedTuple):
    """Which coefficients there are: (term, effect), the effect empty for the base; and their values as logarithms."""

    names: tuple[tuple[str, str], ...]
    values: Any

    def of(self, term: str, engine: str, device: str) -> float:
        wanted = ("", engine, device, f"{engine}/{device}")
        if (term, "") not in self.names:
            return 0.0
        return math.exp(sum(v for (n, effect), v in zip(self.names, self.values, strict=True) if n == term and effect in wanted))


OF_DEVICE = ("prompt_scores",)
"""Terms whose long prompts are measured in too few places to tell engines apart."""


def effects(rows: list[Row], term: str) -> list[str]:
    """The base, and those effects that enough sources carry."""
    groups: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row.terms.get(term):
            device = device_class(row.device, row.engine)
            for effect in ("", row.engine, device, f"{row.engine}/{device}"):
                groups[effect].add(row.group)
    found = [effect for effect, sources in groups.items() if len(sources) >= FEWEST_SOURCES]
    devices = {device_class(row.device, row.engine) for row in rows}
    return [effect for effect in found if term not in OF_DEVICE or not effect or effect in devices]


def fit(rows: list[Row], near: Model | None = None) -> Model:
    """The coefficients that are nearest to the rows and to PRIOR; `near` is a model of nearly the same rows, to start from."""
    names = tuple((term, effect) for term in PRIOR for effect in effects(rows, term))
    place = {name: i for i, name in enumerate(names)}
    terms = [term for term in PRIOR if (term, "") in place]
    quantities = np.array([[row.terms.get(term, 0.0) for term in terms] for row in rows])
    # Which rows an effect is of, and which term it multiplies.
    has = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        device = device_class(row.device, row.engine)
        for effect in ("", row.engine, device, f"{row.engine}/{device}"):
            for term in terms:
                if (term, effect) in place:
                    has[i, place[term, effect]] = 1
    of = np.array([terms.index(term) for term, _ in names])
    to_terms = np.zeros((len(names), len(terms)))
    to_terms[np.arange(len(names)), of] = 1
    measured = np.log([row.seconds for row in rows])
    counts = collections.Counter((row.group, row.phase) for row in rows)
    low = {"low": 0.5}
    weight = np.sqrt(
        [
            min(1, 12 / counts[row.group, row.phase]) * (low.get(row.raw["confidence"], 1) if row.raw["kind"] == "local" else 1)
            for row in rows
        ]
    )
    mean = np.array([math.log(PRIOR[term][0]) if not effect else 0.0 for term, effect in names])
    spread = np.array([PRIOR[term][1] if not effect else PRIOR[term][2] * (PAIR if "/" in effect else 1) for term, effect in names])

    def parts(x: Any) -> Any:
        return np.exp(np.clip((has * x) @ to_terms, -30, 10)) * quantities

    def residuals(x: Any) -> Any:
        r = (np.log(parts(x).sum(1)) - measured) / NOISE
        return np.concatenate([weight * np.sign(r) * np.sqrt(2 * (np.sqrt(1 + r * r) - 1)), (x - mean) / spread])

    def jacobian(x: Any) -> Any:
        p = parts(x)
        total = p.sum(1)
        r = (np.log(total) - measured) / NOISE
        root = np.sqrt(1 + r * r)
        rho = np.sqrt(2 * (root - 1))
        slope = np.where(rho > 1e-9, np.abs(r) / root / np.maximum(rho, 1e-12), 1.0)
        inner = (p / total[:, None])[:, of] * has / NOISE
        return np.vstack([(weight * slope)[:, None] * inner, np.diag(1 / spread)])

    known = dict(zip(near.names, near.values, strict=True)) if near else {}
    start = np.array([known.get(name, m) for name, m in zip(names, mean, strict=True)])
    return Model(names, least_squares(residuals, start, jacobian, max_nfev=60).x)


def forecast(model_: Model, row: Row) -> float:
    device = device_class(row.device, row.engine)
    return sum(quantity * model_.of(term, row.engine, device) for term, quantity in row.terms.items())


def left_out(rows: list[Row], whole: Model) -> dict[str, float]:
    """The logarithm of forecast over measurement for each row, of a fit to all other sources."""
    found: dict[str, float] = {}
    for out in ({group} for group in sorted({row.group for row in rows})):
        made = fit([row for row in rows if row.group not in out], whole)
        values = {}
        for row in rows:
            if row.group in out:
                at = row.engine, device_class(row.device, row.engine)
                if any(q and (term, "") not in made.names for term, q in row.terms.items()):
                    continue  # Not forecast: the term stands on too few sources.
                for term in row.terms:
                    values.setdefault((term, *at), made.of(term, *at))
                seconds = sum(quantity * values[(term, *at)] for term, quantity in row.terms.items())
                found[row.raw["id"]] = math.log(seconds / row.seconds)
    return found


UNSEEN = "latent_layer", "recurrent_layer", "indexed_layer"
"""Kinds of layers that a fit can be asked to do without."""


def without(rows: list[Row], test: list[Row]) -> list[tuple[Row, float]]:
    """The logarithm of forecast over measurement for the rows of `test`, of a fit to the others; terms that it lacks are nothing."""
    ids = {row.raw["id"] for row in test}
    made = fit([row for row in rows if row.raw["id"] not in ids])
    return [(row, math.log(forecast(made, row) / row.seconds)) for row in test]


def measured_on(rows: list[Row], engine: str) -> set[str]:
    """The classes of NVIDIA's GPUs that enough sources measured an engine on."""
    sources: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row.engine == engine and row.device.vendor == "nvidia":
            sources[device_class(row.device, row.engine)].add(row.group)
    return {device for device, found in sources.items() if len(found) >= FEWEST_SOURCES}


def stood_in(made: Model, row: Row, measured: set[str]) -> float:
    """A row's time where its class was not measured: as `Fitted.of` takes it."""
    names, newer = stand_ins(device_class(row.device), measured)
    times = [
        sum(q * made.of(t, row.engine, name) for t, q in row.terms.items()) for name in ([*names, ""] if newer else names or [""])
    ]
    return max(times) if newer else min(times)


def classes_left_out(rows: list[Row], served: bool, by_engine: bool) -> dict[str, list[float]]:
    """Errors of each class of devices, of fits that saw none of its rows, or with `by_engine` none of one engine's."""
    found: dict[str, list[float]] = {}
    pairs = {row.pair for row in rows if (row.engine in t.SERVED) == served}
    for pair in sorted(pairs):
        engine, device = pair.split("/")
        if {row.pair for row in rows if row.engine == engine} == {pair}:
            continue
        test = {r.raw["id"] for r in rows if (r.pair == pair if by_engine else device_class(r.device, r.engine) == device)}
        seen = [row for row in rows if row.raw["id"] not in test]
        made, measured = fit(seen), measured_on(seen, engine) if device in NVIDIA else set()
        own = [row for row in rows if row.pair == pair]
        found[pair] = [math.log(stood_in(made, row, measured) / row.seconds) for row in own]
    return found


def kinds_left_out(rows: list[Row], served: bool) -> dict[str, list[float]]:
    """Errors by kind of layer and source, of fits that saw no model with such layers."""
    found: dict[str, list[float]] = collections.defaultdict(list)
    for kind in UNSEEN:
        for row, e in without(rows, [row for row in rows if row.terms.get(kind)]):
            if (row.engine in t.SERVED) == served:
                found[f"{kind} {row.group}"].append(e)
    return found


def batched(whole: Model, file: Path, configs: Path) -> dict[str, list[float]]:
    """Errors of decoding several sequences at once under llama.cpp, to which nothing was fitted.

    Rows are of `llama-batched-bench`, or of `llama-bench -ub N`, which multiplies N tokens at once as a step of N sequences does: llama.cpp
    0c1e57098, src/llama-context.cpp `llama_context::decode` (one graph for the tokens of all sequences).
    """
    found: dict[str, list[float]] = collections.defaultdict(list)
    for line in file.read_text(encoding="utf-8").splitlines():
        r = json.loads(line)
        w, device, _, _ = model({**r, "gpus": 1}, configs, "llama.cpp", Placement(1, 1, 1, 1))
        parts = t.decode(w, device, t.Load(r["isl"], r["osl"], r["at_once"]), "llama.cpp")
        # Prompts had been read before.
        parts = [p for p in parts if p.name not in t.PROMPTS]
        made = sum(p.quantity * whole.of(p.name, "llama.cpp", device_class(device, "llama.cpp")) for p in parts)
        found[r["source"]].append(math.log(made * r["tokens_per_s"] / r["at_once"]))
    return found


def standing(whole: Model, rows: list[Row], engine: str, device: str) -> dict[str, list[float]]:
    """The coefficients of an engine on a class of devices, each with the rows and sources it stands on."""
    found: dict[str, list[float]] = {}
    own_terms = [name for row in rows if row.engine == engine for name in row.terms if name != COLD]
    for term in dict.fromkeys([*own_terms, *(["products"] if engine == "llama.cpp" else [])]):
        carriers = [row for row in rows if row.terms.get(term)]
        own = [row for row in carriers if row.pair == f"{engine}/{device}"]
        stands = own if len({r.group for r in own}) >= FEWEST_SOURCES else carriers
        n = len({r.group for r in stands})
        if n >= FEWEST_SOURCES:
            found[term] = [float(f"{whole.of(term, engine, device):.4g}"), len(stands), n]
    return found


def told(errors: dict[str, list[float]]) -> list[float]:
    """An interval with what is said of it: ends, errors in the middle and at the 90th percentile, coverage, rows, and what was left out."""
    low, high, inside = interval(errors, {})
    flat = sorted(abs(math.expm1(e)) for found in errors.values() for e in found)
    return [*(round(x, 3) for x in (low, high, flat[len(flat) // 2], flat[9 * len(flat) // 10], inside)), len(flat), len(errors)]


def weighed(errors: dict[str, list[float]], total: float | None = None) -> list[tuple[float, float]]:
    """What a forecast was to be multiplied by, as a logarithm, with its weight: every source counts at most eight times.

    With `total` the weights are scaled to that sum.
    """
    pairs = [(-e, min(1.0, 8 / len(found))) for found in errors.values() for e in found]
    scale = 1.0 if total is None else total / (sum(w for _, w in pairs) or 1.0)
    return [(e, w * scale) for e, w in pairs]


def ends(pairs: list[tuple[float, float]], share: float) -> tuple[float, float]:
    """The ends, as logarithms, between which so many of the weights lie."""
    pairs = sorted(pairs)
    total, tail = sum(w for _, w in pairs), (1 - share) / 2
    at, low, high = 0.0, pairs[0][0], pairs[-1][0]
    for e, w in pairs:
        if at <= tail * total:
            low = e
        at += w
        if at <= (1 - tail) * total:
            high = e
    return min(low, -0.02), max(high, 0.02)


OTHERS = 8.0
"""The weight that the errors of all other classes of the kind or the engine have in an interval: as much as one source's."""


def covered(errors: dict[str, list[float]], others: list[tuple[float, float]], share: float, wider: float) -> float:
    """The share of the rows of a source that the interval without that source covers, its ends `wider` times as far away."""
    inside = rows = 0.0
    for group, found in errors.items():
        low, high = ends(weighed({g: e for g, e in errors.items() if g != group}) + others, share)
        weight = min(1.0, 8 / len(found))
        inside += weight * sum(wider * low <= -e <= wider * high for e in found)
        rows += weight * len(found)
    return inside / rows


def interval(errors: dict[str, list[float]], others: dict[str, list[float]]) -> tuple[float, float, float]:
    """What to multiply a forecast by for the ends of 80 %, and the share of rows of unseen sources between them.

    The share of the seen rows that is taken is the one whose interval covers nearest to 80 % of those of a source that it has not seen;
    where even nearly all of them cover less, the ends are moved out.
    """
    pool = weighed(others, OTHERS)
    ways = [(s / 400, 1.0) for s in range(160, 389)] + [(0.97, 1 + k / 10) for k in range(1, 11)]
    found = [(covered(errors, pool, *way), *way) for way in ways]
    inside, share, wider = min(found, key=lambda f: (abs(f[0] - 0.8), f[2], abs(f[1] - 0.8)))
    low, high = ends(weighed(errors) + pool, share)
    return math.exp(wider * low), math.exp(wider * high), inside


def largest(rows: Iterable[Row]) -> int:
    """The most sequences of a replica that were measured in one step."""
    return max((-(-int(r.raw.get("concurrency") or 1) // r.work.placement.dp) for r in rows if r.phase == "decode"), default=1)


def within(rows: list[Row], apart: dict[str, float]) -> float:
    """The end of 80 % around the middle of each source and class, of those with three rows or more: how far its rows lie from it."""
    errors: dict[str, list[float]] = collections.defaultdict(list)
    for row in rows:
        if row.raw["id"] in apart:
            errors[f"{row.pair} {row.group}"].append(apart[row.raw["id"]])
    around = {}
    for name, found in errors.items():
        middle = sorted(found)[len(found) // 2]
        if len(found) >= FEWEST_SOURCES:
            around[name] = [abs(e - middle) for e in found]
    pairs = sorted((-e, w) for e, w in weighed(around))
    left = 0.8 * sum(w for _, w in pairs)
    for e, w in pairs:
        left -= w
        if left <= 0:
            return round(math.exp(e), 3)
    raise ValueError("no rows")


def rank(rows: list[Row], apart: dict[str, float]) -> list[float]:
    """Spearman's correlation of forecast and measured time in each sweep of four concurrencies or more.

    Source: Spearman 1904, doi:10.2307/1412159.
    """
    sweeps: dict[tuple[Any, ...], list[Row]] = collections.defaultdict(list)
    for row in rows:
        if row.raw["kind"] == "served" and row.raw["id"] in apart:
            sweeps[(row.group, *key(row.raw)[:-1])].append(row)
    found = []
    for sweep in sweeps.values():
        if len({row.raw["concurrency"] for row in sweep}) >= 4:
            measured = rankdata([row.seconds for row in sweep])
            made = rankdata([row.seconds * math.exp(apart[row.raw["id"]]) for row in sweep])
            found.append(float(np.corrcoef(measured, made)[0, 1]))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--configs", type=Path, help="where model paths of DATA start; the folder above the first's by default")
    parser.add_argument(
        "--batched", type=Path, default=ROOT / "tests" / "data" / "speed_batched.jsonl", help="several sequences at once"
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--doubts", action="store_true", help="print every row left out, with the reason")
    parser.add_argument("--worst", type=int, default=0, help="print so many of the worst rows")
    a = parser.parse_args()
    configs = a.configs or a.data[0].resolve().parents[1]
    rows, out = read(a.data, configs)
    left = collections.Counter(why for _, why in out).most_common()
    for why, n in left:
        print(f"left out {n:5d}: {why}")
    overall: dict[str, list[float]] = {}
    if a.doubts:
        for r, why in out:
            print(r["id"], r["group"], r["model"], r["value"], r["metric"], why)
    sweeps: dict[str, list[float]] = {}
    broken = 0.0
    around: dict[str, float] = {}
    classes: dict[str, Any] = {}
    neighbours: dict[str, Any] = {}
    kinds: dict[str, list[float]] = {}
    at_once: list[float] = []
    few: dict[str, dict[str, list[int]]] = {}
    out_lines = []
    # Each phase is fitted alone, the time to the first token on what the prompt was found to take.
    for phase in ("decode", "prefill", "ttft"):
        some = [row for row in rows if row.phase == phase]
        whole = fit(some)
        apart = left_out(some, whole)
        far = {
            (served, way): told(errors)
            for served in (True, False)
            for way in (False, True)
            if (errors := classes_left_out(some, served, way))
        }
        by_pair: dict[str, list[Row]] = collections.defaultdict(list)
        for row in some:
            by_pair[row.pair].append(row)
        for pair, found in sorted(by_pair.items()):
            sources = {row.group for row in found}
            errors: dict[str, list[float]] = collections.defaultdict(list)
            for row in found:
                if row.raw["id"] in apart:
                    errors[row.group].append(apart[row.raw["id"]])
            if not errors:
                continue
            flat = sorted(abs(math.expm1(e)) for e in (x for v in errors.values() for x in v))
            median, p90 = flat[len(flat) // 2], flat[min(len(flat) - 1, 9 * len(flat) // 10)]
            line = f"{phase:8s} {pair:26s} {len(found):4d} rows {len(sources):3d} sources: median {median:.1%}, p90 {p90:.1%}"
            engine, device = pair.split("/")
            if len(sources) < FEWEST_SOURCES:
                few.setdefault(pair, {})[phase] = [len(found), len(sources)]
                own = [e for each in errors.values() for e in each]
                e = far.get((engine in t.SERVED, True)) if device in NVIDIA else None
                inside = sum(e[0] <= math.exp(-x) <= e[1] for x in own) / len(own) if e else 0.0
                said = f"other classes stand in, x {e[0]:.2f} to x {e[1]:.2f} holds {inside:.0%} of them" if e else "refused"
                out_lines.append(f"{line}: fewer than {FEWEST_SOURCES} sources, {said}")
                continue
            others: dict[str, list[float]] = collections.defaultdict(list)
            for row in some:
                alike = row.raw["kind"] == found[0].raw["kind"] or row.engine == engine
                if alike and row.pair != pair and row.raw["id"] in apart:
                    others[row.group].append(apart[row.raw["id"]])
            low, high, inside = interval(errors, others)
            out_lines.append(f"{line}; interval x {low:.2f} to x {high:.2f} covers {100 * inside:.0f} %")
            entry = classes.setdefault(pair, {"years": "", "terms": {}, "errors": {}})
            entry["terms"].update(standing(whole, some, engine, device))
            entry["errors"][phase] = [*(round(x, 3) for x in (low, high, median, p90, inside)), len(found), len(sources)]
        if phase == "decode":
            at_once = told(batched(whole, a.batched, configs))
            print(f"several sequences under llama.cpp: {at_once}")
        for served in (True, False):
            if phase == "decode":
                kinds["served" if served else "local"] = told(kinds_left_out(some, served))
            for engine in sorted({row.engine for row in some if (row.engine in t.SERVED) == served}):
                own_rows = [row for row in some if row.engine == engine]
                nvidia = any(row.device.vendor == "nvidia" for row in own_rows)
                if not nvidia or len({row.group for row in own_rows}) < FEWEST_SOURCES:
                    continue
                ours = [device for device in NVIDIA if (device in GENERATIONS) <= served and (device != STACKED or not served)]
                for device in ["nvidia", *sorted({device for _, device in whole.names if device in ours})]:
                    at = f"{engine}/{device}"
                    if phase in classes.get(at, {}).get("errors", {}):
                        continue
                    entry = neighbours.setdefault(at, {"years": "", "terms": {}, "errors": {}, "few": {}})
                    entry["terms"].update(standing(whole, some, engine, device))
                    entry["errors"][phase] = far[served, device != "nvidia"]
                    if phase in few.get(at, {}):
                        entry["few"][phase] = few[at][phase]
        print(
            f"{phase}: "
            + ", ".join(
                f"{term} {math.exp(v):.3g}" for (term, effect), v in zip(whole.names, whole.values, strict=True) if not effect
            )
        )
        for kind in ("local", "served"):
            found = sorted(abs(math.expm1(apart[r.raw["id"]])) for r in some if r.raw["kind"] == kind and r.raw["id"] in apart)
            if found:
                around[f"{kind} {phase}"] = within([row for row in some if row.raw["kind"] == kind], apart)
                near = sum(e <= 0.2 for e in found) / len(found)
                overall[f"{kind} {phase}"] = [
                    len(found),
                    round(found[len(found) // 2], 3),
                    round(found[9 * len(found) // 10], 3),
                    round(near, 3),
                ]
                print(
                    f"{phase} {kind}: {len(found)} rows, median {found[len(found) // 2]:.1%}, p90 {found[9 * len(found) // 10]:.1%}"
                )
        if ranks := rank(some, apart):
            middle, low = ranks[len(ranks) // 2], sum(r < 0.95 for r in ranks)
            sweeps[phase] = [len(ranks), round(sum(ranks) / len(ranks), 3), round(middle, 3), low]
            print(
                f"{phase}: {len(ranks)} sweeps of concurrency, rank correlation {sweeps[phase][1:]} (mean, middle, so many below 0.95)"
            )
        if phase == "decode":
            late = [
                apart[row.raw["id"]] < -math.log(MARGIN) for row in some if row.raw["kind"] == "served" and row.raw["id"] in apart
            ]
            broken = round(sum(late) / len(late), 3)
            print(f"{100 * broken:.1f} % of rows take longer than the forecast x {MARGIN}")
        if a.worst:
            for pair, found in sorted(by_pair.items()):
                for group in sorted({row.group for row in found}):
                    off = sorted(apart[r.raw["id"]] for r in found if r.group == group and r.raw["id"] in apart)
                    if off:
                        print(f"  {pair:26s} {group:48s} {len(off):4d} rows, median {math.expm1(off[len(off) // 2]):+.0%}")
            for row in sorted((r for r in some if r.raw["id"] in apart), key=lambda r: -abs(apart[r.raw["id"]]))[: a.worst]:
                r = row.raw
                print(
                    f"{math.expm1(apart[r['id']]):+8.0%} {r['id']} {r['group']} {r['model'][-30:]} {row.quant}"
                    f" {r['gpus']}x{r['device']} tp{r.get('tp')} c{r.get('concurrency')} {r['isl']}/{r['osl']} {r['value']:.4g}"
                )
    for pair, entry in (*classes.items(), *neighbours.items()):
        of = {row.pair for row in rows if row.pair == pair} or {row.pair for row in rows if row.engine == pair.split("/")[0]}
        found = [int(y) for row in rows if row.pair in of for y in YEAR.get(row.group, [row.raw.get("year") or 2026])]
        entry["years"] = f"{min(found)} to {max(found)}" if min(found) < max(found) else str(min(found))
        if pair in classes:
            entry["batch"] = largest(row for row in rows if row.pair == pair)
        if pair.split("/")[0] in t.SERVED and "ttft" in entry["errors"]:
            # What a prompt takes alone was measured as the time to the first token of few requests.
            entry["errors"]["prefill"] = entry["errors"]["ttft"]
    print("\n".join(out_lines))
    for name, entry in neighbours.items():
        print(f"near {name}: {entry['errors']}")
    print(f"kinds of layers: {kinds}")
    print(f"80 % of a source's own rows lie within, around their middle: {around}")
    if a.write:
        OUT.write_text(
            json.dumps(
                {
                    "schema": 1,
                    "overall": overall,
                    "sweeps": sweeps,
                    "broken": broken,
                    "left_out": dict(left),
                    "classes": classes,
                    "near": neighbours,
                    "kinds": kinds,
                    "batched": at_once,
                    "within": around,
                },
                indent=1,
            )
            + "\n",
            encoding="utf-8",
        )
        print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
