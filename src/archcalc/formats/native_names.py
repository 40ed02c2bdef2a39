"""What Meta and Mistral call the tensors of their own checkpoints, which lie beside params.json.

Source: llama-models 0.3, models/llama3/model.py; mistral-inference 1.6, transformer.py and moe.py (module names).
"""

from __future__ import annotations

import re

_PARTS = (
    (r"^model\.embed_tokens\.", "tok_embeddings."),
    (r"^lm_head\.", "output."),
    (r"^model\.", ""),
    (r"\.input_layernorm\.", ".attention_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
    (r"\.self_attn\.([qkvo])_proj\.", r".attention.w\1."),
    (r"\.mlp\.gate_proj\.", ".feed_forward.w1."),
    (r"\.mlp\.down_proj\.", ".feed_forward.w2."),
    (r"\.mlp\.up_proj\.", ".feed_forward.w3."),
    (r"\.block_sparse_moe\.", ".feed_forward."),
)


def native(name: str) -> str:
    """The name of a Llama's, Mistral's or Mixtral's tensor in the publisher's own checkpoint.

    >>> native("model.layers.3.self_attn.q_proj.weight"), native("lm_head.weight")
    ('layers.3.attention.wq.weight', 'output.weight')
    """
    for pattern, own in _PARTS:
        name = re.sub(pattern, own, name)
    return name
