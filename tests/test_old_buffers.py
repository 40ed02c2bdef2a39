"""What checkpoints hold beside their weights because an old library stored it, and counts that leave buffers out."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.engines.weights import WeightOptions, kept
from archcalc.figures import checkpoint

NEOX = {
    "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "max_position_embeddings": 2048, "rotary_pct": 0.25,
    "tie_word_embeddings": False, "torch_dtype": "float16", "transformers_version": "4.24.0",
}  # fmt: skip
SIZES = {
    "EleutherAI/pythia-12b": ((5120, 36, 40, 20480, 50688), 11_997_067_840),
    "EleutherAI/pythia-2.8b-v0": ((2560, 32, 32, 10240, 50304), 2_909_427_008),
    "EleutherAI/gpt-neox-20b": ((6144, 44, 64, 24576, 50432), 20_739_117_584),
    "EleutherAI/polyglot-ko-5.8b": ((4096, 28, 16, 16384, 30080), 6_002_500_480),
}
KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


# The Hub's counts (safetensors.total) of repositories whose sizes are public.
@pytest.mark.parametrize(("sizes", "elements"), SIZES.values(), ids=SIZES)
def test_gpt_neox_of_old_libraries_holds_masks_and_frequencies(sizes: tuple[int, ...], elements: int) -> None:
    assert checkpoint.summary(parse({**NEOX, **dict(zip(KEYS, sizes, strict=True))})).elements == elements


LLAMA = {
    "model_type": "llama", "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40,
    "num_key_value_heads": 40, "vocab_size": 32000, "torch_dtype": "float16",
}  # fmt: skip


# huggyllama/llama-13b and lmsys/vicuna-13b-v1.5: one shape, saved by 4.28 and by 4.55 (the Hub's counts).
@pytest.mark.parametrize(("version", "elements"), [("4.28.0.dev0", 13_015_866_880), ("4.55.1", 13_015_864_320)])
def test_llama_of_old_libraries_holds_frequencies(version: str, elements: int) -> None:
    a = parse({**LLAMA, "transformers_version": version})
    assert checkpoint.summary(a).elements == elements


def test_buffers_are_stored_and_never_loaded() -> None:
    old, new = (parse({**LLAMA, "transformers_version": v}) for v in ("4.28.0", "4.40.0"))
    assert checkpoint.summary(old).bytes - checkpoint.summary(new).bytes == 40 * 64 * 4
    assert kept(old, WeightOptions()) == kept(new, WeightOptions())
    assert checkpoint.summary(checkpoint.as_gguf(old)[0]) == checkpoint.summary(checkpoint.as_gguf(new)[0])
    names = {name for name, _, _ in checkpoint.expand(old)} - {name for name, _, _ in checkpoint.expand(new)}
    assert names == {f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(40)}


# The safetensors of roberta-base hold {'F32': 124697433, 'I64': 514} (huggingface/safetensors, temp.md).
def test_encoders_of_old_libraries_hold_the_numbers_of_positions() -> None:
    config: dict[str, Any] = {
        "model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "max_position_embeddings": 514, "type_vocab_size": 1,
        "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "transformers_version": "4.20.0",
    }  # fmt: skip
    held = checkpoint.summary(parse(config))
    assert held.by_dtype["I64"] == 514
    assert "I64" not in checkpoint.summary(parse({**config, "transformers_version": "4.31.0"})).by_dtype


# vLLM 0.33, models/exaone4_5_mtp.py: a layer like the text model's behind a projection of two rows to one, and three norms.
def test_exaone_4_5_counts_its_mtp_layer() -> None:
    h, kv, wide = 5120, 8 * 128, 27392
    text = {
        "model_type": "exaone4_5_text", "num_hidden_layers": 4, "hidden_size": h, "num_attention_heads": 40,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": wide, "vocab_size": 1536,
    }  # fmt: skip
    config = {"model_type": "exaone4_5", "text_config": text}
    without, a = (parse({**config, "num_nextn_predict_layers": n}) for n in (0, 1))
    layer = 2 * h * h + 2 * h * kv + 2 * 128 + 3 * h * wide + 2 * h
    assert a.mtp_layers == 1
    assert checkpoint.summary(a).elements - checkpoint.summary(without).elements == layer + 2 * h * h + 3 * h
