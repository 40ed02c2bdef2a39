"""Make src/archcalc/hardware/catalog.json of hardware.yaml and instances.yaml: ``python scripts/build_hardware.py [--check]``.

What the YAML leaves open is estimated by the rules under its `meta.estimates` and `meta.apple_gpu_limit`, and marked `estimated`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from archcalc import hardware

HERE = Path(__file__).resolve().parents[1] / "src" / "archcalc" / "hardware"
MIB, GIB, GB = 1 << 20, 1 << 30, 10**9
PAGE = 16 << 10  # Apple silicon's


def build() -> dict[str, Any]:
    """The catalog as `archcalc.hardware` reads it."""
    data = load("hardware.yaml")
    meta, rows = data["meta"], data["devices"]
    sources: dict[str, int] = {}

    def cited(row: dict[str, Any]) -> list[int]:
        return [sources.setdefault(source, len(sources)) for source in row["sources"]]

    devices = [stated(row, lambda row: device(row, meta, cited(row))) for row in rows]
    instances = [stated(row, lambda row: instance(row, cited(row))) for row in load("instances.yaml")["instances"]]
    return {
        "sources": list(sources),
        "names": names(rows),
        "instance_names": {name: place for place, row in enumerate(instances) for name in instance_names(row)},
        "also_sold_as": also_sold_as(rows, meta),
        "devices": [list(d) for d in devices],
        "instances": [list(i) for i in instances],
    }


def stated(row: dict[str, Any], made: Callable[[dict[str, Any]], Any]) -> Any:
    """What is made of a row; ends with the key where one that every row states is left out."""
    try:
        return made(row)
    except KeyError as missing:
        sys.exit(f"{row.get('id', row)}: states no {missing}; null where it is not known")


def load(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def device(row: dict[str, Any], meta: dict[str, Any], sources: list[int]) -> hardware.Device:
    """One device, all figures those of one GPU as the driver counts them."""
    memory, link = row["memory"], row["interconnect"]
    per_package = row.get("devices_per_package", 1)
    options = [ram_option(row, gb, meta) for gb in memory.get("options_gb", ())]
    driver, driver_basis, visible, visible_basis = memory_seen(row, meta)
    fabric = link.get("nvlink_gb_s_bidir") or link.get("fabric_gb_s_bidir")
    per_node = row["max_gpus_per_node"] or row["scale_up_domain"]
    pcie = link.get("pcie") or {}
    rates = [row["tflops_dense"].get(name) for name in hardware.Tflops._fields]
    return hardware.Device(
        id=row["id"],
        name=row["name"],
        vendor=row["vendor"],
        category=row["category"],
        architecture=row["architecture"],
        year=row["year"],
        status="shipping" if row["status"] == "shipping" else "announced",
        compute=row.get("compute_target"),
        memory_type=memory["type"],
        nominal_gb=memory["nominal_gb"] // per_package,
        driver_bytes=driver,
        driver_basis=driver_basis,
        visible_bytes=visible,
        visible_basis=visible_basis,
        free_bytes=free * MIB if (free := memory.get("free_mib")) else None,
        ram_bytes=memory["nominal_gb"] * GIB if memory["unified"] else None,
        ram_options=options,  # type: ignore[arg-type]
        bandwidth_bytes_per_s=rate(memory["bandwidth_gb_s"], per_package),
        tflops=[None if r is None else r / per_package for r in rates],  # type: ignore[arg-type]
        link=f"NVLink {link['nvlink_gen']}" if link.get("nvlink_gen") else link.get("fabric", ""),
        link_bytes_per_s=rate(fabric, per_package),
        link_note=link.get("nvlink_note", ""),
        pcie_gen=pcie.get("gen"),
        pcie_lanes=pcie.get("lanes"),
        cpu_link_bytes_per_s=rate(link.get("cpu_gpu_c2c_gb_s_bidir"), per_package),
        per_node=per_node,
        domain=link.get("bridge") or max(per_node, row.get("scale_up_domain", 0)),
        per_package=per_package,
        tdp_w=row["tdp_w"],
        confidence=row["confidence"],
        notes=row.get("notes", ""),
        conflict=row.get("conflict", ""),
        aliases=[a for a in row["aliases"] if a != row["id"]],  # type: ignore[arg-type]
        sources=sources,  # type: ignore[arg-type]
        bridge=link.get("bridge", 0),
        free_most_bytes=most * MIB if (most := memory.get("free_most_mib")) else None,
    )


def memory_seen(row: dict[str, Any], meta: dict[str, Any]) -> tuple[int, hardware.Basis, int, hardware.Basis]:
    """What the driver shows and what an engine sees of one GPU, in bytes, each measured or estimated."""
    memory, vendor, rules = row["memory"], row["vendor"], meta["estimates"]
    nominal_mib = memory["nominal_gb"] * 1024 // row.get("devices_per_package", 1)
    if vendor == "apple":
        visible = apple_limit(memory["nominal_gb"], meta["apple_gpu_limit"]["macos_26"])
        return visible, "estimated", visible, "estimated"
    if memory["unified"] and (share := memory.get("visible_share_of_ram")):
        visible = int(nominal_mib * share) * MIB
        return visible, "estimated", visible, "estimated"
    if memory["unified"] and (seen := memory.get("torch_total_memory_mib_seen")):
        return min(seen) * MIB, "measured", min(seen) * MIB, "measured"
    if estimate := memory.get("visible_estimate_mib"):
        return estimate * MIB, "estimated", estimate * MIB, "estimated"
    driver = memory["driver_total_mib"]
    driver_basis: hardware.Basis = "measured" if driver else "estimated"
    driver = driver or memory.get("driver_estimate_mib") or int(nominal_mib * rules["driver_share"][vendor])
    seen = memory.get("torch_total_memory_mib_seen")
    if seen:
        return driver * MIB, driver_basis, min(seen) * MIB, "measured"
    if vendor == "nvidia":
        visible = int(driver * (1 - rules["cuda_keeps_share"]) - rules["cuda_keeps_mib"])
    else:
        key = "intel-xe" if row["architecture"].startswith("Xe") else vendor
        visible = int(driver * rules["visible_share"].get(key, 1.0))
    return driver * MIB, driver_basis, visible * MIB, "estimated"


def ram_option(row: dict[str, Any], gb: int, meta: dict[str, Any]) -> list[int | None]:
    """One size of a machine with shared memory."""
    bandwidth = rate(row["memory"].get("bandwidth_by_ram_gb_s", {}).get(gb))
    if row["vendor"] == "apple":
        limits = meta["apple_gpu_limit"]
        return [gb, apple_limit(gb, limits["macos_26"]), apple_limit(gb, limits["macos_15"]), bandwidth]
    return [gb, int(gb * 1024 * row["memory"]["visible_share_of_ram"]) * MIB, None, bandwidth]


def apple_limit(gb: int, tiers: list[tuple[int | None, str]]) -> int:
    """What Metal recommends as the most to use of so much RAM: a share of it, up to the next whole page."""
    share = next(share for up_to, share in tiers if up_to is None or gb <= up_to)
    return math.ceil(gb * GIB * Fraction(share) / PAGE) * PAGE


def instance(row: dict[str, Any], sources: list[int]) -> hardware.Instance:
    return hardware.Instance(
        id=row["id"],
        provider=row["provider"],
        gpu=row["gpu"],
        gpu_count=row["gpu_count"],
        vcpu=row.get("vcpu"),
        ram_bytes=None if row.get("ram_gib") is None else int(row["ram_gib"] * GIB),
        usd_per_hour=row["usd_per_hour_on_demand"],
        price_region=row.get("price_region"),
        price_date=row.get("price_date"),
        interconnect=row.get("gpu_interconnect") or "",
        network_gbit_per_s=row.get("network_gbps"),
        confidence=row["confidence"],
        notes=row.get("notes", ""),
        sources=sources,  # type: ignore[arg-type]
    )


def rate(gb_per_s: float | None, shared_by: int = 1) -> int | None:
    """Bytes a second of decimal GB a second."""
    return None if gb_per_s is None else round(gb_per_s * GB / shared_by)


def names(rows: list[dict[str, Any]]) -> dict[str, int]:
    """The compact form of every id, name and alias, with the place of its device. Two devices of one name are an error."""
    found: dict[str, int] = {}
    for place, row in enumerate(rows):
        for name in {form for given in (row["id"], row["name"], *row["aliases"]) for form in forms(given, row)}:
            if found.setdefault(name, place) != place:
                raise ValueError(f"{name} is the name of {row['id']} and of {rows[found[name]]['id']}")
    return dict(sorted(found.items()))


def forms(name: str, row: dict[str, Any]) -> list[str]:
    """The compact forms of a name: 4090 is also RTX 4090, 7900 XTX also RX 7900 XTX."""
    prefix = {"nvidia": "rtx ", "amd": "rx "}.get(row["vendor"])
    bare = prefix and row["category"] in ("consumer", "laptop") and name[:4].isdecimal()
    return [hardware._compact(name), *([hardware._compact(f"{prefix}{name}")] if bare else [])]


def also_sold_as(rows: list[dict[str, Any]], meta: dict[str, Any]) -> dict[str, list[str]]:
    """The other devices that a short name could mean, by its compact forms."""
    of_alias = {alias: row for row in rows for alias in row["aliases"]}
    return {form: ids for name, ids in meta["also_sold_as"].items() for form in forms(name, of_alias[name])}


def instance_names(row: hardware.Instance) -> list[str]:
    """The forms of an instance's id; Azure's are also known without "Standard_"."""
    return list(dict.fromkeys([hardware._plain(row.id), hardware._plain(row.id.removeprefix("Standard_"))]))


def text() -> str:
    """The file: a line for each device and instance, so that changes can be read."""
    lists = {"devices", "instances"}
    parts = []
    for key, value in build().items():
        dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if key in lists:
            dumped = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value) + "\n]"
        parts.append(f"{json.dumps(key)}:{dumped}")
    return "{" + ",\n".join(parts) + "}\n"


def main() -> int:
    target = HERE / "catalog.json"
    if "--check" in sys.argv[1:]:
        return 0 if target.read_text(encoding="utf-8") == text() else 1
    target.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
