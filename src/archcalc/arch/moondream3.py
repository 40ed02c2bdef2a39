"""Moondream 3: experts behind the first layers, attention beside the FFN, a scale for each head that token and place choose, and a ViT.

What points and draws boxes (`region`) is not counted.

Source: vLLM 0.33, models/moondream3.py and transformers_utils/configs/moondream3.py (defaults; configs hold the parts' keys in `config`,
which may be empty).
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import DecoderSchema, decoder, group, join
from archcalc.arch._plain import PARALLEL, named
from archcalc.arch._schema import ConfigSchema, Count, Layers, Size, Tokens, TowerSchema, nested
from archcalc.blocks._tensor import fused_experts, linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, projector
from archcalc.model import Architecture, Experts, Layer, Moe, Tensor, stack


class Experts3(MixtureOfExperts):
    """Experts in two tensors, with a bias on their router."""

    __slots__ = ()

    def tensors(self) -> Iterator[Tensor]:
        experts = Experts(self.experts, self.active)
        yield fused_experts("fc1.weight", experts, (2 * self.intermediate, self.hidden))
        yield fused_experts("fc2.weight", experts, (self.hidden, self.intermediate))
        yield from linear("router", self.experts, self.hidden, "router", bias=True)


class Mixture(ConfigSchema):
    num_experts: Size = Field(64, validation_alias="n_experts")
    start_layer: Count = 4
    experts_per_token: Size = Field(8, validation_alias="n_experts_per_tok")
    expert_inner_dim: Size = 1024


class Moondream3Text(DecoderSchema):
    """The text model of Moondream 3.
    Source: vLLM 0.33, models/moondream3.py (`Moondream3TextModel`) and transformers_utils/configs/moondream3.py (defaults)."""

    name = "moondream3_text"
    core_keys = ()
    inert_keys = ("prefix_attn", "group_size", "moe")

    vocab_size: Size = 51200
    hidden_size: Size = named(2048, "dim")
    intermediate_size: Size = named(8192, "ff_dim")
    num_hidden_layers: Layers = named(24, "n_layers")
    num_attention_heads: Size = named(32, "n_heads")
    num_key_value_heads: Size | None = named(None, "n_kv_heads")
    max_position_embeddings: Tokens = named(4096, "max_context")
    hidden_act: str = "gelu"
    moe: Mixture | None = Mixture()

    def layer(self, sparse: bool) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        mixer = GroupedQueryAttention(h, heads, self.kv_heads, self.head_size, True, True, fused="qkv", names=("", "", "", "proj"))
        m = self.moe or Mixture()
        experts = Experts3(h, m.expert_inner_dim, m.num_experts, m.experts_per_token, self.hidden_act)
        ffn = experts if sparse else FeedForward(h, self.intermediate_size, self.hidden_act)
        wide = h + 2 * self.kv_heads * self.head_size
        scales = (
            Tensor("attn.tau.alpha", (heads,), "attention"),
            *(Tensor(f"attn.tau.{name}", (heads, wide), "attention") for name in ("wq", "wv")),
        )
        return make_layer(mixer, ffn, layer_norm("ln", h), mixer_name="attn", ffn_name="mlp", extra=scales)

    def architecture(self, prefix: str = "model.text") -> Architecture:
        n, m = self.num_hidden_layers, self.moe
        sparse = [m is not None and i >= m.start_layer for i in range(n)]
        built = {kind: self.layer(kind) for kind in set(sparse)}
        facts = self.facts(gated=False, norm=PARALLEL)
        if m is not None and any(sparse):
            facts = facts._replace(moe=Moe(m.num_experts, m.experts_per_token, 0, sum(sparse), m.expert_inner_dim))
        a = decoder(
            self.name, [built[kind] for kind in sparse], facts, prefix=prefix, embed="wte", layers_name="blocks",
            final_norm=layer_norm("post_ln", self.hidden_size), head=join(prefix, "lm_head"), head_bias=True, computes=self.computes(),
        )  # fmt: skip
        # The embedding is a parameter itself, not a module with one.
        groups = (
            g._replace(tensors=tuple(t._replace(name=t.name.replace("wte.weight", "wte")) for t in g.tensors)) for g in a.groups
        )
        return a._replace(groups=tuple(groups))


class Moondream3Vision(TowerSchema):
    """The vision tower of Moondream 3: SigLIP's layers over patches that a linear layer reads.
    Source: vLLM 0.33, models/moondream3.py (`Moondream3VisionEncoder`) and transformers_utils/configs/moondream3.py (defaults)."""

    name = "moondream3_vision"
    inert_keys = ("max_crops", "overlap_margin", "in_channels", "proj_out_dim")

    hidden_size: Size = named(1152, "enc_dim")
    patch_size: Size = named(14, "enc_patch_size")
    num_hidden_layers: Layers = named(27, "enc_n_layers")
    intermediate_size: Size = named(4304, "enc_ff_dim")
    num_attention_heads: Size = named(16, "enc_n_heads")
    proj_inner_dim: Size = 8192
    image_size: Size = named(378, "crop_size")

    def tower(self, prefix: str) -> Pieces:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        outside = (
            *linear("patch_emb", h, 3 * p * p, "embedding", bias=True),
            Tensor("pos_emb", (1, grid(self.image_size, p), h), "embedding"),
            *layer_norm("post_ln", h),
        )
        attention = GroupedQueryAttention(h, heads, heads, h // heads, True, True, fused="qkv", names=("", "", "", "proj"))
        norms = (*layer_norm("ln1", h), *layer_norm("ln2", h))
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, "gelu_pytorch_tanh"), norms, attention_name="attn")
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Schema(CompositeSchema):
    inert_keys = ("config", "tokenizer", "region")
    text_name = "text"

    text_config: Annotated[ConfigSchema, nested("moondream3_text", fixed=True), DEFAULT]
    vision_config: Annotated[Moondream3Vision, nested("moondream3_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        held = config.get("config")
        parts = held if isinstance(held, Mapping) else {}
        return {**{f"{name}_config": parts[name] for name in ("text", "vision") if name in parts}, **config}

    def tied(self, text: Architecture) -> bool | None:
        return None

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        vision, hidden = self.vision_config, text.facts.hidden_size
        groups, stacks = vision.tower(f"{prefix}.vision")
        widths = (2 * vision.hidden_size, vision.proj_inner_dim, hidden)
        groups.append(group("vision", prefixed(f"{prefix}.vision.proj_mlp", projector(("fc1", "fc2"), widths))))
        return groups, stacks

    def architecture(self, prefix: str = "model") -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what points and draws boxes (region) is not counted"))
