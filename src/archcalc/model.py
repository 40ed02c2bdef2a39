"""The vocabulary: a model is the list of its tensors and caches, written down once.

Everything here is an immutable record of plain integers and strings. Blocks (`archcalc.blocks`) produce these records,
adapters (`archcalc.arch`) arrange them, and analyses sum over them. Named tuples, not dataclasses, because a bundled model
is loaded from its records alone and start-up counts.

Multiplicity is symbolic: equal layers share one `Layer` (`Stack.kinds` and `Stack.pattern`), and the routed experts of a layer
are one `Tensor` whose axis 0 is the expert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any, Literal

from archcalc.records import NamedTuple

Part = Literal["embedding", "decoder", "head", "mtp", "vision", "audio", "other"]
Role = Literal["embedding", "attention", "mlp", "experts", "shared_experts", "router", "norm", "head", "other"]
Kind = Literal["param", "router_bias", "tied", "copy"]
CacheKind = Literal["full", "sliding", "chunked", "latent", "index", "state"]
Outcome = Literal["", "picture", "waves", "chain"]
"""What the decoder of a model that is no language model's makes: what is seen in an image (boxes, masks, depths, points), waves or
their codes, which no attention over tokens writes, or each model of a chain the next one's input. Empty where there is no decoder."""
Status = Literal["counted", "partial", "reference", "header", "guessed"]
Recurrence = Literal["", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "rg-lru", "short-conv", "rwkv", "xlstm"]

NormKind = Literal["rms", "rms-fp32", "rms-cast-gain", "rms-1p", "rms-own", "layer", "layer-fp32", "layer-1p", "layer-apart"]
"""How a norm with a gain is computed, which decides what its backward pass needs.

`rms` casts what it normalized in fp32 down before the gain multiplies it; `rms-fp32` multiplies first; `rms-cast-gain` by a copy of the
gain in fp32; `rms-1p` by one plus the gain, in fp32. `rms-own` takes the variance alone in fp32. `layer` is one kernel,
`layer-1p` that kernel on one plus the gain, `layer-apart` multiplies by the gain behind it, and `layer-fp32` is computed in steps, with
a copy of the gain in fp32."""
BareKind = Literal["bare-rms", "bare-layer"]
"""Norms without a gain."""
PositionKind = Literal["rotary", "learned", "sinusoidal", "alibi", "relative", "none", "unknown"]
RouterKind = Literal["softmax", "normalized", "wide", "grouped", "chosen", "all"]
Softmax = Literal["fp32", "own"]
Sinks = Literal["none", "column", "column-max", "max", "scale"]

Acts = Literal["adds", "multiplies", "sinks", "chooses", "mixes", "recurs", "indexes"]
"""What a learned row of a layer does there, beside the gains of norms and the biases of modules. It is added, which keeps nothing; it
multiplies what flows by; it is a sink of attention's scores, the query that chooses among streams or layers, a part of how streams are
mixed, a parameter of a recurrence, or fixed numbers that find rows of a table."""
Use = Literal["", "embeddings", "scores"]
PARTS: tuple[Part, ...] = ("embedding", "decoder", "head", "vision", "audio", "other")
"""The parts that `params.total` sums, in the order printed; MTP layers stand apart."""
ROLES: tuple[Role, ...] = (
    "embedding", "attention", "mlp", "experts", "shared_experts", "router", "norm", "head", "other",
)  # fmt: skip


class Shard(NamedTuple):
    """How tensor parallelism may split a tensor: along `axis`, into at most `units` whole pieces.

    Past `units` ranks, ranks hold copies. A tensor without a `Shard` is held whole by every rank.
    """

    axis: int
    units: int


class Experts(NamedTuple):
    """Axis 0 of the tensor is the routed expert; a token visits `active` of `total`.

    Checkpoints hold `held` of them, where that is not all.
    """

    total: int
    active: int
    held: int = 0


class Tensor(NamedTuple):
    """One weight: its name in the reference implementation's state dict (below its layer), and its shape.

    `kind` is `param` (trained), `router_bias` (the correction bias of a router: trained by rule, counted),
    `tied` (the same storage as another tensor: not counted, not stored) or `copy` (not a parameter of the reference
    implementation, but held by published checkpoints, such as an MTP layer's own embedding).

    `stored` names the pieces that published checkpoints hold in place of this tensor, where that differs: for fused experts
    one pattern each, with `{}` for the expert, that together fill axis 1; one name without `{}` holds all of them, its last two axes
    swapped. A tied tensor with its own name there is stored all the same.

    `dtype` is set where the architecture stores the tensor in a type of its own whatever the rest uses. `fp32` is true of modules that
    the reference implementation keeps in float32 in a float16 model, and that it lets no loader quantize (`_keep_in_fp32_modules`).

    `rows_read` is set for a table that is read by index beside the input embedding (n-grams, hashes, a vector for each layer): how many
    of its rows a token reads. The rest of it does not act on that token.

    `norm` is set on the gain of a norm: how that norm is computed. `acts` is set on other rows of a layer that are no module's `bias`: what
    the row does. Training knows no rule for one that does not say.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    shard: Shard | None = None
    experts: Experts | None = None
    kind: Kind = "param"
    stored: tuple[str, ...] = ()
    dtype: str | None = None
    fp32: bool = False
    rows_read: int = 0
    norm: NormKind | None = None
    acts: Acts | None = None

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def visited(self) -> int:
        """The elements that one token visits: of routed experts the chosen ones, of a table that is looked up the rows read."""
        if self.experts is not None:
            return self.elements // self.experts.total * self.experts.active
        return self.elements // self.shape[0] * min(self.rows_read, self.shape[0]) if self.rows_read else self.elements

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution's, by the name of its own module: `conv.conv.weight`, and not `conv.in_proj.weight`."""
        return "conv" in self.name.rpartition(".")[0].rpartition(".")[2]

    @property
    def counted(self) -> bool:
        """Whether the tensor is a parameter of its own."""
        return self.kind in ("param", "router_bias")


class State(NamedTuple):
    """What a layer keeps of one sequence whatever its length, in elements of `shape`.

    `conv` holds a convolution's last inputs, channels first; `recurrent` the state of a recurrence; `buffer` the tokens, as rows on
    axis 1, that wait to be compressed into one cached row, with those of the row before where rows overlap; `ids` the last tokens
    themselves, which the reference implementation keeps as int64 and engines take from the batch.

    `units` is how many pieces tensor parallelism may split it into along axis 0. `dtype` is `fp32` where the reference
    implementation keeps it so; None follows the cache's dtype. `asked` is the dtype that the config asks serving engines to keep
    it in (`mamba_ssm_dtype`, `mamba_ssm_cache_dtype`), which the reference implementation does not read. `trimmed` says that the reference
    hands a convolution's inputs over less the newest one, as engines do; elsewhere it keeps those of the whole kernel.
    """

    name: Literal["conv", "recurrent", "buffer", "ids"]
    shape: tuple[int, ...]
    units: int
    dtype: str | None = None
    asked: str | None = None
    trimmed: bool = False

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def own_bytes(self) -> int | None:
        """Bytes of an element whose dtype is its own, whatever the cache's; None where it follows the cache's."""
        return None if self.dtype is None else {"fp32": 4, "int64": 8}[self.dtype]


class Cache(NamedTuple):
    """What one layer keeps of the past for one sequence.

    Each cached token costs `heads * (key_dim + value_dim)` elements. `window` is the number of tokens a layer can see at most
    (None: all of them); for `chunked` it is the chunk. A `latent` cache (MLA) holds the compressed latent as `key_dim` and the
    shared rotary key as `value_dim`, once for all heads. `index` holds the keys of a sparse-attention indexer.
    `masked` windows are masked alone: the reference's cache, which does not know of them, keeps every token. `before` is tokens that the
    reference puts before each sequence and caches with it. `compress` is how many tokens share one cached row. A `state`
    cache has no per-token part; `recurrence` names its rule, as engines
    treat them differently.

    What the reference's cache does with it otherwise: `repeated` is how many heads keys and values are repeated for first, `twice` says
    that a key that is its own value is kept a second time as that, `unpooled` that every token's key, gate and place are kept and
    pooled anew at each step. `served_window` is the window that serving engines reserve for, where that is not `window`.
    """

    kind: CacheKind
    heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int | None = None
    states: tuple[State, ...] = ()
    compress: int = 1
    recurrence: Recurrence = ""
    masked: bool = False
    before: int = 0
    repeated: int = 0
    twice: bool = False
    unpooled: bool = False
    served_window: int | None = None

    @property
    def per_token(self) -> int:
        """Elements one cached token takes."""
        return self.heads * (self.key_dim + self.value_dim)


class Attend(NamedTuple):
    """The score and value products of an attention: `heads` queries of `qk_dim`, values of `v_dim`, over a window of tokens.

    Where cached rows stand for `compress` tokens each, it is over rows.
    """

    heads: int
    qk_dim: int
    v_dim: int
    window: int | None = None
    compress: int = 1


class Bare(NamedTuple):
    """A norm without a gain, of `width` elements a token in `groups`: of the residual stream, or `inner`, of what an attention made.

    Norms that have a gain are told by its tensor (`Tensor.norm`).
    """

    name: str
    kind: BareKind
    width: int
    groups: int = 1
    inner: bool = False


class Rotation(NamedTuple):
    """Queries and keys are turned by their position: `width` channels of a head.

    With `joined` they are put together of a turned and an unturned part (`torch.cat`), which makes a new tensor in the order [head, token,
    channel]. `tables` is the dtype of the cosines and sines: fp32, or the model's `own`.
    """

    width: int
    joined: bool = False
    tables: Softmax = "own"


class Scores(NamedTuple):
    """The scores of an attention where they are computed in memory (eager), and their softmax.

    The softmax is taken in fp32 or in the model's `own` dtype; `products` is the dtype of the queries and keys that are multiplied.
    `capped` scores pass through a tanh. Sinks are one more `column` of the scores, from which with `column-max` the largest of the row is
    subtracted first (`max`: it is, without a column); or a `scale` of the output by the sigmoid of the scores' sum against them.
    `floored` scores are raised to the least number of their dtype where they are masked; a `learned` mask has a gradient.
    Each query's `rank` numbers make logits for `relative` distances, which are added.
    """

    softmax: Softmax = "fp32"
    products: Softmax = "own"
    capped: bool = False
    sinks: Sinks = "none"
    floored: bool = False
    learned: bool = False
    relative: int = 0
    rank: int = 0


class Routing(NamedTuple):
    """How a router weighs the experts that a token visits.

    `softmax` over all, of which the largest are taken; `normalized`: those, or sigmoids, divided by their sum in fp32; `wide`: in fp32
    from fp32 weights; `grouped`: so too, with groups of experts; `chosen`: a softmax over the chosen alone; `all`: every expert computes
    every token. A router whose own weights are in fp32 `reads` its input so. One that is not
    `linear` is a module of a class of its own, which adapters do not go on by its name.
    """

    kind: RouterKind
    reads: Softmax = "own"
    linear: bool = True


class Clamped(NamedTuple):
    """Gated FFNs, experts among them, whose gate is clamped, scaled and multiplied by its sigmoid, the up projection clamped and
    raised by one; those that are not `scaled` are clamped alone, and FFNs that all tokens visit are not where not `shared`."""

    scaled: bool = True
    shared: bool = True


class Differential(NamedTuple):
    """Heads attend twice, to one half of the values and to the other, and one output is taken from the other (Ye et al. 2024,
    arXiv:2410.05258, equation 1)."""


class Widened(NamedTuple):
    """A dense FFN whose activation and product are computed in fp32."""


class Passes(NamedTuple):
    """The layer runs again and again over each token: `graded` of its passes keep what their backward passes need."""

    graded: int


Step = Bare | Rotation | Scores | Routing | Clamped | Differential | Widened | Passes
"""What a layer computes beyond what its tensors show."""


class Layer(NamedTuple):
    """One kind of layer: what it is called, what it holds, what it keeps, what it computes.

    `scan_flops` is the cost per token of a recurrence (zero for attention). `mixer_width` and `ffn_width` are the elements
    per token that are alive at once inside the mixer and the FFN of a forward pass, beyond the layer's input. `activation` is the
    config's name of the FFN's activation where training keeps something of its own for it: each step of one computed in steps, nothing of
    ReLU's input. `steps` are what the
    tensors do not show of how it computes. In a `parallel` layer attention and FFN read one residual stream.
    `unread` are keys and values of a layer that sees both ways: nothing reads them after the pass that made them, so they are no
    caches, but some engines make room for them all the same.
    """

    mixer: str
    ffn: str
    tensors: tuple[Tensor, ...]
    caches: tuple[Cache, ...] = ()
    attends: tuple[Attend, ...] = ()
    scan_flops: int = 0
    mixer_width: int = 0
    ffn_width: int = 0
    activation: str = ""
    steps: tuple[Step, ...] = ()
    parallel: bool = False
    unread: tuple[Cache, ...] = ()

    def keeps(self, *kinds: CacheKind) -> Cache | None:
        """Its first cache of one of these kinds."""
        return next((cache for cache in self.caches if cache.kind in kinds), None)

    def rotation(self) -> Rotation | None:
        """How queries and keys are turned, or None where they are not."""
        return next((s for s in self.steps if isinstance(s, Rotation)), None)

    def scores(self) -> Scores:
        """How the scores are computed: in fp32, with nothing more, where the layer says nothing."""
        return next((s for s in self.steps if isinstance(s, Scores)), Scores())

    def graded(self) -> int:
        """Passes that keep what a backward pass needs: one, where the layer says nothing."""
        return next((s.graded for s in self.steps if isinstance(s, Passes)), 1)

    def routing(self) -> Routing | None:
        """How the router weighs experts, or None where there is none."""
        return next((s for s in self.steps if isinstance(s, Routing)), None)


class Stack(NamedTuple):
    """Layers in order: layer `start + i` is `kinds[pattern[i]]`, its tensors named `prefix.{start + i}.name`."""

    prefix: str
    part: Part
    kinds: tuple[Layer, ...]
    pattern: tuple[int, ...]
    start: int = 0

    def counts(self) -> list[int]:
        """How many layers there are of each kind."""
        return [self.pattern.count(k) for k in range(len(self.kinds))]

    def indices(self, kind: int) -> list[int]:
        """The layer numbers of one kind."""
        return [self.start + i for i, k in enumerate(self.pattern) if k == kind]


class Group(NamedTuple):
    """Tensors outside the layers: embeddings, final norm, head, patch embedding. Names are complete."""

    part: Part
    tensors: tuple[Tensor, ...]


class Encoder(NamedTuple):
    """What a tower computes over the largest input that its processor makes.

    `patches` rows, all tiles of an image together, go through the tower's layers, and `tokens` embeddings come out. A row reads `pixels`
    elements of the input and is `hidden` wide; `inner` elements of it are alive at once inside the widest layer. `levels` is how
    many embeddings of the text model's width stand for a token (more than one where the tower also feeds deeper layers).

    A video is `clips` times as long at most, as far as the context has room for it, beside an image where `with_image`; `stamped` says
    that its frames are told apart by their times as text. Inputs go through the layers in batches of `chunk` rows where that is not 0,
    or, where `row_bytes` is not, of as many as engines find room for at so many bytes a row. `bias` elements are added to the attention
    scores of one input, which then are not fused. `interpolated` says that a row's position is put together from its four neighbours in
    a table, in fp32.

    `source` says where the size of the largest input stands.
    """

    modality: Literal["image", "video", "audio"]
    patches: int
    tokens: int
    pixels: int
    hidden: int
    inner: int
    source: str
    levels: int = 1
    clips: int = 1
    chunk: int = 0
    row_bytes: int = 0
    bias: int = 0
    interpolated: bool = False
    stamped: bool = False
    with_image: bool = False


class Moe(NamedTuple):
    """`layers` of the decoder hold `experts` routed experts, of which a token visits `active`, and `shared` that all visit."""

    experts: int
    active: int
    shared: int
    layers: int
    intermediate_size: int


class Position(NamedTuple):
    """How tokens are told apart by their place: a kind, the words for it, and of rotary positions the share of each head that turns."""

    kind: PositionKind
    said: str
    share: float = 1.0

    def also(self, words: str) -> Position:
        """The same with more said of it."""
        return self._replace(said=self.said + words)


LEARNED = Position("learned", "learned")
SINUSOIDAL = Position("sinusoidal", "sinusoidal")
ALIBI = Position("alibi", "ALiBi")
NO_POSITIONS = Position("none", "none")
NOPE = Position("none", "none (NoPE)")
ROPE = Position("rotary", "RoPE")


class Facts(NamedTuple):
    """What people ask of an architecture beyond sums. Names are those of the papers; numbers those of the config.

    `more` holds further named facts of this architecture (label, value) in the order they are worth reading.
    """

    hidden_size: int
    vocab_size: int
    context_tokens: int | None
    attention: str
    heads: int
    kv_heads: int
    head_dim: int
    norm: str
    activation: str
    position: Position
    intermediate_size: int | None = None
    sliding_window: int | None = None
    tied_embeddings: bool = False
    moe: Moe | None = None
    more: tuple[tuple[str, str], ...] = ()


class TextModel(NamedTuple):
    """What a config says of the text model inside it; `class_name` is the first of its `architectures`."""

    model_type: str
    class_name: str | None = None


class Rope(NamedTuple):
    """What a config says of how positions are scaled: the method ("default" without one), by how much, and from how many positions."""

    kind: str
    factor: float | None = None
    original: int | None = None


class Lengths(NamedTuple):
    """What a config says of how many tokens its text model reads, as engines read it.

    `keys` are those that state a length, as they stand, `ropes` the scalings of the kinds of layers, `nested` whether they are stated by
    kinds of layers, `original` the positions before scaling where they stand beside the scaling, `window` that of sliding layers. `scaled`
    is true where what is stated counts the scaling already.
    """

    keys: tuple[tuple[str, int], ...] = ()
    ropes: tuple[Rope, ...] = ()
    nested: bool = False
    original: int | None = None
    window: int | None = None
    scaled: bool = False


class Buffer(NamedTuple):
    """A tensor that checkpoints of an old library hold beside the model's own.

    `prefix` is its stack's, with a dot; outside the layers it is empty.
    """

    prefix: str
    part: Part
    layers: tuple[int, ...]
    tensor: Tensor


class Architecture(NamedTuple):
    """A whole model, normalized.

    `renames` turns a reference name into the one published checkpoints use, by replacing the first matching prefix or,
    where the pattern starts with a dot, each occurrence; tensors of one layer that come to the same name are stored as one, stacked
    along their first axis. `dtype` is the dtype that the config states for the weights, in
    safetensors' spelling, or None. `quantization` is the config's `quantization_config`, as it stands. `rotary` is rows and width of each
    table of cosines and sines that engines keep. `whole_latents` is true of a GGUF file whose MLA is not absorbed: what reads the file
    caches every head's keys and values in place of the latents. `encoders` are those whose largest input is known. `text` is the text
    model that the config holds, where it names one. `stretched` is the positions that scaled rotary embeddings reach, where the config's
    context is of those before scaling, `lengths` what the config says of lengths itself, None where that is not
    known. `classes` are those that the config's `architectures` names. `steps` are the norms without a gain
    outside the layers; `capped` says that logits pass through a tanh, `capped_in` in which dtype; `crosses` that layers of the decoder read
    what an encoder made beside the tokens, and so keep keys and values of it; `coded` that code beside the checkpoint gives it
    a class, for `autos` of transformers' Auto classes; `saved` is false where no library is named that wrote the config, which
    may then be a part of what was published. `uncounted` are kinds of tensors that the publisher's own total of parameters,
    which the Hub shows where the checkpoint's index states one, leaves out: buffers. `refines` says that a text is made in
    several passes over all of it (diffusion), `outcome` what the decoder of a part makes, `returned` that the reference hands
    back the keys and values of a pass, though its layers see both ways: it is a decoder's class. `buffers` are what the library
    that saved the checkpoint stored beside; nothing loads them. `mutual` says that the config has
    the tokens of an image see each other. `use` is what its publisher makes of a decoder that writes no
    text. `unserved` says why the class that engines
    have by the name that the config states does not run it. `stated` is what the text model's config
    states in words, switches and whole numbers, and what is said so of a projector beside it: engines ask some of it.
    """

    model_type: str
    groups: tuple[Group, ...]
    stacks: tuple[Stack, ...]
    facts: Facts
    renames: tuple[tuple[str, str], ...] = ()
    dtype: str | None = None
    quantization: Mapping[str, Any] | None = None
    status: Status = "counted"
    unmodelled_keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rotary: tuple[tuple[int, int], ...] = ()
    whole_latents: bool = False
    encoders: tuple[Encoder, ...] = ()
    text: TextModel | None = None
    stretched: int | None = None
    classes: tuple[str, ...] = ()
    steps: tuple[Bare, ...] = ()
    capped: bool = False
    crosses: bool = False
    coded: bool = False
    autos: tuple[str, ...] = ()
    saved: bool = True
    uncounted: frozenset[Kind] = frozenset()
    buffers: tuple[Buffer, ...] = ()
    capped_in: Softmax = "own"
    lengths: Lengths | None = None
    unserved: str = ""
    refines: bool = False
    returned: bool = False
    outcome: Outcome = ""
    use: Use = ""
    mutual: bool = False
    stated: Mapping[str, str | int] = {}

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why figures are `partial`, in words for a page that does not print `notes`."""
        if self.unmodelled_keys:
            return (f"keys not understood, which could change figures: {', '.join(self.unmodelled_keys)}",)
        return ("figures are partial: archcalc inspect says why",) if self.status == "partial" else ()

    @property
    def model_types(self) -> frozenset[str]:
        """The model's own type and its text model's."""
        return frozenset({self.model_type} | ({self.text.model_type} if self.text else set()))

    @property
    def is_part(self) -> bool:
        """Whether it is an encoder of images or of sound, alone. One that reads tokens (BERT, T5's) is none."""
        return not self.facts.vocab_size and not any(s.part == "decoder" for s in self.stacks)

    @property
    def decodes(self) -> bool:
        """Whether it writes a token at a time, from what it kept of those before. An encoder reads its whole input at once, a diffusion
        model writes all of a text in several passes: neither has a cache, nor a rate of decoding."""
        layers = [layer for s in self.stacks if s.part == "decoder" for layer in s.kinds]
        return any(layer.caches for layer in layers) and not any(layer.unread for layer in layers)

    @property
    def encodes(self) -> bool:
        """Whether it reads tokens, and writes none."""
        return not self.decodes and not self.refines and not self.is_part

    @property
    def head_rows(self) -> int:
        """Scores that its head makes of a token: logits over the vocabulary, or labels; 0 without a head."""
        return max(
            (
                t.shape[0]
                for group in self.groups
                if group.part == "head"
                for t in group.tensors
                if len(t.shape) == 2 and t.kind != "copy" and t.shape[0] != self.facts.hidden_size
            ),
            default=0,
        )

    @property
    def writes(self) -> bool:
        """Whether it chooses tokens: by logits over the vocabulary. Without a head, with one of labels, or where its publisher makes
        embeddings of what the layers give, engines pool instead."""
        return self.decodes and not self.use and self.head_rows >= self.facts.vocab_size > 0

    @property
    def shown_stacks(self) -> tuple[Stack, ...]:
        """The stacks that stand for the model where its layers are told: the decoder's, else those of an encoder, alone."""
        for parts in (("decoder",), ("vision", "audio"), ("other",)):
            if found := tuple(s for s in self.stacks if s.part in parts):
                return found
        return ()

    @property
    def longest(self) -> int | None:
        """The most tokens that engines take."""
        return self.stretched or self.facts.context_tokens

    @property
    def layers(self) -> int:
        """Layers of the decoder, without MTP; of all parts where there is no decoder."""
        decoder = sum(len(s.pattern) for s in self.stacks if s.part == "decoder")
        return decoder or sum(len(s.pattern) for s in self.stacks if s.part != "mtp")

    @property
    def mtp_layers(self) -> int:
        return sum(len(s.pattern) for s in self.stacks if s.part == "mtp")

    def each_tensor(self) -> Iterator[tuple[Part, Tensor, int]]:
        """Every distinct tensor with its part and how many layers hold one like it."""
        for group in self.groups:
            for tensor in group.tensors:
                yield group.part, tensor, 1
        for stack in self.stacks:
            for layer, n in zip(stack.kinds, stack.counts(), strict=True):
                for tensor in layer.tensors:
                    yield stack.part, tensor, n


def both_ways(layer: Layer) -> Layer:
    """A layer that sees all tokens of its input at once, and so keeps none: a state is passed on all the same."""
    states = tuple(c for c in layer.caches if c.kind == "state")
    return layer._replace(caches=states, unread=tuple(c for c in layer.caches if c.kind != "state"))


def bidirectional(architecture: Architecture) -> Architecture:
    """A decoder all of whose layers see both ways."""
    stacks = (s._replace(kinds=tuple(map(both_ways, s.kinds))) if s.part == "decoder" else s for s in architecture.stacks)
    facts = architecture.facts
    words = facts.attention if "bidirectional" in facts.attention else f"{facts.attention}, bidirectional"
    return architecture._replace(stacks=tuple(stacks), facts=facts._replace(attention=words), returned=True)


def recached(architecture: Architecture, **changes: Any) -> Architecture:
    """The same with these fields of every cache of tokens changed."""
    stacks = []
    for one in architecture.stacks:
        kinds = (
            layer._replace(caches=tuple(c if c.kind == "state" else c._replace(**changes) for c in layer.caches))
            for layer in one.kinds
        )
        stacks.append(one._replace(kinds=tuple(kinds)))
    return architecture._replace(stacks=tuple(stacks))


def stack(prefix: str, part: Part, layers: Iterable[Layer], start: int = 0) -> Stack:
    """Fold a sequence of layers into its distinct kinds and their order."""
    kinds: list[Layer] = []
    seen: dict[int, tuple[Layer, int]] = {}  # holds the layers, so that no other gets the address of one that was dropped
    pattern: list[int] = []
    for layer in layers:
        if id(layer) not in seen:
            k = next((i for i, other in enumerate(kinds) if other == layer), len(kinds))
            if k == len(kinds):
                kinds.append(layer)
            seen[id(layer)] = layer, k
        pattern.append(seen[id(layer)][1])
    return Stack(prefix, part, tuple(kinds), tuple(pattern), start)


def widths(layers: Iterable[Layer]) -> tuple[int, int]:
    """The width of the widest layer, and the elements of a row that are alive at once inside the one that needs most."""
    hidden = inner = 0
    for layer in layers:
        inner = max(inner, layer.mixer_width, layer.ffn_width)
        hidden = max([hidden, *(t.shape[0] for t in layer.tensors if t.role == "norm")])
    return hidden, inner
