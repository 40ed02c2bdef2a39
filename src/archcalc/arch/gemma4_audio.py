"""The audio tower of Gemma 4: two convolutions, then conformer layers that see a few frames.

Source: transformers 5.23, models/gemma4/modeling_gemma4.py (`Gemma4AudioModel`) and configuration_gemma4.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import heard
from archcalc.arch._gemma4 import clippable
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Encoder, Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("attention_invalid_logits_value", "attention_logit_cap", "gradient_clipping", "residual_weight")

    hidden_size: Size = 1024
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    subsampling_conv_channels: tuple[Size, Size] = (128, 32)
    conv_kernel_size: Size = 5
    attention_chunk_size: Size = 12
    attention_context_left: Count = 13
    attention_context_right: Count = 0
    use_clipped_linears: Flag = True
    output_proj_dims: Size = 1536

    @property
    def output_width(self) -> int:
        return self.output_proj_dims

    def ffn(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from linear("ffw_layer_1", 4 * h, h, "mlp")
        yield from linear("ffw_layer_2", h, 4 * h, "mlp")
        yield rms_norm("pre_layer_norm", h)
        yield rms_norm("post_layer_norm", h)

    def attention(self, dim: int) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.num_attention_heads * dim
        yield Tensor("per_dim_scale", (dim,), "attention")
        projections = (linear(f"{name}_proj", width, h, "attention") for name in "qkv")
        for tensors in (*projections, linear("post", h, h, "attention")):
            yield from clippable(tensors, self.use_clipped_linears)
        yield from linear("relative_k_proj", width, h, "attention")

    def convolution(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from linear("linear_start", 2 * h, h, "other")  # gated
        yield from linear("linear_end", h, h, "other")
        yield Tensor("depthwise_conv1d.weight", (h, 1, self.conv_kernel_size), "other")
        yield rms_norm("pre_layer_norm", h)
        yield rms_norm("conv_norm", h)

    def layer(self) -> Layer:
        h, heads, clipped = self.hidden_size, self.num_attention_heads, self.use_clipped_linears
        dim = h // heads
        # A chunk of frames sees itself and the frames beside it; the context to the left counts the frame itself.
        context = self.attention_chunk_size + max(0, self.attention_context_left - 1) + self.attention_context_right
        tensors = (
            *(t for name in ("feed_forward1", "feed_forward2") for t in prefixed(name, clippable(self.ffn(), clipped))),
            *prefixed("self_attn", self.attention(dim)),
            *prefixed("lconv1d", clippable(self.convolution(), clipped)),
            *(rms_norm(name, h) for name in ("norm_pre_attn", "norm_post_attn", "norm_out")),
        )
        mixer = f"MHA ({heads}/{heads} x {dim}), window {context}, convolution {self.conv_kernel_size}"
        return Layer(mixer, f"2 x SiLU {4 * h}", tensors, (), (Attend(heads, dim, dim, context),), 0, 4 * h, 8 * h)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, (first, second) = self.hidden_size, self.subsampling_conv_channels
        outside: list[Tensor] = []
        for i, (inner, outer) in enumerate(((1, first), (first, second))):
            outside.append(Tensor(f"subsample_conv_projection.layer{i}.conv.weight", (outer, inner, 3, 3), "embedding"))
            outside.append(rms_norm(f"subsample_conv_projection.layer{i}.norm", outer))
        # Both convolutions halve the frequencies; the reference implementation takes there to be as many as first channels.
        outside += linear("subsample_conv_projection.input_proj_linear", h, first // 4 * second, "embedding")
        outside += linear("output_proj", self.output_proj_dims, h, "other", bias=True)
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound."""
        return heard(self, 750, 750, 4 * 128, "transformers 5.24, models/gemma4/processing_gemma4.py `audio_seq_length`")
