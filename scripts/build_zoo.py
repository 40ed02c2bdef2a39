"""Rebuild the data of the bundled models.

    python scripts/build_zoo.py --configs FOLDER   copy each config from FOLDER/<repo>/config.json
    python scripts/build_zoo.py --specs            parse each bundled config and write its normalized spec, with what its weights take
                                                   once loaded: again after each change to a rule of the default engine

FOLDER/ORIGIN.tsv, where there is one, says where each config came from: repository, tab, origin.

`src/archcalc/zoo/index.json` is written by hand: to add a model, add its line there and run both. `amend` in a line sets keys
of the config that are known to differ from what was published, `amend_note` says how that is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ZOO = ROOT / "src" / "archcalc" / "zoo"
FIELDS = (
    "name", "repo", "aliases", "family", "release", "release_note", "license", "card", "origin", "origin_note", "use", "task", "amend",
        "amend_note",
)  # fmt: skip


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Rebuild the data of the bundled models.")
    parser.add_argument("--configs", type=Path, metavar="FOLDER", help="copy the configs from FOLDER/<repo>/config.json")
    parser.add_argument("--specs", action="store_true", help="write the normalized specs")
    args = parser.parse_args()
    if not args.configs and not args.specs:
        parser.error("give --configs FOLDER, --specs or both")
    index = json.loads((ZOO / "index.json").read_text(encoding="utf-8"))
    check(index)
    if args.configs:
        copy_configs(index, args.configs)
    if args.specs:
        write_specs(index)


def check(index: list[dict[str, Any]]) -> None:
    """No two models may answer to one name."""
    from archcalc.zoo import key

    owner: dict[str, str] = {}
    for row in index:
        unknown = set(row) - set(FIELDS)
        if unknown:
            sys.exit(f"{row['name']}: unknown fields {sorted(unknown)}")
        for text in (row["name"], row["repo"], *row["aliases"]):
            if owner.setdefault(key(text), row["name"]) != row["name"]:
                sys.exit(f"{text!r} names both {owner[key(text)]} and {row['name']}")


def copy_configs(index: list[dict[str, Any]], folder: Path) -> None:
    """Copy each config byte for byte, and note where it came from. One that the folder does not hold stays as it is."""
    origins = {}
    table = folder / "ORIGIN.tsv"
    if table.exists():
        origins = dict(line.split("\t", 1) for line in table.read_text(encoding="utf-8").splitlines() if "\t" in line)
    target = ZOO / "configs"
    target.mkdir(exist_ok=True)
    for row in index:
        source = folder / row["repo"] / "config.json"
        if not source.exists():
            print(f"{row['name']}: {row['repo']} is not in {folder}, left as it is", file=sys.stderr)
            continue
        data = source.read_bytes()
        if row.get("amend"):
            data = (json.dumps({**json.loads(data), **row["amend"]}, indent=2) + "\n").encode()
        (target / f"{row['name']}.json").write_bytes(data)
        row["origin"], row["origin_note"] = origin(origins.get(row["repo"], row.get("origin") or "published"), row)
    for stale in {path.stem for path in target.glob("*.json")} - {row["name"] for row in index}:
        (target / f"{stale}.json").unlink()
    lines = (json.dumps({field: row[field] for field in FIELDS if field in row}, ensure_ascii=False) for row in index)
    (ZOO / "index.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def origin(text: str, row: dict[str, Any]) -> tuple[str, str | None]:
    """A line of ORIGIN.tsv as a kind and a note."""
    if row.get("amend"):
        return "amended", row["amend_note"]
    for kind in ("re-assembled", "published"):
        if text.startswith(kind):
            note = text[len(kind) :].strip(" ,")
            return kind, "the copy at hand leaves some keys out" if note.startswith("trimmed") else note or None
    return text, None


def write_specs(index: list[dict[str, Any]]) -> None:
    """Parse every bundled config that an adapter reads."""
    from archcalc import arch, zoo
    from archcalc.analysis.sizes import sizes
    from archcalc.errors import ArchcalcError
    from archcalc.report import to_plain
    from archcalc.zoo import _spec

    target = ZOO / "specs"
    target.mkdir(exist_ok=True)
    for stale in target.glob("*.json"):
        stale.unlink()
    missing = []
    for row in index:
        config = zoo.config(row["name"])
        try:
            architecture = arch.parse(config) if arch.adapter_name(config) else None
        except ArchcalcError as error:
            missing.append(f"{row['name']}: {error.message}")
            continue
        if architecture is None:
            missing.append(f"{row['name']}: no adapter for {config.get('model_type')!r}")
            continue
        data = _spec.dump(architecture)
        if _spec.load(json.loads(json.dumps(data))) != architecture:
            sys.exit(f"{row['name']}: the spec does not come back as it was written")
        data["loaded"] = [to_plain(size) for size in sizes(architecture._replace(use=row.get("use") or architecture.use))]
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        (target / f"{row['name']}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(index) - len(missing)} of {len(index)} specs written")
    for line in missing:
        print(f"  none for {line}")


if __name__ == "__main__":
    main()
