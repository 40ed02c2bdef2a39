"""Rebuild the tensor inventories under tests/golden/ from the reference implementation.

    pip install transformers==5.23.0 torch accelerate timm
    python scripts/build_golden.py                    rebuild every row from the config stored in it, in place
    python scripts/build_golden.py --add ID CONFIG    add or replace the row ID from a config.json
    python scripts/build_golden.py --check            only say which rows would change

Each model class is built on torch's meta device: shapes and names without weights. A row holds the config, the class, and the
tensors as [name, shape, kind, layers], where `{}` in a name stands for each of the layers, and kind is `param`, `tied` (the same
storage as an earlier tensor) or `router_bias` (a buffer that routers correct their choice by, which checkpoints hold).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
_LAYER = re.compile(r"\.(\d+)\.")


def build(config: dict[str, Any], class_name: str | None = None) -> tuple[str, list[list[Any]]]:
    """The class that `config` names, and its tensors on the meta device."""
    import tempfile

    import torch
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        # Quantization changes how weights are stored, not which there are.
        plain = {key: value for key, value in config.items() if key not in ("quantization_config", "compression_config")}
        Path(folder, "config.json").write_text(json.dumps(plain), encoding="utf-8")
        # A type that transformers does not have, published for a class that it has (Kimi K2): read as that class reads it.
        known = plain.get("model_type") in transformers.CONFIG_MAPPING
        reader = transformers.AutoConfig if known else getattr(transformers, str(class_name)).config_class
        parsed = reader.from_pretrained(folder, trust_remote_code=False) if known else reader.from_pretrained(folder)
    for part in (parsed, *(value for value in vars(parsed).values() if isinstance(value, transformers.PretrainedConfig))):
        part.__dict__.pop("quantization_config", None)
    name = class_name or (config.get("architectures") or [None])[0]
    cls = getattr(transformers, name or "", None)
    if cls is None:
        cls = transformers.AutoModelForCausalLM._model_mapping[type(parsed)]
    with torch.device("meta"):
        model = cls._from_config(parsed, dtype=torch.bfloat16, attn_implementation="eager")
    model.tie_weights()
    return cls.__name__, inventory(model)


def inventory(model: Any) -> list[list[Any]]:
    """Every parameter and router bias of a model, equal layers folded."""
    seen: dict[int, str] = {}
    flat: list[tuple[str, list[int], str]] = []
    for name, tensor in model.named_parameters(remove_duplicate=False):
        kind = "tied" if id(tensor) in seen else "param"
        seen.setdefault(id(tensor), name)
        flat.append((name, list(tensor.shape), kind))
    for name, tensor in model.named_buffers():
        if name.endswith(("e_score_correction_bias", "expert_bias", "correction_bias", "score_correction_bias")):
            flat.append((name, list(tensor.shape), "router_bias"))
    folded: dict[tuple[str, str, str], list[int]] = {}
    rows: list[list[Any]] = []
    for name, shape, kind in flat:
        match = _LAYER.search(name)
        if match is None:
            rows.append([name, shape, kind])
            continue
        pattern = name[: match.start(1)] + "{}" + name[match.end(1) :]
        key = (pattern, json.dumps(shape), kind)
        if key not in folded:
            folded[key] = []
            rows.append([pattern, shape, kind, folded[key]])
        folded[key].append(int(match[1]))
    return [[*row[:3], ranges(row[3])] if len(row) > 3 else row for row in rows]


def ranges(numbers: list[int]) -> str:
    """Layer numbers as runs: 0-2,4-6."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def total(tensors: list[list[Any]]) -> int:
    """The elements of all tensors that are counted."""
    out = 0
    for _, shape, kind, *layers in tensors:
        if kind != "tied":
            n = 1
            for size in shape:
                n *= size
            out += n * (len(expand(layers[0])) if layers else 1)
    return out


def expand(text: str) -> list[int]:
    """The numbers of a text such as 0-2,4."""
    out: list[int] = []
    for run in text.split(","):
        first, _, last = run.partition("-")
        out += range(int(first), int(last or first) + 1)
    return out


def row_of(row_id: str, config: dict[str, Any], class_name: str | None = None) -> dict[str, Any]:
    """One golden row."""
    name, tensors = build(config, class_name)
    return {"id": row_id, "class": name, "total": total(tensors), "config": config, "tensors": tensors}


def main() -> int:
    """Rebuild, add or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", nargs=2, metavar=("ID", "CONFIG"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="", help="only files whose name holds this")
    args = parser.parse_args()
    if args.add:
        row_id, path = args.add
        config = json.loads(Path(path).read_text(encoding="utf-8"))
        target = GOLDEN / f"{str(config['model_type']).replace('-', '_')}.jsonl"
        rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()] if target.exists() else []
        rows = [row for row in rows if row["id"] != row_id] + [row_of(row_id, config)]
        write(target, rows)
        return 0
    changed = 0
    for target in sorted(GOLDEN.glob(f"*{args.only}*.jsonl")):
        old = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        # A row with a reference of its own is not transformers' to rebuild.
        new = [row if row.get("reference") else row_of(row["id"], row["config"], row["class"]) for row in old]
        for before, after in zip(old, new, strict=True):
            if {json.dumps(t) for t in before["tensors"]} != {json.dumps(t) for t in after["tensors"]}:
                changed += 1
                print(f"{target.name}: {before['id']}: {before['total']:,} -> {after['total']:,}")
        if not args.check:
            write(target, new)
    print(f"{changed} rows differ")
    return 1 if args.check and changed else 0


def write(target: Path, rows: list[dict[str, Any]]) -> None:
    """One row a line."""
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
