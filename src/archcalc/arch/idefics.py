"""IDEFICS: Llama's layers, before which gated layers read the image by cross-attention, as Flamingo's do.

Source: transformers 5.23, models/idefics/modeling_idefics.py (`IdeficsForVisionText2Text`) and configuration_idefics.py (defaults);
Alayrac et al. 2022, arXiv:2204.14198 (Flamingo).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder, group, join, with_tower
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, nested
from archcalc.arch.idefics_perciever import Schema as Resampler
from archcalc.arch.idefics_vision import Schema as Vision
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Kind, Tensor


class Schema(DecoderSchema):
    reads_head_dim = False
    core_keys = ()
    inert_keys = (
        "num_key_value_heads", "head_dim", "alpha_initializer", "alphas_initializer_range", "dropout", "freeze_text_layers",
        "freeze_text_module_exceptions", "freeze_lm_head", "freeze_vision_layers", "freeze_vision_module_exceptions",
    )  # fmt: skip
    grouped = False

    vocab_size: Size = 32000
    additional_vocab_size: Count = 0
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    cross_layer_interval: Size = 1
    qk_layer_norms: Flag = False
    alpha_type: str = "float"
    use_resampler: Flag = False
    vision_config: Annotated[Vision, nested("idefics_vision", fixed=True), DEFAULT]
    perceiver_config: Annotated[Resampler, nested("idefics_perciever", fixed=True), DEFAULT]

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-own")

    def reading(self, head_dim: int) -> Iterator[Tensor]:
        """A layer that reads the image."""
        h, heads, shape = self.hidden_size, self.num_attention_heads, {"float": (1,), "vector": (1, 1, self.hidden_size)}
        if self.alpha_type not in shape:
            raise UnsupportedError(f'alpha_type is "{self.alpha_type}": only "float" and "vector" are known here')
        yield from (Tensor(name, shape[self.alpha_type], "other") for name in ("alpha_cross_attn", "alpha_dense"))
        names = ("q_proj", "k_proj", "v_proj", "o_proj")
        cross = CrossAttention(h, heads, head_dim, self.vision_config.hidden_size, bias=False, output_bias=False, names=names)
        yield from prefixed("cross_attn", cross.tensors())
        if self.qk_layer_norms:
            yield from (rms_norm(f"cross_attn.{name}_layer_norm", head_dim) for name in "qk")
        yield from prefixed("mlp", GatedFeedForward(h, self.intermediate_size, self.hidden_act).tensors())
        yield from (rms_norm(name, h) for name in ("input_layernorm", "post_attention_layernorm"))

    def architecture(self, prefix: str) -> Architecture:
        h, heads, dim, more = self.hidden_size, self.num_attention_heads, self.head_size, self.additional_vocab_size
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        layer = make_layer(GroupedQueryAttention(h, heads, heads, dim), ffn, norms)
        crossing = self.num_hidden_layers // self.cross_layer_interval
        facts = self.facts(more=(("cross-attention", f"to the image, {crossing} layers"),))
        extra = [Tensor("embed_tokens.additional_embedding.weight", (more, h), "embedding")] if more else []
        text = decoder([layer] * self.num_hidden_layers, facts, computes=self.computes(), crosses=bool(crossing),
            prefix=prefix, final_norm=[rms_norm("norm", h)],
                       extra_embedding=extra)  # fmt: skip
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        if more:
            groups.append(group("head", [Tensor("lm_head.additional_fc.weight", (more, h), "head", kind=kind)]))
        read = list(self.reading(dim))
        names = [join(prefix, f"gated_cross_attn_layers.{i}") for i in range(crossing)]
        groups.append(group("decoder", (t for name in names for t in prefixed(name, read))))
        if self.use_resampler:
            pieces = self.perceiver_config.resampler(join(prefix, "perceiver_resampler"), self.vision_config.hidden_size)
            groups, stacks = [*groups, *pieces[0]], [*stacks, *pieces[1]]
        return with_tower(text, groups, stacks)
