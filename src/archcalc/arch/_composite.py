"""How a multimodal model is put together: a text model, towers beside it, and what leads from them into the text.

The hooks say what LLaVA does; an adapter overrides those in which its type differs.

Source: transformers 5.23, models/llava/modeling_llava.py; conversion_mapping.py (what older checkpoints call the parts).
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested, type_of
from archcalc.blocks._tensor import prefixed
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Group, Stack, Tensor

Ties: TypeAlias = Literal["outer", "outer or text", "either", "stated", "text", "never"]
Sides: TypeAlias = Size | tuple[Size, Size]
Pieces: TypeAlias = tuple[list[Group], list[Stack]]
DEFAULT: Any = Field(default=None, validate_default=True)
"""Of a nested config that the reference implementation fills in where it is absent or null."""

# How checkpoints from before transformers 4.52 name the parts, which are those on the Hub.
LLAVA = (
    ("lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.", ""),
)


def both(side: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width, of which a config may state one for both."""
    return (side, side) if isinstance(side, int) else side


def width_of(config: ConfigSchema, key: str = "hidden_size") -> int:
    """A width that the projector needs of a tower, whatever the tower's type."""
    value = getattr(config, key, None)
    if not isinstance(value, int):
        raise UnsupportedError(f"{type_of(config)} states no {key}, which the projector needs")
    return value


class CompositeSchema(ConfigSchema):
    """A text model and what stands beside it."""

    text_name: ClassVar[str] = "language_model"
    # Whose `tie_word_embeddings` decides: the outer one, the text model's where that is null, either that is true, the outer one where it
    # is stated and the text model's is not, the text model's alone, or none.
    ties: ClassVar[Ties] = "outer"
    renames: ClassVar[tuple[tuple[str, str], ...]] = ()

    text_config: Annotated[ConfigSchema, nested("llama"), DEFAULT]
    tie_word_embeddings: Flag | None = False

    def tied(self, text: Architecture) -> bool | None:
        """Whether the head is the embedding, or None where the text model has its say."""
        outer = self.tie_word_embeddings
        if self.ties == "outer":
            return bool(outer)
        if self.ties == "outer or text":
            return outer
        if self.ties == "either":
            return bool(outer) or text.facts.tied_embeddings
        if self.ties == "stated":
            inner = "tie_word_embeddings" in self.text_config.model_fields_set
            return outer if "tie_word_embeddings" in self.model_fields_set and not inner else None
        return False if self.ties == "never" else None

    @abstractmethod
    def parts(self, prefix: str, text: Architecture) -> Pieces:
        """What stands beside the text model."""

    def text(self, prefix: str) -> Architecture:
        return self.text_config.architecture(f"{prefix}.{self.text_name}")

    def architecture(self, prefix: str) -> Architecture:
        text = self.text(prefix)
        groups, stacks = self.parts(prefix, text)
        return with_tower(text, groups, stacks, renames=self.renames, tied=self.tied(text))


class VisionSchema(CompositeSchema):
    """A text model with one vision tower and a projector."""

    tower_name: ClassVar[str] = "vision_tower"
    projector_name: ClassVar[str] = "multi_modal_projector"

    vision_config: Annotated[TowerSchema, nested("clip_vision_model"), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        """From the tower's width to the text model's."""
        return ()

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        """Tensors of neither the tower nor the projector."""
        return ()

    def tower_width(self) -> int:
        return width_of(self.vision_config)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        hidden = text.facts.hidden_size
        groups, stacks = self.vision_config.tower(f"{prefix}.{self.tower_name}")
        projection = prefixed(f"{prefix}.{self.projector_name}", self.projection(self.tower_width(), hidden))
        groups.append(group("vision", (*projection, *prefixed(prefix, self.extra_tensors(hidden)))))
        return groups, stacks


class AudioSchema(CompositeSchema):
    """A text model with one audio tower and a projector."""

    tower_name: ClassVar[str] = "audio_tower"
    projector_name: ClassVar[str] = "multi_modal_projector"

    audio_config: Annotated[TowerSchema, nested("whisper"), DEFAULT]

    def projection(self, hidden: int) -> Iterable[Tensor]:
        """From the tower's width to the text model's."""
        return ()

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.audio_config.tower(f"{prefix}.{self.tower_name}")
        projection = prefixed(f"{prefix}.{self.projector_name}", self.projection(text.facts.hidden_size))
        groups.append(group("audio", projection))
        return groups, stacks


def moved(renames: tuple[tuple[str, str], ...], within: str = "language_model") -> tuple[tuple[str, str], ...]:
    """A text model's renames where it stands inside another model, as `model.language_model`."""
    return tuple((old.replace("model.", f"model.{within}.", 1) if old.startswith("model.") else old, new) for old, new in renames)


def head_below(text: Architecture, prefix: str) -> Architecture:
    """The text model with its head named below `prefix`: a whole language model inside another model."""
    groups = (
        Group(g.part, tuple(t._replace(name=join(prefix, t.name)) for t in g.tensors)) if g.part == "head" else g
        for g in text.groups
    )
    return text._replace(groups=tuple(groups))
