"""What the name of a repacked checkpoint says: the bundled model that it was made of, and how its weights are stored.

Publishers name them `NAME-GGUF`, `NAME-AWQ`, `NAME-Q4_K_M.gguf`, also behind the first publisher's name (`Qwen_Qwen3-8B-GGUF`).
"""

from __future__ import annotations

import re

from archcalc import zoo
from archcalc.records import NamedTuple

_FILE = re.compile(
    r"(?P<name>.+?)[-.](?P<quant>(?:UD-)?(?:(?:I?Q|TQ)\d|T?BF16|F16|F32|MXFP4)[A-Z0-9_]*)(?:-\d{5}-of-\d{5})?\.gguf", re.IGNORECASE
)
_IN = re.compile(r"<?(?P<name>[^/<>]+)-in-(?P<quant>[a-z0-9_-]+)>?")
_ENDS = (
    ("-gguf", ""), ("-awq-int4", "awq"), ("-awq-4bit", "awq"), ("-awq", "awq"), ("-gptq-int8", "gptq-int8"), ("-gptq-8bit", "gptq-int8"),
    ("-gptq-int4", "gptq"), ("-gptq-4bit", "gptq"), ("-gptq", "gptq"), ("-fp8-dynamic", "fp8-dynamic"), ("-fp8-block", "fp8"),
    ("-fp8", "fp8"), ("-nvfp4", "nvfp4"), ("-fp4", "nvfp4"), ("-mxfp4", "mxfp4"), ("-unsloth-bnb-4bit", "nf4"), ("-bnb-4bit", "nf4"),
    ("-bnb-8bit", "bnb-8bit"), ("-quantized.w4a16", "w4a16"), ("-quantized.w8a8", "w8a8"), ("-w4a16", "w4a16"), ("-w8a8", "w8a8"),
    ("-mlx-4bit", "mlx-4bit"), ("-mlx-6bit", "mlx-6bit"), ("-mlx-8bit", "mlx-8bit"), ("-4bit", "mlx-4bit"), ("-6bit", "mlx-6bit"),
    ("-8bit", "mlx-8bit"),
)  # fmt: skip
"""How publishers' names end, longer ones first, and the storage that each means."""


class Repacked(NamedTuple):
    """A bundled model in another storage; `quant` is as `--quant` takes it, empty for GGUF of a type that is not said."""

    entry: zoo.Entry
    quant: str
    gguf: bool


def repacked(name: str) -> Repacked | None:
    """The bundled model and the storage that a file's or repository's name stands for, or None.

    >>> repacked("models/Qwen3-8B-Q4_K_M.gguf")[1:], repacked("unsloth/Qwen3-8B-GGUF")[1:], repacked("Qwen/Qwen3-8B-AWQ")[1:]
    (('q4_k_m', True), ('', True), ('awq', False))
    >>> repacked("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4").entry.name
    'llama-3.1-8b-instruct'
    >>> repacked("bartowski/Qwen_Qwen3-8B-GGUF").entry.name, repacked("some-model-AWQ"), repacked("Qwen/Qwen3-8B")
    ('qwen3-8b', None, None)
    """
    base = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if (named := _FILE.fullmatch(base)) or (named := _IN.fullmatch(base)):
        entry = _entry(named["name"])
        return Repacked(entry, named["quant"].lower(), base.lower().endswith(".gguf")) if entry else None
    lower = base.lower()
    for end, quant in _ENDS:
        if lower.endswith(end):
            entry = _entry(base[: -len(end)])
            return Repacked(entry, quant, not quant) if entry else None
    return None


def type_of(file: str) -> str | None:
    """The type that a GGUF file's name says, as `--quant` takes it.

    >>> type_of("Q6_K/Qwen3-8B-Q6_K-00001-of-00002.gguf"), type_of("model.gguf")
    ('q6_k', None)
    """
    named = _FILE.fullmatch(file.rpartition("/")[2])
    return named["quant"].lower() if named else None


_TUNED = {
    "llama-3-8b-instruct": "llama-3-8b",
    "llama-3-70b-instruct": "llama-3-70b",
}
"""Tuned models that are not bundled, and the bundled ones that they were tuned from: meta-llama's config.json of both differ in the token
that ends a text alone, so that what they hold and take is the same."""


def _entry(name: str) -> zoo.Entry | None:
    """The bundled model of this name, by any name that its repository has or had, or of what stands behind its publisher's."""
    for text in (name, name.partition("_")[2]):
        if not text:
            continue
        plain = text.lower().removeprefix("meta-")
        if entry := zoo.find(text) or _of_repository(text.lower()) or zoo.find(_TUNED.get(plain, "")):
            return entry
    return None


def _of_repository(name: str) -> zoo.Entry | None:
    """The bundled model whose repository is called so, by whichever publisher."""
    for entry in zoo.entries():
        if any(each.lower().rpartition("/")[2] == name for each in (entry.repo, *entry.aliases) if "/" in each):
            return entry
    return None
