"""What of a model recipes train, named by its parameters or parts, against sums of published shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.analysis.training.pieces import patterns
from conftest import Run
from test_training_words import of_file, said

EMBEDDING, MLP = 128_256 * 4096, 3 * 4096 * 14336  # Llama 3.1 8B: config.json of meta-llama/Llama-3.1-8B.

# axolotl 0.19, utils/freeze.py: names match from their start, points are points, ranges of rows freeze nothing that takes memory.
OPENED = [
    (["^lm_head.weight$"], EMBEDDING),
    (["model.embed_tokens.weight$[:32000]"], EMBEDDING),
    (["model.embed_tokens.weight$[0:1]", "lm_head"], 2 * EMBEDDING),
    (["model.layers.2[0-9]+.mlp"], 10 * MLP),
    (["model.layers.[0-9]+.input_layernorm", "model.norm.weight$"], 33 * 4096),
    (["model.layers.3[01].self_attn.q_proj"], 2 * 4096 * 4096),
    (["model.layers.3.self_attn.q_proj"], 4096 * 4096),
    (["model.*", "lm_head.*"], 8_030_261_248),
]


@pytest.mark.parametrize(("patterns", "trained"), OPENED)
def test_unfrozen_parameters_of_axolotl(cli: Run, tmp_path: Path, patterns: list[str], trained: int) -> None:
    text = f"base_model: x\nsequence_len: 512\nmicro_batch_size: 1\nunfrozen_parameters: {patterns}\n"
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    r = said(cli, "llama-3.1-8b", "--recipe", str(tmp_path / "run.yaml"), "--gpu", "8xH100")
    assert r["trainable_params"] == trained
    assert r["per_gpu"]["optimizer_bytes"] >= 4 * trained
    assert r["recipe"]["used"]["unfrozen_parameters"] and not r["recipe"]["unmodelled"]


@pytest.mark.parametrize(
    ("lines", "said_of"),
    [
        ("unfrozen_parameters: [transformer.h]", "transformer.h"),
        ("unfrozen_parameters: ['lm_head', 'model.layers.99.']", "model.layers.99."),
        ("unfrozen_parameters: ['model.(']", "unfrozen_parameters"),
        ("unfrozen_parameters: [lm_head]\nadapter: lora\nlora_r: 8\nlora_target_linear: true", "unfrozen_parameters"),
    ],
)
def test_what_opens_nothing_is_refused(cli: Run, tmp_path: Path, lines: str, said_of: str) -> None:
    (tmp_path / "run.yaml").write_text(f"base_model: x\nmicro_batch_size: 1\n{lines}\n", encoding="utf-8")
    done = cli("train", "llama-3.1-8b", "--recipe", str(tmp_path / "run.yaml"), "--gpu", "h100", "--offline")
    assert done.returncode == 2 and said_of in done.stderr and not done.stdout


# Llama 3.2 11B Vision, config.json of meta-llama/Llama-3.2-11B-Vision-Instruct: 32 layers and 8 global ones of the image encoder, 8 layers
# of 40 that read images.
LAYER = 4 * 1280**2 + 2 * 1280 * 5120 + 5120 + 1280 + 4 * 1280
TILES, PATCHES = 9 * 4 * 1280, 1601 * 1280
ENCODER = 32 * LAYER + 1280 * 3 * 14 * 14 + 1280 + 1 + PATCHES + 9 * 4 * PATCHES + 2 * (1 + TILES) + 4 * 1280
CROSSED = 8 * (2 * 4096**2 + 2 * 1024 * 4096 + 3 * 4096 * 14336 + 2 * 128 + 2 * 4096 + 2)
FUSION = 8 * (LAYER + 2) + 7680 * 4096 + 4096 + CROSSED
WHOLE = 10_670_220_835
ADAPTERS = {
    "decoder": 32 * 8 * (4096 + 4096 + 4096 + 1024),
    "encoder": 32 * 8 * 4 * 1280,
    "fusion": 8 * 8 * (3 * 4096 + 1024 + 4 * 1280),
}

FULL = """
model:
  _component_: torchtune.models.llama3_2_vision.llama3_2_vision_11b
{keys}
optimizer:
  _component_: torch.optim.AdamW
batch_size: 1
dtype: bf16
tokenizer:
  max_seq_len: 512
"""


@pytest.mark.parametrize(
    ("keys", "trained"),
    [
        ("", ENCODER + FUSION),
        ("  decoder_trainable: False\n  encoder_trainable: True\n  fusion_trainable: True", ENCODER + FUSION),
        ("  encoder_trainable: False", FUSION),
        ("  fusion_trainable: False", ENCODER),
        ("  decoder_trainable: True\n  encoder_trainable: False\n  fusion_trainable: False", WHOLE - ENCODER - FUSION),
        ("  decoder_trainable: True", WHOLE),
    ],
)
def test_trainable_parts_of_torchtune(cli: Run, tmp_path: Path, keys: str, trained: int) -> None:
    """torchtune 0.6, models/llama3_2_vision/_model_builders.py."""
    assert of_file(cli, tmp_path, FULL.format(keys=keys))["trainable_params"] == trained


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ("", ("encoder", "fusion")),
        ("  decoder_trainable: frozen\n  encoder_trainable: lora\n  fusion_trainable: frozen", ("encoder",)),
        ("  decoder_trainable: lora\n  encoder_trainable: frozen\n  fusion_trainable: frozen", ("decoder",)),
        ("  decoder_trainable: lora\n  encoder_trainable: lora\n  fusion_trainable: lora", ("decoder", "encoder", "fusion")),
    ],
)
def test_adapters_on_trainable_parts_of_torchtune(cli: Run, tmp_path: Path, keys: str, parts: tuple[str, ...]) -> None:
    """Rank 8 on queries and values, of the decoder's self-attention (8 heads of 128), of those that read images, of the encoder."""
    lora = FULL.replace("llama3_2_vision_11b", "lora_llama3_2_vision_11b").format(
        keys=f"{keys}\n  lora_attn_modules: [q_proj, v_proj]\n  lora_rank: 8"
    )
    assert of_file(cli, tmp_path, lora)["trainable_params"] == sum(ADAPTERS[part] for part in parts)


@pytest.mark.parametrize(
    ("component", "keys"),
    [
        (
            "llama3_2_vision.llama3_2_vision_11b",
            "  decoder_trainable: False\n  encoder_trainable: False\n  fusion_trainable: False",
        ),
        (
            "llama3_2_vision.lora_llama3_2_vision_11b",
            "  decoder_trainable: full\n  lora_attn_modules: [q_proj]\n  lora_rank: 8",
        ),
        ("llama3_1.llama3_1_8b", "  decoder_trainable: False"),
    ],
)
def test_trainable_keys_that_are_refused(cli: Run, tmp_path: Path, component: str, keys: str) -> None:
    text = FULL.replace("llama3_2_vision.llama3_2_vision_11b", component).format(keys=keys)
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    done = cli("train", "--recipe", str(tmp_path / "run.yaml"), "--gpu", "8xH100", "--offline")
    assert done.returncode == 2 and "decoder_trainable" in done.stderr


def test_patterns_of_parameters_are_matched_in_bounded_work() -> None:
    """`re` would try every way to part the name."""
    opens = patterns(["([a-z_.0-9]+)+!", "model.layers.[0-3].mlp"])
    assert not opens("model.embed_tokens.weight_of_a_long_name_that_backtracks")
    assert opens("model.layers.3.mlp.up_proj.weight") and not opens("model.layers.4.mlp.up_proj.weight")
