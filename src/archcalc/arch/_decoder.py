"""How a decoder is put together: embedding, layers, final norm, head.

Source: transformers 5.23, models/llama/modeling_llama.py (`LlamaForCausalLM`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from archcalc.arch._computes import USUAL, Computes, computed
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided, per_layer, rope_label
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import activation_name
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Facts, Group, Kind, Layer, Part, Shard, Stack, Tensor, stack


class DecoderSchema(ConfigSchema):
    """The keys nearly every decoder's config has, under transformers' names. Adapters give their own defaults."""

    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    turns: ClassVar[bool] = True
    # Whether the reference implementation rejects a width that the heads do not divide; elsewhere it rounds the head down.
    whole_heads: ClassVar[bool] = True
    # Whether the reference implementation reads `head_dim`; elsewhere it splits the width whatever the config says of heads.
    reads_head_dim: ClassVar[bool] = True

    # Whether the reference implementation reads `num_key_value_heads`; elsewhere each query head has keys and values of its own.
    grouped: ClassVar[bool] = True

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: str = "silu"
    max_position_embeddings: Tokens
    tie_word_embeddings: Flag = False

    @property
    def kv_heads(self) -> int:
        """`num_key_value_heads`, or as many as queries; the queries must divide among them."""
        kv_heads = (self.num_key_value_heads if self.grouped else None) or self.num_attention_heads
        divided(self.num_attention_heads, kv_heads, "num_attention_heads", "num_key_value_heads")
        return kv_heads

    @property
    def head_size(self) -> int:
        """`head_dim`, or the width split among the heads."""
        stated = self.head_dim if self.reads_head_dim else None
        if stated or not self.whole_heads:
            return stated or self.hidden_size // self.num_attention_heads
        return divided(self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads")

    def facts(self, *, gated: bool = True, **changes: Any) -> Facts:
        """The facts as the usual keys state them; `changes` are what differs."""
        facts = Facts(
            hidden_size=self.hidden_size,
            vocab_size=self.vocab_size,
            context_tokens=self.max_position_embeddings,
            attention=head_sharing(self.num_attention_heads, self.kv_heads),
            heads=self.num_attention_heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_size,
            norm="RMSNorm (pre)",
            activation=activation_name(self.hidden_act, gated=gated),
            position=rope_label(self.model_extra or {}),
            intermediate_size=self.intermediate_size,
            tied_embeddings=self.tie_word_embeddings,
        )
        return facts._replace(**changes) if changes else facts


def attention_pattern(layer_types: Sequence[str], layers: int, window: int | None) -> list[int | None]:
    """The window of each layer from `layer_types`: None where it sees all.

    A sliding layer needs a `sliding_window`; any other kind of layer is an error that names it.
    """
    per_layer(layer_types, layers, "layer_types")
    windows: list[int | None] = []
    for kind in layer_types:
        if kind == "full_attention":
            windows.append(None)
        elif kind != "sliding_attention":
            raise UnsupportedError(f'layer_types holds "{kind}": only "full_attention" and "sliding_attention" are known here')
        elif window is None:
            raise ConfigError(
                'sliding_window is missing, and layer_types has "sliding_attention"', "give the window", "sliding_window"
            )
        else:
            windows.append(window)
    return windows


def every(indices: Iterable[int]) -> str:
    """A few layer numbers in words: `every 4th layer` where they are regular, else the numbers.

    >>> every([3, 7, 11])
    'every 4th layer'
    >>> every([0, 1, 5])
    'in layers 0, 1, 5'
    """
    numbers = list(indices)
    step = numbers[0] + 1
    if numbers == list(range(step - 1, numbers[-1] + 1, step)) and len(numbers) > 1:
        ordinal = {2: "2nd", 3: "3rd"}.get(step, f"{step}th")
        return f"every {ordinal} layer" if step > 1 else "in all layers"
    return f"in layers {', '.join(map(str, numbers))}"


def join(prefix: str, name: str) -> str:
    """`prefix.name`, or the name alone where there is no prefix."""
    return f"{prefix}.{name}" if prefix else name


def decoder(
    layers: Sequence[Layer],
    facts: Facts,
    *,
    prefix: str = "model",
    embed: str = "embed_tokens",
    layers_name: str = "layers",
    final_norm: Iterable[Tensor] = (),
    head: str = "lm_head",
    head_bias: bool = False,
    head_rows: int | None = None,
    embed_rows: int | None = None,
    extra_embedding: Iterable[Tensor] = (),
    extra: Iterable[Tensor] = (),
    mtp: Iterable[Stack] = (),
    mtp_groups: Iterable[Group] = (),
    renames: tuple[tuple[str, str], ...] = (),
    notes: tuple[str, ...] = (),
    computes: Computes = USUAL,
    crosses: bool = False,
) -> Architecture:
    """A decoder-only language model, which `parse` gives the name of its type.

    Tensors given as `final_norm`, `extra_embedding` and `extra` are named below `prefix`; `head` is a complete name.
    A tied head is listed, as the reference does, and not counted. `computes` are the odd knobs of the type, `crosses` says that layers
    read what an encoder made.
    """
    rows, hidden = embed_rows or facts.vocab_size, facts.hidden_size
    by_vocab = Shard(0, rows)

    def below(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
        return tuple(t._replace(name=join(prefix, t.name)) for t in tensors)

    groups = [
        Group(
            "embedding",
            (Tensor(join(prefix, f"{embed}.weight"), (rows, hidden), "embedding", by_vocab), *below(extra_embedding)),
        )
    ]
    outside = below((*final_norm, *extra))
    if outside:
        groups.append(Group("decoder", outside))
    if head:
        kind: Kind = "tied" if facts.tied_embeddings else "param"
        out = head_rows or rows
        tensors = [Tensor(f"{head}.weight", (out, hidden), "head", Shard(0, out), kind=kind)]
        if head_bias:
            tensors.append(Tensor(f"{head}.bias", (out,), "head", Shard(0, out)))
        groups.append(Group("head", tuple(tensors)))
    groups += mtp_groups
    whole = Architecture(
        model_type="",
        groups=tuple(groups),
        stacks=(stack(join(prefix, layers_name), "decoder", layers), *mtp),
        facts=facts,
        renames=renames,
        notes=notes,
        crosses=crosses,
    )
    return computed(whole, computes)


def with_tower(
    text: Architecture,
    groups: Iterable[Group],
    stacks: Iterable[Stack] = (),
    *,
    renames: tuple[tuple[str, str], ...] = (),
    notes: tuple[str, ...] = (),
    tied: bool | None = None,
) -> Architecture:
    """A multimodal model: the text model's facts, with the towers' tensors beside its own.

    `tied` is the outer config's flag, where that one decides over the text model's own.
    """
    if tied is not None and tied != text.facts.tied_embeddings:
        kind: Kind = "tied" if tied else "param"
        heads = tuple(
            g._replace(tensors=tuple(t._replace(kind=kind) for t in g.tensors)) if g.part == "head" else g for g in text.groups
        )
        text = text._replace(groups=heads, facts=text.facts._replace(tied_embeddings=tied))
    return text._replace(
        groups=(*text.groups, *groups),
        stacks=(*text.stacks, *stacks),
        renames=renames or text.renames,
        notes=(*text.notes, *notes),
    )


def group(part: Part, tensors: Iterable[Tensor]) -> Group:
    """Tensors with complete names, as one group."""
    return Group(part, tuple(tensors))
