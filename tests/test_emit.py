"""What `fit --emit` writes has the structure that is documented, and read back it is the same plan."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from archcalc.emit import KINDS, LOAD_S, RATE
from conftest import Run

# Cut down to what is emitted by scripts/build_schemas.py from what is published; sources and versions stand in the file.
SCHEMAS = json.loads((Path(__file__).parent / "data" / "schemas.json").read_text(encoding="utf-8"))
# kubernetes-sigs/lws 024af08, api/leaderworkerset/v1/leaderworkerset_types.go: `LeaderWorkerSetSpec`, `LeaderWorkerTemplate` and their
# kubebuilder marks; the pods' are the Kubernetes API's own.
_TEMPLATE = {
    "type": "object",
    "required": ["workerTemplate"],
    "properties": {
        "size": {"type": "integer"},
        "restartPolicy": {"enum": ["Default", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None"]},
        "leaderTemplate": SCHEMAS["PodTemplateSpec"],
        "workerTemplate": SCHEMAS["PodTemplateSpec"],
    },
    "additionalProperties": False,
}
LWS = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "leaderworkerset.x-k8s.io/v1"},
        "kind": {"const": "LeaderWorkerSet"},
        "metadata": SCHEMAS["Deployment"]["properties"]["metadata"],
        "spec": {
            "type": "object",
            "required": ["leaderWorkerTemplate"],
            "properties": {
                "replicas": {"type": "integer"},
                "leaderWorkerTemplate": _TEMPLATE,
                "startupPolicy": {"enum": ["LeaderCreated", "LeaderReady"]},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def container_of(values: dict[str, Any]) -> dict[str, Any]:
    """The container that llm-d's chart makes of its values (templates/_helpers.tpl): `extraConfig` is written into it as it stands."""
    own = {key: value for key, value in values.items() if key not in ("modelCommand", "mountModelVolume", "extraConfig")}
    return {**own, **values.get("extraConfig", {})}


def schema_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    name = document.get("kind", kind)
    found: dict[str, Any] = LWS if name == "LeaderWorkerSet" else SCHEMAS[name]
    return found


def wrong(document: Any, schema: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


def emitted(cli: Run, kind: str, call: str) -> str:
    done = cli("fit", *call.split(), "--emit", kind)
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
    ("modelfile", "qwen3-8b --gpu m4-max-36gb --quant q4_k_m --kv-dtype q8_0"),
    # Images that hold FlashInfer, the first and the last of them, and those beside.
    ("compose", "qwen3-8b --gpu h100 --ctx 16k --engine vllm --engine-version 0.8.4"),
    ("compose", "qwen3-8b --gpu h100 --ctx 16k --engine vllm --engine-version 0.11.0"),
    ("slurm", "qwen3-8b --gpu h100 --ctx 16k --engine vllm --engine-version 0.9.2"),
    ("compose", "qwen3-8b --gpu h100 --ctx 16k --engine vllm --engine-version 0.11.1"),
    ("mlx", "qwen3-8b --gpu m4-max-36gb --quant mlx-int4"),
]


@pytest.mark.parametrize(("kind", "call"), CALLS, ids=str)
def test_read_back_it_is_the_same_plan(kind: str, call: str, cli: Run, tmp_path: Path) -> None:
    """Through the command line both ways: what was asked, its file, and the file's own command."""
    name, _, rest = call.partition(" ")
    words = rest.split()
    asked = words if kind not in ("mlx", "modelfile") else [*words, "--engine", "mlx" if kind == "mlx" else "llama.cpp"]
    first = json.loads(cli("fit", name, *asked, "--format", "json").stdout)
    path = tmp_path / "plan"  # No name that says what it is.
    path.write_text(emitted(cli, kind, call), encoding="utf-8")
    gpu = words[words.index("--gpu") + 1]
    done = cli("fit", "--gpu", gpu, "--command-file", str(path), "--concurrency", str(first["concurrency"]), "--format", "json")
    again = json.loads(done.stdout)
    for key in ("gpu", "gpus", "engine", "plan", "context_tokens", "fits"):
        assert again[key] == first[key], key
    assert again["options"]["unmodelled"] == []
    if kind != "modelfile":  # Ollama has other defaults than llama-server.
        assert again["per_gpu"] == first["per_gpu"]


YAML = [(kind, call) for kind, call in CALLS if kind in ("compose", "k8s", "helm", "llm-d")]


@pytest.mark.parametrize(("kind", "call"), YAML, ids=str)
def test_yaml_is_valid_by_the_published_schemas(kind: str, call: str, cli: Run) -> None:
    for document in yaml.safe_load_all(emitted(cli, kind, call)):
        schema = schema_of(document, kind)
        assert wrong(document, schema) == []
        if kind == "llm-d":
            assert all(wrong(container_of(each), SCHEMAS["Container"]) == [] for each in document["decode"]["containers"])
        # What the schemas do not publish is found, wherever it stands.
        assert wrong({**document, "replica": 1}, schema) and wrong([], schema)


def places(value: Any, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects in a document whose keys are not free."""
    schema = next((each for each in schema.get("anyOf", []) if each.get("type") in ("object", "array")), schema)
    if isinstance(value, dict):
        if schema.get("additionalProperties") is False:
            yield value
        rest = schema.get("additionalProperties")
        for key, inner in value.items():
            yield from places(inner, schema.get("properties", {}).get(key) or (rest if isinstance(rest, dict) else {}))
    elif isinstance(value, list):
        for item in value:
            yield from places(item, schema.get("items", {}))


@pytest.mark.parametrize(("kind", "least"), [("compose", 7), ("k8s", 20), ("helm", 6), ("llm-d", 6)], ids=str)
def test_a_key_that_is_not_published_is_found_wherever_it_stands(kind: str, least: int, cli: Run) -> None:
    document = next(iter(yaml.safe_load_all(emitted(cli, kind, MODEL))))
    schema = schema_of(document, kind)
    found = list(places(document, schema))
    assert len(found) >= least
    for place in found:
        place["replica"] = 1
        assert wrong(document, schema)
        del place["replica"]


def test_gpus_image_port_and_probes_are_those_of_the_plan(cli: Run) -> None:
    plan = json.loads(cli("fit", *MODEL.split(), "--format", "json").stdout)
    weights = plan["per_gpu"]["weights_bytes"] * 2
    deployment, service = yaml.safe_load_all(emitted(cli, "k8s", MODEL))
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
    compose = yaml.safe_load(emitted(cli, "compose", f"{MODEL} --engine-version 0.31.0"))["services"]["qwen3-30b-a3b"]
    assert compose["image"] == "vllm/vllm-openai:v0.31.0"
    assert compose["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 2
    assert int(compose["healthcheck"]["start_period"][:-1]) >= LOAD_S + weights // RATE
    amd = yaml.safe_load(emitted(cli, "compose", "qwen3-8b --gpu mi300x --ctx 8k"))["services"]["qwen3-8b"]
    assert amd["devices"] == ["/dev/kfd", "/dev/dri"]
    assert "deploy" not in amd


def test_scripts_are_read_by_a_shell(cli: Run, tmp_path: Path) -> None:
    for kind, call in (("slurm", MODEL), ("mlx", "qwen3-8b --gpu m4-max --quant mlx-int4"), ("lmstudio", "qwen3-8b --gpu m4-max")):
        path = tmp_path / kind
        path.write_text(emitted(cli, kind, call), encoding="utf-8")
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    lines = (tmp_path / "slurm").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    # Slurm stops reading at the first line that is no comment.
    head = [line for line in lines if line.startswith("#SBATCH ")]
    assert lines[1 : 1 + len(head)] == head
    assert "#SBATCH --gpus-per-node=2" in head


def test_a_folder_is_mounted_where_it_stands(cli: Run, tmp_path: Path) -> None:
    from archcalc import zoo

    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(zoo.config("qwen3-0.6b")), encoding="utf-8")
    done = cli("fit", str(folder), "--gpu", "4090", "--ctx", "8k", "--emit", "compose")
    service = next(iter(yaml.safe_load(done.stdout)["services"].values()))
    assert service["volumes"] == [f"{folder}:{folder}:ro"]
    assert service["command"][0] == str(folder)
    (tmp_path / "compose.yaml").write_text(done.stdout, encoding="utf-8")
    again = cli("fit", "--gpu", "4090", "--command-file", str(tmp_path / "compose.yaml"), "--format", "json")
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
def test_what_no_file_can_be_written_for_is_refused(call: str, said: str, status: int, cli: Run) -> None:
    done = cli("fit", *call.split())
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "internal error" not in done.stderr


def test_every_kind_is_tried() -> None:
    assert {kind for kind, _ in CALLS} | {"lmstudio"} == KINDS.keys()


@pytest.mark.parametrize("kind", ["compose", "k8s", "helm", "llm-d", "slurm"])
def test_a_command_of_ones_own_is_deployed_as_it_stands(kind: str, cli: Run, tmp_path: Path) -> None:
    words = "vllm serve qwen3-30b-a3b -tp 2 --max-model-len 16384 --max-num-seqs 16 --port 9000 --enforce-eager".split()
    done = cli("fit", "--gpu", "2xh100", "--emit", kind, "--", *words)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "plan"
    path.write_text(done.stdout, encoding="utf-8")
    first = json.loads(cli("fit", "--gpu", "2xh100", "--format", "json", "--", *words).stdout)
    again = json.loads(cli("fit", "--gpu", "2xh100", "--command-file", str(path), "--format", "json").stdout)
    assert (again["plan"], again["per_gpu"]) == (first["plan"], first["per_gpu"])
    if kind == "k8s":
        pod, service = yaml.safe_load_all(done.stdout)
        container = pod["spec"]["template"]["spec"]["containers"][0]
        assert container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == 9000
        assert container["args"].count("--port") == 1


def test_a_command_that_no_chart_writes_is_refused(cli: Run) -> None:
    done = cli("fit", "--gpu", "h100", "--emit", "helm", "--", "vllm", "serve", "--model", "qwen3-8b")
    assert (done.returncode, "vllm serve MODEL" in done.stderr) == (2, True)
    done = cli("fit", "--gpu", "h100", "--emit", "compose", "--", "ollama", "run", "qwen3-8b")
    assert (done.returncode, "this is ollama" in done.stderr) == (2, True)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_on_several_nodes_each_has_its_rank_and_the_address_of_the_first(cli: Run, engine: str, tmp_path: Path) -> None:
    """srun(1): SLURM_NODEID is a task's node. The script is run with stand-ins that print what they are given; vLLM's others serve
    nothing (0.33, engine/arg_utils.py `--headless`)."""
    text = emitted(cli, "slurm", f"glm-4.6 --gpu 16xh100 --ctx 32k --engine {engine}")
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
def test_a_leader_and_its_workers_are_one_group(cli: Run, engine: str) -> None:
    """The Service is not named as the set: that is the name of the headless one by which its pods find each other (lws 024af08,
    pkg/utils/controller/controller_utils.go, which makes it only where none of the name stands)."""
    group, service = yaml.safe_load_all(emitted(cli, "k8s", f"glm-4.6 --gpu 16xh100 --ctx 32k --engine {engine}"))
    assert service["metadata"]["name"] == f"{group['metadata']['name']}-leader"
    template = group["spec"]["leaderWorkerTemplate"]
    leader, worker = (template[f"{role}Template"] for role in ("leader", "worker"))
    labels = service["spec"]["selector"].items()
    assert labels <= leader["metadata"]["labels"].items() and not labels <= worker["metadata"]["labels"].items()
    (serves,), (works,) = (each["spec"]["containers"] for each in (leader, worker))
    assert template["size"] == 2 and serves["resources"]["limits"] == works["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert serves["args"][serves["args"].index("--node-rank") + 1] == "0" and "--headless" not in serves["args"]
    assert works["args"][works["args"].index("--node-rank") + 1] == "$(LWS_WORKER_INDEX)"
    assert ("--headless" in works["args"]) is (engine == "vllm") and "readinessProbe" not in works


ON_70B = "fit llama-3.3-70b --gpu 4090 --ram 64GiB --ctx 8k"
SERVED = "fit --gpu 4090 --ram 64GiB --emit {} -- llama-server -m "
LOCAL = [
    (f"{ON_70B} --emit lmstudio", r"--context-length 8192 --gpu 0\.\d\d --yes"),
    (f"{ON_70B} --emit modelfile", r"PARAMETER num_ctx 8192\nPARAMETER num_gpu \d\d\n"),
    ("fit qwen3-8b --gpu 4090 --quant q8_0 --ctx 8k --emit lmstudio", "--gpu max --yes"),
    (SERVED.format("lmstudio") + "qwen3-8b-Q4_K_M.gguf -ngl 20 -c 8192 -np 1", r"20 of 37 layers[^$]*--gpu 0\.54 --yes"),
    (SERVED.format("lmstudio") + "qwen3-8b-Q4_K_M.gguf -ngl 0 -c 8192 -np 1", "--gpu off --yes"),
    (SERVED.format("modelfile") + "llama-3.3-70b-Q4_K_M.gguf -c 8192 -np 1", "PARAMETER num_gpu 4"),
    (
        SERVED.format("modelfile") + "qwen3-8b-Q4_K_M.gguf -c 8192 -np 2 -ctk q8_0 -ctv q8_0",
        "OLLAMA_NUM_PARALLEL=2 OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0",
    ),
    (SERVED.format("modelfile") + "qwen3-8b-Q4_K_M.gguf -c 8192 -np 1 --temp 0.6", "not in this file: --temp"),
    (
        "fit --gpu 4090 --emit modelfile -- llama-server -hf Qwen/Qwen3-8B-GGUF:Q4_K_M -c 8192",
        "FROM hf.co/Qwen/Qwen3-8B-GGUF:Q4_K_M\n",
    ),
    ("fit --gpu m4-max --emit mlx -- mlx_lm.server --model Qwen/Qwen3-8B --port 9000", r"--port 9000\n$"),
]
REFUSED = [
    ("fit gpt-oss-120b --gpu 4090 --ram 64GiB --ctx 32k --emit lmstudio", "--n-cpu-moe"),
    ("fit gpt-oss-120b --gpu 4090 --ram 64GiB --ctx 32k --emit modelfile", "--n-cpu-moe"),
    (SERVED.format("modelfile") + "gpt-oss-120b-MXFP4.gguf -c 8192 -np 1", "--n-cpu-moe"),
    (SERVED.format("lmstudio") + "qwen3-8b-Q4_K_M.gguf -c 8192 -ctk q8_0 -ctv q8_0", "--cache-type-k q8_0"),
    (SERVED.format("modelfile") + "qwen3-8b-Q4_K_M.gguf -c 8192 -ctk q8_0", "--cache-type-v f16"),
    (SERVED.format("modelfile") + "qwen3-8b-Q4_K_M.gguf -c 8192 -ctk q5_0 -ctv q5_0", "q5_0"),
    (SERVED.format("modelfile") + "qwen3-8b-Q4_K_M.gguf -c 8192 -ub 1024", "--ubatch-size 1024"),
    (SERVED.format("lmstudio") + "qwen3-8b-Q4_K_M.gguf -c 8192 -ngl 20 --no-kv-offload", "--no-kv-offload"),
    ("fit --gpu 4090 --emit lmstudio -- llama-server -hf Qwen/Qwen3-8B-GGUF:Q4_K_M -c 8192", "lms get"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), LOCAL)
def test_what_a_program_made_of_llama_cpp_is_told_of_the_plan(cli: Run, call: str, said: str) -> None:
    """Layers on the GPU as each program says them: LM Studio's share of layers (`lms load --gpu`), Ollama's `num_gpu`."""
    done = cli(*call.split()[:1], "--offline", *call.split()[1:])
    assert done.returncode == 0 and re.search(said, done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_it_has_no_words_for_is_refused_by_name(cli: Run, call: str, said: str) -> None:
    done = cli(*call.split()[:1], "--offline", *call.split()[1:])
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize(
    "model", ["gpt-oss-20b --gpu h100", "qwen3-32b --gpu 2xh100 --ctx 32k", "qwen3-32b --gpu 2xh100 --tp 1 --pp 2 --ctx 8k"]
)
@pytest.mark.parametrize("kind", ["k8s", "helm", "llm-d"])
def test_a_pod_starts_without_a_secret_and_with_shared_memory(kind: str, model: str, cli: Run) -> None:
    """A `secretKeyRef` without `optional` keeps a pod in CreateContainerConfigError (Kubernetes API reference, SecretKeySelector); of
    the charts vllm-stack's `hf_token` and llm-d-modelservice's `authSecretName` write such a one. vllm-stack mounts shared memory where
    `tensorParallelSize` is said (templates/deployment-vllm-multi.yaml), llm-d-modelservice none of its own."""
    text = cli("fit", *model.split(), "--emit", kind, "--offline").stdout
    assert "kubectl create secret generic hf-token --from-literal=token=$HF_TOKEN" in text
    assert "authSecretName" not in text and "hf_token:" not in text
    keys = re.findall(r"secretKeyRef:\n((?: +\w+: \S+\n)+)", text)
    assert keys and all("name: hf-token" in key and "key: token" in key and "optional: true" in key for key in keys)
    if "2x" in model:
        assert "/dev/shm" in text or "tensorParallelSize" in text


WHOLE = [
    # deepseek-ai/DeepSeek-V3, README: "685B, which includes 671B of the Main Model weights and 14B of the MTP module", in FP8.
    ("deepseek-v3 --gpu 8xh200 --ctx 32k --concurrency 8 --dp 8 --ep 8", 685e9),
    ("deepseek-v3 --gpu 8xh200 --ctx 32k --concurrency 8 --tp 8", 685e9),
    ("deepseek-v3 --gpu 8xh200 --ctx 32k --concurrency 8", 685e9),
    # 32.8 and 30.5 B parameters in bf16 (their cards), once for all replicas; the latter quantized as it loads.
    ("qwen3-32b --gpu 8xh100 --ctx 32k --concurrency 8 --dp 8", 2 * 32.8e9),
    ("qwen3-30b-a3b --gpu 2xh100 --ctx 16k --dp 2 --ep 2", 2 * 30.5e9),
    ("qwen3-30b-a3b --gpu 2xh100 --ctx 16k --quant fp8", 2 * 30.5e9),
]


@pytest.mark.parametrize(("call", "size"), WHOLE, ids=str)
def test_the_first_start_is_allowed_the_whole_checkpoint(call: str, size: float, cli: Run) -> None:
    pod = next(iter(yaml.safe_load_all(emitted(cli, "k8s", call))))["spec"]["template"]["spec"]["containers"][0]
    allowed = pod["startupProbe"]["failureThreshold"] * pod["startupProbe"]["periodSeconds"]
    assert LOAD_S + 0.99 * size / RATE < allowed < LOAD_S + 1.02 * size / RATE
    values = yaml.safe_load(emitted(cli, "llm-d", call))
    assert size < int(values["modelArtifacts"]["size"][:-2]) * 2**30 < 1.3 * size


def test_a_group_made_anew_does_not_download_again(cli: Run) -> None:
    """A pod's emptyDir ends with it (Kubernetes, concepts/storage/volumes), and a group's pods all end with one of them."""
    group = next(iter(yaml.safe_load_all(emitted(cli, "k8s", "glm-4.6 --gpu 16xh100 --ctx 32k"))))
    template = group["spec"]["leaderWorkerTemplate"]
    for role in ("leader", "worker"):
        volumes = {each["name"]: each for each in template[f"{role}Template"]["spec"]["volumes"]}
        assert "emptyDir" not in volumes["cache"]


# RFC 1035, 2.3.1, by which Kubernetes names Services (concepts/overview/working-with-objects/names).
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.mark.parametrize("name", ["7b.json", "My Model (v2).json", "ÄÖ.json", "a" * 90 + ".json", "-x-.json", "日本.json"])
def test_names_are_those_that_kubernetes_takes(name: str, cli: Run, tmp_path: Path) -> None:
    from archcalc import zoo

    path = tmp_path / name
    path.write_text(json.dumps(zoo.config("qwen3-0.6b")), encoding="utf-8")
    call = ["fit", str(path), "--gpu", "4090", "--ctx", "8k", "--quant", "awq"]
    for document in yaml.safe_load_all(cli(*call, "--emit", "k8s").stdout):
        assert _LABEL.fullmatch(document["metadata"]["name"])
        for pod in document["spec"].get("template", {}).get("spec", {}).get("containers", []):
            assert _LABEL.fullmatch(pod["name"])
            # A placeholder is one word of the arguments.
            assert re.fullmatch(r"<[^\s<>]+-in-awq>", pod["args"][0]) and pod["args"][1] == "--max-model-len"
    # A script quotes it, and the command has it as it is.
    script = cli(*call, "--emit", "slurm").stdout
    assert re.search(r"vllm serve '<[^\s<>]+-in-awq>'", script)
    assert re.match(r"vllm serve <[^\s<>]+-in-awq> --", json.loads(cli(*call, "--format", "json").stdout)["command"])


@pytest.mark.parametrize(
    ("quant", "bits"), [("q4_k_m", 4), ("q8_0", 8), ("q6_k", 6), ("mlx-4bit", 4), ("mlx-int4", 4), ("mlx_8bit", 8)], ids=str
)
def test_mlx_is_told_of_by_its_own_storage(quant: str, bits: int, cli: Run) -> None:
    """mlx-lm 0.32.2 reads no GGUF; convert.py's `--q-bits` makes what it serves."""
    call = f"qwen3-8b --gpu m4-max-36gb --engine mlx --quant {quant} --ctx 8k"
    made = json.loads(cli("fit", *call.split(), "--format", "json").stdout)
    assert made["plan"]["quant"] == f"mlx-int{bits}"
    assert made["command"] == f"mlx_lm.server --model <Qwen3-8B-in-mlx-int{bits}>"
    assert any(f"in mlx-int{bits}" in note for note in made["notes"])
    assert any("reads no GGUF" in note for note in made["notes"]) is quant.startswith("q")
    assert f"-q --q-bits {bits}\n" in emitted(cli, "mlx", call)


FILES = "--offline --gpu 4090 --emit"


@pytest.mark.parametrize("kind", ["compose", "k8s", "slurm"])
@pytest.mark.parametrize(
    ("command", "words", "folders"),
    [
        (
            "llama-server -m /m/Qwen3-8B-Q4_K_M.gguf -c 8192 -md /d/Qwen3-0.6B-Q8_0.gguf --lora /l/a.gguf --chat-template-file /t/c.jinja",
            ["/m/Qwen3-8B-Q4_K_M.gguf", "/d/Qwen3-0.6B-Q8_0.gguf", "/l/a.gguf", "/t/c.jinja"],
            ["/m", "/d", "/l", "/t"],
        ),
        ("llama-server -m /m/Qwen3-8B-Q4_K_M.gguf -c 8192 --mmproj /m/p/mm.gguf", ["/m/p/mm.gguf"], ["/m"]),
        (
            "vllm serve qwen3-8b --max-model-len 8192 --chat-template ./t.jinja --enable-lora --lora-modules a=/l/a b=org/x",
            ["Qwen/Qwen3-8B", "{here}/t.jinja", "a=/l/a", "b=org/x"],
            ["{here}", "/l/a"],
        ),
        ("sglang serve --model-path qwen3-4b --context-length 8192 --chat-template /t/c.jinja", ["Qwen/Qwen3-4B"], ["/t"]),
        (
            "vllm serve Qwen/Qwen3-8B --max-model-len 8192 --tokenizer qwen3-0.6b",
            ["Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B"],
            [],
        ),
    ],
)  # fmt: skip
def test_what_a_command_reads_is_there(
    kind: str, command: str, words: list[str], folders: list[str], cli: Run, tmp_path: Path
) -> None:
    done = cli("fit", *FILES.split(), kind, "--", *command.split())
    assert done.returncode == 0, done.stderr
    here = re.search(r"(\S+)/t\.jinja", done.stdout)
    named = [word.format(here=here[1] if here else "") for word in words]
    mounted = [folder.format(here=here[1] if here else "") for folder in folders]
    assert all(re.search(rf"(?<![\w/]){re.escape(word)}(?!\w)", done.stdout) for word in named)
    if kind == "slurm":
        found = re.search(r"--bind (\S+)", done.stdout)
        assert (found[1].split(",") if found else []) == mounted
        return
    document = next(yaml.safe_load_all(done.stdout))
    if kind == "compose":
        (service,) = document["services"].values()
        assert [v.partition(":")[0] for v in service["volumes"] if v.endswith(":ro")] == mounted
    else:
        pod = document["spec"]["template"]["spec"]
        assert [v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v] == mounted
        assert {m["name"] for m in pod["containers"][0]["volumeMounts"]} == {v["name"] for v in pod["volumes"]}


@pytest.mark.parametrize("kind", ["helm", "llm-d"])
def test_a_chart_that_mounts_nothing_refuses_files(kind: str, cli: Run) -> None:
    done = cli("fit", *FILES.split(), kind, "--", *"vllm serve qwen3-8b --max-model-len 8192 --chat-template /t/c.jinja".split())
    assert (done.returncode, done.stdout) == (2, "") and "/t/c.jinja" in done.stderr


def test_a_command_in_an_image_is_judged_as_in_it(cli: Run) -> None:
    """vLLM 0.9.2, docker/Dockerfile: FlashInfer is in it, and samples."""
    words = "vllm serve Qwen/Qwen3-8B --max-model-len 8192".split()
    done = cli("fit", "--offline", "--gpu", "4090", "--engine-version", "0.9.2", "--emit", "compose", "--", *words)
    assert "FLASHINFER" not in done.stdout and done.returncode == 0


def test_mlx_s_script_starts_a_second_time(cli: Run, tmp_path: Path) -> None:
    """mlx-lm 0.32.2, mlx_lm/convert.py: a folder that exists is an error."""
    script = cli("fit", "qwen3-8b", "--gpu", "m4-16gb", "--engine", "mlx", "--quant", "mlx-int4", "--emit", "mlx").stdout
    assert "mlx_lm.convert" in script
    programs = {
        "mlx_lm.convert": 'while [ "$1" != --mlx-path ]; do shift; done; mkdir "$2"',
        "mlx_lm.server": "true",
    }
    (tmp_path / "bin").mkdir()
    for name, body in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for _ in range(2):
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["compose", "k8s", "slurm", "modelfile", "lmstudio"])
@pytest.mark.parametrize("flags", ["-m qwen3-8b", "--model Qwen/Qwen3-8B"])
def test_a_bundled_name_that_llama_server_was_given_is_written_as_a_file(cli: Run, kind: str, flags: str) -> None:
    words = f"fit --offline --gpu 4090 --quant q4_k_m --emit {kind} -- llama-server {flags} -c 8192 -np 1"
    text = cli(*words.split()).stdout
    assert "Qwen3-8B-Q4_K_M" in text and not re.search(r"(-m|--model|hf\.co/)[ \n-]*(qwen3-8b|Qwen/Qwen3-8B)\b(?!-)", text)


# The last releases that have a flag, and the first without it: vLLM's and SGLang's own argument parsers of those releases
# (vllm/engine/arg_utils.py, vllm/entrypoints/openai/cli_args.py, sglang/srt/server_args.py).
@pytest.mark.parametrize("kind", ["compose", "k8s", "slurm", "helm", "llm-d"])
@pytest.mark.parametrize(
    ("command", "image", "says"),
    [
        ("vllm serve qwen3-8b --max-model-len 16384 --swap-space 4", "vllm/vllm-openai:v0.17.0", "--swap-space"),
        ("vllm serve qwen3-8b --max-model-len 16384 --task generate", "vllm/vllm-openai:v0.12.0", "--task"),
        (
            "python -m sglang.launch_server --model-path qwen3-30b-a3b --tp 2 --enable-ep-moe",
            "lmsysorg/sglang:v0.5.4",
            "--enable-ep-moe",
        ),
        ("docker run --gpus all vllm/vllm-openai:v0.12.0 --model qwen3-8b --max-model-len 8192", "vllm/vllm-openai:v0.12.0", ""),
        ("llama-server -m Qwen3-8B-Q4_K_M.gguf -c 8192 -fa", "ghcr.io/ggml-org/llama.cpp:server-cuda", "-fa on"),
    ],
)
def test_the_image_is_of_the_release_that_was_judged(kind: str, command: str, image: str, says: str, cli: Run) -> None:
    engine = "vllm" if "vllm" in command else "sglang" if "sglang" in command else "llama.cpp"
    if engine not in KINDS[kind].engines:
        pytest.skip("another engine's file")
    done = cli("fit", "--gpu", "2xh100", "--emit", kind, "--", *command.split())
    assert done.returncode == 0, done.stderr
    head = "".join(line for line in done.stdout.splitlines(True) if line.startswith("#"))
    assert re.search(rf"{re.escape(image)}\s", head) and says in head
    assert {":".join(found) for found in re.findall(r"(vllm/vllm-openai|lmsysorg/sglang):(\S+)", done.stdout)} <= {image}
    assert engine != "llama.cpp" or re.search(r"-fa\W+on\b", done.stdout.replace(head, ""))


@pytest.mark.parametrize(
    ("call", "image"),
    [
        # vLLM's images are of all three numbers; those of llama.cpp have a build's tag behind their own (.github/workflows/docker.yml).
        ("qwen3-8b --engine vllm --engine-version 0.17", "vllm/vllm-openai:v0.17.0"),
        (
            "--engine-version b6000 -- llama-server -m Qwen3-8B-Q4_K_M.gguf -c 8192 -fa",
            "ghcr.io/ggml-org/llama.cpp:server-cuda-b6000",
        ),
    ],
)
def test_a_release_is_spelled_as_its_images_are(call: str, image: str, cli: Run) -> None:
    done = cli("fit", "--gpu", "h100", "--emit", "compose", *call.split())
    assert f"image: {image}\n" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        # ollama, docs/modelfile.mdx (FROM, PARAMETER num_ctx), docs/faq.mdx (what the server's variables are).
        ("OLLAMA_CONTEXT_LENGTH=8192 ollama run qwen3:8b", ["FROM qwen3:8b", "PARAMETER num_ctx 8192"]),
        (
            "OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0 OLLAMA_NUM_PARALLEL=2 ollama run gemma3:4b",
            ["# OLLAMA_NUM_PARALLEL=2 OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0 ollama serve", "FROM gemma3:4b"],
        ),
    ],
)
def test_a_command_of_ollama_is_a_modelfile(command: str, lines: list[str], cli: Run) -> None:
    done = cli("fit", "--offline", "--gpu", "4090", "--emit", "modelfile", "--", *command.split())
    assert done.returncode == 0, done.stderr
    assert set(lines) <= set(done.stdout.splitlines())
