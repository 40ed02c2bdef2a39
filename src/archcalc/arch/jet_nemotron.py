"""Jet-Nemotron: Gated DeltaNet whose values pass a convolution that each token makes for itself, with a few layers of attention.

Source: SGLang 0.5.23, srt/models/jet_nemotron.py (`JetBlock`, `JetNemotronAttention`: modules, names that checkpoints hold) and
srt/configs/jet_nemotron.py; Gu et al. 2025, arXiv:2508.15884.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import DecoderSchema, decoder, group
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested, per_layer, rope_label
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import JetBlock
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Layer, Tensor


class Jet(ConfigSchema):
    """The block's sizes."""

    name = "jet_block"
    inert_keys = ("mode",)

    expand_v: float
    num_heads: Size
    head_dim: Size
    conv_size: Size
    dconv_generator_reduction: Size


class Window(ConfigSchema):
    name = "jet_window"

    window_size: Size


class Efficient(ConfigSchema):
    """What layers other than full attention are made of."""

    name = "jet_attention"

    jet: Jet | None = None
    swa: Window | None = None


class Schema(DecoderSchema):
    core_keys = (*DecoderSchema.core_keys, "intermediate_size", "layer_types", "max_position_embeddings")

    layer_types: list[str]
    efficient_attention_config: Efficient | None = None

    def mixer(self, kind: str) -> Any:
        h, efficient = self.hidden_size, self.efficient_attention_config or Efficient()
        if kind == "jet" and (jet := efficient.jet):
            value = int(jet.head_dim * jet.expand_v)
            return JetBlock(
                h, jet.num_heads, jet.num_heads, jet.head_dim, value, jet.conv_size, reduction=jet.dconv_generator_reduction
            )
        if kind == "attn" or (kind == "swa" and efficient.swa):
            window = efficient.swa.window_size if kind == "swa" and efficient.swa else None
            return GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias=True, window=window)
        if kind in ("jet", "swa"):
            raise ConfigError(f'efficient_attention_config.{kind} is missing, and layer_types has "{kind}"', "give its sizes")
        raise UnsupportedError(f'layer_types holds "{kind}": only "attn", "swa" and "jet" are known here')

    def layer(self, kind: str) -> Layer:
        h = self.hidden_size
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(self.mixer(kind), GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms)

    def architecture(self, prefix: str) -> Architecture:
        kinds = per_layer(self.layer_types, self.num_hidden_layers, "layer_types")
        built = {kind: self.layer(kind) for kind in dict.fromkeys(kinds)}
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        told = f"Gated DeltaNet in {kinds.count('jet')} of {len(kinds)} layers"
        efficient = self.efficient_attention_config
        facts = self.facts(
            attention=f"{told}, {sharing}" if "jet" in kinds else sharing, position=rope_label(self.model_extra or {}),
            sliding_window=efficient.swa.window_size if efficient and efficient.swa and "swa" in kinds else None,
        )  # fmt: skip
        return decoder(
            [built[kind] for kind in kinds], facts, computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", self.hidden_size)],
        )  # fmt: skip


class JetVlm(VisionSchema):
    """JetVLM: Jet-Nemotron with SigLIP, whose patches are joined by four and pass a norm and two linear layers.
    Source: SGLang 0.5.23, srt/models/jet_vlm.py (`JetVLMForConditionalGeneration`) and srt/configs/jet_vlm.py."""

    ties = "stated"
    inert_keys = ("image_token_id", "video_token_id")

    text_config: Annotated[ConfigSchema, nested("jet_nemotron", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", fixed=True), DEFAULT]

    def text(self, prefix: str) -> Architecture:
        text = self.text_config.architecture("llm.model")
        heads = (g._replace(tensors=tuple(prefixed("llm", g.tensors))) if g.part == "head" else g for g in text.groups)
        return text._replace(groups=tuple(heads))

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from layer_norm("layers.1", 4 * width)
        yield from linear("layers.2", hidden, 4 * width, "other", bias=True)
        yield from linear("layers.4", hidden, hidden, "other", bias=True)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.vision_config.tower("vision_tower")
        projection = self.projection(self.tower_width(), text.facts.hidden_size)
        return [*groups, group("vision", prefixed("mm_projector", projection))], stacks
