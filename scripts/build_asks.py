"""What classes of models ask of a config where an engine builds them: `src/archcalc/engines/{vllm,sglang}/asks.json`.

usage: build_asks.py ENGINE FOLDER

FOLDER holds unpacked sources, one folder for each release and named by it. Of vLLM vllm/model_executor/models, its registry and
vllm/model_executor/layers/{activation,rotary_embedding} are read; of SGLang sglang/srt/models and sglang/srt/layers.

Nothing is imported: from each served class the constructors that it certainly runs are followed through the syntax tree, with the keys of
the config that their arguments are. What stands under a condition counts where both branches ask it. Written are:

    KEY: A|B     the class raises where KEY is stated as something else (`false` and `true` of what is only asked to be so); where
                 a function looks it up, that function's name, and `functions` lists what it knows
    tp           it raises where there are more ranks than routed experts
    rope         it builds rotary embeddings of the config's scaling as it is: `ropes` lists the types that a release knows

A row of KEY may end in a condition on another key: `if OTHER > 0`, `if OTHER stated`, `if OTHER = A|B`, `if OTHER != A|B`.

A row is written with the releases that have it, as in served.json, and with where the newest of them asks.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_served import ROOT, Classes, assigned, numbers, spans, texts, tree

Value = tuple[Any, ...] | None
Env = dict[str, Value]
Rows = dict[str, str]
"""What is asked, with where."""
CONFIG: Value = ("config",)
ENGINE: Value = ("engine",)
CONFIGS = ("config", "hf_config", "hf_text_config", "text_config", "llm_config", "language_config")
MODELS = {"vllm": "model_executor/models", "sglang": "srt/models"}


def asked(row: str, rows: Rows) -> bool:
    """Whether rows ask what one does, on its condition or in any case."""
    return row in rows or row.partition(" if ")[0] in rows


class Reader:
    """One release."""

    def __init__(self, root: Path, engine: str) -> None:
        self.engine, self.root = engine, root
        self.known = Classes(root, MODELS[engine])
        self.acts = self.activations()
        self.running: list[int] = []

    def activations(self) -> dict[str, str]:
        """The names that a function takes of an activation."""
        layers = self.root / ("model_executor" if self.engine == "vllm" else "srt") / "layers" / "activation.py"
        found = {}
        for node in ast.walk(tree(layers)) if layers.exists() else ():
            if isinstance(node, ast.Assign | ast.AnnAssign) and (value := node.value) is not None:
                name = getattr(node.targets[0] if isinstance(node, ast.Assign) else node.target, "id", "")
                value = value.args[0] if isinstance(value, ast.Call) and value.args else value
                if isinstance(value, ast.Dict):
                    found[name] = "|".join(sorted(texts(value.keys)))
        return {
            "get_act_fn": found.get("_ACTIVATION_REGISTRY", found.get("ACT2FN", "")),
            "get_act_and_mul_fn": found.get("_ACTIVATION_AND_MUL_REGISTRY", ""),
        }

    def ropes(self) -> set[str]:
        """The types of scaling that `get_rope` knows: it raises at any other."""
        layers = self.root / ("model_executor" if self.engine == "vllm" else "srt") / "layers"
        found = set[str]()
        for path in (*layers.glob("rotary_embedding.py"), *layers.glob("rotary_embedding/*.py")):
            for function in ast.walk(tree(path)):
                if isinstance(function, ast.FunctionDef) and function.name == "get_rope":
                    for node in ast.walk(function):
                        if isinstance(node, ast.Compare) and getattr(node.left, "id", "") in ("scaling_type", "rope_type"):
                            right = node.comparators[0]
                            found.update(texts(right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]))
        return found | {"default"}

    def served(self) -> Iterator[tuple[str, ast.ClassDef]]:
        if self.engine == "sglang":
            for module, own in self.known.own.items():
                path = self.root / module.replace(".", "/")
                for name, value in assigned(tree(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))):
                    if name == "EntryClass":
                        for each in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
                            if (cls := own.get(getattr(each, "id", ""))) is not None:
                                yield cls.name, cls
            return
        for name, value in assigned(tree(self.root / "model_executor/models/registry.py")):
            if isinstance(value, ast.Dict) and name.endswith(("_MODELS", "_MODEL")):
                for key, pair in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(pair, ast.Tuple) and len(both := texts(pair.elts)) == 2:
                        module = both[0].removeprefix("vllm.") if "." in both[0] else f"model_executor.models.{both[0]}"
                        if (cls := self.known.named(module, both[1])) is not None:
                            yield str(key.value), cls

    def asks(self) -> dict[str, Rows]:
        made = {name: self.build(cls, {}, []) for name, cls in self.served()}
        # What is asked in any case is not asked on a condition.
        return {
            name: {row: site for row, site in rows.items() if " if " not in row or row.partition(" if ")[0] not in rows}
            for name, rows in made.items()
        }

    def value(self, node: ast.expr | None, env: Env, module: str) -> Value:
        """What an expression stands for: the engine's settings, the model's config, a key of it, or a class."""
        if isinstance(node, ast.Name):
            if node.id in env:
                return env[node.id]
            cls = self.known.named(module, node.id)
            return None if cls is None else ("class", cls)
        if isinstance(node, ast.Constant):
            return ("constant", node.value)
        if isinstance(node, ast.Attribute):
            if getattr(node.value, "id", "") == "self":
                return env.get(f"self.{node.attr}")
            base = self.value(node.value, env, module)
            if base == ENGINE:
                return CONFIG if node.attr in CONFIGS else ENGINE if node.attr == "model_config" else None
            return self.key(base, node.attr)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            values = (self.value(each, env, module) for each in node.values)
            return next((each for each in values if each == CONFIG or (each and each[0] == "class")), None)
        if isinstance(node, ast.Call):
            if getattr(node.func, "id", "") == "getattr" and len(node.args) > 1:
                return self.key(self.value(node.args[0], env, module), getattr(node.args[1], "value", ""))
            if getattr(node.func, "attr", "") == "get_text_config":
                return CONFIG
        return None

    @staticmethod
    def key(base: Value, name: str) -> Value:
        if base != CONFIG:
            return None
        return CONFIG if name in CONFIGS else None if name.endswith("_config") else ("key", name)

    def build(self, cls: ast.ClassDef, given: dict[str, Value], places: list[Value]) -> Rows:
        line = list(self.known.lines(cls))
        return self.method(line, 0, "__init__", given, places, {})

    def method(
        self, line: list[ast.ClassDef], start: int, name: str, given: dict[str, Value], places: list[Value], own: Env
    ) -> Rows:
        """What a method of a class asks, or of what it builds on, with the arguments that are known."""
        for at in range(start, len(line)):
            found = next((n for n in line[at].body if isinstance(n, ast.FunctionDef) and n.name == name), None)
            if found is None:
                continue
            if self.running.count(id(found)) > 1 or len(self.running) > 40:
                return {}
            module = self.known.home[id(line[at])]
            names = [a.arg for a in (*found.args.posonlyargs, *found.args.args)][1:]
            env: Env = {}
            for each in reversed(line):
                env |= {f"self.{name}": self.value(node, {}, self.known.home[id(each)]) for name, node in assigned(each)}
            env |= {key: value for key, value in own.items() if key.startswith("self.")}
            defaults = dict(zip(reversed(names), reversed(found.args.defaults), strict=False))
            defaults |= {a.arg: d for a, d in zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True) if d is not None}
            env |= {key: self.value(d, {}, module) for key, d in defaults.items()}
            every = [*names, *(a.arg for a in found.args.kwonlyargs)]
            env |= dict(zip(names, places, strict=False)) | {key: value for key, value in given.items() if key in every}
            for key in every:
                if key == "vllm_config" or (self.engine == "sglang" and not self.running and key == "config"):
                    env[key] = ENGINE if key == "vllm_config" else CONFIG
            self.running.append(id(found))
            rows = self.block(found.body, env, line, at)
            self.running.pop()
            own.update({key: value for key, value in env.items() if key.startswith("self.")})
            return rows
        return {}

    def block(self, body: list[ast.stmt], env: Env, line: list[ast.ClassDef], at: int) -> Rows:
        rows: Rows = {}
        for place, node in enumerate(body):
            if isinstance(node, ast.Assert):
                rows |= self.wanted(node.test, env, line[at], node, holds=True)
            elif isinstance(node, ast.If):
                if any(isinstance(each, ast.Raise) for each in node.body):
                    rows |= self.wanted(node.test, env, line[at], node, holds=False)
                    rows |= self.block(node.orelse, env, line, at)
                    continue
                leaves = isinstance(node.body[-1], ast.Return)
                module = self.known.home[id(line[at])]
                conditions = [self.condition(node.test, env, module, holds=holds) for holds in (True, False)]
                one = self.block(node.body, dict(env) if leaves else env, line, at)
                other = self.block(node.orelse + (body[place + 1 :] if leaves else []), env, line, at)
                rows |= {
                    row: site
                    for row, site in (one | other).items()
                    if row in ("tp", "rope") or (asked(row, one) and asked(row, other))
                }
                for condition, side in zip(conditions, (one, other), strict=True):
                    if condition:
                        rows |= {
                            f"{row} if {condition}": site for row, site in side.items() if row not in rows and " if " not in row
                        }
                if leaves:
                    return rows
            elif isinstance(node, ast.For | ast.With | ast.Try | ast.While | ast.FunctionDef):
                rows |= self.block(node.body, env, line, at)
            else:
                rows |= self.calls(node, env, line, at)
                if isinstance(node, ast.Assign | ast.AnnAssign):
                    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                        name = target.id if isinstance(target, ast.Name) else ""
                        if isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self":
                            name = f"self.{target.attr}"
                        if isinstance(target, ast.Subscript):
                            # What a class changes is no more what the config states.
                            env[ast.unparse(target.value)] = None
                        if name:
                            env[name] = self.value(node.value, env, self.known.home[id(line[at])])
        return rows

    def calls(self, node: ast.AST, env: Env, line: list[ast.ClassDef], at: int) -> Rows:
        rows, module = Rows(), self.known.home[id(line[at])]
        for each in ast.iter_child_nodes(node):
            if not isinstance(each, ast.IfExp):
                rows |= self.calls(each, env, line, at)
        if not isinstance(node, ast.Call):
            return rows
        places = [self.value(each, env, module) for each in node.args]
        given = {word.arg: self.value(word.value, env, module) for word in node.keywords if word.arg}
        name = getattr(node.func, "id", "")
        if name == "get_rope":
            stated = any(value in (("key", "rope_parameters"), ("key", "rope_scaling")) for value in (*places, *given.values()))
            return rows | self.row("rope", line[at], node) if stated else rows
        if name in self.acts:
            if self.acts[name] and places and places[0] and places[0][0] == "key":
                rows |= self.row(f"{places[0][1]}: {name}", line[at], node)
            return rows
        if isinstance(node.func, ast.Attribute):
            base = node.func.value
            if isinstance(base, ast.Call) and getattr(base.func, "id", "") == "super":
                return rows | self.method(line, at + 1, node.func.attr, given, places, env)
            if getattr(base, "id", "") == "self" and f"self.{node.func.attr}" not in env:
                return rows | self.method(line, 0, node.func.attr, given, places, env)
        means = self.value(node.func, env, module)
        if means is not None and means[0] == "class":
            rows |= self.build(means[1], given, places)
        return rows

    def wanted(self, test: ast.expr, env: Env, cls: ast.ClassDef, node: ast.stmt, *, holds: bool) -> Rows:
        """What a condition asks, which has to hold, or has not to."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self.wanted(test.operand, env, cls, node, holds=not holds)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And if holds else ast.Or):
            rows: Rows = {}
            for each in test.values:
                rows |= self.wanted(each, env, cls, node, holds=holds)
            return rows
        module = self.known.home[id(cls)]
        if isinstance(test, ast.Compare) and len(test.ops) > 1 and holds and all(isinstance(op, ast.Eq) for op in test.ops):
            chained: Rows = {}
            for left in (test.left, *test.comparators[:-1]):
                one = ast.Compare(left, [ast.Eq()], [test.comparators[-1]])
                chained |= self.wanted(one, env, cls, node, holds=True)
            return chained
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right, op = test.left, test.comparators[0], test.ops[0]
            ranks, experts = ast.unparse(left).removeprefix("self."), ast.unparse(right)
            if not holds and isinstance(op, ast.Gt) and ranks == "tp_size" and "experts" in experts:
                return self.row("tp", cls, node)
            found = self.value(left, env, module)
            same = isinstance(op, (ast.Eq, ast.In) if holds else (ast.NotEq, ast.NotIn))
            values = texts(right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else [right])
            if found and found[0] == "key" and same and values:
                return self.row(f"{found[1]}: {'|'.join(values)}", cls, node)
            return {}
        found = self.value(test, env, module)
        return self.row(f"{found[1]}: {'true' if holds else 'false'}", cls, node) if found and found[0] == "key" else {}

    def condition(self, test: ast.expr, env: Env, module: str, *, holds: bool) -> str:
        """What one key has to be for a branch to be taken; empty where more is asked, or something else."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self.condition(test.operand, env, module, holds=not holds)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And if holds else ast.Or):
            parts = [part for part in test.values if getattr(getattr(part, "func", None), "id", "") != "hasattr"]
            each = [self.condition(part, env, module, holds=holds) for part in parts]
            return each[-1] if each and all(each) and len({words.split()[0] for words in each}) == 1 else ""
        # A value by itself is asked to be true.
        left, op, right = test, ast.Gt(), ast.Constant(0)
        if isinstance(test, ast.Compare):
            left, op, right = test.left, test.ops[0], test.comparators[0]
        found = self.value(left, env, module)
        if not found or found[0] != "key":
            return ""
        words = "|".join(texts(right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else [right]))
        if words and isinstance(op, ast.Eq | ast.In | ast.NotEq | ast.NotIn):
            return f"{found[1]} {'=' if isinstance(op, ast.Eq | ast.In) is holds else '!='} {words}"
        number = getattr(right, "value", "")
        if number == 0 and isinstance(op, ast.Gt if holds else ast.LtE):
            return f"{found[1]} > 0"
        return f"{found[1]} stated" if number is None and isinstance(op, ast.IsNot if holds else ast.Is) else ""

    def row(self, text: str, cls: ast.ClassDef, node: ast.AST) -> Rows:
        return {text: f"{self.known.home[id(cls)].replace('.', '/')}.py:{getattr(node, 'lineno', 0)}"}


def main(engine: str, folder: Path) -> None:
    releases = sorted((path.name for path in folder.iterdir()), key=numbers)
    lists, ropes, sites = dict[str, set[str]](), dict[str, set[str]](), dict[str, str]()
    functions: dict[str, dict[str, set[str]]] = {}
    for release in releases:
        reader = Reader(folder / release / engine, engine)
        found = {f"{name} {row}": site for name, rows in reader.asks().items() for row, site in rows.items()}
        lists[release], ropes[release] = set(found), reader.ropes()
        for function, names in reader.acts.items():
            functions.setdefault(function, {})[release] = set(names.split("|")) if names else set()
        sites |= found
    classes: dict[str, dict[str, list[str]]] = {}
    for key, span in spans(releases, lists).items():
        name, _, row = key.partition(" ")
        classes.setdefault(name, {})[row] = [span, sites[key]]
    made = {
        "source": f"{engine}, {MODELS[engine]}, and layers/activation.py and layers/rotary_embedding (`get_rope`)",
        "releases": releases,
        "ropes": spans(releases, ropes),
        "functions": {name: spans(releases, known) for name, known in functions.items()},
        "classes": classes,
    }
    text = json.dumps(made, indent=0, ensure_ascii=False)
    path = ROOT / engine / "asks.json"
    path.write_text(re.sub(r'\[\n("[^"]*"),\n("[^"]*")\n\]', r"[\1, \2]", text) + "\n", encoding="utf-8")
    print(f"{path}: {len(classes)} classes of {len(releases)} releases, {sum(map(len, classes.values()))} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
