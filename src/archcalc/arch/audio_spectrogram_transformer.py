"""AST: DeiT over patches of a spectrogram that overlap.

Source: transformers 5.24, models/audio_spectrogram_transformer/modeling_audio_spectrogram_transformer.py (`ASTModel`,
`ASTForAudioClassification`) and configuration_audio_spectrogram_transformer.py (defaults); Gong et al. 2021, arXiv:2104.01778.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._schema import Size
from archcalc.arch._vit import ViTSchema, classifier
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv
from archcalc.model import Encoder, Tensor


class Schema(ViTSchema):
    root = "audio_spectrogram_transformer"
    part = "audio"

    patch_size: Size = 16
    frequency_stride: Size = 10
    time_stride: Size = 10
    max_length: Size = 1024
    num_mel_bins: Size = 128

    def tokens(self, named: str) -> Iterator[Tensor]:
        for token in ("cls_token", "distillation_token"):
            yield Tensor(f"embeddings.{token}", (1, 1, self.hidden_size), "embedding")

    def rows(self) -> int:
        pitches = (self.num_mel_bins - self.patch_size) // self.frequency_stride + 1
        return pitches * ((self.max_length - self.patch_size) // self.time_stride + 1) + 2

    def patches(self) -> Iterator[Tensor]:
        return patch_conv("embeddings.patch_embeddings.projection", self.hidden_size, 1, self.patch_size, self.patch_size)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForAudioClassification"):
            return (*layer_norm("classifier.layernorm", self.hidden_size), *classifier(self, self.hidden_size, "classifier.dense"))
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
