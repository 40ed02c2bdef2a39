"""The bundled models: what the index promises is there, and each spec is what its config says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import archcalc
from archcalc import arch, zoo
from archcalc.analysis import sizes
from archcalc.loader import load
from archcalc.model import (
    Architecture,
    Attend,
    Bare,
    Buffer,
    Cache,
    Clamped,
    Experts,
    Facts,
    Group,
    Layer,
    Moe,
    Position,
    Rotation,
    Routing,
    Scores,
    Shard,
    State,
    Tensor,
    stack,
)
from archcalc.zoo import _spec

FOLDER = Path(zoo.__file__).parent


def test_the_models_that_people_compare_are_bundled() -> None:
    wanted = """
        gpt2 llama-2-7b llama-3-8b llama-3-70b llama-3.1-8b llama-3.1-70b llama-3.1-405b llama-3.2-1b llama-4-scout
        llama-4-maverick mistral-7b-v0.1 mistral-7b-v0.2 mistral-7b-v0.3 mistral-nemo-12b mistral-small-3.1-24b
        mistral-large-3-675b mixtral-8x7b mixtral-8x22b gemma-2b gemma-7b gemma-2-9b gemma-2-27b gemma-3-1b gemma-3-27b
        gemma-3n-e2b gemma-3n-e4b qwen1.5-moe-a2.7b qwen2.5-72b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b
        qwen3-32b qwen3-30b-a3b qwen3-235b-a22b qwen3-next-80b-a3b qwen3.5-397b-a17b deepseek-v2 deepseek-v2-lite
        deepseek-v3 deepseek-r1 deepseek-v3.2 deepseek-r1-distill-qwen-7b kimi-k2 kimi-k2.5 glm-4.5 glm-4.5-air glm-5
        gpt-oss-20b gpt-oss-120b phi-3-mini phi-3.5-moe phi-4 olmo-2-7b olmo-2-32b smollm3-3b minimax-text-01
        minimax-m2.5 grok-2 granite-4.0-h-small granite-4.0-micro lfm2-1.2b lfm2-8b-a1b kimi-k2-thinking
        minimax-m2.1 qwen3-vl-8b qwen2.5-vl-7b
    """.split()
    assert set(wanted) <= set(zoo.names())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Llama 3 8B", "llama-3-8b"),
        ("llama_3_8b", "llama-3-8b"),
        ("Llama 3 405B", "llama-3.1-405b"),
        ("GPT-2 Small", "gpt2"),
        ("gpt-2", "gpt2"),
        ("Mistral 7B", "mistral-7b-v0.1"),
        ("Mixtral 8x7B", "mixtral-8x7b"),
        ("DeepSeek V2 236B", "deepseek-v2"),
        ("DeepSeek-V3", "deepseek-v3"),
        ("Qwen 2.5 72B", "qwen2.5-72b"),
        ("Qwen3-235B-A22B", "qwen3-235b-a22b"),
        ("Qwen 3.5", "qwen3.5-397b-a17b"),
        ("Kimi K2", "kimi-k2"),
        ("MiniMax-01", "minimax-text-01"),
        ("Grok 2.5", "grok-2"),
        ("Gemma 3n E4B", "gemma-3n-e4b"),
        ("OLMo 2 7B", "olmo-2-7b"),
        ("openai/GPT-OSS-20b", "gpt-oss-20b"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"),
    ],
)
def test_names_as_people_write_them(text: str, name: str) -> None:
    entry = zoo.find(text)
    assert entry is not None
    assert entry.name == name


def test_a_family_stands_together() -> None:
    """`archcalc models` lists them so; what was added later stood behind all others."""
    families = [entry.family for entry in zoo.entries()]
    runs = [family for i, family in enumerate(families) if i == 0 or families[i - 1] != family]
    assert len(runs) == len(set(runs))


def test_what_is_not_bundled_is_not_found() -> None:
    for text in ("", "llama", "llama-3.1-9b", "someone/gpt2", "openai-community/gpt_2", "../gpt2"):
        assert zoo.find(text) is None
    for read in (zoo.config, zoo.spec):
        with pytest.raises(KeyError):
            read("../index")


def test_the_index_is_whole_and_names_are_not_shared() -> None:
    owner: dict[str, str] = {}
    for entry in zoo.entries():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", entry.name)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo)
        # A model without a date would stand before all others in `pick` and in lists.
        assert entry.release is not None and re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-[0-3]\d)?", entry.release)
        assert entry.family
        assert entry.origin in ("published", "amended", "re-assembled")
        assert entry.origin_note or entry.origin == "published"
        for text in (entry.name, entry.repo, *entry.aliases):
            assert owner.setdefault(zoo.key(text), entry.name) == entry.name
    assert len(set(zoo.names())) == len(zoo.names())
    assert {path.stem for path in (FOLDER / "configs").iterdir()} == set(zoo.names())
    assert {path.stem for path in (FOLDER / "specs").iterdir()} <= set(zoo.names())


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        # What the publishers' checkpoints hold (safetensors totals of the repositories).
        ("granite-4.0-h-small", 32_207_337_984),
        ("granite-4.0-350m", 352_379_904),
        ("lfm2-350m", 354_483_968),
        ("lfm2-1.2b", 1_170_340_608),
        ("qwen3-vl-8b", 8_767_123_696),
        ("qwen2.5-vl-7b", 8_292_166_656),
        ("qwen2.5-math-7b", 7_615_616_512),
        ("glm-4-32b", 32_566_081_536),
        ("olmoe-1b-7b", 6_919_161_856),
        ("lfm2.5-8b-a1b", 8_467_856_832),
        ("qwen3.5-2b", 2_274_069_824),
    ],
)
def test_what_was_put_together_holds_as_many_elements_as_was_published(name: str, elements: int) -> None:
    checkpoint = archcalc.inspect(name, offline=True).checkpoint
    assert checkpoint is not None
    assert checkpoint.stored_elements == elements


def test_keys_that_publishers_write_and_the_reference_does_not_read_change_nothing() -> None:
    granite = zoo.config("granite-4.0-h-small")
    bare = {key: value for key, value in granite.items() if key != "normalization_function"}
    assert granite["normalization_function"] == "rmsnorm"
    # What the config states is kept for engines that ask of it.
    assert arch.parse(granite)._replace(stated={}) == arch.parse(bare)._replace(stated={})
    command = {"model_type": "cohere2", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 128}
    assert arch.parse({**command, "layer_switch": 4})._replace(stated={}) == arch.parse(command)._replace(stated={})


@pytest.mark.parametrize("name", zoo.names())
def test_a_spec_is_what_parsing_the_config_gives(name: str) -> None:
    config = zoo.config(name)
    assert arch.adapter_name(config), f"{name} has no adapter"
    spec = zoo.spec(name)
    parsed = arch.parse(config)
    assert spec is not None, "run scripts/build_zoo.py --specs"
    assert spec == parsed, "run scripts/build_zoo.py --specs"
    assert (parsed.status, parsed.unmodelled_keys) == ("counted", ())
    assert _types(spec) == _types(parsed)


@pytest.mark.parametrize("name", zoo.names())
def test_what_is_written_of_loaded_weights_is_what_the_rules_give(name: str) -> None:
    model = load(name, offline=True)
    assert sizes.loaded(model) == sizes.sizes(model.architecture), "run scripts/build_zoo.py --specs"


def test_every_field_comes_back() -> None:
    weight = Tensor("w", (8, 4), "experts", Shard(0, 8), Experts(8, 2, 4), "router_bias", ("a.{}", "b.{}"), "F32")
    plain = Tensor("norm", (4,), "norm", norm="rms-1p")
    state = State("conv", (4, 3), 2, "fp32", trimmed=True)
    layer = Layer(
        "mixer",
        "ffn",
        (weight, plain),
        (Cache("sliding", 2, 3, 4, 5), Cache("state", states=(state,)), Cache("latent", 1, 512, 64, None, (), 4)),
        (Attend(4, 8, 16, 128), Attend(1, 2, 3)),
        5,
        6,
        7,
        steps=(
            Bare("q", "bare-rms", 8, 2, True),
            Rotation(4, True, "fp32"),
            Scores("own", capped=True),
            Routing("grouped"),
            Clamped(),
        ),
        parallel=True,
    )
    other = Layer("mixer", "other", (plain,))
    whole = Architecture(
        "type",
        (Group("embedding", (weight,)), Group("head", ())),
        (stack("model.layers", "decoder", [layer, other, layer]), stack("mtp", "mtp", [other], start=3)),
        Facts(
            1,
            2,
            None,
            "a",
            3,
            4,
            5,
            "n",
            "act",
            Position("rotary", "pos", 0.5),
            6,
            7,
            True,
            Moe(8, 2, 1, 3, 9),
            (("x", "y"), ("ü", "—")),
        ),
        renames=(("a.", "b."), (".c.", ".d.")),
        dtype="BF16",
        quantization={"quant_method": "fp8", "sizes": [128, 128], "deep": {"list": [1.5, None]}},
        status="partial",
        unmodelled_keys=("k", "l.m"),
        notes=("note",),
        steps=(Bare("last", "bare-layer", 4),),
        capped=True,
        crosses=True,
    )
    got = _spec.load(json.loads(json.dumps(_spec.dump(whole))))
    assert got == whole
    assert _types(got) == _types(whole)
    assert got.stacks[0].kinds[1] is got.stacks[1].kinds[0]  # written once
    bare = Architecture("t", (), (), Facts(1, 2, 3, "a", 1, 1, 1, "n", "a", Position("none", "p")))
    assert _spec.load(json.loads(json.dumps(_spec.dump(bare)))) == bare


def test_every_record_of_the_vocabulary_is_in_a_bundled_spec() -> None:
    """A field that is added to the vocabulary and not to the specs would otherwise be noticed late."""
    seen = {name for name in zoo.names() for name in re.findall(r"\w+\(", str(_types(zoo.spec(name))))}
    records = (
        Architecture, Attend, Bare, Buffer, Cache, Clamped, Experts, Facts, Group, Layer, Moe, Position, Rotation, Routing, Scores, Shard,
        State, Tensor,
    )  # fmt: skip
    for record in records:
        assert f"{record.__name__}(" in seen


def test_a_spec_of_another_version_is_refused() -> None:
    written = json.loads((FOLDER / "specs" / "gpt2.json").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="version"):
        _spec.load({**written, "version": 0})


def _types(value: object) -> str:
    """The structure of nested records: equality alone takes a list for no tuple, but a tuple for a record."""
    if isinstance(value, tuple):
        name = type(value).__name__ if hasattr(value, "_fields") else "tuple"
        return f"{name}({','.join(map(_types, value))})"
    return type(value).__name__


# Formats that publishers release their own weights in; others are of another release of the model, which its name says.
OWN_FORMATS = {"fp8", "mxfp4", "compressed-tensors"}


def test_a_name_without_a_format_is_the_model_s_own_release() -> None:
    """Qwen2.5-Omni 7B and MiniCPM-V 4.6 stood with the configs of their AWQ releases."""
    from archcalc.quant import method_of

    stored = {name: zoo.config(name).get("quantization_config") for name in zoo.names()}
    found = {name: method_of(of) for name, of in stored.items() if of is not None and "fp4" not in name}
    assert {name: method for name, method in found.items() if method not in OWN_FORMATS} == {}


HUB = [
    dict(zip(("name", "elements", "made", "license"), line.split("\t"), strict=True))
    for line in (Path(__file__).parent / "data" / "hub.tsv").read_text(encoding="utf-8").splitlines()[3:]
]
ENTRIES = {entry.name: entry for entry in zoo.entries()}


@pytest.mark.parametrize("row", [row for row in HUB if row["elements"]], ids=lambda row: row["name"])
def test_a_config_put_together_from_facts_holds_what_the_hub_counts(row: dict[str, str]) -> None:
    checkpoint = archcalc.inspect(row["name"], offline=True).checkpoint
    assert checkpoint is not None
    assert int(row["elements"]) in (checkpoint.elements, checkpoint.stored_elements)


# Repositories that were made long after their model's release: uploads to the Hub, and conversions for transformers.
LATER = {"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "minimax-text-01", "nemotron-h-56b", "llava-1.5-7b"}


def test_releases_stand_with_their_repositories() -> None:
    """A release is at most three months younger than its repository and not older; where it was not known, the repository's month is given
    and said to be that."""
    wrong = []
    for row in HUB:
        entry = ENTRIES[row["name"]]
        if not row["made"] or entry.release is None:
            continue
        made, released = (12 * int(date[:4]) + int(date[5:7]) for date in (row["made"], entry.release))
        if entry.release_note:
            assert "its repository on the Hub was made" in entry.release_note
            if entry.release != row["made"][:7]:
                wrong.append((row["name"], entry.release, row["made"]))
        elif row["name"] not in LATER and not 0 <= released - made <= 3:
            wrong.append((row["name"], entry.release, row["made"]))
    assert wrong == []


# What the Hub's tags for licenses stand for; tags that are SPDX ids stand for themselves.
TAGS = {
    "llama2": "Llama 2 Community License", "llama3": "Llama 3 Community License", "llama3.1": "Llama 3.1 Community License",
    "llama3.2": "Llama 3.2 Community License", "llama3.3": "Llama 3.3 Community License", "llama4": "Llama 4 Community License",
    "gemma": "Gemma Terms of Use", "health-ai-developer-foundations": "Health AI Developer Foundations Terms of Use",
    "tongyi-qianwen": "Tongyi Qianwen License", "tongyi-qianwen-license-agreement": "Tongyi Qianwen License",
    "tongyi-qianwen-research": "Tongyi Qianwen Research License", "qwen-research": "Qwen Research License", "qwen": "Qwen License",
    "qwen3.8-max": "Qwen3.8-Max License", "deepseek": "DeepSeek Model License", "deepseek-license": "DeepSeek Model License",
    "modified-mit": "Modified MIT", "glm-5.3": "GLM-5.3 License", "minimax": "MiniMax Model License",
    "minimax-community": "MiniMax Community License", "mrl": "Mistral AI Research License",
    "nvidia-open-model-license": "NVIDIA Open Model License", "lfm1.0": "LFM Open License v1.0",
    "nvidia-nemotron-open-model-license": "NVIDIA Nemotron Open Model License",
    "nvidia-internal-scientific-research-and-development-model-license":
        "NVIDIA Internal Scientific Research and Development Model License",
    "exaone": "EXAONE AI Model License Agreement", "bigcode-openrail-m": "BigCode OpenRAIL-M v1",
    "bigscience-bloom-rail-1.0": "BigScience RAIL License v1.0", "tencent-hunyuan-a13b": "Tencent Hunyuan A13B License",
    "apple-amlr": "Apple Machine Learning Research Model License",
}  # fmt: skip


def test_licenses_are_those_of_their_repositories() -> None:
    """Nemotron 3 Ultra stood with its siblings' license, MiniMax M2 with MIT, and one license had two names."""
    wrong = []
    for row in HUB:
        held, tag = ENTRIES[row["name"]].license, row["license"]
        if tag and tag not in ("other", "unknown") and not (held or "").lower().startswith(TAGS.get(tag, tag).lower()):
            wrong.append((row["name"], held, tag))
    assert wrong == []
    folded: dict[str, str] = {}
    for name in {entry.license for entry in zoo.entries() if entry.license}:
        assert folded.setdefault(re.sub(r"\W|license|agreement", "", name.lower()), name) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        # What the card of each repository says that it holds. mistralai's of December 2025 are FP8, and those in bf16 end in -BF16.
        ("ministral-3-3b", "F8_E4M3"),
        ("mistral-large-3-675b", "F8_E4M3"),
        ("devstral-2-123b", "F8_E4M3"),
        ("deepseek-v3", "F8_E4M3"),
        ("deepseek-r1", "F8_E4M3"),
        ("kimi-k2", "F8_E4M3"),
        ("minimax-m2", "F8_E4M3"),
        ("llama-4-maverick", "BF16"),
        ("llama-3.1-405b-instruct", "BF16"),
        ("nemotron-3-super-120b-a12b", "BF16"),
    ],
)
def test_weights_are_stored_as_the_named_repository_has_them(name: str, stored: str) -> None:
    checkpoint = archcalc.inspect(name, offline=True).checkpoint
    assert checkpoint is not None
    assert max(checkpoint.by_dtype, key=lambda dtype: checkpoint.by_dtype[dtype]) == stored
