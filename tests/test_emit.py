"""What `fit --emit` writes has the structure that is documented, and read back it is the same plan."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from archcalc.emit import KINDS, LOAD_S, RATE
from conftest import Run

# Structures as their sources document them: allowed keys with what they hold; a list holds items of its one kind, `None` anything, and
# "!" marks keys that have to be there.
PROBE = {
    "httpGet!": {"path!": str, "port!": (int, str)},
    "periodSeconds": int,
    "failureThreshold": int,
    "timeoutSeconds": int,
    "initialDelaySeconds": int,
}
CONTAINER = {
    "name!": str, "image!": str, "command": [str], "args": [str], "env": [{"name!": str, "value": str, "valueFrom": None}],
    "ports": [{"name": str, "containerPort!": int, "protocol": str}],
    "resources": {"limits": None, "requests": None},
    "startupProbe": PROBE, "readinessProbe": PROBE, "livenessProbe": PROBE,
    "volumeMounts": [{"name!": str, "mountPath!": str, "readOnly": bool}],
}  # fmt: skip
# The Kubernetes API reference, apps/v1 Deployment and v1 Service.
METADATA = {"name!": str, "labels": None}
DEPLOYMENT = {
    "apiVersion!": "apps/v1", "kind!": "Deployment", "metadata!": METADATA,
    "spec!": {
        "replicas": int, "strategy": {"type!": "Recreate"}, "progressDeadlineSeconds": int, "selector!": {"matchLabels!": None},
        "template!": {
            "metadata!": {"labels!": None},
            "spec!": {"containers!": [CONTAINER], "volumes": [{"name!": str, "emptyDir": None, "hostPath": {"path!": str, "type": str}}]},
        },
    },
}  # fmt: skip
SERVICE = {
    "apiVersion!": "v1", "kind!": "Service", "metadata!": METADATA,
    "spec!": {"selector!": None, "ports!": [{"name": str, "port!": int, "targetPort": (int, str)}]},
}  # fmt: skip
# The Compose specification, 05-services.md and deploy.md.
COMPOSE = {
    "services!": {
        "*": {
            "image!": str, "entrypoint": [str], "command": [str], "ports": [str], "ipc": str, "restart": str, "environment": None,
            "volumes": [str], "devices": [str], "group_add": [str], "security_opt": [str],
            "healthcheck": {"test!": [str], "interval": str, "timeout": str, "retries": int, "start_period": str},
            "deploy": {"resources!": {"reservations!": {"devices!": [{"driver": str, "count": int, "capabilities!": [str]}]}}},
        }
    }
}  # fmt: skip
# vllm-project/production-stack a6c01db, helm/values.schema.json: `servingEngineSpec`.
MODEL_SPEC = {
    "name!": str, "repository!": str, "tag!": str, "modelURL!": str, "modelRevision": str, "replicaCount!": int, "requestCPU!": int,
    "requestMemory!": str, "requestGPU!": int, "requestGPUType": str, "hf_token": {"secretName!": str, "secretKey!": str},
    "vllmConfig": {"enablePrefixCaching": bool, "maxModelLen": int, "tensorParallelSize": int, "maxNumSeqs": int, "extraArgs": [str]},
}  # fmt: skip
HELM = {
    "servingEngineSpec!": {
        "containerPort": int, "startupProbe": PROBE, "livenessProbe": PROBE, "readinessProbe": PROBE, "modelSpec!": [MODEL_SPEC],
    }
}  # fmt: skip
# llm-d-incubation/llm-d-modelservice 3051935, charts/llm-d-modelservice/values.schema.json and values.yaml.
LLMD = {
    "multinode": bool,
    "modelArtifacts!": {"name!": str, "uri!": str, "size!": str, "authSecretName": str, "labels": None},
    "accelerator": {"type!": str},
    "routing!": {"servicePort!": int, "proxy!": {"enabled": bool, "targetPort!": int}},
    "decode!": {
        "create": bool, "replicas": int, "parallelism": {"tensor": int},
        "containers!": [
            {
                **{k: v for k, v in CONTAINER.items() if "Probe" not in k and k != "volumeMounts"},
                "modelCommand!": "custom", "mountModelVolume": bool,
                "extraConfig": {"startupProbe": PROBE, "readinessProbe": PROBE, "livenessProbe": PROBE},
            }
        ],
    },
    "prefill": {"create": bool},
}  # fmt: skip


def conforms(value: Any, shape: Any, at: str = "") -> None:
    if shape is None:
        return
    if isinstance(shape, dict):
        assert isinstance(value, dict), at
        allowed = {key.rstrip("!"): inner for key, inner in shape.items()}
        for key in value:
            assert isinstance(key, str), at
            assert key in allowed or "*" in allowed, f"{at}.{key}"
            conforms(value[key], allowed.get(key, allowed.get("*")), f"{at}.{key}")
        assert {key[:-1] for key in shape if key.endswith("!")} <= value.keys(), at
    elif isinstance(shape, list):
        assert isinstance(value, list), at
        for i, item in enumerate(value):
            conforms(item, shape[0], f"{at}[{i}]")
    elif isinstance(shape, str):
        assert value == shape, at
    else:
        assert isinstance(value, shape), f"{at}: {value!r}"
        assert not isinstance(value, bool) or shape is bool, at


def emitted(run: Run, kind: str, call: str) -> str:
    done = run("fit", *call.split(), "--emit", kind)
    assert done.returncode == 0, done.stderr
    return done.stdout


MODEL = "qwen3-30b-a3b --gpu 2xh100 --ctx 16k"
CALLS = [
    ("compose", MODEL),
    ("k8s", MODEL),
    ("helm", MODEL),
    ("slurm", MODEL),
    ("llm-d", MODEL),
    ("compose", "gpt-oss-120b --gpu h100"),
    ("helm", "gpt-oss-120b --gpu h100"),
    ("k8s", "qwen3-30b-a3b --gpu 2xh100 --engine sglang --kv-dtype fp8 --ctx 16k"),
    ("helm", "deepseek-v3 --gpu 8xh200 --tp 1 --dp 8 --ep 8 --ctx 8k --kv-dtype fp8 --concurrency 8"),
    ("llm-d", "deepseek-v3 --gpu 8xh200 --tp 1 --dp 8 --ep 8 --ctx 8k --kv-dtype fp8 --concurrency 8"),
    ("compose", "qwen3-8b --gpu 4060"),
    ("slurm", "qwen3-8b --gpu 4060 --kv-dtype q8_0"),
    ("compose", "qwen3-8b --gpu rx-7900-xtx --engine llama.cpp"),
    ("k8s", "qwen3-8b --gpu mi300x --ctx 32k --utilization 0.8"),
    ("slurm", "glm-4.6 --gpu 16xh100 --ctx 32k"),
    ("k8s", "glm-4.6 --gpu 16xh100 --ctx 32k"),
    ("k8s", "glm-4.6 --gpu 16xh100 --ctx 32k --engine sglang"),
    ("slurm", "glm-4.6 --gpu 16xh100 --ctx 32k --engine sglang"),
    ("modelfile", "qwen3-8b --gpu m4-max-36gb --quant q4_k_m"),
    ("mlx", "qwen3-8b --gpu m4-max-36gb --quant mlx-int4"),
]


@pytest.mark.parametrize(("kind", "call"), CALLS, ids=str)
def test_read_back_it_is_the_same_plan(kind: str, call: str, run: Run, tmp_path: Path) -> None:
    """Through the command line both ways: what was asked, its file, and the file's own command."""
    name, _, rest = call.partition(" ")
    words = rest.split()
    asked = words if kind not in ("mlx", "modelfile") else [*words, "--engine", "mlx" if kind == "mlx" else "llama.cpp"]
    first = json.loads(run("fit", name, *asked, "--format", "json").stdout)
    path = tmp_path / "plan"
    path.write_text(emitted(run, kind, call), encoding="utf-8")
    gpu = words[words.index("--gpu") + 1]
    done = run("fit", "--gpu", gpu, "--command-file", str(path), "--concurrency", str(first["concurrency"]), "--format", "json")
    again = json.loads(done.stdout)
    for key in ("gpu", "gpus", "engine", "plan", "context_tokens", "fits"):
        assert again[key] == first[key], key
    assert again["options"]["unmodelled"] == []
    if kind != "modelfile":  # Ollama has other defaults than llama-server.
        assert again["per_gpu"] == first["per_gpu"]


@pytest.mark.parametrize(
    ("kind", "shape"), [("compose", [COMPOSE]), ("k8s", [DEPLOYMENT, SERVICE]), ("helm", [HELM]), ("llm-d", [LLMD])]
)
@pytest.mark.parametrize(
    "call", ["qwen3-30b-a3b --gpu 2xh100", "gpt-oss-120b --gpu h100", "qwen3-8b --gpu mi300x --ctx 32k --kv-dtype fp8"]
)
def test_yaml_has_the_documented_structure(kind: str, shape: list[Any], call: str, run: Run) -> None:
    documents = list(yaml.safe_load_all(emitted(run, kind, call)))
    assert len(documents) == len(shape)
    for document, each in zip(documents, shape, strict=True):
        conforms(document, each)


def test_a_key_that_is_not_documented_is_found() -> None:
    with pytest.raises(AssertionError, match="replica"):
        conforms(
            {**yaml.safe_load("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selector: {}, ports: []}"), "replica": 1},
            SERVICE,
        )


def test_gpus_image_port_and_probes_are_those_of_the_plan(run: Run) -> None:
    plan = json.loads(run("fit", *MODEL.split(), "--format", "json").stdout)
    weights = plan["per_gpu"]["weights_bytes"] * 2
    deployment, service = yaml.safe_load_all(emitted(run, "k8s", MODEL))
    pod = deployment["spec"]["template"]["spec"]["containers"][0]
    assert pod["resources"]["limits"] == {"nvidia.com/gpu": 2}
    assert pod["image"] == "vllm/vllm-openai:v0.33.0"
    assert (
        pod["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == int(pod["args"][pod["args"].index("--port") + 1])
    )
    assert pod["command"] + pod["args"][:-2] == shlex.split(plan["command"])
    # 61 GB at 100 MB/s, and the time to load them: no probe may end the pod before that.
    allowed = pod["startupProbe"]["failureThreshold"] * pod["startupProbe"]["periodSeconds"]
    assert LOAD_S + weights / RATE <= allowed < LOAD_S + weights / RATE + 30
    assert deployment["spec"]["progressDeadlineSeconds"] > allowed
    assert (
        deployment["spec"]["selector"]["matchLabels"]
        == service["spec"]["selector"]
        == deployment["spec"]["template"]["metadata"]["labels"]
    )
    compose = yaml.safe_load(emitted(run, "compose", f"{MODEL} --engine-version 0.31.0"))["services"]["qwen3-30b-a3b"]
    assert compose["image"] == "vllm/vllm-openai:v0.31.0"
    assert compose["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 2
    assert int(compose["healthcheck"]["start_period"][:-1]) >= LOAD_S + weights // RATE
    amd = yaml.safe_load(emitted(run, "compose", "qwen3-8b --gpu mi300x --ctx 8k"))["services"]["qwen3-8b"]
    assert amd["devices"] == ["/dev/kfd", "/dev/dri"]
    assert "deploy" not in amd


def test_scripts_are_read_by_a_shell(run: Run, tmp_path: Path) -> None:
    for kind, call in (("slurm", MODEL), ("mlx", "qwen3-8b --gpu m4-max --quant mlx-int4"), ("lmstudio", "qwen3-8b --gpu m4-max")):
        path = tmp_path / kind
        path.write_text(emitted(run, kind, call), encoding="utf-8")
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    lines = (tmp_path / "slurm").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    # Slurm stops reading at the first line that is no comment.
    head = [line for line in lines if line.startswith("#SBATCH ")]
    assert lines[1 : 1 + len(head)] == head
    assert "#SBATCH --gpus-per-node=2" in head


def test_a_folder_is_mounted_where_it_stands(run: Run, tmp_path: Path) -> None:
    from archcalc import zoo

    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(zoo.config("qwen3-0.6b")), encoding="utf-8")
    done = run("fit", str(folder), "--gpu", "4090", "--ctx", "8k", "--emit", "compose")
    service = next(iter(yaml.safe_load(done.stdout)["services"].values()))
    assert service["volumes"] == [f"{folder}:{folder}:ro"]
    assert service["command"][0] == str(folder)
    (tmp_path / "compose.yaml").write_text(done.stdout, encoding="utf-8")
    again = run("fit", "--gpu", "4090", "--command-file", str(tmp_path / "compose.yaml"), "--format", "json")
    assert json.loads(again.stdout)["context_tokens"] == 8192


@pytest.mark.parametrize(
    ("call", "said", "status"),
    [
        ("qwen3-8b --gpu m4-max --emit compose", "containers on a Mac see no GPU", 2),
        ("llama-3.1-405b --gpu 16xh100 --ctx 8k --emit compose", "the plan takes 2", 2),
        ("qwen3-8b --gpu h100 --engine sglang --emit helm", "--emit helm starts vllm", 2),
        ("qwen3-8b --gpu h100 --emit shell", "one of compose", 2),
        ("llama-3.1-405b --gpu h100 --emit k8s", "does not fit", 1),
        ("qwen3-8b qwen3-4b --gpu h100 --emit k8s", "one model on one machine", 2),
        ("qwen3-8b --gpu h100,h200 --emit k8s", "one model on one machine", 2),
        ("qwen3-8b --gpu mi300x --engine sglang --ctx 8k --emit k8s", "--image", 2),
        ("qwen3-8b --vram 24GiB --emit compose --image x", "name a listed card", 2),
        ("qwen3-8b --gpu h100 --image x", "--emit", 2),
        ("qwen3-8b --gpu h100 --emit k8s --format json", "--format", 2),
        ("--gpu h100 --emit k8s", "name a model", 2),
    ],
)
def test_what_no_file_can_be_written_for_is_refused(call: str, said: str, status: int, run: Run) -> None:
    done = run("fit", *call.split())
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "internal error" not in done.stderr


def test_every_kind_is_tried() -> None:
    assert {kind for kind, _ in CALLS} | {"lmstudio"} == KINDS.keys()


@pytest.mark.parametrize("kind", ["compose", "k8s", "helm", "llm-d", "slurm"])
def test_a_command_of_ones_own_is_deployed_as_it_stands(kind: str, run: Run, tmp_path: Path) -> None:
    words = "vllm serve qwen3-30b-a3b -tp 2 --max-model-len 16384 --max-num-seqs 16 --port 9000 --enforce-eager".split()
    done = run("fit", "--gpu", "2xh100", "--emit", kind, "--", *words)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "plan"
    path.write_text(done.stdout, encoding="utf-8")
    first = json.loads(run("fit", "--gpu", "2xh100", "--format", "json", "--", *words).stdout)
    again = json.loads(run("fit", "--gpu", "2xh100", "--command-file", str(path), "--format", "json").stdout)
    assert (again["plan"], again["per_gpu"]) == (first["plan"], first["per_gpu"])
    if kind == "k8s":
        pod, service = yaml.safe_load_all(done.stdout)
        container = pod["spec"]["template"]["spec"]["containers"][0]
        assert container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == 9000
        assert container["args"].count("--port") == 1


def test_a_command_that_no_chart_writes_is_refused(run: Run) -> None:
    done = run("fit", "--gpu", "h100", "--emit", "helm", "--", "vllm", "serve", "--model", "qwen3-8b")
    assert (done.returncode, "vllm serve MODEL" in done.stderr) == (2, True)
    done = run("fit", "--gpu", "h100", "--emit", "compose", "--", "ollama", "run", "qwen3-8b")
    assert (done.returncode, "this is ollama" in done.stderr) == (2, True)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_on_several_nodes_each_has_its_rank_and_the_address_of_the_first(run: Run, engine: str, tmp_path: Path) -> None:
    """srun(1): SLURM_NODEID is a task's node. The script is run with stand-ins that print what they are given; vLLM's others serve
    nothing (0.33, engine/arg_utils.py `--headless`)."""
    text = emitted(run, "slurm", f"glm-4.6 --gpu 16xh100 --ctx 32k --engine {engine}")
    assert "#SBATCH --nodes=2\n" in text and "#SBATCH --gpus-per-node=8\n" in text
    stands = {
        "srun": 'shift; for i in 0 1; do SLURM_NODEID=$i "$@"; done',
        "scontrol": "printf 'a1\\na2\\n'",
        "apptainer": 'echo "RUN $*"',
    }
    for name, body in stands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_NODELIST": "a[1-2]"}
    done = subprocess.run(["bash", "-c", text], env=env, capture_output=True, text=True, check=True)
    first, second = (shlex.split(line) for line in done.stdout.splitlines() if line.startswith("RUN "))
    address = ["--master-addr", "a1"] if engine == "vllm" else ["--dist-init-addr", "a1:20000"]
    assert first[first.index("--nnodes") :] == ["--nnodes", "2", "--node-rank", "0", *address]
    assert second[second.index("--nnodes") :] == [
        "--nnodes",
        "2",
        "--node-rank",
        "1",
        *address,
        *["--headless"][: engine == "vllm"],
    ]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_leader_and_its_workers_are_one_group(run: Run, engine: str) -> None:
    """kubernetes-sigs/lws 0.7, leaderworkerset_types.go; the pods' and the Service's structure is that of the Kubernetes API."""
    pod = {"metadata!": {"labels!": None}, "spec!": DEPLOYMENT["spec!"]["template!"]["spec!"]}  # type: ignore[index]
    shape = {
        "apiVersion!": "leaderworkerset.x-k8s.io/v1", "kind!": "LeaderWorkerSet", "metadata!": METADATA,
        "spec!": {
            "replicas": int,
            "leaderWorkerTemplate!": {
                "size!": int, "restartPolicy": "RecreateGroupOnPodRestart", "leaderTemplate": pod, "workerTemplate!": pod,
            },
        },
    }  # fmt: skip
    group, service = yaml.safe_load_all(emitted(run, "k8s", f"glm-4.6 --gpu 16xh100 --ctx 32k --engine {engine}"))
    conforms(group, shape)
    conforms(service, SERVICE)
    template = group["spec"]["leaderWorkerTemplate"]
    leader, worker = (template[f"{role}Template"] for role in ("leader", "worker"))
    labels = service["spec"]["selector"].items()
    assert labels <= leader["metadata"]["labels"].items() and not labels <= worker["metadata"]["labels"].items()
    (serves,), (works,) = (each["spec"]["containers"] for each in (leader, worker))
    assert template["size"] == 2 and serves["resources"]["limits"] == works["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert serves["args"][serves["args"].index("--node-rank") + 1] == "0" and "--headless" not in serves["args"]
    assert works["args"][works["args"].index("--node-rank") + 1] == "$(LWS_WORKER_INDEX)"
    assert ("--headless" in works["args"]) is (engine == "vllm") and "readinessProbe" not in works
