"""Zamba 2: Mamba-2 layers, between which a few shared transformer layers come in turn, with low-rank adapters for each use.

Source: transformers 5.23, models/zamba2/modeling_zamba2.py and configuration_zamba2.py (defaults, `layers_block_type`).
"""

from collections.abc import Iterator

from archcalc.arch._alternating import HYBRID, LINEAR, hybrid_label
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, divided, rope_label
from archcalc.arch._zamba import SharedLayerSchema, adapter
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.mamba import Mamba2
from archcalc.blocks.norm import rms_norm
from archcalc.model import NOPE, Architecture, Layer, Tensor


class Schema(SharedLayerSchema):
    # `kv_channels` and its like are Megatron's names for what other keys say; the convolution always has a bias.
    inert_keys = (
        "chunk_size", "ft_lora", "kv_channels", "lora_rank", "mamba_headdim", "num_logits_to_keep", "num_query_groups",
        "rescale_prenorm_residual", "time_step_floor", "time_step_limit", "time_step_max", "time_step_min", "use_conv_bias",
        "use_long_context", "use_mem_eff_path", "use_shared_block_lora", "use_shared_mlp_lora", "vocab_file", "attn_layer_offset",
        "attn_layer_period", "mamba_dt_rank", "mamba_proj_bias", "mamba_conv_bias", "num_mem_heads", "conv_kernel_size",
        "ffn_hidden_size", "use_shared_mlp_adapter",
    )  # fmt: skip

    vocab_size: Size = 32000
    hidden_size: Size = 2560
    intermediate_size: Size | None = None  # type: ignore[assignment]
    num_hidden_layers: Layers = 54
    num_attention_heads: Size = 32
    hybrid_layer_ids: list[Count] | None = None
    mamba_d_state: Size = 64
    mamba_ngroups: Size = 1
    n_mamba_heads: Size = 8
    add_bias_linear: Flag = False
    num_mem_blocks: Layers = 1
    use_shared_attention_adapter: Flag = False
    adapter_rank: Size = 128
    use_mem_rope: Flag = False

    def adapters(self, uses: range) -> Iterator[Tensor]:
        """Beside the FFN of a shared layer and, if wanted, its queries, keys and values."""
        rank, width = self.adapter_rank, self.shared_width
        yield from adapter(
            "feed_forward.gate_up_proj_adapter_list", uses, self.hidden_size, 2 * self.ffn().intermediate, rank, "mlp"
        )
        for name in "qkv" if self.use_shared_attention_adapter else "":
            yield from adapter(f"self_attn.linear_{name}_adapter_list", uses, width, width, rank, "attention")

    def ffn(self) -> GatedFeedForward:
        h = self.hidden_size
        return GatedFeedForward(h, self.intermediate_size or 4 * h, self.hidden_act, self.add_bias_linear, "gate_up_proj")

    def mamba(self) -> Mamba2:
        h, heads, bias = self.hidden_size, self.n_mamba_heads, self.add_bias_linear
        head_dim = divided(self.mamba_expand * h, heads, "the width of the Mamba mixer", "n_mamba_heads")
        return Mamba2(h, heads, head_dim, self.mamba_d_state, self.mamba_ngroups, self.mamba_d_conv, bias, bias)

    def shared(self, uses: int, block: int) -> Layer:
        adapters = self.adapters(range(block, uses, self.num_mem_blocks))
        return self.hybrid("shared_transformer", self.mamba(), self.ffn(), rope=self.use_mem_rope, adapters=adapters)

    def architecture(self, prefix: str) -> Architecture:
        six = [*[LINEAR] * 5, HYBRID]
        kinds = self.known([LINEAR, *six * 7, *[LINEAR] * 4, HYBRID, *[LINEAR] * 3, HYBRID, *[LINEAR] * 2])
        number = kinds.count(HYBRID)
        uses = number if self.hybrid_layer_ids is None else len(self.hybrid_layer_ids)
        plain = make_layer(self.mamba(), None, [rms_norm("input_layernorm", self.hidden_size)], mixer_name="mamba")
        firsts = [self.shared(uses, block) for block in range(min(self.num_mem_blocks, number))]
        layers = self.arrange(kinds, plain, firsts, "shared_transformer")
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba-2", f"shared {head_sharing(self.num_attention_heads, self.kv_heads)}"),
            position=rope_label(self.model_extra or {}) if self.use_mem_rope else NOPE,
            intermediate_size=self.ffn().intermediate,
            more=(
                ("shared layers", f"{len(firsts)} transformer layers, applied {number} times in turn"),
                ("adapters", f"rank {self.adapter_rank} for each application"),
            ),
        )
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("final_layernorm", self.hidden_size)],
        )
