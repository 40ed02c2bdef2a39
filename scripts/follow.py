"""What the newest transformers, vLLM, SGLang, llama.cpp and mlx-lm have that this project has not read yet, as one report.

    python scripts/follow.py NAME=NEW [NAME=OLD:NEW ...] [--out REPORT.md] [--strict]
    python scripts/follow.py --download FOLDER [NAME ...] [--out REPORT.md]

NAME is one of transformers, vllm, sglang, llama.cpp, mlx. NEW and OLD are folders that hold its package (NEW/transformers, NEW/vllm,
NEW/sglang, NEW/mlx_lm), or llama.cpp's repository. `--download` has pip fetch the newest release of each below FOLDER, and beside it the
one that this project read last. Nothing of them is imported or run: Python is read as a syntax tree.

Listed are types that no adapter reads, classes and quantization methods that the engines' tables do not have or that are gone, flags that
are new or gone; and between OLD and NEW also types whose defaults or modules changed (those decide what a model is made of) and functions
that memory rules stand in. `--strict` ends with 1 where anything is listed.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import build_flags
import build_served
import vllm_changes

ROOT = Path(__file__).resolve().parent.parent / "src" / "archcalc"
NAMES = ("transformers", "vllm", "sglang", "llama.cpp", "mlx")
# What the package is called where it is fetched; llama.cpp comes whole with its Python binding.
PACKAGES = {"transformers": "transformers", "vllm": "vllm", "sglang": "sglang", "llama.cpp": "llama-cpp-python", "mlx": "mlx-lm"}
SERVED = {"transformers": "transformers", "vllm": "vllm", "sglang": "sglang", "llama.cpp": "llamacpp", "mlx": "mlx"}
# Beside vllm_changes.FILES: where SGLang's memory rules stand.
SGLANG_RULES = (
    "srt/server_args.py", "srt/mem_cache/memory_pool.py", "srt/model_executor/model_runner.py", "srt/configs/model_config.py",
    "srt/mem_cache/allocator.py",
)  # fmt: skip
Found = dict[str, list[str]]


def adapter(model_type: str) -> str:
    """The file that would read a type."""
    return re.sub(r"[-.]", "_", model_type).lower()


def read_types() -> set[str]:
    """The types that have an adapter."""
    return {path.stem for path in (ROOT / "arch").glob("*.py") if not path.name.startswith("_")}


def served(name: str) -> dict[str, Any]:
    """What the project's table says that an engine serves."""
    made: dict[str, Any] = json.loads((ROOT / "engines" / SERVED[name] / "served.json").read_text(encoding="utf-8"))
    return made


def present(spans: dict[str, str], newest: str) -> set[str]:
    """The names that the newest release read still lists."""
    return {name for name, span in spans.items() if ".." not in span.split()[-1] or span.endswith(newest)}


def of_types(source: Path) -> dict[str, str]:
    """Every model type that transformers can make a config of, with its module."""
    folder, found = source / "transformers" / "models" / "auto", dict[str, str]()
    for path in (folder / "auto_mappings.py", folder / "configuration_auto.py"):
        if not path.exists():
            continue
        for name, value in build_served.assigned(build_served.tree(path)):
            if name in ("CONFIG_MAPPING_NAMES", "CONFIG_MAPPING"):
                for node in ast.walk(value):
                    if isinstance(node, ast.Tuple) and len(both := build_served.texts(node.elts)) == 2:
                        found.setdefault(*both)
                    elif isinstance(node, ast.Dict):
                        found.update(zip(build_served.texts(node.keys), build_served.texts(node.values), strict=False))
    return found


def making_text(source: Path) -> set[str]:
    """The types that the mappings of causal, masked and sequence models and of those that read images name."""
    found = set[str]()
    kinds = ("CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "MASKED_LM")
    names = {f"MODEL_FOR_{kind}_MAPPING_NAMES" for kind in kinds}
    for name, value in build_served.assigned(build_served.tree(source / "transformers" / "models" / "auto" / "modeling_auto.py")):
        if name in names:
            found |= {
                pair[0]
                for node in ast.walk(value)
                if isinstance(node, ast.Tuple) and len(pair := build_served.texts(node.elts)) == 2
            }
    return found


def defaults(folder: Path) -> dict[str, str]:
    """Each key of each config class of a model, as `Class.key`, with its default."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("configuration_*.py")):
        for node in ast.walk(build_served.tree(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    found[f"{node.name}.{item.target.id}"] = ast.unparse(item.value) if item.value else "required"
                elif isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    given = item.args.args[len(item.args.args) - len(item.args.defaults) :]
                    for argument, value in zip(given, item.args.defaults, strict=True):
                        found[f"{node.name}.{argument.arg}"] = ast.unparse(value)
    return found


def modules(folder: Path) -> dict[str, str]:
    """How each class of a model is built: what its `__init__` does, as code."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("modeling_*.py")):
        for name, body in vllm_changes.bodies(path).items():
            if name.endswith(".__init__"):
                found[name.removesuffix(".__init__")] = body
    return found


def differing(old: dict[str, str], new: dict[str, str], values: bool = False) -> list[str]:
    """The names that differ between two, with how."""
    out = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            change = f"{old.get(name, 'absent')} -> {new.get(name, 'absent')}" if values else "changed"
            out.append(f"{name}: {'new' if name not in old else 'gone' if name not in new else change}")
    return out


def transformers(new: Path, old: Path | None) -> Found:
    """Types without an adapter, classes that changed, and what changed in a type."""
    known, types, text = read_types(), of_types(new), making_text(new)
    unread = sorted(t for t in types if adapter(t) not in known)
    found: Found = {
        "Types that make text and that no adapter reads": [t for t in unread if t in text],
        "Other types that no adapter reads": [t for t in unread if t not in text],
    }
    listed, made = served("transformers")["classes"], build_served.transformers(new)[0]
    found["Types whose class is new or another"] = [
        f"{kind}: {made[kind]}" + (f" (was {listed[kind]})" if kind in listed else "")
        for kind in sorted(made) if listed.get(kind) != made[kind]
    ]  # fmt: skip
    found["Types that are gone"] = sorted(set(listed) - set(made) - set(types))
    if old is not None:
        before = old / "transformers" / "models"
        keys, built = [], []
        for folder in sorted((new / "transformers" / "models").iterdir()):
            if folder.is_dir() and (before / folder.name).is_dir():
                keys += [f"{folder.name}: {one}" for one in differing(defaults(before / folder.name), defaults(folder), True)]
                built += [f"{folder.name}: {one}" for one in differing(modules(before / folder.name), modules(folder))]
        found["Keys and defaults that changed"], found["Modules that are built otherwise"] = keys, built
        found["Types that are new since the old release"] = sorted(types.keys() - of_types(old).keys())
    return found


def by_registry(name: str, new: Path, old: Path | None) -> Found:
    """vLLM's and SGLang's classes and methods against the table's, flags, and functions with rules."""
    table, made = served(name), {"vllm": build_served.vllm, "sglang": build_served.sglang}[name](new)
    newest = table["releases"][-1]
    found: Found = {}
    for key, words in (("classes", "Classes"), ("methods", "Quantization methods")):
        listed = present(table[key], newest)
        found[f"{words} that are new"], found[f"{words} that are gone"] = sorted(made[key] - listed), sorted(listed - made[key])
    found |= flags(name, new / name if name == "vllm" else new)
    if old is not None:
        files = vllm_changes.FILES if name == "vllm" else SGLANG_RULES
        found["Functions with rules that changed"] = [
            f"{file} {one}"
            for file in files
            for one in differing(vllm_changes.bodies(old / name / file), vllm_changes.bodies(new / name / file))
        ]
    return found


def flags(name: str, folder: Path) -> Found:
    """The command line's flags against the table of flags."""
    path = ROOT / "commands" / "tables" / f"{name}.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    listed = {row[0] for row in rows if len(row) < 6 or not row[5].strip()}
    made = set(build_flags.read(name, folder))
    return {"Flags that are new": sorted(made - listed), "Flags that are gone": sorted(listed - made) if made else []}


def llamacpp(new: Path, old: Path | None) -> Found:
    """The classes that the converter reads, GGUF architectures, and flags."""
    listed, made = served("llama.cpp")["classes"], build_served.llamacpp(new)
    found: Found = {
        "Classes that the converter reads anew, with their GGUF architecture": [
            f"{name}: {made[name]}" for name in sorted(made) if listed.get(name) != made[name]
        ],
        "Classes that are gone": sorted(set(listed) - set(made)),
    }
    return found | flags("llama.cpp", new)


def mlx(new: Path, old: Path | None) -> Found:
    """mlx-lm's types: those without an adapter, those that are new to the table, and those whose modules changed."""
    listed, (made, _) = served("mlx")["classes"], build_served.mlx(new)
    known = read_types()
    found: Found = {
        "Types that no adapter reads": sorted(t for t in made if adapter(t) not in known),
        "Types that are new": sorted(t for t in made if t not in listed),
        "Types that are gone": sorted(set(listed) - set(made)),
        **flags("mlx", new),
    }
    if old is not None:
        before = old / "mlx_lm" / "models"
        found["Types whose code changed"] = [
            f"{path.stem}: {one}"
            for path in sorted((new / "mlx_lm" / "models").glob("*.py")) if (before / path.name).exists()
            for one in differing(vllm_changes.bodies(before / path.name), vllm_changes.bodies(path))
        ]  # fmt: skip
    return found


def follow(name: str, new: Path, old: Path | None) -> Found:
    """What one of the five has that was not read yet, by kind."""
    if name == "transformers":
        return transformers(new, old)
    if name in ("vllm", "sglang"):
        return by_registry(name, new, old)
    return llamacpp(new, old) if name == "llama.cpp" else mlx(new, old)


def report(found: dict[str, Found]) -> str:
    """The report in Markdown: a section each, kinds without entries left out."""
    lines = ["# What the engines have that is not read yet", ""]
    for name, kinds in found.items():
        read = served(name)["releases"][-1]
        lines += [f"## {name} (read last: {read})", ""]
        told = {kind: entries for kind, entries in kinds.items() if entries}
        if not told:
            lines += ["Nothing new.", ""]
        for kind, entries in told.items():
            lines += [f"### {kind}: {len(entries)}", "", *(f"- {entry}" for entry in entries), ""]
    return "\n".join(lines)


def fetched(name: str, folder: Path, version: str | None) -> Path | None:
    """The unpacked release, or None where pip does not give it. `version` None is the newest."""
    target = folder / name / (version or "newest")
    target.mkdir(parents=True, exist_ok=True)
    package = PACKAGES[name] + (f"=={version}" if version else "")
    # vLLM's wheel holds compiled kernels of several hundred megabytes; its source archive is unpacked before its build is asked for.
    whole = name in ("vllm", "llama.cpp")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target), package]
    command += ["--no-binary", PACKAGES[name], "--no-build-isolation", "--no-clean"] if whole else []
    subprocess.run(command, env={**_environment(), "TMPDIR": str(target)}, check=False, capture_output=True)
    for wheel in target.glob("*.whl"):
        import zipfile

        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    for archive_path in target.glob("*.tar.gz"):
        import tarfile

        with tarfile.open(archive_path) as archive_file:
            archive_file.extractall(target, filter="data")
    return next(_homes(name, target), None)


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def _homes(name: str, folder: Path) -> Iterator[Path]:
    """The folders that hold the package."""
    inside = {
        "llama.cpp": "convert_hf_to_gguf.py",
        "mlx": "mlx_lm/utils.py",
        "sglang": "sglang/srt/server_args.py",
        "transformers": "transformers/models/auto/modeling_auto.py",
        "vllm": "vllm/model_executor/models/registry.py",
    }[name]
    for path in sorted(folder.rglob(Path(inside).name), key=lambda path: len(path.parts)):
        if path.as_posix().endswith(inside):
            yield path.parents[inside.count("/")]


def chosen(words: Iterable[str], download: Path | None) -> dict[str, tuple[Path, Path | None]]:
    """The folders of each name: new, and old where there is one."""
    out: dict[str, tuple[Path, Path | None]] = {}
    for word in words or (NAMES if download else ()):
        name, _, folders = word.partition("=")
        if name not in NAMES:
            raise SystemExit(f"{name!r} is not followed: one of {', '.join(NAMES)}")
        if folders:
            first, _, second = folders.partition(":")
            new, old = (Path(second), Path(first)) if second else (Path(first), None)
        elif download is not None:
            found = fetched(name, download, None)
            if found is None:
                print(f"{name}: pip gave no release that could be read", file=sys.stderr)
                continue
            read = str(served(name)["releases"][-1])
            new, old = found, fetched(name, download, read) if read.count(".") == 2 else None
        else:
            raise SystemExit(f"{name} has no folder: write {name}=FOLDER, or give --download")
        for folder in (new, *([old] if old else [])):
            if next(_homes(name, folder), None) != folder:
                raise SystemExit(f"{folder} does not hold {name}: see --help for what it should")
        out[name] = new, old
    if not out:
        raise SystemExit(__doc__)
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", metavar="NAME=[OLD:]NEW")
    parser.add_argument("--download", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--strict", action="store_true")
    given = parser.parse_args(arguments)
    found = {name: follow(name, new, old) for name, (new, old) in chosen(given.sources, given.download).items()}
    text = report(found)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return int(given.strict and any(entries for kinds in found.values() for entries in kinds.values()))


if __name__ == "__main__":
    raise SystemExit(main())
