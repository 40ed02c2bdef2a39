"""Run by `archcalc.reference` in a process of its own: a config on standard input, what transformers makes of it on standard output.

The class is built on torch's meta device: names and shapes, no weights. No code of a repository is run: `auto_map` is taken out, and
`trust_remote_code` never given. Caches are those that the model itself fills in two forward passes on that device.

This file imports nothing of archcalc.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

# What a routed expert's module is called in transformers 5 (integrations/moe.py): one module holds all experts of a layer.
_EXPERTS = re.compile(r"Experts$")
# One expert of a list: 7, or expert_7 as in Switch Transformers.
_ONE = re.compile(r"(expert_)?\d+$")
_COUNTS = ("num_experts", "moe_num_experts", "num_local_experts", "n_routed_experts")
_TOPS = ("top_k", "num_experts_per_tok", "topk", "moe_topk", "moe_top_k")
_BIASES = ("e_score_correction_bias", "expert_bias", "correction_bias", "score_correction_bias")
_PASSES = (24, 40)
_FAMILIES = ("CausalLM", "ImageTextToText", "Seq2SeqLM", "MaskedLM", "TextToWaveform", "SpeechSeq2Seq", "ImageClassification")


def _parsed(transformers: Any, config: dict[str, Any]) -> Any:
    plain = {key: value for key, value in config.items() if key not in ("auto_map", "quantization_config", "compression_config")}
    model_type = plain.pop("model_type")
    parsed = transformers.CONFIG_MAPPING[model_type].from_dict(plain)
    parsed.__dict__.pop("quantization_config", None)
    return parsed


def _class_of(transformers: Any, parsed: Any, config: dict[str, Any]) -> Any:
    for name in config.get("architectures") or ():
        cls = getattr(transformers, str(name), None)
        if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel):
            return cls
    for family in _FAMILIES:
        auto = getattr(transformers, f"AutoModelFor{family}", None)
        if auto is not None and type(parsed) in auto._model_mapping:
            return _one(auto._model_mapping[type(parsed)])
    return _one(transformers.AutoModel._model_mapping[type(parsed)])


def _one(found: Any) -> Any:
    return found[0] if isinstance(found, (tuple, list)) else found


def _tensors(model: Any) -> list[list[Any]]:
    """[name, shape, kind, experts, chosen]: the routed experts that the tensor holds, or 0, and how many of them a token visits."""
    chosen = _chosen(model)
    seen: dict[int, str] = {}
    rows = []
    for name, tensor in model.named_parameters(remove_duplicate=False):
        kind = "tied" if id(tensor) in seen else "param"
        seen.setdefault(id(tensor), name)
        rows.append([name, list(tensor.shape), kind, chosen.held(name, tensor), chosen.of(name)])
    for name, tensor in model.named_buffers():
        if name.endswith(_BIASES):
            rows.append([name, list(tensor.shape), "router_bias", 0, 0])
    return rows


class _Chosen:
    """What the modules say of routed experts, by module name."""

    def __init__(self) -> None:
        self.fused: dict[str, int] = {}
        self.tops: dict[str, int] = {}

    def held(self, name: str, tensor: Any) -> int:
        """The experts that a tensor holds together, on an axis of their own or one after the other."""
        while name:
            name, _, below = name.rpartition(".")
            if _ONE.match(below):
                return 0
            if name in self.fused:
                number = self.fused[name] or (int(tensor.shape[0]) if tensor.dim() else 0)
                return number if number and tensor.numel() % number == 0 else 0
        return 0

    def of(self, name: str) -> int:
        """How many experts a token visits, as the nearest module above the tensor says; 0 where none does."""
        while name:
            name = name.rpartition(".")[0]
            if name in self.tops:
                return self.tops[name]
        return 0


def _chosen(model: Any) -> _Chosen:
    out = _Chosen()
    for name, module in model.named_modules():
        if _EXPERTS.search(type(module).__name__):
            out.fused[name] = next((n for n in (getattr(module, key, None) for key in _COUNTS) if isinstance(n, int)), 0)
        for key in _TOPS:
            value = getattr(module, key, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                out.tops.setdefault(name, value)
                # A router's own number is true of the experts beside it.
                out.tops.setdefault(name.rpartition(".")[0], value)
    return out


def _caches(torch: Any, transformers: Any, model: Any) -> tuple[list[dict[str, Any]] | None, str]:
    """What each layer keeps, in layer order, and why where that is not known."""
    if getattr(model.config, "is_encoder_decoder", False):
        return None, "an encoder-decoder's cache is not measured"
    text = model.config.get_text_config()
    if getattr(text, "kv_lora_rank", None):
        return None, "latent attention: transformers caches it written out, engines do not"
    for module in model.modules():
        if _EXPERTS.search(type(module).__name__):
            module.forward = lambda hidden, *rest, **more: torch.empty_like(hidden)
    model.train(False)
    found: list[Any] = []
    for tokens in _PASSES:
        with torch.device("meta"), torch.no_grad():
            ids = torch.zeros((1, tokens), dtype=torch.long)
            out = model(input_ids=ids, use_cache=True)
        found.append(getattr(out, "past_key_values", None))
    if found[0] is None:
        return [], ""
    layers = []
    for index, (first, second) in enumerate(zip(found[0].layers, found[1].layers, strict=True)):
        layer = _layer(first, second)
        if layer is None:
            return None, f"layer {index} keeps a {type(first).__name__}, which is not understood"
        layers.append(layer)
    return layers, ""


def _layer(first: Any, second: Any) -> dict[str, Any] | None:
    kept: dict[str, Any] = {"states": []}
    for name in ("conv_states", "recurrent_states"):
        states, others = (getattr(one, name, None) or {} for one in (first, second))
        for key, state in states.items():
            if state is None and others[key] is None:
                continue
            if state is None or others[key] is None or state.shape != others[key].shape:
                return None
            kept["states"].append([name, list(state.shape[1:]), str(state.dtype).rpartition(".")[2]])
    keys: Any = getattr(first, "keys", None)
    values: Any = getattr(first, "values", None)
    if not hasattr(keys, "shape") or not hasattr(values, "shape") or not keys.dim():
        return kept if kept["states"] else None
    if keys.dim() != 4 or values.dim() != 4 or keys.shape[1] != values.shape[1]:
        return None
    window = getattr(first, "sliding_window", None)
    grown = [int(one.keys.shape[2]) for one in (first, second)]
    bounded = [min(n, window) if window else n for n in _PASSES]
    # A window keeps one token less: the newest one is put in before the oldest leaves.
    short = [min(n, window - 1) if window else n for n in _PASSES]
    if grown not in (bounded, short):
        return None
    kept.update(heads=int(keys.shape[1]), key_dim=int(keys.shape[3]), value_dim=int(values.shape[3]), window=window)
    return kept


def main() -> int:
    """Build what standard input says."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", CUDA_VISIBLE_DEVICES="")
    config = json.load(sys.stdin)
    shown, sys.stdout = sys.stdout, sys.stderr
    import torch  # type: ignore[import-not-found,unused-ignore]
    import transformers  # type: ignore[import-not-found,unused-ignore]

    if config.get("model_type") not in transformers.CONFIG_MAPPING:
        json.dump({"unknown": True, "version": transformers.__version__}, shown)
        return 0
    parsed = _parsed(transformers, config)
    cls = _class_of(transformers, parsed, config)
    with torch.device("meta"):
        model = cls._from_config(parsed, dtype=torch.bfloat16, attn_implementation="eager")
    model.tie_weights()
    said: dict[str, Any] = {"version": transformers.__version__, "class": cls.__name__, "tensors": _tensors(model)}
    try:
        said["caches"], said["why"] = _caches(torch, transformers, model)
    except Exception as error:
        # Whatever a model's code raises on a device without data.
        said["caches"], said["why"] = None, f"its forward pass does not run without data ({type(error).__name__})"
    json.dump(said, shown)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
