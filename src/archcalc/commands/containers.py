"""How many GPUs a container gets, by the words that start it.

Each function gives the number and the words that say so, None where nothing says a number: all of the machine's, or nothing asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Granted = tuple[int, str]

RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/xe", "gpu.intel.com/i915")
"""What Kubernetes' device plugins call whole GPUs."""


def of_docker(value: str) -> int | None:
    """`docker run --gpus`: `all`, a number, or fields such as `"device=0,1"` and `count=2`.

    Source: docker/cli 27, opts/gpus.go (`GpuOpts.Set`): a record of CSV, in which a field in double quotes may hold commas.

    >>> of_docker('"device=0,2"'), of_docker("2"), of_docker('"device=0",capabilities=utility'), of_docker("all")
    (2, 2, 1, None)
    """
    for field in re.findall(r'"[^"]*"|[^,]+', value.strip("' ")):
        key, equals, held = field.strip('" ').partition("=")
        if key == "device" and equals:
            return _ids(held)
        if key.isdecimal() and not equals:
            return int(key)
        if key == "count" and held.isdecimal():
            return int(held)
    return None


def of_visible(value: str) -> int | None:
    """`NVIDIA_VISIBLE_DEVICES` of the container runtime: ids, `all`, or nothing at all by `none`, `void` and an empty text.

    Source: NVIDIA Container Toolkit, "Specialized Configurations with Docker", GPU Enumeration. What is empty or `void` leaves the
    container as it would be without the runtime, which may still see GPUs by other means: no number.

    >>> of_visible("0,1"), of_visible("all"), of_visible("void")
    (2, None, None)
    """
    text = value.strip("\"' ")
    return None if text.lower() in ("all", "none", "void", "") or not re.fullmatch(r"[\w:,\- ]+", text) else _ids(text)


def of_cdi(values: list[str]) -> Granted | None:
    """`--device nvidia.com/gpu=0`, one for each; `=all` is no number. Source: the Container Device Interface, SPEC.md, "Device names"."""
    ids = [value.partition("=")[2] for value in values if value.partition("=")[0] in RESOURCES]
    if not ids or "all" in ids:
        return None
    return len(set(ids)), " ".join(f"--device {value}" for value in values if value.partition("=")[0] in RESOURCES)


def of_compose(service: Mapping[str, Any]) -> Granted | None:
    """A service of a Compose file: `deploy.resources.reservations.devices`, or `gpus`.

    Source: the Compose specification, deploy.md (`devices`: `capabilities`, `count`, `device_ids`; without both it is all) and
    05-services.md (`gpus`).
    """
    at: Any = service
    for key in ("deploy", "resources", "reservations", "devices"):
        at = at.get(key) if isinstance(at, Mapping) else None
    found: list[Granted] = []
    for given, own in ((at, True), (service.get("gpus"), False)):
        for device in given if isinstance(given, list) else ():
            if not isinstance(device, Mapping) or (own and "gpu" not in (device.get("capabilities") or ())):
                continue
            ids, count = device.get("device_ids"), device.get("count")
            if isinstance(ids, list) and all(not str(one).startswith("$") for one in ids):
                found.append((len(set(map(str, ids))), f"device_ids: [{', '.join(map(str, ids))}]"))
            elif str(count).isdecimal():
                found.append((int(str(count)), f"count: {count}"))
            else:
                return None
    return (sum(n for n, _ in found), " and ".join(words for _, words in found)) if found else None


def of_kubernetes(container: Mapping[str, Any]) -> Granted | None:
    """A container of a pod: the whole GPUs among its limits. Source: Kubernetes, "Schedule GPUs": they are asked for in `limits`."""
    resources = container.get("resources")
    for kind in ("limits", "requests"):
        asked = resources.get(kind) if isinstance(resources, Mapping) else None
        for name in RESOURCES:
            count = asked.get(name) if isinstance(asked, Mapping) else None
            if str(count).isdecimal():
                return int(str(count)), f"{name}: {count}"
    return None


def shared(words: str) -> bool:
    """Whether a container's words join it to a Ray cluster, whose other members have GPUs too."""
    return bool(re.search(r"\bray\s+(start|symmetric-run|job)\b|ray_cluster_size|--distributed-executor-backend[ =]ray\b", words))


def _ids(text: str) -> int:
    return len({one for one in re.split(r"[,\s]+", text.strip("\"' ")) if one})
