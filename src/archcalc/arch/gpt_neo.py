"""GPT-Neo: layers that see all and layers that see a window in turn, learned positions, biases at the attention's output only.

Source: transformers 5.23, models/gpt_neo/modeling_gpt_neo.py and configuration_gpt_neo.py (defaults, `attention_layers`).
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._classic import ClassicSchema
from archcalc.arch._computes import Computes
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, per_layer
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.errors import UnsupportedError
from archcalc.model import LEARNED, Architecture, Tensor, recached


class Schema(ClassicSchema):
    prefix = "transformer"
    norms = ("ln_1", "ln_2")
    mixer_name = "attn.attention"

    vocab_size: Size = 50257
    max_position_embeddings: Size = 2048
    hidden_size: Size = 2048
    num_hidden_layers: Layers = named(24, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = named(16, "num_heads", "num_attention_heads")
    hidden_act: str = named("gelu_new", "activation_function")
    window_size: Size = 256
    attention_types: list[tuple[list[str], int]] | None = None
    attention_layers: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(products="fp32")

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def windows(self) -> Sequence[int | None]:
        runs = [(["global", "local"], 12)] if self.attention_types is None else self.attention_types
        # `attention_types` written out, where a config was saved with it, goes before it.
        kinds = self.attention_layers or [kind for names, times in runs for _ in range(times) for kind in names]
        key = "attention_layers" if self.attention_layers else "attention_types"
        for kind in per_layer(kinds, self.num_hidden_layers, key, "num_layers"):
            if kind not in ("global", "local"):
                raise UnsupportedError(f'{key} holds "{kind}": only "global" and "local" are known here')
        return [self.window_size if kind == "local" else None for kind in kinds]

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(output_bias=True, window=window, names=("q_proj", "k_proj", "v_proj", "out_proj"), rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("c_fc", "c_proj"))

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED}

    def decoder_options(self) -> dict[str, Any]:
        positions = Tensor("wpe.weight", (self.max_position_embeddings, self.hidden_size), "embedding")
        return {"embed": "wte", "layers_name": "h", "extra_embedding": [positions]}

    def architecture(self, prefix: str) -> Architecture:
        # Its config has neither `layer_types` nor `sliding_window`, which is where caches look for windows (cache_utils.py,
        # `get_layer_types_and_kwargs`).
        return recached(super().architecture(prefix), masked=True)
