"""Compare totals with transformers on altered configs of every type, under every class that the type has.

    pip install transformers==5.24.0 torch . && python scripts/fuzz_params.py [--only TYPE] [--each N] [--seed S] [--classes]

Starts from the configs under tests/golden/ and tests/data/, alters sizes, flags, lists and layer counts at random, builds the class
on the meta device under a time limit, and prints each config whose total differs, with its seed. Those that either side refuses are
counted apart. `--classes` keeps the config and builds each class of the type instead, with one label and with three.
`fuzz_reference.py` compares names and shapes too, on fewer alterations.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import logging
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests"
SIZES = ("size", "dim", "rank", "width", "ffn", "inner", "d_model", "d_ff", "n_embd", "hidden")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")
# Keys that change no tensor, or that the reference checks against others.
LEFT = (
    "_id",
    "index",
    "token",
    "max_",
    "position_embeddings",
    "vocab",
    "window",
    "image_size",
    "patch",
    "kernel",
    "label",
    "theta",
)
ROPE = ("rope_parameters", "rope_scaling")
BIASES = ("balancing_biases", "e_score_correction_bias", "expert_bias", "correction_bias", "score_correction_bias")
SECONDS = 30


def altered(config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy, nested configs too, with a few keys changed, turned or left out."""
    out = {key: altered(v, rng) if isinstance(v, dict) and key not in ROPE else v for key, v in config.items()}
    for key in LAYERS:
        if isinstance(old := out.get(key), int):
            out[key] = new = rng.randint(1, 7)
            for name, value in out.items():
                if isinstance(value, list) and value and len(value) == old:
                    out[name] = rng.choice([None, [rng.choice(value) for _ in range(new)]])
    for key, value in list(out.items()):
        roll = rng.random()
        if key in LAYERS or isinstance(value, str | dict):
            continue
        if isinstance(value, bool):
            out[key] = value if roll > 0.25 else not value
        elif not isinstance(value, int) or value <= 0 or any(part in key for part in LEFT):
            continue
        elif "heads" in key and roll < 0.35:
            out[key] = rng.choice([1, 2, 4, 8] if "key_value" in key else [4, 8, 12, 16, 20, 24, 32])
        elif "expert" in key and ("per_tok" in key or roll < 0.3):
            out[key] = rng.choice([1, 2, 3] if "per_tok" in key or "shared" in key else [8, 12, 16])
        elif roll < 0.25 and any(part in key for part in SIZES):
            out[key] = rng.choice([32, 48, 64, 96, 128, 192, 256, 384, 512, 640, 768, 1024])
        elif roll > 0.97:
            del out[key]
    return out


def total(cls: Any, config: dict[str, Any]) -> int:
    """The parameters and router biases of a class built from this config."""
    import torch

    def stop(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        parsed = cls.config_class.from_dict(json.loads(json.dumps(config)))
        with torch.device("meta"):
            model = cls._from_config(parsed, dtype=torch.bfloat16, attn_implementation="eager")
        model.tie_weights()
        biases = sum(b.numel() for name, b in model.named_buffers() if name.endswith(BIASES))
        return biases + sum(p.numel() for p in model.parameters())
    finally:
        signal.alarm(0)


def configs(only: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A class and a config for each stored row of a type that transformers has."""
    import transformers

    paths = [*sorted((TESTS / "golden").glob("*.jsonl")), TESTS / "data" / "structure.jsonl"]
    for line in (line for path in paths for line in path.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        config = {key: value for key, value in row["config"].items() if key != "quantization_config"}
        if config.get("model_type") in transformers.CONFIG_MAPPING and only in ("", config["model_type"]):
            yield row.get("class") or config["architectures"][0], config


def classes(named: str) -> Iterator[str]:
    """The public classes in the module of a class that read the same config."""
    import transformers

    cls = getattr(transformers, named)
    for name, other in inspect.getmembers(importlib.import_module(cls.__module__), inspect.isclass):
        public = hasattr(transformers, name) and not name.endswith(("PreTrainedModel", "PretrainedModel", "PretrainedBartModel"))
        if public and getattr(other, "config_class", None) is cls.config_class:
            yield name


def cases(args: argparse.Namespace) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What to build: a label to find it by, the class, the config."""
    for i, (named, config) in enumerate(configs(args.only)):
        where = f"{config['model_type']} row {i}"
        if args.classes:
            for other in classes(named):
                for n in (1, 3):
                    labels = {"id2label": {str(k): f"L{k}" for k in range(n)}}
                    yield f"{where} {n} labels", other, {**config, **labels, "num_labels": n, "architectures": [other]}
            continue
        for n in range(args.each):
            rng = random.Random(f"{args.seed} {where} {n}")
            yield f"{where} seed {args.seed}/{n}", named, {**altered(config, rng), "architectures": [named]}


def main() -> int:
    """Alter, build, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="one model_type")
    parser.add_argument("--each", type=int, default=4, help="altered configs of each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", action="store_true")
    args = parser.parse_args()
    import transformers

    from archcalc.analysis.params import components
    from archcalc.arch import parse
    from archcalc.errors import ArchcalcError

    transformers.logging.set_verbosity_error()
    logging.disable(logging.ERROR)
    count = dict.fromkeys(("equal", "differ", "partial", "refused by archcalc alone", "refused by the reference"), 0)
    for label, named, config in cases(args):
        try:
            wanted = total(getattr(transformers, named), config)
        except Exception:
            count["refused by the reference"] += 1
            continue
        try:
            a = parse(config)
        except ArchcalcError as error:
            count["refused by archcalc alone"] += 1
            print(f"{label} {named}: refused: {error}")
            continue
        found = sum(c.total for c in components(a) if c.part != "mtp")
        kind = "partial" if a.status != "counted" else "equal" if found == wanted else "differ"
        count[kind] += 1
        if kind != "equal":
            print(f"{label} {named}: {kind}: reference {wanted:,}, archcalc {found:,} ({found - wanted:+,})")
    print(f"seed {args.seed}: {', '.join(f'{n} {what}' for what, n in count.items())}")
    return 1 if count["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
