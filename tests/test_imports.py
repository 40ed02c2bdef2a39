"""Arrows between packages go one way: nothing imports, however late, what imports it."""

from __future__ import annotations

import ast
from pathlib import Path

import archcalc

ROOT = Path(archcalc.__file__).parent


def unit(name: str) -> str:
    """The package or module right below archcalc that a dotted name lies in."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "archcalc":
        return [f"archcalc.{name.name}" for name in node.names] if node.module == "archcalc" else [node.module]
    return [name.name for name in node.names if name.name.startswith("archcalc.")] if isinstance(node, ast.Import) else []


def arrows() -> dict[str, set[str]]:
    """What each imports, inside functions too; annotations alone need nothing at run time."""
    found: dict[str, set[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        own = unit(".".join(["archcalc", *path.relative_to(ROOT).with_suffix("").parts]))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typed = {
            inner for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for statement in node.body for inner in ast.walk(statement)
        }  # fmt: skip
        for node in ast.walk(tree):
            if node not in typed:
                found.setdefault(own, set()).update(unit(name) for name in imported(node))
    return {name: {other for other in others if other and other != name} for name, others in found.items()}


def reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    left = list(graph.get(start, ()))
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += graph.get(name, ())
    return seen


def test_no_packages_import_each_other() -> None:
    graph = arrows()
    circles = {name: sorted(other for other in reached(graph, name) if name in reached(graph, other)) for name in graph}
    assert {name: others for name, others in circles.items() if name in others} == {}


def test_the_way_of_the_data() -> None:
    """A config becomes records, records figures, and only then an engine is asked: docs/architecture.md."""
    graph = arrows()
    order = ["model", "blocks", "arch", "figures", "formats", "engines", "analysis", "cli"]
    for i, name in enumerate(order):
        assert not reached(graph, name) & set(order[i + 1 :]), name


# What reads or writes an engine's own words: its command line, its logs and the files that start it.
SPEAKS = ("engines/", "commands/", "emit/")


def compared(tree: ast.AST) -> list[tuple[int, str]]:
    """Comparisons of anything called an engine with a name of the registry: the line, and the name."""
    from archcalc.engines.engine import names

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and "engine" in ast.unparse(node.left):
            for other in node.comparators:
                texts = {inner.value for inner in ast.walk(other) if isinstance(inner, ast.Constant)}
                found += [(node.lineno, name) for name in sorted(texts & set(names()))]
    return found


def test_no_name_of_an_engine_is_compared_outside_what_speaks_its_words() -> None:
    """What is asked of an engine is asked of its object (engines/engine.py); a name compared elsewhere is a rule that stands apart."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(SPEAKS) and (names := compared(ast.parse(path.read_text(encoding="utf-8")))):
            found[place] = names
    assert found == {}


def test_a_comparison_with_an_engine_is_found() -> None:
    assert compared(ast.parse('a = log.engine in ("vllm", "sglang") or run.engine != "llama.cpp" or kind == "mlx"')) == [
        (1, "sglang"), (1, "vllm"), (1, "llama.cpp"),
    ]  # fmt: skip
