"""How well cards are read: real tables, their claims written down by hand, against what check makes of them.

tests/data/cards/expected.txt holds the claims of each page and explains its notation. KNOWN lists where today's reading differs, each
with the reason: a page that reads worse than that fails, and so does one that reads better, so that the list stays true.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from archcalc import zoo
from archcalc.cards.check import check_file
from archcalc.cards.settings import Settings

FOLDER = Path(__file__).parent / "data" / "cards"
MARKS = {"!": "wrong", "?": "unverifiable"}

# A page, why its reading differs, and the claims: - for one that is missed, + for one that is read and not there, ~ for a verdict that
# differs from what the page's config says.
KNOWN = """
olmo2-first.md: a size in a sentence about a family
- olmo-2-7b total_params=7B
gpt3-llama.md: LLaMA, the first of its name, is not bundled, and alone the name is that of the whole family
+ llama-2-7b and more context=2,048
+ llama-2-7b and more vocab=32,000
- ? context=2,048
- ? vocab=32,000
neko.md: what stands before a colon inside a cell (GDN: ..., SWA: ...) is a kind of layer, and read as a word
+ ? position=SWA
+ ? position=nopositional
llada.md: a note in brackets and the base beside RoPE say more than was written down, of models that are not bundled
+ ? attention=GQA
+ ? rope_theta=50000
+ ? rope_theta=600000
architecture-evolution.md: two models in one cell, told apart by words in brackets: such a cell is left alone
- glm-4.5 total_params=355B
- glm-4.5-air total_params=106B
reference-zh.md: two sizes of one model, divided by a slash, of a model that is not bundled
+ ? active_params=65M
+ ? kv_heads=16
- ? heads=16
- ? hidden_size=1024
- ? total_params=65M
offload-library.md: a llama3 of 1B is taken for Llama 3, which has none; it is never guessed to be Llama 3.2
+ ? kv_cache=12.6GB
+ ? weights=2GB
- llama-3.2-1b kv_cache=12.6GB
- llama-3.2-1b weights=2GB
can-it-run.md: a licence in a list, without a label
- mixtral-8x7b license=Apache2.0
eight-archs-zh.md: a product (12B*8) is left alone
- mixtral-8x22b active_params=12B*8
family-index.md: three members and their two sizes in one cell, under a head that gives the unit and the order
+ llama-4-scout+llama-4-maverick active_params=17
+ llama-4-scout+llama-4-maverick active_params=17
+ llama-4-scout+llama-4-maverick total_params=109
+ llama-4-scout+llama-4-maverick total_params=400
- ? active_params=288
- ? total_params=2000
- llama-4-maverick active_params=17
- llama-4-maverick total_params=400
- llama-4-scout active_params=17
- llama-4-scout total_params=109
llama31-kv-issue.md: the sizes that name the rows are read as sizes too
+ llama-3.1-405b total_params=405B
+ llama-3.1-70b total_params=70B
+ llama-3.1-8b total_params=8B
gemma-ko.md: Korean for a sliding window is not among the words
- gemma-2-2b+gemma-2-9b+gemma-2-27b attention=로컬슬라이딩윈도및글로벌어텐션
tutorial-bullets.md: "positional encoding" behind "rotary" in a sentence of a model that is not bundled
- ? position=rotarypositionalencoding
cpu-runtime.md: NTK is not among the words for positions
- qwen2.5-7b position=NTK-aware
gpt-oss-demo.md: 60 of 65.2 GB is cut off and GB as GiB, both at once, which nothing is called right by
~ gpt-oss-120b weights=60GB unverifiable
llama31-finetune.md: the licence is read with the reference mark that a chat program left, and half of a sentence is not
+ llama-3.1-8b+llama-3.1-70b+llama-3.1-405b context=128K
- llama-3.1-70b total_params=70B
- llama-3.1-8b context=128K
- llama-3.1-8b total_params=8B
+ llama-3.1-8b license=Llama3.1CommunityLicense(customcommercial):contentReference[oaicite:5]{index=5}
- llama-3.1-8b license=Llama3.1CommunityLicense(customcommercial)
granite4-nano.md: layers of two kinds in one cell, and the FFN of a hybrid under a label of two, of models that are not bundled
+ ? full_layers=4
+ ? full_layers=4
+ ? linear_layers=28
+ ? linear_layers=36
- ? intermediate_size=2048
- ? intermediate_size=2048
- ? intermediate_size=4096
- ? intermediate_size=4096
- ? layer_ratio=4attention/28Mamba2
- ? layer_ratio=4attention/36Mamba2
phi4-mini-card.md: the dates of the training are read as a release
+ phi-4-mini release=TrainedbetweenNovemberandDecember2024
kimi26-quant.md: counts in brackets behind the name of a model that is not bundled; a share of experts in a note
+ ? active_experts=8
deepseek-v32-nvfp4.md: the size of the original, in a table about the quantization, and parts that were left as they were
+ deepseek-v3.2 norm=RMSnorm
- deepseek-v3.2 weights=642GB
qwen3-coder-gpu.md: a word in front of its label, and a type under "Architecture"
- qwen3-coder-480b-a35b type=MoE
- qwen3-coder-480b-a35b type=MoE
gemma3-27b-report.md: the bundled config leaves both bases to the defaults of its class
~ gemma-3-27b rope_theta=10K unverifiable
~ gemma-3-27b rope_theta=1M unverifiable
gpt-oss-porting.md: 4 (top-4) says it twice, and is read twice
+ gpt-oss-20b active_experts=4
+ gpt-oss-20b active_experts=4
kv-calculator.md: a formula and a measurement, whose unit and model stand in the head of their column
- qwen2.5-0.5b kv_per_token=24,576
- qwen2.5-0.5b kv_per_token=24,576
glm51-mtp.md: a size inside the name of a class, and the original's beside the quantization's
- glm-5.1 weights=1.4TB
glm47-flash-trellis.md: tensors by their bits under "Parameters", and the original's size in a comparison
+ ? total_params=2.1B
+ ? total_params=591M
+ ? total_params=8.6B
+ ? total_params=8.6B
+ ? total_params=9.4B
- ? weights=60GB
kimi-linear-mlx.md: a licence with the sentence around it, a range of sizes, and a width among counts in brackets
+ ? license=MIT,matchingtheupstreammoonshotai/Kimi-Linear-48B-A3B-Instructrelease.
+ ? weights=29GB
- ? license=MIT
mistral31-bnb.md: a licence that is itself the label, and a vocabulary in a sentence
- mistral-small-3.1-24b license=Apache2.0
smollm2-135m-course.md: "non-MoE" and what it stands beside in one sentence, of a model that is not bundled
+ ? attention=GQA
+ ? type=MoE
- ? activation=SwiGLU
- ? gqa_ratio=3
phi3-medium.md: a table of downloads whose rows are halves of names (Mini, Small), and dates in sentences
+ phi-3-medium release=OurmodelsweretrainedbetweenFebruaryandApril2024
+ phi-3-medium release=ThemodelweightisreleasedonMay21,2024.
- ? context=128K
- ? context=128K
- ? context=8K
- phi-3-medium context=128K
- phi-3-medium context=4K
- phi-3-medium release=May21,2024
- phi-3-mini context=128K
- phi-3-mini context=4K
gpt-oss-catalogue.md: positions in a cell about attention
- gpt-oss-20b position=RotaryPositionEmbeddings
hysparse.md: a ratio of experts written with a colon, which divides kinds of layers elsewhere
- ? active_experts=8
- ? experts=512
kv-quant-models.md: a model in brackets with a remark, and the ratio of heads written as heads
+ ? attention=MHA
+ ? head_dim=128
+ ? heads=32
+ ? kv_heads=32
+ ? kv_heads=32
+ ? layers=32
+ ? total_params=7B
+ mistral-7b-v0.1 gqa_ratio=32:8
+ qwen2-7b gqa_ratio=28:4
- ? attention=MQA
- llama-2-7b attention=MHA
- llama-2-7b head_dim=128
- llama-2-7b heads=32
- llama-2-7b kv_heads=32
- llama-2-7b kv_heads=32
- llama-2-7b layers=32
- llama-2-7b total_params=7B
nemotron-h-docs.md: heads of a Mamba mixer and its pattern in letters, of models that are not bundled
+ ? linear_head_dim=64
+ ? linear_heads=112
- ? attention=Multi-QueryAttention
- ? layer_ratio=M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-
- ? position=RoPE
kv-cost-zh.md: a range without units, and a name with a load behind it (@ 4)
+ ? head_dim=128
+ ? kv_cache=160GB
+ ? kv_cache=40GB
+ ? kv_cache=5.2GB
+ ? kv_heads=8
+ ? layers=80
- llama-3-70b kv_cache=40
- llama-3.1-70b head_dim=128
- llama-3.1-70b kv_cache=160GB
- llama-3.1-70b kv_cache=40GB
- llama-3.1-70b kv_cache=5.2GB
- llama-3.1-70b kv_heads=8
- llama-3.1-70b layers=80
lazy-experts.md: a type in a sentence of a list, and a key of the config in code
+ ? type=moe
- ? dense_layers=3
- ? type=dense
- devstral-2-123b type=dense
moe-wiki.md: a type in the column of counts of experts
- deepseek-v3.2 type=MoE
- glm-5 type=MoE
- kimi-k2.5 type=MoE
- mistral-large-3-675b type=MoE
- qwen3.5-397b-a17b type=MoE
fit-llama31.md: a type in the column of counts of parameters
- llama-3.1-8b type=Dense
course-ko.md: sizes of a line of models in one cell, and Korean labels
+ ? total_params=12B
+ ? total_params=1B
+ ? total_params=27B
+ ? total_params=4B
- ? license=Apache
- ? total_params=0.5B
- ? total_params=1.1B
- ? total_params=1.5B
- ? total_params=14B
- ? total_params=2.4B
- ? total_params=32B
- ? total_params=32B
- ? total_params=3B
- ? total_params=7.8B
- gemma-3-1b and more total_params=12B
- gemma-3-1b and more total_params=1B
- gemma-3-1b and more total_params=27B
- gemma-3-1b and more total_params=4B
"""


class Claimed(NamedTuple):
    """A claim: what model it was taken for, its field, and its text without blanks."""

    model: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.model} {self.field}={self.text}"


class Reading(NamedTuple):
    """A page's claims with their verdicts; the same text may stand under one field more than once."""

    counts: Counter[Claimed]
    verdicts: dict[Claimed, set[str]]


def reading(claims: list[tuple[Claimed, str]]) -> Reading:
    verdicts: dict[Claimed, set[str]] = {}
    for claim, verdict in claims:
        verdicts.setdefault(claim, set()).add(verdict)
    return Reading(Counter(claim for claim, _ in claims), verdicts)


def plain(text: str) -> str:
    return re.sub(r"\s", "", text).lstrip("~")


@cache
def expected() -> dict[str, Reading]:
    """The claims of every page, as expected.txt has them."""
    pages: dict[str, list[tuple[Claimed, str]]] = {}
    page: list[tuple[Claimed, str]] = []
    for line in (FOLDER / "expected.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            page = pages[line[3:].strip()] = []
        elif ": " in line and not line.startswith("#"):
            model, _, rest = line.partition(": ")
            for field, value in re.findall(r"(\w+)=(.*?)(?= \w+=|$)", rest):
                verdict = MARKS.get(value[-1], "ok")
                claim = Claimed(shortened(model), field, plain(value[:-1] if verdict != "ok" else value))
                page.append((claim, verdict if model != "?" else "unknown-model"))
    return {name: reading(claims) for name, claims in pages.items()}


def shortened(models: str) -> str:
    """A long list of models by its first: members that have no card stand between the others, and a list is cut off after five."""
    names = models.partition(" and ")[0].split("+")
    return f"{names[0]} and more" if len(names) > 3 or " more" in models else models


@cache
def written_of() -> frozenset[str]:
    """The models that expected.txt speaks of, and all with a card."""
    said = {model for want in expected().values() for claim in want.counts for model in claim.model.split("+")}
    return frozenset({entry.name for entry in zoo.entries() if entry.card or entry.name in said})


def as_written(resolved: str) -> str:
    """Models as expected.txt has them, which was written when those with a card were bundled: a release is what it was tuned from, and
    what else has no card is none."""
    names = [name.strip() for name in resolved.split(",") if name.strip()]
    kept = dict.fromkeys(name for name in names if name.partition(" and ")[0] in written_of())
    more = " and 1 more" if " more" in resolved and kept else ""
    return "+".join(name.partition(" and ")[0] for name in kept) + more or "?"


@cache
def found(page: str) -> Reading:
    """What check reads. Cells that it says it does not understand, and what no config can tell of data, are not claims here."""
    claims = []
    for result in check_file(str(FOLDER / page), Settings(), offline=True).results:
        if result.why.startswith("not understood") or result.field == "data":
            continue
        model = as_written(result.resolved or "")
        model = shortened(model.replace("mistral-7b-v0.1+mistral-7b-v0.2+mistral-7b-v0.3", "mistral-7b"))
        # An alarm or a doubt: how many of each is counted below.
        verdict = {"doubtful": "wrong"}.get(result.verdict, result.verdict)
        claims.append((Claimed(model, result.field, plain(result.claimed)), verdict if model != "?" else "unknown-model"))
    return reading(claims)


def differences(page: str) -> list[str]:
    """Lines in the notation of KNOWN."""
    want, got = expected()[page], found(page)
    lines = [f"- {claim}" for claim in (want.counts - got.counts).elements()]
    lines += [f"+ {claim}" for claim in (got.counts - want.counts).elements()]
    lines += [
        f"~ {claim} {verdict}"
        for claim, verdicts in got.verdicts.items()
        for verdict in verdicts - want.verdicts.get(claim, verdicts)
    ]
    return sorted(lines)


@cache
def known() -> dict[str, list[str]]:
    pages: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in KNOWN.strip().splitlines():
        if line[0] in "-+~":
            lines.append(line)
        else:
            page, _, why = line.partition(": ")
            assert why, f"{page}: say why"
            lines = pages[page] = []
    return {page: sorted(lines) for page, lines in pages.items()}


def test_every_page_has_its_claims_written_down() -> None:
    assert set(expected()) == {path.name for path in FOLDER.glob("*.md")}
    assert set(known()) <= set(expected())
    assert len(expected()) >= 60


@pytest.mark.parametrize("page", expected())
def test_the_claims_of_a_page(page: str) -> None:
    assert differences(page) == known().get(page, [])


def test_precision_and_recall() -> None:
    """Of the claims read, how many are there; of those that are there, how many are read. A claim counts with its model and field."""
    right = read = there = judged = 0
    for page, want in expected().items():
        got = found(page)
        right += sum((want.counts & got.counts).values())
        read += sum(got.counts.values())
        there += sum(want.counts.values())
        judged += sum(got.verdicts[claim] <= verdicts for claim, verdicts in want.verdicts.items() if claim in got.verdicts)
    assert there > 1000
    # These may only grow.
    assert right / read >= 0.980
    assert right / there >= 0.970
    assert judged / sum(len(want.verdicts) for want in expected().values()) >= 0.972


def test_nothing_is_called_wrong_that_is_right() -> None:
    """Of all pages, and whatever else of them is read differently."""
    called = {(page, claim) for page in expected() for claim, verdicts in found(page).verdicts.items() if "wrong" in verdicts}
    wrong = {(page, claim) for page, want in expected().items() for claim, verdicts in want.verdicts.items() if "wrong" in verdicts}
    assert called - wrong == set()
    assert len(called) > 40
