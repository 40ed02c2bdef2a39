"""BioGPT: OPT's layer with biases, learned positions with two rows to spare.

Source: transformers 5.23, models/biogpt/modeling_biogpt.py and configuration_biogpt.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import Block, Mixer, prefixed
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import LEARNED, SINUSOIDAL, Tensor


class Schema(PlainSchema):
    prefix = "model"
    prefix = "biogpt"
    reads_head_dim = False
    inert_keys = ("scale_embedding",)
    norms = ("self_attn_layer_norm", "final_layer_norm")
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    last_norm = "layer_norm"
    gated = False
    ffn_name = ""
    grouped = False

    vocab_size: Size = 42384
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 1024
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, names=("q_proj", "k_proj", "v_proj", "out_proj"), rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act)

    def crossed(self) -> bool:
        """Whether each layer also attends to an encoder's output."""
        return False

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.crossed():
            cross = CrossAttention(self.hidden_size, self.num_attention_heads, self.head_size)
            yield from prefixed("encoder_attn", cross.tensors())
            yield from self.norm("encoder_attn_layer_norm")

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED}

    def decoder_options(self) -> dict[str, Any]:
        # Positions start at 2: the first two rows are never looked up.
        positions = Tensor("embed_positions.weight", (self.max_position_embeddings + 2, self.hidden_size), "embedding")
        return {"head": "output_projection", "extra_embedding": [positions], "crosses": self.crossed()}


class Xglm(Schema):
    """XGLM: BioGPT's layer with sinusoidal positions.
    Source: transformers 5.23, models/xglm/modeling_xglm.py and configuration_xglm.py (defaults, attribute_map)."""

    prefix = "model"

    vocab_size: Size = 256008
    max_position_embeddings: Size = 2048
    hidden_size: Size = named(1024, "d_model", "hidden_size")
    intermediate_size: Size = named(4096, "ffn_dim")
    num_hidden_layers: Layers = named(24, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = named(16, "attention_heads", "num_attention_heads")
    hidden_act: str = named("gelu", "activation_function")
    add_cross_attention: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(floored=True)

    def crossed(self) -> bool:
        return self.add_cross_attention

    def more(self) -> dict[str, Any]:
        return {"position": SINUSOIDAL}

    def decoder_options(self) -> dict[str, Any]:
        return {"crosses": self.crossed()}
