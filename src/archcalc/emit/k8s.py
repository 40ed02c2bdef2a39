"""A Kubernetes Deployment, or a LeaderWorkerSet for several machines, and its Service.

Source: the Kubernetes API reference, apps/v1 Deployment and v1 Service; tasks/manage-gpus/scheduling-gpus (GPUs are limits, and not
shared); a startup probe holds the others back until it succeeds (v1 Container, `startupProbe`). For several machines
kubernetes-sigs/lws 0.7, api/leaderworkerset/v1/leaderworkerset_types.go: `size` pods a group, LWS_LEADER_ADDRESS and LWS_WORKER_INDEX in
each of their containers.
"""

from __future__ import annotations

from typing import Any

from archcalc.emit import RESOURCES, SHARED, Deployment, dump, probe_steps, token


def write(d: Deployment) -> str:
    """Both in one file. A new pod starts once the old one has given its GPUs back."""
    labels = {"app.kubernetes.io/name": d.name}
    volumes: list[dict[str, Any]] = [SHARED[0]]
    mounts: list[dict[str, Any]] = [SHARED[1]]
    for n, folder in enumerate(d.folders):
        name = "model" if d.path is not None and not n else f"files-{n}"
        volumes.append({"name": name, "hostPath": {"path": folder, "type": "Directory"}})
        mounts.append({"name": name, "mountPath": folder, "readOnly": True})
    if d.path is None:
        # A claim in its place keeps the weights from one pod to the next. Of a group every pod is made anew where one is lost, and each
        # machine keeps what it has.
        kept = {"hostPath": {"path": "/var/cache/huggingface", "type": "DirectoryOrCreate"}} if d.nodes > 1 else {"emptyDir": {}}
        volumes.append({"name": "cache", **kept})
        mounts.append({"name": "cache", "mountPath": "/root/.cache/huggingface"})
    variables = token(d)
    variables += [{"name": name, "value": value} for name, value in d.environment]
    health = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10}
    container: dict[str, Any] = {
        "name": d.name,
        "image": d.image,
        "command": d.command,
        "args": d.arguments,
        **({"env": variables} if variables else {}),
        "ports": [{"name": "http", "containerPort": d.port}],
        "resources": {"limits": {RESOURCES[d.vendor]: d.gpus}},
        "startupProbe": {**health, "failureThreshold": probe_steps(d.start_s)},
        "readinessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 6},
        "volumeMounts": mounts,
    }
    if d.nodes > 1:
        return d.comment + d.token_note + dump(*_group(d, labels, container, volumes))
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
    return d.comment + d.token_note + dump(deployment, service)


def _group(
    d: Deployment, labels: dict[str, str], container: dict[str, Any], volumes: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A LeaderWorkerSet of one group, a pod on each machine, and a Service of its leader, which alone listens."""
    leader = {**labels, "role": "leader"}
    arguments = list(d.alone[d.program :])
    serving = {**container, "args": [*arguments, *_joined(d, "0")]}
    headless = ["--headless"] if "--master-addr" in d.words else []
    apart = ("ports", "startupProbe", "readinessProbe", "livenessProbe")
    working = {
        **{key: value for key, value in container.items() if key not in apart},
        "args": [*arguments, *_joined(d, "$(LWS_WORKER_INDEX)"), *headless],
    }
    group = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": d.name, "labels": labels},
        "spec": {
            "replicas": 1,
            "leaderWorkerTemplate": {
                "size": d.nodes,
                # One that is lost takes the others' ranks with it.
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {"metadata": {"labels": leader}, "spec": {"containers": [serving], "volumes": volumes}},
                "workerTemplate": {"metadata": {"labels": labels}, "spec": {"containers": [working], "volumes": volumes}},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        # The set's own name is that of the headless Service that its controller makes, by which its pods find each other
        # (lws, pkg/utils/controller/controller_utils.go `CreateHeadlessServiceIfNotExists`): one that stands there is taken for that.
        "metadata": {"name": f"{d.name}-leader", "labels": labels},
        "spec": {"selector": leader, "ports": [{"name": "http", "port": d.port, "targetPort": "http"}]},
    }
    return group, service


def _joined(d: Deployment, rank: str) -> list[str]:
    """What joins a machine to the others: vLLM 0.33, engine/arg_utils.py; SGLang 0.5.23, srt/server_args.py."""
    address = ["--dist-init-addr", "$(LWS_LEADER_ADDRESS):20000"]
    if "--dist-init-addr" not in d.words:
        address = ["--master-addr", "$(LWS_LEADER_ADDRESS)"]
    return ["--nnodes", str(d.nodes), "--node-rank", rank, *address]
