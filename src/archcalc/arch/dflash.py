"""DFlash draft models and what is built on them, Domino and DSpark: Qwen 3's layers over the target's hidden states.

Embedding and head are the target's. Domino adds a GRU and a small projection to the logits, DSpark a low-rank table of token pairs and
a predictor of what is accepted.

Source: SpecForge 0.2, specforge/modeling/draft/dflash.py `DFlashDraftModel`, domino.py `DominoDraftModel`, dspark.py `DSparkDraftModel`
(GQA and MHA modes).
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from archcalc.arch import qwen3
from archcalc.arch._alternating import mixed_label
from archcalc.arch._computes import computed
from archcalc.arch._decoder import attention_pattern, group
from archcalc.arch._dflash import Options
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture, Shard, Tensor, stack


class Schema(qwen3.Schema):
    # A draft fills in a block of tokens at once, over a cache of the target's hidden states.
    turns = False
    prefix = ""
    inert_keys = (*qwen3.Schema.inert_keys, "block_size", "emb_dim", "target_hidden_size")

    markov_kinds: ClassVar[tuple[str, ...]] = ("vanilla",)

    num_hidden_layers: Layers = 1
    num_target_layers: Size | None = None
    dflash_config: Options | None = None

    @property
    def options(self) -> Options:
        return self.dflash_config or Options()

    def option(self, key: str) -> int:
        """A number of `dflash_config` that its projector cannot do without."""
        value: int | None = getattr(self.options, key)
        if value is None:
            raise ConfigError(f"dflash_config.{key} is missing", f"give dflash_config.{key}", f"dflash_config.{key}")
        return value

    def joined(self) -> int:
        """How many of the target's layers are joined; as many as there are layers where none are listed."""
        listed = self.options.target_layer_ids
        if listed is not None and not listed:
            raise ConfigError("dflash_config.target_layer_ids should list layers", "correct it", "dflash_config")
        return len(listed) if listed else self.num_hidden_layers

    def heads(self) -> Iterator[Tensor]:
        """What corrects the target's head."""
        options = self.options
        kind, h, vocab = options.projector_type, self.hidden_size, self.vocab_size
        if kind == "domino":
            gru, narrow = self.option("gru_hidden_dim"), self.option("emb_dim")
            yield Tensor("prefix_gru.weight_ih_l0", (3 * gru, h), "head")
            yield Tensor("prefix_gru.weight_hh_l0", (3 * gru, gru), "head")
            yield from linear("embed_proj.0", narrow, h + gru, "head")
            yield from linear("embed_proj.2", vocab, narrow, "head", shard=Shard(0, vocab))
        elif kind == "dspark":
            rank = options.markov_rank or 0
            if rank:
                yield from self.pairs(rank)
            if options.enable_confidence_head:
                paired = rank if options.confidence_head_with_markov else 0
                yield from linear("confidence_head.proj", 1, h + paired, "head", bias=True)
        elif kind is not None:
            raise UnsupportedError(f"dflash_config.projector_type is {json_text(kind)}: domino and dspark are known here")

    def pairs(self, rank: int) -> Iterator[Tensor]:
        """A low-rank table of which token follows which."""
        kind, vocab = self.options.markov_head_type, self.vocab_size
        if kind not in self.markov_kinds:
            raise UnsupportedError(f"dflash_config.markov_head_type is {kind!r}: {', '.join(self.markov_kinds)} known here")
        yield Tensor("markov_head.markov_w1.weight", (vocab, rank), "head", Shard(0, vocab))
        yield Tensor("markov_head.markov_w2.weight", (vocab, rank), "head", Shard(0, vocab))

    def extra_tensors(self) -> Iterable[Tensor]:
        """What a layer has beside Qwen 3's."""
        return ()

    def outside(self) -> Iterator[Tensor]:
        """What joins the target's hidden states, and the norms outside the layers."""
        h = self.hidden_size
        yield from linear("fc", h, self.joined() * h, "other")
        yield rms_norm("hidden_norm", h)
        yield rms_norm("norm", h)

    def architecture(self, prefix: str) -> Architecture:
        modes = self.options.attention_modes or [self.options.attention_mode]
        if not set(map(str, modes)) <= {"gqa", "mha"}:
            raise UnsupportedError(f"dflash_config.attention_mode is {modes}: gqa and mha are known here")
        h, windows = self.hidden_size, attention_pattern(self.kinds(), self.num_hidden_layers, self.window)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        built = {
            window: make_layer(self.attention(window), self.ffn(sparse=False), norms, extra=self.extra_tensors())
            for window in set(windows)
        }
        facts = self.facts(
            attention=mixed_label(self.kinds(), head_sharing(self.num_attention_heads, self.kv_heads)),
            sliding_window=self.window if any(windows) else None,
            more=(("QK-norm", "RMSNorm per head"), ("target layers read", str(self.joined()))),
        )
        groups = (group("decoder", self.outside()), group("head", self.heads()))
        notes = ("embedding and head are the target's: not counted",)
        layers = stack("layers", "decoder", [built[window] for window in windows])
        return computed(Architecture(self.name, groups, (layers,), facts, notes=notes), self.computes())
