"""Values of llm-d's Helm chart, llm-d-modelservice.

Source: llm-d-incubation/llm-d-modelservice 3051935, charts/llm-d-modelservice/values.yaml and templates/_helpers.tpl: a container of
`modelCommand: custom` runs its own `command` and `args`; the GPUs are tensor x data of `parallelism`; the routing sidecar listens on
`routing.servicePort`, and the engine on `routing.proxy.targetPort`.
"""

from __future__ import annotations

from typing import Any

from archcalc.emit import RESOURCES, SHARED, Deployment, dump, hub_model, probe_steps, token


def write(d: Deployment) -> str:
    """One decode deployment, without a separate prefill."""
    model, behind = hub_model(d, "llm-d"), 8200
    words = list(d.arguments)
    words[words.index("--port") + 1] = str(behind)
    if "--served-model-name" not in words:
        words += ["--served-model-name", model]
    health = {"httpGet": {"path": "/health", "port": "metrics"}, "periodSeconds": 10}
    container: dict[str, Any] = {
        "name": "vllm",
        "image": d.image,
        "modelCommand": "custom",
        "command": d.command,
        "args": words,
        "ports": [{"containerPort": behind, "name": "metrics", "protocol": "TCP"}],
        "resources": {"limits": {RESOURCES[d.vendor]: str(d.gpus)}, "requests": {RESOURCES[d.vendor]: str(d.gpus)}},
        # `authSecretName` wants the secret to be there.
        **({"env": variables} if (variables := token(d)) else {}),
        "volumeMounts": [SHARED[1]],
        "mountModelVolume": True,
        "extraConfig": {
            "startupProbe": {**health, "failureThreshold": probe_steps(d.start_s)},
            "readinessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 3},
            "livenessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 6},
        },
    }
    values = {
        "multinode": False,
        "modelArtifacts": {
            "name": model,
            "uri": f"hf://{model}",
            "size": f"{-(-d.weights_bytes * 6 // (5 << 30))}Gi",
            "labels": {"llm-d.ai/inference-serving": "true", "llm-d.ai/model": d.name},
        },
        "accelerator": {"type": d.vendor if d.vendor != "intel" else "intel-xe"},
        "routing": {"servicePort": d.port, "proxy": {"enabled": True, "targetPort": behind}},
        "decode": {
            "create": True,
            "replicas": 1,
            "parallelism": {"tensor": d.gpus},
            "volumes": [SHARED[0]],
            "containers": [container],
        },
        "prefill": {"create": False},
    }
    return (
        d.comment
        + d.token_note
        + "# helm repo add llm-d-modelservice https://llm-d-incubation.github.io/llm-d-modelservice/\n"
        + (f"# helm install {d.name} llm-d-modelservice/llm-d-modelservice -f THIS-FILE\n" + dump(values))
    )
