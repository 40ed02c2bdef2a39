"""A batch script for Slurm, with the engine's image in Apptainer.

Source: Slurm, sbatch(1) (`--gpus-per-node`, `--cpus-per-task`); Apptainer's user guide, "GPU support" (`--nv`, `--rocm`).
"""

from __future__ import annotations

import os
import shlex

from archcalc.emit import Deployment

_GPU = {"nvidia": "--nv", "amd": "--rocm"}


def write(d: Deployment) -> str:
    """One node, all of its GPUs that the plan takes."""
    from archcalc.analysis.command import wrapped

    head = [
        "#!/bin/bash",
        f"#SBATCH --job-name={d.name}",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        f"#SBATCH --gpus-per-node={d.gpus}",
        f"#SBATCH --cpus-per-task={4 * d.gpus + 4}",
        "#SBATCH --mem=0",
        "#SBATCH --time=1-00:00:00",
        f"#SBATCH --output={d.name}-%j.log",
    ]
    bind = []
    if d.path is not None:
        bind = ["--bind", os.path.dirname(d.path) if d.path.endswith(".gguf") else d.path]
    run = ["srun", "apptainer", "exec", *([_GPU[d.vendor]] if d.vendor in _GPU else []), *bind, f"docker://{d.image}", *d.words]
    line = shlex.join(run)
    body = [
        d.comment.rstrip("\n"),
        "set -euo pipefail",
        f"# It listens once the weights are loaded, after up to {-(-d.start_s // 60)} minutes at the first start.",
        f'echo "http://$(hostname):{d.port}/v1"',
        *wrapped(line),
    ]
    return "\n".join([*head, *body]) + "\n"
