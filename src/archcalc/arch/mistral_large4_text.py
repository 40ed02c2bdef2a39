"""The text model of Mistral Large 4: sparse latent attention without positions in every fourth layer, scaled softmax, experts.

Source: transformers 5.24, models/mistral_large4/modeling_mistral_large4.py (`MistralLarge4TextModel`) and
configuration_mistral_large4.py (defaults, `kv_sharing_modes`).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._indexers import IndexedSchema
from archcalc.arch._plain import partly, rotary_flags, sparse_layers
from archcalc.arch._schema import Count, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, Moe, Shard, Tensor

STRETCHED = {"rope_scaling": {"rope_type": "yarn"}}


class Schema(IndexedSchema):
    fp32_modules = ("indexer.weights_proj",)
    inert_keys = ("qk_head_dim", "layer_types")

    vocab_size: Size = 204800
    hidden_size: Size = 6144
    intermediate_size: Size = 24576
    moe_intermediate_size: Size = 6144
    num_hidden_layers: Layers = 72
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    n_shared_experts: Count = 1
    n_routed_experts: Size = Field(128, validation_alias=AliasChoices("num_experts", "num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 4
    q_lora_rank: Size | None = None
    qk_nope_head_dim: Size = 64
    max_position_embeddings: Tokens = 1048576
    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Count = 1
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Size = 4
    kv_source_layers: list[int] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def own_kv(self) -> list[bool]:
        """Which layers cache a latent of their own; the others attend to that of an earlier one."""
        n = self.num_hidden_layers
        sources = list(range(n)) if self.kv_source_layers is None else per_layer(self.kv_source_layers, n, "kv_source_layers")
        for i, source in enumerate(sources):
            if not 0 <= source <= i or sources[source] != source:
                why = f"kv_source_layers has {source} for layer {i}: not an earlier layer with a cache of its own"
                raise ConfigError(why, "correct it", "kv_source_layers")
        return [source == i for i, source in enumerate(sources)]

    def sparse(self) -> list[bool]:
        n = self.num_hidden_layers
        if self.mlp_layer_types is None:
            return [i >= self.first_k_dense_replace for i in range(n)]
        return sparse_layers(self.mlp_layer_types, n)

    def scaling(self, prefix: str, heads: int) -> Iterator[Tensor]:
        """A factor of the softmax for each head, and its offset."""
        for name in ("scale", "bias"):
            yield Tensor(f"{prefix}softmax_scaling.{name}", (heads,), "attention", acts="multiplies")

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.n_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            stored=("w1", "w3", "w2"),
        )  # fmt: skip

    def layer(self, rotary: bool, own: bool, indexed: bool, sparse: bool) -> Layer:
        h, n, rope = self.hidden_size, self.num_attention_heads, self.qk_rope_head_dim
        nope = self.qk_nope_head_dim + (0 if rotary else rope)
        index = Indexer(h, h, self.index_n_heads, self.index_head_dim, self.index_topk) if indexed else None
        attention = LatentAttention(
            h, n, self.kv_lora_rank, nope, rope if rotary else 0, self.v_head_dim, None, self.attention_bias, index, self.index_topk
        )
        ffn = self.experts() if sparse else GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        extra = [t._replace(shard=Shard(0, n)) for t in self.scaling("self_attn.", n)]
        if indexed:
            extra += (*layer_norm("self_attn.indexer.q_input_norm", h), *self.scaling("self_attn.indexer.", self.index_n_heads))
        layer = make_layer(attention, ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)), extra=extra)
        if own:
            return layer
        kept = tuple(t for t in layer.tensors if not t.name.startswith("self_attn.kv_a_"))
        return layer._replace(tensors=kept, caches=layer.caches[1:], mixer=f"{layer.mixer}, shared KV")

    def architecture(self, prefix: str) -> Architecture:
        rotary = rotary_flags(self.no_rope_layers, self.no_rope_layer_interval, self.num_hidden_layers, longer=True)
        e, sparse = self.experts(), self.sparse()
        keys = list(zip(rotary, self.own_kv(), self.own_indexers(), sparse, strict=True))
        built = {key: self.layer(*key) for key in dict.fromkeys(keys)}
        facts = self.facts(
            attention="sparse MLA",
            position=partly(rope_label(STRETCHED | {k: v for k, v in (self.model_extra or {}).items() if v}), rotary),
            moe=Moe(e.experts, e.active, e.shared, sum(sparse), e.intermediate) if any(sparse) else None,
            more=(
                *self.more(),
                ("sparse attention index", f"{self.index_n_heads} heads x {self.index_head_dim}, {self.index_topk} tokens"),
            ),
        )
        stretch = Tensor(
            "rotary_emb.alpha", ((self.qk_rope_head_dim + 1) // 2,), "other", acts="multiplies"
        )  # of each frequency, learned
        final = [rms_norm("norm", self.hidden_size), stretch]
        return decoder([built[key] for key in keys], facts, computes=self.computes(), prefix=prefix, final_norm=final)
