"""What a training step keeps for its backward pass, tensor by tensor.

Implementation `transformers`: autograd keeps what the derivative of each operation needs, once for each storage. A matrix keeps
its input (if its weight is trained), a product both factors, a softmax its output; casts and sums keep nothing. Sources:
transformers 5.23, models/*/modeling_*.py; PyTorch 2.13, tools/autograd/derivatives.yaml (`native_layer_norm`, `_softmax`, `silu`,
`gelu`, `tanh`, `_scaled_dot_product_flash_attention`), aten/src/ATen/autocast_mode.cpp.

Implementation `megatron`: the published formulas of Korthikanti et al. 2022, arXiv:2205.05198, sections 4 and 5, read off the
inventory, so that they hold for any number of key/value heads and for gated FFNs too.
"""

from archcalc.analysis.activations.checkpointing import Kept as Kept
from archcalc.analysis.activations.checkpointing import Split as Split
from archcalc.analysis.activations.checkpointing import checkpointed as checkpointed
from archcalc.analysis.activations.checkpointing import layer_kept as layer_kept
from archcalc.analysis.activations.checkpointing import rank_bytes as rank_bytes
from archcalc.analysis.activations.checkpointing import together as together
from archcalc.analysis.activations.layers import layer_saved as layer_saved
from archcalc.analysis.activations.layers import unreached as unreached
from archcalc.analysis.activations.layers import without_rule as without_rule
from archcalc.analysis.activations.matrices import dora_working as dora_working
from archcalc.analysis.activations.matrices import norm_bytes as norm_bytes
from archcalc.analysis.activations.megatron import megatron_outside as megatron_outside
from archcalc.analysis.activations.megatron import megatron_saved as megatron_saved
from archcalc.analysis.activations.saved import Attention as Attention
from archcalc.analysis.activations.saved import Block as Block
from archcalc.analysis.activations.saved import How as How
from archcalc.analysis.activations.saved import Implementation as Implementation
from archcalc.analysis.activations.saved import Loss as Loss
from archcalc.analysis.activations.saved import Recompute as Recompute
from archcalc.analysis.activations.saved import Saved as Saved
from archcalc.analysis.activations.step import forward_peak as forward_peak
from archcalc.analysis.activations.step import outside as outside
from archcalc.analysis.activations.step import step_saved as step_saved
