"""A Kubernetes Deployment and its Service.

Source: the Kubernetes API reference, apps/v1 Deployment and v1 Service; tasks/manage-gpus/scheduling-gpus (GPUs are limits, and not
shared); a startup probe holds the others back until it succeeds (v1 Container, `startupProbe`).
"""

from __future__ import annotations

import os
from typing import Any

from archcalc.emit import RESOURCES, Deployment, dump, probe_steps


def write(d: Deployment) -> str:
    """Both in one file. A new pod starts once the old one has given its GPUs back."""
    labels = {"app.kubernetes.io/name": d.name}
    volumes: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory"}}]
    mounts: list[dict[str, Any]] = [{"name": "shm", "mountPath": "/dev/shm"}]
    if d.path is not None:
        folder = os.path.dirname(d.path) if d.path.endswith(".gguf") else d.path
        volumes.append({"name": "model", "hostPath": {"path": folder, "type": "Directory"}})
        mounts.append({"name": "model", "mountPath": folder, "readOnly": True})
    else:
        # A claim in its place keeps the weights from one pod to the next.
        volumes.append({"name": "cache", "emptyDir": {}})
        mounts.append({"name": "cache", "mountPath": "/root/.cache/huggingface"})
    token = {"name": "hf-token", "key": "token", "optional": True}
    health = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10}
    container: dict[str, Any] = {
        "name": d.name,
        "image": d.image,
        "command": d.command,
        "args": d.arguments,
        **({"env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}}]} if d.gated else {}),
        "ports": [{"name": "http", "containerPort": d.port}],
        "resources": {"limits": {RESOURCES[d.vendor]: d.gpus}},
        "startupProbe": {**health, "failureThreshold": probe_steps(d.start_s)},
        "readinessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 6},
        "volumeMounts": mounts,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": d.name, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            # Else a rollout counts as failed before the weights are there.
            "progressDeadlineSeconds": d.start_s + 600,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": d.name, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": d.port, "targetPort": "http"}]},
    }
    token_note = "# A gated model needs: kubectl create secret generic hf-token --from-literal=token=$HF_TOKEN\n" if d.gated else ""
    return d.comment + token_note + dump(deployment, service)
