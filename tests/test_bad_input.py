"""Bad input is normal input: one message that names the file and the key, the right status, no traceback, nothing half-printed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archcalc
from archcalc import zoo
from archcalc.arch import parse
from archcalc.errors import ArchcalcError
from conftest import Run, listen

LLAMA = zoo.config("llama-3.1-8b")
DEEPSEEK = zoo.config("deepseek-v3")
NEXT = zoo.config("qwen3-next-80b-a3b")
GEMMA = zoo.config("gemma-3-27b")

# What is wrong with the config, and what the message has to name.
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "string for a number": ({**LLAMA, "hidden_size": "4096"}, "hidden_size"),
    "fraction for a number": ({**LLAMA, "hidden_size": 4096.5}, "hidden_size"),
    "true for a number": ({**LLAMA, "hidden_size": True}, "hidden_size"),
    "infinity for a number": ({**LLAMA, "hidden_size": float("inf")}, "hidden_size"),
    "list for a number": ({**LLAMA, "vocab_size": [1]}, "vocab_size"),
    "negative": ({**LLAMA, "intermediate_size": -1}, "intermediate_size"),
    "zero layers": ({**LLAMA, "num_hidden_layers": 0}, "num_hidden_layers"),
    "ten million layers": ({**LLAMA, "num_hidden_layers": 10**7}, "num_hidden_layers"),
    "absurd width": ({**LLAMA, "hidden_size": 10**15}, "hidden_size"),
    "null where a number belongs": ({**LLAMA, "hidden_size": None}, "hidden_size is null"),
    "missing key": ({k: v for k, v in LLAMA.items() if k != "hidden_size"}, "hidden_size is missing"),
    "heads that do not divide": ({**LLAMA, "num_attention_heads": 33}, "num_key_value_heads"),
    "head size that does not come out": (
        {**LLAMA, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": None},
        "hidden_size",
    ),
    "positions stretched by less than nothing": (
        {**LLAMA, "rope_scaling": {"rope_type": "yarn", "factor": -2}},
        "rope_scaling.factor is -2",
    ),
    "positions stretched by a word": ({**LLAMA, "rope_scaling": {"type": "dynamic", "factor": "x"}}, "rope_scaling.factor"),
    "positions of one kind of layer stretched by 0": (
        {**LLAMA, "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 0}}},
        "rope_parameters.full_attention.factor",
    ),
    "tokens of an image below 0": ({**GEMMA, "mm_tokens_per_image": -4}, "mm_tokens_per_image"),
    "groups of no values": (
        {**LLAMA, "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 0}},
        "quantization_config.group_size",
    ),
    "a group of null": (
        {**LLAMA, "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"g": None}}},
        "quantization_config.config_groups.g",
    ),
    "KV heads that do not divide": ({**LLAMA, "num_key_value_heads": 7}, "num_key_value_heads"),
    "layer list too short": ({**NEXT, "layer_types": ["full_attention"] * 3}, "layer_types"),
    "unknown kind of layer, heads by layer": (
        {
            "model_type": "laguna",
            "vocab_size": 100,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_attention_heads_per_layer": [4, 4],
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "layer_types": ["full_attention", "weird"],
        },
        '"weird"',
    ),
    "unknown kind of layer": ({**NEXT, "layer_types": ["weird"] * 48}, '"weird"'),
    "more active experts than there are": (
        {**DEEPSEEK, "num_experts_per_tok": 999},
        "num_experts_per_tok is 999 of n_routed_experts 256",
    ),
    "model_type a number": ({**LLAMA, "model_type": 5}, "model_type"),
    "unknown dtype": ({**LLAMA, "torch_dtype": "complex64"}, "torch_dtype"),
    "quantization a list": ({**DEEPSEEK, "quantization_config": [1]}, "quantization_config"),
    "rope a string": ({**LLAMA, "rope_scaling": "yarn"}, "rope_scaling"),
    "rope type a number": ({**LLAMA, "rope_scaling": {"rope_type": 7}}, "rope_type"),
    "activation a number": ({**LLAMA, "hidden_act": 3}, "hidden_act"),
    "nested string for a number": (
        {**GEMMA, "text_config": {**GEMMA["text_config"], "hidden_size": "x"}},
        "text_config.hidden_size",
    ),
    "nested config a number": ({**GEMMA, "text_config": 5}, "text_config"),
    "unknown type, nothing usable": ({"model_type": "zorblax", "foo": 1}, "zorblax"),
    "no type, nothing usable": ({"foo": 1}, "hidden_size"),
    "unknown type that is no plain decoder": ({**LLAMA, "model_type": "zorblax", "kv_lora_rank": 512}, "kv_lora_rank"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_that_cannot_be(case: str, cli: Run, tmp_path: Path) -> None:
    config, named = CONFIGS[case]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = cli("inspect", "config.json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert named in done.stderr
    assert "config.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    line = json.loads(cli("inspect", "config.json", "--format", "jsonl").stdout)
    assert line["source"] == "config.json"
    assert named in line["error"]["message"]
    assert set(line["error"]) == {"code", "message", "hint"}


# Text of a file, and what the message has to say.
TEXTS = {
    "not JSON": ("{not json", "not JSON"),
    "truncated": (json.dumps(LLAMA)[:200], "truncated"),
    "a list": ("[1, 2]", "a list"),
    "a number": ("5", "JSON object"),
    "null": ("null", "null"),
    "empty": ("", "empty"),
    "duplicate keys": ('{"model_type": "llama", "hidden_size": 1, "hidden_size": 2}', "'hidden_size' twice"),
    "deep nesting": ('{"a":' * 100_000, "nested too deeply"),
    "too large": (" " * (17 * 2**20), "MiB"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_file_that_is_no_config(case: str, cli: Run, tmp_path: Path) -> None:
    text, said = TEXTS[case]
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    done = cli("inspect", "config.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "config.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_infinity_where_real_configs_have_it() -> None:
    """Some published configs hold Infinity in keys that change no figure; transformers 5 writes it as an object."""
    from archcalc.sources import read_json

    text = json.dumps({**LLAMA, "rope_theta": float("inf"), "sample": {"__float__": "Infinity"}}).encode()
    a = parse({k: v for k, v in read_json(text, "config").items() if k != "sample"})
    assert a.status == "counted"


@pytest.mark.parametrize("model_type", ["../../x", "os", "_schema", "zorblax"])
def test_unknown_type_with_the_usual_keys_is_marked_a_guess(model_type: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "model_type": model_type}), encoding="utf-8")
    done = cli("inspect", ".")
    assert done.returncode == 0
    assert "guessed" in done.stdout
    assert "~8,030,261,248" in done.stdout
    assert "assumed" in done.stdout
    report = json.loads(cli("inspect", ".", "--format", "json").stdout)
    assert report["status"] == "guessed"


def test_unmodelled_keys_are_told(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "num_extra_heads": 3}), encoding="utf-8")
    report = json.loads(cli("inspect", ".", "--format", "json").stdout)
    assert (report["status"], report["unmodelled_keys"]) == ("partial", ["num_extra_heads"])


def test_remote_code_is_neither_fetched_nor_run(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "configuration_evil.py").write_text("open('touched', 'w')", encoding="utf-8")
    config = {**LLAMA, "auto_map": {"AutoConfig": "configuration_evil.Evil"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert cli("inspect", ".").returncode == 0
    assert not (tmp_path / "touched").exists()


def test_one_that_fails_does_not_stop_the_others(cli: Run) -> None:
    done = cli("inspect", "gpt2", "no-such-model", "qwen3-0.6b", "--format", "jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line["source"] if "error" in line else line["source"]["name"] for line in lines] == [
        "gpt2",
        "no-such-model",
        "qwen3-0.6b",
    ]
    assert lines[1]["error"]["code"] == "not-found"
    both = cli("inspect", "gpt2", "no-such-model", "--format", "json")
    assert both.returncode == 1
    assert [("error" in r) for r in json.loads(both.stdout)] == [False, True]
    assert "no-such-model" in both.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "gpt2", "--batch", "0"], "--batch"),
        (["inspect", "gpt2", "--batch", "many"], "--batch"),
        (["inspect", "gpt2", "--ctx", "-5"], "-5"),
        (["inspect", "gpt2", "--ctx", "lots"], "lots"),
        (["inspect", "gpt2", "--format", "pdf"], "pdf"),
        (["inspect", "gpt2", "--dtype", "int3"], "int3"),
        (["inspect", "gpt2", "--kv-dtype", "q9"], "q9"),
        (["inspect", "gpt2", "--set", "n_layer"], "KEY=VALUE"),
        (["inspect", "gpt2", "--offline", "--refresh"], "exclude"),
        (["inspect"], "SOURCE"),
        (["inspekt"], "inspect"),
        (["schema", "nothing"], "nothing"),
        (["inspect", "deepsek-v3"], "deepseek-v3"),
        (["inspect", "org/not-bundled", "--offline"], "org/not-bundled"),
        (["train", "gpt2", "--seq", "1k", "--lora-targets", "qv"], "--lora-targets"),
        (["train", "gpt2", "--seq", "1k", "--loss-chunks", "4"], "--loss-chunks"),
        (["train", "gpt2", "--seq", "1k", "--tokens", "1B"], "--tokens"),
        (["train", "gpt2", "--seq", "1k", "--no-dropout"], "--no-dropout"),
        (["train", "gpt2", "--seq", "1k", "--no-double-quant"], "--no-double-quant"),
        (["plot", "kv", "gpt2", "--gpu", "h100"], "--gpu changes nothing"),
        (["plot", "params", "gpt2", "--ctx", "8k"], "--ctx changes nothing"),
        (["gpus", "--vendor", "acme"], "--vendor acme"),
        (["train", "gpt2", "--seq", "1k", "--checkpointing", "selective", "--checkpoint-every", "4"], "--checkpoint-every"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls_exit_2_and_say_why(arguments: list[str], said: str, cli: Run) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_pipe_and_full_disk(cli: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archcalc", "tensors", "deepseek-v3", "--expand"]
    with subprocess.Popen([*command, "--format", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    for arguments in (["inspect", "gpt2"], ["models"], ["--help"], ["fit", "--help"]):
        command = [sys.executable, "-m", "archcalc", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == ""
        assert process.returncode == 0, arguments
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 1
            assert "cannot write the output" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell that closes streams")
@pytest.mark.parametrize(("arguments", "status"), [("models", 0), ("inspect -", 2), ("fit llama-3.1-70b --gpu 4090 --ctx 8k", 1)])
def test_closed_streams(arguments: str, status: int, tmp_path: Path) -> None:
    for closed in (">&- <&-", "2>&- <&-", "<&- >&- 2>&-"):
        script = f'"{sys.executable}" -m archcalc {arguments} {closed}'
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == status
        assert "archcalc:" not in done.stdout
        assert "internal error" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", ["plot kv gpt2", "plot roofline gpt2 --gpu 4090", "report gpt2", "fit --help"])
def test_encodings(arguments: str, tmp_path: Path) -> None:
    """A pipe gets UTF-8 whatever the locale; an encoding that was asked for gets what it can hold."""
    command = [sys.executable, "-m", "archcalc", *arguments.split()]
    bare = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LC_CTYPE", "LANG")}
    plain = bare | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answers = {}
    for name, env in {"utf-8": bare | {"PYTHONUTF8": "1"}, "locale": plain, "ascii": plain | {"PYTHONIOENCODING": "ascii"}}.items():
        done = subprocess.run(command, env=env, capture_output=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stderr) == (0, b""), name
        answers[name] = done.stdout
    assert answers["locale"] == answers["utf-8"]
    assert not answers["utf-8"].isascii()
    assert answers["ascii"].isascii()


def test_interrupt_leaves_no_traceback() -> None:
    import signal
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-m", "archcalc", "inspect", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen,  # noqa: PLW1509
    ) as process:
        import time

        # Long enough to have begun reading, on a slow machine too.
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err


ONE_OF_EACH = {str(zoo.config(name).get("model_type")): name for name in zoo.names()}


@pytest.mark.parametrize("name", ONE_OF_EACH.values())
@pytest.mark.parametrize("value", [None, "x", -1, 0, [], {}, 2**40, 1.5, float("nan")], ids=repr)
def test_any_key_spoilt_gives_a_figure_or_one_message(name: str, value: Any) -> None:
    """Whatever one key of a real config is replaced with, the outcome is an architecture or an error of ours, never another exception."""
    config = zoo.config(name)
    for key in config:
        try:
            parse({**config, key: value})
        except ArchcalcError as error:
            assert error.message


PYTHON = re.compile(
    r"\bNone\b|\bTrue\b|\bFalse\b|<class|<[\w.]+ object|\barchcalc\.(arch|blocks|formats|quant)\b|\{'|NoneType|Schema\b|pydantic"
)
ODD: list[Any] = [None, True, {}, {"a": None}, [], [None], [True, 2], "x", -1, 1.5, 10**30, "\x1b[31m", [{"a": 1}]]


@given(st.sampled_from(zoo.names()), st.sampled_from(ODD), st.integers(0, 1 << 16), st.booleans())
def test_messages_name_no_python_object(name: str, value: Any, place: int, deep: bool) -> None:
    config = json.loads(json.dumps(zoo.config(name)))
    inside = config
    nested = sorted(key for key in config if isinstance(config[key], dict) and config[key])
    if deep and nested:
        inside = config[nested[place % len(nested)]]
    inside[sorted(inside)[place % len(inside)]] = value
    try:
        parse(config)
    except ArchcalcError as error:
        assert not PYTHON.search(f"{error.message} {error.hint}")


@pytest.mark.parametrize("name", ["idefics_perciever"])
def test_a_part_of_a_model_is_refused_plainly(name: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": name}))
    done = cli("inspect", str(tmp_path / "config.json"))
    assert done.returncode == 2
    assert f"{name} is the type of a part of a model" in done.stderr
    assert not PYTHON.search(done.stderr)
    types = {row["model_type"] for row in json.loads(cli("models", "--types", "--format", "json").stdout)}
    assert name not in types
    assert {"llama", "clip_text_model", "deepseek_v3"} & types >= {"llama", "deepseek_v3"}


def test_a_mapping_that_json_could_not_hold_is_refused_plainly() -> None:
    import archcalc

    for source, said in (
        ({**LLAMA, "rope_scaling": {1: 2}}, "rope_scaling has the key 1"),
        ({**LLAMA, 7: 2}, "the config has the key 7"),
        (5, "a source of type int"),
        (None, "a source of type NoneType"),
    ):
        with pytest.raises(ArchcalcError, match=said):
            archcalc.load(source, offline=True)  # type: ignore[arg-type]


def test_a_group_of_compressed_tensors_without_weights(cli: Run, tmp_path: Path) -> None:
    quantized = {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["re:.*"], "config_groups": {"a": {}}}
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "quantization_config": quantized}), encoding="utf-8")
    for engine in ("llama.cpp", "vllm"):
        assert "internal error" not in cli("fit", "config.json", "--gpu", "h100", "--engine", engine).stderr


# A text that ends a line, opens a tag and a link, moves the cursor and turns the direction of text.
HOSTILE = "x\u001b[31m\u202e</script><img src=x>\n# [a](http://b)"


@pytest.mark.parametrize("command", [["inspect"], ["kv", "--engine", "vllm"], ["fit", "--gpu", "h100"], ["train", "--seq", "512"]])
def test_text_of_a_config_is_no_markdown(command: list[str], run: Run, tmp_path: Path) -> None:
    name = "<img src=x>[a](b).json"
    config = {**LLAMA, HOSTILE: 1, "hidden_act": "silu", "rope_scaling": {"rope_type": "linear", "factor": 2.0, HOSTILE: 1}}
    (tmp_path / name).write_text(json.dumps(config), encoding="utf-8")
    said = run(command[0], name, *command[1:], "--format", "markdown").stdout
    page = "".join(said.split("```")[::2])  # what is no code
    assert "## " in page
    assert "<img" not in page
    assert "](" not in page
    assert "\n# " not in page
    assert "\u001b" not in said


def test_text_of_a_config_is_plain_in_a_page(cli: Run, tmp_path: Path) -> None:
    config = {**LLAMA, HOSTILE: 1, "rope_scaling": {"rope_type": "linear", "factor": 2.0, HOSTILE: 1}, "hidden_act": HOSTILE}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert cli("report", "config.json", "--out", "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "\u001b" not in page
    assert "\u202e" not in page


def test_passes_without_end_are_refused() -> None:
    with pytest.raises(ArchcalcError, match="H_cycles x L_cycles"):
        parse(
            {"model_type": "hrm_text", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 128}
            | {"H_cycles": 9_000, "L_cycles": 9_000}
        )


def test_blocks_that_are_no_numbers_stop_no_plan(cli: Run, tmp_path: Path) -> None:
    config = zoo.config("qwen3-30b-a3b") | {"quantization_config": {"quant_method": "fp8", "weight_block_size": ["x", 128]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = cli("fit", str(tmp_path), "--gpu", "8xh100", "--ctx", "8k")
    assert done.returncode in (0, 1, 2)
    assert "internal error" not in done.stderr


def test_what_is_built_one_by_one_has_a_small_bound() -> None:
    """A count of 2^28 that a loop of an adapter runs over would take minutes and gigabytes before anything is refused."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (Path(archcalc.__file__).parent / "arch").glob("*.py")]
    ranges = [
        node for tree in trees for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
    ]  # fmt: skip
    ends = [node.args[:2][-1] for node in ranges]
    # The length of a list is no number of the config's.
    lengths = {n for end in ends for call in ast.walk(end) if isinstance(call, ast.Call) for n in ast.walk(call)}
    looped = {
        n.attr
        for end in ends for n in ast.walk(end)
        if n not in lengths and isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    }  # fmt: skip
    assert {"num_hidden_layers", "depth", "num_codebooks"} <= looped
    wide = {
        node.target.id
        for tree in trees for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        and any(isinstance(n, ast.Name) and n.id in ("Size", "Count", "Tokens") for n in ast.walk(node.annotation))
    }  # fmt: skip
    assert looped & wide == set()
