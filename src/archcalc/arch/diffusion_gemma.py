"""DiffusionGemma: one Gemma 4 that reads the past as any decoder does and fills a canvas of tokens at once, over several passes.

The reference lists it twice, as an encoder that caches and as a decoder that reads the cache and keeps nothing; weights are the same.

Source: transformers 5.24, models/diffusion_gemma/modeling_diffusion_gemma.py (`DiffusionGemmaForBlockDiffusion`,
`_tied_weights_keys`) and configuration_diffusion_gemma.py (defaults); vLLM 0.33, models/diffusion_gemma.py.
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.diffusion_gemma_text import Schema as Text
from archcalc.arch.gemma4_vision import Schema as Vision
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Kind, Shard, Tensor


class Schema(ConfigSchema):
    core_keys = ("text_config",)
    own_heads = True
    inert_keys = ("vision_soft_tokens_per_image",)

    text_config: Annotated[Text, nested("diffusion_gemma_text"), DEFAULT]
    vision_config: Annotated[Vision, nested("gemma4_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True
    canvas_length: Size = 256

    def again(self, text: Architecture, prefix: str) -> Iterator[Tensor]:
        """The decoder: every tensor of the text model once more."""
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        old = join(prefix, "encoder.language_model")
        tensors = [t for g in text.groups if g.part != "head" for t in g.tensors]
        for stack in text.stacks:
            for i, which in enumerate(stack.pattern):
                tensors += prefixed(f"{stack.prefix}.{i}", stack.kinds[which].tensors)
        for t in tensors:
            if t.kind == "param":
                yield t._replace(name=join(prefix, f"decoder{t.name.removeprefix(old)}"), kind=kind, stored=())

    def conditioning(self) -> Iterator[Tensor]:
        """What turns the last pass's logits into an input of the next."""
        text = self.text_config
        yield rms_norm("pre_norm", text.hidden_size)
        yield from GatedFeedForward(text.hidden_size, text.intermediate_size, text.hidden_act).tensors()

    def architecture(self, prefix: str) -> Architecture:
        encoder = join(prefix, "encoder")
        text = self.text_config.architecture(join(encoder, "language_model"))
        groups, stacks = self.vision_config.tower(join(encoder, "vision_tower"))
        hidden, width = text.facts.hidden_size, self.vision_config.output_width
        projection = linear(join(encoder, "embed_vision.embedding_projection"), hidden, width, "other", shard=Shard(1, width))
        groups += [
            group("vision", projection), group("decoder", self.again(text, prefix)),
            group("decoder", prefixed(join(prefix, "decoder.self_conditioning"), self.conditioning())),
        ]  # fmt: skip
        a = with_tower(
            text, groups, stacks, renames=((f"{encoder}.language_model.", f"{prefix}.decoder."),),
            notes=(f"a block of {self.canvas_length} tokens is made in several passes over all of them: FLOPs are those of one pass",),
            tied=self.tie_word_embeddings,
        )  # fmt: skip
        more = (*a.facts.more, ("block diffusion", f"{self.canvas_length} tokens at once"))
        return a._replace(facts=a.facts._replace(more=more))
