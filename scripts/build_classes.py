"""Write where engines build the classes that decide a type: tests/data/classes_of_engines.tsv.

    python scripts/build_classes.py --vllm FOLDER --sglang FOLDER --llamacpp FOLDER

Each folder is the unpacked source of one engine. A row is a class, as `architectures` names it, and the files that build or convert
it: those of vLLM's registry (model_executor/models/registry.py), of SGLang's `EntryClass` and of llama.cpp's `ModelBase.register`. Rows
that are there stay; those of classes that `archcalc.arch` has come to read are added.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "tests" / "data" / "classes_of_engines.tsv"


def vllm(folder: Path) -> Iterator[tuple[str, str]]:
    """Classes and the files of vLLM's registry."""
    text = next(folder.rglob("model_executor/models/registry.py")).read_text(encoding="utf-8")
    for name, module, _ in re.findall(r'"(\w+)":\s*\(\s*"([\w.]+)",\s*"(\w+)",?\s*\)', text):
        yield name, f"{module.replace('.', '/').removeprefix('vllm/models/')}.py"


def sglang(folder: Path) -> Iterator[tuple[str, str]]:
    """Classes of every `EntryClass` of SGLang."""
    for path in sorted(folder.rglob("srt/models/*.py")):
        for names in re.findall(r"^EntryClass\s*=\s*\[?([\w,\s]+)", path.read_text(encoding="utf-8"), re.M):
            yield from ((name, path.name) for name in re.findall(r"\w+", names))


def llamacpp(folder: Path) -> Iterator[tuple[str, str]]:
    """Classes that llama.cpp's converters are registered for."""
    for path in sorted(folder.glob("conversion/*.py")):
        for names in re.findall(r"@ModelBase\.register\(([^)]*)\)", path.read_text(encoding="utf-8")):
            yield from ((name, f"conversion/{path.name}") for name in re.findall(r'"(\w+)"', names))


def main() -> None:
    """Read the sources and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for engine in (vllm, sglang, llamacpp):
        parser.add_argument(f"--{engine.__name__}", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    from archcalc.arch import _BY_CLASS

    listed = {line.split("\t")[0] for line in TABLE.read_text(encoding="utf-8").splitlines()} if TABLE.exists() else set()
    files: dict[str, list[str]] = {name: [] for name in sorted(listed | set(_BY_CLASS))}
    for engine in (vllm, sglang, llamacpp):
        for name, file in engine(getattr(args, engine.__name__)):
            if name in files and file not in files[name]:
                files[name].append(file)
    TABLE.write_text("".join(f"{name}\t{' '.join(found)}\n" for name, found in files.items()), encoding="utf-8")
    print(f"{len(files)} classes, of which {sum(not found for found in files.values())} are in no engine")


if __name__ == "__main__":
    main()
