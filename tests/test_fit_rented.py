"""`fit --gpu all`: the machines that are rented and hold a model, the cheapest first."""

from __future__ import annotations

import json

import pytest

import archcalc
from archcalc import hardware
from archcalc.errors import ArchcalcError
from conftest import Run


@pytest.mark.parametrize(
    ("model", "load"),
    [("qwen3-8b", "--ctx 32k --concurrency 16"), ("gpt-oss-20b", "--ctx 16k --concurrency 4 --kv-dtype fp8")],
)
def test_the_cheapest_that_holds_it_comes_first(model: str, load: str, cli: Run) -> None:
    """Each machine alone says the same, its price is the catalog's, and nothing that is left out holds it."""
    done = cli("fit", model, "--gpu", "all", *load.split(), "--format", "jsonl", "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    words = dict(zip(load.split()[::2], load.split()[1::2], strict=True))
    asked = {
        "ctx": words["--ctx"], "concurrency": int(words.get("--concurrency", 1)), "kv_dtype": words.get("--kv-dtype"),
        "engine": "vllm", "max_quant": "none",
    }  # fmt: skip
    alone = {}
    for spec in hardware.rented():
        try:
            made = archcalc.fit(model, gpu=f"{spec.count}x{spec.id}", offline=True, **asked)  # type: ignore[arg-type]
        except ArchcalcError:
            continue
        if made.fits:
            alone[spec.id, spec.count] = made
    cheapest = sorted(alone, key=lambda key: hardware.offers(*key)[0][0])[:20]
    assert [r["usd_per_hour"] for r in rows] == [hardware.offers(*key)[0][0] for key in cheapest]
    for r in rows:
        same = alone[r["gpu"], r["gpus"]]
        assert (r["plan"], r["per_gpu"]) == (same.to_dict()["plan"], same.to_dict()["per_gpu"])


def test_machines_that_are_rented_have_a_price() -> None:
    specs = hardware.rented()
    assert len({(spec.id, spec.count) for spec in specs}) == len(specs) > 50
    assert all(hardware.offers(spec.id, spec.count) for spec in specs)
    sold = {(i.gpu, i.gpu_count * hardware.device(i.gpu).per_package) for i in hardware.instances() if i.usd_per_hour is not None}
    whole = {(name, 2 * hardware.device(name).per_machine) for name, n in sold if n == hardware.device(name).per_machine}
    assert {(spec.id, spec.count) for spec in specs} <= sold | whole
    # Machines with one GPU are whole, and sold one by one (lambda-gpu_1x_gh200).
    assert ("gh200-96gb", 2) in {(spec.id, spec.count) for spec in specs}


PRICED = [
    # Azure's NC series has 1 and 2 of H100 NVL, 1, 2 and 4 of A100 PCIe; Lambda 1 and 4 of A6000; OCI 1 and 4 of A10.
    ("8xh100-nvl", 1, None),
    ("2xh100-nvl", 1, "Standard_NC80adis_H100_v5"),
    ("8xa100-pcie-80gb", 1, None),
    ("8xrtx-a6000", 1, None),
    ("8xa10", 1, None),
    # Google's a2-megagpu-16g is one machine of 16; the others of A100 40 GB have 8.
    ("16xa100-40gb", 2, "p4d.24xlarge"),
    ("a2-megagpu-16g", 1, "a2-megagpu-16g"),
    ("2xa2-megagpu-16g", 2, "a2-megagpu-16g"),
    ("4xStandard_NC80adis_H100_v5", 4, "Standard_NC80adis_H100_v5"),
    ("16xh100", 2, "lambda-gpu_8x_h100_sxm5"),
    ("2xgh200-96gb", 2, "lambda-gpu_1x_gh200"),
    # Trays of one NVLink rack of 72.
    ("8xgb200", 2, "Standard_ND128isr_NDR_GB200_v6"),
]


@pytest.mark.parametrize(("gpu", "nodes", "instance"), PRICED, ids=str)
def test_a_price_is_of_the_machines_that_the_plan_is_for(gpu: str, nodes: int, instance: str | None) -> None:
    spec = hardware.parse_spec(gpu)
    offers = hardware.rent(spec)
    assert spec.nodes == nodes
    assert (offers[0][2].id if offers else None) == instance
    made = archcalc.fit("llama-3.1-70b", gpu=gpu, quant="fp8", ctx="8k", engine="vllm", offline=True)
    assert (made.instance, "--nnodes" in made.command or "ray" in made.command.lower() or nodes == 1) == (instance, True), (
        made.command
    )


@pytest.mark.parametrize(
    ("call", "key", "most_first"),
    [
        ("qwen3-32b --gpu 8xh100,h200,2xh100 --sort cost", lambda r: r["usd_per_hour"], False),
        ("qwen3-32b --gpu h200,2xh100,8xh100 --sort speed", lambda r: r["speed"]["decode_tokens_per_s"], True),
        ("qwen3-32b --gpu h100,8xh200,h200 --sort context --set max_position_embeddings=1048576", lambda r: r["max_context_tokens"], True),
    ],
)  # fmt: skip
def test_machines_are_sorted(call: str, key: object, most_first: bool, cli: Run) -> None:
    done = cli("fit", *call.split(), "--concurrency", "2", "--format", "json", "--offline")
    values = [key(r) for r in json.loads(done.stdout)]  # type: ignore[operator]
    assert values == sorted(values, reverse=most_first) and len(set(values)) == 3


def test_what_holds_nothing_is_said_with_what_comes_closest(cli: Run) -> None:
    done = cli("fit", "deepseek-v3", "qwen3-8b", "--gpu", "all", "--ctx", "32k", "--concurrency", "100000", "--offline")
    assert done.returncode == 1
    assert "deepseek-v3: held by no machine that is rented; these come closest" in done.stdout
    assert done.stdout.count("deepseek-v3  ") == 5 and done.stdout.count("qwen3-8b  ") == 5
    done = cli("fit", "qwen3-8b", "--gpu", "all", "--ctx", "32k", "--all", "--offline", "--format", "jsonl")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    fits = [r["fits"] for r in rows if "fits" in r]
    assert fits == sorted(fits, reverse=True) and not all(fits)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("--gpu all", "name a model"),
        ("qwen3-8b --gpu all --gpu h100", "leave the other --gpu and --vram out"),
        ("qwen3-8b --gpu all --vram 24GiB", "leave the other --gpu and --vram out"),
        ("qwen3-8b --gpu h100,h200 --sort size", "sorted by cost, speed or context"),
        ("qwen3-8b --gpu h100 --all", "--all is for a call without SOURCE"),
        ("--gpu all -- vllm serve qwen3-8b", "name the machine of a command"),
        ("qwen3-8b --gpu all --emit k8s", "name one of its machines"),
        ("qwen3-8b --gpu all --tp 7", "tp 7"),
    ],
)
def test_what_all_machines_cannot_be_asked(call: str, said: str, cli: Run) -> None:
    done = cli("fit", *call.split(), "--offline") if "--" not in call.split() else cli("fit", "--offline", *call.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_without_a_gpu_here_the_next_step_is_to_name_one_or_all(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archcalc.hardware.here.gpus", lambda _: [])
    done = cli("fit", "qwen3-8b", "--ctx", "8k", "--offline")
    assert done.returncode == 2 and "or --gpu all for what can be rented" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "llama-3.1-8b qwen3-8b --gpu h100,l40s",
        "llama-3.1-8b qwen3-8b --gpu h100,l40s --concurrency 4",
        "llama-3.1-8b qwen3-8b --gpu h100 --tpot 1ms",
        "--gpu t4 --min-params 100b --tpot 1ms",
        "--gpu h100 --family phi",
    ],
)
@pytest.mark.parametrize("form", ["table", "markdown"])
def test_what_a_column_is_stands_below_it_alone(words: str, form: str, cli: Run) -> None:
    got = cli("fit", *words.split(), "--format", form, env={"COLUMNS": "250"}).stdout
    heads = {"tokens/s", "requests/s", "requests", "sequences"}
    head, *rest = got.splitlines()
    shown = heads & set(head.split())
    assert {line.partition(":")[0] for line in rest} & heads <= shown


@pytest.mark.parametrize(
    ("gpu", "vram"),
    # NVIDIA, Multi-Instance GPU User Guide, supported profiles: 1g.10gb and 2g.20gb of 80 GB, 1g.5gb of 40 GB, with what nvidia-smi shows.
    [("h100", "9.75GiB"), ("h100", "19.5GiB"), ("a100-sxm-40gb", "4.75GiB"), ("a30", "5.81GiB"), ("h200", "16GiB")],
)
def test_a_part_of_a_gpu_goes_by_its_memory(gpu: str, vram: str, cli: Run) -> None:
    got = json.loads(cli("fit", "qwen2.5-0.5b", "--gpu", gpu, "--vram", vram, "--ctx", "4k", "--format", "json").stdout)
    assert got["fits"] and any("its share of the compute" in note for note in got["notes"])
