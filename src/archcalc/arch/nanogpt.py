"""nanoGPT: GPT-2 under its own keys, with biases as an option and a vocabulary padded to 50,304.

Source: karpathy/nanoGPT, model.py `GPTConfig` (keys and defaults), `GPT` (tied head). Linear weights are stored [out, in], not
transposed as in GPT-2's Conv1D.
"""

from archcalc.arch import gpt2
from archcalc.arch._schema import Flag, Size
from archcalc.model import Architecture


class Schema(gpt2.Schema):
    inert_keys = ("meta_vocab_size", "dataset", "init_from", "out_dir")

    vocab_size: Size = 50304
    block_size: Size = 1024
    bias: Flag = True
    transposed = False
    activation_function: str = "gelu"

    def architecture(self, prefix: str = "transformer") -> Architecture:
        return self.model_copy(update={"n_positions": self.block_size}).build("nanogpt", prefix)
