"""Qwen 3.5, 3.6 and 3.8, dense, with their vision tower. MTP keeps its name `mtp.*` beside both.

Source: transformers 5.23, models/qwen3_5/modeling_qwen3_5.py and configuration_qwen3_5.py (defaults).
"""

from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("text_config", "vision_config")

    text_config: Annotated[ConfigSchema, nested("qwen3_5_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_vision", "qwen3_5"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.visual")
        return with_tower(text, groups, stacks, tied=self.tie_word_embeddings)


class CohereCompass(Schema):
    """Cohere Compass, with vision: its text model and Qwen3-VL's tower.
    Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
    """

    core_keys = ()

    text_config: Annotated[ConfigSchema, nested("cohere_compass_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[
        TowerSchema, nested("cohere_compass_vision", "cohere_compass"), Field(default={}, validate_default=True)
    ]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        source = "transformers 5.24, models/cohere_compass/image_processing_cohere_compass.py `size`"
        # The frames of a patch hold the same pixels.
        most = (28**2 * 1280 * 6 // e.pixels // 4 for e in super().encoders())
        return tuple(e._replace(patches=4 * n, tokens=n, source=source) for e, n in zip(super().encoders(), most, strict=True))


class Qwen35Moe(Schema):
    """Qwen 3.5, 3.6 and 3.8 with experts and their vision tower.
    Source: transformers 5.23, models/qwen3_5_moe/modeling_qwen3_5_moe.py and configuration_qwen3_5_moe.py."""

    text_config: Annotated[ConfigSchema, nested("qwen3_5_moe_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_moe_vision", "qwen3_5_moe"), Field(default={}, validate_default=True)]


class Qwen3Vl(Schema):
    """Qwen3-VL, dense.
    Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py."""

    text_config: Annotated[ConfigSchema, nested("qwen3_vl_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_vl_vision", "qwen3_vl"), Field(default={}, validate_default=True)]


class Qwen3VlMoe(Schema):
    """Qwen3-VL with experts.
    Source: transformers 5.23, models/qwen3_vl_moe/modeling_qwen3_vl_moe.py and configuration_qwen3_vl_moe.py."""

    text_config: Annotated[ConfigSchema, nested("qwen3_vl_moe_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_vl_moe_vision", "qwen3_vl_moe"), Field(default={}, validate_default=True)]


class Qwen4Exp(Schema):
    """Qwen4, experimental, with its vision tower.
    Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py and configuration_qwen4_exp.py."""

    text_config: Annotated[ConfigSchema, nested("qwen4_exp_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen4_exp_vision", "qwen4_exp"), Field(default={}, validate_default=True)]


class Colqwen3(Qwen3Vl):
    """ColQwen3: Qwen3-VL whose tokens are projected to short vectors, in place of the vocabulary's head.
    Source: vLLM 0.33, models/colqwen3.py (`ColQwen3Model`) and transformers_utils/configs/colqwen3.py."""

    inert_keys = ("pooling", "initializer_range", "padding_side")
    own_heads = True

    embed_dim: Size | None = Field(None, validation_alias=AliasChoices("embed_dim", "dims", "dim", "projection_dim", "colbert_dim"))
    projected: ClassVar[str] = "embedding_proj_layer"

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        kept = tuple(g for g in a.groups if g.part != "head")
        notes = a.notes
        if self.embed_dim is None:
            notes = (*notes, "no embed_dim is stated: the projection to short vectors is not counted")
        else:
            kept = (*kept, group("head", linear(self.projected, self.embed_dim, a.facts.hidden_size, "head", bias=True)))
        return a._replace(groups=kept, facts=a.facts._replace(tied_embeddings=False), notes=notes)


class OpsColqwen3(Colqwen3):
    """Ops-Colqwen3: ColQwen3 under ColPali's name for the projection.
    Source: vLLM 0.33, transformers_utils/configs/colqwen3.py (`OpsColQwen3Config`)."""

    projected = "custom_text_proj"


class Qwen3VlNemotronEmbed(Colqwen3):
    """Nemotron ColEmbed: Qwen3-VL whose hidden states are the vectors.
    Source: vLLM 0.33, transformers_utils/configs/colqwen3.py (`Qwen3VLNemotronEmbedConfig`)."""


class InternS2Preview(Qwen35Moe):
    """Intern-S2 Preview: Qwen 3.5 with experts. What reads time series is not counted.
    Source: vLLM 0.33, models/interns2_preview.py (`InternS2PreviewForConditionalGeneration`: the weights below `time_series` are not
    loaded)."""

    inert_keys = ("ts_config", "ts_token_id", "ts_start_id", "ts_end_id")

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what reads time series is not counted"))


class Colqwen35(Colqwen3):
    """ColQwen3.5: Qwen 3.5 whose tokens are projected to short vectors.
    Source: vLLM 0.33, models/colqwen3_5.py (`ColQwen3_5Model`)."""

    projected = "custom_text_proj"

    text_config: Annotated[ConfigSchema, nested("qwen3_5_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_vision", "qwen3_5"), Field(default={}, validate_default=True)]
