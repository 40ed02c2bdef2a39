"""What VITS predicts durations and turns noise into sound with.

Source: transformers 5.24, models/vits/modeling_vits.py (`VitsWaveNet`, `VitsDilatedDepthSeparableConv`,
`VitsStochasticDurationPredictor`, `VitsDurationPredictor`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch._hifigan import conv1d
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


def normed(name: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    """A convolution whose weight is a direction and a length."""
    yield Tensor(f"{name}.bias", (outer,), "other")
    yield Tensor(f"{name}.parametrizations.weight.original0", (outer, 1, 1), "other")
    yield Tensor(f"{name}.parametrizations.weight.original1", (outer, inner, kernel), "other")


def wavenet(config: Any, name: str, layers: int) -> Iterator[Tensor]:
    h = config.hidden_size
    if config.speaker_embedding_size:
        yield from normed(f"{name}.cond_layer", 2 * h * layers, config.speaker_embedding_size, 1)
    for i in range(layers):
        yield from normed(f"{name}.in_layers.{i}", 2 * h, h, config.wavenet_kernel_size)
        yield from normed(f"{name}.res_skip_layers.{i}", 2 * h if i < layers - 1 else h, h, 1)


def separable(config: Any, name: str) -> Iterator[Tensor]:
    h = config.hidden_size
    for i in range(config.depth_separable_num_layers):
        yield from conv1d(f"{name}.convs_dilated.{i}", h, 1, config.duration_predictor_kernel_size)
        yield from conv1d(f"{name}.convs_pointwise.{i}", h, h, 1)
        yield from layer_norm(f"{name}.norms_1.{i}", h)
        yield from layer_norm(f"{name}.norms_2.{i}", h)


def speaker(config: Any, name: str, outer: int) -> Iterable[Tensor]:
    return conv1d(f"{name}.cond", outer, config.speaker_embedding_size, 1) if config.speaker_embedding_size else ()


def durations(config: Any) -> Iterator[Tensor]:
    h, name, half = config.hidden_size, "duration_predictor", config.depth_separable_channels // 2
    if not config.use_stochastic_duration_prediction:
        width, kernel = config.duration_predictor_filter_channels, config.duration_predictor_kernel_size
        for i, inner in ((1, h), (2, width)):
            yield from conv1d(f"{name}.conv_{i}", width, inner, kernel)
            yield from layer_norm(f"{name}.norm_{i}", width)
        yield from conv1d(f"{name}.proj", 1, width, 1)
        yield from speaker(config, name, h)
        return
    yield from speaker(config, name, h)
    for before, inner in (("", h), ("post_", 1)):
        yield from conv1d(f"{name}.{before}conv_pre", h, inner, 1)
        yield from conv1d(f"{name}.{before}conv_proj", h, h, 1)
        yield from separable(config, f"{name}.{before}conv_dds")
        for one in ("translate", "log_scale"):
            yield Tensor(f"{name}.{before}flows.0.{one}", (config.depth_separable_channels, 1), "other")
        for i in range(1, config.duration_predictor_num_flows + 1):
            flow = f"{name}.{before}flows.{i}"
            yield from conv1d(f"{flow}.conv_pre", h, half, 1)
            yield from separable(config, f"{flow}.conv_dds")
            yield from conv1d(f"{flow}.conv_proj", half * (3 * config.duration_predictor_flow_bins - 1), h, 1)
