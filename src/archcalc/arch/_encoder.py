"""How much an encoder computes over the largest input that its processor makes, for what engines set aside before they serve.

A config states the size of a fixed image; where the processor decides (tiles, a limit of pixels or tokens), its default in the reference
implementation, or in the publishers' preprocessor_config.json, stands at the tower.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeGuard

from archcalc.errors import ConfigError, json_text
from archcalc.model import Architecture, Encoder, Layer, widths

if TYPE_CHECKING:
    from archcalc.arch._schema import ConfigSchema, TowerSchema

CONFIG = "the config's image_size and patch_size"


def of(schema: ConfigSchema, architecture: Architecture) -> tuple[Encoder, ...]:
    """The encoders of a model, without those of parts that it does not have."""
    parts = {stack.part for stack in architecture.stacks} | {group.part for group in architecture.groups}
    found = (e for e in schema.encoders() if ("audio" if e.modality == "audio" else "vision") in parts)
    return tuple(e._replace(patches=max(e.patches, 1), tokens=max(e.tokens, 1)) for e in found)


def stated(schema: ConfigSchema, key: str, default: int) -> int:
    """A whole number that the config states under a key that weighs nothing, or the reference's default."""
    value = (schema.model_extra or {}).get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 2**28:
        raise ConfigError(
            f"{key} is {json_text(value)}: a positive integer was expected",
            f"correct {key}, or override it with --set {key}=VALUE",
            key,
        )
    return value


def encoder(tower: TowerSchema, patches: int, tokens: int, pixels: int, source: str, **more: Any) -> Encoder:
    """An image of `patches`, through the layers of `tower`."""
    layers = [layer for stack in tower.tower("")[1] for layer in stack.kinds]
    return through(layers, patches, tokens, pixels, source, **more)


def through(
    layers: Iterable[Layer], patches: int, tokens: int, pixels: int, source: str, *, rotated: bool = False, **more: Any
) -> Encoder:
    """An image of `patches`, through `layers`; where positions are rotations, queries and keys are joined and then turned."""
    hidden, inner = widths(layers)
    if rotated:
        inner = max(inner, 8 * hidden)  # queries, keys and values, the first two twice more, and what comes out
    return Encoder(more.pop("modality", "image"), max(patches, 1), max(tokens, 1), pixels, hidden, inner, source, **more)


def square(tower: TowerSchema, image: int = 0, source: str = CONFIG, **more: Any) -> tuple[Encoder, ...]:
    """One image of the size that the tower states, or of `image` on each side; nothing where neither is known."""
    sides = [_sides(image or getattr(tower, "image_size", None)), _sides(getattr(tower, "patch_size", None))]
    if sides[0] is None or sides[1] is None:
        return ()
    (height, width), (patch_height, patch_width) = sides[0], sides[1]
    patches = (height // patch_height) * (width // patch_width)
    return (encoder(tower, patches, patches, channels(tower) * patch_height * patch_width, source, **more),)


def within(tower: TowerSchema, most: int, merge: int, source: str, *, frames: int = 1, **more: Any) -> tuple[Encoder, ...]:
    """An image of any shape that holds `most` tokens of `merge` x `merge` patches; a patch repeats it `frames` times."""
    height, width = _sides(getattr(tower, "patch_size", None)) or (1, 1)
    pixels = channels(tower) * frames * height * width
    return (encoder(tower, most * merge**2, most, pixels, source, **more),)


def area(pixels: int, patch: int, merge: int) -> int:
    """How many tokens of `merge` x `merge` patches an image has that holds so many pixels."""
    return pixels // (patch * merge) ** 2


def tiled(encoders: Iterable[Encoder], tiles: int, tokens: int | None, source: str) -> tuple[Encoder, ...]:
    """An image cut into `tiles` of the tower's size, the overview among them, each of `tokens`."""
    return tuple(
        e._replace(patches=e.patches * tiles, tokens=tiles * (tokens or e.tokens), source=source) if e.modality == "image" else e
        for e in encoders
    )


def pooled(encoders: Iterable[Encoder], by: int = 1, tokens: int | None = None) -> tuple[Encoder, ...]:
    """The same images, of which the text model gets one token for `by` patches, or `tokens` for each image."""
    return tuple(e._replace(tokens=tokens or max(e.patches // by, 1)) if e.modality == "image" else e for e in encoders)


FRAMES = 1 << 20
"""More frames than a context holds, of a video that only the context limits."""


def film(
    images: Iterable[Encoder], tokens: int, source: str, clips: int = FRAMES, *, with_image: bool = True
) -> tuple[Encoder, ...]:
    """A video of frames like these images, each of `tokens`."""
    return tuple(
        e._replace(modality="video", tokens=tokens, source=source, clips=clips, with_image=with_image)
        for e in images
        if e.modality == "image"
    )


def channels(tower: TowerSchema) -> int:
    value = getattr(tower, "num_channels", None) or getattr(tower, "in_channels", None)
    return value if isinstance(value, int) else 3


def _sides(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return value[0], value[1]
    return None


def heard(tower: TowerSchema, rows: int, tokens: int, frames: int, source: str) -> tuple[Encoder, ...]:
    """Half a minute of sound, in `rows` that hold `frames` elements each."""
    return (encoder(tower, rows, tokens, frames, source, modality="audio"),)


def pinpoints(schema: ConfigSchema, side: int, default: int) -> int:
    """How many tiles the largest shape of `image_grid_pinpoints` has, where `side` is a tile's by default and `default` its pixels."""
    shapes = (schema.model_extra or {}).get("image_grid_pinpoints")
    tower = getattr(schema, "vision_config", None)
    side = (_sides(getattr(tower, "image_size", None)) or (side, side))[0]
    return max(max((height * width for height, width in shapes), default=0) if pairs(shapes) else default, side**2) // side**2


def pairs(value: Any) -> TypeGuard[list[tuple[int, int]]]:
    """Whether a config's value is a list of heights and widths."""
    return isinstance(value, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(side, int) and 0 < side <= 2**20 for side in pair)
        for pair in value
    )
