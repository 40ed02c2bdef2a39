"""Hosts and what joins them: the compute trays of a rack, and commands that start more ranks than a host has GPUs.

Expected values are the makers' and the engines' own: NVIDIA's and AMD's descriptions of their racks, vLLM's config/parallel.py and
engine/arg_utils.py, SGLang's srt/entrypoints/engine.py, as each test says.
"""

from __future__ import annotations

import json
import re
import shlex

import pytest

from archcalc import hardware
from archcalc.engines.hosts import most
from conftest import Run

# GPUs that one operating system sees, and those that the rack's link joins: NVIDIA's GB200, GB300 and Vera Rubin NVL72 have 18 compute
# trays of 4 (two superchips of two, or of one Rubin package each), AMD's Helios 18 trays of 4 MI455X.
RACKS = [("gb200", 4, 72), ("gb300", 4, 72), ("rubin", 4, 72), ("mi455x", 4, 72)]


@pytest.mark.parametrize(("name", "tray", "domain"), RACKS)
def test_a_rack_s_trays_are_hosts_that_its_link_joins(name: str, tray: int, domain: int) -> None:
    device = hardware.device(name)
    assert (device.per_host, device.per_machine, device.domain) == (tray, domain, domain)
    for count, hosts, networked in (
        (1, 1, False),
        (tray, 1, False),
        (2 * tray, 2, False),
        (domain, 18, False),
        (2 * domain, 36, True),
    ):
        spec = hardware.parse_spec(f"{count}x{name}")
        assert (spec.nodes, spec.networked) == (hosts, networked)


@pytest.mark.parametrize(
    "name", ["gb200-nvl72", "gb300-nvl72", "vera-rubin-nvl72", "Standard_ND128isr_NDR_GB200_v6", "a4x-highgpu-4g"]
)
def test_instances_of_racks_have_hosts_of_four(name: str) -> None:
    spec = hardware.parse_spec(name)
    assert spec.nodes == spec.count // 4


@pytest.mark.parametrize("device", hardware.devices(), ids=lambda d: d.id)
def test_no_host_has_more_gpus_than_any_server(device: hardware.Device) -> None:
    """16 are the most that one operating system was sold with: HGX-2, an A16 board four times over, an AWS Trn2; NVIDIA's racks are
    no host. AWS's Trn3 UltraServer is counted whole, as no engine here plans for it."""
    assert device.per_host <= 16 or device.category == "asic"
    assert device.per_machine >= device.per_host


def fit(cli: Run, *words: str, command: str = "") -> dict:  # type: ignore[type-arg]
    own = ("--", *shlex.split(command)) if command else ()
    return json.loads(cli("fit", "--offline", "--format", "json", *words, *own).stdout)  # type: ignore[no-any-return]


PLANS = [
    # Tensor parallelism over the trays of one rack is over NVLink: a plan of the engine, and a process on every tray.
    (engine, f"{count}x{gpu}", nodes)
    for engine in ("vllm", "sglang")
    for gpu, count, nodes in (("gb200", 4, 1), ("gb200", 8, 2), ("gb300", 16, 4), ("rubin", 8, 2), ("h100", 8, 1), ("h100", 16, 2))
]


@pytest.mark.parametrize(("engine", "gpu", "nodes"), PLANS)
def test_a_plan_s_command_is_for_every_host(engine: str, gpu: str, nodes: int, cli: Run) -> None:
    got = fit(cli, "gpt-oss-120b", "--gpu", gpu, "--engine", engine, "--ctx", "8k")
    words = shlex.split(got["command"].replace("<", "").replace(">", ""))
    said = int(words[words.index("--nnodes") + 1]) if "--nnodes" in words else 1
    assert said == nodes
    network = any("between them runs a network" in note for note in got["notes"])
    assert network == (gpu == "16xh100")
    again = fit(cli, "--gpu", gpu, command=got["command"])
    assert again["fits"] and again["per_gpu"] == got["per_gpu"]


@pytest.mark.parametrize(
    ("kind", "gpu", "each", "nodes"), [("slurm", "8xgb200", 4, 2), ("k8s", "16xgb300", 4, 4), ("slurm", "16xh100", 8, 2)]
)
def test_files_ask_for_every_host(kind: str, gpu: str, each: int, nodes: int, cli: Run) -> None:
    text = cli("fit", "--offline", "gpt-oss-120b", "--gpu", gpu, "--engine", "vllm", "--ctx", "8k", "--emit", kind).stdout
    if kind == "slurm":
        assert f"--gpus-per-node={each}\n" in text and f"--nodes={nodes}\n" in text
    else:
        assert f"nvidia.com/gpu: {each}\n" in text and f"size: {nodes}\n" in text
    assert re.search(rf"--nnodes[\s'-]+{nodes}\b", text)


@pytest.mark.parametrize("kind", ["compose", "helm", "llm-d"])
def test_files_of_one_machine_are_refused_for_several_trays(kind: str, cli: Run) -> None:
    got = cli("fit", "--offline", "gpt-oss-120b", "--gpu", "8xgb200", "--engine", "vllm", "--ctx", "8k", "--emit", kind)
    assert got.returncode == 2 and "one machine" in got.stderr


MACHINES = [
    # So many machines of so many GPUs, whatever a machine could have; a rack's trays are of four.
    ("2x8xh100", "16", 2, 8), ("2x4xh100", "8", 2, 4), ("4x2xa100-80gb", "8", 4, 2), ("2x2x4090", "4", 2, 2), ("1x8xh100", "8", 1, 8),
    ("2 x 8 x H200", "16", 2, 8), ("2x8xgb200", "16", 4, 4),
]  # fmt: skip


@pytest.mark.parametrize(("gpu", "count", "nodes", "each"), MACHINES)
def test_machines_of_so_many_gpus(gpu: str, count: str, nodes: int, each: int, cli: Run) -> None:
    spec = hardware.parse_spec(gpu)
    assert (str(spec.count), spec.nodes, spec.count // spec.nodes) == (count, nodes, each)
    got = fit(cli, "llama-3.1-8b", "--gpu", gpu, "--engine", "vllm", "--ctx", "4k")
    assert got["fits"] and (f"--nnodes {nodes} " in got["command"]) == (nodes > 1)
    assert (got["plan"]["tp"] <= each) or nodes == 1 or spec.device.of_rack


def test_no_plan_of_transformers_is_on_several_machines(cli: Run) -> None:
    done = cli("fit", "--offline", "llama-3.1-8b", "--gpu", "16xh100", "--engine", "transformers", "--ctx", "4k")
    assert done.returncode == 2 and "device_map spreads a model over the GPUs of one machine" in done.stderr


ONE_HOST = [
    # vLLM 0.11.1 to 0.33, config/parallel.py: "World size is larger than the number of available GPUs in this node"; up to 0.11.0 the
    # same lines take Ray. engine/arg_utils.py: all replicas are local unless --data-parallel-size-local or --nnodes says otherwise.
    ("16xh100", None, "vllm serve gpt-oss-120b -tp 16", False),
    ("16xh100", "0.11.1", "vllm serve gpt-oss-120b -tp 16", False),
    ("16xh100", "0.11.0", "vllm serve gpt-oss-120b -tp 16", True),
    ("16xh100", "0.8.5", "vllm serve qwen3-32b -tp 8 -pp 2", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -tp 8 -pp 2", False),
    ("16xh100", None, "vllm serve gpt-oss-120b -tp 8 -pp 2 --nnodes 2 --node-rank 0 --master-addr a", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -tp 16 --distributed-executor-backend ray", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -dp 16", False),
    ("16xh100", None, "vllm serve gpt-oss-120b -dp 16 --data-parallel-backend ray", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -dp 16 --data-parallel-size-local 8 --data-parallel-address a", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -dp 16 --data-parallel-rank 3 --data-parallel-address a", True),
    ("16xh100", None, "vllm serve gpt-oss-120b -dp 2 -tp 8 --nnodes 2 --node-rank 1 --headless", True),
    ("32xh100", None, "vllm serve gpt-oss-120b -dp 4 -tp 8 --nnodes 2 --node-rank 0", False),
    ("16xh100", None, "vllm serve gpt-oss-120b -tp 8", True),
    ("8xgb200", None, "vllm serve gpt-oss-120b -tp 8", False),
    ("8xgb200", None, "vllm serve gpt-oss-120b -tp 4", True),
    ("8xgb200", None, "vllm serve gpt-oss-120b -tp 8 --nnodes 2 --node-rank 0 --master-addr a", True),
    ("2xp4d.24xlarge", None, "vllm serve gpt-oss-20b -tp 16", False),
    ("16xa100-sxm4-40gb", None, "vllm serve gpt-oss-20b -tp 16", False),
    ("a2-megagpu-16g", None, "vllm serve gpt-oss-20b -tp 16", True),
    # Servers have up to ten cards of PCIe.
    ("10x3090", None, "vllm serve qwen3-8b -tp 2 -pp 5", True),
    ("16x3090", None, "vllm serve qwen3-8b -tp 2 -pp 8", False),
    # Machines of one GPU, which no other goes into (NVIDIA: DGX Spark User Guide, "Spark Stacking"; GH200 and Jetson modules).
    ("2xdgx-spark", None, "vllm serve gpt-oss-20b -tp 2 --gpu-memory-utilization 0.8", False),
    ("2xdgx-spark", None, "vllm serve gpt-oss-20b -pp 2 --gpu-memory-utilization 0.8", False),
    ("2x1xdgx-spark", None, "vllm serve gpt-oss-20b -tp 2 --gpu-memory-utilization 0.8", False),
    ("2xdgx-spark", None, "vllm serve gpt-oss-20b -tp 2 --distributed-executor-backend ray --gpu-memory-utilization 0.8", True),
    ("2xgh200", None, "vllm serve gpt-oss-20b -tp 2", False),
    ("2xthor", None, "vllm serve gpt-oss-20b -tp 2 --gpu-memory-utilization 0.8", False),
    ("4xstrix-halo", None, "vllm serve qwen3-8b -tp 4 --gpu-memory-utilization 0.8", False),
    ("2xdgx-spark", None, "python -m sglang.launch_server --model-path gpt-oss-20b --tp 2", False),
    # SGLang 0.5.23, srt/entrypoints/engine.py `_calculate_rank_ranges`: a node's share of the ranks, all of them without --nnodes.
    ("16xh100", None, "python -m sglang.launch_server --model-path gpt-oss-120b --tp 16", False),
    (
        "16xh100",
        None,
        "python -m sglang.launch_server --model-path gpt-oss-120b --tp 16 --nnodes 2 --node-rank 0 --dist-init-addr a:1",
        True,
    ),
    ("8xgb200", None, "python -m sglang.launch_server --model-path gpt-oss-120b --tp 8", False),
    (
        "8xgb200",
        None,
        "python -m sglang.launch_server --model-path gpt-oss-120b --tp 8 --nnodes 2 --node-rank 0 --dist-init-addr a:1",
        True,
    ),
]


@pytest.mark.parametrize(("gpu", "version", "command", "starts"), ONE_HOST)
def test_a_command_starts_on_one_host_what_it_has_gpus_for(
    gpu: str, version: str | None, command: str, starts: bool, cli: Run
) -> None:
    release = ("--engine-version", version) if version else ()
    flag = {"vllm": " --max-model-len 4096", "python": " --context-length 4096"}[command.split(maxsplit=1)[0]]
    got = fit(cli, "--gpu", gpu, *release, command=command + flag)
    assert got["start"]["starts"] == got["fits"] == starts, got["verdict"]
    if not starts:
        assert re.match(r"does not start: .*ranks on one host", got["verdict"])
        lifted = got["start"]["flag"]
        if lifted and "--nnodes" not in command:
            assert fit(cli, "--gpu", gpu, *release, command=f"{command}{flag} {lifted}")["fits"]


@pytest.mark.parametrize("device", [d for d in hardware.devices() if d.shared_memory], ids=lambda d: d.id)
def test_a_gpu_that_shares_its_machine_s_memory_gets_no_other_beside_it(device: hardware.Device) -> None:
    """What shares its memory with a CPU is soldered beside it: one to a machine, and of MI300A, which has links, four."""
    assert most(device) == device.per_host == device.per_node == (4 if device.id.startswith("mi300a") else 1)


@pytest.mark.parametrize(
    ("gpu", "flags", "seen"),
    [
        ("16xh100", "", 8),
        ("16xh100", " --rpc a:50052", 16),
        ("2xdgx-spark", "", 1),
        ("2xdgx-spark", " --rpc a:50052", 2),
        ("2xgh200", "", 1),
    ],
)
def test_llama_server_sees_one_host_s_gpus_without_rpc(gpu: str, flags: str, seen: int, cli: Run) -> None:
    """llama.cpp 0c1e57098, tools/rpc/README.md: other hosts' GPUs are devices through --rpc alone."""
    got = fit(cli, "--gpu", gpu, command=f"llama-server -m qwen3-8b-Q8_0.gguf -c 8192{flags}")
    assert got["gpus"] == seen
