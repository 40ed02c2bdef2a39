"""Commands of LM Studio. Source: LM Studio's documentation, `lms import`, `lms load` (`--context-length`, `--gpu`), `lms server start`."""

from __future__ import annotations

import os
import shlex

from archcalc.emit import Deployment


def write(d: Deployment) -> str:
    """Take the file in, load it with its context on the GPU, and serve it."""
    key = os.path.basename(d.model).removesuffix(".gguf")
    return (
        f"#!/bin/sh\n{d.comment}set -e\n"
        f"lms import --copy {shlex.quote(d.model)}\n"
        f"lms load {shlex.quote(key)} --context-length {d.context_tokens} --gpu max --yes\n"
        "lms server start --port 1234\n"
    )
