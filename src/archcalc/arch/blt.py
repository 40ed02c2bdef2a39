"""Byte latent transformer: bytes into patches and back, hashes of byte groups as embeddings, and a small model that cuts patches.

Source: transformers 5.23, models/blt/modeling_blt.py and configuration_blt.py (defaults; Pagnoni et al. 2024, arXiv:2412.09871).
"""

from archcalc.arch._blt import Decoder, Encoder, Global, Patcher
from archcalc.arch._computes import computed
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Size, Tokens, rope_label
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import activation_name
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Facts, Shard, Tensor


class Schema(ConfigSchema):
    core_keys = ("encoder_config", "decoder_config", "global_config")
    inert_keys = (
        "patching_mode", "patching_threshold", "patching_threshold_add", "patching_batch_size", "patching_device",
        "max_patch_length", "monotonicity", "realtime_patching", "patch_size", "attn_bias_type",
    )  # fmt: skip

    vocab_size: Size = 260
    max_position_embeddings: Tokens = 4096
    patch_in_forward: Flag | None = True
    local_attention_window_len: Size | None = 512
    cross_attn_k: Size = 2
    encoder_hash_byte_group_size: list[int] | None = None
    encoder_hash_byte_group_vocab: Size = 500002
    encoder_hash_byte_group_nb_functions: Size = 1
    patcher_config: Patcher | None = None
    encoder_config: Encoder | None = None
    decoder_config: Decoder | None = None
    global_config: Global | None = None
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        encoder, decoder = self.encoder_config or Encoder(), self.decoder_config or Decoder()
        patches, patcher = self.global_config or Global(), self.patcher_config or Patcher()
        width, inner, outer = patches.hidden_size, encoder.hidden_size, decoder.hidden_size
        names = {part: join(prefix, part) for part in ("local_encoder", "global_transformer", "local_decoder", "patcher")}
        tables = self.encoder_hash_byte_group_nb_functions * len(self.encoder_hash_byte_group_size or range(3, 9))
        rows, joined = self.encoder_hash_byte_group_vocab * tables, inner * self.cross_attn_k
        hashes = Tensor(
            join(prefix, "encoder_hash_tok_embedding.weight"), (rows, inner), "embedding", Shard(0, rows), rows_read=tables
        )
        head = Tensor("lm_head.weight", (self.vocab_size, outer), "head", Shard(0, self.vocab_size))
        table = encoder.table(self.vocab_size, outer) if self.tie_word_embeddings else encoder.table()
        head = head._replace(kind="tied") if self.tie_word_embeddings else head
        groups = [
            group("embedding", [hashes]),
            encoder.outside(names["local_encoder"], "embedding", table),
            encoder.outside(names["local_encoder"], "decoder", encoder.patches(inner)),
            decoder.outside(
                names["local_decoder"], "decoder", [*decoder.patches(decoder.hidden_size_global), rms_norm("norm", outer)]
            ),
            group("head", [head]),
        ]
        stacks = [
            encoder.layers(names["local_encoder"], self.local_attention_window_len), encoder.cross(names["local_encoder"]),
            patches.layers(names["global_transformer"]),
            decoder.layers(names["local_decoder"]), decoder.cross(names["local_decoder"]),
        ]  # fmt: skip
        if joined != width:
            projection = linear("token_embedding_projection", width, joined, "other")
            groups.append(patches.outside(names["global_transformer"], "decoder", projection))
        if self.patch_in_forward:
            h, v = patcher.hidden_size, patcher.vocab_size
            own = (*patcher.table(), rms_norm("norm", h), *linear("lm_head", v, h, "other", shard=Shard(0, v)))
            groups.append(patcher.outside(names["patcher"], "other", own))
            stacks.append(patcher.layers(names["patcher"], patcher.sliding_window, "other"))
        facts = Facts(
            width, self.vocab_size, self.max_position_embeddings, head_sharing(patches.num_attention_heads, patches.kv_heads),
            patches.num_attention_heads, patches.kv_heads, width // patches.num_attention_heads, "RMSNorm (pre)",
            activation_name(patches.hidden_act, gated=True), rope_label(self.model_extra or {}), patches.ffn_size,
            tied_embeddings=self.tie_word_embeddings, more=(("tokens", "bytes; the middle layers see patches"),),
        )  # fmt: skip
        return computed(Architecture("blt", tuple(groups), tuple(stacks), facts), self.computes())
