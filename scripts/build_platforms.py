"""Which methods of quantization an engine's platforms take: `src/archcalc/engines/{vllm,sglang}/platforms.json`.

usage: build_platforms.py ENGINE FOLDER

FOLDER holds unpacked sources, one folder for each release and named by it. Of vLLM vllm/platforms/*.py (`supported_quantization`) and
vllm/model_executor/layers/quantization/__init__.py (`DEPRECATED_QUANTIZATION_METHODS`) are read; of SGLang
sglang/srt/configs/model_config.py (`rocm_supported_quantization`) and sglang/srt/layers/quantization/__init__.py (methods that are
registered on some platforms alone).

A method is written with the releases that list it, as in served.json; "*" are the releases that have such a list at all.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from build_served import ROOT, numbers, spans, texts, tree

VENDORS = {"rocm": "amd", "xpu": "intel"}


def named(module: ast.AST, name: str) -> Iterator[list[str]]:
    """The lists of texts that are assigned to a name, wherever that is done."""
    for node in ast.walk(module):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.List):
            yield texts(value.elts)


def vllm(source: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file, vendor in VENDORS.items():
        path = source / "vllm" / "platforms" / f"{file}.py"
        for methods in named(tree(path), "supported_quantization") if path.exists() else ():
            found[vendor] = {"*", *methods}
    methods = source / "vllm" / "model_executor" / "layers" / "quantization" / "__init__.py"
    for deprecated in named(tree(methods), "DEPRECATED_QUANTIZATION_METHODS"):
        found["deprecated"] = {"*", *deprecated}
    return found


# By the functions of SGLang that say which platform it runs on; of any other it is not known.
_ASKED = {"is_cuda": "nvidia", "is_hip": "amd", "is_xpu": "intel", "is_npu": "npu", "is_cpu": "cpu", "is_mps": "apple"}


def _true(test: ast.expr, vendor: str) -> bool:
    """Whether a condition holds on a vendor's GPUs; taken to where it is not known."""
    if isinstance(test, ast.BoolOp):
        each = [_true(part, vendor) for part in test.values]
        return any(each) if isinstance(test.op, ast.Or) else all(each)
    name = getattr(test.func if isinstance(test, ast.Call) else test, "id", "")
    asked = _ASKED.get(name.removeprefix("_"))
    if "gfx95" in name or "mxfp" in name:
        return vendor.startswith("gfx95")
    return asked is None or asked in (vendor, vendor.partition(":")[2])


def _registered(module: ast.Module, vendor: str) -> set[str]:
    found = set[str]()

    def read(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.If):
                read(node.body if _true(node.test, vendor) else node.orelse)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and "CPU_" not in ast.unparse(node)[:24]:
                found.update(text for part in ast.walk(node) if isinstance(part, ast.Dict) for text in texts(part.keys))

    read(module.body)
    return found


def sglang(source: Path) -> dict[str, set[str]]:
    folder = source / "sglang" / "srt"
    module = tree(folder / "layers" / "quantization" / "__init__.py")
    made = {vendor: _registered(module, vendor) for vendor in ("nvidia", "amd", "intel", "gfx95:amd")}
    for taken in named(tree(folder / "configs" / "model_config.py"), "rocm_supported_quantization"):
        made["amd"] &= set(taken)
        made["gfx95:amd"] &= set(taken)
    return {vendor.partition(":")[0]: {"*", *methods} for vendor, methods in made.items()}


def main(engine: str, folder: Path) -> None:
    releases = sorted((path.name for path in folder.iterdir()), key=numbers)
    made = {release: {"vllm": vllm, "sglang": sglang}[engine](folder / release) for release in releases}
    lists = sorted({name for found in made.values() for name in found})
    source = {
        "vllm": "vLLM, platforms/*.py and model_executor/layers/quantization/__init__.py",
        "sglang": "SGLang, srt/configs/model_config.py and srt/layers/quantization/__init__.py",
    }[engine]
    out = {
        "source": source,
        "releases": releases,
        **{name: spans(releases, {r: made[r].get(name, set()) for r in releases}) for name in lists},
    }
    path = ROOT / engine / "platforms.json"
    path.write_text(json.dumps(out, indent=0) + "\n", encoding="utf-8")
    print(f"{path}: {len(releases)} releases")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
