"""Gradients that are alive at once inside one layer while its backward pass runs."""

from __future__ import annotations

from archcalc.analysis.activations import How, Saved
from archcalc.analysis.activations.saved import Block, linears_of
from archcalc.model import Architecture, Layer


def passing_gradients(layer: Layer, how: How) -> tuple[Saved, ...]:
    """The gradients beside what the layer keeps, at their fullest: behind the widest matrix that ends a block.

    PyTorch 2.9, autograd engine: a node's inputs are freed when it has run, its saved tensors then too. Through a gate (a product of two)
    the gradients of the product and of both factors are alive, the product itself is not any more: two widths beside what is kept. An
    adapter's input has a gradient in the adapter's type, which is cast and added to that through the matrix (PEFT 0.21,
    tuners/lora/layer.py `Linear.forward`: `result + lora_B(lora_A(x))`): all three are alive with everything that is kept.
    """
    widest = 0
    block: Block = "mlp"
    for x in linears_of(layer):
        if x.row or x.tensor.role in ("mlp", "shared_experts"):
            size = _bytes(how, f"decoder.{x.name}" in how.targets) * x.read
            if size > widest:
                widest, block = size, "attention" if x.tensor.role == "attention" else "mlp"
    for t in layer.tensors:
        if t.experts and len(t.shape) == 3:
            name = t.name.rpartition(".")[2]
            adapted = bool(how.targets & {f"experts.{name}", f"parameters.{name}"})
            inner = t.shard.axis if t.shard else 2
            size = _bytes(how, adapted) * t.shape[inner] * t.experts.active
            if size > widest:
                widest, block = size, "experts"
    residual = Saved("norm", "gradient of the residual stream", how.residual, 2 * _hidden(layer))
    return (Saved(block, "gradients inside the layer", 1, widest, split=True), residual)


def adapter_outputs(layer: Layer, how: How) -> tuple[Saved, ...]:
    """What the widest adapter makes in the forward pass beside the output of its matrix: its own, that times its scale, and their sum (PEFT
    0.21, tuners/lora/layer.py `Linear.forward`)."""
    widest = max((x for x in linears_of(layer) if f"decoder.{x.name}" in how.targets), key=lambda x: x.write, default=None)
    if widest is None:
        return ()
    sizes = (how.adapter_kept, how.adapter_kept, how.size)
    return tuple(Saved("adapters", "output", size, widest.write, split=not widest.row) for size in sizes)


def read_by_matrices(a: Architecture, layer: Layer, how: How) -> int:
    """Bytes a token of all that the matrices of a layer read, each tensor once."""
    hidden, widths, seen = a.facts.hidden_size, 0, set[str]()
    for x in linears_of(layer):
        one = x.read == hidden and not x.row
        block = "" if layer.parallel else "attention" if x.tensor.role == "attention" else "mlp"
        if one and block in seen:
            continue
        seen.update({block} if one else ())
        widths += x.read
    return how.size * widths


def _bytes(how: How, adapted: bool) -> int:
    own = how.size if how.autocast == "kept" else how.adapter_size
    return own + 2 * how.size if adapted else 2 * how.size


def _hidden(layer: Layer) -> int:
    return max((t.shape[0] for t in layer.tensors if t.role == "norm" and len(t.shape) == 1), default=0)
