"""What the text config of dots3 note states: the keys, and what each layer is and has of its own.

Source: transformers 5.23, models/dots3_note/configuration_dots3_note.py (`Dots3NoteTextConfig`: defaults, `layer_types`).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, INDEXED, SLIDING, known_kinds, sparse_layers
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, overrides, per_layer
from archcalc.errors import ConfigError
from archcalc.records import NamedTuple


class Dims(NamedTuple):
    """What a layer may have of its own, under the config's names."""

    num_attention_heads: int
    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


class NoteSchema(LatentSchema):
    inert_keys = (*LatentSchema.inert_keys, "base_config_key", "mlp_bias", "swa_num_key_value_heads")

    vocab_size: Size = 152064
    hidden_size: Size = 5120
    intermediate_size: Size = 13824
    moe_intermediate_size: Size = 1536
    num_hidden_layers: Layers = 46
    num_attention_heads: Size = 128
    max_position_embeddings: Tokens = 524288
    q_lora_rank: Size = 1024
    swa_num_attention_heads: Size = 64
    swa_q_lora_rank: Size = 1024
    swa_kv_lora_rank: Size = 1024
    swa_head_dim: Size = 256
    swa_qk_nope_head_dim: Size = 192
    swa_qk_rope_head_dim: Size | None = None
    swa_v_head_dim: Size = 128
    per_layer_config: dict[int, dict[str, Count]] | None = None
    sliding_window: Tokens = Field(512, validation_alias=AliasChoices("sliding_window", "sliding_window_size"))
    use_sliding_window: Flag = True
    use_dsa: Flag | None = None
    layer_types: list[str] | None = None
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    n_shared_experts: Size = 1
    shared_experts_intermediate_size: Size = Field(
        1536, validation_alias=AliasChoices("moe_shared_expert_intermediate_size", "shared_experts_intermediate_size")
    )
    num_experts_per_tok: Size = 8
    first_k_dense_replace: Count = 1
    moe_layer_freq: Size | list[Count] = 1
    mlp_layer_types: list[str] | None = None
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 64

    def kinds(self) -> list[str]:
        n, given = self.num_hidden_layers, self.layer_types
        # A stated per_layer_config goes with lists that are already as they should be.
        dsa = self.use_dsa if self.use_dsa is not None or self.per_layer_config is not None else True
        full = FULL if dsa is False else INDEXED
        if given is None:
            return [full if not self.use_sliding_window or i < 2 or i % 4 == 1 else SLIDING for i in range(n)]
        kinds = known_kinds(per_layer(given, n, "layer_types"), "layer_types", FULL, INDEXED, SLIDING)
        return kinds if dsa is None else [SLIDING if kind == SLIDING else full for kind in kinds]

    def dims(self, kinds: list[str]) -> list[Dims]:
        own = Dims(*(getattr(self, key) for key in Dims._fields))
        if self.per_layer_config is None:
            rope = self.swa_qk_rope_head_dim or self.swa_head_dim - self.swa_qk_nope_head_dim
            if rope <= 0:
                why = (
                    f"swa_qk_nope_head_dim is {self.swa_qk_nope_head_dim}: it leaves nothing of swa_head_dim ({self.swa_head_dim})"
                )
                raise ConfigError(why, "correct one of the two", "swa_qk_nope_head_dim")
            sliding = Dims(
                self.swa_num_attention_heads, self.swa_q_lora_rank, self.swa_kv_lora_rank, self.swa_qk_nope_head_dim, rope,
                self.swa_v_head_dim,
            )  # fmt: skip
            return [sliding if kind == SLIDING else own for kind in kinds]
        given = overrides(self.per_layer_config, *Dims._fields, "num_key_value_heads")
        each = [given.get(i, {}) for i in range(len(kinds))]
        return [own._replace(**{key: value for key, value in keys.items() if key in Dims._fields}) for keys in each]

    def sparse(self) -> list[bool]:
        """Which layers' FFN is a mixture of experts."""
        n, freq = self.num_hidden_layers, self.moe_layer_freq
        every = (
            [f > 0 for f in per_layer(freq, n, "moe_layer_freq")] if isinstance(freq, list) else [i % freq == 0 for i in range(n)]
        )
        return sparse_layers(self.mlp_layer_types, [i >= self.first_k_dense_replace and every[i] for i in range(n)])
