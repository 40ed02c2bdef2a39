"""The catalog of accelerators and of the machines they are sold in, and the names people give them.

`hardware.yaml` and `instances.yaml` are the source, with where each figure comes from; `catalog.json` is made of them by
`scripts/build_hardware.py` and is what is read here, because parsing the YAML would take longer than everything else.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal

from archcalc.errors import UsageError
from archcalc.records import NamedTuple
from archcalc.units import format_bytes, parse_bytes, split_count

CARDS_PER_SERVER = 8
"""Cards that meet over PCIe alone: a desktop takes the catalog's `per_node`, a server eight."""
BUILT_IN = {"soc": "Mac", "laptop": "laptop", "edge": "machine of this kind"}
"""What a GPU of a category is built into: machines of one GPU, which a network alone joins."""
MAX_GPUS = 512
"""The most GPUs that one deployment may name, unless a scale-up domain is larger still.

The largest unit published for serving one model is the 320 GPUs of DeepSeek-V3's decoding (arXiv:2412.19437, section 3.4).
"""

SMALL_BYTES = 25 << 30
"""Cards of 24 GB and less hold few models as they are published."""

Vendor = Literal["nvidia", "amd", "intel", "apple", "google", "aws", "custom"]
Basis = Literal["measured", "estimated", "given"]
Confidence = Literal["high", "medium", "low"]


class Tflops(NamedTuple):
    """Peak matrix rates in 10^12 operations a second, dense, accumulating in FP32 (INT8: in INT32).

    None where the device cannot, or where the vendor does not say.
    """

    fp32: float | None = None
    tf32: float | None = None
    fp16: float | None = None
    bf16: float | None = None
    fp8: float | None = None
    int8: float | None = None
    fp4: float | None = None


class RamOption(NamedTuple):
    """One size that a machine with shared memory is sold in.

    `visible_bytes` is what the GPU may use by default on current systems, `visible_bytes_older` on older ones where that differs
    (macOS 15 and before). `bandwidth_bytes_per_s` is None where it is the device's.
    """

    gb: int
    visible_bytes: int
    visible_bytes_older: int | None
    bandwidth_bytes_per_s: int | None


class Device(NamedTuple):
    """One GPU as the driver counts them: where a package shows as two (`per_package`), all figures are those of one of them."""

    id: str
    """The name to ask for it by; "custom" for every card that is given by its memory alone."""
    name: str
    vendor: Vendor
    category: str
    """datacenter, workstation, consumer, laptop, edge, soc (a Mac's chip), tpu or asic."""
    architecture: str
    year: int
    status: Literal["shipping", "announced"]
    compute: str | None
    """The target code is compiled for: 9.0 is a CUDA compute capability, gfx942 a ROCm one."""
    memory_type: str
    nominal_gb: int
    """The size it is sold by: part of its name, and neither GB nor GiB. Never a size to calculate with."""
    driver_bytes: int
    """What the vendor's tool shows (nvidia-smi, rocm-smi); for shared memory what the system lets the GPU use."""
    driver_basis: Basis
    visible_bytes: int
    """What an engine sees (`torch.cuda.mem_get_info`, `recommendedMaxWorkingSetSize`): the driver's total less what CUDA keeps."""
    visible_basis: Basis
    free_bytes: int | None
    """What of it an engine finds free on a running system, where the system shares the memory; None for all but its own context."""
    ram_bytes: int | None
    """All the memory of a machine whose CPU and GPU share it; None for a card with memory of its own."""
    ram_options: tuple[RamOption, ...]
    bandwidth_bytes_per_s: int | None
    tflops: Tflops
    link: str
    """What connects it to its peers besides PCIe: "NVLink 4", "Infinity Fabric xGMI (7 links)"; empty for nothing."""
    link_bytes_per_s: int | None
    """All links of one GPU, both directions added."""
    link_note: str
    pcie_gen: int | None
    pcie_lanes: int | None
    cpu_link_bytes_per_s: int | None
    """A coherent link to the CPU (NVLink-C2C), both directions added."""
    per_node: int
    """GPUs of one host, which one operating system sees: of a rack those of one compute tray."""
    domain: int
    """GPUs that reach each other over `link` without a network; `per_node` where nothing else is sold, `bridge` where those join cards.
    0 of cards whose machine has as many as was said, and no more."""
    per_package: int
    tdp_w: int | None
    """Watts of the package."""
    confidence: Confidence
    notes: str
    conflict: str
    """Where sources differ, and by how much."""
    aliases: tuple[str, ...]
    sources: tuple[str, ...]
    free_most_bytes: int | None = None
    """The most that any of them was found to have free, where the system shares the memory and it is known of several."""
    bridge: int = 0
    """Cards that one bridge, sold apart, joins over `link`, at most: others meet over PCIe. 0 where the machine has the links."""

    @property
    def built_in(self) -> bool:
        """Whether it is part of its machine, which no card adds to: of a Mac, a laptop, a Jetson, a mini PC such as DGX Spark, and what
        shares its memory with the CPU beside it."""
        return self.category in BUILT_IN or self.shared_memory

    @property
    def per_machine(self) -> int:
        """GPUs that work together without a network: those of one host, or of the NVLink domain that a rack's hosts make."""
        return self.domain if self.of_rack else self.per_host

    @property
    def per_host(self) -> int:
        """GPUs that one process can see, at most: those of one operating system."""
        more = self.category in ("consumer", "workstation") and self.domain > 0
        return max(self.per_node, CARDS_PER_SERVER) if more else self.per_node

    @property
    def of_rack(self) -> bool:
        """Whether its hosts are the trays of a rack, rented one by one and joined by the link of all of them."""
        return self.category == "datacenter" and self.domain > self.per_node

    @property
    def personal(self) -> bool:
        """Whether it is in a machine of one's own, or as small as such: people take the weights there in the format that fits."""
        return self.category in ("consumer", "laptop", "soc", "edge") or (
            self.category not in ("tpu", "asic") and self.visible_bytes < SMALL_BYTES
        )

    @property
    def known_as(self) -> str:
        """Its id, or its memory where nothing else is known of it."""
        return self.name if self.id == "custom" else self.id

    @property
    def shared_memory(self) -> bool:
        """Whether CPU and GPU share the memory."""
        return self.ram_bytes is not None

    @property
    def pcie_bytes_per_s(self) -> int | None:
        """The PCIe link in one direction, after its encoding (128b/130b; from generation 6 on 236 of 256 bytes)."""
        if self.pcie_gen is None or self.pcie_lanes is None:
            return None
        rate, useful, of = {3: (8, 128, 130), 4: (16, 128, 130), 5: (32, 128, 130), 6: (64, 236, 256)}[self.pcie_gen]
        return rate * 10**9 * self.pcie_lanes * useful // of // 8


class Instance(NamedTuple):
    """A machine rented or sold whole: `gpu_count` packages of `gpu` (an id of a `Device`).

    `usd_per_hour` is the on-demand list price of the whole instance in one region on `price_date`; None where there is none.
    """

    id: str
    provider: str
    gpu: str
    gpu_count: int
    vcpu: int | None
    ram_bytes: int | None
    usd_per_hour: float | None
    price_region: str | None
    price_date: str | None
    interconnect: str
    network_gbit_per_s: float | None
    confidence: Confidence
    notes: str
    sources: tuple[str, ...]


class GpuSpec(NamedTuple):
    """What `--gpu` asked for: `count` GPUs of one kind. If a machine was named, `instance` is it, and `instances` how many of it, or
    of machines whose number was said (``2x8xH100``).

    `notes` say what the name was taken for where it could mean something else, and anything about the machine worth knowing. `others`
    are the last of the GPUs where those are of other kinds.
    """

    device: Device
    count: int  # type: ignore[assignment]  # hides tuple.count, which nothing here needs
    instance: Instance | None = None
    instances: int = 0
    notes: tuple[str, ...] = ()
    others: tuple[Device, ...] = ()

    @property
    def each(self) -> tuple[Device, ...]:
        """Every GPU: `others` stand beside the first kind."""
        return (self.device,) * (self.count - len(self.others)) + self.others

    @property
    def id(self) -> str:
        """The device's id, of several kinds all of them."""
        return "+".join(dict.fromkeys(d.id for d in self.each)) if self.others else self.device.id

    @property
    def named(self) -> str:
        """How many of what, for people."""
        kinds = list(dict.fromkeys(self.each))
        return " and ".join(f"{self.each.count(kind)} x {kind.name}" for kind in kinds)

    @property
    def nodes(self) -> int:
        """Hosts it takes, each with an operating system and processes of its own: so many instances where those are named, and of a
        rack its trays."""
        if self.instances and not self.device.of_rack:
            return self.instances
        return -(-self.count // self.device.per_host)

    @property
    def networked(self) -> bool:
        """Whether a network joins some of its hosts: those of one rack have a link of their own."""
        return self.nodes > 1 and (not self.device.of_rack or self.count > self.device.per_machine)


# The catalog


@cache
def _raw() -> Mapping[str, Any]:
    with open(os.path.join(os.path.dirname(__file__), "catalog.json"), "rb") as file:
        raw: Mapping[str, Any] = json.load(file)
    return raw


@cache
def _device(place: int) -> Device:
    raw = Device._make(_raw()["devices"][place])
    return raw._replace(
        ram_options=tuple(RamOption._make(option) for option in raw.ram_options),
        tflops=Tflops._make(raw.tflops),
        aliases=tuple(raw.aliases),
        sources=_cited(raw.sources),
    )


@cache
def _instance(place: int) -> Instance:
    raw = Instance._make(_raw()["instances"][place])
    return raw._replace(sources=_cited(raw.sources))


def _cited(numbers: Iterable[Any]) -> tuple[str, ...]:
    sources = _raw()["sources"]
    return tuple(sources[n] for n in numbers)


def devices() -> tuple[Device, ...]:
    """Every device, in the order of the catalog."""
    return tuple(_device(place) for place in range(len(_raw()["devices"])))


def instances() -> tuple[Instance, ...]:
    """Every instance and system."""
    return tuple(_instance(place) for place in range(len(_raw()["instances"])))


def device(name: str) -> Device:
    """The device of an id or alias."""
    return _resolve(name.lower())[0]


def instance(name: str) -> Instance:
    """The instance of an id."""
    found = _named_instance(name)
    if found is None:
        raise UsageError(f"{name!r} is not an instance of the catalog", _near(name))
    return found


def search(query: str = "", min_memory: int = 0, vendor: str = "") -> list[Device]:
    """The devices that hold every word of the query in their id, name, aliases, architecture, category or vendor.

    `min_memory` is in bytes, and compared with what the driver shows.
    """
    words = re.findall(r"[a-z0-9.]+", query.lower(), re.ASCII)
    found = []
    for d in devices():
        if d.driver_bytes < min_memory or (vendor and d.vendor != vendor.strip().lower()):
            continue
        texts = " ".join((d.id, d.name, *d.aliases, d.architecture, d.category, d.vendor)).lower()
        texts += " " + texts.replace(" ", "").replace("-", "")
        if all(word in texts for word in words):
            found.append(d)
    return found


def offers(device_id: str, count: int) -> list[tuple[float, int, Instance]]:
    """What renting at least `count` of a device costs, cheapest first: dollars an hour, how many instances, and which.

    A plan is for machines of as many GPUs as one can have (`Device.per_machine`), and what it costs is the price of such: one instance for
    what one machine holds, several only of whole machines, or of the trays of a rack.
    """
    wanted = device(device_id)
    packages, whole = -(-count // wanted.per_package), wanted.per_machine // wanted.per_package
    priced = [i for i in instances() if i.gpu == device_id and i.usd_per_hour is not None]
    tray = max((i.gpu_count for i in priced), default=0) if wanted.of_rack else whole
    found = []
    for offer in priced:
        needed = -(-packages // offer.gpu_count)
        if (needed == 1 and packages <= whole) or (needed > 1 and offer.gpu_count == tray):
            found.append(((offer.usd_per_hour or 0.0) * needed, needed, offer))
    return sorted(found, key=lambda row: (row[0], row[1], row[2].id))


def rent(spec: GpuSpec) -> list[tuple[float, int, Instance]]:
    """What such a machine costs, as `offers` has it: of an instance that is named its own list price, or nothing where there is none."""
    if spec.device.vendor == "custom":
        return []
    if spec.instance is None:
        return offers(spec.device.id, spec.count)
    if spec.instance.usd_per_hour is None:
        return []
    return [(spec.instance.usd_per_hour * spec.instances, spec.instances, spec.instance)]


def rented() -> list[GpuSpec]:
    """The machines with GPUs that have a price, each number of a device once, and two whole ones where they are of a data centre, joined by
    a network: a machine with one GPU is whole, too.

    >>> [(spec.id, spec.count) for spec in rented() if spec.id == "h200-sxm-141gb"]
    [('h200-sxm-141gb', 1), ('h200-sxm-141gb', 8), ('h200-sxm-141gb', 16)]
    """
    found: dict[str, set[int]] = {}
    for offer in instances():
        if offer.usd_per_hour is not None and device(offer.gpu).category != "asic":
            found.setdefault(offer.gpu, set()).add(offer.gpu_count * device(offer.gpu).per_package)
    specs = []
    for name, counts in found.items():
        of = device(name)
        counts.update(2 * of.per_machine for n in (*counts,) if n == of.per_machine and of.category == "datacenter")
        specs += [GpuSpec(of, n) for n in sorted(counts) if offers(name, n)]
    return specs


def custom(vram_bytes: int) -> Device:
    """A card that the catalog does not list: nothing is known of it but its memory, which is taken as what an engine sees."""
    return Device(
        id="custom", name=f"GPU with {format_bytes(vram_bytes)}", vendor="custom", category="custom", architecture="", year=0,
        status="shipping", compute=None, memory_type="", nominal_gb=0, driver_bytes=vram_bytes, driver_basis="given",
        visible_bytes=vram_bytes, visible_basis="given", free_bytes=None, ram_bytes=None, ram_options=(), bandwidth_bytes_per_s=None,
        tflops=Tflops(), link="", link_bytes_per_s=None, link_note="", pcie_gen=None, pcie_lanes=None, cpu_link_bytes_per_s=None,
        per_node=8, domain=8, per_package=1, tdp_w=None, confidence="low", notes="", conflict="", aliases=(), sources=(),
    )  # fmt: skip


# Names

_UNLISTED = "`archcalc gpus` lists the catalog; a card that is not in it goes by its memory: --gpu 24GiB, or 2x24GiB for two"
# Words of full names that tell no two devices apart.
_NOISE = frozenset(
    """
    nvidia geforce tesla amd instinct radeon intel apple google amazon aws cloud gpu gpus card accelerator generation edition oam vf
    graphics macbook mac macmini macstudio imac studio mini air arc silicon
    """.split()
)
# Words that makers tell devices of one number apart by: a name without one of them is another device's, listed here or not.
_EDITIONS = frozenset(
    "ti super d laptop mobile max maxq ultra plus pro xt xtx gre ada blackwell nano nx agx sff oem nvl server workstation ws".split()
)
_MEMORY = r"([0-9]+)g(?:i?b)?"
_SEVERAL = r"[+;&|]|,(?![0-9]{3})|\band\b|\bplus\b|[\s/](?=[0-9]+\s*[x×*](?!tx?\b)\s*[a-z])"


def parse_spec(text: str, limit: int = MAX_GPUS) -> GpuSpec:
    """What a person means by ``8xH100``, ``2x4090``, ``a100:40gb x4``, ``mac-m4-max-128gb``, ``p5.48xlarge`` or ``2x24GiB``.

    A name that fits several devices is refused, except for those that most people mean one device by (the aliases of the catalog),
    where `notes` say which it was taken for. `limit` is the most GPUs that may be asked for.

    >>> spec = parse_spec("8xH100")
    >>> spec.count, spec.device.id
    (8, 'h100-sxm-80gb')
    """
    found = _named_instance(text)
    if found is not None:
        return _of_instance(found, 1, limit)
    if (
        machines := re.fullmatch(r"\s*([0-9]{1,4})\s*[x×*]\s*([0-9]{1,3}\s*[x×*]\s*(?![0-9]{1,2}\s*$)\S.*)", text, re.ASCII)
    ) is not None:
        return _of_machines(int(machines[1]), parse_spec(machines[2], limit), limit)
    kinds = [kind for part in re.split(_SEVERAL, text.lower(), flags=re.ASCII) if part.strip() for kind in split_list(part.strip())]
    several = UsageError(
        f"{_short(text)} names {len(kinds)} groups of GPUs: a plan is for one kind",
        f"ask for each alone, such as {kinds[0] if kinds else ''}: fit takes a list, {','.join(kinds)}; mixed cards of one machine are for "
        "llama.cpp's own command, behind --",
    )
    try:
        whole = re.sub(r"(?<![\w.])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])", lambda n: n[0].replace(",", ""), text, flags=re.ASCII)
        count, name = split_count(whole)
    except UsageError as error:
        raise (several if len(kinds) > 1 else error) from None
    is_device = is_listed(name)
    if len(kinds) > 1 and not is_device:  # "AI Max+ 395" is one
        raise several
    found = None if is_device else _named_instance(name)
    if found is not None:
        return _of_instance(found, count, limit)
    if not is_device and re.fullmatch(r"[0-9.]+\s*[gm]i?b", name, re.ASCII):
        return _counted(custom(parse_bytes(name)), count, limit, name)
    if name.isdecimal() and int(name) < 1000 and not is_device:
        # A count or a size: that a card has so many GB, and no other has, makes it no name.
        raise UsageError(
            f"{_short(text)} is a number, and names no GPU", "write it like 8xH100, 2x4090 or H100; by its memory a card is 24GiB"
        )
    resolved, notes = _resolve(name)
    if len(resolved.ram_options) > 1:
        # In the size that it is taken with, which its name then says wherever it stands.
        resolved = _with_ram(resolved, resolved.nominal_gb)
    return _counted(resolved, count, limit, name, notes)


def _of_machines(count: int, each: GpuSpec, limit: int) -> GpuSpec:
    """So many machines with as many GPUs each: ``2x8xH100``; of a rack, whose trays are as they are, all of them together."""
    of, total = each.device, count * each.count
    if each.instance is not None or (each.nodes > 1 and not of.of_rack):
        has = f"a machine has up to {of.per_host}" if each.instance is None else f"{each.instance.id} is a machine of its own"
        name = of.id if each.instance is None else each.instance.id
        raise UsageError(f"{count} machines of {each.count} x {of.id}: {has}", f"name all of them as one number: {total}x{name}")
    if of.of_rack or count == 1:
        return _counted(of, total // of.per_package, limit, of.id, tuple(n for n in each.notes if "compute trays" not in n))
    # As many to a machine as was said.
    own = of._replace(per_node=each.count, domain=min(of.domain, each.count) if of.category == "datacenter" else 0)
    spec = _counted(own, total // of.per_package, limit, of.id)
    said = f"{total} GPUs are {count} machines of {each.count}: between them runs a network"
    return spec._replace(instances=count, notes=(*each.notes, said))


def is_listed(name: str) -> bool:
    """Whether a device goes by this very name: "4090" and "3090" do, "8" does not."""
    return _compact(name) in _raw()["names"]


def split_list(text: str) -> list[str]:
    """The machines of a list: at commas, but for those within a number.

    >>> split_list("8xH100, 8xH200"), split_list("1,024xH100")
    (['8xH100', '8xH200'], ['1,024xH100'])
    """
    parts: list[str] = []
    for part in (piece.strip() for piece in text.split(",")):
        if parts and re.fullmatch(r"[0-9]{1,3}", parts[-1], re.ASCII) and re.match(r"[0-9]{3}(?![0-9])", part, re.ASCII):
            parts[-1] += f",{part}"
        elif part:
            parts.append(part)
    return parts or [text]


def parse_mixed(text: str, limit: int = MAX_GPUS) -> GpuSpec:
    """Cards of several kinds in one machine, in the order given: ``1x5090,1x3090``. One kind is what `parse_spec` makes of it.

    >>> spec = parse_mixed("1x5090,2x3090")
    >>> spec.count, [d.id for d in spec.each]
    (3, ['rtx-5090', 'rtx-3090', 'rtx-3090'])
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) < 2:
        return parse_spec(text, limit)
    specs = [parse_spec(part, limit) for part in parts]
    first = specs[0]
    others = tuple(spec.device for spec in specs[1:] for _ in range(spec.count))
    notes = tuple(dict.fromkeys(note for spec in specs for note in spec.notes))
    if all(device.id == first.device.id for device in others):
        return first._replace(count=sum(spec.count for spec in specs), notes=notes)
    return GpuSpec(first.device, first.count + len(others), notes=notes, others=others)


def _counted(of: Device, count: int, limit: int, name: str, notes: tuple[str, ...] = ()) -> GpuSpec:
    """So many packages of a device, if that many can be."""
    if count < 1:
        raise UsageError(f"{count} GPUs hold nothing", f"ask for 1 or more, such as 1x{name}")
    total = count * of.per_package
    most = max(limit, of.domain)
    if total > most:
        raise UsageError(
            f"{total:,} GPUs are more than one deployment can have: archcalc plans for up to {most:,}",
            f"plan one replica, such as {of.per_machine // of.per_package}x{name}, and multiply it",
        )
    if count > 1 and of.category in ("soc", "laptop"):
        kind = BUILT_IN[of.category]
        raise UsageError(f"{count}x{name}: a {kind} has one GPU, and no engine here pools several {kind}s", f"ask for {name}")
    if of.per_package > 1:
        notes += (f"one {of.name} shows as {of.per_package} GPUs: {count} of them {'are' if count > 1 else 'is'} {total} GPUs",)
    spec = GpuSpec(of, total, notes=notes)
    if total > max(of.per_machine, of.domain):
        link = of.link or "PCIe"
        many, what = (-(-total // of.per_machine), "racks") if of.of_rack else (spec.nodes, "machines")
        notes += (f"{total} GPUs are {many} {what} of up to {of.per_machine}: between them runs a network, not {link}",)
    if of.of_rack and spec.nodes > 1:
        notes += (
            f"{total} GPUs are {spec.nodes} compute trays of up to {of.per_host}, each a host of its own; {of.link} joins a rack's",
        )
    return spec._replace(notes=notes)


def _of_instance(found: Instance, count: int, limit: int) -> GpuSpec:
    of = device(found.gpu)
    size = found.gpu_count * of.per_package
    if not of.of_rack and (size > of.per_machine or count > 1):
        # As many to a machine as this one has.
        of = of._replace(per_node=size, domain=min(of.domain, size))
    spec = _counted(of, count * found.gpu_count, limit, found.id)
    if found.usd_per_hour is None:
        other = f"; --gpu {spec.count}x{of.id} has what as many GPUs cost elsewhere" if offers(found.gpu, spec.count) else ""
        said = f"the catalog has no list price of {found.id}, and no other's is taken for it{other}"
        spec = spec._replace(notes=(*spec.notes, said))
    return spec._replace(instance=found, instances=count)


def _named_instance(name: str) -> Instance | None:
    place = _raw()["instance_names"].get(_plain(name)) if len(name) <= 100 else None
    return None if place is None else _instance(place)


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", "-", text.strip().lower())


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _words(text: str) -> list[str]:
    """The words of a name that tell devices apart, with sizes in one spelling: "NVIDIA H100 80 GB" is h100, 80gb."""
    text = text.lower().replace("macbook pro", " ").replace("mac pro", " ")
    text = re.sub(r"([0-9])[\s-]+(g(?:i?b)?)\b", r"\1\2", text)
    words = re.findall(r"[a-z0-9]+", re.sub(r"\b(rtx|gtx|rx)(?=[0-9])", r"\1 ", text), re.ASCII)
    words = [f"{match[1]}gb" if (match := re.fullmatch(_MEMORY, word, re.ASCII)) else word for word in words]
    return [word for word in words if word not in _NOISE]


def _is_size(word: str) -> bool:
    return word.endswith("gb") and word[:-2].isdecimal()


def _compact(text: str) -> str:
    return "".join(_words(text))


@cache
def _words_of(place: int) -> frozenset[str]:
    """Every word that may stand for a device, in any order."""
    d = _device(place)
    words = {word for name in (d.id, d.name, d.architecture, d.memory_type, *d.aliases) for word in _words(name)}
    nominal = d.nominal_gb * d.per_package
    words |= {f"{nominal}gb", str(nominal)}
    words |= {re.sub(r"[0-9]+$", "", word) for word in words if word.startswith("sxm")}
    return frozenset(words)


def _find(words: list[str]) -> list[int]:
    """The places of the devices that all the words fit; one where the words together are a name of its own."""
    direct = _raw()["names"].get("".join(words))
    return [direct] if direct is not None else _fitting(words)


def _fitting(words: list[str]) -> list[int]:
    return [p for p in range(len(_raw()["devices"])) if _words_of(p).issuperset(words)] if words else []


def _resolve(name: str) -> tuple[Device, tuple[str, ...]]:
    """The one device of a name, and what to say of the choice; or an error that names the candidates."""
    words = _words(name)
    sizes = [int(word[:-2]) for word in words if _is_size(word)]
    base = [word for word in words if not _is_size(word)]
    places = _find(words)
    if sizes and len(family := _find(base)) == 1 and _device(family[0]).ram_options:
        places = family  # before anything else that fits: "m4 64gb" is no M4 Pro
    if not places and words and words[-1].endswith("s"):
        places = _find([*words[:-1], words[-1][:-1]])  # 8 H100s
    if len(places) > 1 and len(said := [p for p in places if not _unsaid(words, _device(p))]) == 1:
        # Of the others a word is left out that makes them what they are.
        places = said
    if len(places) > 1:
        raise _ambiguous(name, places)
    if not places:
        raise _unknown(name, words, base, sizes)
    found = _device(places[0])
    if found.ram_options and sizes:
        return _with_ram(found, sizes[0]), ()
    unsaid = _unsaid(words, found)
    if unsaid and not sizes:
        raise UsageError(
            f"{_short(name)} is not in the catalog; {found.id} is, and the word{'s' if len(unsaid) > 1 else ''}"
            f" {' and '.join(unsaid)} in its name make{'' if len(unsaid) > 1 else 's'} it another device",
            f"--gpu {found.id} if that is meant; {_UNLISTED}",
        )
    return found, _assumed(name, words, found, bool(unsaid))


def _unsaid(words: list[str], found: Device) -> list[str]:
    """The words of a device's name that make it another one than a name without them is of; none where one of its names has all of its
    own said."""
    said = {*words, "rtx", "gtx", "rx"}
    if any(said.issuperset(_words(name)) for name in found.aliases):
        return []
    lacking = [[word for word in _words(name) if word in _EDITIONS and word not in said] for name in (found.id, found.name)]
    return min(lacking, key=len)


def _with_ram(of: Device, gb: int) -> Device:
    """The device in one of the sizes it is sold in."""
    option = next((o for o in of.ram_options if o.gb == gb), None)
    if option is None:
        sold = [f"{o.gb} GB" for o in of.ram_options]
        raise UsageError(
            f"{of.name} is not sold with {gb} GB: it has {', '.join(sold[:-1])} or {sold[-1]}",
            f"write {of.id}-{of.ram_options[-1].gb}gb",
        )
    return of._replace(
        id=f"{of.id}-{gb}gb",
        name=f"{of.name} {gb} GB",
        nominal_gb=gb,
        ram_bytes=gb << 30,
        ram_options=(option,),
        driver_bytes=option.visible_bytes,
        visible_bytes=option.visible_bytes,
        bandwidth_bytes_per_s=option.bandwidth_bytes_per_s or of.bandwidth_bytes_per_s,
    )


def _assumed(name: str, words: list[str], found: Device, part: bool = False) -> tuple[str, ...]:
    """What a short name was taken for, if it could mean another device or size, or is a `part` of that device's."""
    if found.ram_options:
        sold = ", ".join(f"{o.gb}" for o in found.ram_options)
        return (
            f"{name} is taken with {found.nominal_gb} GB; it is sold with {sold} GB: write {found.id}-{found.ram_options[0].gb}gb",
        )
    others = _raw()["also_sold_as"].get("".join(words), ())
    if not others:
        return (f"{name} is taken for {found.id} ({format_bytes(found.driver_bytes)})",) if part else ()
    listed = ", ".join(f"{d.id} ({format_bytes(d.driver_bytes)})" for d in devices() if d.id in others)
    return (f"{name} is taken for {found.id} ({format_bytes(found.driver_bytes)}); there is also {listed}",)


def _ambiguous(name: str, places: list[int]) -> UsageError:
    some = [_device(p) for p in places[:8]]
    more = f" and {len(places) - 8} more (see `archcalc gpus {name}`)" if len(places) > 8 else ""
    listed = ", ".join(f"{d.id} ({d.nominal_gb} GB)" for d in some)
    return UsageError(f"{_short(name)} could be {len(places)} devices: {listed}{more}", f"name one by its id, such as {some[0].id}")


def _unknown(name: str, words: list[str], base: list[str], sizes: list[int]) -> UsageError:
    if re.search(r"\bmig\b|\b[1-7]g\.[0-9]+gb", name, re.ASCII):
        return UsageError(
            f"{_short(name)} is a part of a GPU (MIG), which the catalog does not list",
            "name the GPU and the memory that nvidia-smi shows of the part: --gpu h100 --vram 40GiB; it is planned for alone",
        )
    if not words and "mac" in name:
        return UsageError(f"{_short(name)} does not say which Mac", "name its chip and its memory, such as mac-m4-max-128gb")
    if re.search(r"\bcpu\b|\bram\b", name):
        return UsageError(
            f"{_short(name)}: plans are for GPUs and Macs, not for a CPU alone",
            "`archcalc kv MODEL --engine llama.cpp` has the cache, and --vram 16GiB --engine llama.cpp says what a card of that size holds",
        )
    message = f"{_short(name)} is not a GPU or instance of the catalog"
    if counted := re.fullmatch(r"(.*):\s*([0-9]+)", name, re.ASCII):
        return UsageError(message, f"write the number of GPUs first: {counted[2]}x{counted[1]}")
    joined = re.fullmatch(r"([0-9]{1,3})\s*[*-]?\s*([a-z].*)", name, re.ASCII)
    if joined and len(_find(_words(joined[2]))) == 1:
        return UsageError(message, f"write an x behind the number of GPUs: {joined[1]}x{joined[2]}")
    if sizes and _find(base):
        listed = ", ".join(_device(p).id for p in _fitting(base)[:8])
        return UsageError(f"no {' '.join(base)} with {sizes[0]} GB is in the catalog: it has {listed}", _UNLISTED)
    return UsageError(message, _near(name))


def _near(name: str) -> str:
    """Names that look like this one."""
    import difflib

    known = {alias: d.id for d in devices() for alias in d.aliases}
    known |= {i.id.lower(): i.id for i in instances()} | {d.id: d.id for d in devices()}
    close = difflib.get_close_matches(name.strip().lower()[:60], known, n=4, cutoff=0.6)
    ids = list(dict.fromkeys(known[c] for c in close))
    return (f"did you mean {' or '.join(ids)}? " if ids else "") + _UNLISTED
