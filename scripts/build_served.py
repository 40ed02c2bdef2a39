"""What engines serve, read out of their own registries: `src/archcalc/engines/*/served.json`.

usage: build_served.py [--stages|--configs] ENGINE FOLDER

FOLDER holds unpacked sources, one folder for each release and named by it. Of vLLM vllm/model_executor/models/registry.py (in 0.6 and
older models/__init__.py) and vllm/model_executor/layers/quantization/__init__.py are read; of SGLang sglang/srt/models/*.py and
sglang/srt/layers/quantization/__init__.py, and of the newest sglang/srt/configs/model_config.py and sglang/srt/arg_groups/overrides.py.
The others have one folder: of llama.cpp conversion/*.py and gguf-py/gguf/constants.py are read, of transformers
transformers/models/auto/modeling_auto.py, of mlx-lm mlx_lm/models/*.py and mlx_lm/utils.py.

Nothing is imported: registries are dictionaries and lists that are read from the syntax tree. A class or a method is written with the
releases that list it, "FIRST" or "FIRST..LAST" among those read, where LAST is left out if the newest still has it.

--stages writes `stages.json` instead: the classes that a release has and does not run in pipeline stages, and of vLLM those whose embedding
(`embeds`), or embedding and logits (`ends`), have adapters. Of vLLM all of vllm/model_executor/models is read for that, and
vllm/config.py of what is older than 0.6.3; of SGLang sglang/srt/models.

--configs writes `configs.json`: the types of config that releases of vLLM or SGLang have a class of their own for, and those that take
transformers 5; of transformers itself, whose folder has the last 4.x and a 5.x, the types that only the latter has.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "src" / "archcalc" / "engines"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.replace("post", "").split("."))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8-sig"))


def assigned(module: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The names that a module or a class assigns at its top, with what."""
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if value := getattr(node, "value", None):
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


def texts(nodes: Iterable[ast.expr | None]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def vllm(source: Path) -> dict[str, Any]:
    folder = source / "vllm" / "model_executor"
    path = folder / "models" / "registry.py"
    module = tree(path if path.exists() else folder / "models" / "__init__.py")
    classes, gone, plugins = set[str](), dict[str, str](), dict[str, str]()
    for name, value in assigned(module):
        if not isinstance(value, ast.Dict) or not name.endswith(("_MODELS", "_MODEL")) or "ROCM" in name:
            continue
        if name.startswith(("_PREVIOUSLY", "_OOT")):
            pairs = zip(texts(value.keys), texts(value.values), strict=True)
            (gone if name.startswith("_PREVIOUSLY") else plugins).update(pairs)
        elif "FALLBACK" not in name:
            classes.update(texts(value.keys))
    methods = set[str]()
    for name, value in assigned(tree(folder / "layers" / "quantization" / "__init__.py")):
        if name == "QuantizationMethods" and isinstance(value, ast.Subscript):
            methods.update(texts(value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]))
        elif name == "QUANTIZATION_METHODS" and isinstance(value, ast.List | ast.Dict):
            methods.update(texts(value.elts if isinstance(value, ast.List) else value.keys))
    sets = {"configs": vllm_configs(source)}
    return {"classes": classes, "methods": methods, "gone": gone, "plugins": plugins, "sets": sets}


class Classes:
    """The classes of a package's modules, and what each builds on."""

    def __init__(self, root: Path, *folders: str) -> None:
        paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
        self.own: dict[str, dict[str, ast.ClassDef]] = {}
        self.home: dict[int, str] = {}
        modules = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
        trees = {name: tree(path) for name, path in modules.items()}
        for name, module in trees.items():
            self.own[name] = {node.name: node for node in ast.walk(module) if isinstance(node, ast.ClassDef)}
            self.home.update((id(cls), name) for cls in self.own[name].values())
        self.imported: dict[str, dict[str, tuple[str, str]]] = {}
        for name, module in trees.items():
            package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
            near = self.imported[name] = {}
            for node in ast.walk(module):
                if isinstance(node, ast.ImportFrom):
                    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                    path = ".".join([*above, *([node.module] if node.module else [])]).removeprefix(f"{root.name}.")
                    near.update((alias.asname or alias.name, (path, alias.name)) for alias in node.names)

    def named(self, module: str, name: str, deep: int = 0) -> ast.ClassDef | None:
        """The class that a module means by a name, its own or one that it imports."""
        if (found := self.own.get(module, {}).get(name)) is not None or deep > 8:
            return found
        path, other = self.imported.get(module, {}).get(name, ("", ""))
        return self.named(path, other, deep + 1) if path else None

    def lines(self, cls: ast.ClassDef, seen: frozenset[int] = frozenset()) -> Iterator[ast.ClassDef]:
        """A class and what it builds on, the nearest first."""
        yield cls
        for base in cls.bases:
            name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
            up = self.named(self.home[id(cls)], name)
            if up is not None and id(up) not in seen | {id(cls)}:
                yield from self.lines(up, seen | {id(cls)})


def vllm_staged(source: Path) -> list[str]:
    """The classes that run in pipeline stages: they or what they build on names `SupportsPP` (interfaces.py `supports_pp`). Before 0.6.2
    they are listed (config.py `_PP_SUPPORTED_MODELS`)."""
    for name, value in assigned(tree(source / "config.py")) if (source / "config.py").exists() else ():
        if name == "_PP_SUPPORTED_MODELS" and isinstance(value, ast.List):
            return sorted(texts(value.elts))
    lines = vllm_lines(source)
    return sorted(n for n, line in lines.items() if any(getattr(b, "id", "") == "SupportsPP" for each in line for b in each.bases))


def vllm_lines(source: Path) -> dict[str, list[ast.ClassDef]]:
    """The classes of a registry, each with what it builds on."""
    models = "model_executor/models"
    known, found = Classes(source, models, "models"), dict[str, list[ast.ClassDef]]()
    registry = source / models / "registry.py"
    for name, value in assigned(tree(registry if registry.exists() else source / models / "__init__.py")):
        if isinstance(value, ast.Dict) and name.endswith(("_MODELS", "_MODEL")):
            for key, pair in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(pair, ast.Tuple) and len(both := texts(pair.elts)) == 2:
                    module = both[0].removeprefix("vllm.") if "." in both[0] else f"model_executor.models.{both[0]}"
                    if (cls := known.named(module, both[1])) is not None:
                        found[str(key.value)] = list(known.lines(cls))
    return found


def vllm_ends(source: Path) -> dict[str, int]:
    """The classes that have adapters at their ends: how many of embedding and logits (`embedding_modules`, which lora/utils.py
    `get_supported_lora_modules` asks for)."""
    found = {}
    for name, line in vllm_lines(source).items():
        stated = next((value for each in line for key, value in assigned(each) if key == "embedding_modules"), None)
        if isinstance(stated, ast.Dict) and stated.keys:
            found[name] = len(stated.keys)
    return found


def sglang_staged(source: Path, classes: set[str]) -> list[str]:
    """The classes that run in pipeline stages: their `forward` takes `pp_proxy_tensors` (srt/model_executor/model_runner.py)."""
    known, found = Classes(source, "srt/models"), set[str]()
    for names in known.own.values():
        for name in classes & set(names):
            for each in known.lines(names[name]):
                forward = next((n for n in each.body if isinstance(n, ast.FunctionDef) and n.name == "forward"), None)
                if forward is not None:
                    arguments = {a.arg for a in (*forward.args.args, *forward.args.kwonlyargs)}
                    found |= {name} if "pp_proxy_tensors" in arguments else set()
                    break
    return sorted(found)


def vllm_configs(source: Path) -> list[str]:
    """The types of config that a release has a class of its own for."""
    path = source / "vllm" / "transformers_utils" / "config.py"
    found = set[str]()
    for name, value in assigned(tree(path)) if path.exists() else ():
        if name == "_CONFIG_REGISTRY":
            for node in ast.walk(value):
                if isinstance(node, ast.keyword) and node.arg:
                    found.add(node.arg)
                elif isinstance(node, ast.Dict):
                    found.update(texts(node.keys))
    return sorted(found)


def sglang(source: Path) -> dict[str, Any]:
    folder = source / "sglang" / "srt"
    classes, methods = set[str](), set[str]()
    for path in (folder / "models").rglob("*.py"):
        for name, value in assigned(tree(path)):
            if name == "EntryClass":
                listed = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
                classes.update(node.id for node in listed if isinstance(node, ast.Name))
    for top in tree(folder / "layers" / "quantization" / "__init__.py").body:
        # Some are added where a GPU or a package is there. A function's own dictionaries are no lists of methods.
        if not isinstance(top, ast.FunctionDef | ast.ClassDef):
            methods.update(text for node in ast.walk(top) if isinstance(node, ast.Dict) for text in texts(node.keys))
    overrides = folder / "arg_groups" / "overrides.py"
    sets = {"slides": _slides(folder / "configs" / "model_config.py"), "tracked": _tracked(overrides)} if overrides.exists() else {}
    sets["configs"] = sglang_configs(source)
    sets["bitsandbytes"] = sglang_packed(folder / "models", classes)
    return {"classes": classes, "methods": methods, "sets": sets}


def sglang_packed(models: Path, classes: set[str]) -> list[str]:
    """The classes that the loader of bitsandbytes takes: they, or a class that they build on, have
    `bitsandbytes_stacked_params_mapping`."""
    bases: dict[str, list[str]] = {}
    having = set[str]()
    for path in models.rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [
                    base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases
                ]
                if any(name == "bitsandbytes_stacked_params_mapping" for name, _ in assigned(ast.Module(node.body, []))):
                    having.add(node.name)

    def has(name: str, seen: frozenset[str] = frozenset()) -> bool:
        return name in having or any(base not in seen and has(base, seen | {base}) for base in bases.get(name, ()))

    return sorted(name for name in classes if has(name))


def _slides(path: Path) -> list[str]:
    """The classes whose sliding layers have a pool of their own (`is_hybrid_swa_model`)."""
    module = tree(path)
    named = dict(assigned(module))
    function = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "is_hybrid_swa_model")
    found = set[str]()
    for node in ast.walk(next(value for name, value in assigned(ast.Module(function.body, [])) if name == "hybrid_swa_archs")):
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.Name):
            found.update(texts(part for part in ast.walk(named[node.value.id]) if isinstance(part, ast.expr)))
        elif isinstance(node, ast.expr):
            found.update(texts([node]))
    return sorted(found)


def _tracked(path: Path) -> list[str]:
    """The classes whose states are tracked beside the running one (`_MAMBA_EXTRA_BUFFER_ARCHS`)."""
    value = dict(assigned(tree(path)))["_MAMBA_EXTRA_BUFFER_ARCHS"]
    return sorted(texts(part for part in ast.walk(value) if isinstance(part, ast.expr)))


def llamacpp(source: Path) -> dict[str, str]:
    """Each class that the converter reads as text, with the GGUF architecture that it writes."""
    constants = tree(source / "gguf-py" / "gguf" / "constants.py")
    names: dict[str, str] = {}
    for name, value in assigned(constants):
        if name == "MODEL_ARCH_NAMES" and isinstance(value, ast.Dict):
            for key, word in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Attribute) and isinstance(word, ast.Constant):
                    names[key.attr] = str(word.value)
    made: dict[str, tuple[list[str], str | None, list[str]]] = {}
    for path in sorted((source / "conversion").glob("*.py")):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            own = next(
                (
                    value.attr
                    for name, value in assigned(ast.Module(node.body, []))
                    if name == "model_arch" and isinstance(value, ast.Attribute)
                ),
                None,
            )
            registered = [
                text for call in node.decorator_list
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "register"
                for text in texts(call.args)
            ]  # fmt: skip
            made[node.name] = registered, own, [base.id for base in node.bases if isinstance(base, ast.Name)]

    def arch(name: str) -> str | None:
        _, own, bases = made.get(name, ([], None, []))
        return own or next((found for base in bases if (found := arch(base))), None)

    def ancestors(name: str) -> set[str]:
        return {name} | {up for base in made.get(name, ([], None, []))[2] for up in ancestors(base)}

    found: dict[str, str] = {}
    for name, (registered, _, _) in made.items():
        own = arch(name)
        if own is not None and own != "MMPROJ" and "MmprojModel" not in ancestors(name):
            found.update(dict.fromkeys(registered, names[own]))
    return dict(sorted(found.items()))


def sglang_configs(source: Path) -> list[str]:
    """The types of config that a release has a class of its own for: those of its folder, and those named beside it."""
    folder, found = source / "sglang" / "srt", set[str]()
    for path in (*(folder / "configs").rglob("*.py"), *(folder / "utils" / "hf_transformers").rglob("*.py")):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                found.update(
                    text for name, value in assigned(ast.Module(node.body, [])) if name == "model_type" for text in texts([value])
                )
            elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "_CONFIG_REGISTRY":
                found.update(texts([node.slice]))
    return sorted(found - {""})


# The mappings whose classes make text, those of whole models first.
_AUTO = ("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM", "CAUSAL_LM", "PRETRAINING", "MASKED_LM")


def transformers(source: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The class that each model type is built as: the one that generates, else its base model's. And all types of configs."""
    module = dict(assigned(tree(source / "transformers" / "models" / "auto" / "modeling_auto.py")))
    found: dict[str, str] = {}
    for name in (*(f"MODEL_FOR_{kind}_MAPPING_NAMES" for kind in _AUTO), "MODEL_MAPPING_NAMES"):
        value = module[name]
        assert isinstance(value, ast.Call)
        (pairs,) = value.args
        assert isinstance(pairs, ast.List)
        for pair in pairs.elts:
            if isinstance(pair, ast.Tuple) and len(both := texts(pair.elts)) == 2:
                found.setdefault(*both)
    return dict(sorted(found.items())), {"configs": transformers_configs(source), **_auto_classes(source)}


def transformers_configs(source: Path) -> list[str]:
    """The types of config that it has a class for."""
    folder = source / "transformers" / "models" / "auto"
    found = set[str]()
    for path in (folder / "configuration_auto.py", folder / "auto_mappings.py"):
        for name, value in assigned(tree(path)) if path.exists() else ():
            if name == "CONFIG_MAPPING_NAMES" and isinstance(value, ast.Call):
                for node in ast.walk(value):
                    if isinstance(node, ast.Tuple) and len(both := texts(node.elts)) == 2:
                        found.add(both[0])
    return sorted(found)


# What a command may load a whole model with.
_LOADERS = frozenset(
    "AutoModel AutoModelForCausalLM AutoModelForImageTextToText AutoModelForMultimodalLM AutoModelForSpeechSeq2Seq AutoModelForSeq2SeqLM"
    " AutoModelForMaskedLM AutoModelForPreTraining AutoModelForSequenceClassification AutoModelForTokenClassification"
    " AutoModelForQuestionAnswering AutoModelForMultipleChoice AutoModelForNextSentencePrediction".split()
)


def _auto_classes(source: Path) -> dict[str, list[str]]:
    """The model types that each of transformers' Auto classes builds."""
    module = tree(source / "transformers" / "models" / "auto" / "modeling_auto.py")
    values = dict(assigned(module))

    def types(name: str) -> set[str]:
        found = set[str]()
        for pair in ast.walk(values[name]):
            if isinstance(pair, ast.Tuple) and pair.elts:
                found.update(texts(pair.elts[:1]))
            elif isinstance(pair, ast.Name) and pair.id != name and pair.id.endswith("_MAPPING_NAMES"):
                found |= types(pair.id)
        return found

    found: dict[str, list[str]] = {}
    for node in module.body:
        if isinstance(node, ast.ClassDef) and (public := node.name.removeprefix("_")) in _LOADERS:
            for name, value in assigned(ast.Module(node.body, [])):
                if name == "_model_mapping" and isinstance(value, ast.Name):
                    made = values[value.id]
                    assert isinstance(made, ast.Call)
                    found[public] = sorted(types(made.args[1].id)) if isinstance(made.args[1], ast.Name) else []
    return dict(sorted(found.items()))


def mlx(source: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The module of each model type: its file, and those that are read as another's. And the modules, or those that they build on, which
    keep rotating caches, and latents in place of keys and values."""
    folder = source / "mlx_lm"
    remapped: dict[str, str] = {}
    for name, value in assigned(tree(folder / "utils.py")):
        if name == "MODEL_REMAPPING" and isinstance(value, ast.Dict):
            remapped.update(zip(texts(value.keys), texts(value.values), strict=True))
    texts_of = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "models").glob("*.py")}
    files = {name for name, text in texts_of.items() if "class ModelArgs" in text}

    def built_on(name: str) -> set[str]:
        found = {name}
        for node in ast.walk(ast.parse(texts_of[name])):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                near = [node.module] if node.module else [alias.name for alias in node.names]
                found |= {up for other in near if other in files and other != name for up in built_on(other)}
        return found

    def holding(mark: str) -> list[str]:
        return sorted(name for name in files if any(mark in texts_of[part] for part in built_on(name)))

    sets = {"rotating": holding("RotatingKVCache("), "latents": holding("update_and_fetch(kv_latent")}
    return dict(sorted({**{name: name for name in files}, **{a: b for a, b in remapped.items() if b in files}}.items())), sets


def spans(releases: list[str], lists: dict[str, set[str]]) -> dict[str, str]:
    """For each name the releases that list it."""
    found: dict[str, str] = {}
    for name in sorted({name for listed in lists.values() for name in listed}):
        runs: list[list[str]] = []
        for i, release in enumerate(releases):
            if name in lists[release]:
                if runs and i and runs[-1][-1] == releases[i - 1]:
                    runs[-1].append(release)
                else:
                    runs.append([release])
        found[name] = " ".join(run[0] if run[-1] == releases[-1] else f"{run[0]}..{run[-1]}" for run in runs)
    return found


def by_release(read: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    releases = sorted((path.name for path in folder.iterdir()), key=numbers)
    made = {release: read(folder / release) for release in releases}
    newest = made[releases[-1]]
    out: dict[str, Any] = {"releases": releases}
    for key in ("classes", "methods"):
        out[key] = spans(releases, {release: made[release][key] for release in releases})
    return {**out, **{key: dict(sorted(newest[key].items())) for key in ("gone", "plugins", "sets") if newest.get(key)}}


def stages(engine: str, folder: Path) -> None:
    """The classes that each release has and runs in no pipeline stages."""
    releases = sorted((path.name for path in folder.iterdir()), key=numbers)
    lists, ends = dict[str, set[str]](), dict[str, dict[str, int]]()
    for release in releases:
        source = folder / release / engine
        if engine == "vllm":
            classes: set[str] = vllm(folder / release)["classes"]
            lists[release], ends[release] = classes - set(vllm_staged(source)), vllm_ends(source)
        else:
            classes = sglang(folder / release)["classes"]
            lists[release] = classes - set(sglang_staged(source, classes))
    where = "model_executor/models (`SupportsPP`)" if engine == "vllm" else "srt/models (`forward` with `pp_proxy_tensors`)"
    made = {"source": f"{engine}, {where}", "releases": releases, "unstaged": spans(releases, lists)}
    for key, many in (("embeds", 1), ("ends", 2)) if ends else ():
        made[key] = spans(releases, {r: {name for name, count in ends[r].items() if count == many} for r in releases})
    path = ROOT / engine / "stages.json"
    path.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(made['unstaged'])} classes of {len(releases)} releases")


def configs(engine: str, folder: Path) -> None:
    """The types of config that each release has a class for."""
    releases = sorted((path.name for path in folder.iterdir()), key=numbers)
    if engine == "transformers":
        first, last = (set(transformers_configs(folder / release)) for release in releases)
        made: dict[str, Any] = {
            "source": "transformers, models/auto/configuration_auto.py and auto_mappings.py", "releases": releases,
            "types": dict.fromkeys(sorted(last - first), releases[1]),
        }  # fmt: skip
    else:
        lists = {r: set({"vllm": vllm_configs, "sglang": sglang_configs}[engine](folder / r)) for r in releases}
        pins = {r: {"transformers 5"} if takes_five(folder / r) else set() for r in releases}
        where = (
            "transformers_utils/config.py and requirements" if engine == "vllm" else "srt/configs and the package's requirements"
        )
        made = {
            "source": f"{engine}, {where}", "releases": releases, "types": spans(releases, lists), "library": spans(releases, pins),
        }  # fmt: skip
    path = ROOT / engine / "configs.json"
    path.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(made['types'])} types of {len(releases)} releases")


def takes_five(source: Path) -> bool:
    """Whether a release runs with transformers 5: those that allow any from some 4.x on came before it, and are taken not to."""
    files = (*source.glob("requirements*.txt"), *source.glob("requirements/common.txt"), *source.glob("*.dist-info/METADATA"))
    pins = [
        line
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"(Requires-Dist: )?transformers\b", line)
    ]
    return any(re.search(r"[=>]=? *5\.|!= *5\.", line) for line in pins)


def main(engine: str, folder: Path) -> None:
    if engine in ("vllm", "sglang"):
        source = {
            "vllm": "vLLM, model_executor/models/registry.py and model_executor/layers/quantization/__init__.py",
            "sglang": "SGLang, srt/models (EntryClass) and srt/layers/quantization/__init__.py",
        }[engine]
        made = {"source": source, **by_release({"vllm": vllm, "sglang": sglang}[engine], folder)}
    else:
        (release,) = folder.iterdir()
        read, source = {
            "llamacpp": (llamacpp, "llama.cpp, conversion/*.py and gguf-py/gguf/constants.py"),
            "transformers": (transformers, "transformers, models/auto/modeling_auto.py"),
            "mlx": (mlx, "mlx-lm, mlx_lm/models and mlx_lm/utils.py"),
        }[engine]
        found = read(release)
        classes, sets = found if isinstance(found, tuple) else (found, {})
        made = {"source": source, "releases": [release.name], "classes": classes, **({"sets": sets} if sets else {})}
    path = ROOT / engine / "served.json"
    path.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(made['classes'])} classes of {len(made['releases'])} releases")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word not in ("--stages", "--configs")]
    if len(words) != 2:
        sys.exit(__doc__)
    (stages if "--stages" in sys.argv else configs if "--configs" in sys.argv else main)(words[0], Path(words[1]))
