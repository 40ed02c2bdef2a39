"""Write model_cards/: a card for every bundled model, and an index by family.

python scripts/build_cards.py            rewrite in place
python scripts/build_cards.py --check    say what is out of date, exit 1 if anything is
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import groupby
from pathlib import Path

from archcalc import units, zoo
from archcalc.cards import write
from archcalc.cards.models import Model, load

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "model_cards"
_COLUMNS = (
    "Model",
    "Total parameters",
    "Active parameters",
    "Layers",
    "Hidden size",
    "Attention",
    "Context length",
    "Released",
    "License",
)
_ORIGINS = {
    "published": "is the repository's",
    "amended": "is the repository's, amended",
    "re-assembled": "is re-assembled, as the repository's was not at hand",
}


def slug(family: str) -> str:
    """A family's folder."""
    return re.sub(r"[^a-z0-9.]+", "-", family.lower()).strip("-")


def card(entry: zoo.Entry) -> str:
    """One model's card."""
    text = (
        f"# {entry.name}\n\n"
        f"[{entry.repo}](https://huggingface.co/{entry.repo}){facts(entry)}\n\n"
        f"The [config.json](../../src/archcalc/zoo/configs/{entry.name}.json) that this card is made from {_ORIGINS[entry.origin]}"
        f"{f' ({entry.origin_note})' if entry.origin_note else ''}.\n"
        f"`archcalc card --update` writes the section anew, `archcalc check` holds it against the config.\n\n"
    )
    return text + write.section(load(entry.name, True), entry.name)


def facts(entry: zoo.Entry) -> str:
    """What the index of models says beside the config."""
    parts = [f"released {entry.release}"] if entry.release else []
    parts += [f"license: {entry.license}"] if entry.license else []
    return f": {', '.join(parts)}" if parts else ""


def row(entry: zoo.Entry) -> str:
    """A line of the index."""
    model: Model = load(entry.name, True)
    found, rows = model.report, {r.label: r.value for r in write.architecture(model)}
    cells = (
        f"[{entry.name}]({slug(entry.family)}/{entry.name}.md)",
        units.format_count(found.params.total),
        units.format_count(found.params.active),
        rows["Layers"],
        rows["Hidden size"],
        rows["Attention"],
        rows.get("Context length", ""),
        entry.release or "",
        entry.license or "",
    )
    return f"| {' | '.join(cells)} |"


def pages() -> dict[Path, str]:
    """Every file of the folder."""
    out = {}
    entries = sorted(
        (entry for entry in zoo.entries() if entry.card), key=lambda entry: (entry.family.lower(), zoo.names().index(entry.name))
    )
    index = (
        "# Model cards\n\n"
        f"A card for each of {len(entries)} bundled models, written by `archcalc card` from its config and rewritten by "
        "`scripts/build_cards.py`.\nA commit that makes one wrong does not pass: `archcalc check model_cards`.\n"
    )
    for family, members in groupby(entries, key=lambda entry: entry.family):
        index += f"\n## {family}\n\n| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}\n"
        for entry in members:
            index += row(entry) + "\n"
            out[FOLDER / slug(family) / f"{entry.name}.md"] = card(entry)
    out[FOLDER / "README.md"] = index
    return out


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = pages()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    extra = [path for path in sorted(FOLDER.rglob("*.md")) if path not in wanted]
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    for path in extra:
        print(f"{path.relative_to(ROOT)} {'is of no bundled model' if check else 'removed'}")
        if not check:
            path.unlink()
    return 1 if check and (stale or extra) else 0


if __name__ == "__main__":
    sys.exit(main())
