"""The flags of every release of an engine, as read in its sources, into `src/archcalc/commands/tables/`.

    python scripts/build_flags.py --engine vllm FOLDER          # FOLDER holds one folder a release: FOLDER/0.33.0/vllm/engine/arg_utils.py
    python scripts/build_flags.py --engine vllm FOLDER --diff 0.32.0 0.33.0

FOLDER/RELEASE is what a release's archive holds, unpacked: of vLLM, SGLang and mlx-lm their packages (of vLLM what is in it will do too),
of llama.cpp its repository. Nothing is imported or run: Python is read as a syntax tree, C++ by the form of its `common_arg(...)` calls.
A line of a table is a flag in a span of
releases: flag, other spellings, kind of value, default (empty where it is computed), the first release that has it, and the first that
has it no longer. `--diff` lists what appeared or went between two releases, for the tables of what each flag does.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import flag_values

TABLES = Path(__file__).parent.parent / "src" / "archcalc" / "commands" / "tables"


class Flag(NamedTuple):
    """One flag of one release. `kind`: none, switch (has a --no- form), int, size, float, str, json, list, optional, two."""

    name: str
    others: tuple[str, ...]
    kind: str
    default: str


# Python: argparse, and the dataclasses that arguments are made of


_INT, _FLOAT, _JSON = ("int", "positive_int"), ("float",), ("json.loads", "json_list_type", "loads")
_SIZES = frozenset(
    "max_num_batched_tokens max_num_scheduled_tokens kv_cache_memory_bytes safetensors_prefetch_block_size max_num_queued_tokens"
    " max_model_len".split()
)


class Field(NamedTuple):
    annotation: ast.expr
    default: ast.expr | None


def python(folder: Path, files: list[Path], *, bool_switches: bool) -> dict[str, Flag]:
    """Flags of all `add_argument` calls, and of dataclasses whose fields become arguments by a loop."""
    classes: dict[str, dict[str, Field]] = {}
    trees = []
    for path in files:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except SyntaxError:
            continue
        trees.append((path, tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                fields = classes.setdefault(node.name, {})
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        fields.setdefault(item.target.id, Field(item.annotation, item.value))
    types = {name for name in classes if classes[name]}
    found: dict[str, Flag] = {}
    for _, tree in trees:
        of_variable = flag_values.classes_of_variables(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                made = _argument(node, of_variable, classes, types, bool_switches)
                if made:
                    found.setdefault(made.name, made)
            elif isinstance(node, ast.ClassDef) and re.fullmatch(r"(Base)?FrontendArgs", node.name) and bool_switches:
                for name, field in classes[node.name].items():
                    made = Flag(_dashed(name), (), _field_kind(name, field, types, bool_switches), _default(field.default))
                    found.setdefault(made.name, made)
            elif isinstance(node, ast.ClassDef):
                for name, field in classes[node.name].items():
                    made_of = _annotated(name, field, types)
                    if made_of:
                        found.setdefault(made_of.name, made_of)
    return found


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _argument(
    call: ast.Call, of_variable: dict[str, str], classes: dict[str, dict[str, Field]], types: set[str], switches: bool
) -> Flag | None:
    names = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    names = [n for n in names if n.startswith("-")]
    if not names:
        return None
    names.sort(key=lambda n: not n.startswith("--"))
    kind, default = "str", ""
    for keyword in call.keywords:
        if keyword.arg is not None:
            continue
        for value in ast.walk(keyword.value):
            if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and isinstance(value.slice, ast.Constant):
                fields = classes.get(of_variable.get(value.value.id, ""), {})
                field = fields.get(str(value.slice.value))
                if field is not None:
                    kind, default = _field_kind(str(value.slice.value), field, types, switches), _default(field.default)
    words = {k.arg: k.value for k in call.keywords if k.arg}
    text = {k: ast.unparse(v) for k, v in words.items()}
    if "default" in words:
        default = _default(words["default"])
    action, kind_of, nargs = text.get("action", ""), text.get("type", ""), text.get("nargs", "").strip("'\"")
    # A deprecated alias takes what the flag in its place takes; other deprecated switches take nothing.
    alias = "AliasStore" in action
    if re.search(r"store_(true|false|const)|count|Deprecated\w*Store(True|Const)", action):
        kind = "none"
    elif "BooleanOptionalAction" in action:
        kind = "switch"
    elif "StoreBoolean" in action or (kind == "str" and "Deprecated" in action and not alias) or nargs == "?":
        kind = "optional"
    elif nargs in ("+", "*"):
        kind = "list"
    elif kind_of:
        if kind_of in _INT or "int" in re.findall(r"\w+", kind_of.replace("nullable_kvs", "")):
            kind = "int"
        elif "human_readable_int" in kind_of:
            kind = "size"
        elif kind_of in _FLOAT or "float" in re.findall(r"\w+", kind_of):
            kind = "float"
        elif kind_of in _JSON or "json" in kind_of:
            kind = "json"
        elif kind == "str":
            kind = "str"
    if names[0].lstrip("-").replace("-", "_") in _SIZES and kind == "int":
        kind = "size"
    return Flag(names[0], tuple(names[1:]), kind, default)


def _field_kind(name: str, field: Field, types: set[str], switches: bool) -> str:
    annotation = field.annotation
    while isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") in ("Annotated", "A", "SkipValidation"):
        annotation = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else annotation.slice
    text = ast.unparse(annotation)
    parts = {p.strip() for p in re.sub(r"^Optional\[(.*)\]$", r"\1", text).replace("'", "").split("|")}
    if parts - {"None"} == {"bool", "str"}:
        return "optional"
    if "bool" in parts:
        return "switch" if switches else "none"
    if parts & types and not any(p.startswith(("Literal", "str", "int")) for p in parts):
        return "json"
    if any(p.startswith(("list", "List", "tuple", "Tuple", "set", "Set")) for p in parts):
        return "list"
    if any(p.startswith(("dict", "Dict")) for p in parts) or any("Dict[" in p for p in parts):
        return "json"
    if "int" in parts or re.match(r"Literal\[\d", text):
        return "size" if name in _SIZES else "int"
    if "float" in parts:
        return "float"
    return "str"


def _annotated(name: str, field: Field, types: set[str]) -> Flag | None:
    """SGLang's `name: A[type, "help"]` or `A[type, Arg(...)]` (srt/arg_groups/arg_utils.py `add_cli_args_from_dataclass`)."""
    a = field.annotation
    if not (isinstance(a, ast.Subscript) and getattr(a.value, "id", "") == "A" and isinstance(a.slice, ast.Tuple)):
        return None
    kind = _field_kind(name, field, types, False)
    names = [_dashed(name)]
    for extra in a.slice.elts[1:]:
        if not isinstance(extra, ast.Call) or getattr(extra.func, "id", "") != "Arg":
            continue
        words = {k.arg: k.value for k in extra.keywords if k.arg}
        if getattr(words.get("no_cli"), "value", False) is True:
            return None
        if isinstance(words.get("cli_name"), ast.Constant):
            names[0] = words["cli_name"].value  # type: ignore[attr-defined]
        if isinstance(words.get("aliases"), ast.List):
            names += [e.value for e in words["aliases"].elts if isinstance(e, ast.Constant)]  # type: ignore[attr-defined]
        nargs = getattr(words.get("nargs"), "value", None)
        if "type_parser" in words:
            parser = ast.unparse(words["type_parser"])
            kind = "json" if "json" in parser else "int" if "int" in parser else kind if kind != "list" else "str"
        if nargs == "?":
            kind = "optional"
        elif nargs in ("+", "*"):
            kind = "list"
        if "action" in words:
            text = ast.unparse(words["action"])
            kind = (
                "switch" if "BooleanOptional" in text else "none" if "store" in text else "list" if "LoRA" in text else "optional"
            )
    return Flag(names[0], tuple(names[1:]), kind, _default(field.default))


def _default(value: ast.expr | None) -> str:
    """The default where it is written out; empty where it is computed or None."""
    if isinstance(value, ast.Call):
        named = {k.arg: k.value for k in value.keywords}
        value = named.get("default") or (value.args[0] if value.args and getattr(value.func, "id", "") == "Field" else None)
    if value is None:
        return ""
    try:
        found = ast.literal_eval(value)
    except ValueError:
        return ""
    if found is None or isinstance(found, (dict, list, tuple, set)):
        return ""
    text = str(found)
    return text if len(text) < 24 and "\t" not in text and "\n" not in text else ""


# C++: llama.cpp's common/arg.cpp


_CALL = re.compile(
    r"common_arg\(\s*\{(?P<args>[^{}]*)\}\s*,\s*(?:\{(?P<no>[^{}]*)\}\s*,)?(?P<rest>.*?)\[\]\((?P<lambda>[^)]*)\)", re.DOTALL
)
_EXAMPLES = re.compile(r"set_examples\(\{([^}]*)\}\)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def cpp(path: Path) -> dict[str, Flag]:
    text = path.read_text(encoding="utf-8", errors="replace")
    found: dict[str, Flag] = {}
    for m in _CALL.finditer(text):
        names = _STRING.findall(m["args"])
        names = [n for n in names if n.startswith("-")]
        if not names:
            continue
        off = tuple(n for n in _STRING.findall(m["no"] or "") if n.startswith("-"))
        handler = m["lambda"]
        if handler.count("std::string") == 2:
            kind = "two"
        elif re.search(r",\s*int\b", handler):
            kind = "int"
        elif re.search(r",\s*bool\b", handler):
            kind = "switch"
        elif "std::string" in handler:
            kind = "str"
        else:
            kind = "none"
        names.sort(key=lambda n: not n.startswith("--"))
        made = Flag(names[0], (*names[1:], *(f"!{n}" for n in off)), kind, "")
        found.setdefault(made.name, made)
    return found


_ENV = re.compile(r'set_env\("([A-Z][A-Z0-9_]+)"\)')


def variables(path: Path) -> str:
    """The environment variables of llama.cpp's flags, each with the flag that it stands for."""
    text = path.read_text(encoding="utf-8", errors="replace")
    starts = [*_CALL.finditer(text)]
    found: dict[str, str] = {}
    for m, end in zip(starts, [*(s.start() for s in starts[1:]), len(text)], strict=True):
        names = sorted((n for n in _STRING.findall(m["args"]) if n.startswith("-")), key=lambda n: not n.startswith("--"))
        named = _ENV.search(text, m.end(), end)
        if named and names:
            found.setdefault(named[1], names[0])
    lines = ["# Environment variables of llama.cpp's flags, made by scripts/build_flags.py: variable, flag."]
    return "\n".join([*lines, *(f"{name}\t{flag}" for name, flag in sorted(found.items()))]) + "\n"


# Releases


def releases(engine: str, folder: Path) -> Iterator[tuple[str, dict[str, Flag]]]:
    for path in sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: _key(p.name)):
        flags = read(engine, path)
        if not flags:
            print(f"{path}: no flags found", file=sys.stderr)
            continue
        yield path.name, flags


def _key(name: str) -> tuple[int, ...]:
    post = re.search(r"post(\d+)", name)
    return (*map(int, re.findall(r"\d+", name.partition(".post")[0])), int(post[1]) if post else 0)


def _inside(engine: str, path: Path) -> Path:
    """Where the files of a release begin."""
    return path / "vllm" if engine == "vllm" and (path / "vllm").is_dir() else path


def read(engine: str, path: Path) -> dict[str, Flag]:
    path = _inside(engine, path)
    if engine == "llama.cpp":
        source = path / "common" / "arg.cpp"
        return cpp(source) if source.exists() else {}
    return python(path, files_of(engine, path), bool_switches=engine == "vllm")


def values(engine: str, path: Path) -> dict[str, flag_values.Taken]:
    """The values that a release takes for its flags."""
    path = _inside(engine, path)
    if engine == "llama.cpp":
        text = (path / "common" / "arg.cpp").read_text(encoding="utf-8", errors="replace")
        starts = [*_CALL.finditer(text)]
        ends = [*(m.start() for m in starts[1:]), len(text)]
        calls = []
        for m, end in zip(starts, ends, strict=True):
            names = sorted((n for n in _STRING.findall(m["args"]) if n.startswith("-")), key=lambda n: not n.startswith("--"))
            calls += [(names[0], m["lambda"], m.end(), end)] if names else []
        kinds = path / "common" / "speculative.cpp"
        beside = kinds.read_text(encoding="utf-8", errors="replace") if kinds.exists() else ""
        return flag_values.of_cpp(text + beside, calls)
    root = path / "sglang" / "srt" if engine == "sglang" else path
    return flag_values.of_python([*files_of(engine, path), *(root / name for name in _NAMED[engine])], engine)


# Where names of choices stand that the flags' own files import.
_NAMED: dict[str, tuple[str, ...]] = {
    "vllm": (
        "v1/attention/backends/registry.py",
        "model_executor/layers/quantization/__init__.py",
        "model_executor/model_loader/__init__.py",
        "reasoning/__init__.py",
        "tool_parsers/__init__.py",
        "entrypoints/openai/tool_parsers/__init__.py",
    ),
    "sglang": ("speculative/spec_info.py", "speculative/spec_registry.py"),
    "mlx": (),
}


def files_of(engine: str, path: Path) -> list[Path]:
    """The files of a release that make its flags."""
    if engine == "vllm":
        inside = path / "entrypoints"
        files = [path / "engine" / "arg_utils.py", *sorted(path.glob("config.py")), *sorted((path / "config").rglob("*.py"))]
        files += [*sorted(inside.rglob("cli_args.py")), inside / "openai" / "api_server.py", inside / "cli" / "serve.py"]
    elif engine == "sglang":
        root = path / "sglang" / "srt"
        files = [root / "server_args.py", *sorted((root / "arg_groups").rglob("*.py"))]
    else:
        files = [path / "mlx_lm" / "server.py"]
    return [f for f in files if f.exists() and "tests" not in f.parts]


def spans(found: list[tuple[str, dict[str, Flag]]]) -> list[tuple[Flag, str, str]]:
    """Each flag with the first release that has it so, and the first that has it no longer (empty: the newest has it)."""
    out: list[tuple[Flag, str, str]] = []
    names = sorted({name for _, flags in found for name in flags})
    for name in names:
        start: tuple[Flag, str] | None = None
        for release, flags in found:
            now = flags.get(name)
            if start is not None and now != start[0]:
                out.append((start[0], start[1], release))
                start = None
            if start is None and now is not None:
                start = (now, release)
        if start is not None:
            out.append((start[0], start[1], ""))
    return out


def table(engine: str, found: list[tuple[str, dict[str, Flag]]]) -> str:
    first = found[0][0]
    lines = [
        f"# Flags of {engine} by release, made by scripts/build_flags.py: flag, other spellings (! turns it off), kind, default,"
        f" since, until.",
        f"# Releases read: {' '.join(release for release, _ in found)}",
    ]
    for flag, since, until in spans(found):
        lines.append("\t".join([flag.name, " ".join(flag.others), flag.kind, flag.default, "" if since == first else since, until]))
    return "\n".join(lines) + "\n"


def _said(flag: Flag) -> str:
    return " ".join([flag.kind, flag.default or "-", *flag.others])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--engine", required=True, choices=["vllm", "sglang", "llama.cpp", "mlx"])
    p.add_argument("--diff", nargs=2, metavar="RELEASE", help="what appeared or went between two releases")
    p.add_argument("--check", action="store_true", help="fail if the table in the package is another")
    a = p.parse_args()
    if a.diff:
        old, new = (read(a.engine, a.folder / release) for release in a.diff)
        for release, flags in zip(a.diff, (old, new), strict=True):
            if not flags:
                sys.exit(f"{a.folder / release}: no flags found")
        for name in sorted(old.keys() | new.keys()):
            if name not in old:
                print(f"+ {name}\t{new[name].kind}\t{new[name].default}")
            elif name not in new:
                print(f"- {name}")
            elif old[name] != new[name]:
                print(f"~ {name}\t{_said(old[name])} -> {_said(new[name])}")
        return
    found = list(releases(a.engine, a.folder))
    taken = [(release, values(a.engine, a.folder / release)) for release, _ in found]
    made = {f"{a.engine}.tsv": table(a.engine, found), f"{a.engine}.values.tsv": flag_values.table(a.engine, taken)}
    if a.check:
        sys.exit(any((TABLES / name).read_text(encoding="utf-8") != text for name, text in made.items()))
    for name, text in made.items():
        (TABLES / name).write_text(text, encoding="utf-8")
        print(f"{TABLES / name}: {text.count(chr(10)) - 2} lines")
    if a.engine == "llama.cpp":
        newest = max((p for p in a.folder.iterdir() if p.is_dir()), key=lambda p: _key(p.name))
        (TABLES / "llama.cpp.env.tsv").write_text(variables(newest / "common" / "arg.cpp"), encoding="utf-8")


if __name__ == "__main__":
    main()
