"""A batch script for Slurm, with the engine's image in Apptainer.

Source: Slurm, sbatch(1) (`--gpus-per-node`, `--cpus-per-task`), srun(1) (`SLURM_NODEID`), scontrol(1) (`show hostnames`);
Apptainer's user guide, "GPU support" (`--nv`, `--rocm`).
"""

from __future__ import annotations

import shlex

from archcalc.emit import Deployment

_GPU = {"nvidia": "--nv", "amd": "--rocm"}


def write(d: Deployment) -> str:
    """All GPUs of each node that the plan takes. On several nodes each runs the same command, with its own rank and the first's address."""
    from archcalc.analysis.command import wrapped

    head = [
        "#!/bin/bash",
        f"#SBATCH --job-name={d.name}",
        f"#SBATCH --nodes={d.nodes}",
        f"#SBATCH --ntasks={d.nodes}",
        f"#SBATCH --gpus-per-node={d.gpus}",
        f"#SBATCH --cpus-per-task={4 * d.gpus + 4}",
        "#SBATCH --mem=0",
        "#SBATCH --time=1-00:00:00",
        f"#SBATCH --output={d.name}-%j.log",
    ]
    bind = ["--bind", ",".join(d.folders)] if d.folders else []
    run = ["apptainer", "exec", *([_GPU[d.vendor]] if d.vendor in _GPU else []), *bind, f"docker://{d.image}", *d.alone]
    words = shlex.join(run)
    line, first = f"srun {words}", []
    if d.nodes > 1:
        first = ['export FIRST="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"']
        joined = _joined(d)
        script = f"{_OTHERS if '$others' in joined else ''}exec {words} {joined}"
        line = f"srun --ntasks-per-node=1 bash -c {shlex.quote(script)}"
    body = [
        d.comment.rstrip("\n"),
        "set -euo pipefail",
        f"# It listens once the weights are loaded, after up to {-(-d.start_s // 60)} minutes at the first start.",
        f'echo "http://$(hostname):{d.port}/v1"',
        *(f"export {name}={shlex.quote(value)}" for name, value in d.environment),
        *first,
        *wrapped(line),
    ]
    return "\n".join([*head, *body]) + "\n"


_OTHERS = '[ "$SLURM_NODEID" = 0 ] || others=--headless; '


def _joined(d: Deployment) -> str:
    """What joins a node to the others: vLLM 0.33, engine/arg_utils.py; SGLang 0.5.23, srt/server_args.py. vLLM's others serve nothing."""
    ranks = f'--nnodes {d.nodes} --node-rank "$SLURM_NODEID"'
    if "--dist-init-addr" in d.words:
        return f'{ranks} --dist-init-addr "$FIRST:20000"'
    return f'{ranks} --master-addr "$FIRST" $others'
