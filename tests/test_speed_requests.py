"""Whole requests: no more of them a second than prompts are read, and none where the wait for the first token is not forecast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcalc import hardware
from conftest import Run


@pytest.mark.parametrize("osl", [1, 2, 16, 256])
@pytest.mark.parametrize("n", [1, 4, 16, 48])
@pytest.mark.parametrize(
    ("model", "machine"),
    [
        ("llama-3.1-8b", "--gpu h100"),
        ("llama-3.1-8b", "--gpu 2xh100 --dp 2"),
        ("llama-3.1-8b", "--gpu 4090 --quant q4_k_m --engine llama.cpp"),
        ("qwen3-30b-a3b", "--gpu 2xh100 --tp 2 --engine sglang"),
    ],
)
def test_requests_are_no_faster_than_their_prompts_are_read(model: str, machine: str, n: int, osl: int, cli: Run) -> None:
    words = [*machine.split(), "--isl", "4k", "--osl", str(osl), "--concurrency", str(n), "--offline", "--format", "json"]
    got = json.loads(cli("fit", model, *words).stdout)
    s, c = got["speed"], got["cost"]
    if s["requests_per_s"] is None:
        assert not got["fits"] or s["why"]
        return
    replicas = 2 if "--dp 2" in machine else 1
    for end, tokens in (("", "prefill_tokens_per_s"), ("_low", "prefill_tokens_per_s_low"), ("_high", "prefill_tokens_per_s_high")):
        assert s[f"requests_per_s{end}"] * s["isl"] <= 1.001 * replicas * s[tokens]
    # The matrix units' floor under a prompt is one of a request: at most so many end in a second.
    assert s["requests_per_s_high"] <= 1.001 * replicas * 1000 / s["prefill_ms_floor"]
    if osl == 1:
        # Little 1961: requests at once = requests a second x seconds of one, which is that of its first token.
        assert s["tpot_ms"] is None and s["requests_per_s"] * s["ttft_ms"] / 1000 == pytest.approx(n, rel=0.01)
    if c:
        assert c["usd_per_million_output_tokens"] == pytest.approx(
            1e6 * c["usd_per_hour"] / 3600 / s["requests_per_s"] / osl, rel=0.01
        )
        if replicas == 1:
            # A request costs its prompt at least.
            assert c["usd_per_million_output_tokens"] * osl >= 0.99 * c["usd_per_million_input_tokens"] * s["isl"]


def test_commands_agree_on_requests_of_one_token(cli: Run) -> None:
    words = ["--isl", "8k", "--osl", "1", "--concurrency", "16", "--offline", "--format", "json"]
    fit = json.loads(cli("fit", "llama-3.1-8b", "--gpu", "h100", *words).stdout)
    row = json.loads(cli("sweep", "llama-3.1-8b", "--gpu", "h100", *words).stdout)[0]
    assert row["usd_per_million_output_tokens"] == fit["cost"]["usd_per_million_output_tokens"]
    assert row["tpot_ms"] is None and row["ttft_ms"] == fit["speed"]["ttft_ms"]
    assert row["tokens_per_s"] == pytest.approx(fit["speed"]["requests_per_s"], rel=0.02)
    refused = cli("plot", "cost", "llama-3.1-8b", "--gpu", "h100", "--isl", "8k", "--osl", "1", "--offline")
    assert refused.returncode != 0 and "no time between two" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        "--gpu h100 --max-num-batched-tokens 512",
        "--gpu m5-max --engine llama.cpp --quant q4_k_m",
        "--gpu m5-max --engine mlx --quant mlx-int4",
    ],
)
def test_without_a_first_token_no_request_is_timed_or_priced(words: str, cli: Run) -> None:
    asked = ("fit", "llama-3.1-8b", *words.split(), "--isl", "4k", "--osl", "16", "--concurrency", "1", "--offline")
    got = json.loads(cli(*asked, "--format", "json").stdout)
    assert got["speed"]["tpot_ms"] and got["speed"]["ttft_ms"] is None and got["speed"]["requests_per_s"] is None
    assert got["cost"] is None or got["cost"]["usd_per_million_output_tokens"] is None
    text = cli(*asked).stdout
    assert "their prompts included" not in text and "each begun when" not in text


def _whisper(**more: object) -> dict[str, object]:
    return {
        "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": 1280, "encoder_layers": 32,
        "decoder_layers": 4, "encoder_attention_heads": 20, "decoder_attention_heads": 20, "encoder_ffn_dim": 5120,
        "decoder_ffn_dim": 5120, "vocab_size": 51866, "num_mel_bins": 128, "max_source_positions": 1500,
        "max_target_positions": 448, "torch_dtype": "float16", **more,
    }  # fmt: skip


T5 = {
    "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24,
    "num_decoder_layers": 24, "num_heads": 16, "vocab_size": 32128, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "n_positions": 512,
}  # fmt: skip
BART = {
    "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 1024, "encoder_layers": 12, "decoder_layers": 12,
    "encoder_attention_heads": 16, "decoder_attention_heads": 16, "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096, "vocab_size": 50265,
    "max_position_embeddings": 1024, "torch_dtype": "float16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "engine"),
    [
        (_whisper(), "vllm"),
        (_whisper(decoder_layers=32), "vllm"),
        (_whisper(), "sglang"),
        (BART, "vllm --engine-version 0.10.2"),
        (T5, "llama.cpp --quant q8_0"),
        (T5, "transformers"),
    ],
)
def test_an_encoder_s_work_is_in_no_term_and_so_nothing_is_forecast(
    config: dict[str, object], engine: str, cli: Run, tmp_path: Path
) -> None:
    """Of whisper-large-v3-turbo the encoder's 32 layers of 0.63 B parameters read 1,500 frames: 2 x 0.63e9 x 1,500 operations take 1.9 ms
    at 989e12 a second, of which the decoder's terms of its 4 layers have nothing."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    words = ("--isl", "100", "--osl", "100", "--engine", *engine.split(), "--offline", "--format", "json")
    done = cli("fit", str(file), "--gpu", "h100", *words)
    assert done.returncode in (0, 1), done.stderr
    s = json.loads(done.stdout)["speed"]
    assert s["basis"] == "bound" and s["tpot_ms"] is None and s["ttft_ms"] is None and s["prefill_tokens_per_s"] is None
    assert s["requests_per_s"] is None and "an encoder reads the input" in s["why"]


def test_a_tower_beside_a_decoder_reads_no_text(cli: Run) -> None:
    got = json.loads(
        cli("fit", "gemma-3-4b", "--gpu", "h100", "--isl", "1k", "--osl", "100", "--offline", "--format", "json").stdout
    )
    assert got["speed"]["tpot_ms"] is not None


@pytest.mark.parametrize(
    ("split", "n", "times"),
    [
        # Each replica, and each stage, works on requests that it has: bounds are multiples of one request's alone, as far as no two share.
        ("--dp 4", 1, 1),
        ("--dp 4", 2, 2),
        ("--dp 4", 4, 4),
        ("--pp 4", 1, 1),
        ("--pp 4", 2, 2),
        ("--pp 4", 4, 4),
        ("--dp 2 --pp 2", 1, 1),
        ("--dp 2 --pp 2", 3, 3),
        ("--dp 2 --pp 2", 4, 4),
    ],
)
def test_a_bound_counts_replicas_and_stages_with_work(split: str, n: int, times: int, cli: Run) -> None:
    words = ("--isl", "1k", "--osl", "100", "--offline", "--format", "json")
    alone = json.loads(cli("fit", "llama-3.1-8b", "--gpu", "h100", *words).stdout)["speed"]["bound_tokens_per_s"]
    got = json.loads(cli("fit", "llama-3.1-8b", "--gpu", "4xh100", *split.split(), "--concurrency", str(n), *words).stdout)["speed"]
    assert got["bound_tokens_per_s"] == pytest.approx(times * alone, rel=1e-3)
    assert got["decode_tokens_per_s_high"] <= got["bound_tokens_per_s"]


def test_a_replica_with_two_requests_is_slower_than_two_with_one(cli: Run) -> None:
    """Five of four replicas: three have one, which is 1 / (weights + cache) each, one has two, 2 / (weights + 2 caches)."""
    words = ("--isl", "32k", "--osl", "100", "--offline", "--format", "json")
    one, two, five = (
        json.loads(cli("fit", "llama-3.1-8b", "--gpu", *gpu.split(), "--concurrency", n, *words).stdout)["speed"][
            "bound_tokens_per_s"
        ]
        for gpu, n in (("h100", "1"), ("h100", "2"), ("4xh100 --dp 4", "5"))
    )
    assert five == pytest.approx(3 * one + two, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--isl 4k --osl 500", "4k prompt and 500 output tokens a request, 1 at once"),
        ("--isl 4k --osl 500 --tpot 30ms", "4k prompt and 500 output tokens a request, as many at once as the line is of"),
        ("--isl 4k --osl 500 --concurrency 8", "4k prompt and 500 output tokens a request, 8 at once"),
        ("", "1k prompt and 1k output tokens a request, 1 at once"),
    ],
)
def test_a_list_says_of_which_requests_its_figures_are(options: str, said: str, cli: Run) -> None:
    out = " ".join(cli("fit", "llama-3.3-70b", "--gpu", "8xh100,8xh200", *options.split(), "--offline").stdout.split())
    assert said in out


@pytest.mark.parametrize("name", ["p5.48xlarge", "g6e.xlarge", "p4d.24xlarge", "2xp5.48xlarge", "p5e.48xlarge", "dgx-h100"])
def test_a_named_instance_has_its_own_price_or_none(name: str, cli: Run) -> None:
    """The list prices are those of the catalog, with their dates (instances.yaml)."""
    times, named = (2, hardware.instance(name[2:])) if name.startswith("2x") else (1, hardware.instance(name))
    words = ("llama-3.1-8b", "--gpu", name, "--ctx", "4k", "--concurrency", "16", "--offline")
    got = json.loads(cli("fit", *words, "--format", "json").stdout)
    if named.usd_per_hour is None:
        assert got["usd_per_hour"] is None and got["instance"] is None and got["cost"] is None
        assert any(f"no list price of {named.id}" in note for note in got["notes"])
    else:
        assert got["usd_per_hour"] == pytest.approx(times * named.usd_per_hour) and got["instance"] == named.id
        assert got["cost"]["usd_per_hour"] == pytest.approx(times * named.usd_per_hour, abs=1e-3) and named.id in got["cost"]["of"]


def test_a_first_token_that_is_not_forecast_is_no_time(cli: Run) -> None:
    got = json.loads(
        cli("fit", "llama-3.1-8b", "--gpu", "m5-max", "--ttft", "1s", "--isl", "8k", "--offline", "--format", "json").stdout
    )
    assert not got["speed"]["target"]["met"]
    assert got["speed"]["target"]["why"] == "the first token is not forecast, so nothing shows that --ttft is kept"


LENGTHS = [
    # What --help says: 1k of what is left open, less in a shorter context.
    ("--osl 1", 1024, 1),
    ("--osl 100", 1024, 100),
    ("--osl 4k", 1024, 4096),
    ("--isl 256", 256, 1024),
    ("--isl 8k", 8192, 1024),
    ("--ctx 4k --osl 100", 1024, 100),
    ("--ctx 1k --osl 100", 924, 100),
    ("--ctx 1k --isl 1000", 1000, 24),
    ("--ctx 4k", 1024, 1024),
    ("--ctx 1k", 512, 512),
    ("--tpot 1s", 1024, 1024),
]


@pytest.mark.parametrize(("options", "isl", "osl"), LENGTHS)
@pytest.mark.parametrize("machine", ["--gpu 4090", "--gpu 4090 --engine llama.cpp --quant q4_k_m"])
def test_a_length_that_is_left_open_is_the_default(options: str, isl: int, osl: int, machine: str, cli: Run) -> None:
    words = ("llama-3.2-1b", *machine.split(), *options.split(), "--offline", "--format", "json")
    made = json.loads(cli("fit", *words).stdout)["speed"]
    assert (made["isl"], made["osl"]) == (isl, osl)
    said = {"--isl": isl, "--osl": osl}
    whole = [word for option, n in said.items() for word in (option, str(n))]
    if "--ctx" not in options and "--tpot" not in options:
        # Leaving out what is the default changes nothing.
        assert json.loads(cli("fit", *words[: 1 + len(machine.split())], *whole, *words[-3:]).stdout)["speed"] == made


@pytest.mark.parametrize("options", ["--osl 1", "--osl 100", "--isl 256"])
def test_every_command_takes_the_same_default(options: str, cli: Run) -> None:
    words = (*options.split(), "--gpu", "4090", "--offline", "--format", "json")
    fit = json.loads(cli("fit", "llama-3.2-1b", *words).stdout)["speed"]
    (row,) = json.loads(cli("sweep", "llama-3.2-1b", *words).stdout)
    assert (row["prompt_taken"] or fit["isl"], row["output_taken"] or fit["osl"]) == (fit["isl"], fit["osl"])
    best = json.loads(cli("pick", *words).stdout)["best"]
    assert (best["isl"], best["osl"]) == (fit["isl"], fit["osl"])
    others = json.loads(cli("compare", "llama-3.2-1b", "llama-3.1-8b", *words).stdout)
    assert f"requests of {fit['isl']:,}".replace("1,024", "1k") in " ".join(others["notes"])


@pytest.mark.parametrize("isl", [255, 256, 1024, 2048])
@pytest.mark.parametrize("osl", [1, 2, 1025])
@pytest.mark.parametrize("n", [1, 4])
def test_llama_server_takes_the_requests_that_its_command_is_for(isl: int, osl: int, n: int, cli: Run) -> None:
    """A slot refuses a prompt of `n_ctx` tokens and more, and ends where the prompt and its output come to it (llama.cpp 0c1e57098,
    tools/server/server-context.cpp `update_slots`, `process_token`); a slot's context is `-c` over `-np` up to a multiple of 256
    (src/llama-context.cpp)."""
    words = ("--quant", "q4_k_m", "--isl", str(isl), "--osl", str(osl), "--concurrency", str(n), "--offline", "--format", "json")
    command = json.loads(cli("fit", "llama-3.1-8b", "--gpu", "4090", "--engine", "llama.cpp", *words).stdout)["command"].split()
    tokens, slots = (int(command[command.index(flag) + 1]) for flag in ("-c", "-np"))
    assert slots == n and tokens // slots >= isl + osl


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # 395,840 tokens of cache: 193 requests of 2,048 tokens, and 9 of 40,960.
        ("--concurrency 32 --isl 1k --osl 1k", ""),
        ("--concurrency 300 --isl 1k --osl 1k", "room for 193 of 300 requests of 2,048 tokens"),
        ("--concurrency 32", "room for 9 of 32 requests of 40,960 tokens"),
    ],
)
def test_requests_wait_for_room_of_their_own_length(words: str, said: str, cli: Run) -> None:
    """vLLM 0.33, v1/core/kv_cache_manager.py `allocate_slots`: blocks are taken as tokens come, whatever the longest context is."""
    done = cli("fit", "qwen3-8b", *f"--gpu h100 --ctx 40k {words} --format json --offline".split())
    got = json.loads(done.stdout)
    assert not got["fits"] and (said in (got["speed"]["why"] or "")) and (got["speed"]["tpot_ms"] is None) is bool(said)
