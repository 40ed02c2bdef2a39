"""Compare archcalc with transformers on altered configs: other sizes, flags turned, keys left out.

    pip install transformers==5.23.0 torch accelerate . && python scripts/fuzz_reference.py [--only TYPE] [--each N] [--seed S]

Starts from the configs under tests/golden/, alters a few keys at random, builds the reference's class on the meta device, and says
where names, shapes, kinds or the total differ. A config that either side refuses is counted apart; one that archcalc alone refuses is
printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "tests")]

SIZES = ("hidden_size", "intermediate_size", "vocab_size", "moe_intermediate_size", "head_dim", "n_embd", "kv_lora_rank", "q_lora_rank",
         "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "shared_expert_intermediate_size",
         "num_hidden_layers", "n_layer")  # fmt: skip
LAYERS = ("num_hidden_layers", "n_layer")
LISTS = ("layer_types", "no_rope_layers", "indexer_types", "mlp_layer_types", "attn_type_list")


def altered(config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy with fewer layers and a few keys changed, turned or left out, nested text configs too."""
    out = dict(config)
    for key in ("text_config", "language_config", "llm_config"):
        if isinstance(out.get(key), dict):
            out[key] = altered(out[key], rng)
            return out
    layers = rng.randint(2, 9)
    for key in LAYERS:
        if key in out:
            out[key] = layers
    for key in LISTS:
        if isinstance(out.get(key), list) and out[key]:
            out[key] = rng.choice([None, [rng.choice(out[key]) for _ in range(layers)]])
    for key, value in list(out.items()):
        roll = rng.random()
        if key in SIZES and key not in LAYERS and isinstance(value, int) and not isinstance(value, bool) and roll < 0.25:
            out[key] = max(16, value // rng.choice([1, 2, 4]) // 16 * 16 * rng.choice([1, 1, 2]))
        elif isinstance(value, bool) and roll < 0.3:
            out[key] = not value
        elif key in ("num_experts", "num_local_experts", "n_routed_experts") and value and roll < 0.5:
            out[key] = rng.choice([8, 12, 16])
        elif key in ("num_key_value_heads", "sliding_window", "head_dim", "intermediate_size") and roll > 0.9:
            del out[key]
    return out


def main() -> int:
    """Alter, build, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--each", type=int, default=8, help="altered configs of each golden row")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    import build_golden
    import test_golden
    from archcalc.arch import parse
    from archcalc.errors import ArchcalcError

    same = different = refused = ours = 0
    for path in sorted(build_golden.GOLDEN.glob(f"{args.only or '*'}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines()[:3]:
            row = json.loads(line)
            for n in range(args.each):
                rng = random.Random(f"{args.seed} {row['id']} {n}")
                config = altered(row["config"], rng)
                try:
                    _, tensors = build_golden.build(config, row["class"])
                except Exception:
                    refused += 1
                    continue
                changes = {k: v for k, v in config.items() if row["config"].get(k) != v}
                try:
                    found = test_golden.listed(parse(config))
                except ArchcalcError as error:
                    ours += 1
                    print(f"{row['id']} #{n}: only archcalc refuses: {error}")
                    continue
                wanted = test_golden.wanted({"tensors": tensors})
                if found == wanted:
                    same += 1
                    continue
                different += 1
                names = sorted(k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k))
                print(f"{row['id']} #{n}: {len(names)} differ, changed {str(changes)[:300]}")
                for name in names[:3]:
                    print(f"    {name}: reference {wanted.get(name)}, archcalc {found.get(name)}")
    print(f"{same} equal, {different} differ, {ours} refused by archcalc alone, {refused} by the reference")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
