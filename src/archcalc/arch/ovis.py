"""Ovis 1.6 and 2 as published: any text model, whose images are words of a visual vocabulary with embeddings of their own.

Source: vLLM 0.33, models/ovis.py (`VisualTokenizer`, `VisualEmbedding`), models/aimv2.py and transformers_utils/configs/ovis.py.
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, width_of
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Count, Flag, Size, TowerSchema, nested
from archcalc.arch._vlm import under
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Encoder, Tensor

# The last of the visual words mark where images begin and end: no patch is one of them.
INDICATORS = 5


def spoken(prefix: str, width: int, vocabulary: int) -> Iterator[Tensor]:
    """A patch as a mixture of visual words."""
    if vocabulary <= INDICATORS:
        raise ConfigError(f"the visual vocabulary has {vocabulary} words, {INDICATORS} of which are no patches", "correct it")
    yield from linear(f"{prefix}.0", vocabulary - INDICATORS, width, "other")
    yield from layer_norm(f"{prefix}.1", vocabulary - INDICATORS)


class Tokenizer(ConfigSchema):
    language = False
    inert_keys = ("tokenize_function", "tau", "drop_cls_token", "backbone_kwargs", "depths", "model_type")

    backbone_config: Annotated[TowerSchema, nested("aimv2_alone", "aimv2", "aimv2_vision_model"), DEFAULT]
    vocab_size: Size = 16384
    hidden_stride: Size = 1


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("llm_config", "visual_tokenizer_config")
    inert_keys = (
        "hidden_size", "multimodal_max_length", "conversation_formatter_class", "llm_attn_implementation", "disable_tie_weight",
        "tie_word_embeddings",
    )  # fmt: skip

    llm_config: Annotated[ConfigSchema, nested("qwen2")]
    visual_tokenizer_config: Tokenizer

    def architecture(self, prefix: str) -> Architecture:
        text, seen = under(self.llm_config.standalone(), "llm"), self.visual_tokenizer_config
        tower = seen.backbone_config
        if isinstance(tower, Siglip):
            tower = tower.model_copy(update={"vision_use_head": False})
        groups, stacks = tower.tower("visual_tokenizer.backbone")
        width = width_of(tower) * seen.hidden_stride**2
        words = (*spoken("visual_tokenizer.head", width, seen.vocab_size), table("vte", seen.vocab_size, text.facts.hidden_size))
        return with_tower(text, [*groups, group("vision", words)], stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        seen = self.visual_tokenizer_config
        return pooled(seen.backbone_config.encoders(), seen.hidden_stride**2)


class Siglip2Navit(Siglip):
    """SigLIP 2 with rotary positions beside its own and windows in its attention, for images of any size.
    Source: vLLM 0.33, models/siglip2navit.py (`Siglip2NavitModel`)."""

    inert_keys = (*Siglip.inert_keys, "fullatt_block_indexes", "window_size", "use_rope", "temporal_patch_size")

    num_patches: int = -1
    preserve_original_pe: Flag = True
    vision_use_head: Flag = False
    hidden_stride: Size = 2

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)

        def held(t: Tensor) -> bool:
            return self.preserve_original_pe or "position_embedding" not in t.name

        def shaped(t: Tensor) -> Tensor:
            if self.num_patches > 0 and t.name.endswith("position_embedding.weight"):
                return t._replace(shape=(self.num_patches, self.hidden_size))
            return t

        return [group(g.part, (shaped(t) for t in g.tensors if held(t))) for g in groups], stacks


class Ovis25(ConfigSchema):
    """Ovis 2.5 and 2.6: Qwen 3, dense or with experts, with SigLIP 2 for images of any size.
    Source: vLLM 0.33, models/ovis2_5.py (`VisualTokenizer`, `Ovis2_5`)."""

    prefix = ""
    core_keys = ("llm_config", "vit_config")
    inert_keys = ("hidden_size", "conversation_formatter_class", "multimodal_max_length", "tie_word_embeddings")

    llm_config: Annotated[ConfigSchema, nested("qwen3")]
    vit_config: Annotated[Siglip2Navit, nested("siglip2_navit", fixed=True)]
    visual_vocab_size: Count = 65536

    def architecture(self, prefix: str) -> Architecture:
        text, tower = under(self.llm_config.standalone(), "llm"), self.vit_config
        groups, stacks = tower.tower("visual_tokenizer.vit.vision_model")
        width, vocabulary = tower.hidden_size * tower.hidden_stride**2, self.visual_vocab_size
        words = (*spoken("visual_tokenizer.head", width, vocabulary), table("vte", vocabulary, text.facts.hidden_size))
        return with_tower(text, [*groups, group("vision", words)], stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of the largest size that engines profile."""
        from archcalc.arch._encoder import encoder

        tower, pixels = self.vit_config, 1792
        patch = tower.patch_size if isinstance(tower.patch_size, int) else tower.patch_size[0]
        patches = (pixels // patch) ** 2
        source = "vLLM 0.33, models/ovis2_5.py `get_image_size_with_most_features`"
        return (encoder(tower, patches, patches // tower.hidden_stride**2, tower.num_channels * patch**2, source),)
