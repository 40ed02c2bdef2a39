"""DSpark draft models as DeepSpec writes their configs: what DFlash's hold in `dflash_config` stands at the top.

Source: SGLang 0.5.23, srt/models/dspark.py (`build_markov_head`, `GatedMarkovHead`, `RNNHead`, `LingDSparkModel`,
`Lfm2DSparkDraftModel`) and srt/speculative/dspark_components/dspark_config.py; vLLM 0.33, models/qwen3_dspark.py.
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch import dflash
from archcalc.arch._dflash import Options
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(dflash.Schema):
    markov_kinds = ("vanilla", "gated", "rnn")
    inert_keys = (*dflash.Schema.inert_keys, "num_anchors", "target_model_type")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        moved = {key: config[key] for key in Options.model_fields if key in config}
        rest = {key: value for key, value in config.items() if key not in moved}
        held = config.get("dflash_config")
        held = held if isinstance(held, dict) else {}
        return super().newest({**rest, "dflash_config": {**held, **moved, "projector_type": "dspark"}})

    def pairs(self, rank: int) -> Iterator[Tensor]:
        yield from super().pairs(rank)
        kind, h = self.options.markov_head_type, self.hidden_size
        if kind == "gated":
            yield from linear("markov_head.gate_proj", rank, h + rank, "head", bias=True)
        elif kind == "rnn":
            yield from linear("markov_head.joint_proj", 3 * rank, 2 * rank + h, "head", bias=True)


class DsparkSpeculator(Schema):
    """DSpark as the speculators library writes it: the layers in a config of their own.
    Source: llama.cpp 0c1e57098, conversion/qwen.py (`DSparkModel`)."""

    core_keys = ("transformer_layer_config",)
    inert_keys = (
        *Schema.inert_keys, "speculators_config", "speculators_model_type", "speculators_version", "sample_from_anchor",
        "draft_vocab_size",
    )  # fmt: skip

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        held = config.get("transformer_layer_config")
        if not isinstance(held, dict):
            return super().newest(config)
        layer = {key: value for key, value in held.items() if key not in ("model_type", "architectures")}
        mine = {
            key: value for key, value in config.items() if key not in ("transformer_layer_config", "aux_hidden_state_layer_ids")
        }
        listed = config.get("aux_hidden_state_layer_ids")
        return super().newest({**layer, **mine, **({"target_layer_ids": listed} if listed else {})})
