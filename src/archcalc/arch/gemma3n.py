"""Gemma 3n with its vision and audio towers (E2B, E4B).

Source: transformers 5.23, models/gemma3n/modeling_gemma3n.py and configuration_gemma3n.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.gemma3n_audio import Schema as Audio
from archcalc.arch.gemma3n_text import Schema as Text
from archcalc.arch.gemma3n_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Shard, Tensor


def embedder(name: str, tower: Vision | Audio, hidden: int) -> Iterator[Tensor]:
    """Embeds the tower's output and a few tokens of its own, and projects both to the text model's width."""
    width = tower.hidden_size
    yield Tensor(f"{name}.embedding.weight", (tower.vocab_size, width), "embedding", Shard(0, tower.vocab_size))
    yield rms_norm(f"{name}.hard_embedding_norm", width)
    yield rms_norm(f"{name}.soft_embedding_norm", width)
    yield from linear(f"{name}.embedding_projection", hidden, width, "other", shard=Shard(1, width))


class Schema(ConfigSchema):
    core_keys = ("text_config", "vision_config", "audio_config")

    text_config: Annotated[Text, nested("gemma3n_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[Vision, nested("gemma3n_vision"), Field(default={}, validate_default=True)]
    audio_config: Annotated[Audio, nested("gemma3n_audio"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag | None = True

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        hidden = text.facts.hidden_size
        vision, vision_stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        audio, audio_stacks = self.audio_config.tower(f"{prefix}.audio_tower")
        groups = [
            *vision,
            group("vision", embedder(f"{prefix}.embed_vision", self.vision_config, hidden)),
            *audio,
            group("audio", embedder(f"{prefix}.embed_audio", self.audio_config, hidden)),
        ]
        return with_tower(text, groups, [*vision_stacks, *audio_stacks], tied=bool(self.tie_word_embeddings))
