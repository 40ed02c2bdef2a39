"""The audio tower of Muse Spark: a pyramid of causal convolutions over the waveform.

Source: transformers 5.23, models/muse_spark/modeling_muse_spark.py (`MuseSparkAudioModel`) and configuration_muse_spark.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, per_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import rms_norm
from archcalc.model import Layer, Tensor, stack


class Schema(TowerSchema):
    patch_sizes: tuple[Size, ...] = (16, 6, 5, 4)
    hidden_sizes: tuple[Size, ...] = (256, 512, 1024, 2048)
    depths: tuple[Layers, ...] = (2, 2, 2, 2)
    num_hidden_layers: Layers = 4
    mlp_ratio: float = 4.0
    conv_kernel_size: Size = 7
    hidden_act: str = "gelu"
    out_hidden_size: Size = 8192

    def tensors(self, i: int) -> Iterator[Tensor]:
        """One resolution: frames are joined, then pass blocks of a depthwise convolution and an FFN."""
        h, kernel = self.hidden_sizes[i], self.conv_kernel_size
        inner = self.hidden_sizes[i - 1] if i else 1  # the waveform itself
        yield from linear("patch_embedder.proj", h, inner * self.patch_sizes[i], "embedding", bias=True)
        yield rms_norm("patch_embedder.norm", h)
        for k in range(self.depths[i]):
            name = f"conv_blocks.{k}"
            yield Tensor(f"{name}.conv.weight", (h, 1, kernel), "other")
            yield Tensor(f"{name}.conv.bias", (h,), "other")
            yield rms_norm(f"{name}.norm", h)
            yield from prefixed(f"{name}.mlp", FeedForward(h, int(h * self.mlp_ratio), self.hidden_act).tensors())

    def layer(self, i: int) -> Layer:
        h, blocks, width = self.hidden_sizes[i], self.depths[i], int(self.hidden_sizes[i] * self.mlp_ratio)
        ffn = f"{blocks} x {activation_name(self.hidden_act, gated=False)} {width}"
        return Layer(f"{blocks} x convolution {self.conv_kernel_size}", ffn, tuple(self.tensors(i)), (), (), 0, h, 2 * width)

    def tower(self, prefix: str) -> Pieces:
        n = self.num_hidden_layers
        for key in ("patch_sizes", "hidden_sizes", "depths"):
            per_layer(getattr(self, key), n, f"audio_config.{key}")
        last, out = self.hidden_sizes[-1], self.out_hidden_size
        outside = (rms_norm("norm", last), *linear("proj", out, last, "other", bias=True), rms_norm("post_proj_norm", out))
        layers = stack(join(prefix, "layers"), "audio", [self.layer(i) for i in range(n)])
        return [group("audio", prefixed(prefix, outside))], [layers]
