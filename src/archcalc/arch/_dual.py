"""Two towers that put text and images into one space: CLIP's text tower, and the model of both.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPTextModel`, `CLIPModel`) and models/siglip/modeling_siglip.py.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from archcalc.arch._bert import BertSchema
from archcalc.arch._computes import computed
from archcalc.arch._decoder import DecoderSchema, group, join
from archcalc.arch._heads import labels_of, otherwise
from archcalc.arch._schema import ConfigSchema, Layers, Size, TowerSchema, divided
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import clip_layer, table
from archcalc.model import LEARNED, Architecture, Shard, Tensor, stack


class TextTower(DecoderSchema):
    """CLIP's text tower, which keeps no cache. It states its width in the shared space, which its projection has."""

    prefix = "text_model"
    reads_head_dim = False
    core_keys = ()
    attention: ClassVar[str] = "MHA"

    vocab_size: Size = 49408
    hidden_size: Size = 512
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    max_position_embeddings: Size = 77
    hidden_act: str = "quick_gelu"

    def behind(self) -> Iterator[Tensor]:
        yield from layer_norm("final_layer_norm", self.hidden_size)

    def architecture(self, prefix: str) -> Architecture:
        h, heads = self.hidden_size, self.num_attention_heads
        divided(h, heads, "hidden_size", "num_attention_heads")
        words = table("embeddings.token_embedding", self.vocab_size, h)._replace(shard=Shard(0, self.vocab_size))
        tables = (words, table("embeddings.position_embedding", self.max_position_embeddings, h))
        layer = clip_layer(h, heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "encoder.layers"), "decoder", [layer] * self.num_hidden_layers)
        facts = self.facts(gated=False, attention=self.attention, norm="LayerNorm (pre)", position=LEARNED)
        groups = (group("embedding", below(prefix, tables)), group("decoder", below(prefix, self.behind())))
        return computed(Architecture(self.name, groups, (layers,), facts), self.computes())


class DualSchema(ConfigSchema):
    """A text tower, a vision tower, and what scales their products."""

    prefix = ""
    inert_keys: ClassVar[tuple[str, ...]] = ("text_config_dict", "vision_config_dict", "tie_word_embeddings", "projection_dim")

    # `architecture` says what each class has.
    own_heads = True
    lowers = False

    text_config: Any
    vision_config: Any

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Where older configs state `text_config_dict`, that one is meant, and so for vision."""
        old = {f"{part}_config": config[f"{part}_config_dict"] for part in ("text", "vision") if config.get(f"{part}_config_dict")}
        return {**{key: value for key, value in config.items() if not old or not key.endswith("_config_dict")}, **old}

    @abstractmethod
    def extra_tensors(self, text: TextTower, vision: TowerSchema) -> Iterator[Tensor]:
        """What belongs to neither tower."""

    def headed(self, named: str) -> Architecture | None:
        """What a class of this name is, where it is not both towers alone: with labels, the image tower."""
        if not named.endswith("ForImageClassification"):
            return None
        a: Architecture = self.vision_config.architecture("vision_model")
        labels = tuple(linear("classifier", labels_of(self.model_extra or {}), a.facts.hidden_size, "head", bias=True))
        return a._replace(groups=(*a.groups, group("head", labels)), notes=("a model without text: it keeps no cache",))

    def architecture(self, prefix: str) -> Architecture:
        named = (self.model_extra or {}).get("architectures")
        name = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
        if headed := self.headed(name):
            return headed
        whole = self.both(prefix)
        return whole if not name or name.endswith("Model") else otherwise(whole, name)

    def both(self, prefix: str) -> Architecture:
        """Both towers."""
        a: Architecture = self.text_config.architecture(join(prefix, "text_model"))
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        own = group(
            "other", (t._replace(name=join(prefix, t.name)) for t in self.extra_tensors(self.text_config, self.vision_config))
        )
        return a._replace(groups=(*a.groups, *groups, own), stacks=(*a.stacks, *stacks))


def bert_tower(text: BertSchema, prefix: str, *, pooled: bool) -> Architecture:
    """BERT, or a relative, as a tower below `prefix`: without a head."""
    from archcalc.arch import _heads

    bare = _heads.BERT["bare"]._replace(pooled=pooled)
    made = text.built(bare, _heads.sized(bare, {}, "bert", text.hidden_size), "")
    cut = f"{text.root}."

    def named(name: str) -> str:
        return join(prefix, name.removeprefix(cut))

    return made._replace(
        groups=tuple(g._replace(tensors=tuple(t._replace(name=named(t.name)) for t in g.tensors)) for g in made.groups),
        stacks=tuple(s._replace(prefix=named(s.prefix)) for s in made.stacks),
    )
