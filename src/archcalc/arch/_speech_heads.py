"""What stands behind Wav2Vec 2.0 and its relatives: labels of a clip or of each frame, a speaker's vector, and what they were trained by.

Source: transformers 5.24, models/wav2vec2/modeling_wav2vec2.py (`Wav2Vec2ForSequenceClassification`, `Wav2Vec2ForAudioFrameClassification`,
`Wav2Vec2ForXVector`, `Wav2Vec2ForPreTraining`); Snyder et al. 2018 (x-vectors); Jegou et al. 2011 and Jang et al. 2016 (quantizer).
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Few, Flag, Size, TowerSchema, divided, per_layer
from archcalc.blocks._tensor import linear
from archcalc.errors import UnsupportedError
from archcalc.model import Tensor


class SpeechHeads(TowerSchema):
    """The heads, for an encoder of `hidden_size`."""

    vocab_size: Size | None = 32
    hidden_size: Size
    num_hidden_layers: Few
    add_adapter: Flag = False
    output_hidden_size: int | None = None
    classifier_proj_size: Size = 256
    use_weighted_layer_sum: Flag = False
    tdnn_dim: Annotated[tuple[Size, ...], Field(min_length=1)] = (512, 512, 512, 512, 1500)
    tdnn_kernel: tuple[Size, ...] = (5, 3, 3, 1, 1)
    xvector_output_dim: Size = 512
    codevector_dim: Size = 256
    num_codevector_groups: Size = 2
    num_codevectors_per_group: Size = 320
    proj_codevector_dim: Size = 256

    def quantizer(self, width: int) -> Iterator[Tensor]:
        groups, each = self.num_codevector_groups, self.num_codevectors_per_group
        part = divided(self.codevector_dim, groups, "codevector_dim", "num_codevector_groups")
        yield Tensor("quantizer.codevectors", (1, groups * each, part), "head")
        yield from linear("quantizer.weight_proj", groups * each, width, "head", bias=True)
        yield from linear("project_q", self.proj_codevector_dim, self.codevector_dim, "head", bias=True)

    def pretraining(self) -> Iterable[Tensor] | None:
        """What the model was trained by, or None where there is no such class."""
        return None

    def speaker(self) -> Iterator[Tensor]:
        """A network over time, and the vector of a speaker."""
        dims, out = self.tdnn_dim, self.xvector_output_dim
        kernels = per_layer(self.tdnn_kernel[: len(dims)], len(dims), "tdnn_kernel", "tdnn_dim")
        yield from linear("projector", dims[0], self.hidden_size, "head", bias=True)
        for i, kernel in enumerate(kernels):
            yield from linear(f"tdnn.{i}.kernel", dims[i], dims[max(i - 1, 0)] * kernel, "head", bias=True)
        yield from linear("feature_extractor", out, 2 * dims[-1], "head", bias=True)
        yield from linear("classifier", out, out, "head", bias=True)
        yield Tensor("objective.weight", (out, labels_of(self.model_extra or {})), "head")

    def told(self, clip: bool) -> Iterator[Tensor]:
        if self.add_adapter:
            raise UnsupportedError("add_adapter is true: the reference's classes for labels have no adapter")
        h = self.classifier_proj_size if clip else self.hidden_size
        if clip:
            yield from linear("projector", h, self.hidden_size, "head", bias=True)
        yield from linear("classifier", labels_of(self.model_extra or {}), h, "head", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForCTC") and self.vocab_size:
            out = (self.output_hidden_size if self.add_adapter else 0) or self.hidden_size
            return linear("lm_head", self.vocab_size, out, "head", bias=True)
        if name.endswith("ForPreTraining"):
            return self.pretraining()
        if name.endswith("ForXVector"):
            head = self.speaker()
        elif name.endswith(("ForSequenceClassification", "ForAudioFrameClassification")):
            head = self.told(name.endswith("ForSequenceClassification"))
        else:
            return super().head_of(name)
        summed = [Tensor("layer_weights", (self.num_hidden_layers + 1,), "head")] if self.use_weighted_layer_sum else []
        return (*head, *summed)
