"""Molmo: a decoder of fused projections, and a vision backbone that no key describes.

Source: allenai/Molmo-7B-D-0924, modeling_molmo.py and config_molmo.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._encoder import through
from archcalc.arch._molmo import PATCHES, backbone, clip_block
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Encoder, Tensor


class Schema(PlainSchema):
    prefix = "model.transformer"
    inert_keys = ("clip_qkv", "use_position_ids")
    norms = ("attn_norm", "ff_norm")
    last_norm = "ln_f"
    mixer_name = ""
    ffn_name = ""

    vocab_size: Size = 50304
    embedding_size: Size | None = 50304
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    layer_norm_type: str = "rms"
    attention_layer_norm: Flag = False
    norm_after: Flag = False
    qkv_bias: Flag = False
    weight_tying: Flag = False

    @property
    def ffn_size(self) -> int:
        return divided(self.intermediate_size, 2, "intermediate_size", "2")  # gate and up together

    def norm(self, name: str) -> Iterable[Tensor]:
        return (rms_norm(name, self.hidden_size),) if self.layer_norm_type == "rms" else layer_norm(name, self.hidden_size)

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=self.qkv_bias, fused="att_proj", names=("", "", "", "attn_out"))

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, fused="ff_proj", names=("", "", "ff_out"))

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.attention_layer_norm:
            yield rms_norm("q_norm", self.num_attention_heads * self.head_size)
            yield rms_norm("k_norm", self.kv_heads * self.head_size)

    def decoder_options(self) -> dict[str, Any]:
        # Tokens for images have rows of their own behind the vocabulary.
        new = Tensor("wte.new_embedding", (128, self.hidden_size), "embedding")
        head = "" if self.weight_tying else "model.transformer.ff_out"
        rows = self.embedding_size or self.vocab_size
        made = {"embed": "wte", "layers_name": "blocks", "extra_embedding": [new], "head": head}
        return {**made, "embed_rows": rows, "head_rows": rows}

    def more(self) -> dict[str, Any]:
        kind = "RMSNorm" if self.layer_norm_type == "rms" else "LayerNorm"
        return {"norm": f"{kind} ({'post' if self.norm_after else 'pre'})", "tied_embeddings": self.weight_tying}

    def architecture(self, prefix: str) -> Architecture:
        if self.layer_norm_type not in ("rms", "default"):
            raise UnsupportedError(f"layer_norm_type is {self.layer_norm_type!r}: only rms and default are known")
        a = super().architecture(prefix)
        # The embedding is a parameter, not a module.
        table = a.groups[0].tensors[0]._replace(name=f"{prefix}.wte.embedding")
        outside, layers = backbone("model.vision_backbone", self.hidden_size, self.ffn_size)
        first = a.groups[0]._replace(tensors=(table, *a.groups[0].tensors[1:]))
        return a._replace(groups=(first, *a.groups[1:], outside), stacks=(*a.stacks, layers))

    def encoders(self) -> tuple[Encoder, ...]:
        """Twelve crops and the whole image, each of 24 x 24 patches and a class token, two by two a token."""
        source = "allenai/Molmo-7B-D-0924, preprocessor_config.json `max_crops`, and the overview"
        return (through([clip_block()], 13 * PATCHES, 13 * 12**2, 3 * 14**2, source),)
