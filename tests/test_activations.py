"""What autograd keeps: against what it saved, against the published formulas, and the laws of both.

`data/activations.jsonl.gz` holds bytes measured in transformers 5.23 on the CPU (14 dense model types),
`data/activations_more.jsonl.gz` those of 39 more configs, routed experts and MLA among them (`scripts/build_training.py
--activations`).
"""

from __future__ import annotations

import gzip
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import zoo
from archcalc.analysis.activations import How, Split, forward_peak, layer_kept, megatron_saved, rank_bytes, step_saved, without_rule
from archcalc.analysis.training import Planner, Run, targeted, trainable
from archcalc.arch import _rotary, adapter_name, parse, schema_of
from archcalc.model import Architecture, Layer, Tensor

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def architecture(row: dict[str, Any]) -> Architecture:
    """The tiny configs leave out keys that published ones state, so they are parsed without asking for those."""
    config = {"model_type": row["model_type"], **row["config"]}
    name = adapter_name(config)
    assert name is not None
    a = schema_of(name).model_validate(config).standalone()
    return a._replace(rotary=_rotary.tables(config, a.facts))


def predicted(row: dict[str, Any]) -> int:
    size = {"bfloat16": 2, "float32": 4}[row["dtype"]]
    a, lora, amp = architecture(row), row.get("lora"), row.get("amp", False)
    targets = targeted(a, [lora] if isinstance(lora, str) else lora, row.get("copied", ())) if lora else frozenset()
    how = How(
        size=size, attention=row["attn"], tokens=row["seq"], batch=row["batch"], cpu=True, amp=amp, trains=not lora, targets=targets,
        rank=16 if lora else 0, dora="dropout" in row, adapter_dropout=row.get("dropout", 0) > 0, whole=True,
    )  # fmt: skip
    # Autograd keeps autocast's casts of the weights too.
    casts = sum(size * n * t.elements for _, t, n in a.each_tensor() if len(t.shape) == 2 and t.role != "embedding") if amp else 0
    return casts + step_saved(a, how, loss="full" if row["with_loss"] else "none", checkpointing=row["checkpointing"])


def test_dense_models_to_the_byte() -> None:
    wrong = [
        (r["model_type"], r["attn"], r["batch"], r["seq"], predicted(r), r["saved_bytes"])
        for r in rows("activations.jsonl.gz")
        if predicted(r) != r["saved_bytes"]
    ]
    assert not wrong


def test_adapters_on_the_embedding_and_the_head_to_the_byte() -> None:
    """`data/ends.jsonl`: PEFT 0.21 in transformers 5.24 on the CPU, adapters on both, and copies of them that are trained."""
    for line in (DATA / "ends.jsonl").read_text(encoding="utf-8").splitlines():
        r = json.loads(line)
        run = Run(r["seq"], lora=16, targets=tuple(r["lora"]), saved=tuple(r["copied"]))
        assert (predicted(r), sum(trainable(architecture(r), run))) == (r["saved_bytes"], r["trainable"]), (r["lora"], r["copied"])


def test_magnitudes_beside_adapters() -> None:
    """`data/dora.jsonl`: DoRA of PEFT 0.21 in transformers 5.24 on the CPU, with dropout and without: parameters to the last, bytes that
    autograd still holds at the end of the forward pass. Under autocast the casts of adapters are not told from those of weights."""
    for line in (DATA / "dora.jsonl").read_text(encoding="utf-8").splitlines():
        r = json.loads(line)
        where = r["model_type"], r["lora"], r["dropout"], r["amp"]
        if r["amp"] and r["model_type"] == "gpt2":
            continue  # Its gains and dense matrices are cast otherwise, with adapters and without.
        run = Run(r["seq"], lora=16, targets=(r["lora"],) if isinstance(r["lora"], str) else tuple(r["lora"]), dora=True)
        assert sum(trainable(architecture(r), run)) == r["trainable"], where
        assert abs(predicted(r) / r["saved_bytes"] - 1) <= (0.02 if r["amp"] else 0.0001), where


def test_adapters_under_autocast() -> None:
    """`data/autocast.jsonl`: fp32 adapters of PEFT 0.21 beside bf16 weights on the CPU, their input cast to fp32 or not (beside 4-bit
    matrices). The casts of the first factors of the first layer are no one's: its input has no gradient."""
    for line in (DATA / "autocast.jsonl").read_text(encoding="utf-8").splitlines():
        r = json.loads(line)
        a, names = architecture(r), [r["lora"]] if isinstance(r["lora"], str) else r["lora"]
        how = How(
            tokens=r["seq"], batch=r["batch"], cpu=True, trains=False, targets=targeted(a, names, ()), rank=16,
            adapter_dropout=r["dropout"] > 0, autocast="cast" if r["cast"] else "kept",
        )  # fmt: skip
        held = step_saved(a, how, loss="full", checkpointing=False) + 2 * r["trainable"]
        # The CPU's mask of a head is in the type of its input, and heads are not in 4 bits.
        near = 0.021 if "lm_head" in names and r["dropout"] and not r["cast"] else 0.005
        assert abs(held / r["saved_bytes"] - 1) <= near, (r["model_type"], names, r["dropout"], r["cast"])


def test_more_models_within_two_percent() -> None:
    errors = {json.dumps(r): abs(predicted(r) / r["saved_bytes"] - 1) for r in rows("activations_more.jsonl.gz")}
    assert statistics.median(errors.values()) == 0
    assert sum(e <= 0.02 for e in errors.values()) >= 0.95 * len(errors)
    assert max(errors.values()) <= 0.05, max(errors, key=lambda row: errors[row])


# Korthikanti et al. 2022, arXiv:2205.05198. Sizes of table 3: heads, hidden, layers, tensor and pipeline ways, micro-batch, GPUs,
# batch.
GPT = {
    "22B": (64, 6144, 48, 8, 1, 4, 8, 4),
    "175B": (96, 12288, 96, 8, 8, 1, 64, 64),
    "530B": (128, 20480, 105, 8, 35, 1, 280, 280),
    "1T": (160, 25600, 128, 8, 64, 1, 512, 512),
}
S = 2048


def gpt(heads: int, hidden: int, layers: int) -> Architecture:
    config = {"model_type": "gpt2", "n_embd": hidden, "n_head": heads, "n_layer": layers, "n_positions": S, "vocab_size": 51200}
    return parse({**config, "activation_function": "gelu"})


@pytest.mark.parametrize("name", GPT)
def test_table_2_of_korthikanti(name: str) -> None:
    """Activations memory per transformer layer: no parallelism, and the five variants."""
    a, h, layers, t, _, b, _, _ = GPT[name]
    model = gpt(a, h, layers)
    layer = model.stacks[0].kinds[0]
    how = How(attention="eager", tokens=S, batch=b)
    every = list(megatron_saved(model, layer, how))
    selective = layer_kept(model, layer, how, "megatron", "selective").kept
    full = layer_kept(model, layer, how, "megatron", "full").kept
    sbh, scores = S * b * h, 5 * a * S * S * b
    assert rank_bytes(every, b, S) == 34 * sbh + scores
    assert rank_bytes(every, b, S, Split(t)) == 10 * sbh + (24 * sbh + scores) // t
    assert rank_bytes(every, b, S, Split(t, sequence=True)) == (34 * sbh + scores) // t
    assert rank_bytes(selective, b, S, Split(t)) == 10 * sbh + 24 * sbh // t
    assert rank_bytes(selective, b, S, Split(t, sequence=True)) == 34 * sbh // t
    assert rank_bytes(full, b, S, Split(t)) == 2 * sbh


def test_selective_recomputation_saves_what_section_5_says() -> None:
    """GPT-3: 5as/h is 80 and 70 % of the activations; MT-NLG: 64 and 65 %."""
    for name, ratio, share in (("175B", 80, 0.70), ("530B", 64, 0.65)):
        a, h = GPT[name][:2]
        assert 5 * a * S == ratio * h
        model = gpt(a, h, 2)
        layer, how = model.stacks[0].kinds[0], How(attention="eager", tokens=S)
        kept = layer_kept(model, layer, how, "megatron", "selective")
        assert rank_bytes(kept.again, 1, S) / (rank_bytes(kept.kept, 1, S) + rank_bytes(kept.again, 1, S)) == pytest.approx(
            share, abs=0.006
        )


def test_first_stage_holds_all_layers_whatever_the_stages() -> None:
    """Section 4.2.3: with 1F1B the first stage keeps L layers, interleaved L(1 + (p - 1) / (pm)); 530B has 35 stages of 3
    chunks."""
    a, h, layers, t, p, _, _, _ = GPT["530B"]
    model = gpt(a, h, layers)
    run = Run(S, implementation="megatron", attention="eager", tp=t, sequence=True, pp=p, micro_batches=280, recompute="selective")

    def decoder_bytes(run: Run) -> int:
        terms = Planner(model).memory(run)
        assert terms.stage == 0
        return sum(size for block, size in terms.kept if block != "embedding")

    layer_bytes = 34 * S * h // t
    assert decoder_bytes(run) == layers * layer_bytes
    assert decoder_bytes(run._replace(interleave=3)) == layers * layer_bytes * (3 * p + p - 1) // (3 * p)


# Laws

MODELS = [
    "llama-3.1-8b",
    "gemma-3-27b",
    "deepseek-v3",
    "qwen3-30b-a3b",
    "gpt2",
    "qwen3-next-80b-a3b",
    "gpt-oss-20b",
    "phi-4",
    "llama-4-scout",
]
SPECS = {name: spec for name in MODELS if (spec := zoo.spec(name)) is not None}
models = st.sampled_from(sorted(SPECS))


def layers_of(name: str) -> list[Layer]:
    return [layer for s in SPECS[name].stacks if s.part == "decoder" for layer in s.kinds]


@settings(deadline=None)
@given(models, st.integers(1, 1024), st.integers(1, 8), st.sampled_from(["eager", "sdpa", "flash"]))
def test_more_tokens_and_sequences_never_keep_less(name: str, tokens: int, batch: int, attention: Any) -> None:
    how = How(attention=attention, tokens=tokens, batch=batch)
    some = step_saved(SPECS[name], how, loss="full")
    assert some <= step_saved(SPECS[name], how._replace(tokens=tokens + 1), loss="full")
    # One sequence keeps some views whose storage is larger; from two on there is a copy.
    if batch > 1:
        assert some <= step_saved(SPECS[name], how._replace(batch=batch + 1), loss="full")


@settings(deadline=None)
@given(models, st.integers(1, 4096), st.sampled_from(["eager", "sdpa", "flash"]), st.booleans())
def test_ways_of_checkpointing_keep_ever_less(name: str, tokens: int, attention: Any, adapters: bool) -> None:
    how = How(attention=attention, tokens=tokens, trains=not adapters)
    for layer in layers_of(name):
        for implementation in ("transformers", "megatron"):
            none, selective, full = (
                rank_bytes(layer_kept(SPECS[name], layer, how, implementation, way).kept, 1, tokens)  # type: ignore[arg-type]
                for way in ("none", "selective", "full")
            )
            assert full <= selective <= none


@settings(deadline=None)
@given(models, st.integers(64, 4096), st.sampled_from([1, 2, 4, 8]))
def test_ranks_never_keep_more(name: str, tokens: int, tp: int) -> None:
    how = How(attention="flash", tokens=tokens)
    for layer in layers_of(name):
        kept = layer_kept(SPECS[name], layer, how).kept
        alone, tensor = rank_bytes(kept, 1, tokens), rank_bytes(kept, 1, tokens, Split(tp))
        both = rank_bytes(kept, 1, tokens, Split(tp, sequence=True))
        assert both <= tensor <= alone
        assert rank_bytes(kept, 1, tokens, Split(1, cp=2)) <= alone


@given(models, st.integers(1, 4096))
def test_inference_keeps_less_than_training(name: str, tokens: int) -> None:
    how = How(attention="sdpa", tokens=tokens)
    decode = forward_peak(SPECS[name], how._replace(tokens=1), context=tokens)
    assert decode <= forward_peak(SPECS[name], how) <= step_saved(SPECS[name], how, loss="full")


GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.jsonl"))


def test_layers_say_what_their_learned_rows_do() -> None:
    """Of every decoder that the reference has, in golden rows: a row that no rule knows would be left out of what training keeps."""
    silent = {}
    for path in GOLDEN:
        config = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["config"]
        a = parse(config)
        if odd := [name for name in without_rule(a) if not name.endswith("inv_freq")]:
            silent[a.model_type] = odd
    assert not silent


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (Tensor("self_attn.wave", (64,), "attention"), True),
        (Tensor("self_attn.wave", (1, 1, 64), "attention"), True),
        (Tensor("self_attn.wave", (64,), "attention", acts="multiplies"), False),
        (Tensor("self_attn.wave.bias", (64,), "attention"), False),
        (Tensor("self_attn.wave", (64, 64), "attention"), False),
    ],
)
def test_a_row_that_says_nothing_is_named(row: Tensor, told: bool) -> None:
    a = zoo.spec("qwen3-0.6b")
    stack = a.stacks[0]
    layer = stack.kinds[0]._replace(tensors=(*stack.kinds[0].tensors, row))
    odd = without_rule(a._replace(stacks=(stack._replace(kinds=(layer, *stack.kinds[1:])), *a.stacks[1:])))
    assert odd == ([row.name] if told else [])
