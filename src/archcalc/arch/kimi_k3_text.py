"""The text model of Kimi K3: Kimi Linear with gated latent attention, experts over a narrower vector, and residuals over blocks of layers.

Source: vLLM 0.33, models/kimi_k3/amd/linear.py (`KimiMoE`, `KimiMLAAttention`, `KimiDecoderLayer`), models/kimi_k3/nvidia/kda.py
(`KimiK3DeltaAttention`) and transformers_utils/configs/kimi_linear.py (keys).
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch import kimi_linear
from archcalc.arch._alternating import LINEAR
from archcalc.arch._kda import LinearConfig
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import Block, linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.kda import KimiDeltaAttention
from archcalc.blocks.latent import LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Group, Layer, Shard, Tensor
from archcalc.records import Frozen


class NarrowExperts(Frozen):
    """Experts that read and write a vector of `narrow`, made from the hidden state once for all of them."""

    moe: MixtureOfExperts
    narrow: int
    normed: bool

    def tensors(self) -> Iterator[Tensor]:
        h, n, i = self.moe.hidden, self.narrow, self.moe.intermediate
        shapes = {"experts.gate_up_proj": (2 * i, n), "experts.down_proj": (n, i)}
        for t in self.moe.tensors():
            yield t._replace(shape=(t.shape[0], *shapes[t.name])) if t.name in shapes else t
        yield from linear("routed_expert_down_proj", n, h, "shared_experts")
        yield from linear("routed_expert_up_proj", h, n, "shared_experts")
        if self.normed:
            yield rms_norm("routed_expert_norm", n)

    def width(self) -> int:
        return self.moe.width() + 2 * self.narrow

    def label(self) -> str:
        return f"{self.moe.label()}, latent {self.narrow}"


class FullGate(KimiDeltaAttention):
    """Its output gate is projected directly, its decay through a few numbers."""

    def tensors(self) -> Iterator[Tensor]:
        yield from (t for t in KimiDeltaAttention.tensors(self) if not t.name.startswith(("g_a_proj", "g_b_proj")))
        yield from linear("g_proj", self.heads * self.dim, self.hidden, "attention", shard=Shard(0, self.heads))


class DeltaConfig(LinearConfig):
    use_full_rank_gate: Flag = False


class Schema(kimi_linear.Schema):
    inert_keys = (*kimi_linear.Schema.inert_keys, "activation_situ_beta", "activation_situ_linear_beta")

    linear_attn_config: DeltaConfig = Field(default=DeltaConfig())
    mla_use_output_gate: Flag = False
    attn_res_block_size: Size | None = None
    latent_moe_use_norm: Flag = False
    routed_expert_hidden_size: Size | None = None

    def delta(self) -> KimiDeltaAttention:
        plain = super().delta()
        if not self.linear_attn_config.use_full_rank_gate:
            return plain
        return FullGate(plain.hidden, plain.heads, plain.dim, plain.kernel, plain.low_rank, plain.log_shape)

    def extra_tensors(self, kind: str) -> list[Tensor]:
        h, heads, out = self.hidden_size, self.num_attention_heads, super().extra_tensors(kind)
        if kind != LINEAR and self.mla_use_output_gate:
            out += linear("self_attn.g_proj", heads * self.v_head_dim, h, "attention", shard=Shard(0, heads))
        if self.attn_res_block_size:
            for name in ("self_attention", "mlp"):
                out += (rms_norm(f"{name}_res_norm", h), *linear(f"{name}_res_proj", 1, h, "other"))
        return out

    def layer(self, mixer: KimiDeltaAttention | LatentAttention, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        narrow = self.routed_expert_hidden_size
        if not sparse or not narrow:
            return super().layer(mixer, sparse, extra)
        ffn: Block = NarrowExperts(self.experts(), narrow, self.latent_moe_use_norm)
        kind = LINEAR if isinstance(mixer, KimiDeltaAttention) else ""
        return self.finished(make_layer(mixer, ffn, self.extra_tensors(kind), extra=extra))

    def architecture(self, prefix: str) -> Architecture:
        a, h = super().architecture(prefix), self.hidden_size
        if not self.attn_res_block_size:
            return a
        end = (rms_norm(f"{prefix}.output_attn_res_norm", h), *linear(f"{prefix}.output_attn_res_proj", 1, h, "other"))
        more = (*a.facts.more, ("residuals", f"over blocks of {self.attn_res_block_size} layers"))
        return a._replace(groups=(*a.groups, Group("decoder", end)), facts=a.facts._replace(more=more))
