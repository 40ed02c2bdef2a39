"""Pipelines of diffusers: model_index.json names the parts, each a folder with a config of its own.

Source: diffusers 0.42, pipelines/pipeline_utils.py (`DiffusionPipeline.from_pretrained`) and configuration_utils.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from archcalc.jsonfile import read_json

INDEX = "model_index.json"
TYPE = "diffusers_pipeline"
ABSENT = "absent_class"
"""As `arch.diffusers_pipeline` reads it, which is imported where a pipeline is."""
_NO_MODEL = re.compile("Scheduler|Tokenizer|Processor|FeatureExtractor|Guider|Watermark")
"""Parts of other names are models."""


def named_in(index: Mapping[str, Any]) -> list[str]:
    """The parts that may be models, null for one that is left out; each is a folder."""
    return [
        name
        for name, what in index.items()
        if isinstance(what, list)
        and len(what) == 2
        and isinstance(what[1], str)
        and not _NO_MODEL.search(what[1])
        and os.path.basename(name) == name
        and name not in ("", ".", "..")
    ]


def parts_of(folder: str) -> dict[str, dict[str, Any]]:
    """The configs of a pipeline's parts by their names; schedulers, tokenizers and processors have none. A model without its config.json
    has its class alone, below `ABSENT`."""
    index = read_json(os.path.join(folder, INDEX))
    found: dict[str, dict[str, Any]] = {}
    for name in named_in(index):
        path = os.path.join(folder, name, "config.json")
        found[name] = read_json(path) if os.path.isfile(path) else {ABSENT: index[name][1]}
    return found


def whole(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parts as one config."""
    return {"model_type": TYPE, "parts": dict(parts)}
