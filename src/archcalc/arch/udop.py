"""UDOP: T5 that also reads patches of the page, with positions on the page and biases for horizontal and vertical distance.

Source: transformers 5.23, models/udop/modeling_udop.py (`UdopForConditionalGeneration`) and configuration_udop.py (defaults).
"""

from archcalc.arch._decoder import group
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.arch.t5 import Schema as Text
from archcalc.blocks.vision import patch_conv, table
from archcalc.model import Architecture, Kind, Shard, Tensor


class Bias(ConfigSchema):
    """One of the relative biases."""

    inert_keys = ("type", "scaling_factor", "bidirectional", "relative_attention_max_distance", "max_distance")

    relative_attention_num_buckets: Size = 32
    prefix_bucket: Flag = False
    expand: Flag = False


class Schema(Text):
    core_keys = ()
    inert_keys = (*Text.inert_keys, "image_size", "max_bbox_length")

    vocab_size: Size = 33201
    d_model: Size = named(1024, "d_model", "hidden_size")
    d_ff: Size = 4096
    num_layers: Layers = named(24, "num_layers", "num_hidden_layers")
    num_heads: Size = named(16, "num_heads", "num_attention_heads")
    max_2d_position_embeddings: Size = 1024
    patch_size: Size = 16
    num_channels: Size = 3
    relative_bias_args: list[Bias] | None = None

    def architecture(self, prefix: str) -> Architecture:
        h, p = self.d_model, self.patch_size
        alone = self.alone()
        # The first layer's biases: a tie that the model without a head does not have.
        first: Kind = "param" if "UdopModel" in (self.architectures or ()) else "tied"
        text = self.model_copy(update={"tie_word_embeddings": True})
        a = Text.architecture(text, prefix)
        args = [Bias()] * 3 if self.relative_bias_args is None else self.relative_bias_args
        patches = tuple(patch_conv("proj", h, self.num_channels, p, p))
        outside = [t._replace(name=f"patch_embed.{t.name}") for t in patches]
        outside += [t._replace(name=f"encoder.embed_patches.{t.name}", kind="tied") for t in patches]
        rows = self.max_2d_position_embeddings
        outside += [table(f"encoder.cell_2d_embedding.{axis}_position_embeddings", rows, h) for axis in "xy"]
        for half in ("encoder",) if alone else ("encoder", "decoder"):
            for i, arg in enumerate(args):
                more = 2 if arg.prefix_bucket and not arg.expand else 0
                shape = (arg.relative_attention_num_buckets + more, self.num_heads)
                outside.append(
                    Tensor(f"{half}.relative_bias.biases.{i}.relative_attention_bias.weight", shape, "attention",
                           Shard(1, self.num_heads), kind="param" if i else first)
                )  # fmt: skip
        if not alone:
            outside += [t._replace(name=f"decoder.embed_patches.{t.name}") for t in patches]
        return a._replace(groups=(*a.groups, group("vision", outside)))
