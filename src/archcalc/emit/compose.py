"""A Compose file.

Source: the Compose specification, 05-services.md and deploy.md (`devices`: `driver`, `count`, `capabilities`); for AMD's GPUs the
devices that ROCm's containers need (rocm.docs.amd.com, "Running ROCm Docker containers").
"""

from __future__ import annotations

from typing import Any

from archcalc.emit import Deployment, dump


def write(d: Deployment) -> str:
    """One service, with its GPUs, its port and a health check that waits for the load."""
    service: dict[str, Any] = {
        "image": d.image,
        "entrypoint": d.command,
        "command": [word.replace("$", "$$") for word in d.arguments],
        "ports": [f"{d.port}:{d.port}"],
        # Processes of one engine share tensors through /dev/shm.
        "ipc": "host",
        "restart": "unless-stopped",
        "healthcheck": {
            "test": ["CMD-SHELL", f"curl -fs http://localhost:{d.port}/health || exit 1"],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": f"{d.start_s}s",
        },
    }
    environment = {name: value.replace("$", "$$") for name, value in d.environment}
    if d.path is None:
        environment = {"HF_TOKEN": "${HF_TOKEN:-}", **environment}
    if environment:
        service["environment"] = environment
    kept = ["~/.cache/huggingface:/root/.cache/huggingface"] if d.path is None else []
    service["volumes"] = [*kept, *(f"{folder}:{folder}:ro" for folder in d.folders)]
    if d.vendor == "nvidia":
        devices = [{"driver": "nvidia", "count": d.gpus, "capabilities": ["gpu"]}]
        service["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    else:
        service["devices"] = ["/dev/kfd", "/dev/dri"] if d.vendor == "amd" else ["/dev/dri"]
        service["group_add"] = ["video"]
        if d.vendor == "amd":
            service["security_opt"] = ["seccomp=unconfined"]
    return d.comment + dump({"services": {d.name: service}})
