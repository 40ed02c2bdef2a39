"""The catalog against published figures, its data against the YAML it is made of, and the names people give GPUs."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archcalc import hardware
from archcalc.analysis import roofline
from archcalc.errors import UsageError
from conftest import Run

ROOT = Path(__file__).parent.parent
DATA = ROOT / "src" / "archcalc" / "hardware"
MIB, GIB, GB, TERA = 1 << 20, 1 << 30, 10**9, 10**12


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_hardware", ROOT / "scripts" / "build_hardware.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = yaml.safe_load((DATA / "hardware.yaml").read_text(encoding="utf-8"))["devices"]
    return data


# The data


def test_the_json_is_that_of_the_yaml(builder: ModuleType) -> None:
    assert (DATA / "catalog.json").read_text(encoding="utf-8") == builder.text(), "run python scripts/build_hardware.py"


def test_no_name_stands_for_two() -> None:
    assert len({d.id for d in hardware.devices()}) == len(hardware.devices()) > 100
    assert len({i.id for i in hardware.instances()}) == len(hardware.instances()) > 100


@pytest.mark.parametrize("device", hardware.devices(), ids=lambda d: d.id)
def test_figures_are_possible(device: hardware.Device) -> None:
    size = device.nominal_gb * GIB
    assert 2 <= device.nominal_gb <= 1024
    assert 0.65 * size <= device.visible_bytes <= device.driver_bytes <= 1.001 * size
    assert 2010 <= device.year <= 2030
    assert device.bandwidth_bytes_per_s is None or 50 * GB <= device.bandwidth_bytes_per_s <= 30_000 * GB
    assert 1 <= device.per_node <= 10_000
    assert device.domain == device.bridge if device.bridge else device.per_node <= device.domain <= 10_000
    assert not device.bridge or device.link
    assert device.per_package in (1, 2)
    assert device.tdp_w is None or 5 <= device.tdp_w <= 3000
    assert device.link_bytes_per_s is None or (device.link and 50 * GB <= device.link_bytes_per_s <= 5000 * GB)
    assert device.confidence in ("high", "medium", "low")
    assert device.driver_basis in ("measured", "estimated")
    assert device.sources
    rates = device.tflops
    assert all(rate is None or 1 <= rate <= 40_000 for rate in rates)
    # Fewer bits are never slower, with one exception that NVIDIA made on purpose: INT8 of Blackwell Ultra (and Rubin).
    for wide, narrow in ((rates.fp32, rates.bf16), (rates.bf16, rates.fp8), (rates.fp8, rates.fp4)):
        assert wide is None or narrow is None or narrow >= wide


def test_shared_memory_is_that_of_the_machine(rows: list[dict[str, Any]]) -> None:
    for device, row in zip(hardware.devices(), rows, strict=True):
        assert device.shared_memory == row["memory"]["unified"]
        assert [o.gb for o in device.ram_options] == row["memory"].get("options_gb", [])
        if device.ram_options:
            assert device.ram_options[-1].gb == device.nominal_gb
            seen = [o.visible_bytes for o in device.ram_options]
            assert seen == sorted(seen)
            assert seen[-1] == device.visible_bytes


def test_readings_are_used_before_estimates(rows: list[dict[str, Any]]) -> None:
    for device, row in zip(hardware.devices(), rows, strict=True):
        total = row["memory"]["driver_total_mib"]
        if total is not None:
            assert (device.driver_bytes, device.driver_basis) == (total * MIB, "measured")
            assert row["memory"]["driver_total_bytes"] == total * MIB
        seen = row["memory"].get("torch_total_memory_mib_seen")
        if seen:
            assert (device.visible_bytes, device.visible_basis) == (min(seen) * MIB, "measured")


def test_what_estimates_point_to_exists(rows: list[dict[str, Any]]) -> None:
    ids = {row["id"]: row for row in rows}
    for row in rows:
        memory = row["memory"]
        if "driver_estimate_mib" in memory:
            assert memory["driver_total_mib"] is None
            like = ids[memory["driver_estimate_from"]]["memory"]["driver_total_mib"]
            assert memory["driver_estimate_mib"] == like


def test_estimates_are_close_where_there_is_a_reading(builder: ModuleType, rows: list[dict[str, Any]]) -> None:
    meta = builder.load("hardware.yaml")["meta"]
    errors = []
    for row in rows:
        seen = row["memory"].get("torch_total_memory_mib_seen")
        if seen and row["vendor"] == "nvidia" and not row["memory"]["unified"]:
            blind = {**row, "memory": {k: v for k, v in row["memory"].items() if k != "torch_total_memory_mib_seen"}}
            errors.append(builder.memory_seen(blind, meta)[2] / MIB - min(seen))
    assert len(errors) >= 15
    assert sorted(map(abs, errors))[len(errors) // 2] <= 60
    assert max(errors) <= 320


def test_instances_name_devices() -> None:
    ids = {d.id: d for d in hardware.devices()}
    for row in hardware.instances():
        assert row.gpu in ids
        assert 1 <= row.gpu_count <= 72
        assert row.ram_bytes is None or 4 * GIB <= row.ram_bytes <= 64 * 1024 * GIB
        assert row.vcpu is None or 1 <= row.vcpu <= 4096
        assert (row.usd_per_hour is None) or 0.1 <= row.usd_per_hour / row.gpu_count <= 40
        assert (row.usd_per_hour is None) == (row.price_date is None)
        assert row.sources


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        hardware.devices()[0].driver_bytes = 1  # type: ignore[misc]


# Published figures

DRIVER_TOTALS = {
    # MiB printed by nvidia-smi and rocm-smi in public logs.
    "h100-sxm-80gb": 81559,
    "a100-sxm4-80gb": 81920,
    "a100-sxm4-40gb": 40960,
    "h200-sxm-141gb": 143771,
    "b200-180gb": 183359,
    "l4": 23034,
    "l40s": 46068,
    "t4": 15360,
    "a10g": 23028,
    "rtx-4090": 24564,
    "rtx-5090": 32607,
    "rtx-3090": 24576,
    "mi300x-192gb": 196592,
}


@pytest.mark.parametrize(("name", "mib"), DRIVER_TOTALS.items())
def test_what_the_driver_shows(name: str, mib: int) -> None:
    assert hardware.device(name).driver_bytes == mib * MIB


@pytest.mark.parametrize(
    ("name", "gib"),
    [
        # "total capacity of ... GiB" of torch's out-of-memory errors, and vLLM's logs.
        ("h100", 79.18),
        ("rtx-4090", 23.52),
        ("rtx-3090", 23.56),
        ("t4", 14.56),
        ("l4", 22.03),
        ("a10g", 21.99),
        ("h200", 139.80),
        ("arc-pro-b60-24gb", 22.71),
    ],
)
def test_what_an_engine_sees(name: str, gib: float) -> None:
    assert hardware.device(name).visible_bytes / GIB == pytest.approx(gib, abs=0.02)


@pytest.mark.parametrize(
    ("name", "gb_per_s", "bf16"),
    [
        # Datasheets of NVIDIA and AMD, dense: H100 SXM 1,979 and L40S 733 are with sparsity.
        ("h100-sxm-80gb", 3350, 989.4),
        ("h100-pcie-80gb", 2039, 756),
        ("a100-sxm4-80gb", 2039, 312),
        ("a100-sxm4-40gb", 1555, 312),
        ("l40s", 864, 362),
        ("h200-sxm-141gb", 4800, 989.4),
        ("b200-180gb", 8000, 2250),
        ("mi300x-192gb", 5300, 1307.4),
        ("rtx-4090", 1008, 165.2),
    ],
)
def test_datasheets(name: str, gb_per_s: int, bf16: float) -> None:
    device = hardware.device(name)
    assert device.bandwidth_bytes_per_s == gb_per_s * GB
    assert device.tflops.bf16 == pytest.approx(bf16, rel=0.002)


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [
        # recommendedMaxWorkingSetSize of llama.cpp's logs, in MB of 10^6, macOS 26.
        ("m3-pro-18gb", 14302.25),
        ("m4-32gb", 26800.60),
        ("m3-max-36gb", 30150.67),
        ("m4-pro-48gb", 40200.90),
        ("m3-max-64gb", 55662.79),
        ("m4-max-128gb", 115448.73),
    ],
)
def test_what_macos_lets_the_gpu_use(name: str, megabytes: float) -> None:
    device = hardware.parse_spec(name).device
    assert round(device.visible_bytes / 10**6, 2) == megabytes
    assert device.driver_bytes == device.visible_bytes
    assert device.ram_bytes == device.nominal_gb * GIB


def test_what_older_macos_let_the_gpu_use() -> None:
    # The same logs: 11453.25 MB of 16 GB, 21845.34 MiB of 32 GB, 73728 MiB of 96 GB.
    older = {(d.id, o.gb): o.visible_bytes_older or 0 for d in hardware.devices() for o in d.ram_options}
    assert round(older["apple-m1", 16] / 10**6, 2) == 11453.25
    assert round(older["apple-m1-pro", 32] / MIB, 2) == 21845.34
    assert older["apple-m2-max", 96] == 73728 * MIB


def test_a_package_of_two_is_two_gpus() -> None:
    # AMD: MI250X is two GCDs with 64 GB and 1.6 TB/s each.
    spec = hardware.parse_spec("4xMI250X")
    assert spec.count == 8
    assert spec.device.nominal_gb == 64
    assert spec.device.bandwidth_bytes_per_s == pytest.approx(1638.5 * GB, rel=0.001)
    assert spec.device.tflops.bf16 == 191.5
    assert "8 GPUs" in spec.notes[0]


def test_pcie() -> None:
    # PCI-SIG: 15.75, 31.5 and 63.0 GB/s for sixteen lanes of generations 3, 4 and 5.
    for name, gb_per_s in (("v100-sxm2-16gb", 15.75), ("a100", 31.5), ("h100", 63.0)):
        rate = hardware.device(name).pcie_bytes_per_s
        assert rate is not None
        assert rate / GB == pytest.approx(gb_per_s, abs=0.02)
    assert hardware.device("m4").pcie_bytes_per_s is None


# Names


@pytest.mark.parametrize(
    ("text", "device", "count"),
    [
        ("8xH100", "h100-sxm-80gb", 8),
        ("H100", "h100-sxm-80gb", 1),
        ("8 x h100 sxm", "h100-sxm-80gb", 8),
        ("h100 80 GB", "h100-sxm-80gb", 1),
        ("8 H100s", "h100-sxm-80gb", 8),
        ("H100 PCIe", "h100-pcie-80gb", 1),
        ("2xh100-nvl", "h100-nvl-94gb", 2),
        ("h100 94gb", "h100-nvl-94gb", 1),
        ("h200*8", "h200-sxm-141gb", 8),
        ("2x4090", "rtx-4090", 2),
        ("4090x2", "rtx-4090", 2),
        ("RTX 4090", "rtx-4090", 1),
        ("4xl40s", "l40s", 4),
        ("a100", "a100-sxm4-80gb", 1),
        ("a100:40gb x4", "a100-sxm4-40gb", 4),
        ("A100:40", "a100-sxm4-40gb", 1),
        ("rtx 4060 ti 16gb", "rtx-4060-ti-16gb", 1),
        ("7900xtx", "rx-7900-xtx", 1),
        ("2x 7900 xtx", "rx-7900-xtx", 2),
        ("mi300x", "mi300x-192gb", 1),
        ("mac-m4-max-128gb", "apple-m4-max-128gb", 1),
        ("MacBook Pro M4 Max 64 GB", "apple-m4-max-64gb", 1),
        ("Mac Studio M3 Ultra 512GB", "apple-m3-ultra-512gb", 1),
        ("m4 16gb", "apple-m4-16gb", 1),
        ("strix halo 64gb", "ryzen-ai-max-395-64gb", 1),
        ("gb10", "gb10-dgx-spark", 1),
        ("8xgb200-nvl72", "gb200-186gb", 8),
        # As nvidia-smi and rocm-smi print them.
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80gb", 1),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb", 1),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb", 1),
        ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb", 1),
        ("Tesla T4", "t4", 1),
        ("NVIDIA GeForce RTX 3090", "rtx-3090", 1),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada", 1),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-blackwell-server", 1),
        ("AMD Instinct MI300X OAM", "mi300x-192gb", 1),
    ],
)
def test_names(text: str, device: str, count: int) -> None:
    spec = hardware.parse_spec(text)
    assert (spec.device.id, spec.count, spec.instance) == (device, count, None)


@pytest.mark.parametrize(
    ("text", "instance", "device", "count"),
    [
        # AWS, Azure and Google Cloud machine types.
        ("p5.48xlarge", "p5.48xlarge", "h100-sxm-80gb", 8),
        ("2xP5.48xlarge", "p5.48xlarge", "h100-sxm-80gb", 16),
        ("p4d.24xlarge", "p4d.24xlarge", "a100-sxm4-40gb", 8),
        ("g5.xlarge", "g5.xlarge", "a10g", 1),
        ("Standard_NC40ads_H100_v5", "Standard_NC40ads_H100_v5", "h100-nvl-94gb", 1),
        ("nd96isr_h100_v5", "Standard_ND96isr_H100_v5", "h100-sxm-80gb", 8),
        ("a3-highgpu-8g", "a3-highgpu-8g", "h100-sxm-80gb", 8),
        ("DGX H100", "dgx-h100", "h100-sxm-80gb", 8),
        ("dgx spark", "dgx-spark", "gb10-dgx-spark", 1),
        ("gb200-nvl72", "gb200-nvl72", "gb200-186gb", 72),
    ],
)
def test_instances(text: str, instance: str, device: str, count: int) -> None:
    spec = hardware.parse_spec(text)
    assert spec.instance is not None
    assert (spec.instance.id, spec.device.id, spec.count) == (instance, device, count)
    assert spec.instances * spec.instance.gpu_count == count


def test_every_name_leads_to_its_device() -> None:
    """Ids, names and aliases are unique across devices, and each is understood, alone and with a number before and behind."""
    for device in hardware.devices():
        for name in (device.id, device.name, *device.aliases):
            assert hardware.device(name).id.startswith(device.id), name
            spec = hardware.parse_spec(name)
            assert spec.device.id.startswith(device.id), name
            if device.category not in ("soc", "laptop"):
                assert hardware.parse_spec(f"2x{name}").count == 2 * device.per_package, name
                assert hardware.parse_spec(f"{name} x 3").count == 3 * device.per_package, name
    for row in hardware.instances():
        assert hardware.parse_spec(row.id).instance == row
        assert hardware.instance(row.id.upper()) == row


def test_every_size_of_a_machine_is_named_by_its_id() -> None:
    for device in hardware.devices():
        for option in device.ram_options:
            sized = hardware.parse_spec(f"{device.id}-{option.gb}gb").device
            assert sized.id == f"{device.id}-{option.gb}gb"
            assert sized.visible_bytes == option.visible_bytes
            assert hardware.parse_spec(sized.id).notes == ()


@pytest.mark.parametrize(
    ("text", "device"),
    [
        # Names of devices that makers sold, and of others that have a word more: NVIDIA's and AMD's product pages list both of each pair.
        ("RTX 2080", "rtx-2080"),
        ("NVIDIA GeForce RTX 2080", "rtx-2080"),
        ("2080", "rtx-2080"),
        ("rtx 2080 laptop", None),
        ("rtx 2060 super", "rtx-2060-super"),
        ("rtx 3080 ti", "rtx-3080-ti"),
        ("NVIDIA GeForce RTX 5070 Laptop GPU", "rtx-5070-laptop"),
        ("rtx 5060 laptop", None),
        ("RTX 4500 Ada", "rtx-4500-ada"),
        ("rtx 4500", None),
        ("rtx 6000 blackwell", None),
        ("orin super", None),
        ("6000 q", None),
        ("ryzen ai", None),  # Ryzen AI 9 HX 370 and others
        ("titan", None),
        ("rtx pro 4500", "rtx-pro-4500-blackwell-32gb"),
        ("pro 4500", "rtx-pro-4500-blackwell-32gb"),
        ("rtx pro 6000 workstation", "rtx-pro-6000-blackwell-ws"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000-blackwell-ws"),
        ("rtx-pro-6000-blackwell-workstation", "rtx-pro-6000-blackwell-ws"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtx-pro-6000-blackwell-maxq"),
    ],
)
def test_a_name_without_a_word_of_another_is_not_that_other(text: str, device: str | None) -> None:
    if device is not None:
        assert (hardware.parse_spec(text).device.id, hardware.parse_spec(text).notes) == (device, ())
        return
    with pytest.raises(UsageError) as caught:
        hardware.parse_spec(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["rtx 5070 16gb", "4070 16gb", "orin 8gb", "rtx 6000 48gb", "h100 94gb", "2080 11gb"])
def test_a_size_that_one_of_them_has_names_it_and_is_said(text: str) -> None:
    spec = hardware.parse_spec(text)
    assert spec.notes[0].startswith(f"{text} is taken for {spec.device.id}")


def test_no_part_of_a_name_is_silently_that_of_a_larger_one() -> None:
    """Every card's number with one word of its edition left out: another device's, refused, or said."""
    for device in (d for d in hardware.devices() if d.category in ("consumer", "laptop", "workstation")):
        words = hardware._words(device.id)
        for word in set(words) & {"ti", "super", "laptop", "d", "xt", "xtx", "ada", "max"}:
            name = " ".join(each for each in words if each != word)
            try:
                spec = hardware.parse_spec(name)
            except UsageError:
                continue
            assert spec.device.id != device.id or spec.notes, name


def test_what_others_a_short_name_has() -> None:
    for name in ("h100", "a100", "v100", "3080", "rtx 4060 ti", "m4 max", "gh200"):
        (note,) = hardware.parse_spec(name).notes
        assert note.startswith(f"{name} is taken")
    for name in ("h100-sxm", "a100-80gb", "4090", "m4 max 36gb", "l40s"):
        assert hardware.parse_spec(name).notes == ()


def test_smaller_chips_have_less_bandwidth() -> None:
    # Apple: M4 Max 410 GB/s with 36 GB (32-core GPU), else 546 GB/s.
    assert hardware.device("m4 max 36gb").bandwidth_bytes_per_s == 410 * GB
    assert hardware.device("m4 max 48gb").bandwidth_bytes_per_s == 546 * GB


@pytest.mark.parametrize("text", ["rtx 6000", "RTX6000", "2x rtx 6000", "6000"])
def test_an_ambiguous_name_lists_its_devices(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        hardware.parse_spec(text)
    for name in ("rtx-6000-ada (48 GB)", "rtx-pro-6000-blackwell-ws (96 GB)", "rtx-pro-6000-blackwell-server (96 GB)"):
        assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4xH100+4xA100", "2 groups"),
        ("4xH100, 4xA100", "2 groups"),
        ("4xH100 4xA100", "2 groups"),
        ("h100 and a100", "2 groups"),
        ("0xH100", "0 GPUs"),
        ("-1xH100", "above zero"),
        ("1.5xH100", "above zero"),
        ("1000xH100", "1,000 GPUs are more"),
        ("1,000xH100", "1,000 GPUs are more"),
        ("100000000000000000000xH100", "are more"),
        ("65xp5.48xlarge", "520 GPUs are more"),
        ("2xm4-max-128gb", "a Mac has one GPU"),
        ("2x 4090 laptop", "a laptop has one GPU"),
        ("m4 max 96gb", "36 GB, 48 GB, 64 GB or 128 GB"),
        ("m4 64gb", "16 GB, 24 GB or 32 GB"),
        ("h100 40gb", "no h100 with 40 GB"),
        ("mac", "which Mac"),
        ("", "no GPU"),
        ("8x", "8x"),
        ("banana", "not a GPU"),
        ("h" * 5000, "too long"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        hardware.parse_spec(text)
    assert says in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("text", "near"), [("rtx 4091", "rtx-4090"), ("p5.48xlarg", "p5.48xlarge"), ("h100:8", "8xh100")])
def test_unknown_names_have_near_ones(text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        hardware.parse_spec(text)
    assert near in caught.value.hint


def test_many_gpus() -> None:
    assert hardware.parse_spec("512xH100").nodes == 64
    assert hardware.parse_spec("8x4090").nodes == 1
    assert hardware.parse_spec("72xgb200").nodes == 18
    (_, note) = hardware.parse_spec("16xH100").notes
    assert "2 machines" in note
    assert hardware.parse_spec("16384xH100", limit=100_000).count == 16384


def test_a_card_by_its_memory() -> None:
    device = hardware.custom(24 * GIB)
    assert device.driver_bytes == device.visible_bytes == 24 * GIB
    assert device.bandwidth_bytes_per_s is None
    assert hardware.parse_spec("2x24GiB") == hardware.GpuSpec(device, 2)
    assert hardware.parse_spec("80GB").device.visible_bytes == 80 * GB


@given(st.text(max_size=60) | st.from_regex(r"[0-9x* ]{0,6}(h100|rtx|m4 max|p5|a100|mi)[a-z0-9 :.,-]{0,12}", fullmatch=True))
def test_any_text_is_a_gpu_or_an_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert hardware.parse_spec(text).count >= 1


# Search and prices


def test_search() -> None:
    assert [d.id for d in hardware.search("m4 max")] == ["apple-m4-max"]
    assert {d.id for d in hardware.search("h100")} >= {"h100-sxm-80gb", "h100-pcie-80gb", "h100-nvl-94gb"}
    assert len(hardware.search()) == len(hardware.devices())
    big = hardware.search(vendor="AMD", min_memory=250 * GB)
    assert big
    assert all(d.vendor == "amd" and d.driver_bytes >= 250 * GB for d in big)
    assert hardware.search("banana") == []


def test_estimated_memory_has_a_tilde_and_csv_one_value_a_cell(run: Run) -> None:
    lines = run("gpus", "h200", "--format", "markdown").stdout.splitlines()[2:]
    assert lines
    assert all(("| ~" in line) == ("| estimated |" in line) for line in lines)
    assert any("| ~" in line for line in lines)
    found = list(csv.DictReader(io.StringIO(run("gpus", "h200", "--format", "csv").stdout)))
    rows = json.loads(run("gpus", "h200", "--format", "json").stdout)
    for row, plain in zip(found, rows, strict=True):
        rates, offer = plain["dense_tflops"], plain["cheapest"] or {"usd_per_hour": "", "instance": ""}
        assert (row["bf16_tflops"], row["fp8_tflops"]) == (str(rates["bf16"]), str(rates["fp8"]))
        assert (row["cheapest_usd_per_hour"], row["cheapest_instance"]) == (str(offer["usd_per_hour"]), offer["instance"])


def test_offers() -> None:
    # AWS's list price of p5.48xlarge since June 2025, us-east-1.
    prices = {row.id: (dollars, n) for dollars, n, row in hardware.offers("h100-sxm-80gb", 8)}
    assert prices["p5.48xlarge"] == (55.04, 1)
    assert "p5.4xlarge" not in prices
    assert {row.id: n for _, n, row in hardware.offers("h100-sxm-80gb", 16)}["p5.48xlarge"] == 2
    dollars = [row[0] for row in hardware.offers("h100-sxm-80gb", 1)]
    assert dollars == sorted(dollars)
    assert hardware.offers("apple-m4-max-128gb", 1) == []


# Bounds


def test_decode_ceiling() -> None:
    h100 = hardware.device("h100")
    # 3.35 TB/s over 16.06 GB of weights: 208.6 tokens a second.
    assert roofline.decode_tokens_per_s(h100, 16_060_522_496, 0) == pytest.approx(208.6, abs=0.1)
    one = roofline.decode_tokens_per_s(h100, 16 * GB, GB) or 0
    many = roofline.decode_tokens_per_s(h100, 16 * GB, GB, 64) or 0
    assert one < many < 64 * one
    assert roofline.decode_tokens_per_s(hardware.custom(GIB), GB, 0) is None


@pytest.mark.parametrize(
    ("name", "dtype", "tflops", "computed_in"),
    [
        ("h100", "bf16", 989.4, "bf16"),
        ("h100", "fp8", 1978.9, "fp8"),
        ("h100", "fp4", 989.4, "bf16"),
        ("a100", "fp8", 312, "bf16"),
        ("a100", "int4", 312, "bf16"),
        ("a100", "fp32", 19.5, "fp32"),
        ("t4", "bf16", 65, "fp16"),
        ("b200", "fp4", 9000, "fp4"),
        ("a100", "q4_k", 624, "int8"),
        ("m4 max", "q4_k", 18.4, "fp16"),
        ("m5 max", "bf16", 22.8, "fp32"),
    ],
)
def test_matrix_rates(name: str, dtype: str, tflops: float, computed_in: str) -> None:
    rate = roofline.matrix_rate(hardware.device(name), dtype)
    assert rate is not None
    assert rate.flops_per_s == pytest.approx(tflops * TERA, rel=0.002)
    assert rate.dtype == computed_in


def test_rates_that_nobody_published() -> None:
    assert roofline.matrix_rate(hardware.device("m6"), "bf16") is None
    assert roofline.matrix_rate(hardware.custom(GIB), "bf16") is None
    assert roofline.prefill_seconds(hardware.custom(GIB), 1, TERA, "bf16") is None


@pytest.mark.parametrize(
    ("name", "dtype", "takes"),
    [
        # CUDA programming guide: BF16 from 8.0, FP8 from 8.9, FP4 from 10.0.
        ("h100", "fp8", True),
        ("h100", "fp8_e5m2", True),
        ("4090", "fp8", True),
        ("a100", "fp8", False),
        ("3090", "fp8", False),
        ("t4", "bf16", False),
        ("v100", "bf16", False),
        ("h100", "fp4", False),
        ("b200", "fp4", True),
        ("thor", "fp8", True),
        ("mi300x", "fp8", True),
        ("mi250x", "fp8", False),
        ("m4 max", "fp8", False),
    ],
)
def test_formats_that_matrix_units_take(name: str, dtype: str, takes: bool) -> None:
    assert roofline.native(hardware.device(name), dtype) is takes


def test_prefill_floor() -> None:
    # 16 TFLOP on one H100 at 989.4 TFLOPS; eight take an eighth.
    one = roofline.prefill_seconds(hardware.device("h100"), 1, 16 * TERA, "bf16")
    eight = roofline.prefill_seconds(hardware.device("h100"), 8, 16 * TERA, "bf16")
    assert one == pytest.approx(16 / 989.4)
    assert eight == pytest.approx(16 / 989.4 / 8)


def test_experts_visited() -> None:
    assert roofline.experts_visited(256, 8, 1) == pytest.approx(8)
    seen = [roofline.experts_visited(256, 8, n) for n in (1, 2, 8, 64, 4096)]
    assert seen == sorted(seen)
    assert seen[1] == pytest.approx(16 - 64 / 256)
    assert math.isclose(seen[-1], 256, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "listed", "said"),
    [
        ("p5.48xlarge", "h100-sxm-80gb", "p5.48xlarge is 8 x NVIDIA H100 SXM5 80GB"),
        ("8xh100", "h100-sxm-80gb", "8xh100 is 8 x"),
        ("2x4090", "rtx-4090", "2x4090 is 2 x"),
        ("p5.48xlarge --min-memory 640GB", "", "leave --min-memory and --vendor out"),
        ("nosuchthing", "", "no device of the catalog matches"),
    ],
)
def test_the_catalog_knows_the_machines_that_a_plan_can_name(arguments: str, listed: str, said: str, cli: Run) -> None:
    done = cli("gpus", *arguments.split(), "--format", "csv")
    assert [line.partition(",")[0] for line in done.stdout.splitlines()[1:]] == ([listed] if listed else [])
    assert said in done.stderr


@pytest.mark.parametrize("text", ["h100,4090", "8xh100,2x4090", "a100,l40s"])
def test_a_list_where_one_machine_is_meant_is_told_as_one(text: str) -> None:
    with pytest.raises(UsageError, match="names 2 groups of GPUs") as caught:
        hardware.parse_spec(text)
    assert "h1004090" not in caught.value.message and "h1002" not in caught.value.message
    assert hardware.parse_spec("1,024xH100", 1 << 20).count == 1024


def test_a_number_is_a_card_only_where_people_call_one_so() -> None:
    """RTX 4090 is a 4090, and no card is an 8, 20 or 36, of however many GB it is."""
    named = {}
    for n in (*range(1, 1000), 1550, 2080, 3090, 4090, 4500, 5090, 7900):
        try:
            named[n] = hardware.parse_spec(str(n)).device.id
        except UsageError:
            continue
    assert set(named) <= {1550, 2080, 3090, 4090, 4500, 5090}
    assert {named[n] for n in (3090, 4090, 5090)} == {"rtx-3090", "rtx-4090", "rtx-5090"}


# Dense operations in 16 bits, summed in fp32, for each plain one of fp32: NVIDIA's papers on GA102, AD102 and GB202. GeForce cards have
# half of the rate that workstation cards of the same chip have.
_SUMMED = {"consumer": 2.0, "laptop": 2.0, "workstation": 4.0}
_CARDS = [
    d for d in hardware.devices()
    if d.vendor == "nvidia" and d.category in _SUMMED and d.architecture in ("Ampere", "Ada Lovelace", "Blackwell") and d.tflops.bf16
]  # fmt: skip


@pytest.mark.parametrize("device", _CARDS, ids=lambda d: d.id)
def test_matrix_rates_of_a_chip_stand_in_one_ratio(device: hardware.Device) -> None:
    rates = device.tflops
    assert rates.fp32 and rates.bf16 == pytest.approx(_SUMMED[device.category] * rates.fp32, rel=0.03)
    assert not rates.fp8 or rates.fp8 == pytest.approx(2 * rates.bf16, rel=0.03)
