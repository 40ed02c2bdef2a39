"""Run by `archcalc.reference.scaffold` in a process of its own: the name of a class on standard input, how it is made on standard output.

The class is built from its config class's defaults on torch's meta device, then again with each key changed, which tells the keys that
shape its tensors from those that do not. No code of a repository is run. This file imports nothing of archcalc.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

_BIASES = ("e_score_correction_bias", "expert_bias", "correction_bias", "score_correction_bias")
# What a base class states, and what shapes nothing.
_SKIPPED = ("model_type", "architectures", "transformers_version", "dtype", "torch_dtype", "id2label", "label2id")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def _flat(model: Any) -> list[list[Any]]:
    """[name, shape, kind] of every parameter and correction bias."""
    seen: dict[int, str] = {}
    rows = []
    for name, tensor in model.named_parameters(remove_duplicate=False):
        rows.append([name, list(tensor.shape), "tied" if id(tensor) in seen else "param"])
        seen.setdefault(id(tensor), name)
    rows += [[name, list(t.shape), "router_bias"] for name, t in model.named_buffers() if name.endswith(_BIASES)]
    return rows


def _built(torch: Any, cls: Any, config: Any) -> list[list[Any]]:
    with torch.device("meta"):
        model = cls._from_config(config, dtype=torch.bfloat16, attn_implementation="eager")
    model.tie_weights()
    return _flat(model)


def _changed(value: Any) -> Any:
    """Another value of the same kind, or None where there is nothing to try."""
    if isinstance(value, bool):
        return not value
    return value * 2 if isinstance(value, int) and value > 0 else None


def main() -> int:
    """Say what standard input asks."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", CUDA_VISIBLE_DEVICES="")
    name = json.load(sys.stdin)["class"]
    shown, sys.stdout = sys.stdout, sys.stderr
    import torch  # type: ignore[import-not-found,unused-ignore]
    import transformers  # type: ignore[import-not-found,unused-ignore]

    cls = getattr(transformers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)):
        json.dump({"unknown": True, "version": transformers.__version__}, shown)
        return 0
    reader: Any = getattr(cls, "config_class")  # noqa: B009
    whole = reader()
    parts = {key for key, value in vars(whole).items() if isinstance(value, transformers.PretrainedConfig)}
    base = set(vars(transformers.PretrainedConfig()))
    stated = whole.to_dict()
    own = {
        k: v for k, v in stated.items() if k not in base - {"tie_word_embeddings"} and k not in _SKIPPED and not k.startswith("_")
    }
    tensors = _built(torch, cls, whole)
    short = {key: 2 for key in _LAYERS if isinstance(own.get(key), int) and own[key] > 2}
    try:
        before = _built(torch, cls, reader(**short))
    except Exception:
        short, before = {}, tensors
    shaping, refused = [], []
    for key, value in own.items():
        other = _changed(value)
        if key in parts or other is None or key in short:
            continue
        try:
            if _built(torch, cls, reader(**{**short, key: other})) != before:
                shaping.append(key)
        except Exception:
            refused.append(key)
    file = inspect.getsourcefile(cls) or ""
    json.dump(
        {
            "version": transformers.__version__, "class": cls.__name__, "model_type": reader.model_type,
            "source": file[file.rfind("models") :].replace(os.sep, "/"), "config": own, "parts": sorted(parts),
            "tensors": tensors, "shaping": sorted([*shaping, *short]), "refused": refused,
        },
        shown,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
