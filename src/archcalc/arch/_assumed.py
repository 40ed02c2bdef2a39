"""The dtype of weights whose config states none."""

from archcalc.model import Architecture, Bare

STATES_NONE = "the config states no dtype"


def assumed(architecture: Architecture) -> tuple[str, str]:
    """The dtype that such weights are taken to be stored in, in safetensors' spelling, and a note that says so and why."""
    if architecture.quantization is not None:
        return "BF16", saying("BF16", " for what is not quantized")
    if architecture.facts.position.kind == "rotary" and _scales(architecture):
        # The index of MiniMaxAI/MiniMax-M1 has two bytes a parameter, as have those of Qwen/Qwen-7B and Tele-AI/TeleChat-7B, which state
        # no dtype either; what came before Llama (gpt2, gpt-j, t5) is published in F32.
        return "BF16", saying("BF16", ", as decoders with RMSNorm and rotary positions are published")
    return "F32", saying("F32", ", torch's default")


def saying(dtype: str, why: str) -> str:
    """The note of an assumption; `why` is the end of its sentence."""
    return f"{STATES_NONE}: {dtype} assumed{why}"


def _scales(architecture: Architecture) -> bool:
    """Whether the decoder's layers normalize by the root mean square."""
    layers = (layer for s in architecture.stacks if s.part == "decoder" for layer in s.kinds)
    return any(
        any(t.norm is not None and t.norm.startswith("rms") for t in layer.tensors)
        or any(isinstance(step, Bare) and step.kind == "bare-rms" for step in layer.steps)
        for layer in layers
    )
