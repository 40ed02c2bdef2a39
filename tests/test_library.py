"""Names of Ollama's library: the bundled release that a tag names, or a refusal by name."""

from __future__ import annotations

import json

import pytest

from archcalc import zoo
from archcalc.analysis.library import of_library
from archcalc.errors import UsageError
from conftest import Run

# Tags as ollama.com/library lists them; what each is, by the model's page there and the repository it was made of.
NAMED = """
qwen3:30b-a3b-instruct-2507-q8_0           qwen3-30b-a3b-instruct-2507
qwen3:30b-a3b-thinking-2507-q4_K_M         qwen3-30b-a3b-thinking-2507
qwen3:4b-thinking-2507                     qwen3-4b-thinking-2507
qwen3:4b-instruct-2507-fp16                qwen3-4b-instruct-2507
qwen3:235b-a22b-thinking-2507-q4_K_M       qwen3-235b-a22b-thinking-2507
qwen3:4b-q4_K_M                            qwen3-4b
qwen3:4b                                   qwen3-4b-thinking-2507
qwen3:4b-instruct                          qwen3-4b-instruct-2507
qwen3:4b-thinking                          qwen3-4b-thinking-2507
qwen3:30b                                  qwen3-30b-a3b-thinking-2507
qwen3:30b-a3b                              qwen3-30b-a3b-thinking-2507
qwen3:30b-a3b-q4_K_M                       qwen3-30b-a3b
qwen3:14b-q4_K_M                           qwen3-14b
qwen3:8b                                   qwen3-8b
qwen3-vl:8b-thinking                       qwen3-vl-8b-thinking
qwen3-vl:8b-instruct-q8_0                  qwen3-vl-8b
qwen3-coder:30b                            qwen3-coder-30b-a3b
qwen3-next:80b-a3b-thinking-q4_K_M         qwen3-next-80b-a3b-thinking
qwen2.5:7b                                 qwen2.5-7b-instruct
qwen2.5:7b-instruct-q4_K_M                 qwen2.5-7b-instruct
qwen2.5:7b-base                            qwen2.5-7b
qwen2.5vl:7b                               qwen2.5-vl-7b
llama3.1:70b-instruct-q4_K_M               llama-3.1-70b-instruct
llama3.1:70b-text-q4_0                     llama-3.1-70b
llama3.2-vision:11b                        llama-3.2-11b-vision
llama4:scout                               llama-4-scout
mistral:7b-instruct-v0.2-q4_0              mistral-7b-v0.2
mistral:7b-instruct-v0.3-q4_K_M            mistral-7b-v0.3
mistral:7b                                 mistral-7b-v0.3
mistral-small:24b-instruct-2501-q4_K_M     mistral-small-24b
mistral-small3.2:24b-instruct-2506-q4_K_M  mistral-small-3.2-24b
mistral-nemo:12b-instruct-2407-q4_K_M      mistral-nemo-12b
mixtral:8x7b-instruct-v0.1-q4_0            mixtral-8x7b-instruct
codestral:22b-v0.1-q4_K_M                  codestral-22b
devstral:24b-small-2505-q4_K_M             devstral-small-2505
devstral:24b-small-2507-q4_K_M             devstral-small-2507
deepseek-r1:671b-0528-q4_K_M               deepseek-r1-0528
deepseek-r1:671b-q4_K_M                    deepseek-r1
deepseek-r1:8b-llama-distill-q4_K_M        deepseek-r1-distill-llama-8b
deepseek-r1:14b-qwen-distill-q8_0          deepseek-r1-distill-qwen-14b
deepseek-v3.1:671b-terminus-q4_K_M         deepseek-v3.1-terminus
deepseek-coder-v2:16b-lite-instruct-q4_K_M deepseek-coder-v2-lite
phi3:14b-medium-128k-instruct-q4_K_M       phi-3-medium
phi4-reasoning:14b-plus                    phi-4-reasoning-plus
granite4:micro-h                           granite-4.0-h-micro
granite4:350m                              granite-4.0-350m
gemma3:27b-it-qat                          gemma-3-27b
gemma3n:e4b-it-q4_K_M                      gemma-3n-e4b
gemma4:26b-a4b-it-q4_K_M                   gemma-4-26b-a4b-it
deepseek-r1:8b-0528-qwen3-q4_K_M           deepseek-r1-0528-qwen3-8b
phi3:3.8b-mini-4k-instruct                 phi-3-mini-4k
granite4:tiny-h                            granite-4.0-h-tiny
olmo2:13b-1124-instruct-q4_K_M             olmo-2-13b
yi:34b-chat-v1.5-q4_0                      yi-1.5-34b
lfm2.5-thinking:1.2b                       lfm2.5-1.2b-thinking
qwen3-30b-a3b-instruct-2507                qwen3-30b-a3b-instruct-2507
"""


@pytest.mark.parametrize("row", NAMED.strip().splitlines(), ids=lambda row: row.split()[0])
def test_the_release_that_a_tag_names(row: str) -> None:
    tag, name = row.split()
    assert of_library(tag)[0] == name
    assert zoo.find(name) is not None


# Releases that are not bundled: another shape, another context, or not known to be the same.
@pytest.mark.parametrize(
    "tag",
    [
        "deepseek-r1:8b",
        "deepseek-r1:7b",
        "command-r:35b-08-2024-q4_K_M",
        "mistral-large:123b-instruct-2411-q4_K_M",
        "mistral:7b-instruct-q4_K_M",
        "codellama:13b-python",
        "qwen3:8b-thinking-2507",
        "qwen3:4b-instruct-2601",
        "ministral-3:8b-instruct-2512-q4_K_M",
        "mistral-small:22b",
        "granite4:tiny-h-2601",
        "phi3:3.8b-mini-32k-instruct",
        "qwen:7b-chat-v1.5-q4_0",
    ],
)
def test_a_release_that_is_not_bundled_is_refused_by_name(tag: str) -> None:
    with pytest.raises(UsageError) as raised:
        of_library(tag)
    assert raised.value.message.startswith(tag)


# Of DeepSeek-R1 the library has eight sizes under that name alone.
@pytest.mark.parametrize("entry", [name for name in zoo.names() if name != "deepseek-r1"])
def test_a_bundled_name_is_itself(entry: str) -> None:
    assert of_library(entry)[0] == entry


def test_a_dated_tag_has_its_own_context(cli: Run) -> None:
    """Qwen3-30B-A3B-Instruct-2507 was trained on 262,144 tokens, Qwen3-30B-A3B on 40,960 (their config.json)."""
    lengths = {}
    for tag in ("qwen3:30b-a3b-instruct-2507-q8_0", "qwen3:30b-a3b-q8_0"):
        done = cli("fit", "--offline", "--gpu", "2xh100", "--format", "json", "--", "ollama", "run", tag)
        lengths[tag] = json.loads(done.stdout)["context_tokens"]
    assert list(lengths.values()) == [262144, 40960]


def test_what_a_bare_tag_is_taken_for_is_said() -> None:
    name, notes = of_library("qwen3:4b")
    assert name == "qwen3-4b-thinking-2507" and "qwen3:4b-q4_K_M names qwen3-4b" in notes[0]
    assert of_library("qwen3:8b-q4_K_M")[1] == ("qwen3:8b-q4_K_M is taken for qwen3-8b",)
