"""Commands of mlx-lm. Source: mlx-lm 0.32.2, mlx_lm/convert.py (`--hf-path`, `-q`, `--q-bits`, `--q-group-size`; it
refuses a folder that exists) and mlx_lm/server.py."""

from __future__ import annotations

import re
import shlex

from archcalc.emit import Deployment


def write(d: Deployment) -> str:
    """The conversion where the plan's weights are quantized, and the server."""
    words = list(d.words)
    # What a placeholder stands for is made below.
    lines = ["#!/bin/sh", *(f"# {line}" for line in d.head if "<" not in line), f"# pip install mlx-lm=={d.release}", "set -e"]
    bits = re.fullmatch(r"mlx-int(\d)", d.quant)
    wanted = next((word for word in words if re.fullmatch(r"<.*>", word)), None)
    if bits and wanted is not None:
        folder = wanted.strip("<>")
        # Made once: the second start finds it.
        made = f"mlx_lm.convert --hf-path {shlex.quote(d.source)} --mlx-path {shlex.quote(folder)} -q --q-bits {bits[1]}"
        lines.append(f"[ -e {shlex.quote(folder)} ] || {made}")
        words = [folder if word == wanted else word for word in words]
    port = "" if "--port" in words else f" --port {d.port}"
    lines.append(" ".join(shlex.quote(word) for word in words) + port)
    return "\n".join(lines) + "\n"
