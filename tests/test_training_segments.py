"""What PyTorch's allocator takes from a GPU: replayed from the rules of its source, against published runs and by hand."""

from __future__ import annotations

import pytest

import training_rows
from archcalc.analysis.training import Run as Training
from archcalc.analysis.training.segments import loss_steps, taken
from conftest import Run
from test_training_words import GIB, said, term

MIB = 1 << 20


@pytest.mark.parametrize(
    ("shifted", "freed", "bytes_a_logit"),
    [
        # bf16 logits, their fp32 copy, log-softmax and two gradients: the fp32 copy's block serves one of these.
        ("labels", False, 2 + 4 + 4 + 4),
        ("labels", True, 2 + 4 + 4 + 4),
        # The shifted copy's block serves a gradient; that of the bf16 logits is too small for anything in fp32.
        ("fp32-logits", False, 2 + 4 + 4 + 4 + 4),
        ("logits", False, 2 + 4 + 4 + 4),
    ],
)
def test_segments_of_a_full_loss(shifted: str, freed: bool, bytes_a_logit: int) -> None:
    """By hand, in the order of transformers' `ForCausalLMLoss` and of its backward pass."""
    n = 64 * MIB
    run = Training(seq=4096, precision="pure", shifted=shifted, output_freed=freed)  # type: ignore[arg-type]
    assert taken((), loss_steps(run, n, (0, 0, 0)), ()) == bytes_a_logit * n


@pytest.mark.parametrize(
    ("forward", "loss", "backward", "segments"),
    [
        # Segments of a layer never touch, so two of 300 MiB are no room for 400; what is freed of 400 serves 100, then 300.
        ([[300, 300]], [("a", 400), ("a", 0)], [[100, 300]], 1000),
        ([[300, 300]], [("a", 200), ("a", 0)], [[100, 300]], 600),
        ([[300], [300], [200]], [], [], 300),
        # A block is split where more than 1 MiB is left (`should_split`), up to 10 MiB segments are of 20.
        ([], [("a", 5), ("b", 5), ("c", 8)], [], 20),
        ([], [("a", 5), ("b", 5), ("c", 12)], [], 20 + 12),
    ],
)
def test_what_is_freed_serves_what_is_no_larger(
    forward: list[list[int]], loss: list[tuple[str, int]], backward: list[list[int]], segments: int
) -> None:
    """PyTorch 2.9, c10/cuda/CUDACachingAllocator.cpp, by hand (MiB)."""
    parts = [[size * MIB for size in part] for part in forward], [[size * MIB for size in part] for part in backward]
    assert taken(parts[0], [(name, size * MIB) for name, size in loss], parts[1]) == segments * MIB


@pytest.mark.parametrize(
    ("start", "rows", "off"),
    [
        ("fsdpq-7b-lora", 4, 0.1),
        ("fsdpq-7b-qlora-512", 1, 0.16),
        ("fsdpq-7b-qlora-2048", 1, 0.1),
        ("fsdpq-7b-qlora-b", 2, 0.1),
        ("fsdpq-7b-qlora-off", 1, 0.1),
        ("fsdpq-7b-qlora-ddp", 1, 0.1),
        ("fsdpq-yi34b", 2, 0.1),
        ("fsdpq-70b", 1, 0.16),
        ("fsdpq-mistral", 2, 0.1),
    ],
)
def test_reserved_bytes_of_runs_on_two_cards_of_24_gb(start: str, rows: int, off: float) -> None:
    """AnswerDotAI/fsdp_qlora, benchmarks_03_2024.md: peaks that its allocator reserved, on two RTX 3090 or 4090. At 512 tokens it is what
    loading left; of 70B the scales of its matrices hold segments that are freed otherwise."""
    errors = [error for row, _, error in training_rows.rows(start) if row["metric"] == "reserved"]
    assert len(errors) == rows and max(map(abs, errors)) <= off


def test_what_is_reserved_is_no_more_than_the_gpu_has_where_it_fits(cli: Run) -> None:
    words = ("llama-2-7b", "--precision", "pure", "--checkpointing", "full", "--lora", "64", "--seq", "2k", "--micro-batch", "8")
    g = said(cli, *words)["per_gpu"]
    assert g["reserved_bytes"] > g["total_bytes"] * 110 // 100
    tight = g["total_bytes"] * 108 // 100 + g["overhead_bytes"]
    r = said(cli, *words, "--vram", f"{tight / GIB:.3f}GiB")
    assert r["fits"] and r["per_gpu"]["reserved_bytes"] <= r["per_gpu"]["memory_bytes"] - r["per_gpu"]["overhead_bytes"]
    small = said(cli, *words, "--vram", f"{(g['total_bytes'] + g['overhead_bytes']) / GIB:.3f}GiB")
    assert not small["fits"] and small["per_gpu"]["reserved_bytes"] <= g["reserved_bytes"]


# Llama 2 7B: 32 layers of 4 x 4,096^2 + 3 x 4,096 x 11,008 quantized elements; embedding, head and norms in bf16.
QUANTIZED = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
REST = 2 * 32000 * 4096 + 65 * 4096
SCALES = QUANTIZED // 64 + 4 * QUANTIZED // 64 // 256
ADAPTERS = 32 * 64 * (4 * 2 * 4096 + 3 * (4096 + 11008))


@pytest.mark.parametrize(
    ("split", "weights", "adapters"),
    [
        ("", QUANTIZED // 2 + 2 * REST + SCALES, 4 * ADAPTERS),
        ("--fsdp 2", (QUANTIZED // 2 + 2 * REST) // 2 + SCALES, 2 * ADAPTERS),
        ("--fsdp 8", (QUANTIZED // 2 + 2 * REST) // 8 + SCALES, ADAPTERS // 2),
        ("--dp 2 --zero 3", (QUANTIZED // 2 + 2 * REST) // 2 + SCALES, 2 * ADAPTERS),
        ("--fsdp 2 --offload all", SCALES, 0),
        # torchao's scales are tensors inside the parameter.
        ("--fsdp 2 --framework torchtune", (QUANTIZED // 2 + 2 * REST + SCALES) // 2, ADAPTERS),
    ],
)
def test_scales_of_nf4_are_whole_on_each_rank(cli: Run, split: str, weights: int, adapters: int) -> None:
    """bitsandbytes 0.43, nn/modules.py `Params4bit.quant_state`: no parameter, so FSDP and ZeRO 3 neither split it nor move it to the
    CPU; adapters leave with the other weights (PyTorch 2.2, FSDP's `CPUOffload(offload_params=True)`)."""
    r = said(cli, "llama-2-7b", "--precision", "pure", "--lora", "64", "--qlora", "--seq", "512", *split.split())
    assert term(r, "weights") == pytest.approx(weights, rel=1e-5)
    assert term(r, "adapters") == pytest.approx(adapters, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("--precision mixed", 4),
        ("--precision mixed --framework transformers", 4),
        ("--precision pure", 2),
        ("--framework axolotl", 2),
        ("", 2),
        ("--precision mixed --zero 3 --dp 8", 2),
    ],
)
def test_frozen_weights_are_sharded_in_what_they_are_loaded_in(cli: Run, words: str, size: int) -> None:
    """huggingface/peft, docs/source/accelerate/fsdp.md: LoRA of 70B on 8 GPUs, bf16 mixed precision, a model loaded in fp32
    (examples/sft/utils.py), takes 72 to 80 GB; DeepSpeed's engine casts its own to bf16 (docs/source/accelerate/deepspeed.md: 64 GB)."""
    split = () if "--zero" in words else ("--fsdp", "8")
    r = said(cli, "llama-2-70b", "--lora", "8", "--seq", "2k", "--checkpointing", "full", *split, *words.split())
    assert term(r, "weights") == pytest.approx(size * 68_976_648_192 / 8, rel=1e-4)
    assert any("sharded in fp32" in note for note in r["notes"]) == (size == 4)
