"""What `--fix` writes: published counts as their publishers round them, and all of what there is to mend at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.cards.check import Checked, check_text
from archcalc.cards.fix import Mended, mend
from archcalc.cards.settings import Settings


def again(text: str) -> Checked:
    return check_text(text, "card.md", Settings(), offline=True)


# A figure, and what it is mended to: publishers round as they please, and only where the digits go further than theirs the tensors tell.
ROUNDED = [
    ("DeepSeek-V3", "Active params", "33B", "37B"),  # arXiv:2412.19437, abstract; its tensors have 37.55 B
    ("DeepSeek-R1", "Active params", "33.0B", "37.6B"),
    ("Qwen3-235B-A22B", "Active params", "25B", "22B"),
    ("Qwen3.5-397B-A17B", "Active params", "23B", "17B"),  # 17.8 B
    ("GLM-4.5", "Active params", "22B", "32B"),  # arXiv:2508.06471, abstract; 33.6 B
    ("Mixtral 8x7B", "Active params", "11B", "13B"),
    ("Llama-2-70B", "Params", "80B", "70B"),  # 68.98 B
    ("Llama-2-70B", "Params", "80.0B", "69.0B"),
    ("gpt2", "Params", "150M", "124M"),  # Radford et al. 2019 say 117M, which no way to count gives
]


@pytest.mark.parametrize(("model", "label", "said", "mended"), ROUNDED)
def test_counts_are_mended_as_published(model: str, label: str, said: str, mended: str) -> None:
    page = f"<!-- archcalc: {model} -->\n\n- {label}: "
    assert mend(again(page + said), again) == Mended(page + mended, 1, 0)


_FIGURES = {
    "Qwen3-8B": (36, 4096, 32, 8, "8.2B"),
    "Qwen3-14B": (40, 5120, 40, 8, "14.8B"),
    "Qwen3-32B": (64, 5120, 64, 8, "32.8B"),
    "Phi-4": (40, 5120, 40, 10, "14.7B"),
    "DeepSeek-V2": (60, 5120, 128, 128, "236B"),
    "Llama-3.1-70B": (80, 8192, 64, 8, "70.6B"),
}
"""Layers, width, query and KV heads of published configs, and parameters as published."""
_LABELS = ("Layers", "Hidden size", "Heads", "KV heads", "Params")


@st.composite
def pages(draw: st.DrawFn) -> str:
    """A table and lists of some models, with some figures of others among them."""
    names = draw(st.lists(st.sampled_from(list(_FIGURES)), min_size=1, max_size=3, unique=True))
    others = st.sampled_from(list(_FIGURES))
    cells = {name: [_FIGURES[draw(others) if draw(st.booleans()) else name][k] for k in range(len(_LABELS))] for name in names}
    if draw(st.booleans()):
        rows = [f"| {name} | {' | '.join(map(str, said))} |" for name, said in cells.items()]
        return "\n".join([f"| Model | {' | '.join(_LABELS)} |", "|---" * (len(_LABELS) + 1) + "|", *rows, ""])
    items = [
        f"# {name}\n\n" + "".join(f"- {label}: {one}\n" for label, one in zip(_LABELS, said, strict=True))
        for name, said in cells.items()
    ]
    return "\n".join(items)


@given(pages())
def test_what_is_mended_is_not_mended_again(text: str) -> None:
    """A figure that is mended confirms its neighbours: all of them are mended at once."""
    once = mend(again(text), again)
    assert mend(again(once.text), again) == Mended(once.text, 0, once.left)
