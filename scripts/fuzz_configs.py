"""Damaged configs: every command either refuses them plainly or says what holds together.

    python scripts/fuzz_configs.py [--rounds N] [--seed S] [--only ROUND] [--show N]

Alters bundled configs and those under tests/golden/ (types, signs, zeros, huge numbers, nulls, lists, nesting, quantization configs),
one to four places at a time, and asks for what `inspect`, `tensors`, `kv` (all engines), `fit` and `train` print, in this process, each
within two seconds of processor time. Each round has its own random numbers, from the seed and its number, both printed: `--only` runs
one again. Exit status 1 if anything was found.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archcalc import hardware, loader, report, zoo
from archcalc.analysis import inventory, kv
from archcalc.analysis.fit import Ask
from archcalc.analysis.inspect import inspect
from archcalc.analysis.train_report import train_report
from archcalc.analysis.training import Run
from archcalc.analysis.verdict import fit_report
from archcalc.engines.engine import names
from archcalc.errors import ArchcalcError
from archcalc.report import SourceInfo
from archcalc.sources import Source

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 2.0
VALUES: tuple[Any, ...] = (
    0, 1, 2, 3, 7, -1, -2, -(2**40), 2**28, 2**31, 2**62, 10**400, 1.5, -0.5, float("inf"), float("nan"), 1e308, None, True, False, "", "x",
    "8", "null", [], [1], [0, 0], [None], ["x"], [1.5, "a"], {}, {"a": 1}, {"a": {"b": [1]}}, "\x1b[31m", [[1]], [{}], 12289, 65537,
)  # fmt: skip
QUANTIZATIONS: tuple[dict[str, Any], ...] = (
    {"quant_method": "fp8", "weight_block_size": [128, 128]},
    {"quant_method": "fp8"},
    {"quant_method": "awq", "bits": 4, "group_size": 128},
    {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True},
    {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    {"quant_method": "bitnet"},
    {"bits": 4, "group_size": 64},
    {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head", "model.layers.1*"],
     "kv_cache_quant_algo": "FP8"},
    {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}},
    {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["re:.*mlp.gate$", "lm_head"],
     "kv_cache_scheme": {"num_bits": 8, "type": "float"},
     "config_groups": {"g": {"targets": ["Linear", "re:.*(a|b)+"],
     "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}}}},
    {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}, "exclude": ["lm_head"]},
    {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}}},
    {"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": {"lm_head": {"bits": 16}}},
    {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]},
    {"quant_method": "gguf", "file_type": "q4_k_m"},
)  # fmt: skip


class TooLongError(Exception):
    """A command took longer than anyone should wait for a damaged config."""


def bases() -> list[tuple[str, dict[str, Any]]]:
    """The configs to alter, by name."""
    found = [(name, zoo.config(name)) for name in sorted(zoo.names())]
    for path in sorted((ROOT / "tests" / "golden").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            found += [(f"{path.stem}:{i}", json.loads(line)["config"]) for i, line in enumerate(lines)]
    return found


def places(node: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every container of a config with each of its keys."""
    for key in list(node) if isinstance(node, dict) else range(min(len(node), 4)):
        yield node, key
        if depth < 6 and isinstance(node[key], (dict, list)):
            yield from places(node[key], depth + 1)


def damaged(config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy with up to four places altered."""
    result = copy.deepcopy(config)
    if rng.random() < 0.25:
        result["quantization_config"] = copy.deepcopy(rng.choice(QUANTIZATIONS))
    for _ in range(rng.randint(1, 4)):
        found = list(places(result))
        if not found:
            break
        node, key = rng.choice(found)
        old = node[key]
        kind = rng.random()
        if kind < 0.1 and isinstance(node, dict):
            del node[key]
        elif kind < 0.2 and isinstance(node, dict):
            node[f"{key}_new"] = rng.choice(VALUES)
        elif kind < 0.4 and isinstance(old, (int, float)) and not isinstance(old, bool):
            node[key] = rng.choice(
                (-old, old * 2, old + 1, old - 1, old * 10**6, [old], str(old), {"a": old}, float(old) if abs(old) < 1e300 else 0)
            )
        elif kind < 0.5 and isinstance(old, list):
            node[key] = rng.choice((old[:-1], old * 2, old[::-1], [old], {str(i): str(v) for i, v in enumerate(old)}))
        else:
            node[key] = copy.deepcopy(rng.choice(VALUES))
    return result


@contextmanager
def in_time(command: str) -> Iterator[None]:
    """Raise `TooLongError` with the command's name where it takes longer than `LIMIT_S`. Without alarms (Windows), once it has ended."""

    def stop(*_: Any) -> None:
        raise TooLongError(command)

    began = time.process_time()
    if hasattr(signal, "SIGVTALRM"):
        signal.signal(signal.SIGVTALRM, stop)
        # Again and again: an alarm that falls into a finalizer is lost.
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S, LIMIT_S)
    try:
        yield
    finally:
        if hasattr(signal, "SIGVTALRM"):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if time.process_time() - began > LIMIT_S:
        raise TooLongError(command)


def must(holds: bool, what: str) -> None:
    """Raise `AssertionError` where it does not hold."""
    if not holds:
        raise AssertionError(what)


def figures(node: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a report."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from figures(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from figures(value, f"{path}[]")
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, node


def not_negative(what: Any) -> None:
    """No figure is below zero but what is to spare."""
    for path, value in figures(report.to_plain(what)):
        must(value >= 0 or any(word in path for word in ("headroom", "room_bytes", "change")), f"{path} is {value}")


def ask_all(config: dict[str, Any]) -> str:
    """Ask every command, and hold its answer against itself. Returns how far it came."""
    info = SourceInfo("fuzz", "file", "hf-config", None)
    # What the command line would have read: JSON holds no other types.
    with in_time("inspect"):
        loaded = loader.read(Source("fuzz", "file", "hf-config", None, config), config, info)
        a = loaded.architecture
        r = inspect(a, info)
    not_negative(r)
    p = r.params
    must(p.active <= p.total, f"active {p.active} of {p.total}")
    must(sum(p.by_part.values()) == p.total, "parts do not add up")
    must(sum(p.by_role.values()) == p.total, "roles do not add up")
    must(p.total < 2**63, "more elements than any format can count")
    must(not a.facts.context_tokens or a.facts.context_tokens > 0, "no context")
    if r.checkpoint is not None:
        must(sum(r.checkpoint.by_dtype.values()) == r.checkpoint.elements, "dtypes do not add up")
    with in_time("tensors"):
        for line in inventory.stored(a, "fuzz", False):
            must(all(n >= 0 for n in line.shape), f"{line.name} has the shape {line.shape}")
    tried: list[tuple[str, Callable[[], Any]]] = [
        (f"kv --engine {engine}", lambda engine=engine: kv.compare(loaded, engine)) for engine in names()
    ]
    tried += [
        (f"fit --engine {engine}", lambda engine=engine: fit_report(loaded, Ask(hardware.parse_spec("8xH100"), engine), brief=True))
        for engine in ("vllm", "sglang", "llama.cpp", "transformers")
    ]
    tried.append(("train", lambda: train_report(loaded, Run(seq=512), gpus=hardware.parse_spec("8xH100"))))
    answered = 0
    for command, call in tried:
        try:
            with in_time(command):
                found = call()
        except ArchcalcError:
            continue
        answered += 1
        if isinstance(found, kv.Comparison):
            for one in found.found:
                not_negative(one)
                must(
                    sum(kind.bytes for kind in one.by_kind) == one.bytes or one.engine == "vllm",
                    f"kinds of {one.engine} do not add up",
                )
        else:
            not_negative(found)
            spare = found.per_gpu.headroom_bytes
            must(found.fits is None or not found.fits or spare is None or spare >= 0, f"fits with {spare} to spare")
    return f"{answered} of {len(tried)}"


def one(number: int, seed: int, start: list[tuple[str, dict[str, Any]]]) -> tuple[str, str, dict[str, Any]]:
    """What became of a round: `refused`, `answered` or a fault, what was said, and the config."""
    rng = random.Random(f"{seed}:{number}")
    name, base = rng.choice(start)
    config = damaged(base, rng)
    try:
        return "answered", f"{name}: {ask_all(config)}", config
    except ArchcalcError as error:
        return "refused", f"{name}: {error.message}", config
    except TooLongError as error:
        return "too long", f"{name}: {error} took longer than {LIMIT_S:g} s", config
    except AssertionError as error:
        return "contradiction", f"{name}: {error}", config
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "internal error", f"{name}: {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})", config


def main() -> None:
    """Run the rounds and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--show", type=int, default=40)
    options = parser.parse_args()
    start, counts, shown = bases(), {}, 0
    ask_all(zoo.config("llama-3.1-8b"))  # so that no round pays for imports
    for number in [options.only] if options.only is not None else range(options.start, options.start + options.rounds):
        kind, said, config = one(number, options.seed, start)
        counts[kind] = counts.get(kind, 0) + 1
        if options.only is not None:
            print(json.dumps(config))
        if kind not in ("refused", "answered") or options.only is not None:
            shown += 1
            if shown <= options.show:
                print(f"seed {options.seed}, round {number}: {kind}: {said[:300]}")
    print(f"seed {options.seed}: {counts}")
    sys.exit(any(kind not in ("refused", "answered") for kind in counts))


if __name__ == "__main__":
    main()
