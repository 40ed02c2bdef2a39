"""Which values a release takes for its flags, as its own sources refuse others at the start; for scripts/build_flags.py.

Read are argparse's `choices`, `Literal` annotations that become them, bounds of pydantic's `Field`, comparisons that a configuration's
validator raises for, and in C++ the handlers that throw. A set that the release leaves open (a union with `str`, a name that is computed, a
parser that a plugin adds to) is not written down. Keys of a flag's JSON object stand behind a dot.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Taken(NamedTuple):
    """What one release takes: `choices`, or `bounds` such as `>=0`. `folds`: capitals do not matter. `beside`: the flag without which the
    value is not looked at. `parts`: several choices stand between commas. `open`: a plugin may bring others."""

    choices: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    folds: bool = False
    beside: str = ""
    parts: bool = False
    open: bool = False

    @property
    def kind(self) -> str:
        kinds = {"bounds": bool(self.bounds), "open": self.open, "folded": self.folds, "parts": self.parts}
        return next((name for name, has in kinds.items() if has), "choices")


_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
# A configuration that is made only where another flag is given. That of images is made of a model that takes them, and passed over.
_BESIDE = {"LoRAConfig": "--enable-lora"}
_ALWAYS = frozenset(
    "ModelConfig CacheConfig ParallelConfig SchedulerConfig LoadConfig VllmConfig ObservabilityConfig UVAOffloadConfig"
    " PrefetchOffloadConfig OffloadConfig DeviceConfig LoRAConfig ServerArgs".split()
)
# vLLM: a path to a class of one's own is taken too.
_OPEN = frozenset({"--distributed-executor-backend", "--worker-cls", "--scheduler-cls", "--device"})
# vLLM's own names where plugins register others (model_loader/__init__.py `register_model_loader`, tokenizers/registry.py).
_PLUGGED = {"--load-format": ("LoadFormats", "LoadFormat"), "--tokenizer-mode": ("TokenizerMode",)}
_PARSERS = (
    ("--tool-call-parser", "_TOOL_PARSERS_TO_REGISTER", "--enable-auto-tool-choice"),
    ("--reasoning-parser", "_REASONING_PARSERS_TO_REGISTER", ""),
)
_CHECKS = r"check_server_args|check_lora_server_args|_?handle_"
_INVERSE = {ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<"}
_DIRECT = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


class _Class(NamedTuple):
    fields: dict[str, tuple[ast.expr, ast.expr | None]]
    bases: tuple[str, ...]
    node: ast.ClassDef


class Source:
    """The syntax trees of a release: what its names stand for."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.trees: list[ast.Module] = []
        self.names: dict[str, ast.expr] = {}
        self.local: dict[str, ast.expr | None] = {}
        self.classes: dict[str, _Class] = {}
        for path in files:
            try:
                tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
            except (SyntaxError, OSError):
                continue
            self.trees.append(tree)
            for node in tree.body if not isinstance(tree, ast.ClassDef) else []:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    self.names.setdefault(node.targets[0].id, node.value)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                    self.names.setdefault(node.target.id, node.value)
            for found in ast.walk(tree):
                if isinstance(found, ast.FunctionDef):
                    self._locals(found)
                if isinstance(found, ast.ClassDef):
                    fields: dict[str, tuple[ast.expr, ast.expr | None]] = {}
                    for item in found.body:
                        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                            fields.setdefault(item.target.id, (item.annotation, item.value))
                    bases = tuple(ast.unparse(b).rpartition(".")[2] for b in found.bases)
                    self.classes.setdefault(found.name, _Class(fields, bases, found))

    def _locals(self, function: ast.FunctionDef) -> None:
        """Names that a function gives one value, with what `.add` puts to it; None for one that has several."""
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                self.local[name] = None if name in self.local else node.value
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add"), args=[ast.Constant() as more]):
                    if (held := self.local.get(name)) is not None:
                        self.local[name] = ast.BinOp(held, ast.BitOr(), ast.Set([more]))

    def enum(self, name: str) -> tuple[str, ...]:
        """The names of an enumeration's members; none where it is no enumeration."""
        made = self.classes.get(name)
        if made is None or not any(base.endswith("Enum") for base in made.bases):
            return ()
        return tuple(
            item.targets[0].id
            for item in made.node.body
            if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and not item.targets[0].id.startswith("_")
        )

    def listed(self, node: ast.expr | None, depth: int = 0) -> tuple[str, ...] | None:
        """The texts of a list of choices; None where it is not written out."""
        if node is None or depth > 8:
            return None
        if isinstance(node, ast.Constant):
            return (str(node.value),) if node.value is None or isinstance(node.value, (str, int, float)) else None
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            parts = [self.listed(e.value if isinstance(e, ast.Starred) else e, depth + 1) for e in node.elts]
            return None if any(p is None for p in parts) else tuple(t for p in parts for t in p or ())
        if isinstance(node, ast.Dict):
            return None if None in node.keys else self.listed(ast.Tuple([k for k in node.keys if k], ast.Load()), depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.BitOr)):
            both = self.listed(node.left, depth + 1), self.listed(node.right, depth + 1)
            return None if None in both else tuple(t for p in both for t in p or ())
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "Literal":
            return self.listed(node.slice, depth + 1)
        if isinstance(node, ast.Name):
            return self.listed(self.names.get(node.id) or self.local.get(node.id), depth + 1)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("get_args", "list", "sorted", "tuple", "set", "frozenset") and len(node.args) == 1:
                return self.listed(node.args[0], depth + 1)
            if called == "keys" and isinstance(node.func, ast.Attribute):
                return self.listed(node.func.value, depth + 1)
        return None

    def literal(self, annotation: ast.expr) -> tuple[str, ...] | None:
        """The values of an annotation that takes no others as text (argparse's choices beside a class, none beside `str`); None where it
        takes more."""
        found: list[str] = []
        for part in self._union(annotation):
            if isinstance(part, ast.Subscript) and ast.unparse(part.value).rpartition(".")[2] == "Literal":
                made = self.listed(part)
                if made is None:
                    return None
                found += made
            elif isinstance(part, ast.Name) and part.id in ("str", "int", "float", "bool"):
                return None
        return tuple(found) or None

    def _union(self, node: ast.expr, depth: int = 0) -> Iterator[ast.expr]:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                yield node
                return
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            yield from self._union(node.left, depth)
            yield from self._union(node.right, depth)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in (
            "Optional",
            "Union",
            "SkipValidation",
            "Annotated",
            "A",
        ):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for part in inner[:1] if ast.unparse(node.value) in ("Annotated", "A") else inner:
                yield from self._union(part, depth)
        elif isinstance(node, ast.Name) and node.id in self.names and node.id not in self.classes and depth < 4:
            value = self.names[node.id]
            if isinstance(value, (ast.Subscript, ast.BinOp)):
                yield from self._union(value, depth + 1)
            else:
                yield node
        else:
            yield node

    def before(self, of: _Class, name: str) -> ast.FunctionDef | None:
        """What turns a field's value into another before it is looked at."""
        for item in of.node.body:
            if not isinstance(item, ast.FunctionDef) or item.name == "_skip_none_validation":
                continue
            for decorator in item.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("field_validator"):
                    modes = [ast.unparse(k.value).strip("'\"") for k in decorator.keywords if k.arg == "mode"]
                    named = [getattr(a, "value", None) for a in decorator.args]
                    if modes and modes[0] in ("before", "wrap", "plain") and (name in named or "*" in named):
                        return item
        return None

    def closed(self, name: str) -> bool:
        """Whether a configuration takes no other keys than its own: config/utils.py `config` forbids them."""
        made = self.classes[name]
        if made.bases or not any(ast.unparse(d).startswith("config") for d in made.node.decorator_list):
            return False
        forbids = any(
            "ConfigDict(extra='forbid')" in ast.unparse(f) for t in self.trees for f in t.body if getattr(f, "name", "") == "config"
        )
        return (
            forbids
            and "mode='before'"
            not in "".join(
                ast.unparse(d)
                for f in made.node.body
                if isinstance(f, ast.FunctionDef)
                for d in f.decorator_list
                if "model_validator" in ast.unparse(d)
            )
            and not any(isinstance(f, ast.FunctionDef) and f.name in ("__init__", "__new__") for f in made.node.body)
        )

    def field(self, owner: str, name: str) -> Taken | None:
        """What a configuration's field takes."""
        of = self.classes.get(owner)
        if of is None or name not in of.fields:
            return None
        annotation, default = of.fields[name]
        before = self.before(of, name)
        for part in self._union(annotation):
            members = self.enum(part.id) if isinstance(part, ast.Name) else ()
            if not members:
                continue
            if before is not None and f"{part.id}[" in ast.unparse(before) and ".upper()" in ast.unparse(before):  # type: ignore[attr-defined]
                beside = re.findall(r"==\s*'(\w+)'", ast.unparse(before))
                return Taken((*members, *beside), folds=True)
            if before is None and "IntEnum" in self.classes[part.id].bases and len([*self._union(annotation)]) == 1:  # type: ignore[attr-defined]
                values = [
                    i.value.value
                    for i in self.classes[part.id].node.body
                    if isinstance(i, ast.Assign) and isinstance(i.value, ast.Constant)
                ]  # type: ignore[attr-defined]
                return Taken(tuple(map(str, values)))
            return None
        if before is not None:
            return None
        if (choices := self.literal(annotation)) is not None:
            return Taken(choices)
        # A validator that runs over the whole sees what others have put in already, such as a length that was left to the engine.
        bounds = [*self._bounds(annotation, default)] or [*self._raised(of, name)]
        return Taken(bounds=tuple(dict.fromkeys(bounds))) if bounds else None

    def _bounds(self, annotation: ast.expr, default: ast.expr | None) -> Iterator[str]:
        calls = [n for n in (*ast.walk(annotation), default) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("Field")]
        for call in calls:
            for keyword in call.keywords:
                if keyword.arg in _BOUNDS:
                    try:
                        yield f"{_BOUNDS[keyword.arg]}{ast.literal_eval(keyword.value):g}"
                    except (ValueError, TypeError):
                        continue

    def _raised(self, of: _Class, name: str) -> Iterator[str]:
        """Comparisons with a number that a validator of the whole configuration raises for, whatever else is set."""
        for item in of.node.body:
            if not isinstance(item, ast.FunctionDef):
                continue
            whole = any("model_validator" in ast.unparse(d) for d in item.decorator_list)
            if whole or item.name in ("__post_init__", "_verify_args", "check_server_args"):
                yield from raised(certain(item.body), f"self.{name}")


def raised(body: Iterable[ast.stmt], place: str) -> Iterator[str]:
    """Bounds of a value by `if place < 1: raise` and `assert place >= 1`, which stand alone in a function's body."""
    for statement in body:
        if isinstance(statement, ast.If) and statement.body and isinstance(statement.body[0], ast.Raise) and not statement.orelse:
            yield from _compared(statement.test, place, refused=True)
        elif isinstance(statement, ast.Assert):
            yield from _compared(statement.test, place, refused=False)


def certain(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """The checks of a function's body that no earlier return can pass by."""
    found: list[ast.stmt] = []
    for statement in body:
        if any(isinstance(inner, ast.Return) for inner in ast.walk(statement)):
            break
        if isinstance(statement, ast.Assert) or (isinstance(statement, ast.If) and isinstance(statement.body[0], ast.Raise)):
            found.append(statement)
    return found


def _compared(test: ast.expr, place: str, *, refused: bool) -> Iterator[str]:
    if isinstance(test, ast.BoolOp):
        # `x is not None and x < 1` is refused as `x < 1` is, and `x is None or x >= 1` taken as `x >= 1` is.
        parts = [p for p in test.values if ast.unparse(p) not in (f"{place} is not None", f"{place} is None")]
        fitting = isinstance(test.op, ast.And) if refused else isinstance(test.op, ast.Or)
        if (len(parts) == 1 and fitting and len(parts) < len(test.values)) or (refused and isinstance(test.op, ast.Or)):
            for part in parts:
                yield from _compared(part, place, refused=refused)
        return
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _compared(test.operand, place, refused=not refused)
        return
    if not isinstance(test, ast.Compare):
        return
    sides = [test.left, *test.comparators]
    if len(sides) == 3 and refused:
        return
    for left, operator, right in zip(sides, test.ops, sides[1:], strict=False):
        for one, other, mirrored in ((left, right, False), (right, left, True)):
            try:
                limit = ast.literal_eval(other)
            except ValueError:
                continue
            kind = type(operator)
            if ast.unparse(one) != place or isinstance(limit, bool) or not isinstance(limit, (int, float)) or kind not in _DIRECT:
                continue
            if mirrored:
                kind = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}[kind]
            yield f"{(_INVERSE if refused else _DIRECT)[kind]}{limit:g}"


def classes_of_variables(tree: ast.AST) -> dict[str, str]:
    """The class whose fields a variable holds: `NAME = get_kwargs(CLASS)`."""
    return {
        node.targets[0].id: node.value.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "get_kwargs"
        and node.value.args
        and isinstance(node.value.args[0], ast.Name)
    }


def of_python(files: Iterable[Path], engine: str) -> dict[str, Taken]:
    """The values that a release's flags take, by full name."""
    source = Source(files)
    found: dict[str, Taken] = {}
    # SGLang's checks that run whatever is asked for, as far as they go on in any case.
    functions = (n for t in source.trees for n in ast.walk(t) if isinstance(n, ast.FunctionDef) and re.match(_CHECKS, n.name))
    asserted = [check for function in functions for check in certain(function.body)] if engine == "sglang" else []
    for tree in source.trees:
        of_variable = classes_of_variables(tree)
        # `kwargs["name"]["choices"] += …`: what is written out is not all.
        altered = {
            ast.unparse(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and node.slice.value in ("choices", "type")
            and isinstance(node.value, ast.Subscript)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                for name, taken in _of_argument(node, of_variable, altered, source):
                    found.setdefault(name, taken)
            elif isinstance(node, ast.ClassDef) and engine == "sglang":
                for name, (annotation, default) in source.classes[node.name].fields.items():
                    for flag, taken in _of_annotated(name, annotation, default, source):
                        found.setdefault(flag, taken)
    if engine == "vllm":
        # `validate_api_server_args`: parsers that come with it, where no plugin is named.
        for flag, registry, beside in _PARSERS:
            if (names := source.listed(source.names.get(registry))) and flag not in found:
                found[flag] = Taken(names, beside=beside)
        for flag, names in _PLUGGED.items():
            if flag in found and flag != "--load-format":
                continue
            found.pop(flag, None)
            for name in names:
                if made := source.listed(source.names.get(name)):
                    found[flag] = Taken(made, open=True)
                    break
    if engine == "sglang":
        # srt/speculative/spec_info.py `SpeculativeAlgorithm.from_string`, where the flag itself lists none.
        reserved = [value for name, value in source.names.items() if name.startswith("_RESERVED")]
        algorithms = [*source.enum("SpeculativeAlgorithm"), *(name for value in reserved for name in source.listed(value) or ())]
        if reserved and "--speculative-algorithm" not in found:
            found["--speculative-algorithm"] = Taken(tuple(algorithms), folds=True)
        for flag in [f for f in _flags_of(source) if f not in found]:
            name = flag[2:].replace("-", "_")
            places = [*(f"{who}.{name}" for who in ("self", "cfg", "server_args")), f"resolution_result(server_args, '{name}')"]
            bounds = [bound for place in places for bound in raised(asserted, place)]
            if bounds:
                found[flag] = Taken(bounds=tuple(dict.fromkeys(bounds)))
    return {
        name: _plain(taken)
        for name, taken in found.items()
        if (engine != "vllm" or name not in _OPEN) and (taken.choices or taken.bounds)
    }


def _plain(taken: Taken) -> Taken:
    """Without what means that a value is left out, which the command line cannot write."""
    return taken._replace(choices=tuple(sorted({c for c in taken.choices if c and c != "None" and not re.search(r"[\s:]", c)})))


def _flags_of(source: Source) -> Iterator[str]:
    for tree in source.trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                yield from (n for n in names[:1] if n.startswith("--"))
    for made in source.classes.values():
        for name, (annotation, _) in made.fields.items():
            if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "A":
                yield "--" + name.replace("_", "-")


def _of_argument(call: ast.Call, of_variable: dict[str, str], altered: set[str], source: Source) -> Iterator[tuple[str, Taken]]:
    names = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str) and a.value.startswith("-")]
    names.sort(key=lambda n: not n.startswith("--"))
    if not names:
        return
    words = {k.arg: k.value for k in call.keywords if k.arg}
    if "action" in words and "AliasStore" not in ast.unparse(words["action"]):
        return
    if "choices" in words:
        choices = source.listed(words["choices"])
        if choices:
            yield names[0], Taken(choices)
        return
    for keyword in call.keywords:
        if keyword.arg is not None:
            continue
        for value in ast.walk(keyword.value):
            if not (
                isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and isinstance(value.slice, ast.Constant)
            ):
                continue
            owner, name = of_variable.get(value.value.id, ""), str(value.slice.value)
            taken = source.field(owner, name) if ast.unparse(value) not in altered else None
            if taken is not None and owner != "MultiModalConfig" and (taken.choices or owner in _ALWAYS):
                yield names[0], taken._replace(beside="" if taken.choices else _BESIDE.get(owner, ""))
            yield from _of_json(names[0], owner, name, source)


def _of_json(flag: str, owner: str, name: str, source: Source) -> Iterator[tuple[str, Taken]]:
    """The keys of an object that a flag takes."""
    of = source.classes.get(owner)
    if of is None or name not in of.fields:
        return
    inner = [p.id for p in source._union(of.fields[name][0]) if isinstance(p, ast.Name) and p.id in source.classes]
    if flag == "--speculative-config" and "SpeculativeConfig" in source.classes:
        inner = ["SpeculativeConfig"]
    for made in inner:
        if source.enum(made) or source.before(of, name):
            continue
        if source.closed(made):
            yield f"{flag}.*", Taken(tuple(key for key in source.classes[made].fields if not key.startswith("_")))
        for key in source.classes[made].fields:
            if not key.startswith("_") and (taken := source.field(made, key)) is not None:
                yield f"{flag}.{key}", taken


def _of_annotated(name: str, annotation: ast.expr, default: ast.expr | None, source: Source) -> Iterator[tuple[str, Taken]]:
    """SGLang's `name: A[type, Arg(...)]` (srt/arg_groups/arg_utils.py `add_cli_args_from_dataclass`)."""
    if not (
        isinstance(annotation, ast.Subscript)
        and getattr(annotation.value, "id", "") == "A"
        and isinstance(annotation.slice, ast.Tuple)
    ):
        return
    flag = "--" + name.replace("_", "-")
    choices: tuple[str, ...] | None = None
    for extra in annotation.slice.elts[1:]:
        if not isinstance(extra, ast.Call) or getattr(extra.func, "id", "") != "Arg":
            continue
        words = {k.arg: k.value for k in extra.keywords if k.arg}
        if getattr(words.get("no_cli"), "value", False) is True or "action" in words:
            return
        if isinstance(words.get("cli_name"), ast.Constant):
            flag = str(words["cli_name"].value)  # type: ignore[attr-defined]
        if "choices" in words:
            choices = source.listed(words["choices"])
            if choices is None:
                return
        elif "type_parser" in words:
            return
    if choices is None:
        choices = source.literal(annotation.slice.elts[0])
    if choices:
        yield flag, Taken(choices)


# C++: llama.cpp's common/arg.cpp

_WORDS = {"is_truthy": "on enabled true 1", "is_falsey": "off disabled false 0", "is_autoy": "auto -1"}
_KINDS = re.compile(r"kv_cache_types\s*=\s*\{([^}]*)\}")
_TYPES = re.compile(r"common_speculative_type_from_name_map\s*=\s*\{(.*?)\};", re.DOTALL)
_NUMBERS = {"GGML_SCHED_PRIO_LOW": "-1", "GGML_SCHED_PRIO_REALTIME": "3"}
_THROWN = re.compile(r"if\s*\(([^(){}]*)\)\s*\{\s*throw")


def of_cpp(text: str, calls: Iterable[tuple[str, str, int, int]]) -> dict[str, Taken]:
    """The values that handlers of `common_arg` take. `calls`: full name, the handler's parameters, where its body starts and ends."""
    kinds, types = _KINDS.search(text), _TYPES.search(text)
    cache = tuple(name.lower() for name in re.findall(r"GGML_TYPE_(\w+)", kinds[1])) if kinds else ()
    found: dict[str, Taken] = {}
    for name, parameters, start, end in calls:
        body = text[start:end]
        variable = parameters.split()[-1].strip("&*") if parameters.split() else ""
        if not variable or "," not in parameters:
            continue
        if types and "common_speculative_types_from_names(" in body:
            found[name] = Taken(tuple(re.findall(r'\{"([^"]+)"', types[1])), parts=True)
        elif cache and "kv_cache_type_from_str(" in body:
            found[name] = Taken(cache)
        elif re.search(r",\s*int\b", parameters):
            bounds = tuple(_limits(body, variable))
            if bounds:
                found[name] = Taken(bounds=bounds)
        elif re.search(r"\}?\s*else\s*\{\s*throw", body):
            choices = re.findall(rf'\b{re.escape(variable)}\s*==\s*"([^"]*)"', body)
            choices += [
                w for call, words in _WORDS.items() if re.search(rf"\b{call}\({re.escape(variable)}\)", body) for w in words.split()
            ]
            if choices and "std::stoi" not in body and "string_split" not in body:
                found[name] = _plain(Taken(tuple(choices)))
    return found


def _limits(body: str, variable: str) -> Iterator[str]:
    inverse = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!="}
    for condition in _THROWN.findall(body):
        parts = [re.fullmatch(rf"{re.escape(variable)}\s*(<=|>=|==|<|>)\s*(-?\d+|\w+)", p.strip()) for p in condition.split("||")]
        limits = [(m[1], _NUMBERS.get(m[2], m[2])) for m in parts if m]
        if limits and len(limits) == len(parts) and all(re.fullmatch(r"-?\d+", n) for _, n in limits):
            yield from (f"{inverse[sign]}{number}" for sign, number in limits)


# By release


def table(engine: str, found: list[tuple[str, dict[str, Taken]]]) -> str:
    """A line for each span of releases in which a flag takes bounded or listed values; a choice that the whole span does not have says
    since when and until when it is there, behind colons."""
    releases = [release for release, _ in found]
    lines = [
        f"# Values that {engine} takes for its flags by release, made by scripts/build_flags.py: flag, since, until, the flag"
        " it takes effect beside, kind, values (of a list each may name its own since and until, behind colons).",
        f"# Releases read: {' '.join(releases)}",
    ]
    for name in sorted({name for _, flags in found for name in flags}):
        start = 0
        while start < len(found):
            first = found[start][1].get(name)
            if first is None:
                start += 1
                continue
            end = start
            while end < len(found) and _alike(first, found[end][1].get(name)):
                end += 1
            since, until = releases[start] if start else "", releases[end] if end < len(found) else ""
            if first.bounds:
                values = " ".join(first.bounds)
            else:
                values = " ".join(_spans([(releases[i], found[i][1][name].choices) for i in range(start, end)], until))
            lines.append("\t".join([name, since, until, first.beside, first.kind, values]))
            start = end
    return "\n".join(lines) + "\n"


def _alike(one: Taken, other: Taken | None) -> bool:
    return other is not None and (one.beside, one.kind, one.bounds) == (other.beside, other.kind, other.bounds)


def _spans(found: list[tuple[str, tuple[str, ...]]], until: str) -> Iterator[str]:
    names = list(dict.fromkeys(value for _, values in found for value in values))
    for value in names:
        start: int | None = None
        for at, (_, values) in enumerate([*found, ("", ())]):
            if value in values and start is None:
                start = at
            elif value not in values and start is not None:
                ends = at < len(found)
                said = "" if not start else found[start][0]
                yield f"{value}:{said}:{found[at][0]}" if ends else (f"{value}:{said}" if said else value)
                start = None
