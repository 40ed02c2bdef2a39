"""Snowflake Arctic: routed experts beside a dense FFN that reads the attention's output.

Source: Snowflake/snowflake-arctic-instruct, modeling_arctic.py and configuration_arctic.py (defaults).
"""

from collections.abc import Iterable, Sequence

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, prefixed
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Tensor


class Schema(PlainSchema):
    inert_keys = (
        "enable_expert_tensor_parallelism", "moe_eval_capacity_factor", "moe_min_capacity", "moe_token_dropping",
        "moe_train_capacity_factor", "sliding_window",
    )  # fmt: skip
    ffn_name = "block_sparse_moe"

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag = False
    num_local_experts: Size = 8
    num_experts_per_tok: Size = 1
    moe_layer_frequency: Size = 2
    parallel_attn_mlp_res: Flag = False
    use_residual: Flag = True

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def sparse(self) -> Sequence[bool]:
        return [(i + 1) % self.moe_layer_frequency == 0 for i in range(self.num_hidden_layers)]

    def variants(self) -> Sequence[int]:
        # Dense layers have no FFN beside their FFN.
        return [2 * int(sparse and self.parallel_attn_mlp_res) for sparse in self.sparse()]

    def dense(self) -> Block:
        names = ("mlp.w1", "mlp.w3", "mlp.w2")
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=names)

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size,
            self.ffn_size,
            self.num_local_experts,
            self.num_experts_per_tok,
            self.hidden_act,
            stored=("w1", "w3", "w2"),
        )

    def extra(self, variant: int) -> Iterable[Tensor]:
        if variant:
            # As wide as the model.
            h = self.hidden_size
            ffn = GatedFeedForward(h, h, self.hidden_act, names=("w1", "w3", "w2"), role="shared_experts")
            yield from self.norm("residual_layernorm")
            yield from prefixed("residual_mlp", ffn.tensors())
