"""GigaChat 3.5: DeepSeek-V3's gated latent attention between layers of Gated DeltaNet, norms gated by a thin FFN around each block.

Source: SGLang 0.5.23, srt/models/gigachat35.py (`GigaChat35DecoderLayer`, `GigaChat35GatedRMSNorm`, `GigaChat35AttentionMLA`),
gigachat35_mtp.py and srt/configs/gigachat35.py (defaults).
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch import deepseek_v3
from archcalc.arch._schema import Count, Flag, Layers, Size, divided, per_layer
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import GatedDeltaNet
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Shard, Tensor

# The width of the FFN that gates a norm.
LOW_RANK = 16
_NORMS = {"LlamaRMSNorm": False, "ZeroCenteredRMSNorm": False, "ZeroCenteredGatedNorm": True, "GatedNorm": True}


class Schema(deepseek_v3.Schema):
    inert_keys = (
        *deepseek_v3.Schema.inert_keys, "layernorm_gating_weight", "use_mla_scaling_factor", "linear_sigmoid_gate_scale",
        "output_gate_type", "linear_gating_type", "nextn_is_sparse",
    )  # fmt: skip
    mtp_copies = False

    vocab_size: Size = 128256
    hidden_size: Size = 1280
    intermediate_size: Size = 896
    moe_intermediate_size: Size = 896
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    n_shared_experts: Count | None = 2
    n_routed_experts: Size | None = Field(64, validation_alias="n_routed_experts")
    num_experts_per_tok: Size | None = 6
    first_k_dense_replace: Count | None = 1
    use_shared_expert_sigmoid: Flag = False
    linear_attention_type: str = "Qwen3NextGatedDeltaNet"
    layer_types: list[str] | None = None
    full_attention_layers: list[Count] | None = None
    linear_conv_kernel_dim: Size = 4
    linear_key_head_dim: Size = 128
    linear_value_head_dim: Size = 128
    linear_num_key_heads: Size = 8
    linear_num_value_heads: Size = 16
    norm_type: str = "ZeroCenteredGatedNorm"
    layernorm_type: str = "pre_post"
    gated_attention: Flag = True

    def indexers(self) -> list[bool]:
        """Which layers are linear: the base takes this for a knob of the layer."""
        n, full = self.num_hidden_layers, self.full_attention_layers
        if self.layer_types is not None:
            known = {"attention": False, "full_attention": False, "linear_attention": True}
            kinds = per_layer(self.layer_types, n, "layer_types")
            if unknown := set(kinds) - known.keys():
                raise UnsupportedError(f'layer_types holds "{min(unknown)}": attention and linear_attention are known here')
            return [known[kind] for kind in kinds]
        return [full is not None and i not in full for i in range(n)]

    def norms(self) -> tuple[str, ...]:
        post = ("post_self_attn_layernorm", "post_feedforward_layernorm") if self.layernorm_type in ("post", "pre_post") else ()
        return ("input_layernorm", "post_attention_layernorm", *post)

    def gates(self, tensors: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """A thin FFN beside each norm of the layer and of the latents."""
        for t in tensors:
            yield t
            if t.role == "norm" and _NORMS[self.norm_type] and not t.name.endswith("self_attn.norm.weight"):
                name, width = t.name.removesuffix(".weight"), t.shape[0]
                yield from linear(f"{name}.gate_up_lowrank", LOW_RANK, width, "norm")
                yield from linear(f"{name}.gate_down_lowrank", width, LOW_RANK, "norm")

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        if self.norm_type not in _NORMS or self.use_shared_expert_sigmoid or "DeltaNet" not in self.linear_attention_type:
            raise UnsupportedError(
                f"norm_type {self.norm_type!r}, linear_attention_type {self.linear_attention_type!r} or a gate on shared experts is unknown"
            )
        h, heads = self.hidden_size, self.num_attention_heads
        # A layer of MTP is dense and sees everything.
        sparse, indexed = (sparse, indexed) if not extra else (False, False)
        ffn = self.experts() if sparse else GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        norms = [rms_norm(name, h) for name in self.norms()]
        if indexed:
            keys, values = self.linear_num_key_heads, self.linear_num_value_heads
            divided(values, keys, "linear_num_value_heads", "linear_num_key_heads")
            width = (self.linear_key_head_dim, self.linear_value_head_dim, self.linear_conv_kernel_dim)
            made = make_layer(GatedDeltaNet(h, keys, values, *width, fused=True), ffn, norms, extra=extra)
        else:
            gate = linear("self_attn.attn_gate", heads * self.v_head_dim, h, "attention", shard=Shard(0, heads))
            made = make_layer(self.attention(), ffn, norms, extra=(*extra, *(gate if self.gated_attention else ())))
        return made._replace(tensors=tuple(self.gates(made.tensors)))

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        groups = (g._replace(tensors=tuple(self.gates(g.tensors))) for g in a.groups)
        lines = sum(self.indexers())
        words = f"Gated DeltaNet + MLA ({lines}:{self.num_hidden_layers - lines})" if lines else "MLA"
        return a._replace(groups=tuple(groups), facts=a.facts._replace(attention=words))
