"""GIT: BERT's layers as a decoder over the image's patches and the text.

Source: transformers 5.23, models/git/modeling_git.py (`GitForCausalLM`) and configuration_git.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._computes import computed
from archcalc.arch._decoder import DecoderSchema, group, join, with_tower
from archcalc.arch._qformer import bert_layer
from archcalc.arch._schema import Layers, Size, Tokens, nested
from archcalc.arch.clip_vision_model import GitVisionModel as Vision
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Architecture, Kind, Shard, Tensor, stack


class Schema(DecoderSchema):
    prefix = ""
    reads_head_dim = False
    core_keys = ()
    inert_keys = ("position_embedding_type", "classifier_dropout")

    vision_config: Annotated[Vision, nested("git_vision_model", fixed=True), DEFAULT]
    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Layers = 6
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: Tokens = 1024
    num_image_with_embedding: Layers | None = None

    def architecture(self, prefix: str) -> Architecture:
        h, rows, width, below = self.hidden_size, self.vocab_size, self.vision_config.hidden_size, join(prefix, "git")
        layer = bert_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act, inner="self")
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        embeddings = (
            table("word_embeddings", rows, h)._replace(shard=Shard(0, rows)),
            table("position_embeddings", self.max_position_embeddings, h),
            *layer_norm("LayerNorm", h),
        )
        head = [*linear(join(prefix, "output"), rows, h, "head", bias=True, shard=Shard(0, rows))]
        head[0] = head[0]._replace(kind=kind)
        projection = [
            *linear("visual_projection.visual_projection.0", h, width, "other", bias=True),
            *layer_norm("visual_projection.visual_projection.1", h),
            # Of each frame of a video.
            *(Tensor(f"img_temporal_embedding.{i}", (1, 1, width), "embedding") for i in range(self.num_image_with_embedding or 0)),
        ]
        groups, stacks = self.vision_config.tower(f"{below}.image_encoder")
        layers = stack(f"{below}.encoder.layer", "decoder", [layer] * self.num_hidden_layers)
        facts = self.facts(gated=False, norm="LayerNorm (post)", position=LEARNED)
        text = computed(
            Architecture(
                "git", (group("embedding", prefixed(f"{below}.embeddings", embeddings)), group("head", head)), (layers,), facts
            ),
            self.computes(),
        )
        return with_tower(text, [*groups, group("vision", prefixed(below, projection))], stacks)
