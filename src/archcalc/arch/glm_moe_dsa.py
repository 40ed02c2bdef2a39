"""GLM-5 to 5.3: DeepSeek-V3.2's structure, where some layers reuse the tokens that an earlier layer's indexer chose.

Source: transformers 5.23, models/glm_moe_dsa/modeling_glm_moe_dsa.py and configuration_glm_moe_dsa.py (defaults, `indexer_types`);
the MTP layer as zai-org/GLM-5 stores it, with an indexer and without copies of embedding and head.
"""

from archcalc.arch import deepseek_v32
from archcalc.arch._indexers import own_indexers
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(deepseek_v32.Schema):
    inert_keys = (*deepseek_v32.Schema.inert_keys, "index_share_for_mtp_iteration", "moe_router_dtype")
    mtp_copies = False

    vocab_size: Size = 154880
    hidden_size: Size = 6144
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 78
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    q_lora_rank: Size = 2048
    v_head_dim: Size = 256
    qk_nope_head_dim: Size = 192
    max_position_embeddings: Tokens = 202752
    index_n_heads: Size = 32
    indexer_types: list[str] | None = None
    index_topk_pattern: str | list[str] | None = None
    index_topk_freq: int = 1
    index_skip_topk_offset: int = 2

    def indexers(self) -> list[bool]:
        """`indexer_types`, or `index_topk_pattern` ("FSSF"), or a full layer every `index_topk_freq`-th from an offset on."""
        super().indexers()
        types, pattern = self.indexer_types, self.index_topk_pattern
        return own_indexers(self.num_hidden_layers, types, pattern, self.index_topk_freq, self.index_skip_topk_offset)
