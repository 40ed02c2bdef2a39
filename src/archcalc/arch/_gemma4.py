"""What Gemma 4's text models have in common, and its linear layers with clipped inputs and outputs.

Source: transformers 5.23, models/gemma4/modeling_gemma4.py and configuration_gemma4.py (defaults; `per_layer_config`,
`kv_sharing_modes`).
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._decoder import DecoderSchema, attention_pattern
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Tensor

_BOUNDS = ("input_min", "input_max", "output_min", "output_max")


def clippable(tensors: Iterable[Tensor], clipped: bool) -> Iterator[Tensor]:
    """Linear layers one level further down; where they are clipped, checkpoints hold the bounds."""
    for t in tensors:
        if len(t.shape) != 2:
            yield t
            continue
        name = t.name.removesuffix(".weight")
        yield t._replace(name=f"{name}.linear.weight")
        for bound in _BOUNDS if clipped else ():
            yield Tensor(f"{name}.{bound}", (), "other", kind="copy")


class TextSchema(DecoderSchema):
    """Sliding and full layers with heads of their own, of which the last may read an earlier layer's keys and values."""

    inert_keys: ClassVar[tuple[str, ...]] = ("use_bidirectional_attention", "expert_intermediate_size", "default_output_length")

    vocab_size: Size = 262_144
    hidden_size: Size = 2304
    intermediate_size: Size = 9216
    num_hidden_layers: Layers = 30
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 4
    head_dim: Size = 256
    hidden_act: str = Field("gelu_pytorch_tanh", validation_alias="hidden_activation")
    max_position_embeddings: Tokens = 131_072
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    sliding_window: Tokens = 512
    layer_types: list[str] | None = None
    final_logit_softcapping: float | None = None
    attention_k_eq_v: Flag = False
    num_kv_shared_layers: Count = 0
    use_double_wide_mlp: Flag = False
    global_head_dim: Size = 512
    num_global_key_value_heads: Size | None = None
    per_layer_config: dict[int, dict[str, Size]] | None = None

    def kinds(self) -> list[str]:
        """The last layer always sees everything."""
        n = self.num_hidden_layers
        kinds = [FULL if (i + 1) % 6 == 0 else SLIDING for i in range(n)] if self.layer_types is None else list(self.layer_types)
        return [*kinds[:-1], FULL]

    def sees_both_ways(self) -> bool:
        """Source: transformers 5.24, models/gemma4/modeling_gemma4.py `Gemma4TextAttention`."""
        return (self.model_extra or {}).get("use_bidirectional_attention") == "all" or super().sees_both_ways()

    def sees_images_whole(self) -> bool:
        """Source: the same, `Gemma4Model.forward` (`create_masks_for_vision_model`)."""
        return (self.model_extra or {}).get("use_bidirectional_attention") == "vision"

    def windows(self) -> list[int | None]:
        # Where every token may look ahead, a window is half as long to either side.
        window = self.sliding_window // 2 + 1 if self.sees_both_ways() else self.sliding_window
        return attention_pattern(self.kinds(), self.num_hidden_layers, window)

    def first_shared(self) -> int:
        kinds = self.kinds()
        first = len(kinds) - self.num_kv_shared_layers
        if first < 1 or set(kinds[:first]) != set(kinds):
            why = f"num_kv_shared_layers is {self.num_kv_shared_layers}: the layers before lack a kind of layer_types to share"
            raise ConfigError(why, "give fewer", "num_kv_shared_layers")
        return first

    def heads(self) -> list[tuple[int, int]]:
        """Width and number of key and value heads, by layer."""
        own = self.head_dim, self.num_key_value_heads
        if self.per_layer_config is None:
            heads = self.num_global_key_value_heads if self.attention_k_eq_v else None
            width = self.global_head_dim, heads or self.num_key_value_heads
            return [width if kind == FULL else own for kind in self.kinds()]
        for keys in self.per_layer_config.values():
            if unknown := keys.keys() - {"head_dim", "num_key_value_heads"}:
                raise UnsupportedError(
                    f"per_layer_config holds {min(unknown)}: only head_dim and num_key_value_heads are known here"
                )
        each = [self.per_layer_config.get(i, {}) for i in range(self.num_hidden_layers)]
        heads_of = [(keys.get("head_dim", own[0]), keys.get("num_key_value_heads", own[1])) for keys in each]
        if len(set(zip(self.kinds(), heads_of, strict=False))) > len(set(self.kinds())):
            raise ConfigError(
                "per_layer_config differs among layers of one kind", "give all layers of a kind the same", "per_layer_config"
            )
        return heads_of

    def attention(self, window: int | None, dim: int, kv_heads: int, shared: bool) -> GroupedQueryAttention:
        if self.num_attention_heads % kv_heads:
            raise ConfigError(
                f"num_attention_heads ({self.num_attention_heads}) is not a multiple of the {kv_heads} KV heads", "correct one"
            )
        bias, same = self.attention_bias, self.attention_k_eq_v and window is None
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, kv_heads, dim, bias, bias, window, qk_norm="head", own_kv=not shared,
            value_is_key=same,
        )  # fmt: skip

    def extra_tensors(self, attention: GroupedQueryAttention, shared: bool) -> list[Tensor]:
        """Norms, the layer's scale and, where an earlier layer's are read, the key and value projections that checkpoints hold."""
        out = [rms_norm(norm, self.hidden_size) for norm in NORMS]
        out.append(Tensor("layer_scalar", (1,), "other", kind="copy", acts="multiplies"))
        if shared:
            window, dim, kv_heads = attention.window, attention.head_dim, attention.kv_heads
            own = self.attention(window, dim, kv_heads, False).tensors()
            out += prefixed("self_attn", (t._replace(kind="copy") for t in own if t.name.startswith(("k_", "v_"))))
        return out
