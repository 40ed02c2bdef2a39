"""CSM: Llama over text and the first of several streams of codes, a small Llama that gives the others for each frame, and Mimi.

Source: transformers 5.24, models/csm/modeling_csm.py (`CsmForConditionalGeneration`) and configuration_csm.py (defaults).
"""

from typing import Annotated

from archcalc.arch import llama
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, Tokens, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Group, Kind, Stack, Tensor


class CsmDepthDecoderModel(llama.Schema):
    """The small Llama of CSM, which gives all streams but the first, one behind the other.
    Source: transformers 5.24, models/csm/modeling_csm.py (`CsmDepthDecoderForCausalLM`) and configuration_csm.py (defaults)."""

    core_keys = ()

    num_codebooks: Layers = 32
    backbone_hidden_size: Size = 2048
    vocab_size: Size = 2051
    hidden_size: Size = 1024
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 4
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = 2
    max_position_embeddings: Tokens = 33

    def pieces(self, kind: Kind) -> tuple[list[Group], list[Stack]]:
        """Below the whole model; `kind` is that of its table."""
        root, h, n, v = "depth_decoder", self.hidden_size, self.num_codebooks, self.vocab_size
        a = self.architecture(f"{root}.model")
        words = table(f"{root}.model.embed_tokens", n * v, self.backbone_hidden_size)._replace(kind=kind)
        rest = [t for g in a.groups if g.part == "decoder" for t in g.tensors]
        others = (
            words, *rest, *linear(f"{root}.model.inputs_embeds_projector", h, self.backbone_hidden_size, "other"),
            Tensor(f"{root}.codebooks_head.weight", (n - 1, h, v), "head"),
        )  # fmt: skip
        stacks = [s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in a.stacks]
        return [group("other", others)], stacks


class Schema(llama.Schema):
    prefix = "backbone_model"

    core_keys = ()
    inert_keys = (*llama.Schema.inert_keys, "tie_word_embeddings", "codebook_pad_token_id")

    num_codebooks: Layers = 32
    vocab_size: Size = 2051
    text_vocab_size: Size = 128256
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 16
    num_key_value_heads: Size | None = 8
    tie_codebooks_embeddings: Flag = True
    depth_decoder_config: Annotated[CsmDepthDecoderModel, nested("csm_depth_decoder_model", fixed=True), DEFAULT]
    codec_config: Annotated[TowerSchema, nested("mimi"), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        h, codes = self.hidden_size, self.num_codebooks * self.vocab_size
        text = self.model_copy(update={"tie_word_embeddings": False})
        a = super(Schema, text).architecture(prefix)
        depth = self.depth_decoder_config
        if self.tie_codebooks_embeddings and (depth.num_codebooks * depth.vocab_size, depth.backbone_hidden_size) != (codes, h):
            raise ConfigError(
                "tie_codebooks_embeddings is true, and depth_decoder_config has another table than the backbone",
                "make num_codebooks, vocab_size and backbone_hidden_size there those of the whole model",
                "depth_decoder_config.backbone_hidden_size",
            )
        tables = (table("embed_text_tokens", self.text_vocab_size, h), table(f"{prefix}.embed_tokens.embed_audio_tokens", codes, h))
        small, stacks = depth.pieces("tied" if self.tie_codebooks_embeddings else "param")
        sound = self.codec_config.tower("codec_model")
        kept = tuple(g for g in a.groups if g.part != "embedding")
        return a._replace(
            groups=(group("embedding", tables), *kept, *small, *sound[0]), stacks=(*a.stacks, *stacks, *sound[1]),
            facts=a.facts._replace(tied_embeddings=False, more=(*a.facts.more, ("streams of codes", str(self.num_codebooks)))),
            notes=(*a.notes, "caches are those of the backbone: the small decoder's are as short as a frame"),
        )  # fmt: skip
