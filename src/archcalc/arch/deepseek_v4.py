"""DeepSeek-V4: compressed attention, several residual streams, experts chosen by token id in the first layers, MTP.

Source: transformers 5.23, models/deepseek_v4/modeling_deepseek_v4.py; vLLM 0.33, models/deepseek_v4/mtp.py (one layer that sees
its window, with two projections and a stream head, stored as `mtp.*`).
"""

from archcalc.arch._alternating import SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._deepseek_v4 import CSA, HASHED, HCA, RENAMES, ROUTED, CompressedSchema
from archcalc.arch._schema import divided, rope_label
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.compressed import CompressedAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.hyper import hyper_connection, hyper_head, widened
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Clamped, Layer, Moe, Stack, Tensor, stack


class Schema(CompressedSchema):
    def computes(self) -> Computes:
        return (
            super().computes()._replace(norm="rms-fp32", sinks="column-max", clamped=Clamped(scaled=False), bare_queries="bare-rms")
        )

    def layer(self, kind: str, ffn: str, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, heads, dim, streams, width = (
            self.hidden_size,
            self.num_attention_heads,
            self.head_dim,
            self.hc_mult,
            self.intermediate_size,
        )
        divided(heads * dim, self.o_groups, "num_attention_heads x head_dim", "o_groups")
        index = (self.index_n_heads, self.index_head_dim, self.index_topk) if kind == CSA else ()
        rate = None if kind == SLIDING else self.rates()[kind]
        shape = (h, heads, dim, self.q_lora_rank, self.o_groups, self.o_lora_rank, self.sliding_window, rate)
        experts = MixtureOfExperts(
            h, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, 1, width,
            shared_bias=self.mlp_bias, stored=("w1", "w3", "w2"),
            correction_bias="gate.e_score_correction_bias" if ffn == ROUTED else "",
        )  # fmt: skip
        others = [rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)]
        others += (*hyper_connection("attn_hc", h, streams), *hyper_connection("ffn_hc", h, streams))
        if ffn == HASHED:
            table = (self.vocab_size, self.num_experts_per_tok)
            others.append(Tensor("mlp.gate.tid2eid", table, "router", kind="copy", dtype="I64"))
        return widened(make_layer(CompressedAttention(*shape, *index), experts, others, extra=extra), h, streams)

    def mtp(self) -> list[Stack]:
        h = self.hidden_size
        extra = (
            # Quantized with the layer, unlike DeepSeek-V3's one projection for both.
            *linear("e_proj", h, h, "mlp"), *linear("h_proj", h, h, "mlp"), *hyper_head("hc_head_", h, self.hc_mult),
            *(rms_norm(name, h) for name in ("enorm", "hnorm", "norm")),
        )  # fmt: skip
        return [stack("mtp", "mtp", [self.layer(SLIDING, ROUTED, extra)] * self.num_nextn_predict_layers)]

    def architecture(self, prefix: str) -> Architecture:
        h, n, kinds, rates = self.hidden_size, self.num_hidden_layers, self.kinds(), self.rates()
        built = {kind: self.layer(*kind) for kind in set(kinds)}
        used = [kind for kind, _ in kinds]
        hashed = sum(ffn == HASHED for _, ffn in kinds)
        more = [
            (name, f"{used.count(kind)} layers, {rates[kind]} tokens a row")
            for kind, name in ((CSA, "CSA"), (HCA, "HCA"))
            if kind in used
        ]
        more += [("residual streams", str(self.hc_mult)), ("query rank", str(self.q_lora_rank))]
        more += [("output", f"{self.o_groups} groups of rank {self.o_lora_rank}")]
        more += [("hash routing", f"experts by token id in {hashed} layers")] if hashed else []
        names = " + ".join(name for kind, name in ((CSA, "CSA"), (HCA, "HCA"), (SLIDING, "sliding")) if kind in used)
        facts = self.facts(
            attention=f"MQA ({names})",
            position=rope_label(self.model_extra or {}, self.partial_rotary_factor or self.qk_rope_head_dim / self.head_dim),
            sliding_window=self.sliding_window,
            moe=Moe(self.n_routed_experts, self.num_experts_per_tok, 1, n, self.intermediate_size),
            more=tuple(more),
        )
        return decoder(
            [built[kind] for kind in kinds], facts, computes=self.computes(),
            prefix=prefix, final_norm=[rms_norm("norm", h)],
            extra=hyper_head("hc_head.hc_", h, self.hc_mult), mtp=self.mtp() if self.num_nextn_predict_layers else (), renames=RENAMES,
        )  # fmt: skip
