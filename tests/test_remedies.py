"""What is offered where a model does not fit: each engine's share of the memory, and what a Mac's system and llama.cpp can be told."""

from __future__ import annotations

import json
import re

import pytest

from conftest import Run


def fit(cli: Run, *words: str) -> dict:  # type: ignore[type-arg]
    return json.loads(cli("fit", "--offline", "--format", "json", *words).stdout)  # type: ignore[no-any-return]


SHARES = [
    ("vllm", "deepseek-r1", "8xh20", "64k"),
    ("sglang", "qwen3-32b", "h100", "24k"),
    ("sglang", "deepseek-r1", "8xh20", "64k"),
]


@pytest.mark.parametrize(("engine", "model", "gpu", "ctx"), SHARES)
def test_a_larger_share_is_offered_or_taken_where_it_makes_room(engine: str, model: str, gpu: str, ctx: str, cli: Run) -> None:
    """vLLM's --gpu-memory-utilization, SGLang's --mem-fraction-static: both are a share that a user can raise."""
    asked = (model, "--gpu", gpu, "--ctx", ctx, "--engine", engine)
    got = fit(cli, *asked)
    options = " ".join(change["options"] for change in got["would_fit"])
    share = re.search(r"--utilization (0\.\d+)", options) or re.search(
        r"--(?:mem-fraction-static|gpu-memory-utilization) (0\.\d+)", got["command"]
    )
    assert share is not None
    assert fit(cli, *asked, "--utilization", share[1])["fits"]


MACS = [("gpt-oss-20b", "m4-16gb", "16k", 16), ("gpt-oss-120b", "m2-max-64gb", "8k", 64)]


@pytest.mark.parametrize(("model", "gpu", "ctx", "gb"), MACS)
def test_a_mac_s_remedies_are_its_own(model: str, gpu: str, ctx: str, gb: int, cli: Run) -> None:
    """`iogpu.wired_limit_mb` raises what macOS lets the GPU have (mlx 0.30, docs of `set_wired_limit`); llama.cpp leaves the rest to the
    CPU, whose memory is the same and has no such limit."""
    got = fit(cli, model, "--gpu", gpu, "--ctx", ctx)
    assert not got["fits"]
    offered = {change["options"]: change["what"] for change in got["would_fit"]}
    limit = next(what for what in offered.values() if "iogpu.wired_limit_mb" in what)
    assert int(re.search(r"wired_limit_mb=(\d+)", limit)[1]) < gb * 1024  # type: ignore[index]
    assert len(set(re.findall(r"wired_limit_mb=(\d+)", " ".join([limit, *got["notes"]])))) == 1
    raised = next(options for options, what in offered.items() if what == limit)
    assert fit(cli, model, "--gpu", gpu, "--ctx", ctx, *raised.split())["fits"]
    for flag in ("-ngl", "--n-cpu-moe"):
        words = next(options for options in offered if options.startswith(flag)).removesuffix(" (llama-server)").split()
        command = ("--", "llama-server", "-m", model, "-c", str(int(ctx[:-1]) * 1024), "-np", "1", *words)
        assert json.loads(cli("fit", "--gpu", gpu, "--offline", "--format", "json", *command).stdout)["fits"]
    others = {options: what for options, what in offered.items() if "--gpu apple" in options}
    assert others and all(re.search(r"\d GB$", what) and re.search(r"-\d+gb$", options) for options, what in others.items())
    assert not [options for options in others if gpu in options]


@pytest.mark.parametrize(("model", "ctx"), [("qwen3-30b-a3b", "16k"), ("qwen3.5-35b-a3b", "64k")])
def test_a_larger_card_gets_no_worse_weights(model: str, ctx: str, cli: Run) -> None:
    """docs/fit.md: beside --ram weights are as published where that has four bits, else in q4_k_m or less."""
    bits = []
    for card in ("3060", "5070-ti", "4090", "5090"):
        got = fit(cli, model, "--gpu", card, "--ram", "64GiB", "--ctx", ctx)
        assert got["fits"]
        bits.append(int(re.search(r"\d+", got["plan"]["quant"])[0]))  # type: ignore[index]
    assert bits == sorted(bits) and min(bits) >= 4
    assert fit(cli, model, "--gpu", "5070-ti", "--ctx", ctx)["plan"]["quant"] == "q2_k"


YARN = 'rope_scaling={"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}'


@pytest.mark.parametrize(
    ("model", "changes", "words", "left"),
    [
        # llama.cpp 0c1e57098, common/arg.cpp; src/llama-context.cpp: with YaRN the trained length is the original times the scale.
        ("qwen3-8b", ["max_position_embeddings=131072", YARN], "--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 32768", ""),
        ("qwen3-8b", ["max_position_embeddings=65536"], "--override-kv qwen3.context_length=int:65536", ""),
        ("qwen3-8b", ["rope_theta=5000000"], "--rope-freq-base 5e+06", ""),
        ("qwen3-30b-a3b", ["num_experts_per_tok=4"], "--override-kv qwen3moe.expert_used_count=int:4", ""),
        ("qwen3-8b", ["rms_norm_eps=1e-5"], "", "rms_norm_eps"),
    ],
)
def test_llama_cpp_is_given_what_was_set_in_the_config(model: str, changes: list[str], words: str, left: str, cli: Run) -> None:
    ctx = "64k" if "max_position" in changes[0] else "8k"
    sets = [word for change in changes for word in ("--set", change)]
    got = fit(cli, model, "--gpu", "3090", "--ctx", ctx, "--quant", "q4_k_m", *sets)
    assert got["fits"] and words in got["command"]
    said = [note for note in got["notes"] if "has no flag that sets" in note]
    assert (left in said[0]) if left else not said
    own = fit(cli, "--gpu", "3090", "--", *got["command"].split())
    assert own["fits"] and "serves no more" not in " ".join(own["notes"])


def behind(call: tuple[str, ...], change: dict) -> list[str]:  # type: ignore[type-arg]
    """The call with the options of a change: those that it names again, or says to leave out, are named once."""
    words = change["options"].split()
    left = change.get("what", ", without --max-quant").partition(", without ")[2]
    again = {word for word in words if word.startswith("--")} | set(re.findall(r"--[a-z-]+", left))
    kept, skip = [], False
    for word in call:
        if not skip and word not in again:
            kept.append(word)
        skip = word in again
    return [*kept, *words]


@pytest.mark.parametrize(
    "call",
    [
        # A card of one's own, for which a storage is chosen, and then cards for which none is.
        ("llama-3.3-70b", "--gpu", "3090"),
        ("llama-3.1-70b", "--gpu", "4090", "--ctx", "8k"),
        ("devstral-small-2505", "--gpu", "4090"),
        ("gemma-4-26b-a4b", "--gpu", "5090"),
        # An engine is chosen too, which has caches that the usual one has not.
        ("mistral-small-24b", "--gpu", "t4"),
        ("muse-glimmer-30b", "--gpu", "t4"),
        ("qwen2-7b", "--gpu", "2xjetson-orin-nano-super-8gb"),
        # Settings that one machine needs are not taken on another.
        ("qwen3.5-4b", "--gpu", "rtx-5060", "--engine", "sglang"),
        ("apertus-70b", "--gpu", "4xrtx-3080-ti", "--engine", "sglang"),
        ("kimi-dev-72b", "--gpu", "4xa10g", "--max-quant", "w4a16"),
        ("qwen2.5-7b", "--gpu", "rtx-4070-ti", "--max-quant", "w4a16"),
        # A part of the model lies in the CPU's memory, and another part would.
        ("ernie-4.5-21b-a3b-thinking", "--gpu", "rtx-5060", "--ram", "64GiB"),
        ("qwen1.5-72b", "--gpu", "rtx-2080-super", "--ram", "64GiB"),
        ("llama-3.3-70b", "--gpu", "2x4090", "--tp", "2", "--ctx", "32k"),
        # Layers and their caches lie apart, and another card is the fullest at another length.
        ("granite-3.3-2b", "--gpu", "2xrtx-2060-super", "--engine", "llama.cpp"),
        ("mistral-small-3.1-24b", "--gpu", "2xrtx-3080-10gb"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_offered_holds_as_it_is_typed(call: tuple[str, ...], cli: Run) -> None:
    """Options that are printed are typed behind the call that printed them, and then it fits: for all of the context, where that is
    what they are for. A format's options ask for the line that they stand beside."""
    got = fit(cli, *call)
    offered = [change for change in got["would_fit"] if "(llama-server)" not in change["options"]]
    assert offered
    for change in offered:
        typed = fit(cli, *behind(call, change))
        assert typed["fits"], change
        if got["fits"]:
            assert typed["context_tokens"] == got["own_context"]["context_tokens"], change
    for form in got["formats"]:
        typed = fit(cli, *behind(call, form)) if form["fits"] else None
        assert typed is None or (typed["fits"], typed["context_tokens"]) == (True, form["context_tokens"]), form
