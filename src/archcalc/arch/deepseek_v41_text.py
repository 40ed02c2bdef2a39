"""DeepSeek-V4.1's text model: compressed rows shared between layers, several residual streams, engrams, and a draft of three layers.

Source: deepseek-ai/DeepSeek-V4.1-Flash, inference/model.py (`Transformer`, `Block`, `Gate`, `DSparkBlock`); names are the checkpoint's.
"""

from archcalc.arch._decoder import decoder, join
from archcalc.arch._deepseek_v41 import SharedSchema
from archcalc.arch._schema import per_layer, rope_label
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.hyper import hyper_connection, widened
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Shard, Stack, Tensor, stack

RENAMES = tuple(
    (f".shared_experts.{old}.", f".shared_experts.{new}.")
    for old, new in (("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3"))
)


class Schema(SharedSchema):
    prefix = ""

    def layer(self, index: int, sees: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        """One layer; `sees` where the model has a vision tower, whose tokens have a router bias of their own."""
        h, streams, draft = self.hidden_size, self.hc_mult, index >= self.num_hidden_layers
        routed, active = self.n_routed_experts, self.num_experts_per_tok
        if draft:
            routed, active = self.dspark_n_routed_experts or routed, self.dspark_num_experts_per_tok or active
        experts = MixtureOfExperts(
            h, self.intermediate_size, routed, active, self.hidden_act, 1, self.intermediate_size, stored=("w1", "w3", "w2"),
            correction_bias="gate.bias",
        )  # fmt: skip
        others = [rms_norm("attn_norm", h), rms_norm("ffn_norm", h)]
        for name in ("hc_attn", "hc_ffn"):
            others += (t._replace(name=t.name.replace(".", "_")) for t in hyper_connection(name, h, streams))
        if sees:
            others.append(Tensor("ffn.gate.bias_vl", (routed,), "router", kind="router_bias"))
        if index in self.engram_layer_ids:
            others += self.engram(index)
        layer = make_layer(self.attention(index), experts, others, mixer_name="attn", ffn_name="ffn", extra=extra)
        return widened(layer, h, streams)

    def draft(self, sees: bool) -> list[Stack]:
        """DSpark: layers that read the hidden states of a few layers at once and write a block of tokens."""
        h, v, rank, n = self.hidden_size, self.vocab_size, self.dspark_markov_rank, self.num_nextn_predict_layers
        # Quantized as the layers are, unlike the projections of other MTP layers.
        entry = (*linear("main_proj", h, h * len(self.dspark_target_layer_ids), "mlp"), rms_norm("main_norm", h))
        rows = Shard(0, v)
        leave = (
            rms_norm("norm", h),
            Tensor("markov_head.embed.weight", (v, rank), "embedding", rows),
            Tensor("markov_head.head.weight", (v, rank), "head", rows),
            Tensor("confidence_head.proj.weight", (1, h + rank), "head", dtype="BF16"),
        )
        layers = []
        for i in range(n):
            extra = (*(entry if i == 0 else ()), *(leave if i == n - 1 else ()))
            layers.append(self.layer(self.num_hidden_layers + i, sees, extra))
        return [stack("mtp", "mtp", layers)] if layers else []

    def architecture(self, prefix: str, sees: bool = False) -> Architecture:
        n, h = self.num_hidden_layers, self.hidden_size
        per_layer(self.compress_ratios[:n], n, "compress_ratios")
        layers = [self.layer(i, sees) for i in range(n)]
        rows = sum(self.engram_num_embeddings)
        facts = self.facts(
            attention="MQA (CSA2 + sliding)",
            position=rope_label(self.model_extra or {}, self.qk_rope_head_dim / self.head_dim),
            sliding_window=self.sliding_window,
            moe=Moe(self.n_routed_experts, self.num_experts_per_tok, 1, n, self.intermediate_size),
            more=(
                ("compressed rows", f"made in layers {', '.join(map(str, self.kv_source_layer_ids))}"),
                ("residual streams", str(self.hc_mult)),
                ("engram", f"{rows:,} rows of {self.engram_head_dim} in {len(self.engram_layer_ids)} layers"),
            ),
        )
        return decoder(
            layers, facts, computes=self.computes(), prefix=prefix, embed="embed", head=join(prefix, "head"),
            final_norm=[rms_norm("norm", h)], mtp=self.draft(sees), renames=RENAMES,
        )  # fmt: skip
