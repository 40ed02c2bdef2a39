"""Commands of LM Studio. Source: LM Studio's documentation, `lms import`, `lms load` (`--context-length`, `--gpu`), `lms server start`."""

from __future__ import annotations

import os
import shlex

from archcalc.emit import OFFLOADED, Deployment
from archcalc.errors import UnsupportedError

SAYS = OFFLOADED


def write(d: Deployment) -> str:
    """Take the file in, load it with its context and its share of layers on the GPU, and serve it."""
    if d.path is None:
        repository, _, kind = d.model.partition(":")
        raise UnsupportedError(
            f"--emit lmstudio takes in a file, and {d.model} is a repository",
            f"lms get https://huggingface.co/{repository}{f'@{kind.lower()}' if kind else ''} fetches it: name its file with -m",
        )
    key = os.path.basename(d.model).removesuffix(".gguf")
    # Rounded down: never more layers than the plan has there.
    share = "max" if d.gpu_layers is None else f"{d.gpu_layers * 100 // d.layers / 100:g}" if d.gpu_layers else "off"
    of = "" if d.gpu_layers is None else f"# {d.gpu_layers} of {d.layers} layers on the GPU, the head counting as one\n"
    several = (
        f"# the context is of each of {d.concurrency} requests: how many run at once is set in LM Studio, by the model\n"
        if d.concurrency > 1
        else ""
    )
    return (
        f"#!/bin/sh\n{d.comment}{d.left_out}{of}{several}set -e\n"
        f"lms import --copy {shlex.quote(d.model)}\n"
        f"lms load {shlex.quote(key)} --context-length {d.context_tokens} --gpu {share} --yes\n"
        "lms server start --port 1234\n"
    )
