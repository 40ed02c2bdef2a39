"""Regular expressions from configs, against Python's `re` where that ends, and in bounded work where it does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.errors import ConfigError
from archcalc.quant._names import Names
from archcalc.quant._regex import Budget, Pattern

# As published configs write them, with look-arounds and counts as the tools' documentation shows.
PATTERNS = [
    r".*mlp\.(gate|up|gate_up|down)_proj.*", r".*\.mlp\.shared_expert\.gate_proj$", r".*self_attn.*", r".*mtp\..*proj$",
    r".*layers\.(0|1|2)\..*", r"model\.layers\.[0-9]{1,2}\.self_attn\.[qkv]_proj$", r"^(?!.*experts).*proj$",
    r".*(?<!shared_)experts.*",
    r"(?i).*LM_HEAD$", r".*\bgate\b.*", r"[^.]+\.layers\.\d+\.mlp", r"lm_head",
    r".*?up_proj", r"(a|b)*c?", r"", r"model\.(?:layers|h)\.1\d\.",
]  # fmt: skip
NAMES = [
    "model.layers.3.mlp.gate_proj", "model.layers.12.self_attn.q_proj", "lm_head", "model.layers.0.mlp.experts.7.up_proj", "ababc",
    "model.layers.1.mlp.shared_experts.down_proj", "mtp.layers.0.eh_proj",
    "model.layers.7.mlp.gate", "model.layers.2.mlp.shared_expert.gate_proj",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", NAMES)
def test_as_re_matches(pattern: str, name: str) -> None:
    assert Pattern(pattern, Budget()).match(name) == (re.match(pattern, name) is not None)


@given(
    st.from_regex(r"([ab.]|\[ab\]|\(a\|b\)|[ab][*+?]|\(ab\)[*+?]|a\{1,2\}|\^|\$|\(\?!a\)){1,6}", fullmatch=True),
    st.text("abc", max_size=8),
)
def test_as_re_matches_any(pattern: str, name: str) -> None:
    assert Pattern(pattern, Budget()).match(name) == (re.match(pattern, name) is not None)


@pytest.mark.parametrize(
    "pattern",
    ["re:([a-z._0-9]+)+!$", "re:(.*)*!$", "re:(a|a|.)*(.*.*)*!", "re:" + ".*" * 300 + "!", "re:(x+x+)+y|" + "(.|.)" * 90 + "!",
     "re:(?=(.*a.*)+!)(.+)+!", r"re:(?:(?:[a-z]|\.)+\d?)+!"],
)  # fmt: skip
def test_ends_in_bounded_work(pattern: str) -> None:
    """Each of these takes a backtracking matcher longer than anyone waits."""
    names = Names([pattern])
    try:
        assert not names.match("model.layers.", "self_attn.q_proj", range(60))
    except ConfigError as error:
        assert "too long" in error.message


@pytest.mark.parametrize(
    "pattern", [r"re:(a)\1", "re:" + "(" * 500 + ")" * 500, "re:" + "a" * 5000, "re:((a{999}){999}){999}", "re:[z-a]", "re:("]
)
def test_refused_by_key(pattern: str) -> None:
    with pytest.raises(ConfigError, match="ignore holds"):
        Names([pattern], "ignore").match("model.layers.", "self_attn.q_proj", range(4))
