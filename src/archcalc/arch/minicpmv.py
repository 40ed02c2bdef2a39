"""MiniCPM-V 2 to 4.5: SigLIP, a resampler, and a text model that the version decides. Its keys stand beside the others.

Source: openbmb/MiniCPM-V-2_6 and openbmb/MiniCPM-V-4, modeling_minicpmv.py, resampler.py and configuration_minicpm.py; vLLM 0.30,
models/minicpmv.py (`get_version_by_config`; `MiniCPMV2_0`: timm's SigLIP without its head, positions of the queries stored).
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from archcalc.arch import _timm_vit
from archcalc.arch._composite import DEFAULT, Pieces, width_of
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import film, square, stated, tiled
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided, nested
from archcalc.arch._vlm import flat, under
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import resampler
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Encoder, Tensor

TEXT = {"2.0": "minicpm", "2.5": "llama", "2.6": "qwen2", "4.0": "llama", "4.5": "qwen3"}
OWN = (
    "version", "vision_config", "query_num", "drop_vision_last_layer", "slice_config", "slice_mode", "batch_vision_input", "image_size",
    "patch_size", "use_image_id", "vision_batch_size", "model_type", "auto_map", "quantization_config", "vision_encoder",
    "mm_use_im_start_end", "max_slice_nums", "scale_resolution",
)  # fmt: skip


class Timm(_timm_vit.Schema):
    """What `vit_so400m_patch14_siglip_384` is in timm, which version 2.0 names and does not describe."""

    patch_size: Size = 14
    width: Size = 1152
    layers: Layers = 27
    mlp_ratio: float = 3.7362

    def pooling(self) -> Iterator[Tensor]:
        yield from ()


class Schema(ConfigSchema):
    prefix = ""

    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "query_num")
    inert_keys: ClassVar[tuple[str, ...]] = OWN

    version: float | str | None = None
    text_config: Annotated[ConfigSchema, nested("llama")]
    vision_config: Annotated[Siglip, nested("siglip_vision_model", fixed=True), DEFAULT]
    query_num: Size = 64
    drop_vision_last_layer: Flag = True

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        version = cls.version_of(config)
        if version not in TEXT:
            raise UnsupportedError(f"version is {version}: of MiniCPM-V, {', '.join(TEXT)} are known")
        return flat(config, OWN, model_type=TEXT[version])

    @staticmethod
    def version_of(config: Mapping[str, Any]) -> str:
        """The version, which the first configs do not state."""
        if config.get("version") is not None:
            return str(config["version"])
        return "2.0" if (config.get("hidden_size"), config.get("query_num")) == (2304, 64) else "2.5"

    def seen(self) -> Pieces:
        """The tower, without its last layer where the config drops that."""
        if self.old:
            whole = Timm()
            return whole.model_copy(update={"layers": whole.layers - self.drop_vision_last_layer}).tower("vpm")
        vision = self.vision_config
        less = {"vision_use_head": False, "num_hidden_layers": vision.num_hidden_layers - self.drop_vision_last_layer}
        return vision.model_copy(update=less).tower("vpm")

    @property
    def old(self) -> bool:
        """Whether this is version 2.0, whose config does not describe its tower."""
        return (
            self.version_of({"version": self.version, "hidden_size": width_of(self.text_config), "query_num": self.query_num})
            == "2.0"
        )

    def architecture(self, prefix: str) -> Architecture:
        text = under(self.text_config.standalone(), "llm")
        groups, stacks = self.seen()
        source = Timm().width if self.old else self.vision_config.hidden_size
        hidden = text.facts.hidden_size
        heads = divided(hidden, 128, "hidden_size", "128")
        tensors = (
            *resampler(self.query_num, hidden, source, heads, positions=self.old),
            *layer_norm("ln_post", hidden),
            Tensor("proj", (hidden, hidden), "other"),
        )
        groups.append(group("vision", prefixed("resampler", tensors)))
        return with_tower(text, groups, stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """Nine tiles and the whole image; since 2.6 a video of 16 frames too."""
        images = square(self.vision_config, 448)
        frames = film(images, self.query_num, "vLLM 0.33, models/minicpmv.py `_MAX_FRAMES_PER_VIDEO`", 16)
        tiles = stated(self, "max_slice_num", 9) + 1
        image = tiled(images, tiles, self.query_num, "vLLM 0.33, models/minicpmv.py `get_image_max_slice_num`, and the overview")
        return (*image, *(frames if not self.old and float(self.version or 2.5) >= 2.6 else ()))
