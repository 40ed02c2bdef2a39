"""ViT as a masked autoencoder: a narrower ViT behind it paints what was masked.

Source: transformers 5.24, models/vit_mae/modeling_vit_mae.py (`ViTMAEModel`, `ViTMAEForPreTraining`) and configuration_vit_mae.py
(defaults); He et al. 2021, arXiv:2111.06377.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces, both
from archcalc.arch._plain import named
from archcalc.arch._schema import Few, Flag, Layers, Size
from archcalc.arch._vit import ViTSchema, bert_named, without
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv
from archcalc.model import Encoder, Group, Layer, Tensor, stack


class Schema(ViTSchema):
    root = "vit"
    inert_keys = (*ViTSchema.inert_keys, "mask_ratio")

    decoder_num_attention_heads: Size = 16
    decoder_hidden_size: Size = 512
    decoder_num_hidden_layers: Layers = 8
    decoder_intermediate_size: Size = 2048

    def painter(self) -> Iterator[Tensor]:
        """What stands beside the decoder's layers."""
        h, (down, across) = self.decoder_hidden_size, both(self.patch_size)
        yield Tensor("decoder.mask_token", (1, 1, h), "other")
        yield Tensor("decoder.decoder_pos_embed", (1, self.rows(), h), "other")
        yield from linear("decoder.decoder_embed", h, self.hidden_size, "other", bias=True)
        yield from layer_norm("decoder.decoder_norm", h)
        yield from linear("decoder.decoder_pred", down * across * self.num_channels, h, "other", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        if named.endswith("ForPreTraining"):
            narrow = self.model_copy(
                update={
                    "hidden_size": self.decoder_hidden_size, "num_attention_heads": self.decoder_num_attention_heads,
                    "intermediate_size": self.decoder_intermediate_size,
                }
            )  # fmt: skip
            stacks.append(stack("decoder.decoder_layers", "vision", [narrow.layer()] * self.decoder_num_hidden_layers))
            groups.append(Group("vision", tuple(self.painter())))
        return groups, stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return () if name.endswith("ForPreTraining") else super().head_of(name)


class Videomae(ViTSchema):
    """VideoMAE: ViT over tubes of a video, with a narrower ViT behind it that paints what was masked.
    Source: transformers 5.24, models/videomae/modeling_videomae.py (`VideoMAEModel`, `VideoMAEForPreTraining`,
    `VideoMAEForVideoClassification`; positions are no parameters) and configuration_videomae.py (defaults); Tong et al. 2022,
    arXiv:2203.12602."""

    root = "videomae"
    layers_name = "encoder.layer"
    inert_keys = (*ViTSchema.inert_keys, "num_frames")

    tubelet_size: Size = 2
    qkv_bias: Flag = named(True, "qkv_bias", "qv_bias")
    use_mean_pooling: Flag = True
    decoder_num_attention_heads: Size = 6
    decoder_hidden_size: Size = 384
    decoder_num_hidden_layers: Few = 4
    decoder_intermediate_size: Size = 1536

    def layer(self) -> Layer:
        return without(bert_named(self), "key.bias")

    def outside(self, named: str) -> Iterator[Tensor]:
        patch = (self.tubelet_size, *both(self.patch_size))
        yield from patch_conv("embeddings.patch_embeddings.projection", self.hidden_size, self.num_channels, *patch)
        if not self.use_mean_pooling:
            yield from layer_norm("layernorm", self.hidden_size)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        if named.endswith("ForPreTraining"):
            h, (down, across) = self.decoder_hidden_size, both(self.patch_size)
            narrow = self.model_copy(
                update={
                    "hidden_size": h, "num_attention_heads": self.decoder_num_attention_heads,
                    "intermediate_size": self.decoder_intermediate_size,
                }
            )  # fmt: skip
            stacks.append(stack("decoder.decoder_layers", "vision", [narrow.layer()] * self.decoder_num_hidden_layers))
            pixels = self.num_channels * self.tubelet_size * down * across
            painter = (
                *linear("encoder_to_decoder", h, self.hidden_size, "other"), Tensor("mask_token", (1, 1, h), "other"),
                *layer_norm("decoder.norm", h), *linear("decoder.head", pixels, h, "other", bias=True),
            )  # fmt: skip
            groups.append(Group("vision", painter))
        return groups, stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForPreTraining"):
            return ()
        if name.endswith("ForVideoClassification") and self.use_mean_pooling:
            return (*layer_norm("fc_norm", self.hidden_size), *(super().head_of(name) or ()))
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
