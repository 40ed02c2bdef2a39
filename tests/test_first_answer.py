"""The first answer is the useful one: what is chosen where a question leaves it out, and tables of models and machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import hardware, zoo
from archcalc.analysis.choose import LEAST, choose, steps_of
from archcalc.analysis.fit import Ask, plans
from archcalc.engines.engine import chosen_for
from archcalc.errors import ArchcalcError, UsageError
from conftest import Run

Asked = Callable[..., Any]


@pytest.fixture
def asked(cli: Run) -> Asked:
    def call(arguments: str, status: int = 0) -> Any:
        done = cli("fit", *arguments.split(), "--format", "json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    return call


# The context


def test_without_a_context_the_longest_that_fits_is_the_answer(asked: Asked) -> None:
    """16 GB of weights leave a 24 GB card some GiB: at 128 KiB a token tens of thousands of tokens, and not 131,072 (16 GiB)."""
    got = asked("llama-3.1-8b --gpu 4090")
    assert got["fits"]
    assert 32768 <= got["context_tokens"] < 65536
    assert got["context_tokens"] <= got["max_context_tokens"] < 131072
    assert f"--max-model-len {got['context_tokens']}" in got["command"]
    own = got["own_context"]
    assert (own["context_tokens"], own["fits"]) == (131072, False)
    assert own["headroom_bytes"] < 0
    # The same with that context named, and one step more does not fit.
    again = asked(f"llama-3.1-8b --gpu 4090 --ctx {got['context_tokens']}")
    assert (again["fits"], again["plan"], again["own_context"]) == (True, got["plan"], None)
    more = asked(f"llama-3.1-8b --gpu 4090 --engine vllm --quant bf16 --ctx {got['context_tokens'] + 1024}", 1)
    assert not more["fits"]


def test_the_models_own_context_is_taken_where_it_fits(asked: Asked) -> None:
    got = asked("llama-3.1-8b --gpu h100")
    assert (got["context_tokens"], got["own_context"]["fits"], got["formats"], got["would_fit"]) == (131072, True, [], [])


def test_a_context_that_is_named_is_a_constraint(asked: Asked) -> None:
    got = asked("llama-3.1-8b --gpu 4090 --quant bf16 --ctx 128k", 1)
    assert (got["context_tokens"], got["fits"], got["own_context"]) == (131072, False, None)


MACHINES = ["4090", "h100", "4060", "m4-max-36gb", "2x4090", "t4", "8xh100", "mi300x"]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(zoo.names()), st.sampled_from(MACHINES), st.sampled_from([1, 4]))
def test_what_is_chosen_fits_as_if_it_were_named(name: str, gpu: str, concurrency: int) -> None:
    spec = hardware.parse_spec(gpu)
    architecture = zoo.spec(name)
    assert architecture is not None
    ask = Ask(spec, chosen_for(spec.device), concurrency=concurrency)
    try:
        made = choose(architecture, ask, steps_of(spec.device, ask.engine, alone=False))
        brief = choose(architecture, ask, steps_of(spec.device, ask.engine, alone=False, listed=True), brief=True)
    except ArchcalcError:
        return
    for held in (made.best, *made.formats, brief.best):
        best = held.found.best
        again = plans(architecture, held.ask._replace(context_tokens=best.context_tokens, sequences=None), alternatives=0).best
        assert (again.fits, again.headroom_bytes) == (best.fits, best.headroom_bytes)
        assert held.own is not None
        if best.fits and not held.own.fits:
            assert LEAST <= best.context_tokens < held.own.tokens
            further = min(held.own.tokens, best.context_tokens + 1024)
            assert not plans(architecture, held.ask._replace(context_tokens=further, sequences=None), alternatives=0).best.fits


# The storage


def test_on_a_card_of_ones_own_the_format_that_fits_is_found(asked: Asked) -> None:
    """65 GB as published against 24 GB: four bits fit, and both are told, each with its command."""
    got = asked("qwen3-32b --gpu 4090")
    assert (got["fits"], got["plan"]["quant"]) == (True, "w4a16")
    published, *others = got["formats"]
    assert (published["quant"], published["as_published"], published["fits"], published["command"]) == ("bf16", True, False, "")
    assert others
    for each in others:
        assert each["fits"]
        assert each["command"].startswith({"vllm": "vllm serve", "llama.cpp": "llama-server"}[each["engine"]])
        again = asked(f"qwen3-32b --gpu 4090 {each['options']}")
        assert (again["fits"], again["context_tokens"]) == (True, each["context_tokens"])
        assert again["per_gpu"]["headroom_bytes"] == each["headroom_bytes"]
    assert "as published (bf16)" in got["verdict"]


def test_in_a_data_center_and_where_asked_weights_are_as_published(asked: Asked) -> None:
    assert asked("llama-3.1-70b --gpu h100", 1)["plan"]["quant"] == "bf16"
    assert asked("qwen3-32b --gpu 4090 --quant bf16", 1)["plan"]["quant"] == "bf16"
    assert asked("qwen3-32b --gpu 4090 --max-quant none", 1)["formats"] == []
    got = asked("qwen3-32b --gpu 4090 --engine llama.cpp")
    assert {f["engine"] for f in got["formats"]} == {"llama.cpp"}


def test_what_was_taken_for_granted_is_one_line(cli: Run) -> None:
    page = cli("fit", "llama-3.1-8b", "--gpu", "4090").stdout
    assert "assumed" in page
    assert all(option in page for option in ("--ctx", "--engine", "--quant", "--concurrency"))
    said = "llama-3.1-8b --gpu 4090 --ctx 8k --engine vllm --quant fp8 --concurrency 2".split()
    assert "assumed" not in cli("fit", *said).stdout


@pytest.mark.parametrize(
    ("gpu", "engine"),
    [
        ("h100", "vllm"),
        ("4090", "vllm"),
        ("t4", "vllm"),
        ("4060", "llama.cpp"),
        ("m4-max", "llama.cpp"),
        ("rtx-4070-laptop", "llama.cpp"),
    ],
)
def test_the_engine_is_chosen_by_the_machine(gpu: str, engine: str) -> None:
    assert chosen_for(hardware.parse_spec(gpu).device) == engine


def test_without_a_machine_it_is_this_one(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc.cli._machines import machines_of
    from archcalc.hardware import here

    spec = hardware.parse_spec("2x4090")
    monkeypatch.setattr(here, "spec", lambda: spec)
    assert machines_of(None, None) == machines_of(["here"], None) == [spec]
    assert machines_of(None, "24GiB")[0].device.id == "custom"


@pytest.mark.parametrize(
    ("gpu", "vram", "count", "device"),
    [("2", "24GiB", 2, "custom"), ("4090", "20GiB", 1, "rtx-4090"), ("2x3090", "23GiB", 2, "rtx-3090")],
)
@pytest.mark.parametrize("most", [None, 1 << 20])
def test_a_number_beside_vram_is_a_count_unless_a_card_is_named_so(
    gpu: str, vram: str, count: int, device: str, most: int | None
) -> None:
    from archcalc.cli._machines import machine

    spec = machine(gpu, vram, most=most)
    assert (spec.count, spec.device.id) == (count, device)
    with pytest.raises(UsageError, match="--gpu 1080"):
        machine("1080", "11GiB", most=most)


# What a machine can run


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_list_names_the_format_in_every_width(width: int, cli: Run) -> None:
    lines = cli("fit", "--gpu", "4090", env={"COLUMNS": str(width)}).stdout.splitlines()
    assert {"model", "weights", "context", "tokens/s"} <= set(lines[0].split())
    assert "fits" not in lines[0].split()  # all that is shown does
    assert len([line for line in lines if " w4a16 " in line]) > 5
    assert any("--all" in line for line in lines)
    assert "quality is not ranked" in " ".join(" ".join(lines).split())
    if width >= 80:
        assert max(map(len, lines)) <= width


# By their cards: OpenAI's classify text by a policy that is given, DeepSeek's reads documents.
FOR_ONE_TASK = ("gpt-oss-safeguard-20b", "gpt-oss-safeguard-120b", "deepseek-ocr")


def test_what_was_made_for_one_task_is_no_first_answer(cli: Run) -> None:
    for gpu in ("h100", "t4"):
        best = json.loads(cli("pick", "--gpu", gpu, "--ctx", "8k", "--format", "json").stdout)["best"]["name"]
        assert best not in FOR_ONE_TASK
    rows = [
        json.loads(line) for line in cli("fit", "--gpu", "h100", "--family", "gpt-oss", "--format", "jsonl").stdout.splitlines()
    ]
    assert [r["source"] for r in rows][:2] == ["gpt-oss-120b", "gpt-oss-20b"] and "task" not in rows[0]


def test_the_newest_and_largest_that_fit_come_first(cli: Run) -> None:
    rows = json.loads(cli("fit", "--gpu", "4090", "--format", "json").stdout)

    def rank(r: dict[str, Any]) -> int:
        """What is too slow to be used stands behind weights of fewer than four bits, and those behind what nobody knows the speed of."""
        if (r["tokens_per_s"] or r["decode_tokens_per_s_ceiling"] or 99) < 10:
            return 3
        return (
            2
            if r["quant"].startswith(("q2", "q3", "iq2", "iq3"))
            else int((r["ram_bytes"] > 0 and r["tokens_per_s"] is None) or r["source"] in FOR_ONE_TASK)
        )

    key = [(not r["fits"], rank(r), -zoo.standing(r["params_total"], r["release"])) for r in rows if r["fits"]]
    assert key == sorted(key)
    assert [r["fits"] for r in rows] == sorted((r["fits"] for r in rows), reverse=True)
    # The JSON has every model that the engine runs, the page those that fit, and the rest behind --all.
    assert len(rows) > 200
    assert len(cli("fit", "--gpu", "4090").stdout.splitlines()) < 40
    assert len(cli("fit", "--gpu", "4090", "--all").stdout.splitlines()) > len(rows)


def test_a_list_of_a_small_card_is_of_gguf_files(cli: Run) -> None:
    rows = json.loads(cli("fit", "--gpu", "4060", "--format", "json").stdout)
    assert {r["engine"] for r in rows} == {"llama.cpp"}
    best = [r for r in rows if r["fits"]]
    # 8 GB hold 9 B parameters in four bits, and not in eight.
    assert any(r["quant"] == "q4_k_m" and r["params_total"] > 9e9 for r in best)
    assert not any(r["quant"] in ("bf16", "q8_0") and r["params_total"] > 9e9 for r in best)


# Tables of models and machines

CROSS = "llama-3.1-8b qwen3-32b --gpu 8xH100,8xH200 --gpu 8xMI300X --ctx 32k --concurrency 64".split()


def test_a_table_has_every_model_on_every_machine(cli: Run) -> None:
    done = cli("fit", *CROSS, "--format", "json")
    rows = json.loads(done.stdout)
    assert [(r["source"], r["gpu"]) for r in rows] == [
        (name, gpu) for name in ("llama-3.1-8b", "qwen3-32b") for gpu in ("h100-sxm-80gb", "h200-sxm-141gb", "mi300x-192gb")
    ]
    assert done.returncode == (0 if all(r["fits"] for r in rows) else 1)
    lines = cli("fit", *CROSS, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    # Each is what the same call says of it alone.
    alone = json.loads(cli("fit", "qwen3-32b", "--gpu", "8xh200", *CROSS[-4:], "--format", "json").stdout)
    assert alone == rows[4]


def test_a_table_reads_the_same_in_every_format(cli: Run) -> None:
    rows = json.loads(cli("fit", *CROSS, "--format", "json").stdout)
    table = cli("fit", *CROSS).stdout
    of_csv = list(csv.DictReader(io.StringIO(cli("fit", *CROSS, "--format", "csv").stdout)))
    for r, line, cells in zip(rows, table.splitlines()[1:], of_csv, strict=False):
        assert line.split()[:5] == [r["source"], f"{r['gpus']}x{r['gpu']}", "yes" if r["fits"] else "no", r["plan"]["quant"], "32k"]
        assert (cells["source"], cells["gpu"], cells["fits"]) == (r["source"], r["gpu"], str(r["fits"]))
        assert cells["price_of"] == r["cost"]["of"]
        assert float(cells["usd_per_hour"]) == r["cost"]["usd_per_hour"]
    markdown = [line for line in cli("fit", *CROSS, "--format", "markdown").stdout.splitlines() if line.startswith("|")]
    latex = [line for line in cli("fit", *CROSS, "--format", "latex").stdout.splitlines() if line.endswith("\\\\")]
    assert len(markdown) == len(rows) + 2
    assert len(latex) == len(rows) + 1
    assert len({line.count("|") for line in markdown}) == 1
    assert len({line.replace("\\&", "").count("&") for line in latex}) == 1

    from html.parser import HTMLParser

    class Cells(HTMLParser):
        found = 0

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.found += tag in ("td", "th")

    page = Cells()
    page.feed(cli("fit", *CROSS, "--format", "html").stdout)
    assert page.found == (len(rows) + 1) * (latex[0].count("&") + 1)


def test_prices_say_what_they_are_of(cli: Run) -> None:
    for r in json.loads(cli("fit", *CROSS, "--format", "json").stdout):
        offer = hardware.offers(r["gpu"], r["gpus"])[0][2]
        assert all(str(part) in r["cost"]["of"] for part in (offer.id, offer.provider, offer.price_date, "the whole of"))
    # A plan of fewer GPUs than the instance has pays for all of them, and says so.
    share = json.loads(cli("fit", "qwen3-32b", "--gpu", "4xh200", "--ctx", "8k", "--format", "json").stdout)
    assert "of which the plan uses 4" in share["cost"]["of"]


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(width: int, cli: Run) -> None:
    for call in (["fit", *CROSS], ["sweep", "gpt2", "gpt-oss-20b", "--gpu", "4090,8xh100", "--format", "table"]):
        lines = cli(*call, env={"COLUMNS": str(width)}).stdout.splitlines()
        assert max(map(len, lines)) <= width
        assert {"model", "machine", "fits", "weights", "context", "tokens/s"} <= set(lines[0].split())


def test_a_model_that_is_refused_has_its_line(cli: Run) -> None:
    done = cli("fit", "llama-3.1-8b", "no-such-model", "--gpu", "8xh100,8xh200", "--ctx", "8k")
    assert done.returncode == 1
    assert done.stdout.count("refused") == 2
    assert "no-such-model" in done.stderr


def test_a_list_of_cards_before_a_command_is_one_machine(cli: Run) -> None:
    words = ["--", "llama-server", "-m", "qwen3-30b-a3b", "-c", "8192"]
    for spec in ("1x5090,1x3090", "1x5090+1x3090"):
        got = json.loads(cli("fit", "--gpu", spec, "--quant", "q4_k_m", "--format", "json", *words).stdout)
        assert (got["gpu"], got["gpus"]) == ("rtx-5090+rtx-3090", 2)
    several = cli("fit", "--gpu", "5090", "--gpu", "3090", "--quant", "q4_k_m", "--format", "json", *words)
    assert [r["gpu"] for r in json.loads(several.stdout)] == ["rtx-5090", "rtx-3090"]


def test_a_list_is_split_at_its_commas_alone() -> None:
    assert hardware.split_list("8xH100,128xH200, 2x4090") == ["8xH100", "128xH200", "2x4090"]
    assert hardware.split_list("1,024xH100,8xH200") == ["1,024xH100", "8xH200"]


def test_a_sweep_has_the_columns_of_a_table_of_fits(cli: Run) -> None:
    call = ["llama-3.1-8b", "--ctx", "8k", "--concurrency", "4", "--gpu", "h100"]
    row = json.loads(cli("sweep", *call).stdout)
    got = json.loads(cli("fit", *call, "--format", "json").stdout)
    assert (row["engine_taken"], row["weights_taken"]) == (got["engine"], got["plan"]["quant"])
    assert row["context_taken"] == got["context_tokens"]
    assert (row["price_of"], row["usd_per_hour"]) == (got["cost"]["of"], got["cost"]["usd_per_hour"])
    assert row["usd_per_million_output_tokens"] == got["cost"]["usd_per_million_output_tokens"]
    assert row["bound_tokens_per_s"] == got["speed"]["bound_tokens_per_s"]
    table = cli("sweep", *call, "--format", "table").stdout.splitlines()
    both = cli("fit", *call[:-1], "h100,h200").stdout.splitlines()
    assert set(both[0].split()) - {"fits"} <= {*table[0].split(), "machine"}
    assert cli("sweep", *call, "--format", "table", "--out", "rows.csv").returncode == 2


# Advice that can be followed


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(hardware.devices()), st.integers(1, 8))
def test_a_device_that_advice_names_is_one_that_gpu_takes(device: hardware.Device, count: int) -> None:
    from archcalc.analysis.advice import named

    options = named(device, count)
    if not options:
        # Several Macs or laptops, and half of a package.
        assert device.category in ("soc", "laptop") or count % device.per_package
        return
    spec = hardware.parse_spec(options.removeprefix("--gpu "))
    # Of several sizes it is one by its name.
    sold = f"{device.id}-{device.nominal_gb}gb" if len(device.ram_options) > 1 else device.id
    assert (spec.device.id, spec.device.visible_bytes, spec.count) == (sold, device.visible_bytes, count)


@pytest.mark.parametrize(
    "call",
    [
        "llama-3.1-405b --vram 48GiB --ctx 8k",
        "llama-3.1-405b --gpu mi250x --ctx 8k",
        "llama-3.3-70b --gpu m4-max-36gb --ctx 8k",
        "qwen3-32b --gpu t4",
    ],
)
def test_more_and_other_gpus_are_named_as_they_are_typed(call: str, asked: Asked) -> None:
    from test_fit import typed

    got = asked(f"{call} --max-quant none", 1)
    changes = [c for c in got["would_fit"] if "-ngl" not in c["options"]]
    assert changes or "m4" in call
    for change in changes:
        words = typed([*call.split(), "--max-quant", "none"], change["options"].replace("--quant", "--max-quant"))
        assert asked(" ".join(words))["fits"], change


def test_layers_go_to_ram_only_where_there_is_enough(asked: Asked) -> None:
    call = "llama-3.1-70b --gpu 4090 --ctx 8k --engine llama.cpp --quant q4_k_m"
    (change,) = [c for c in asked(call, 1)["would_fit"] if "-ngl" in c["options"]]
    assert "CPU's memory" in change["what"]
    assert " -ngl " in asked(f"{call} --ram 64GiB", 0)["command"]
    assert not any("-ngl" in c["options"] for c in asked(f"{call} --ram 8GiB", 1)["would_fit"])
    # A Mac has one memory.
    mac = asked("llama-3.1-70b --gpu m4-max-36gb --ctx 8k --quant q8_0", 1)
    assert not any("-ngl" in c["options"] for c in mac["would_fit"])


@pytest.mark.parametrize(
    "call", ["llama-3.1-8b --seq 8k --micro-batch 8 --gpu h100 --lora 16", "qwen3-0.6b --seq 4k --micro-batch 64 --gpu 4090"]
)
def test_the_micro_batch_that_is_named_is_the_largest_that_fits(call: str, cli: Run) -> None:
    changes = json.loads(cli("train", *call.split(), "--format", "json").stdout)["would_fit"]
    (options,) = [c["options"] for c in changes if c["options"].startswith("--micro-batch") and " --" not in c["options"]]
    size = int(options.split()[1])
    words = call.split()
    at = words.index("--micro-batch") + 1
    for n, fits in ((size, True), (size + 1, False)):
        words[at] = str(n)
        # The plan that stands where none fits, as it was chosen for the call.
        got = json.loads(cli("train", *words, "--checkpointing", "full", "--format", "json").stdout)
        assert got["fits"] == fits, n


@pytest.mark.parametrize(
    "call", ["qwen3-235b-a22b --gpu 8xh200 --ctx 128k", "qwen3.5-27b --gpu 8xh200 --ctx 512k", "gpt2 --gpu 4090 --ctx 8k"]
)
def test_what_a_refusal_asks_to_set_it_names(call: str, cli: Run) -> None:
    import shlex

    done = cli("fit", *call.split())
    assert done.returncode == 2
    hint = done.stderr[done.stderr.index("--set ") :].strip()
    again = json.loads(cli("fit", *call.split(), *shlex.split(hint), "--format", "json").stdout)
    assert again["fits"]
    if "qwen" in call:
        assert "yarn" in hint


def test_the_page_says_what_its_sequences_are(cli: Run) -> None:
    page = " ".join(cli("fit", "llama-3.1-8b", "--gpu", "h100", "--ctx", "8k", "--concurrency", "4").stdout.split())
    assert "in each of 4 sequences" in page
    assert "if every one is 8k long, more if they are shorter" in page
    assert "such sequences" not in page


# The same options everywhere


@pytest.mark.parametrize(
    "call",
    [
        "fit llama-3.1-8b --gpu h100 --ctx 4k --ctx 8k", "pick --gpu h100 --gpu h200", "sweep gpt2 --ctx 1k --ctx 512",
        "train llama-3.1-8b --seq 1k --micro-batch 1 --seq 2k", "compare gpt2 --ctx 1k --ctx 512", "inspect gpt2 -f json -f csv",
    ],
)  # fmt: skip
def test_an_option_given_twice_is_refused(call: str, cli: Run) -> None:
    done = cli(*call.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "is given 2 times" in done.stderr


def test_options_that_may_be_repeated_are_not(cli: Run) -> None:
    assert cli("inspect", "gpt2", "--set", "n_layer=2", "--set", "n_head=2", "--format", "json").returncode == 0
    assert cli("fit", "gpt2", "--gpu", "h100", "--gpu", "h200", "--offline", "--offline").returncode == 0


def test_what_a_shell_completes() -> None:
    from archcalc.cli import _options

    assert "8xh100" in _options.gpus("8xh1")
    assert "8xh100,8xh200" in _options.gpus("8xh100,8xh2")
    assert "here" in _options.gpus("he")
    assert _options.engines("vllm,sg") == ["vllm,sglang"]
    assert "q4_k_m" in _options.formats("q4_k")
    assert "llm-d" in _options.kinds("l")
    assert "llama-3.1-8b" in _options.bundled("llama-3.1")


COMPLETED = {
    "--gpu": "fit pick sweep train plot diagnose calibrate", "--engine": "fit pick sweep kv inspect plot calibrate",
    "--quant": "fit sweep diagnose calibrate plot", "--emit": "fit",
}  # fmt: skip


@pytest.mark.parametrize(("option", "command"), [(option, each) for option, all_ in COMPLETED.items() for each in all_.split()])
def test_options_complete_in_every_command(option: str, command: str, cli: Run) -> None:
    """As bash asks: typer prints one word a line."""
    line = f"archcalc {command} {option} "
    env = {"_ARCHCALC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}
    words = cli(env=env).stdout.split()
    expected = {"--gpu": "h100", "--engine": "vllm", "--quant": "fp8", "--emit": "compose"}[option]
    assert expected in words


OFFLINE = "inspect tensors kv models compare fit diagnose calibrate pick plot train report sweep card check gpus verify"


@pytest.mark.parametrize("command", OFFLINE.split())
def test_every_command_takes_offline(command: str, cli: Run) -> None:
    assert "--offline" in cli(command, "--help", env={"COLUMNS": "200"}).stdout


def test_a_table_takes_nothing_for_granted_that_its_lines_contradict(cli: Run) -> None:
    page = " ".join(cli("fit", "llama-3.1-8b", "qwen3-32b", "--gpu", "4090").stdout.split())
    assert "weights as published, or in a format that fits (--quant)" in page
    assert "weights in bf16" not in page
    both = " ".join(cli("fit", "qwen3-8b", "--gpu", "h100,4060").stdout.split())
    assert "vLLM (--engine) or llama.cpp (--engine)" in both


def test_no_is_said_of_the_least_context(asked: Asked) -> None:
    got = asked("llama-3.1-405b --gpu h100", 1)
    assert got["verdict"].startswith("does not fit: not even 4k tokens")
    assert (got["context_tokens"], got["own_context"]["fits"], got["command"]) == (LEAST, False, "")


@pytest.mark.parametrize(
    "asked",
    [("gemma-3-27b", "3x4060", "q3_k_m"), ("qwen3-14b", "2x4060", "q4_k_m"), ("llama-3.3-70b", "3x3090", "q4_k_m")],
)
def test_the_context_that_is_chosen_is_judged_as_if_it_were_asked_for(asked: tuple[str, str, str], cli: Run) -> None:
    """Where layers lie on several GPUs another one may be the fullest at another length: the last has the head."""
    source, gpu, quant = asked
    question = ("fit", source, "--gpu", gpu, "--engine", "llama.cpp", "--quant", quant, "--format", "json")
    chosen = json.loads(cli(*question).stdout)
    context = chosen["context_tokens"]
    given = json.loads(cli(*question, "--ctx", str(context)).stdout)
    assert chosen["fits"] and given["fits"]
    assert chosen["per_gpu"] == given["per_gpu"]
    longer = json.loads(cli(*question, "--ctx", str(context + 1024)).stdout)
    assert not longer["fits"] and context <= longer["max_context_tokens"] < context + 1024


@pytest.mark.parametrize(
    ("arguments", "said", "instead"),
    [
        ("--gpu 2x16xh100", "a machine has up to 8", "32xh100"),
        ("--gpu h100-mig-3g.40gb", "part of a GPU", "--gpu h100 --vram"),
        ("--gpu 2x4090x2", "two counts", "2x4090"),
        ("--gpu cpu", "not for a CPU alone", "archcalc kv"),
        ("--gpu h100 --engine vllm,sglang", "one engine is asked", "archcalc sweep"),
    ],
)
def test_what_people_type_is_answered_with_what_to_type(arguments: str, said: str, instead: str, cli: Run) -> None:
    done = cli("fit", "gpt2", *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    what, do = done.stderr.splitlines()
    assert said in what
    assert instead in do


def test_one_request_is_no_requests(cli: Run) -> None:
    done = cli("fit", "gpt-oss-120b", "--gpu", "h100", "--ctx", "128k", "--tpot", "20ms")
    assert "1 request at once" in " ".join(done.stdout.split())


PACKED = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
}


@pytest.mark.parametrize("method", PACKED)
def test_weights_that_no_gguf_is_made_of_are_served_where_they_are_read(method: str, cli: Run, tmp_path: Path) -> None:
    """llama.cpp is chosen on a small card, and its converter reads neither (convert_hf_to_gguf.py `dequant_model`): fit, compare and sweep
    turn to the engine that does, and say so."""
    config = {
        "model_type": "mistral", "architectures": ["MistralForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
        "max_position_embeddings": 32768, "torch_dtype": "float16", "quantization_config": PACKED[method],
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    fit = json.loads(cli("fit", str(path), "--gpu", "4060", "--ctx", "8k", "--format", "json").stdout)
    assert (fit["engine"], fit["fits"]) == ("vllm", True)
    row = json.loads(cli("sweep", str(path), "--gpu", "4060", "--ctx", "8k").stdout)
    assert (row["fits"], row["weights_bytes"]) == (True, fit["per_gpu"]["weights_bytes"])
    told = json.loads(cli("compare", str(path), str(path), "--gpu", "4060", "--ctx", "8k", "--format", "json").stdout)
    assert next(row for row in told["rows"] if row["key"] == "fits")["values"][0] == "yes"
    assert "vLLM (--engine)" in told["notes"][0]
    named = cli("fit", str(path), "--gpu", "4060", "--ctx", "8k", "--engine", "llama.cpp")
    assert named.returncode == 2 and "converter reads no" in named.stderr


@pytest.mark.parametrize(
    ("call", "engine"),
    [
        ("qwen3-coder-30b-a3b --gpu 3090 --quant q4_k_m", "llama.cpp"),
        ("llama-3.3-70b --gpu 2x3090 --quant iq4_xs --ctx 8k", "llama.cpp"),
        ("qwen3-8b --gpu 4090 --quant q8_0", "llama.cpp"),
        ("qwen3-8b --gpu 4090 --quant w4a16", "vllm"),
        ("qwen3-8b --gpu 4090 --quant q8_0 --engine vllm", "vllm"),
        ("qwen3-8b --gpu h100 --quant q8_0", "vllm"),
    ],
)
def test_a_type_of_gguf_is_for_the_engine_that_it_is_of(call: str, engine: str, run: Run) -> None:
    """On a card of one's own a GGUF type was planned under vLLM, whose reader of such files is an experiment by its own documentation."""
    done = run("fit", *call.split(), "--format", "json")
    assert json.loads(done.stdout)["engine"] == engine


@pytest.mark.parametrize("gpu", ["m4-max-64gb", "m3-max", "m4-pro-24gb"])
def test_a_larger_mac_is_no_older_one(gpu: str, run: Run) -> None:
    """To the owner of an M4 Max an M2 Max was named, as the smallest that holds the model."""
    done = run("fit", "gpt-oss-120b", "--gpu", gpu, "--ctx", "100k", "--format", "json")
    report = json.loads(done.stdout)
    here = hardware.parse_spec(gpu).device
    larger = [c["options"].removeprefix("--gpu ") for c in report["would_fit"] if c["options"].startswith("--gpu ")]
    assert all(hardware.parse_spec(name).device.year >= here.year for name in larger)
    assert larger or report["fits"]
