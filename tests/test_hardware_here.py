"""`--gpu here`: what vendors' tools print, read; a machine without a GPU is an answer too."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from archcalc.errors import UsageError
from archcalc.hardware import here

GIB = 1 << 30


def tool(**answers: str) -> here.Run:
    def run(words: Sequence[str]) -> str | None:
        return answers.get(words[0].replace("-", "_"))

    return run


def test_two_cards_of_one_kind_and_what_others_use() -> None:
    spec = here.spec(tool(nvidia_smi="NVIDIA GeForce RTX 4090, 24564, 2300\nNVIDIA GeForce RTX 4090, 24564, 10\n"), "linux")
    assert (spec.device.id, spec.count) == ("rtx-4090", 2)
    assert spec.device.free_bytes == spec.device.visible_bytes - (2300 << 20)


@pytest.mark.parametrize(
    ("line", "device"),
    [
        ("NVIDIA A100-SXM4-80GB, 81920, 0", "a100-sxm4-80gb"),
        ("NVIDIA A100-SXM4-40GB, 40960, 0", "a100-sxm4-40gb"),
        ("NVIDIA H100 80GB HBM3, 81559, 0", "h100-sxm-80gb"),
        ("Tesla T4, 15360, 0", "t4"),
        ("NVIDIA L4, 23034, 0", "l4"),
    ],
)
def test_names_as_the_driver_writes_them(line: str, device: str) -> None:
    spec = here.spec(tool(nvidia_smi=line + "\n"), "linux")
    assert spec.device.id == device and spec.device.free_bytes is None


def test_a_card_with_less_memory_than_listed() -> None:
    spec = here.spec(tool(nvidia_smi="NVIDIA GeForce RTX 5090, 31000, 0\n"), "linux")
    assert spec.device.id == "rtx-5090" and spec.device.visible_bytes < 31000 << 20


def test_a_card_of_no_catalog_counts_by_its_memory() -> None:
    spec = here.spec(tool(nvidia_smi="NVIDIA Frobnicator 9, 12345, 0\n"), "linux")
    assert (spec.device.id, spec.device.visible_bytes) == ("custom", 12345 << 20)


def test_a_mac() -> None:
    answers = {"machdep.cpu.brand_string": "Apple M4 Max\n", "hw.memsize": f"{128 * GIB}\n", "iogpu.wired_limit_mb": "120000\n"}
    spec = here.spec(lambda words: answers.get(words[-1]), "darwin")
    assert spec.device.id == "apple-m4-max-128gb" and spec.device.visible_bytes == 120000 << 20


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (tool(), "no GPU is found"),
        (tool(nvidia_smi="NVIDIA GeForce RTX 4090, 24564, 0\nNVIDIA GeForce RTX 3090, 24576, 0\n"), "a plan is for one kind"),
    ],
)
def test_no_gpu_and_several_kinds_are_answers(found: here.Run, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        here.spec(found, "linux")
    assert "--gpu" in caught.value.hint or "--gpu" in caught.value.message
