"""The flow-matching transformer of Qwen2.5-Omni: codec tokens and a speaker's embedding into a spectrogram.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniToken2WavDiTModel`) and
configuration_qwen2_5_omni.py (defaults); Desplanques et al. 2020, arXiv:2005.07143 (the speaker encoder).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys = (
        "block_size", "look_ahead_layers", "look_backward_layers", "repeats", "enc_dilations", "depth", "dim", "heads",
        "enc_global_context", "enc_lin_neurons",
    )  # fmt: skip

    hidden_size: Size = 1024
    num_hidden_layers: Layers = 22
    num_attention_heads: Size = 16
    ff_mult: Size = 2
    emb_dim: Size = 512
    head_dim: Size = 64
    num_embeds: Size = 8193
    mel_dim: Size = 80
    enc_emb_dim: Size = 192
    enc_dim: Size = 128
    enc_channels: tuple[Size, ...] = (256, 256, 256, 256, 768)
    enc_kernel_sizes: tuple[Size, ...] = (5, 3, 3, 3, 1)
    enc_attention_channels: Size = 64
    enc_res2net_scale: Size = 2
    enc_se_channels: Size = 64

    def speaker(self) -> Iterator[Tensor]:
        channels, kernels, se, scale = self.enc_channels, self.enc_kernel_sizes, self.enc_se_channels, self.enc_res2net_scale
        yield from conv("blocks.0.conv", channels[0], self.mel_dim, kernels[0])
        for i in range(1, len(channels) - 1):
            width = channels[i]
            yield from conv(f"blocks.{i}.tdnn1.conv", width, channels[i - 1], 1)
            for j in range(scale - 1):
                yield from conv(f"blocks.{i}.res2net_block.blocks.{j}.conv", width // scale, width // scale, kernels[i])
            yield from conv(f"blocks.{i}.tdnn2.conv", width, width, 1)
            yield from conv(f"blocks.{i}.se_block.conv1", se, width, 1)
            yield from conv(f"blocks.{i}.se_block.conv2", width, se, 1)
        width, attention = channels[-1], self.enc_attention_channels
        yield from conv("mfa.conv", width, width, kernels[-1])
        yield from conv("asp.tdnn.conv", attention, 3 * width, 1)
        yield from conv("asp.conv", width, attention, 1)
        yield from conv("fc", self.enc_dim, 2 * width, 1)

    def tower(self, prefix: str) -> Pieces:
        h, n, width = self.hidden_size, self.num_attention_heads, self.hidden_size * self.ff_mult
        inputs = self.mel_dim + self.enc_dim + self.enc_emb_dim + self.emb_dim
        outside = [
            *linear("time_embed.time_mlp.0", h, 256, "embedding", bias=True),
            *linear("time_embed.time_mlp.2", h, h, "embedding", bias=True),
            table("text_embed.codec_embed", self.num_embeds + 1, self.emb_dim),
            *linear("input_embed.proj", h, inputs, "embedding", bias=True),
            *prefixed("input_embed.spk_encoder", (t._replace(role="other") for t in self.speaker())),
            *linear("norm_out.linear", 2 * h, h, "norm", bias=True),
            *linear("proj_out", self.mel_dim, h, "head", bias=True),
        ]
        attention = GroupedQueryAttention(h, n, n, self.head_dim, True, True, names=("to_q", "to_k", "to_v", "to_out.0"))
        norm = linear("attn_norm.linear", 6 * h, h, "norm", bias=True)  # shift, scale and gate of both halves
        layer = encoder_layer(attention, FeedForward(h, width, names=("ff.0", "ff.3")), norm, attention_name="attn", ffn_name="ff")
        layers = stack(join(prefix, "transformer_blocks"), "audio", [layer] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
