"""What both SeamlessM4T share: NLLB's encoder and decoder, a conformer that hears, an encoder-decoder whose units a vocoder speaks.

Which of these a class has is `architectures`' to say: SeamlessM4TModel has all.

Source: transformers 5.24, models/seamless_m4t/modeling_seamless_m4t.py (`SeamlessM4TModel` and its five tasks) and
configuration_seamless_m4t.py (defaults); Seamless Communication 2023, arXiv:2308.11596.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._computes import computed
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import SINUSOIDAL, Architecture, Facts, Group, Kind, Layer, Part, Shard, Stack, Tensor, stack

_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
_LINEAR = ("linear_q", "linear_k", "linear_v", "linear_out")


class SeamlessSchema(ConfigSchema):
    """The parts as the hooks say."""

    prefix = ""

    core_keys = ("hidden_size", "vocab_size", "decoder_layers")
    inert_keys = (
        "scale_embedding", "adaptor_stride", "leaky_relu_slope", "max_source_positions", "num_conv_pos_embedding_groups",
        "num_conv_pos_embeddings", "rotary_embedding_base", "sampling_rate", "t2u_max_new_tokens", "t2u_max_position_embeddings",
        "upsample_rates", "vocoder_offset", "num_hidden_layers", "speech_encoder_chunk_size", "speech_encoder_left_chunk_num",
        "num_attention_heads",
    )  # fmt: skip
    own_heads = True

    vocab_size: Size = 256102
    t2u_vocab_size: Size = 10082
    hidden_size: Size = 1024
    max_position_embeddings: Size = 1024
    activation_function: str = "relu"
    encoder_layers: Layers = 24
    encoder_ffn_dim: Size = 8192
    encoder_attention_heads: Size = 16
    decoder_layers: Layers = 24
    decoder_ffn_dim: Size = 8192
    decoder_attention_heads: Size = 16
    speech_encoder_layers: Layers = 24
    speech_encoder_attention_heads: Size = 16
    speech_encoder_intermediate_size: Size = 4096
    speech_encoder_hidden_act: str = "swish"
    add_adapter: Flag = True
    feature_projection_input_dim: Size = 160
    adaptor_kernel_size: Size = 8
    num_adapter_layers: Layers = 1
    position_embeddings_type: str | None = "relative"
    conv_depthwise_kernel_size: Size = 31
    t2u_encoder_layers: Layers = 6
    t2u_encoder_ffn_dim: Size = 8192
    t2u_encoder_attention_heads: Size = 16
    t2u_decoder_layers: Layers = 6
    t2u_decoder_ffn_dim: Size = 8192
    t2u_decoder_attention_heads: Size = 16
    upsample_initial_channel: Size = 512
    upsample_kernel_sizes: tuple[Size, ...] = (11, 8, 8, 4, 4)
    resblock_kernel_sizes: tuple[Size, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[Size, ...], ...] = ((1, 3, 5),) * 3
    unit_hifi_gan_vocab_size: Size = 10000
    unit_embed_dim: Size = 1280
    lang_embed_dim: Size = 256
    spkr_embed_dim: Size = 256
    vocoder_num_langs: Size = 36
    vocoder_num_spkrs: Size = 200
    variance_predictor_kernel_size: Size = 3
    tie_word_embeddings: Flag = True
    architectures: list[str] | None = None

    def attention(self, heads: int, names: tuple[str, str, str, str] = _NAMES) -> GroupedQueryAttention:
        h = self.hidden_size
        dim = divided(h, heads, "hidden_size", "attention_heads")
        return GroupedQueryAttention(h, heads, heads, dim, bias=True, output_bias=True, rope=False, names=names)

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        """NLLB's layer."""
        h = self.hidden_size
        extra = [*layer_norm("self_attn_layer_norm", h), *layer_norm("ffn_layer_norm", h)]
        if decodes:
            extra += prefixed("cross_attention", CrossAttention(h, heads, h // heads).tensors())
            extra += layer_norm("cross_attention_layer_norm", h)
        layer = make_layer(self.attention(heads), FeedForward(h, width, self.activation_function), ffn_name="ffn", extra=extra)
        return layer if decodes else layer._replace(caches=())

    def coder(self, root: str, part: Part, count: int, heads: int, width: int, *, decodes: bool = False) -> tuple[Group, Stack]:
        layers = stack(f"{root}.layers", part, [self.layer(heads, width, decodes=decodes)] * count)
        return group(part, prefixed(root, layer_norm("layer_norm", self.hidden_size))), layers

    def table(self, name: str, rows: int, kind: Kind = "param", role: Part = "embedding") -> Tensor:
        return Tensor(
            f"{name}.weight", (rows, self.hidden_size), "head" if role == "head" else "embedding", Shard(0, rows), kind=kind
        )

    def positions(self, heads: int) -> Iterator[Tensor]:
        """What the attention of the speech encoder knows of distances."""
        if self.position_embeddings_type == "relative":
            yield from linear("linear_pos", self.hidden_size, self.hidden_size, "attention")
            for name in ("pos_bias_u", "pos_bias_v"):
                yield Tensor(name, (heads, self.hidden_size // heads), "attention")

    def conv_norm(self) -> Iterator[Tensor]:
        return layer_norm("batch_norm", self.hidden_size)

    def conformer(self) -> Layer:
        h, heads, width = self.hidden_size, self.speech_encoder_attention_heads, self.speech_encoder_intermediate_size
        names = ("intermediate_dense", "output_dense")
        first = FeedForward(h, width, self.speech_encoder_hidden_act, names=names)
        light = (
            *layer_norm("layer_norm", h),
            *conv("pointwise_conv1", 2 * h, h, 1, bias=False, role="other"),
            *conv("depthwise_conv", h, 1, self.conv_depthwise_kernel_size, bias=False, role="other"),
            *self.conv_norm(),
            *conv("pointwise_conv2", h, h, 1, bias=False, role="other"),
        )
        norms = ("ffn1_layer_norm", "self_attn_layer_norm", "ffn2_layer_norm", "final_layer_norm")
        extra = (
            *prefixed("ffn2", first.tensors()),
            *prefixed("self_attn", self.positions(heads)),
            *prefixed("conv_module", light),
            *(t for name in norms for t in layer_norm(name, h)),
        )
        return encoder_layer(self.attention(heads, _LINEAR), first, extra, ffn_name="ffn1")

    def adapter(self) -> Layer:
        """A layer that shortens the sound."""
        h, width = self.hidden_size, self.speech_encoder_intermediate_size
        ffn = FeedForward(h, width, "relu", names=("intermediate_dense", "output_dense"))
        extra = [t for name in ("residual", "self_attn", "ffn") for t in layer_norm(f"{name}_layer_norm", h)]
        for name in ("residual_conv", "self_attn_conv"):
            extra += conv(name, 2 * h, h, self.adaptor_kernel_size, role="other")
        return encoder_layer(self.attention(self.speech_encoder_attention_heads, _LINEAR), ffn, extra, ffn_name="ffn")

    def speech(self) -> tuple[Group, list[Stack]]:
        h, bins, root = self.hidden_size, self.feature_projection_input_dim, "speech_encoder"
        outside = (
            *layer_norm("feature_projection.layer_norm", bins),
            *linear("feature_projection.projection", h, bins, "embedding", bias=True),
            *layer_norm("encoder.layer_norm", h),
            *linear("intermediate_ffn.intermediate_dense", self.speech_encoder_intermediate_size, h, "mlp", bias=True),
            *linear("intermediate_ffn.output_dense", h, self.speech_encoder_intermediate_size, "mlp", bias=True),
            *layer_norm("inner_layer_norm", h),
        )
        stacks = [stack(f"{root}.encoder.layers", "audio", [self.conformer()] * self.speech_encoder_layers)]
        if self.add_adapter:
            stacks.append(stack(f"{root}.adapter.layers", "audio", [self.adapter()] * self.num_adapter_layers))
        return group("audio", prefixed(root, outside)), stacks

    def predictor(self, name: str, inner: int, width: int, kernel: int) -> Iterator[Tensor]:
        """How long a unit sounds."""
        yield from conv(f"{name}.conv1", width, inner, kernel, role="other")
        yield from layer_norm(f"{name}.ln1", width)
        yield from conv(f"{name}.conv2", width, width, kernel, role="other")
        yield from layer_norm(f"{name}.ln2", width)
        yield from linear(f"{name}.proj", 1, width, "other", bias=True)

    def unit_decoder(self, root: str) -> tuple[list[Tensor], Stack]:
        """The decoder of units: what is in no layer, and its layers."""
        outside, layers = self.coder(
            root, "other", self.t2u_decoder_layers, self.t2u_decoder_attention_heads, self.t2u_decoder_ffn_dim, decodes=True
        )
        held = tuple(kind._replace(caches=()) for kind in layers.kinds)
        return [*outside.tensors], layers._replace(kinds=held)

    def units(self) -> tuple[list[Group], list[Stack]]:
        """From text to units, which the vocoder speaks."""
        root, rows = "t2u_model.model", self.t2u_vocab_size
        encoder, layers = self.coder(
            f"{root}.encoder", "other", self.t2u_encoder_layers, self.t2u_encoder_attention_heads, self.t2u_encoder_ffn_dim
        )
        outside, decoding = self.unit_decoder(f"{root}.decoder")
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        tables = (self.table(f"{root}.decoder.embed_tokens", rows), self.table("t2u_model.lm_head", rows, kind))
        groups = [encoder, group("other", (*tables, *outside)), group("other", prefixed("vocoder", self.vocoder()))]
        return groups, [layers, decoding]

    def vocoder(self) -> Iterator[Tensor]:
        """HiFi-GAN over embeddings of units, speaker and language."""
        units = self.unit_embed_dim
        yield from self.predictor("dur_predictor", units, units, self.variance_predictor_kernel_size)
        yield Tensor("unit_embedding.weight", (self.unit_hifi_gan_vocab_size, units), "embedding")
        yield Tensor("speaker_embedding.weight", (self.vocoder_num_spkrs, self.spkr_embed_dim), "embedding")
        yield Tensor("language_embedding.weight", (self.vocoder_num_langs, self.lang_embed_dim), "embedding")
        width = self.upsample_initial_channel
        yield from conv("hifi_gan.conv_pre", width, units + self.lang_embed_dim + self.spkr_embed_dim, 7, role="other")
        block = 0
        for i, size in enumerate(self.upsample_kernel_sizes):
            inner, width = width, self.upsample_initial_channel // 2 ** (i + 1)
            yield Tensor(f"hifi_gan.upsampler.{i}.weight", (inner, width, size), "other")
            yield Tensor(f"hifi_gan.upsampler.{i}.bias", (width,), "other")
            for kernel, dilations in zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=False):
                for name in ("convs1", "convs2"):
                    for j in range(len(dilations)):
                        yield from conv(f"hifi_gan.resblocks.{block}.{name}.{j}", width, width, kernel, role="other")
                block += 1
        yield from conv("hifi_gan.conv_post", 1, width, 7, role="other")

    def has(self) -> tuple[bool, bool, bool]:
        """Whether the class reads text, hears speech, and speaks."""
        task = next((name.partition("For")[2] for name in self.architectures or () if "For" in name), "")
        return not task.startswith("Speech"), not task.startswith("Text"), not task.endswith("ToText")

    def architecture(self, prefix: str) -> Architecture:
        h, v, heads = self.hidden_size, self.vocab_size, self.decoder_attention_heads
        reads, hears, speaks = self.has()
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        groups: list[Group] = [group("embedding", (self.table("shared", v), self.table("text_decoder.embed_tokens", v, kind)))]
        stacks: list[Stack] = []
        outside, layers = self.coder("text_decoder", "decoder", self.decoder_layers, heads, self.decoder_ffn_dim, decodes=True)
        groups += (outside, group("head", (self.table("lm_head", v, kind, "head"),)))
        stacks.append(layers)
        if reads:
            outside, layers = self.coder(
                "text_encoder", "other", self.encoder_layers, self.encoder_attention_heads, self.encoder_ffn_dim
            )
            groups += (group("embedding", (self.table("text_encoder.embed_tokens", v, kind),)), outside)
            stacks.append(layers)
        if hears:
            outside, heard = self.speech()
            groups.append(outside)
            stacks += heard
        if speaks:
            spoken, more = self.units()
            groups += spoken
            stacks += more
        told: Iterable[tuple[bool, str]] = ((reads, "reads text"), (hears, "hears speech"), (speaks, "speaks"))
        facts = Facts(
            h, v, self.max_position_embeddings, "MHA + cross-attention", heads, heads, h // heads, "LayerNorm (pre)",
            activation_name(self.activation_function, gated=False), SINUSOIDAL, self.decoder_ffn_dim,
            tied_embeddings=self.tie_word_embeddings, more=(("what it does", ", ".join(said for is_so, said in told if is_so)),),
        )  # fmt: skip
        notes = ("caches are those of the text decoder: the decoder of units keeps its own while it speaks",) if speaks else ()
        made = Architecture(self.name, tuple(groups), tuple(stacks), facts, crosses=True, notes=notes)
        return computed(made, self.computes())
