"""xLSTM 7B: a matrix memory and a gated FFN in each layer, no attention.

Source: transformers 5.23, models/xlstm/modeling_xlstm.py and configuration_xlstm.py (defaults, widths rounded up).
"""

from collections.abc import Iterator
from typing import Literal

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.recurrent import MatrixMemory
from archcalc.errors import UnsupportedError
from archcalc.model import NO_POSITIONS, Architecture, Facts, Tensor


def rounded(width: float, multiple: int) -> int:
    """Up to the next multiple."""
    return int(((width + multiple - 1) // multiple) * multiple)


class Schema(ConfigSchema):
    prefix = "backbone"
    core_keys = ("hidden_size", "vocab_size", "num_heads")
    inert_keys = (
        "add_out_norm", "autocast_kernel_dtype", "chunk_size", "chunkwise_kernel", "gate_soft_cap", "inference_state_dtype",
        "max_inference_chunksize", "mode", "norm_reduction_force_float32", "output_logit_soft_cap", "return_last_states",
        "sequence_kernel", "step_kernel", "tie_word_embeddings", "mlstm_round_up_to_multiple_of", "force_bos_token_insert",
    )  # fmt: skip

    vocab_size: Size = 50304
    hidden_size: Size = 4096
    embedding_dim: Size | None = None
    num_hidden_layers: Layers = 32
    num_blocks: Layers | None = None
    num_heads: Size = 8
    use_bias: Flag = False
    qk_dim_factor: float = 0.5
    v_dim_factor: float = 1.0
    ffn_proj_factor: float = 2.667
    ffn_round_up_to_multiple_of: Size = 64
    weight_mode: Literal["single", "fused"] = "single"

    def norm(self, name: str) -> Iterator[Tensor]:
        return layer_norm(name, self.hidden_size) if self.use_bias else iter((rms_norm(name, self.hidden_size),))

    def architecture(self, prefix: str) -> Architecture:
        h, heads, bias, fused = self.hidden_size, self.num_heads, self.use_bias, self.weight_mode == "fused"
        if self.embedding_dim not in (None, h):
            raise UnsupportedError(f"embedding_dim is {self.embedding_dim} and hidden_size {h}: only equal ones are modelled")
        qk, v = int(h * self.qk_dim_factor), int(h * self.v_dim_factor)
        dims = rounded(h * self.qk_dim_factor, 64) // heads, rounded(h * self.v_dim_factor, 64) // heads
        memory = MatrixMemory(h, heads, qk, v, dims, bias, fused)
        width = rounded(h * self.ffn_proj_factor, self.ffn_round_up_to_multiple_of)
        names = ("proj_up_gate", "proj_up", "proj_down")
        ffn = GatedFeedForward(h, width, "silu", bias, "proj_up_gate_z" if fused else "", names)
        norms = (*self.norm("norm_mlstm"), *self.norm("norm_ffn"))
        layer = make_layer(memory, ffn, norms, mixer_name="mlstm_layer", ffn_name="ffn")
        facts = Facts(
            hidden_size=h, vocab_size=self.vocab_size, context_tokens=None, attention="mLSTM", heads=heads, kv_heads=heads,
            head_dim=dims[0], norm="RMSNorm (pre)", activation="SwiGLU", position=NO_POSITIONS, intermediate_size=width,
            more=(("memory", f"{heads} matrices of {dims[0]} x {dims[1]}"),),
        )  # fmt: skip
        layers = [layer] * (self.num_blocks or self.num_hidden_layers)
        norm = [rms_norm("out_norm", h)]
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            embed="embeddings",
            layers_name="blocks",
            final_norm=norm,
        )
