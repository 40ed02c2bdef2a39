"""GPT-2: learned positions, LayerNorm, fused projections stored [in, out].

Source: transformers 5.23, models/gpt2/modeling_gpt2.py and configuration_gpt2.py (defaults, attribute_map).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import LEARNED, Architecture, Facts, Tensor


def alias(*names: str, default: int) -> int:
    """A field that configs write under any of these names."""
    value: int = Field(default, validation_alias=AliasChoices(*names))
    return value


class Schema(ConfigSchema):
    prefix = "transformer"
    core_keys: ClassVar[tuple[str, ...]] = ("n_embd", "n_layer", "n_head", "vocab_size")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "n_ctx", "n_special", "predict_special_tokens", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
    )  # fmt: skip

    transposed: ClassVar[bool] = True

    vocab_size: Size = 50257
    n_positions: Size = alias("n_positions", "max_position_embeddings", default=1024)
    n_embd: Size = alias("n_embd", "hidden_size", default=768)
    n_layer: Layers = alias("n_layer", "num_hidden_layers", default=12)
    n_head: Size = alias("n_head", "num_attention_heads", default=12)
    n_inner: Size | None = None
    activation_function: str = "gelu_new"
    add_cross_attention: Flag = False
    tie_word_embeddings: Flag = True
    bias: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def crossed(self, head_dim: int) -> Iterator[Tensor]:
        """Attention to what an encoder made, and its norm."""
        cross = CrossAttention(
            self.n_embd, self.n_head, head_dim, names=("q_attn", "", "", "c_proj"), fused="c_attn", transposed=self.transposed
        )
        yield from prefixed("crossattention", cross.tensors())
        yield from layer_norm("ln_cross_attn", self.n_embd)

    def without_encoder(self) -> None:
        """Raises `UnsupportedError` where layers that read an encoder are asked for: of some relatives they are not known."""
        if self.add_cross_attention:
            raise UnsupportedError(f"add_cross_attention is true: {self.name} as a decoder over an encoder is not modelled")

    def architecture(self, prefix: str) -> Architecture:
        h, inner = self.n_embd, self.n_inner or 4 * self.n_embd
        head_dim = divided(h, self.n_head, "n_embd", "n_head")
        attention = GroupedQueryAttention(
            h, self.n_head, self.n_head, head_dim, bias=self.bias, output_bias=self.bias, fused="c_attn",
            names=("", "", "", "c_proj"), transposed=self.transposed,
        )  # fmt: skip
        ffn = FeedForward(h, inner, self.activation_function, bias=self.bias, names=("c_fc", "c_proj"), transposed=self.transposed)
        norms = (*layer_norm("ln_1", h, bias=self.bias), *layer_norm("ln_2", h, bias=self.bias))
        extra = tuple(self.crossed(head_dim)) if self.add_cross_attention else ()
        facts = Facts(
            hidden_size=h,
            vocab_size=self.vocab_size,
            context_tokens=self.n_positions,
            attention="MHA + cross-attention" if self.add_cross_attention else "MHA",
            heads=self.n_head,
            kv_heads=self.n_head,
            head_dim=head_dim,
            norm="LayerNorm (pre)",
            activation=activation_name(self.activation_function, gated=False),
            position=LEARNED,
            intermediate_size=inner,
            tied_embeddings=self.tie_word_embeddings,
        )
        return decoder(
            [make_layer(attention, ffn, norms, mixer_name="attn", extra=extra)] * self.n_layer, facts, computes=self.computes(),
            prefix=prefix, embed="wte",
            layers_name="h", final_norm=layer_norm("ln_f", h, bias=self.bias),
            extra_embedding=[Tensor("wpe.weight", (self.n_positions, h), "embedding")], crosses=self.add_cross_attention,
        )  # fmt: skip


class Nanogpt(Schema):
    """nanoGPT: GPT-2 under its own keys, with biases as an option and a vocabulary padded to 50,304.
    Source: karpathy/nanoGPT, model.py `GPTConfig` (keys and defaults), `GPT` (tied head). Linear weights are stored [out, in], not
    transposed as in GPT-2's Conv1D."""

    inert_keys = ("meta_vocab_size", "dataset", "out_dir")

    vocab_size: Size = 50304
    block_size: Size = 1024
    transposed = False
    activation_function: str = "gelu"

    def architecture(self, prefix: str) -> Architecture:
        return Schema.architecture(self.model_copy(update={"n_positions": self.block_size}), prefix)
