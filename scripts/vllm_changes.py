"""What changed between two releases of vLLM in the files that its memory rules stand in.

usage: vllm_changes.py OLD NEW, two unpacked source folders (each holds vllm/). Functions are compared as code: comments and docstrings
do not count. Each one listed is to be read, and each rule that it changed becomes a row of src/archcalc/engines/vllm/rules.py.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FILES = (
    "v1/kv_cache_interface.py", "v1/core/kv_cache_utils.py", "v1/core/kv_cache_planning.py", "v1/worker/gpu_worker.py",
    "v1/sample/ops/topk_topp_sampler.py", "engine/arg_utils.py", "config/cache.py", "config/vllm.py", "config/model.py",
    "config/compilation.py", "platforms/interface.py", "platforms/cuda.py", "model_executor/models/config.py",
    "model_executor/layers/mamba/mamba_utils.py", "utils/mem_utils.py", "envs.py",
)  # fmt: skip


def bodies(path: Path) -> dict[str, str]:
    """Every function of a file by its full name, as code without comments and docstrings."""
    found: dict[str, str] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
                if ast.get_docstring(child) is not None:
                    child.body = child.body[1:] or [ast.Pass()]
                if not isinstance(child, ast.ClassDef):
                    found[name] = ast.unparse(child)
            walk(child, name)

    if path.exists():
        walk(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def main(old: Path, new: Path) -> None:
    for file in FILES:
        before, after = bodies(old / "vllm" / file), bodies(new / "vllm" / file)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                print(f"{file} {name}: {'new' if name not in before else 'gone' if name not in after else 'changed'}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
