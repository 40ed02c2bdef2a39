"""The audio tower of Granite Speech: conformer layers with relative positions, and a CTC output fed back in the middle.

Source: transformers 5.23, models/granite_speech/modeling_granite_speech.py (`GraniteSpeechCTCEncoder`) and
configuration_granite_speech.py (defaults); Gulati et al. 2020, arXiv:2005.08100.
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Attend, Layer, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("cat_hidden_layers",)

    input_dim: Size = Field(160, validation_alias=AliasChoices("num_mel_bins", "input_dim"))
    num_layers: Layers = Field(10, validation_alias=AliasChoices("num_hidden_layers", "num_layers"))
    hidden_dim: Size = Field(1024, validation_alias=AliasChoices("hidden_size", "hidden_dim"))
    feedforward_mult: Size = 4
    num_heads: Size = Field(8, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    dim_head: Size | None = None
    output_dim: Size = 42
    context_size: Size = 200
    max_pos_emb: Size = 512
    conv_kernel_size: Size = 15
    conv_expansion_factor: Size = 2

    def ffn(self) -> Iterator[Tensor]:
        h = self.hidden_dim
        yield from layer_norm("pre_norm", h)
        yield from FeedForward(h, h * self.feedforward_mult, "silu", names=("up_proj", "down_proj")).tensors()

    def attention(self, dim: int) -> Iterator[Tensor]:
        h, width = self.hidden_dim, dim * self.num_heads
        yield from layer_norm("pre_norm", h)
        yield from linear("to_q", width, h, "attention")
        yield from linear("to_kv", 2 * width, h, "attention")
        yield from linear("to_out", h, width, "attention", bias=True)
        yield table("rel_pos_emb", 2 * self.max_pos_emb + 1, dim)

    def convolution(self) -> Iterator[Tensor]:
        h, width = self.hidden_dim, self.hidden_dim * self.conv_expansion_factor
        yield from layer_norm("norm", h)
        yield Tensor("up_conv.weight", (2 * width, h, 1), "other")  # gated
        yield Tensor("up_conv.bias", (2 * width,), "other")
        yield Tensor("depth_conv.conv.weight", (width, 1, self.conv_kernel_size), "other")
        yield from layer_norm("batch_norm", width)
        yield Tensor("down_conv.weight", (h, width, 1), "other")
        yield Tensor("down_conv.bias", (h,), "other")

    def tower(self, prefix: str) -> Pieces:
        h, n = self.hidden_dim, self.num_heads
        dim, width = self.dim_head or h // n, h * self.feedforward_mult
        tensors = (
            *prefixed("ff1", self.ffn()), *prefixed("attn", self.attention(dim)), *prefixed("conv", self.convolution()),
            *prefixed("ff2", self.ffn()), *layer_norm("post_norm", h),
        )  # fmt: skip
        mixer = f"MHA ({n}/{n} x {dim}), chunk {self.context_size}, convolution {self.conv_kernel_size}"
        attends = (Attend(n, dim, dim, self.context_size),)
        layer = Layer(mixer, f"2 x SiLU {width}", tensors, (), attends, 0, 4 * n * dim, 4 * width)
        outside = (
            *linear("input_linear", h, self.input_dim, "embedding", bias=True),
            *linear("out", self.output_dim, h, "other", bias=True),
            *linear("out_mid", h, self.output_dim, "other", bias=True),
        )
        return [group("audio", prefixed(prefix, outside))], [stack(join(prefix, "layers"), "audio", [layer] * self.num_layers)]
