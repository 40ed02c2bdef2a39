"""Granite's FFN: routed experts, a gated FFN that every token visits, or both, under names of their own.

Source: transformers 5.23, models/granitemoehybrid/modeling_granitemoehybrid.py and conversion_mapping.py ("granitemoe": checkpoints hold
fused experts as `input_linear` and `output_linear`).
"""

from archcalc.blocks._tensor import Block
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.together import Together

RENAMES = (
    (".block_sparse_moe.experts.gate_up_proj", ".block_sparse_moe.input_linear.weight"),
    (".block_sparse_moe.experts.down_proj", ".block_sparse_moe.output_linear.weight"),
    (".block_sparse_moe.router.", ".block_sparse_moe.router.layer."),
)


def ffn(hidden: int, intermediate: int, experts: int, active: int, shared: int, activation: str) -> Block:
    """Routed experts, a gated FFN of width `shared` for every token, or both."""
    dense = GatedFeedForward(
        hidden,
        shared,
        activation,
        fused="input_linear",
        names=("", "", "output_linear"),
        role="shared_experts" if experts else "mlp",
    )
    if not experts:
        return Together((("shared_mlp", dense),))
    moe = MixtureOfExperts(hidden, intermediate, experts, active, activation, shared=int(shared > 0), router="router", stored=())
    parts: tuple[tuple[str, Block], ...] = (("block_sparse_moe", moe), ("shared_mlp", dense))
    return Together(parts if shared else parts[:1], moe.label())
