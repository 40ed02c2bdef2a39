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


def fit(cli: Run, command: str, *words: str) -> dict:  # type: ignore[type-arg]
    return json.loads(cli("fit", "--offline", "--format", "json", *words, "--", *command.split()).stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("model", "on_gpus", "in_ram"),
    [
        # ollama/ollama#12752 (0.12.6): required.ROCm0.Weights, 36 layers of 1,751,096,064 bytes and a head of 1,158,278,400, and
        # required.InputWeights. #16416 (0.30): 61,223 MiB on the GPU, 1,104 beside it.
        ("gpt-oss:120b", 36 * 1_751_096_064 + 1_158_278_400, 1_158_266_880),
        # #11711 (0.11.0): memory.weights.total 11.7 GiB, of which the head is 1.1; the embedding has its shape.
        ("gpt-oss:20b", 11.7 * 2**30, 1_158_266_880),
    ],
)
def test_ollama_s_own_file_of_what_is_published_in_fp4(model: str, on_gpus: float, in_ram: int, cli: Run) -> None:
    """Ollama's converter writes all but the experts as published, not in Q8_0 (convert/convert_gptoss.go `Tensors`)."""
    got = fit(cli, f"ollama run {model}", "--gpu", "mi300x")
    assert got["per_gpu"]["weights_bytes"] == pytest.approx(on_gpus, rel=1e-6 if isinstance(on_gpus, int) else 0.005)
    assert got["ram"]["used_bytes"] == in_ram
    assert any("all else in bf16" in note for note in got["notes"])


@pytest.mark.parametrize(
    ("release", "gpu", "model", "context"),
    [
        # ollama/ollama, server/routes.go `scheduleRunner` at each tag: from 0.11.0 of gpt-oss, from 0.11.4 where all GPUs have 20 GiB or
        # more, from 0.12.7 of Qwen3-VL too, and from 0.15.5 of none (pull request 13946, defaults by the memory for all models).
        ("0.11.0", "rtx-4060-ti-16gb", "gpt-oss:20b", 8192),
        ("0.11.4", "rtx-4060-ti-16gb", "gpt-oss:20b", 4096),
        ("0.11.4", "2xrtx-4060-ti-16gb", "gpt-oss:20b", 8192),
        ("0.11.4", "4090", "gpt-oss:20b", 8192),
        ("0.12.6", "4090", "qwen3-vl:8b", 4096),
        ("0.12.7", "4090", "qwen3-vl:8b", 8192),
        ("0.12.7", "4090", "qwen3:8b", 4096),
        ("0.15.4", "4090", "gpt-oss:20b", 8192),
        ("0.15.5", "4090", "gpt-oss:20b", 4096),
    ],
)
def test_releases_that_raise_a_context(release: str, gpu: str, model: str, context: int, cli: Run) -> None:
    got = fit(cli, f"OLLAMA_CONTEXT_LENGTH=4096 ollama run {model}", "--gpu", gpu, "--engine-version", release)
    assert got["context_tokens"] == context
    assert any("raises the context" in note for note in got["notes"]) == (context == 8192)


@pytest.mark.parametrize(
    ("name", "tags"),
    # What ollama.com/library lists of a name, and a bundled model stands for.
    [("mistral", {"7b"}), ("llama3.3", {"70b"}), ("llama3.2", {"1b", "3b"}), ("devstral", set()), ("mixtral", {"8x7b", "8x22b"})],
)
def test_tags_that_are_named_are_the_library_s(name: str, tags: set[str]) -> None:
    with pytest.raises(UsageError) as error:
        of_library(name)
    named = (error.value.hint or "").removeprefix("name a tag: ").split(", ") if "name a tag:" in (error.value.hint or "") else []
    assert set(named) == {f"{name}:{tag}" for tag in tags}
    for tag in named:
        of_library(tag)
