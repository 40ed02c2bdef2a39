"""Values of vLLM's Helm chart, vllm-stack 0.1.12.

Source: vllm-project/production-stack a6c01db, helm/values.schema.json and helm/templates/deployment-vllm-multi.yaml, which writes
`vllm serve` of `modelURL`, `vllmConfig` and `extraArgs`, and turns prefix caching off where `enablePrefixCaching` is not true.
"""

from __future__ import annotations

from typing import Any

from archcalc.emit import RESOURCES, Deployment, dump, hub_model, probe_steps, token

_CONFIG = {
    "--max-model-len": ("maxModelLen", int),
    "--tensor-parallel-size": ("tensorParallelSize", int),
    "-tp": ("tensorParallelSize", int),
    "--max-num-seqs": ("maxNumSeqs", int),
}
# What the chart writes by itself.
_OWN = ("--host", "--port")


def write(d: Deployment) -> str:
    """One model of the stack, and probes for all of its engines."""
    model = hub_model(d, "helm")
    config: dict[str, Any] = {"enablePrefixCaching": True}
    spec: dict[str, Any] = {}
    extra: list[str] = []
    words = d.arguments[1:]
    at = 0
    while at < len(words):
        flag, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if flag in _CONFIG:
            name, kind = _CONFIG[flag]
            config[name] = kind(value)
            at += 2
        elif flag in _OWN:
            at += 2
        elif flag == "--revision":
            spec["modelRevision"] = value
            at += 2
        else:
            extra.append(flag)
            at += 1
    if extra:
        config["extraArgs"] = extra
    if d.gpus > 1:
        # The chart mounts shared memory where this is said.
        config.setdefault("tensorParallelSize", 1)
    repository, _, tag = d.image.rpartition(":")
    health = {"httpGet": {"path": "/health", "port": d.port}, "periodSeconds": 10}
    values = {
        "servingEngineSpec": {
            "containerPort": d.port,
            "startupProbe": {**health, "initialDelaySeconds": 15, "failureThreshold": probe_steps(d.start_s)},
            "livenessProbe": {**health, "initialDelaySeconds": 15, "failureThreshold": 6},
            "modelSpec": [
                {
                    "name": d.name,
                    "repository": repository,
                    "tag": tag,
                    "modelURL": model,
                    **spec,
                    "replicaCount": 1,
                    "requestCPU": 4 * d.gpus,
                    "requestMemory": "32Gi",
                    "requestGPU": d.gpus,
                    **({} if d.vendor == "nvidia" else {"requestGPUType": RESOURCES[d.vendor]}),
                    # Its own `hf_token` wants the secret to be there.
                    **({"env": variables} if (variables := token(d)) else {}),
                    "vllmConfig": config,
                }
            ],
        }
    }
    return (
        d.comment
        + d.token_note
        + "# helm repo add vllm https://vllm-project.github.io/production-stack\n"
        + (f"# helm install {d.name} vllm/vllm-stack -f THIS-FILE\n" + dump(values))
    )
