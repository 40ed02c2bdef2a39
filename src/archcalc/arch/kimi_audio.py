"""Kimi-Audio: Qwen 2 that hears through Whisper's encoder (large v3), four of whose rows two linear layers join into a token.

The layers that speak are not counted, nor is the detokenizer that stands beside them.

Source: vLLM 0.33, models/kimi_audio.py (`KimiAudioForConditionalGeneration`, `KimiAudioMultiModalProjector`; the encoder's own config
stands in `whisper-large-v3`, which the checkpoint holds).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, AudioSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.arch._vlm import flat
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Tensor

_OWN = (
    "model_type", "architectures", "auto_map", "dtype", "torch_dtype", "kimia_adaptor_input_dim", "kimia_mimo_layers",
    "kimia_mimo_audiodelaytokens", "kimia_mimo_transformer_from_layer_index", "kimia_audio_output_vocab", "kimia_text_output_vocab",
    "num_audio_special_tokens", "num_base_tokens", "kimia_token_offset", "use_whisper_feature", "kimia_media_begin", "kimia_media_end",
)  # fmt: skip
LARGE_V3 = {"num_mel_bins": 128, "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120}


class Schema(AudioSchema):
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    inert_keys = _OWN
    projector_name = "vq_adaptor"
    renames = (("model.language_model.", "model."), ("model.vq_adaptor.", "model.vq_adaptor."))
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("qwen2", "kimi_audio"), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen2_audio_encoder"), DEFAULT]
    kimia_adaptor_input_dim: Size = 5120
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"audio_config": LARGE_V3, **flat(config, _OWN)}

    def projection(self, hidden: int) -> Iterable[Tensor]:
        yield from linear("layers.0", hidden, self.kimia_adaptor_input_dim, "other", bias=True)
        yield from linear("layers.3", hidden, hidden, "other", bias=True)
        yield from layer_norm("layers.4", hidden)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what speaks is not counted, nor the detokenizer beside it"))
