"""Sweep: the same answers as the commands, in order, in any format, and going on where it stopped."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import archcalc
from archcalc import hardware
from archcalc import sweep as sweep_library
from archcalc.analysis import grid
from archcalc.errors import UsageError
from conftest import Run


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_combination_in_order(run: Run) -> None:
    rows = lines(run("sweep", "gpt2", "llama-3.1-8b", "--ctx", "512,1k", "--concurrency", "1,4").stdout)
    assert [(r["source"], r["context_tokens"], r["concurrency"]) for r in rows] == [
        (source, context, n) for source in ("gpt2", "llama-3.1-8b") for context in (512, 1024) for n in (1, 4)
    ]


def test_a_row_says_what_the_commands_say(run: Run) -> None:
    (row,) = lines(
        run("sweep", "llama-3.1-8b", "--ctx", "32k", "--gpu", "h100", "--kv-dtype", "fp8", "--set", "num_hidden_layers=16").stdout
    )
    r = archcalc.inspect("llama-3.1-8b", context="32k", kv_dtype="fp8", overrides={"num_hidden_layers": 16}, offline=True)
    assert r.kv_cache is not None
    assert r.checkpoint is not None
    assert (row["params_total"], row["kv_bytes"], row["checkpoint_bytes"]) == (r.params.total, r.kv_cache.bytes, r.checkpoint.bytes)
    done = run(
        "fit",
        "llama-3.1-8b",
        "--ctx",
        "32k",
        "--gpu",
        "h100",
        "--kv-dtype",
        "fp8",
        "--set",
        "num_hidden_layers=16",
        "--format",
        "json",
    )
    fitted = json.loads(done.stdout)
    for name in ("weights_bytes", "kv_room_bytes", "kv_needed_bytes", "headroom_bytes"):
        assert row[name] == fitted["per_gpu"][name]
    assert (row["fits"], row["max_concurrency"]) == (fitted["fits"], fitted["max_concurrency"])


def test_a_mac_runs_what_fit_runs_there(run: Run) -> None:
    row = json.loads(run("sweep", "llama-3.1-8b", "--gpu", "m4-max-64gb", "--ctx", "8k").stdout)
    got = json.loads(run("fit", "llama-3.1-8b", "--gpu", "m4-max-64gb", "--ctx", "8k", "--format", "json").stdout)
    assert got["engine"] == "llama.cpp"
    for name in ("weights_bytes", "kv_room_bytes", "headroom_bytes"):
        assert row[name] == got["per_gpu"][name]


def test_a_row_that_cannot_be_says_why(run: Run) -> None:
    rows = lines(run("sweep", "llama-3.1-8b", "gpt-oss-20b", "--gpu", "8xh100", "--tp", "3").stdout)
    assert all("tp 3" in str(r["error"]) for r in rows)
    # What does not depend on the machine is told all the same.
    assert [r["params_total"] for r in rows] == [
        json.loads(run("inspect", name, "--format", "json").stdout)["params"]["total"] for name in ("llama-3.1-8b", "gpt-oss-20b")
    ]
    assert all(r["kv_bytes"] and r["fits"] is None for r in rows)
    done = run("sweep", "no-such-model", "gpt2")
    assert [(r["error"] is None) for r in lines(done.stdout)] == [False, True]
    assert done.returncode == 1
    # The columns do not depend on what came out.
    assert len({tuple(r) for r in lines(done.stdout)}) == 1
    assert run("sweep", "no-such-model").returncode == 1


def test_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    call = ("sweep", "gpt2", "qwen3-0.6b", "--ctx", "128,256,512", "--out", "rows.jsonl")
    run(*call)
    path = tmp_path / "rows.jsonl"
    whole = path.read_text(encoding="utf-8")
    kept = whole.splitlines(keepends=True)
    # Three rows and the beginning of a fourth: what a full disk or a Ctrl-C leaves.
    marked = kept[0].replace('"gpt2"', '"gpt2"', 1).rstrip("}\n") + ', "mark": 1}\n'
    path.write_text("".join([marked, *kept[1:3], kept[3][:40]]), encoding="utf-8")
    run(*call, "--resume")
    rows = lines(path.read_text(encoding="utf-8"))
    assert len(rows) == 6
    assert rows[0].pop("mark") == 1
    assert rows == lines(whole)


@pytest.mark.parametrize(
    "held", [b"5\n", b"[1]\n{}\n", b"{}\n", b'{"source": 5}\n', b"\xff\xfe\n{}\n", b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n"]
)
def test_goes_on_with_no_file_but_its_own(held: bytes, run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(held)
    done = run("sweep", "gpt2", "--out", "rows.jsonl", "--resume")
    assert (done.returncode, (tmp_path / "rows.jsonl").read_bytes()) == (2, held)
    assert "rows.jsonl, line 1: " in done.stderr
    assert "internal error" not in done.stderr


def test_a_row_that_was_cut_within_a_character_is_computed_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes('{"source": "é'.encode()[:-1])
    assert run("sweep", "gpt2", "--out", "rows.jsonl", "--resume").returncode == 0
    assert [row["source"] for row in lines((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))] == ["gpt2"]


def test_csv_has_config_keys_as_columns(run: Run, tmp_path: Path) -> None:
    run("sweep", "llama-3.1-8b", "--set", "num_hidden_layers=2,4", "--ctx", "1k", "--out", "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["set.num_hidden_layers"] for r in rows] == ["2", "4"]
    assert int(rows[0]["params_total"]) < int(rows[1]["params_total"])


def test_parquet_or_what_to_install(run: Run, tmp_path: Path) -> None:
    done = run("sweep", "gpt2", "--ctx", "1k", "--out", "rows.parquet")
    try:
        import pyarrow.parquet
    except ImportError:
        assert done.returncode == 2
        assert "archcalc[parquet]" in done.stderr
    else:
        assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == 1


def test_a_pool_gives_what_one_process_gives(run: Run) -> None:
    call = ("sweep", "gpt2", "--ctx", ",".join(map(str, range(1, 1025))))
    assert run(*call, "--jobs", "2").stdout == run(*call, "--jobs", "1").stdout


def test_points_do_not_depend_on_their_order() -> None:
    rows = list(grid.grid({"source": ["gpt2", "qwen3-0.6b"], "context_tokens": [64, 128], "gpu": ["4090"]}, {}))
    assert grid.points(rows[::-1])[::-1] == grid.points(rows)
    assert grid.size({"source": ["gpt2", "qwen3-0.6b"], "context_tokens": [64, 128], "gpu": ["4090"]}, {}) == len(rows)


def test_the_library_computes_what_the_command_does(run: Run) -> None:
    from archcalc.sweep import rows, run_all, size

    asked = {
        "context_tokens": ["4k", 131072],
        "gpu": ["4090", "8xh100"],
        "kv_dtype": ["fp8"],
        "set": {"num_hidden_layers": [16, 32]},
    }
    grid = list(rows(["llama-3.1-8b"], **asked))  # type: ignore[arg-type]
    printed = run("sweep", "llama-3.1-8b", "--ctx", "4k,128k", "--gpu", "4090,8xh100", "--kv-dtype", "fp8",
                  "--set", "num_hidden_layers=16,32")  # fmt: skip
    assert run_all(grid) == lines(printed.stdout)
    assert size(source=["llama-3.1-8b"], **asked) == len(grid) == 8


@pytest.mark.parametrize(
    "wrong", [{"gpus": ["h100"]}, {"context_tokens": "4k"}, {"context_tokens": []}, {"gpu": ["voodoo2"]}, {"tp": [2]}]
)
def test_wrong_grids(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        sweep_library.axes(source=["gpt2"], **wrong)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gpt2", "--ctx", "4k,lots"], "lots"),
        (["gpt2", "--ctx", ","], "lists nothing"),
        (["gpt2", "--tp", "2"], "--gpu"),
        (["gpt2", "--gpu", "voodoo2"], "voodoo2"),
        (["gpt2", "--gpu", "h100", "--engine", "abacus"], "abacus"),
        (["gpt2", "--gpu", "h100", "--tp", "0"], "above zero"),
        (["gpt2", "--set", "n_layer"], "KEY=LIST"),
        (["gpt2", "--gpu", "h100", "--quant", "int1"], "int1"),
        (["gpt2", "--out", "rows.xlsx"], "ending"),
        (["gpt2", "--out", "rows.csv", "--resume"], ".jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls(arguments: list[str], said: str, run: Run) -> None:
    done = run("sweep", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_without_figures_is_named(run: Run) -> None:
    done = run("sweep", "no-such-model", "gpt2", "--ctx", "128,256")
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert len(lines(done.stdout)) == 4
    done = run("sweep", "llama-3.1-8b", "--gpu", "4090,2x4090", "--tp", "2", "--ctx", "1k")
    assert done.returncode == 0
    assert "1 of 2 rows have no figures" in done.stderr


def test_a_row_uses_exactly_its_gpus(run: Run) -> None:
    rows = lines(run("sweep", "llama-3.1-8b", "--gpu", "8xh100", "--tp", "1,2,3,8", "--pp", "1,2", "--ctx", "1k").stdout)
    for row in rows:
        if row["error"] is None:
            ways = dict(re.findall(r"(tp|pp|dp)(\d+)", row["plan"]))
            assert int(ways["tp"]) * int(ways["pp"]) * int(ways["dp"]) == 8
        else:
            assert "8 GPUs are named" in row["error"]
    assert sum(row["error"] is None for row in rows) == 5


def test_a_table_says_why_and_what_its_rows_stand_on(cli: Run) -> None:
    """What a reader sees beside the table: each reason of a refused row once, keys that are not understood, and weights as stored."""
    asked = ("sweep", "llama-3.1-8b", "nosuch", "--gpu", "t4,8xh100", "--tp", "3,1", "--set", "nosuchkey=2", "--ctx", "8k")
    said = " ".join(cli(*asked, "--format", "table").stdout.split())
    assert said.count("tp 3, and 1 GPU is named") == 1
    assert said.count("refused: nosuch: 'nosuch' is neither a bundled model nor a file") == 1
    assert "counted in part, as `archcalc inspect` says: llama-3.1-8b" in said
    assert "weights are as stored where --quant names no other" in said
    fits = cli("sweep", "llama-3.1-8b", "--gpu", "8xh100", "--ctx", "8k", "--format", "markdown").stdout
    assert "refused" not in fits and "as stored" not in fits and "in part" not in fits
    alone = cli("sweep", "nosuch", "gpt2", "--ctx", "512", "--format", "table").stdout
    assert "refused: nosuch: 'nosuch' is neither" in alone


def test_a_value_of_a_key_may_be_json_with_commas(cli: Run) -> None:
    scaled = '{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}'
    asked = ("sweep", "qwen3-8b", "--set", f"rope_scaling=null,{scaled}", "--set", "max_position_embeddings=131072", "--ctx", "1k")
    rows = [json.loads(line) for line in cli(*asked).stdout.splitlines()]
    assert [row["set"]["rope_scaling"] for row in rows] == [None, json.loads(scaled)]
    assert all(row["error"] is None for row in rows)
    made = archcalc.sweep("qwen3-8b", ctx="1k", set={"rope_scaling": f"null,{scaled}", "max_position_embeddings": 131072})
    assert made.to_dict() == rows


def test_machines_that_are_rented_and_cards_of_another_size(cli: Run) -> None:
    """`--gpu all` asks of the machines that `fit --gpu all` asks of, and `--vram` of the same card as `fit --vram`."""
    rows = [json.loads(line) for line in cli("sweep", "qwen3-8b", "--gpu", "all", "--ctx", "4k").stdout.splitlines()]
    named = {(spec.device.id, spec.count) for spec in hardware.rented()}
    assert {(hardware.parse_spec(r["gpu"]).device.id, hardware.parse_spec(r["gpu"]).count) for r in rows} == named
    line = cli("sweep", "qwen3-8b", "--gpu", "5090", "--vram", "28GiB,31.5GiB", "--ctx", "4k").stdout.splitlines()
    found = {r["vram"]: r["headroom_bytes"] for r in map(json.loads, line)}
    for size, headroom in found.items():
        fit = json.loads(cli("fit", "qwen3-8b", "--gpu", "5090", "--vram", size, "--ctx", "4k", "--format", "json").stdout)
        assert fit["per_gpu"]["headroom_bytes"] == headroom
    assert len(set(found.values())) == 2
    alone = json.loads(cli("sweep", "qwen3-8b", "--vram", "24GiB", "--ctx", "4k").stdout)
    assert (alone["gpu"], alone["fits"]) == ("24GiB", True)
    wrong = cli("sweep", "qwen3-8b", "--gpu", "5090", "--vram", "80GiB", "--ctx", "4k")
    assert wrong.returncode == 1 and "has 31.3 GiB" in wrong.stderr


def test_a_question_of_one_machine_names_the_one_of_all() -> None:

    with pytest.raises(UsageError) as error:
        archcalc.fit("gpt2", gpu="h100,h200", ctx="1k", offline=True)
    assert "archcalc.sweep with gpu='h100,h200'" in str(error.value.hint)
    assert len(archcalc.sweep("gpt2", gpu="h100,h200", ctx="1k")) == 2


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ("inspect gpt2 --format csv", True),
        ("kv gpt2 --format csv", True),
        ("fit gpt2 --gpu h100 --format csv", True),
        ("fit gpt2 --gpu h100 --format html", True),
        ("inspect gpt2 --format json", False),
        ("kv gpt2 --format markdown", False),
        ("fit gpt2 --gpu h100 --format json", False),
    ],
)
def test_formulas_are_refused_where_a_format_has_no_place_for_them(arguments: str, refused: bool, cli: Run) -> None:
    done = cli(*arguments.split(), "--explain")
    assert (done.returncode == 2) == refused
    assert ("--explain has no place" in done.stderr) == refused


@pytest.mark.parametrize(("name", "cached"), [("gpt2", "fp32"), ("qwen3-8b", "bf16")])
def test_a_cache_is_of_the_dtype_that_weights_are_loaded_in(name: str, cached: str, cli: Run) -> None:
    """transformers loads what is published, whether one asks for the cache alone or for the fit."""
    kv = json.loads(cli("kv", name, "--engine", "transformers", "--ctx", "1k", "--format", "json").stdout)
    fit = json.loads(cli("fit", name, "--engine", "transformers", "--gpu", "h100", "--ctx", "1k", "--format", "json").stdout)
    assert kv["dtype"] == fit["plan"]["kv_dtype"] == cached
    assert kv["bytes"] == fit["per_gpu"]["kv_needed_bytes"]


@pytest.mark.parametrize("value", [1, 2])
def test_a_key_that_some_pass_over_is_named_where_it_says_something(value: int, cli: Run) -> None:
    """vLLM 0.33, models/deepseek_v2.py `DeepseekV2DecoderLayer`: every second layer alone has experts then; transformers passes it over."""
    got = json.loads(cli("inspect", "deepseek-v3", "--set", f"moe_layer_freq={value}", "--format", "json").stdout)
    assert got["status"] == "counted"
    fit = json.loads(cli("fit", "deepseek-v3", "--set", f"moe_layer_freq={value}", "--gpu", "16xh200", "--format", "json").stdout)
    for notes in (got["notes"], fit["notes"]):
        assert any(note.startswith("moe_layer_freq is 2: ") for note in notes) == (value == 2)


@pytest.mark.parametrize(("context", "told"), [("1m", False), ("8k", True), ("8k,1m", True)])
def test_words_under_a_table_are_of_what_it_shows(context: str, told: bool, cli: Run) -> None:
    """Where every row is refused there are no tokens/s and no sequences to explain."""
    out = cli("sweep", "llama-3.1-8b", "--gpu", "4090", "--ctx", context, "--offline", "--format", "table").stdout
    assert ("tokens/s: forecast of all" in out) is told and ("sequences: how many" in out) is told
    assert "a request ;" not in out


def test_what_tells_rows_apart_stays_on_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines were two rows with the same words: their column was the second to go."""
    monkeypatch.setenv("COLUMNS", "80")
    done = run("sweep", "qwen3-8b", "--gpu", "h100", "--engine", "vllm,sglang", "--ctx", "8k", "--format", "table")
    lines = done.stdout.splitlines()
    assert lines[0].split()[-1] == "engine"
    assert [line.split()[-1] for line in lines[1:3]] == ["vllm", "sglang"]
    left_out = next((line for line in lines if line.startswith("(too narrow for: ")), "")
    for head in ("sequences",):
        assert (head in left_out) != any(line.startswith(f"{head}: ") for line in lines)
