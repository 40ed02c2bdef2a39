"""BigBird-Pegasus: PEGASUS whose encoder sees blocks; no biases in attention.

Source: transformers 5.23, models/bigbird_pegasus/modeling_bigbird_pegasus.py and configuration_bigbird_pegasus.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.model import Layer, Tensor


class Schema(BartSchema):
    inert_keys = (*BartSchema.inert_keys, "attention_type", "block_size", "num_random_blocks")
    offset = 0
    norm_label = "LayerNorm (pre)"
    alone_tied = False

    vocab_size: Size = 96103
    max_position_embeddings: Size = 4096
    encoder_layers: Layers = 16
    decoder_layers: Layers = 16
    activation_function: str = "gelu_new"
    use_bias: Flag = False

    def bias(self) -> bool:
        return self.use_bias

    def encoder_layer(self) -> Layer:
        layer = super().encoder_layer()
        names = {"q_proj": "self.query", "k_proj": "self.key", "v_proj": "self.value", "out_proj": "output"}

        def renamed(t: Tensor) -> Tensor:
            head, _, rest = t.name.partition(".")
            which, _, last = rest.partition(".")
            return t._replace(name=f"{head}.{names[which]}.{last}") if which in names else t

        return layer._replace(tensors=tuple(map(renamed, layer.tensors)))
