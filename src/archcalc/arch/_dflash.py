"""What configs of DFlash and its kin hold in `dflash_config`.

Source: SpecForge 0.2, specforge/modeling/draft/dflash.py, domino.py and dspark.py; SGLang 0.5.23, srt/speculative/dflash_utils.py
(`parse_dflash_draft_config`).
"""

from typing import ClassVar

from archcalc.arch._schema import ConfigSchema, Count, Flag, Size


class Options(ConfigSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "block_size", "num_anchors", "shift_label", "confidence_head_alpha", "pure_draft_prefix_len", "selector_top_k",
        "output_multiplier", "input_embedding_scale", "causal",
    )  # fmt: skip

    projector_type: str | None = None
    target_layer_ids: list[int] | None = None
    gru_hidden_dim: Size | None = None
    emb_dim: Size | None = None
    markov_rank: Count | None = 256
    markov_head_type: str = "vanilla"
    enable_confidence_head: Flag = True
    confidence_head_with_markov: Flag = True
    conv_kernel_size: Count = 0
    conv_group_size: Count = 0
    selector_rank: Size | None = None
    attention_mode: str = "gqa"
    attention_modes: list[str] | None = None
