"""SAM's encoder. Source: transformers 5.23, models/sam/modeling_sam.py (`SamVisionModel`) and configuration_sam.py (defaults)."""

from archcalc.arch import got_ocr2_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Size


class Schema(got_ocr2_vision.Schema):
    inert_keys = ("num_pos_feats", "scale")

    mlp_dim: Size | None = None
    mlp_ratio: float = 4.0

    def ffn_width(self) -> int:
        return self.mlp_dim or int(self.hidden_size * self.mlp_ratio)

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_encoder")
