"""Falcon Perception and Falcon OCR: one decoder over patches and text, with heads for boxes and masks.

Norms have no weights but the last; sinks scale what each head gives.

Source: tiiuae/Falcon-Perception (GitHub), falcon_perception/model.py and __init__.py (`ModelArgs`, defaults).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._anyup import upsampler
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import Block, Mixer, linear, prefixed
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import ROPE, Architecture, Group, Tensor


def boxes(name: str, dim: int, feature: int, width: int, out: int) -> Iterator[Tensor]:
    """A pair of numbers to Fourier features and into the model, and out of it to bins."""
    yield from linear(f"{name}_encoder.embed", feature // 2, 2, "other")
    yield from linear(f"{name}_encoder.transform", dim, feature, "other")
    yield from linear(f"{name}_decoder.w1", width, dim, "head")
    yield from linear(f"{name}_decoder.w2", out, width, "head")


class Schema(PlainSchema):
    prefix = ""
    inert_keys = ("eos_id", "img_id", "img_end_id", "img_start_id", "img_row_sep_id")
    norms = ()
    mixer_name = "attention"
    ffn_name = "feed_forward"

    vocab_size: Size = 65536
    hidden_size: Size = named(1024, "dim")
    num_hidden_layers: Layers = named(28, "n_layers")
    num_attention_heads: Size = named(16, "n_heads")
    head_dim: Size | None = 128
    num_key_value_heads: Size | None = named(8, "n_kv_heads")
    intermediate_size: Size = named(3072, "ffn_dim")
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = named(8192, "max_seq_len")
    channel_size: Size = 3
    spatial_patch_size: Size = 16
    temporal_patch_size: Size = 1
    perception_heads: Flag | None = None
    do_segmentation: Flag = True
    segm_out_dim: Size = 256
    num_segm_layers: Layers = 3
    coord_enc_dim: Size = 512
    coord_dec_dim: Size = 8192
    coord_out_dim: Size = 2048
    size_enc_dim: Size = 512
    size_dec_dim: Size = 8192
    size_out_dim: Size = 2048
    architectures: list[str] | None = None

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(fused="wqkv", names=("", "", "", "wo"), sinks=True)

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, fused="w13", names=("", "", "w2"))

    def more(self) -> dict[str, Any]:
        return {"norm": "RMSNorm (pre, without weights)", "position": ROPE.also(" in one and two dimensions")}

    def perception(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from boxes("coord", h, self.coord_enc_dim, self.coord_dec_dim, self.coord_out_dim)
        yield from boxes("size", h, self.size_enc_dim, self.size_dec_dim, self.size_out_dim)
        if self.do_segmentation:
            yield from prefixed("itok_upsampler", upsampler())
            for i in range(self.num_segm_layers - 1):
                yield from linear(f"proj_segm.layers.{i}", h, h, "head", bias=True)
            yield from linear("proj_segm.pixel_layer", self.segm_out_dim, h, "head")
            yield from conv("conv_segm", self.segm_out_dim, h, 3, 3)

    def architecture(self, prefix: str) -> Architecture:
        a, patch = super().architecture(prefix), self.temporal_patch_size * self.spatial_patch_size**2 * self.channel_size
        ocr = "FalconOCRForCausalLM" in (self.architectures or ())
        heads = self.perception() if (not ocr if self.perception_heads is None else self.perception_heads) else ()
        tensors = (*linear("img_projector", self.hidden_size, patch, "embedding"), *heads)
        # Frequencies of the positions in two dimensions, one set a head: not trained, stored.
        golden = Tensor("freqs_cis_golden", (self.num_attention_heads, self.head_size // 4, 2), "other", kind="copy")
        return a._replace(groups=(*a.groups, Group("vision", (*tensors, golden))))

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "tok_embeddings", "head": "output"}
