"""Qwen3-ASR: Qwen 3 with an audio tower and two linear layers between them.

The first configs hold both parts in `thinker_config`, as their checkpoints hold them below `thinker`; transformers 5.24 leaves that key
unread and builds its defaults, vLLM reads it.

Source: transformers 5.23, models/qwen3_asr/modeling_qwen3_asr.py and configuration_qwen3_asr.py (defaults); vLLM 0.33,
models/qwen3_asr.py (`hf_to_vllm_mapper`), models/qwen3_asr_forced_aligner.py (`classify_num`) and
transformers_utils/configs/qwen3_asr.py (`thinker_config`).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Shard, Tensor

# What an absent text_config stands for.
TEXT = {
    "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 65536, "tie_word_embeddings": True,
}  # fmt: skip
_THINKER = (
    ("lm_head.", "thinker.lm_head."),
    ("model.multi_modal_projector.linear_1.", "thinker.audio_tower.proj1."),
    ("model.multi_modal_projector.linear_2.", "thinker.audio_tower.proj2."),
    ("model.language_model.", "thinker.model."),
    ("model.", "thinker."),
)


class Schema(AudioSchema):
    inert_keys = (
        "support_languages", "thinker_config", "token_classification_bias", "timestamp_token_id", "timestamp_segment_time",
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("qwen3", "qwen3_asr_text", absent=TEXT), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen3_asr_encoder", "qwen3_asr_audio_encoder"), DEFAULT]
    tie_word_embeddings: Flag | None = True
    classify_num: Size | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        thinker = config.get("thinker_config")
        if not isinstance(thinker, Mapping):
            return config
        text = thinker.get("text_config")
        tied = {"tie_word_embeddings": bool(text.get("tie_word_embeddings", True))} if isinstance(text, Mapping) else {}
        inner = {key: thinker[key] for key in ("text_config", "audio_config", "classify_num") if key in thinker}
        return {**tied, **config, **inner}

    def projection(self, hidden: int) -> Iterable[Tensor]:
        width = width_of(self.audio_config)
        return projector(("linear_1", "linear_2"), (width, width, width_of(self.audio_config, "output_dim")))

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.classify_num is not None:
            # The forced aligner says of each token where in time it stands, by a head of that many places.
            head = linear("lm_head", self.classify_num, a.facts.hidden_size, "head", shard=Shard(0, self.classify_num))
            groups = (*(g for g in a.groups if g.part != "head"), group("head", head))
            a = a._replace(groups=groups, facts=a.facts._replace(tied_embeddings=False))
        return a._replace(renames=_THINKER) if "thinker_config" in (self.model_extra or {}) else a
