"""What is said of the types that transformers has and no adapter reads, as scripts/build_kinds.py finds it in transformers' source."""

from __future__ import annotations

from pathlib import Path

import pytest

import archcalc.arch
from archcalc.arch import _kinds, adapter_name, parse
from archcalc.errors import UnsupportedError

TABLE = Path(archcalc.arch.__file__).with_name("kinds.tsv")
ROWS = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]


def test_no_type_of_the_table_is_read() -> None:
    assert [model_type for model_type, *_ in ROWS if adapter_name({"model_type": model_type}) is not None] == []


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [
        # The tasks of transformers 5.24, models/auto/modeling_auto.py, and the parts of its configurations.
        ("d_fine", "an object detector"),
        ("depth_pro", "a model that estimates depth"),
        ("sam3_tracker", "cuts out of an image what is pointed at"),
        ("omdet-turbo", "finds in an image what a text names"),
        ("patchtsmixer", "a time series model"),
        ("univnet", "a vocoder"),
        ("xcodec2", "a model of sound"),
        ("blt_patcher", "a part of blt"),
        ("clvp_decoder", "a part of clvp, a model that turns text into sound"),
        ("flava", "a model of images and text"),
        ("superglue", "matches key points of two images"),
    ],
)
def test_a_refusal_says_what_the_type_is(model_type: str, kind: str) -> None:
    config = {"model_type": model_type, "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100, "num_attention_heads": 4}
    with pytest.raises(UnsupportedError) as refused:
        parse({**config, "rope_theta": 1e4, "rms_norm_eps": 1e-6})
    assert model_type in refused.value.message
    assert kind in refused.value.message


def test_other_types_are_known_by_their_keys_alone() -> None:
    assert _kinds.of("no_such_type") == ""
    assert _kinds.of(None) == ""
    assert "object detector" in _kinds.of("D-FINE")
