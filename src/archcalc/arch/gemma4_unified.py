"""Gemma 4 Unified: no towers; patches and audio frames are projected into the text model.

Source: transformers 5.23, models/gemma4_unified/modeling_gemma4_unified.py and configuration_gemma4_unified.py (defaults),
conversion_mapping.py ("gemma4_unified": checkpoints keep the patch layers in `vision_embedder`).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import stated
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Encoder, Group, Shard, Tensor

RENAMES = (
    *((f"model.embed_vision.{name}", f"model.vision_embedder.{name}") for name in ("patch", "pos")),
    (".multimodal_embedder.", "."),
)


class Vision(ConfigSchema):
    inert_keys = ("model_patch_size", "num_soft_tokens")

    patch_size: Size = 16
    pooling_kernel_size: Size = 3
    mm_embed_dim: Size = 3840
    mm_posemb_size: Size = 1120
    output_proj_dims: Size = 3840

    def tensors(self, hidden: int) -> Iterator[Tensor]:
        patch, width = 3 * (self.patch_size * self.pooling_kernel_size) ** 2, self.mm_embed_dim
        yield from layer_norm("patch_ln1", patch)
        yield from linear("patch_dense", width, patch, "embedding", bias=True)
        yield from layer_norm("patch_ln2", width)
        yield Tensor("pos_embedding", (self.mm_posemb_size, 2, width), "embedding")
        yield from layer_norm("pos_norm", width)
        yield from projection("multimodal_embedder.embedding_projection", hidden, self.output_proj_dims)

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of the tokens that the config states: there are no layers, a token is a linear layer over its pixels."""
        tokens, side = stated(self, "num_soft_tokens", 280), self.patch_size * self.pooling_kernel_size
        return (Encoder("image", tokens, tokens, 3 * side**2, self.mm_embed_dim, 0, "the config's num_soft_tokens"),)


class Audio(ConfigSchema):
    # All of them mean the samples of a frame; the reference implementation lets the last one written decide.
    audio_embed_dim: Size = Field(
        640, validation_alias=AliasChoices("output_proj_dims", "hidden_size", "audio_samples_per_token", "audio_embed_dim")
    )

    def tensors(self, hidden: int) -> Iterator[Tensor]:
        yield from projection("embedding_projection", hidden, self.audio_embed_dim)


def projection(name: str, hidden: int, width: int) -> Iterator[Tensor]:
    """Into the text model."""
    return linear(name, hidden, width, "other", shard=Shard(1, width))


class Schema(ConfigSchema):
    core_keys = ("text_config",)

    text_config: Annotated[ConfigSchema, nested("gemma4_unified_text"), Field(default={}, validate_default=True)]
    vision_config: Vision | None = None
    audio_config: Audio | None = None
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        hidden, groups = text.facts.hidden_size, list[Group]()
        if self.vision_config is not None:
            tensors = self.vision_config.tensors(hidden)
            groups.append(group("vision", (t._replace(name=f"{prefix}.embed_vision.{t.name}") for t in tensors)))
        if self.audio_config is not None:
            tensors = self.audio_config.tensors(hidden)
            groups.append(group("audio", (t._replace(name=f"{prefix}.embed_audio.{t.name}") for t in tensors)))
        return with_tower(text, groups, renames=RENAMES, tied=self.tie_word_embeddings)
