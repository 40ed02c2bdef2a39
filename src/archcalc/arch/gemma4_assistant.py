"""Gemma 4's draft: a small Gemma 4 that reads the target's hidden states, and its keys and values in place of any of its own.

Source: transformers 5.24, models/gemma4_assistant/modeling_gemma4_assistant.py (`Gemma4AssistantForCausalLM`) and
configuration_gemma4_assistant.py (defaults); vLLM 0.33, models/gemma4_mtp.py (what checkpoints hold).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.gemma4_text import Schema as Text
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Group, Layer, Tensor


class Schema(ConfigSchema):
    core_keys = ("text_config", "backbone_hidden_size")
    inert_keys = ("centroid_intermediate_top_k",)

    text_config: Annotated[Text, nested("gemma4_text"), DEFAULT]
    backbone_hidden_size: Size = 1536
    use_ordered_embeddings: Flag = False
    num_centroids: Size = 2048
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        # A table of no rows is none.
        text = config.get("text_config")
        if not isinstance(text, dict) or text.get("vocab_size_per_layer_input") != 0:
            return config
        return {**config, "text_config": {key: value for key, value in text.items() if key != "vocab_size_per_layer_input"}}

    def layers(self) -> list[Layer]:
        """All read what the target cached, so they have no keys and values, nor does a checkpoint hold any."""
        text = self.text_config
        if text.num_kv_shared_layers not in (0, text.num_hidden_layers):
            raise ConfigError("num_kv_shared_layers is not num_hidden_layers", "a draft shares all of them", "num_kv_shared_layers")
        for key in ("use_double_wide_mlp", "enable_moe_block", "hidden_size_per_layer_input"):
            if getattr(text, key) and (key != "hidden_size_per_layer_input" or text.per_layer_width()):
                raise ConfigError(f"text_config.{key} is {getattr(text, key)}: a draft has none", f'set "{key}" to 0 or false', key)
        order = [(window, *heads) for window, heads in zip(text.windows(), text.heads(), strict=True)]
        built = {what: text.layer(what[0], True, what[1], what[2]) for what in dict.fromkeys(order)}

        def whole(layer: Layer) -> Layer:
            return layer._replace(tensors=tuple(t for t in layer.tensors if t.kind != "copy" or t.name == "layer_scalar"))

        return [whole(built[what]) for what in order]

    def extra_tensors(self) -> Iterator[Tensor]:
        hidden, target = self.text_config.hidden_size, self.backbone_hidden_size
        yield from linear("pre_projection", hidden, 2 * target, "other")
        yield from linear("post_projection", target, hidden, "other")
        if self.use_ordered_embeddings:
            yield from linear("masked_embedding.centroids", self.num_centroids, hidden, "head")
            yield Tensor("masked_embedding.token_ordering", (self.text_config.vocab_size,), "head", kind="copy", dtype="I64")

    def architecture(self, prefix: str) -> Architecture:
        text, layers = self.text_config, self.layers()
        # The text model says what it is where its layers have keys and values of their own.
        facts = text.model_copy(update={"num_kv_shared_layers": 0}).standalone().facts
        facts = facts._replace(tied_embeddings=self.tie_word_embeddings)
        facts = facts._replace(more=(("target's width", str(self.backbone_hidden_size)), *facts.more))
        a = decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", text.hidden_size)])
        note = "a draft: it reads the keys and values that its target cached, and keeps none"
        return a._replace(groups=(*a.groups, Group("other", tuple(self.extra_tensors()))), notes=(note,))
