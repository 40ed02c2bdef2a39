"""SpeechT5: one encoder and one decoder for text and speech, each behind what its kind of input needs.

Which of these a class has is `architectures`' to say: SpeechT5Model has none of them.

Source: transformers 5.24, models/speecht5/modeling_speecht5.py (`SpeechT5Model` and its three tasks) and configuration_speecht5.py
(defaults); Ao et al. 2021, arXiv:2110.07205.
"""

from archcalc.arch._decoder import join
from archcalc.arch._speecht5 import SpeechT5Schema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import SINUSOIDAL, Architecture, Facts, Group, Kind, Part, Tensor, stack


class Schema(SpeechT5Schema):
    prefix = ""

    def architecture(self, prefix: str) -> Architecture:
        h, n, named = self.hidden_size, self.decoder_attention_heads, (self.architectures or [""])[0]
        source, _, target = named.partition("For")[2].partition("To")
        root = "speecht5" if target else ""
        encoder, own = join(root, "encoder"), join(root, "decoder")
        heard: Part = "audio" if source == "Speech" else "other"
        before = self.hears() if source == "Speech" else self.reads() if source == "Text" else iter(())
        others = (
            *layer_norm("layer_norm", h),
            Tensor(
                "embed_positions.pe_k.weight",
                (2 * self.encoder_max_relative_position, h // self.encoder_attention_heads),
                "attention",
            ),
        )
        groups = [
            Group(heard, (*prefixed(f"{encoder}.prenet", before), *prefixed(f"{encoder}.wrapped_encoder", others))),
        ]
        rows = 0
        if target == "Text":
            rows = self.vocab_size
            kind: Kind = "tied" if self.tie_word_embeddings else "param"
            groups.append(Group("embedding", (table(f"{own}.prenet.embed_tokens", rows, h),)))
            groups.append(Group("head", (Tensor("text_decoder_postnet.lm_head.weight", (rows, h), "head", kind=kind),)))
        elif target == "Speech":
            groups.append(Group("embedding", tuple(prefixed(f"{own}.prenet", self.continues()))))
            groups.append(Group("head", tuple(prefixed("speech_decoder_postnet", self.speaks()))))
        stacks = (
            stack(f"{own}.wrapped_decoder.layers", "decoder", [self.decoder_layer()] * self.decoder_layers),
            stack(f"{encoder}.wrapped_encoder.layers", heard, [self.encoder_layer()] * self.encoder_layers),
        )
        facts = Facts(
            h, rows, None, "MHA + cross-attention", n, n, h // n, "LayerNorm (post)", activation_name(self.hidden_act, gated=False),
            SINUSOIDAL, self.decoder_ffn_dim, more=(("encoder", f"{self.encoder_layers} layers"),),
            tied_embeddings=target == "Text" and self.tie_word_embeddings,
        )  # fmt: skip
        return Architecture(self.name, tuple(groups), stacks, facts, crosses=True)
