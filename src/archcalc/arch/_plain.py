"""The plain decoder: layers of one attention and one FFN that differ at most in their window and in whether they hold experts.

The hooks of `PlainSchema` say what Llama does; an adapter overrides those in which its type differs.

Source: transformers 5.23, models/llama/modeling_llama.py; relatives override what differs.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder, every
from archcalc.arch._schema import Flag, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Block, Mixer, make_layer
from archcalc.blocks.attention import NORMALIZED, GroupedQueryAttention, QkNorm, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Moe, Position, Tensor

PARALLEL = "LayerNorm (pre, one for attention and FFN in parallel)"


Derived = Annotated[int, Field(strict=True, ge=0, le=2**28), BeforeValidator(lambda value: 0 if value is None else value)]
"""A width that the type derives from others where it is absent or null, which is 0 here."""


def named(default: Any, *names: str) -> Any:
    """A field that configs write under any of these names."""
    return Field(default, validation_alias=AliasChoices(*names))


def partly(rope: Position, rotary: Sequence[bool]) -> Position:
    """`RoPE, NoPE every 4th layer` where some layers have no positions."""
    bare = [i for i, has in enumerate(rotary) if not has]
    return rope.also(f", NoPE {every(bare)}") if bare else rope


def rotary_flags(flags: Sequence[int] | None, interval: int, layers: int, *, longer: bool = False) -> list[bool]:
    """Which layers have rotary positions: as `no_rope_layers` says (0 for none), else all but every `interval`-th.

    With `longer` the list may go on beyond the layers, as some references allow.
    """
    if flags is None:
        return [(i + 1) % interval != 0 for i in range(layers)]
    if not longer or len(flags) < layers:
        per_layer(flags, layers, "no_rope_layers")
    return [bool(flag) for flag in flags[:layers]]


def sparse_layers(kinds: Sequence[str], layers: int, key: str = "mlp_layer_types") -> list[bool]:
    """Which layers hold experts, from `dense` or `sparse` for each."""
    for kind in per_layer(kinds, layers, key):
        if kind not in ("dense", "sparse"):
            raise UnsupportedError(f'{key} holds "{kind}": only "dense" and "sparse" are known here')
    return [kind == "sparse" for kind in kinds]


class PlainSchema(DecoderSchema):
    """A decoder as its hooks say."""

    norms: ClassVar[tuple[str, ...]] = ("input_layernorm", "post_attention_layernorm")
    norm_label: ClassVar[str] = "RMSNorm (pre)"
    layer_norms: ClassVar[bool] = False
    norm_bias: ClassVar[bool] = True
    last_norm: ClassVar[str] = "norm"
    gated: ClassVar[bool] = True
    qk_norm: ClassVar[QkNorm] = "none"
    mixer_name: ClassVar[str] = "self_attn"
    ffn_name: ClassVar[str] = "mlp"

    @property
    def ffn_size(self) -> int:
        """The width of a dense FFN."""
        return self.intermediate_size

    def norm_names(self) -> Iterable[str]:
        return self.norms

    def norm(self, name: str) -> Iterable[Tensor]:
        h = self.hidden_size
        return layer_norm(name, h, bias=self.norm_bias) if self.layer_norms else (rms_norm(name, h),)

    def gqa(self, **options: Any) -> GroupedQueryAttention:
        """Attention with the heads that the config states."""
        return GroupedQueryAttention(self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, **options)

    def biases(self) -> tuple[bool, bool]:
        """Whether queries, keys and values, and whether the output have a bias."""
        return False, False

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, output = self.biases()
        return self.gqa(bias=bias, output_bias=output, window=window, qk_norm=self.qk_norm, rope=variant != 1)

    def dense(self) -> Block:
        block = GatedFeedForward if self.gated else FeedForward
        return block(self.hidden_size, self.ffn_size, self.hidden_act, bias=self.ffn_bias())

    def ffn_bias(self) -> bool:
        return False

    def experts(self) -> MixtureOfExperts:
        """The experts of sparse layers: a type that has any says which."""
        raise NotImplementedError

    def windows(self) -> Sequence[int | None]:
        """What each layer sees of the past: a number of tokens, or None for all of it."""
        return [None] * self.num_hidden_layers

    def sparse(self) -> Sequence[bool]:
        """Which layers' FFN is a mixture of experts."""
        return [False] * self.num_hidden_layers

    def variants(self) -> Sequence[int]:
        """A number for each layer: other than 0 where `attention` or `extra` treat it differently (1: no positions)."""
        return [0] * self.num_hidden_layers

    def extra(self, variant: int) -> Iterable[Tensor]:
        """Further tensors of a layer."""
        return ()

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        ffn: Block = self.experts() if sparse else self.dense()
        norms = [t for name in self.norm_names() for t in self.norm(name)]
        mixer = self.attention(window, variant)
        return make_layer(mixer, ffn, norms, mixer_name=self.mixer_name, ffn_name=self.ffn_name, extra=self.extra(variant))

    def moe(self) -> Moe | None:
        layers = sum(self.sparse())
        if not layers:
            return None
        e = self.experts()
        return Moe(e.experts, e.active, e.shared, layers, e.intermediate)

    def normalized(self) -> tuple[tuple[str, str], ...]:
        """How queries and keys are normalized, as a fact: what the attention of the first layer says."""
        words = NORMALIZED.get(getattr(self.attention(self.windows()[0], self.variants()[0]), "qk_norm", "none"))
        return (("QK-norm", words),) if words else ()

    def decoder_options(self) -> dict[str, Any]:
        """What `decoder` is told beyond the layers, the facts and the final norm."""
        return {}

    def more(self) -> dict[str, Any]:
        """Facts beyond the usual ones."""
        return {}

    def architecture(self, prefix: str) -> Architecture:
        windows = self.windows()
        keys = list(zip(windows, self.sparse(), self.variants(), strict=True))
        built = {key: self.layer(*key) for key in dict.fromkeys(keys)}
        layers = [built[key] for key in keys]
        kinds = [FULL if window is None else SLIDING for window in windows]
        changes = {
            "attention": mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            "norm": self.norm_label,
            "intermediate_size": self.ffn_size,
            "sliding_window": next((window for window in windows if window), None),
            "moe": self.moe(),
            **self.more(),
        }
        changes["more"] = (*self.normalized(), *changes.get("more", ()))
        facts, final = self.facts(gated=self.gated, **changes), self.norm(self.last_norm)
        told = {"prefix": prefix, "final_norm": final, "computes": self.computes(), **self.decoder_options()}
        return decoder(layers, facts, **told)


class BiasedSchema(PlainSchema):
    """A plain decoder whose config switches biases on, as Llama's does."""

    attention_bias: Flag = False
    mlp_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias


class WindowedSchema(PlainSchema):
    """A plain decoder whose `layer_types` say which layers see a window; with `bare`, those that see all have no positions."""

    bare: ClassVar[bool] = False

    sliding_window: Tokens | None = None
    layer_types: list[str] | None = None

    def period(self) -> int:
        """Every how many layers one sees everything, where `layer_types` does not say."""
        return 4

    def kinds(self) -> list[str]:
        if self.layer_types is not None:
            return self.layer_types
        period = self.period()
        return [SLIDING if (i + 1) % period else FULL for i in range(self.num_hidden_layers)]

    def windows(self) -> Sequence[int | None]:
        return attention_pattern(self.kinds(), self.num_hidden_layers, self.sliding_window)

    def rotary_layers(self) -> list[bool]:
        """Which layers turn queries and keys by their position."""
        return [not self.bare or window is not None for window in self.windows()]

    def variants(self) -> Sequence[int]:
        return [int(not rotary) for rotary in self.rotary_layers()]

    def more(self) -> dict[str, Any]:
        return {"position": partly(rope_label(self.model_extra or {}), self.rotary_layers())}
