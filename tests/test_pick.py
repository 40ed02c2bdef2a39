"""Pick: what is recommended meets what was asked, fits by the fit command, and says what it does not know."""

from __future__ import annotations

import json
import shlex

import pytest

from archcalc import zoo
from conftest import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """In this process: each call of its own would cost the start of an interpreter."""
    return cli


def picked(run: Run, *arguments: str) -> dict[str, object]:
    return json.loads(run("pick", *arguments, "--format", "json").stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("gpu", ["4090", "2xh100", "8xh200"])
def test_the_best_fits_by_the_fit_command(gpu: str, run: Run) -> None:
    got = picked(run, "--gpu", gpu, "--ctx", "16k", "--concurrency", "4")
    best = got["best"]
    assert isinstance(best, dict)
    made = best["plan"]["quant"]
    quant = ["--quant", made] if made in ("w4a16", "fp8") and "FP8" not in best["repo"] else ["--max-quant", "none"]
    stated = json.loads(run("inspect", best["name"], "--format", "json").stdout)["checkpoint"]["by_dtype"]
    # On a card of one's own the answer is that of the name alone.
    asked = [] if "F8_E4M3" in stated or gpu == "4090" else quant
    again = json.loads(
        run("fit", best["name"], "--gpu", gpu, "--ctx", "16k", "--concurrency", "4", *asked, "--format", "json").stdout
    )
    assert again["fits"]
    assert again["per_gpu"]["headroom_bytes"] == best["headroom_bytes"]
    assert shlex.split(best["command"]) == shlex.split(again["command"])


def test_requirements_hold_for_all_that_is_named(run: Run) -> None:
    got = picked(run, "--gpu", "2xh100", "--ctx", "64k", "--license", "apache", "--max-tpot", "10ms")
    for p in [got["best"], *got["runners_up"]]:  # type: ignore[misc]
        entry = zoo.find(p["name"])
        assert entry is not None
        assert "apache" in (entry.license or "").lower()
        assert p["tpot_seconds_floor"] <= 0.010
        assert p["max_context_tokens"] >= 65536
    order = [-zoo.standing(p["params_total"], p["release"]) for p in [got["best"], *got["runners_up"]]]  # type: ignore[misc]
    assert order == sorted(order)


def test_what_a_machine_can_run_is_the_same_in_fit_and_pick(run: Run) -> None:
    """Newest and largest first, in the format that fits; `--all` leaves nothing out."""
    for gpu in ("4090", "m4-max-36gb"):
        words = ("--gpu", gpu, "--family", "qwen3")
        got = picked(run, *words, "--all")
        listed = [r for r in json.loads(run("fit", *words, "--format", "json").stdout) if r["fits"]]
        both = [got["best"], *got["runners_up"]]  # type: ignore[misc]
        assert {(p["name"], p["plan"]["quant"], p["context_tokens"]) for p in both} == {
            (r["source"], r["quant"], r["context_tokens"]) for r in listed
        }
        assert len(picked(run, *words)["runners_up"]) < len(both) - 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("gpu", "family"), [("m3-max-128gb", "qwen2"), ("m4-pro", "llama"), ("m3-pro-36gb", "qwen3")])
def test_what_is_too_slow_to_be_used_comes_last(gpu: str, family: str, run: Run) -> None:
    """A dense model of 70 B, or of 32 B, fits such a machine, and makes a few tokens a second."""
    words = ("--gpu", gpu, "--family", family)
    got = picked(run, *words, "--all")
    both = [got["best"], *got["runners_up"]]  # type: ignore[misc]
    slow = [(p["tokens_per_s"] or 99) < 10 for p in both]
    assert slow == sorted(slow)
    assert not slow[0]
    assert any(slow)
    listed = [r for r in json.loads(run("fit", *words, "--format", "json").stdout) if r["fits"]]
    assert [r["source"] for r in listed] == [p["name"] for p in both]
    # The first that is slow is so in four bits too, not only as published, or does not fit in them.
    late = both[slow.index(True)]
    again = json.loads(run("fit", late["name"], "--gpu", gpu, "--quant", "q4_k_m", "--format", "json").stdout)
    assert (again["speed"]["decode_tokens_per_s"] or 0) < 10
    # Who names the time has said what is fast enough.
    timed = picked(run, *words, "--max-tpot", "2s")
    assert timed["best"]["params_total"] >= both[0]["params_total"]  # type: ignore[index]


def test_every_bundled_model_is_accounted_for(run: Run) -> None:
    got = picked(run, "--gpu", "t4", "--ctx", "8k")
    left_out = got["left_out"]
    assert isinstance(left_out, dict)
    assert sum(left_out.values()) + 1 + len(got["runners_up"]) <= len(zoo.names())  # type: ignore[arg-type]
    assert any("quality is not ranked" in note for note in got["notes"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--ctx", "1m"], "shorter --ctx"),
        (["--ctx", "100m"], "shorter --ctx"),
        (["--license", "proprietary"], "Apache-2.0"),
        (["--max-tpot", "0.001ms", "--family", "gpt-oss"], "--max-tpot"),
    ],
)
def test_nothing_meets_it_and_what_to_ask_for_instead(arguments: list[str], remedy: str, run: Run) -> None:
    done = run("pick", "--gpu", "t4", *arguments)
    assert done.returncode == 1
    assert "no bundled model" in done.stdout
    assert remedy in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--gpu"),
        (["--gpu", "voodoo2"], "voodoo2"),
        (["--gpu", "h100", "--max-tpot", "30"], "30"),
        (["--gpu", "h100", "--task", "art"], "art"),
        (["--gpu", "h100", "--max-quant", "int1"], "int1"),
        (["--gpu", "h100", "--engine", "abacus"], "abacus"),
    ],
)
def test_wrong_calls(arguments: list[str], said: str, run: Run) -> None:
    done = run("pick", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_floor_says_what_it_is_of(run: Run) -> None:
    """A bound over the whole context may lie above a forecast of short requests: both lines say what they are of."""
    said = run("pick", "--gpu", "t4", "--max-quant", "none", "--task", "code").stdout
    got = picked(run, "--gpu", "t4", "--max-quant", "none", "--task", "code")["best"]
    assert isinstance(got, dict)
    assert got["tpot_seconds_floor"] * 1000 > got["tpot_ms"]
    assert "with 32k tokens before it" in said
    assert "1k prompt and 1k output tokens" in said


CARD = "NVIDIA GeForce RTX 4090 24GB (20.0 GiB by --vram)"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("fit llama-3.1-8b --gpu 4090 --vram 20GiB --ctx 8k", 0, f"1 x {CARD}"),
        ("fit llama-3.1-8b --gpu 2x4090 --vram 20GiB --ctx 8k", 0, f"2 x {CARD}"),
        ("fit --gpu 4090 --vram 20GiB --ctx 8k --family gemma", 0, f"1 x {CARD}"),
        ("train llama-3.1-8b --gpu 4090 --vram 20GiB --seq 1k --lora 8 --checkpointing full", 0, f"Fits {CARD}"),
        ("train llama-3.1-8b --gpu 2x4090 --vram 20GiB --seq 1k --lora 8 --fsdp 2", 0, f"2 x {CARD}"),
        ("train llama-3.1-8b --gpu 2 --vram 48GiB --seq 4k --lora 8 --fsdp 2", 0, "2 x GPU with 48.0 GiB"),
        ("fit llama-3.1-8b --gpu 10 --vram 24GiB --ctx 8k --dp 10", 0, "10 x GPU with 24.0 GiB"),
        ("fit llama-3.1-8b --gpu 36 --ctx 8k", 2, "'36' is a number, and names no GPU"),
        ("pick --gpu 4090 --vram 20GiB --ctx 8k", 0, f"1 x {CARD}"),
        ("pick --vram 20GiB --ctx 8k", 0, "1 x GPU with 20.0 GiB"),
        ("plot memory llama-3.1-8b --gpu 4090 --vram 20GiB --ctx 8k", 0, f"1 x {CARD}"),
        ("fit llama-3.1-8b --gpu 5000 --vram 20GiB --ctx 8k", 2, "a card of the catalog"),
        # What would make it fit is more of the same cards, with the same memory.
        ("fit llama-3.1-70b --gpu 2x4090 --vram 20GiB --ctx 8k --quant bf16", 1, "--gpu 8xrtx-4090 --vram 20GiB"),
    ],
)
def test_a_listed_card_with_another_memory_is_that_card_in_every_command(arguments: str, status: int, said: str, run: Run) -> None:
    done = run(*arguments.split(), "--offline")
    assert done.returncode == status, done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("gpu", ["2x4090", "h100", "4090", "8xh100", "t4"])
def test_what_is_given_instead_differs(gpu: str, cli: Run) -> None:
    """A reason compares what differs as it is printed, and sequences of one length alone."""
    got = json.loads(cli("pick", "--gpu", gpu, "--format", "json").stdout)
    traded = [part for line in got["why"] if " instead: " in line for part in line.partition(": ")[2].split(", ")]
    pairs = [part.split(" in place of ") for part in traded if " in place of " in part]
    assert pairs
    for new, old in pairs:
        assert new.split()[0] != old.split()[0], (new, old)
    by_name = {p["name"]: p for p in got["runners_up"]}
    for line in got["why"]:
        if " sequences in place of " in line:
            assert by_name[line.split()[0]]["context_tokens"] == got["best"]["context_tokens"]


@pytest.mark.parametrize(("context", "status"), [("8k", 2), ("16k", 2), (None, 0), ("80k", 0)])
def test_requests_are_held_by_what_is_recommended(context: str | None, status: int, cli: Run) -> None:
    asked = ["--isl", "64k", "--osl", "1k", *(["--ctx", context] if context else [])]
    made = cli("pick", "--gpu", "4090", *asked, "--format", "json")
    assert made.returncode == status
    if status:
        assert "66,560 tokens are beyond --ctx" in made.stderr
    else:
        found = json.loads(made.stdout)
        assert all(
            p["context_tokens"] >= 66_560 and p["max_context_tokens"] >= 66_560 for p in (found["best"], *found["runners_up"])
        )


def test_tables_that_are_looked_up_are_no_experts(cli: Run) -> None:
    """Gemma 4 E4B's card: parameters with and without the embeddings of each layer; it has no experts."""
    found = json.loads(
        cli("pick", "--gpu", "h100", "--concurrency", "32", "--tpot", "10ms", "--format", "json", "--offline").stdout
    )
    from archcalc.loader import load

    name, why = found["best"]["name"], found["why"][0]
    assert why.startswith("MoE") == (load(name).architecture.facts.moe is not None), (name, why)
    assert "gemma-4-e4b" not in name or why.startswith("tables that are looked up")


@pytest.mark.parametrize("machine", [("--gpu", "mi300x"), ("--vram", "24GiB")])
def test_what_is_not_forecast_misses_no_target(machine: tuple[str, str], cli: Run) -> None:
    """docs/speed.md, what is not forecast: no rows of a data centre's AMD GPUs, and no bandwidth of a card known by its memory."""
    done = cli("pick", *machine, "--tpot", "30ms", "--offline")
    said = " ".join((done.stdout + done.stderr).split())
    assert "of which nothing is forecast there" in said and "whose forecast misses" not in said and "--max-tpot" in said
