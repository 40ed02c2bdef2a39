"""Whisper: an encoder of spectrograms and a decoder; keys have no bias.

Source: transformers 5.23, models/whisper/modeling_whisper.py and configuration_whisper.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._encoder import through
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Encoder, Group, Stack, Tensor, stack


class Schema(BartSchema):
    inert_keys = (
        *BartSchema.inert_keys, "use_weighted_layer_sum", "classifier_proj_size", "apply_spec_augment", "median_filter_width",
        "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob", "mask_feature_length",
        "mask_feature_min_masks", "alignment_heads", "lang_ids", "suppress_ids", "suppress_ids_begin", "num_key_value_heads",
    )  # fmt: skip
    norm_label = "LayerNorm (pre)"
    head_name = "proj_out"

    vocab_size: Size = 51865
    num_mel_bins: Size = 80
    d_model: Size = 384
    encoder_layers: Layers = 4
    encoder_ffn_dim: Size = 1536
    encoder_attention_heads: Size = 6
    decoder_layers: Layers = 4
    decoder_ffn_dim: Size = 1536
    decoder_attention_heads: Size = 6
    max_source_positions: Size = 1500
    max_position_embeddings: Size = named(448, "max_target_positions")

    def drop(self, t: Tensor) -> bool:
        return t.name.endswith("k_proj.bias")

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        h = self.d_model
        if not decodes:
            yield from conv("conv1", h, self.num_mel_bins, 3)
            yield from conv("conv2", h, h, 3)
        yield table("embed_positions", self.max_position_embeddings if decodes else self.max_source_positions, h)
        yield from layer_norm("layer_norm", h)

    def both(self) -> tuple[list[Group], list[Stack]]:
        groups = [Group("audio", tuple(prefixed("model.encoder", self.outside(decodes=False))))]
        return groups, [stack("model.encoder.layers", "audio", [self.encoder_layer()] * self.encoder_layers)]

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound."""
        # The projections of keys and values of a cross attention are the decoder's.
        stacks = [s for s in self.standalone().stacks if s.part == "audio"]
        layers = [layer for s in stacks for layer in s.kinds]
        rows, mels, source = self.max_source_positions, 2 * self.num_mel_bins, "the config's max_source_positions"
        return (through(layers, rows, rows, mels, source, modality="audio"),)
