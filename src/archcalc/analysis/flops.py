"""Operations and live activations of a forward pass.

A multiply and an add are two operations, so a weight of a matrix costs two for each token that visits it (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1; embeddings are looked up and cost nothing). Scores and values cost `2 * heads * (qk_dim + v_dim)` for each
visible token (same source, table 1; Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
"""

from __future__ import annotations

from archcalc.model import Architecture
from archcalc.records import NamedTuple


class TokenFlops(NamedTuple):
    """Operations for one token: matrices, attention over the context, recurrences."""

    matmul: int
    attention: int
    scan: int


class AttentionTerm(NamedTuple):
    """Operations for one token and each row it sees, of all layers that see the same rows."""

    flops: int
    window: int | None
    compress: int

    def rows(self, context_tokens: int) -> int:
        """The rows that are seen: those of the window, each of `compress` tokens."""
        rows = context_tokens // self.compress
        return rows if self.window is None else min(rows, self.window)


def attention_terms(architecture: Architecture) -> list[AttentionTerm]:
    """The decoder's scores and values, by the rows they see."""
    found: dict[tuple[int | None, int], int] = {}
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, layers in zip(stack.kinds, stack.counts(), strict=True):
            for a in layer.attends:
                key = a.window, a.compress
                found[key] = found.get(key, 0) + 2 * a.heads * (a.qk_dim + a.v_dim) * layers
    return [AttentionTerm(flops, *key) for key, flops in found.items()]


def decode_flops(architecture: Architecture, context_tokens: int) -> TokenFlops:
    """The operations to decode one token that sees `context_tokens` tokens, itself included.

    Text model alone: no vision, audio or MTP. Latent attention is counted as in prefill, on up-projected keys and values.
    """
    matmul = 0
    for part, tensor, layers in architecture.each_tensor():
        if part not in ("embedding", "decoder", "head") or tensor.role == "embedding" or len(tensor.shape) < 2:
            continue
        if tensor.kind == "copy":
            continue
        elements = tensor.elements
        if tensor.experts is not None:
            # One row of a routed expert's bias is no matrix; experts one below the other are (DBRX).
            if len(tensor.shape) < 3 and tensor.shape[0] == tensor.experts.total:
                continue
            elements = elements // tensor.experts.total * tensor.experts.active
        matmul += 2 * elements * layers
    scan = sum(
        layer.scan_flops * layers
        for stack in architecture.stacks
        if stack.part == "decoder"
        for layer, layers in zip(stack.kinds, stack.counts(), strict=True)
    )
    attention = sum(term.flops * term.rows(context_tokens) for term in attention_terms(architecture))
    return TokenFlops(matmul, attention, scan)


def head_flops(architecture: Architecture) -> int:
    """The operations of a token's row in the matrices behind the last layer: what makes logits, or scores of classes, where the class
    has any."""
    return sum(
        2 * tensor.elements
        for part, tensor, _ in architecture.each_tensor()
        if part == "head" and tensor.role != "embedding" and len(tensor.shape) > 1 and tensor.kind != "copy"
    )


def forward_bytes(architecture: Architecture, tokens: int, dtype_bytes: int) -> int:
    """Activations alive at once in a forward pass of `tokens` tokens without gradients, attention fused (scores never stored).

    The residual stream and a block's normalized input, each `hidden_size` wide, beside the widest block's own tensors; a lower bound
    of what an implementation reaches, which may keep a copy more.
    """
    widest = 0
    for stack in architecture.stacks:
        if stack.part == "decoder":
            for layer in stack.kinds:
                widest = max(widest, layer.mixer_width, layer.ffn_width)
    return tokens * (2 * architecture.facts.hidden_size + widest) * dtype_bytes
