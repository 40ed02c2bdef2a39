"""Cuts published schemas down to what `fit --emit` writes: tests/data/schemas.json. Run by hand, from the packages that hold them.

    pip download --no-deps kubernetes-validate check-jsonschema -d FOLDER
    git clone https://github.com/vllm-project/production-stack FOLDER/production-stack
    git clone https://github.com/llm-d-incubation/llm-d-modelservice FOLDER/llm-d-modelservice
    python scripts/build_schemas.py FOLDER

Each object keeps the properties that some emitted file has, with their types, enums and required keys as published, and forbids others,
as `kubectl --validate=strict` does. What is emitted and not published is an error here, not a key that is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "data" / "schemas.json"
KUBERNETES = "v1.37.0"
_KEPT = ("type", "enum", "required", "pattern", "format", "const", "minimum", "x-kubernetes-int-or-string")


class Schemas:
    """Files with schemas, and where a `$ref` in one of them leads."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._bytes, self._read = read, dict[str, Any]()

    def file(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = json.loads(self._bytes(name))
        return self._read[name]

    def at(self, name: str, pointer: str) -> Any:
        found = self.file(name)
        for key in filter(None, pointer.split("/")):
            found = found[key]
        return found

    def resolve(self, schema: Any, name: str) -> tuple[Any, str]:
        """A schema with its references followed, and the file that it stands in."""
        while "$ref" in schema:
            target, _, pointer = schema["$ref"].partition("#")
            name = target.rpartition("/")[2] or name
            schema = self.at(name, pointer)
        for each in schema.get("allOf", []):
            # What several schemas ask for together: their properties side by side, of the same file.
            part, _ = self.resolve(each, name)
            known = {**part.get("properties", {}), **schema.get("properties", {})}
            schema = {**part, **schema, "properties": known, "required": [*part.get("required", []), *schema.get("required", [])]}
        return schema, name


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether a branch is one for a value of this kind."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    of = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}[type(value)]
    return not kinds or of in kinds or (of == "integer" and "number" in kinds)


def cut(schemas: Schemas, schema: Any, name: str, values: list[Any], at: str) -> dict[str, Any]:
    """The part of a schema that these values use."""
    schema, name = schemas.resolve(schema, name)
    out = {key: schema[key] for key in _KEPT if key in schema}
    for many in ("oneOf", "anyOf"):
        if many in schema:
            branches = []
            for each in schema[many]:
                branch, where = schemas.resolve(each, name)
                mine = [value for value in values if accepts(branch, value)]
                if mine:
                    branches.append(cut(schemas, branch, where, mine, at))
            out["anyOf"] = branches
            return out
    objects = [value for value in values if isinstance(value, dict)]
    items = [item for value in values if isinstance(value, list) for item in value]
    if objects:
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        rest = schema.get("additionalProperties", not known and not patterns)
        used: dict[str, list[Any]] = {}
        for value in objects:
            for key, inner in value.items():
                used.setdefault(key, []).append(inner)
        if known:
            # Published schemas say where they leave names free; where they say nothing, strict validation takes no other.
            free = schema["additionalProperties"] if schema.get("additionalProperties") else None
            if (missing := used.keys() - known.keys()) and free is None:
                raise SystemExit(f"{at}: {', '.join(sorted(missing))} is emitted, and not published")
            inner = free if isinstance(free, dict) else {}
            out["properties"] = {key: cut(schemas, known.get(key, inner), name, of, f"{at}.{key}") for key, of in used.items()}
            out["additionalProperties"] = False
        else:
            # Names of the user's own: labels, resources, services.
            inner = next(iter(patterns.values()), rest if isinstance(rest, dict) else {})
            every = [value for of in used.values() for value in of]
            out["additionalProperties"] = cut(schemas, inner, name, every, f"{at}.*") if inner else True
    if items:
        out["items"] = cut(schemas, schema.get("items", {}), name, items, f"{at}[]")
    return out


def packed(wheel: Path, folder: str) -> Schemas:
    """Those of a package."""
    held = zipfile.ZipFile(wheel)
    return Schemas(lambda name: held.read(f"{folder}/{name}"))


def committed(repository: Path, folder: str) -> tuple[Schemas, str]:
    """Those of a repository, and its commit."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True).stdout

    return Schemas(lambda name: git("show", f"HEAD:{folder}/{name}")), git("rev-parse", "--short", "HEAD").decode().strip()


def main() -> None:
    """Read the packages, emit, cut and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    sys.path[:0] = [str(ROOT / "tests")]
    from test_emit import CALLS, container_of

    documents: dict[str, list[Any]] = {}
    for kind, call in CALLS:
        if kind in ("compose", "k8s", "helm", "llm-d"):
            words = [sys.executable, "-m", "archcalc", "fit", *call.split(), "--emit", kind, "--offline"]
            text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            for document in yaml.safe_load_all(text):
                documents.setdefault(document.get("kind", kind), []).append(document)
    (kube,), (vendor,) = (list(folder.glob(f"{name}-*.whl")) for name in ("kubernetes_validate", "check_jsonschema"))
    k8s = packed(kube, f"kubernetes_validate/kubernetes-json-schema/{KUBERNETES}-local")
    compose = packed(vendor, "check_jsonschema/builtin_schemas/vendor")
    stack, of_stack = committed(folder / "production-stack", "helm")
    llmd, of_llmd = committed(folder / "llm-d-modelservice", "charts/llm-d-modelservice")
    templates = [d["spec"]["leaderWorkerTemplate"] for d in documents["LeaderWorkerSet"]]
    pods = [each[f"{role}Template"] for each in templates for role in ("leader", "worker")]
    containers = [container_of(each) for d in documents["llm-d"] for each in d["decode"]["containers"]]
    api = f"the Kubernetes API {KUBERNETES}, of {kube.name}"
    asked = {
        "compose": (compose, "compose-spec.json", documents["compose"], f"compose-spec's schema/compose-spec.json, of {vendor.name}"),
        "Deployment": (k8s, "deployment-apps-v1.json", documents["Deployment"], api),
        "Service": (k8s, "service-v1.json", documents["Service"], api),
        "PodTemplateSpec": (k8s, "podtemplatespec-v1.json", pods, api),
        "Container": (k8s, "container-v1.json", containers, api),
        "helm": (stack, "values.schema.json", documents["helm"], f"vllm-project/production-stack {of_stack}, helm/values.schema.json"),
        "llm-d": (
            llmd, "values.schema.json", documents["llm-d"],
            f"llm-d-incubation/llm-d-modelservice {of_llmd}, charts/llm-d-modelservice/values.schema.json",
        ),
    }  # fmt: skip
    made: dict[str, Any] = {"sources": {name: source for name, (*_, source) in asked.items()}}
    for name, (schemas, file, values, _) in asked.items():
        made[name] = cut(schemas, {"$ref": file}, file, values, name)
    OUT.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"{OUT.relative_to(ROOT)}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
