"""The library's questions are the commands': the same options, the same answers, the same refusals."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

import pytest

import archcalc
from archcalc import questions
from archcalc.errors import ArchcalcError, UsageError
from archcalc.render import notebook
from conftest import Run

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}  # fmt: skip
# 2 x (attention + mlp + two norms) + embedding + head + last norm.
TOTAL = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128 + 2 * 64) + 2 * 100 * 64 + 64
CASES: dict[str, dict[str, Any]] = {
    "inspect": {"loaded": True, "ctx": "8k", "batch": 2},
    "kv": {"engine": "vllm", "ctx": 8192, "tp": 2},
    "fit": {"gpu": "h100", "ctx": "16k", "concurrency": 4, "max_num_batched_tokens": 4096},
    "train": {"seq": "4k", "lora": 16, "qlora": True, "gpu": "4090", "optimizer": "adamw-8bit"},
}


def flags(options: dict[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return words


@pytest.mark.parametrize("name", CASES)
def test_a_question_gives_what_its_command_prints(name: str, run: Run) -> None:
    report = getattr(archcalc, name)("llama-3.1-8b", offline=True, **CASES[name])
    printed = run(name, "llama-3.1-8b", "--offline", "--format", "json", *flags(CASES[name])).stdout
    assert report.to_dict() == json.loads(printed)
    assert json.loads(report.to_json()) == report.to_dict()


@pytest.mark.parametrize("name", CASES)
def test_options_are_the_command_s(name: str) -> None:
    command = importlib.import_module(f"archcalc.cli.{name}").command
    known = {"set" if option == "set_" else option for option in questions._options(command)}
    own = set(inspect.signature(getattr(questions, name)).parameters) - {"source"}
    assert own - {"context", "overrides"} <= known
    # What is left to the command: how to print, lists of models, and commands of engines.
    left = known - own - {"call", "return", "source", "format"}
    assert left <= {
        "explain", "command_file", "min_params", "family", "license", "sort", "emit", "image", "all", "ram",
        "ram_bandwidth", "nodes",
    }, left  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fit", {"gpu": "h100", "tp": 0}, "tp=0"),
        ("fit", {"gpu": "h100", "tp": True}, "tp=True"),
        ("fit", {"gpu": "h1000"}, "h1000"),
        ("fit", {"gpu": "h100", "quant": "fp8", "max_quant": "fp8"}, "exclude each other"),
        ("kv", {"engine": "vllm", "unified": "yes"}, "unified='yes'"),
        ("train", {"seq": "4k", "optimizer": "adam"}, "adamw"),
        ("inspect", {"ctx": ["8k"]}, "ctx=['8k']"),
        ("inspect", {"ctx": "8k", "context": "4k"}, "one option"),
    ],
)
def test_what_a_command_refuses_is_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArchcalcError) as caught:
        getattr(archcalc, name)("llama-3.1-8b", offline=True, **options)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_model_is_a_name_a_path_a_mapping_or_what_was_loaded(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    for source in (path, str(path), CONFIG, archcalc.load(CONFIG), archcalc.load(CONFIG).architecture):
        assert archcalc.inspect(source).params.total == TOTAL
        assert archcalc.fit(source, gpu="t4", ctx="1k", kv_dtype="fp16").fits
        assert archcalc.kv(source, ctx="1k").bytes == 2 * 2 * 2 * 16 * 2 * 1024
        assert archcalc.train(source, seq=128).params == TOTAL
    deeper = {"num_hidden_layers": 4}
    totals = {archcalc.inspect(source, set=deeper).params.total for source in (path, CONFIG)}
    assert totals == {2 * TOTAL - 2 * 100 * 64 - 64}
    with pytest.raises(UsageError, match=r"archcalc\.load|yet to be read"):
        archcalc.inspect(archcalc.load(CONFIG), set=deeper)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: archcalc.inspect("gpt2", set="n_layer=2"), "set='n_layer=2'"),
        (lambda: archcalc.fit("gpt2", gpu="t4", set=["n_layer=2"]), "a mapping of config keys"),
        (lambda: archcalc.inspect("gpt2", set={"n_layer": object()}), "n_layer: a value of type object"),
        (lambda: archcalc.inspect(CONFIG, set={"num_hidden_layers": {1, 2}}), "num_hidden_layers: a value of type set"),
        (lambda: archcalc.compare("gpt2", set="n_layer=2"), "a mapping of config keys"),
        (lambda: archcalc.plot("kv", "gpt2", set={1: 2}), "a mapping of config keys"),
        (lambda: archcalc.load("gpt2", overrides="n_layer=2"), "overrides='n_layer=2'"),
        (lambda: archcalc.check(None), "NoneType"),
        (lambda: archcalc.plot("kv", "gpt2").save(None), "path=None"),
        (lambda: archcalc.compare("gpt2", rows="totl"), "--rows totl"),
        (lambda: archcalc.fit("gpt2", gpu=["t4", "l4"]), "gpu=['t4', 'l4']"),
        (lambda: archcalc.fit("gpt2", gpu="h100,4090"), "one machine"),
        (lambda: archcalc.train("gpt2", seq=128, gpu="h100,4090"), "names 2 groups"),
        (lambda: archcalc.sweep("gpt2", set="n_layer=2"), "set='n_layer=2'"),
        (lambda: archcalc.sweep("gpt2", offline="yes"), "offline='yes'"),
        (lambda: archcalc.sweep("gpt2", gpu="here"), "--gpu here"),
        (lambda: archcalc.sweep("gpt2", gpu=8), "gpu=8"),
        (lambda: archcalc.sweep(None), "NoneType"),
        (lambda: archcalc.sweep([b"gpt2"]), "bytes"),
    ],
)
def test_what_is_of_another_type_is_refused_in_words(call: Any, words: str) -> None:
    with pytest.raises(ArchcalcError) as caught:
        call()
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_sweep_takes_what_its_siblings_take(tmp_path: Path) -> None:
    """A config in memory is one model, and no list of its keys; texts with commas are lists, as on the command line."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    deeper = {**CONFIG, "num_hidden_layers": 4}
    for source in (path, CONFIG, archcalc.load(CONFIG), archcalc.load(CONFIG).architecture):
        (row,) = archcalc.sweep(source, offline=True)
        assert (row["params_total"], row["error"]) == (TOTAL, None)
    # Two configs of one type are two models, now and in the next call.
    for _ in range(2):
        totals = [row["params_total"] for row in archcalc.sweep([CONFIG, deeper, "gpt2"])]
        assert totals == [TOTAL, 2 * TOTAL - 2 * 100 * 64 - 64, 124439808]
    made = archcalc.sweep(CONFIG, ctx="1k, 2k", set={"num_hidden_layers": "2,4"}, gpu="t4,1xl4")
    assert json.loads(made.to_json())[0]["source"] == "llama"
    assert [(r["context_tokens"], r["set"]["num_hidden_layers"], r["gpu"]) for r in made] == [
        (context, layers, gpu) for layers in (2, 4) for context in (1024, 2048) for gpu in ("t4", "1xl4")
    ]
    assert [r["params_total"] for r in archcalc.sweep(CONFIG, set={"num_hidden_layers": 2})] == [TOTAL]


def test_compare_check_and_sweep(tmp_path: Path, run: Run) -> None:
    made = archcalc.compare("llama-3.1-8b", CONFIG, rows=["total"], offline=True)
    assert made.rows[0].exact == [8030261248, TOTAL]
    assert made.to_rows()[0]["llama-3.1-8b"] == 8030261248
    card = tmp_path / "card.md"
    card.write_text("| Model | Layers |\n| --- | --- |\n| llama-3.1-8b | 33 |\n", encoding="utf-8")
    checked = archcalc.check(card, offline=True)
    assert (checked.wrong, checked.results[0].claimed) == (1, "33")
    assert json.loads(run("check", str(card), "--offline", "--format", "json").stdout) == checked.to_dict()
    table = archcalc.sweep(["llama-3.1-8b", "gpt2"], ctx=["512", "1k"])
    assert [(row["source"], row["context_tokens"]) for row in table] == [
        ("llama-3.1-8b", 512), ("llama-3.1-8b", 1024), ("gpt2", 512), ("gpt2", 1024),
    ]  # fmt: skip
    assert repr(table) == "Table(4 rows of 2 models)"
    assert table._repr_html_().count("<tr>") == 5


def test_a_report_in_a_notebook() -> None:
    report = archcalc.inspect("gpt2", offline=True)
    assert repr(report).startswith("Inspection(source='gpt2', status='counted'") and len(repr(report)) < 200
    page = report._repr_html_()
    assert page.startswith("<pre") and "124,439,808" in page
    named = archcalc.inspect({**CONFIG, "model_type": "llama"}).to_dict()
    assert named["params"]["total"] == TOTAL
    assert "&lt;" in notebook.preformatted("<script>")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_of_whichever_is_installed(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(rows: list[dict[str, Any]], **options: Any) -> Any:
        return SimpleNamespace(rows=rows, options=options)

    other = {"pandas": "polars", "polars": "pandas"}[library]
    monkeypatch.setitem(sys.modules, library, SimpleNamespace(DataFrame=made))
    monkeypatch.setitem(sys.modules, other, None)
    table = archcalc.sweep("gpt2", ctx=["512"], set={"n_layer": [12, 24]})
    assert [row["n_layer"] if "n_layer" in row else row["set.n_layer"] for row in table.to_frame().rows] == [12, 24]
    assert archcalc.inspect("gpt2", offline=True).to_frame().rows[0]["params_total"] == 124439808
    with pytest.raises(UsageError, match=f"{other}, which is not installed"):
        table.to_frame(other)


def test_a_frame_without_a_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="pandas or polars, which is not installed"):
        archcalc.inspect("gpt2", offline=True).to_frame()


def test_the_package_lists_its_questions_and_imports_none() -> None:
    assert dir(archcalc) == sorted(archcalc.__all__)
    assert all(callable(getattr(archcalc, name)) for name in dir(archcalc) if not name.startswith("_"))
    assert isinstance(archcalc.sweep, ModuleType)
    code = "import sys, archcalc; dir(archcalc); print([m for m in sys.modules if m.startswith(('archcalc.', 'typing', 'typer'))])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(archcalc.__file__).parent.parent)},
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_question_is_typed() -> None:
    for name in ("inspect", "kv", "fit", "train", "compare", "check"):
        assert issubclass(get_type_hints(getattr(questions, name))["return"], questions.report.Report)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: archcalc.inspect("no-such-model", offline=True), "archcalc models"),
        (lambda: archcalc.plot("pie", "gpt2", offline=True), "roofline"),
        (lambda: archcalc.fit("gpt2", gpu=["4090", "h100"], offline=True), "archcalc.sweep"),
    ],
)
def test_an_error_in_a_notebook_says_what_to_do(call: Callable[[], object], said: str) -> None:
    """A traceback shows the text of the exception, and nothing of its attributes."""
    with pytest.raises(ArchcalcError) as caught:
        call()
    assert said in str(caught.value)
    assert str(caught.value).startswith(caught.value.message)


def test_a_missing_name_says_which_there_are() -> None:
    with pytest.raises(AttributeError, match="it has check, compare, fit"):
        _ = archcalc.pick  # type: ignore[attr-defined]
