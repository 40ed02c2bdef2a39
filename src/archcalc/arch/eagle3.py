"""EAGLE-3 and 3.1 draft models: one layer that reads the target's hidden states beside the token, a head of its own vocabulary.

Source: Li et al. 2025, arXiv:2503.01840; SpecForge 0.2, specforge/modeling/draft/llama3_eagle.py `LlamaForCausalLMEagle3` (the layer's
queries, keys and values read embedding and hidden state side by side; `fc` joins three of the target's layers); vLLM 0.33,
models/llama_eagle3.py (`LlamaDecoderLayer`), which it builds targets' own names with too, such as `Eagle3Qwen3vlForCausalLM`.
"""

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch._computes import computed
from archcalc.arch._decoder import DecoderSchema, group
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer, linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, QkNorm
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Layer, Shard, Tensor, stack

EMBEDDING_NOTE = "the embedding is the target's: not counted"


class Eagle(ConfigSchema):
    inert_keys = ("use_aux_hidden_state", "use_input_layernorm_in_first_layer", "use_last_layernorm", "use_mtp_layernorm")

    eagle_aux_hidden_state_layer_ids: list[int] | None = None


class Schema(DecoderSchema):
    prefix = ""

    inert_keys: ClassVar[tuple[str, ...]] = (
        "attention_bias", "mlp_bias", "decoder_sparse_step", "max_window_layers", "norm_before_residual", "norm_output",
        "sliding_window", "target_model_type", "use_sliding_window", "embd_layer", "eagle_aux_hidden_state_layer_ids",
    )  # fmt: skip

    qk_norm: ClassVar[QkNorm] = "none"

    num_hidden_layers: Layers = 1
    max_position_embeddings: Tokens = 2048
    draft_vocab_size: Size | None = None
    target_hidden_size: Size | None = None
    eagle_config: Eagle | None = None
    fc_norm: Flag = False
    norm_before_fc: Flag = False

    def fused(self) -> int:
        """How many of the target's layers are joined: those that the config lists, or three."""
        listed = (self.eagle_config or Eagle()).eagle_aux_hidden_state_layer_ids
        if listed is not None and not listed:
            raise ConfigError("eagle_config.eagle_aux_hidden_state_layer_ids should list layers", "correct it", "eagle_config")
        return len(listed) if listed else 3

    def mixer(self) -> Mixer:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, qk_norm=self.qk_norm
        )

    def layer(self, first: bool) -> Layer:
        """The first layer reads the embedding and the hidden state side by side, each with a norm of its own."""
        h = self.hidden_size
        made = make_layer(
            self.mixer(),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
            extra=(rms_norm("hidden_norm", h),) if first else (),
        )
        if not first:
            return made
        width = tuple(f"self_attn.{name}.weight" for name in ("q_proj", "k_proj", "v_proj", "q_a_proj", "kv_a_proj_with_mqa"))
        tensors = (t._replace(shape=(t.shape[0], 2 * h)) if t.name in width else t for t in made.tensors)
        return made._replace(tensors=tuple(tensors))

    def outside(self) -> Iterator[Tensor]:
        """What joins the target's hidden states, and the final norm."""
        joined, target = self.fused(), self.target_hidden_size or self.hidden_size
        yield from linear("fc", self.hidden_size, joined * target, "other")
        if self.norm_before_fc:
            yield rms_norm("input_norm", joined * target)
        if self.fc_norm:
            yield from (rms_norm(f"fc_norm.{i}", target) for i in range(joined))
        yield rms_norm("norm", self.hidden_size)

    def stacked(self) -> tuple[str, list[Layer], tuple[tuple[str, str], ...]]:
        """Where the layers are, what they are, and how the checkpoint names them: a single one has no number."""
        if self.num_hidden_layers != 1:
            raise UnsupportedError(
                f"num_hidden_layers is {self.num_hidden_layers}: EAGLE-3 drafts have one layer",
                "a P-EAGLE config names its own class",
            )
        return "midlayer", [self.layer(first=True)], (("midlayer.{}.", "midlayer."),)

    def architecture(self, prefix: str) -> Architecture:
        vocab, h = self.draft_vocab_size or self.vocab_size, self.hidden_size
        where, layers, renames = self.stacked()
        head = linear("lm_head", vocab, h, "head", shard=Shard(0, vocab))
        embedding = Tensor("embed_tokens.weight", (self.vocab_size, h), "embedding", Shard(0, self.vocab_size), kind="tied")
        # Which tokens the head knows, and what the target calls them.
        tables = (
            Tensor("t2d", (self.vocab_size,), "other", kind="copy", dtype="BOOL"),
            Tensor("d2t", (vocab,), "other", kind="copy", dtype="I64"),
        )
        facts = self.facts(
            tied_embeddings=False, more=(("draft vocabulary", f"{vocab:,}"), ("target layers read", str(self.fused())))
        )
        groups = (group("embedding", (embedding,)), group("decoder", self.outside()), group("head", head), group("other", tables))
        made = Architecture(self.name, groups, (stack(where, "decoder", layers),), facts, renames=renames, notes=(EMBEDDING_NOTE,))
        return computed(made, self.computes())


class Eagle3Qwen3(Schema):
    """EAGLE-3 with Qwen 3's layer, which normalizes queries and keys.
    Source: vLLM 0.33, models/qwen3_eagle3.py (`Eagle3Qwen3ForCausalLM`)."""

    qk_norm = "head"
