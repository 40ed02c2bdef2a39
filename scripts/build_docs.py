"""Write what is generated in README.md and docs/: examples with their real output, options of commands, tables from data.

python scripts/build_docs.py [PATH...]  rewrite in place, all or only these files and folders
python scripts/build_docs.py --check    say what is out of date, exit 1 if anything is

An example is the line `<!-- example: archcalc … -->`, a block of console output, and `<!-- end -->`. It runs in a copy of `examples/`,
offline, 80 columns wide; `example exit=1:` states the exit status it must have where that is not 0. Its output may be cut by `| head -N`,
or read by `| jq …`, of which this script knows the few forms that the documents use.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_EXAMPLE = re.compile(r"<!-- example(?: exit=(?P<exit>\d))?: (?P<command>archcalc [^\n]*?) -->\n.*?<!-- end -->", re.DOTALL)
_WIDTH = "80"
_ENVIRONMENT = {
    "COLUMNS": _WIDTH,
    "TERMINAL_WIDTH": _WIDTH,
    "NO_COLOR": "1",
    "HF_HUB_OFFLINE": "1",
    "TERM": "dumb",
    "_TYPER_STANDARD_TRACEBACK": "1",
}


@contextlib.contextmanager
def workplace() -> Iterator[None]:
    """A copy of `examples/` and of the published claims to run in, with an environment that does not depend on this machine."""
    before, place = dict(os.environ), os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", folder, dirs_exist_ok=True)
        shutil.copytree(ROOT / "examples", os.path.join(folder, "examples"))
        shutil.copytree(ROOT / "tests" / "data" / "claims", os.path.join(folder, "claims"))
        os.environ.update({**_ENVIRONMENT, "HF_HOME": os.path.join(folder, ".hub")})
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(place)
            os.environ.clear()
            os.environ.update(before)


def run(command: str) -> tuple[int, str]:
    """The exit status of a command line, and what it prints on a terminal that shows no colours."""
    first, *rest = pipeline(command)
    status, out, error = _call(first[1:])
    for stage in rest:
        if stage[0] == "jq":
            out = jq(stage[1:], out)
        elif stage[0] == "head" and stage[1][1:].isdecimal():
            out = "".join(out.splitlines(keepends=True)[: int(stage[1][1:])])
        else:
            raise SystemExit(f"{command}: {' '.join(stage)} is not known here")
    return status, "".join(line.rstrip() + "\n" for line in (out + error).splitlines())


def pipeline(command: str) -> list[list[str]]:
    """The commands of a line, split at its pipes."""
    stages: list[list[str]] = [[]]
    for word in shlex.split(command):
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    return stages


def _call(arguments: list[str]) -> tuple[int, str, str]:
    """`archcalc` in this process: starting one for each example would take most of the time."""
    from archcalc.cli import COMMANDS, build

    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    out, error = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            build(asked if asked in COMMANDS else None)(arguments, prog_name="archcalc")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    return status, out.getvalue(), error.getvalue()


def jq(arguments: list[str], text: str) -> str:
    """What `jq [-r] [-c] FILTER` prints of JSON, for paths, `.[]`, objects, `select` and pipes between them."""
    *options, given = arguments
    found = [json.loads(part) for part in _documents(text)]
    for step in re.split(r" \| (?![^{(]*[})])", given):
        found = [result for value in found for result in _filtered(step.strip(), value)]
    out = []
    for value in found:
        if "-r" in options and isinstance(value, str):
            out.append(value)
        elif "-c" in options:
            out.append(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
        else:
            out.append(json.dumps(value, indent=2, ensure_ascii=False))
    return "".join(line + "\n" for line in out)


def _documents(text: str) -> list[str]:
    lines = text.splitlines()
    return lines if len(lines) > 1 and all(line.startswith("{") and line.endswith("}") for line in lines) else [text]


def _filtered(step: str, value: Any) -> Iterator[Any]:
    if step.startswith("select("):
        wanted = re.fullmatch(r"select\((\.\S*)(?: (==|<|>) (.+))?\)", step)
        if wanted is None:
            raise SystemExit(f"jq {step} is not known here")
        (found,) = _path(wanted[1], value)
        other = json.loads(wanted[3]) if wanted[3] else None
        if {None: bool(found), "==": found == other, "<": _less(found, other), ">": _less(other, found)}[wanted[2]]:
            yield value
    elif step.startswith("{"):
        made = {}
        for item in step.strip("{}").split(","):
            name, colon, path = item.strip().partition(": ")
            (made[name],) = _path(path if colon else f".{name}", value)
        yield made
    else:
        yield from _path(step, value)


def _less(a: Any, b: Any) -> bool:
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and a < b


def _path(path: str, value: Any) -> Iterator[Any]:
    found = [value]
    parts = re.findall(r"\.(\w+)|\[(\d*)\]", path)
    if path != "." and "".join(f".{name}" if name else f"[{at}]" for name, at in parts) not in (path, path.removeprefix(".")):
        raise SystemExit(f"jq {path} is not known here")
    for name, at in parts:
        found = [part for one in found for part in ([one[name]] if name else [one[int(at)]] if at else one)]
    yield from found


def shown(command: str) -> str:
    """A command line after its prompt, continued on further lines where it is longer than the page is wide."""
    lines = ["$"]
    for word in re.findall(r"(?:[^\s\"']|\"(?:\\.|[^\"])*\"|'[^']*')+", command):
        if len(lines[-1]) + len(word) + 3 > int(_WIDTH) and lines[-1].strip() not in ("$", ""):
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def with_examples(text: str, problems: list[str]) -> str:
    """The text with the output of every example as it is now. One that ends otherwise than it should is a problem."""

    def example(match: re.Match[str]) -> str:
        command, wanted = match["command"], int(match["exit"] or 0)
        status, out = run(command)
        if status != wanted:
            problems.append(f"{command}: exit {status}, not {wanted}\n{out}")
        head = match[0].partition("\n")[0]
        return f"{head}\n```console\n{shown(command)}\n{out}```\n<!-- end -->"

    return _EXAMPLE.sub(example, text)


def support_page() -> str:
    """The table of adapters, from their own docstrings."""
    from archcalc.arch import described, model_types, schema_of
    from archcalc.arch._schema import TowerSchema

    rows, towers = [], []
    for name in sorted(model_types()):
        what, _, source = described(name).partition("Source:")
        line = f"| `{name}` | {what.strip()} | {source.strip()} |"
        (towers if issubclass(schema_of(name), TowerSchema) else rows).append(line)
    head = "| model type | what it is | source |\n| --- | --- | --- |\n"
    return (
        "# Supported architectures\n\n"
        "Generated from the adapters in `src/archcalc/arch/`: one file a structure; `-` and `.` in a `model_type` are written `_`.\n"
        f"\n## Models ({len(rows)})\n\n{head}"
        + "\n".join(rows)
        + f"\n\n## Towers that models hold ({len(towers)})\n\n{head}"
        + "\n".join(towers)
        + "\n"
        + engines_part()
    )


_HEADS = re.compile(
    r"(ForCausalLM|ForConditionalGeneration|LMHeadModel|ForSequenceClassification|ForTokenClassification|ForMaskedLM|ForRewardModel"
    r"|ForQuestionAnswering|ForProcessRewardModel|ForSequenceToSequence|ForImageTextToText|ForCTC|Model|LM)$"
)


def engines_part() -> str:
    """The classes that each engine's newest release serves: how many have a type that is read, and the names of the others.

    A class is a type's where transformers builds it of that type, where a config among the tests states both, where its name without
    the head is the type's, or where class_types.tsv says, with its source, of which type the configs are that it reads.
    """
    import csv

    from archcalc import zoo
    from archcalc.arch import _BY_CLASS, adapter_name, model_types
    from archcalc.engines.served import listed, served

    known = {name.replace("_", "") for name in model_types()}
    read = set(_BY_CLASS)
    for kind, cls in served("transformers").classes.items():
        if re.sub(r"[-.]", "_", kind).lower() in model_types():
            read.add(cls)
    lines = (ROOT / "tests" / "data" / "published_counts.jsonl").read_text(encoding="utf-8").splitlines()
    configs = [json.loads(line)["config"] for line in lines]
    for path in (ROOT / "tests" / "golden").glob("*.jsonl"):
        configs += [json.loads(line)["config"] for line in path.read_text(encoding="utf-8").splitlines()]
    for config in (*filter(None, configs), *map(zoo.config, zoo.names())):
        if adapter_name(config) is not None:
            read.update(name for name in config.get("architectures") or () if isinstance(name, str))
    with (ROOT / "scripts" / "class_types.tsv").open(encoding="utf-8") as file:
        stated = {row["class"]: row["model_type"] for row in csv.DictReader(file, delimiter="\t")}

    def known_by_name(cls: str) -> bool:
        name = cls.rpartition(".")[2]
        if name in stated:
            return adapter_name({"model_type": stated[name], "architectures": [name]}) is not None
        name = re.sub(r"_?(MTP|NextN)(Model)?$", "", name)
        return name in read or re.sub(r"[_.]", "", _HEADS.sub("", name)).lower() in known or name.replace("_", "").lower() in known

    text = (
        "\n## Engines\n\nThe classes that the newest release read of each engine serves, without those of its back ends for any model, and "
        "how many are of a type that is read here.\nDraft models and heads of other tasks are classes of their own there.\n\n"
        "| engine | release | classes | read | not read |\n| --- | --- | ---: | ---: | --- |\n"
    )
    for folder, title in (("vllm", "vLLM"), ("sglang", "SGLang"), ("llamacpp", "llama.cpp"), ("mlx", "mlx-lm")):
        table = served(folder)
        now = table.releases[-1]
        many = len(table.releases) > 1
        classes = [name for name, span in table.classes.items() if not many or listed(span, folder, table.releases, None)]
        classes = [name for name in classes if not name.startswith(("Transformers", "TorchNative", "MindSpore", "Terratorch"))]
        if folder == "mlx":
            left = [name for name in classes if adapter_name({"model_type": stated.get(name, name)}) is None]
        else:
            left = [name for name in classes if not known_by_name(name)]
        names = ", ".join(f"`{name}`" for name in left)
        text += f"| {title} | {now} | {len(classes)} | {len(classes) - len(left)} | {names} |\n"
    return text


def python_page() -> str:
    """The library's functions and reports, from their signatures and docstrings."""
    import inspect

    import archcalc
    from archcalc import report

    text = (
        "# Python API\n\nGenerated from the docstrings. Options are those of the commands, described in `archcalc COMMAND --help`;"
        " [From Python](tasks/from-python.md) shows them at work.\n"
    )
    for name in archcalc.__all__:
        found = getattr(archcalc, name)
        if not callable(found):
            continue
        function = type(found).__call__ if inspect.ismodule(found) else found
        said, _, example = (inspect.getdoc(function) or "").partition(">>>")
        parameters = inspect.signature(found).parameters.values()
        lines = [str(p) for p in parameters]
        if (at := next((i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), 0)) or any(
            p.kind is p.KEYWORD_ONLY for p in parameters
        ):
            # As it is called: what stands behind `*` goes by its name alone.
            lines[at:at] = [] if any(p.kind is p.VAR_POSITIONAL for p in parameters) else ["*"]
        result = str(inspect.signature(found).return_annotation).removeprefix("report.")
        text += (
            f"\n## archcalc.{name}\n\n```text\n{name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {result}\n```\n\n"
        )
        text += said.strip() + "\n"
        if example:
            text += f"\n```python\n>>> {example.strip()}\n\n```\n"
    text += (
        "\n## Reports\n\nEach has `to_dict()`, `to_json()`, `to_rows()` and `to_frame()`. Their fields are the keys of the JSON.\n"
    )
    for name, kind in vars(report).items():
        if isinstance(kind, type) and issubclass(kind, report.Report) and kind is not report.Report:
            text += f"\n### {name}\n\n{inspect.getdoc(kind)}\n\n| field | type |\n| --- | --- |\n"
            text += "".join(f"| `{field}` | `{str(kind.__annotations__[field]).replace('|', 'or')}` |\n" for field in kind._fields)
    return text


def accuracy_page() -> str:
    """What the figures are compared with, and how active parameters are told."""
    import csv
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

    from archcalc import questions, units

    golden = {
        path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted((ROOT / "tests" / "golden").glob("*.jsonl"))
    }
    rows = [json.loads(line) for lines in golden.values() for line in lines]
    real = sum(not row["id"].startswith(("default/", "vlm-default/")) for row in rows)
    text = (
        "# Accuracy\n\nGenerated from the data that the tests compare with; nothing here is archcalc's own word.\n\n"
        "## Parameters and tensors\n\n"
        "Every tensor name, shape and kind, and the total, equal transformers 5.23.0 (5.24.0 where a row says so) built on the meta "
        f"device in {len(rows)} of {len(rows)} configs of {len(golden)} model types: {real} as published, {len(rows) - real} class "
        "defaults (`tests/test_golden.py`, rebuilt by "
        "`scripts/build_golden.py`). Keys that are not understood make a status `partial`, and the test asks for `counted`.\n\n"
        "## Active parameters\n\n"
        "Publishers count in several conventions. For each model the convention whose value rounds (or, failing that, truncates) to the "
        "printed figure:\n\n| model | published | archcalc | convention | how | source |\n| --- | ---: | ---: | --- | --- | --- |\n"
    )
    with (ROOT / "tests" / "data" / "published_active.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            p = questions.inspect(row["model"], offline=True).params
            printed = Decimal(row["active"].removesuffix("B"))
            unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
            named = {"all parts": p.active, **p.active_by_convention}
            found = next(
                (name, how)
                for how, mode in (("rounds", ROUND_HALF_UP), ("truncates", ROUND_DOWN))
                for name, value in named.items()
                if (Decimal(value) / 10**9).quantize(unit, mode) == printed
            )
            value = units.format_exact(named[found[0]])
            text += f"| {row['model']} | {row['active']} | {value} | {found[0]} | {found[1]} | {row['source']} |\n"
    return text + _ELSEWHERE


def speed_page() -> str:
    """What is forecast of speed, how well, and what is not: errors from the fit, and published rows through the command line."""
    from archcalc import zoo
    from archcalc.analysis.speed.forecast import MARGIN

    raw = json.loads((ROOT / "src" / "archcalc" / "analysis" / "speed" / "coefficients.json").read_text(encoding="utf-8"))
    text = _SPEED
    text += "\n## Error on unseen sources\n\nEvery source is left out of a fit once, and its rows are forecast by it.\n\n"
    text += "| | rows | median error | 90th percentile | within 20 % |\n| --- | ---: | ---: | ---: | ---: |\n"
    for name, (n, median, p90, near) in raw["overall"].items():
        text += f"| {name} | {n:,} | {median:.0%} | {p90:.0%} | {near:.0%} |\n"
    text += (
        "\nBy engine and class of device, the worst first; `covered` is how many rows of a source lie within the 80 % interval that the "
        "others gave.\n\n| engine and devices | what | rows | sources | median error | 90th percentile | interval | covered |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |\n"
    )
    found = [(e[2], pair, phase, e) for pair, c in raw["classes"].items() for phase, e in c["errors"].items()]
    for _, pair, phase, (low, high, median, p90, covered, n, sources) in sorted(found, reverse=True):
        if phase == "prefill" and "ttft" in raw["classes"][pair]["errors"]:
            continue
        text += f"| {pair.replace('/', ' on ')} | {phase} | {n:,} | {sources} | {median:.0%} | {p90:.0%} "
        text += f"| x {low:.2f} to x {high:.2f} | {covered:.0%} |\n"
    sweeps, mean, middle, low = raw["sweeps"]["decode"]
    others, its_mean, its_middle, its_low = raw["sweeps"]["ttft"]
    text += (
        f"\nIn {sweeps} sweeps over four concurrencies or more, forecast and measured time per token have a rank correlation of "
        f"{mean:.3f} on average ({middle:.3f} in the middle, {low} sweeps below 0.95: a forecast always rises with the "
        f"concurrency, their measurements do not). The time to the first token has {its_mean:.3f} on average over {others} sweeps "
        f"({its_middle:.3f} in the middle, "
        f"{its_low} below 0.95). A target (`--tpot`) is compared with the forecast x {MARGIN}: "
        f"{raw['broken']:.0%} of the rows of unseen sources take longer than that.\n"
    )
    text += _NEAR
    text += "| what stands in | what | rows | left out | median error | 90th percentile | interval | covered |\n"
    text += "| --- | --- | ---: | --- | ---: | ---: | --- | ---: |\n"
    near = [
        (pair, phase, e, "classes") for pair, c in raw["near"].items() for phase, e in c["errors"].items() if phase in _SHOWN[pair]
    ]
    near += [(f"a kind of layer, {kind}", "decode", e, "kinds and sources") for kind, e in raw["kinds"].items()]
    near += [("several sequences, llama.cpp", "decode", raw["batched"], "threads")]
    for pair, phase, (low_, high, median, p90, covered, n, out), of in near:
        what = pair.replace("/nvidia", " on other NVIDIA GPUs").replace("/", " on ")
        text += (
            f"| {what} | {phase} | {n:,} | {out} {of} | {median:.0%} | {p90:.0%} | x {low_:.2f} to x {high:.2f} | {covered:.0%} |\n"
        )
    text += _BESIDE
    text += "\n## Rows that were left out of the fit\n\n| reason | rows |\n| --- | ---: |\n"
    text += "".join(f"| {why} | {n:,} |\n" for why, n in raw["left_out"].items())
    rows, none = [], []
    for line in (ROOT / "tests" / "data" / "speed_rows.jsonl").read_text(encoding="utf-8").splitlines():
        r = json.loads(line)
        if r["model"] not in zoo.names():
            continue
        gpu = f"{r['gpus']}x{r['device']}" if r["gpus"] > 1 else r["device"]
        quant = f" --quant {r['quant']}" if r["quant"] else ""
        load = f"--isl {max(1, r['isl'])} --osl {max(1, r['osl'])} --concurrency {r['concurrency']}" + (
            f" --tp {r['tp']}" if "tp" in r else ""
        )
        command = f"archcalc fit {r['model']} --gpu {gpu} --engine {r['engine']}{quant} {load} --format json --offline"
        _, out = run(command)
        speed = json.loads(out)["speed"]
        name = {"decode": "decode_tokens_per_s", "prefill": "prefill_tokens_per_s", "ttft": "ttft_ms"}[r["phase"]]
        value = speed[name]
        if value is None:
            none.append((r, speed["why"]))
        else:
            if r["metric"] == "tpot ms":
                r["value"] = 1000 * r["concurrency"] / r["value"]
            rows.append((abs(value / r["value"] - 1), r, value, speed[f"{name}_low"], speed[f"{name}_high"]))
    rows.sort(key=lambda row: -row[0])
    middle = rows[len(rows) // 2][0]
    text += (
        f"\n## Published rows through the command line\n\nThe fit saw these {len(rows)} rows; median error {middle:.0%}. "
        f"The worst twenty:\n\n| error | model | storage | machine | engine | what | measured | forecast | 80 % | source |\n"
        "| ---: | --- | --- | --- | --- | --- | ---: | ---: | --- | --- |\n"
    )
    for error, r, value, low, high in rows[:20]:
        what = f"{r['phase']}, {r['isl'] or r['osl']} tokens" + (f", {r['concurrency']} at once" if r["concurrency"] > 1 else "")
        text += (
            f"| {error:.0%} | {r['model']} | {r['quant'] or 'as published'} | {r['gpus']} x {r['device']} | {r['engine']} | {what} "
            f"| {r['value']:,.1f} | {value:,.1f} | {low:,.1f} to {high:,.1f} | {r['source']} |\n"
        )
    text += f"\n{len(none)} rows have no forecast:\n\n"
    for why in dict.fromkeys(why for _, why in none):
        text += f"- {sum(w == why for _, w in none)}: {why}\n"
    return text


_SPEED = """# Speed and cost

Generated from the coefficients and from published measurements, through the command line.

`archcalc fit` forecasts the time to a token, the time to the first, and the rate of prompts, each with the interval that held 80 % of the
measurements of sources that the fit had not seen. Where nothing stands behind a forecast it prints a bound, says so, and why.

A step is a sum of terms, each a quantity that follows from the model, the plan and the device, times a fitted coefficient
(`src/archcalc/analysis/speed/terms.py`); `--explain` shows all of them:

- the weights that act on a token over the memory's bandwidth, of routed experts the share `1 - (1 - k/E)^n` that T tokens visit, with
  `n = T^0.85` for tokens that choose alike (of 0.65, 0.75, 0.85 and 1 the exponent nearest to unseen sources);
- each sequence's cache, as far as a layer sees it, over the bandwidth;
- layers (a mixer and an FFN; one that stands alone is half of one), layers of experts, layers with a state; messages between ranks, and
  the bytes sent;
- the products of many sequences over the matrix rate, and the prompts of others that share the step;
- under servers what is left of 3 ms of the CPU's work a step (choosing requests, sampling, text) where the GPU needs less: models of 0.5 to
  1.7 billion parameters take 2.4 to 5 ms on an A100 or H100 under vLLM, and hardly fewer the smaller they are;
- layers again, in as many of the steps as read a prompt: such a step has a size of its own, of which no graph of the whole was captured.

The time to the first token is the passes over the prompt (products, the weights that each pass reads, the layers and layers of experts
that it starts, the activations that it sends between ranks), a step before them where others decode, and what the prompts of others take.
How many of those wait with it depends on how requests arrive, which nobody says: the others' prompts were measured to add from 0.1
(arrivals apart) to 1.1 (all at once) of what they take at the matrix rate. Most rows are means of some ten rounds, the first of them on a
cold server, which makes or chooses its kernels then: that adds 15 to 250 ms to the mean by engine, and is in the fit but in no forecast.
Requests that are alone were measured in six places (eight models under vLLM, one under TensorRT-LLM, prompts of 128 to 5,000 tokens):
out of source their median error is about a fifth, where the form before this one, of which such rows were in no fit, was off by a factor
of two in the middle. Among many requests the worst are of those that waited because the engine had fewer slots than there were requests
(`--max-num-seqs` and the like), which no row states. So the interval is wide, and no promise should stand on its middle. Under llama.cpp
the band goes from a request that comes alone to the last of all that come at once.

Coefficients stand in `src/archcalc/analysis/speed/coefficients.json` by engine and class of device, each with the rows and sources
behind it, and are made by `scripts/fit_speed.py`; one with fewer than three sources is refused. So is an interval: where a class has
rows of one source or two, other classes stand in for it (below), and the answer says so.

## What is not forecast

- Engines without measurements from three sources, and devices of other makers than NVIDIA without them, such as AMD's data-centre
  GPUs: the answer is the bound. What was published of MI300X (vLLM and SGLang of early 2025) took 2.1 to 3.9 times as long as the
  coefficients of other GPUs would say, more than an interval of use could hold.
- Exchanges between machines in each layer (sums of tensor parallelism over more GPUs than one machine or NVLink domain has, experts that
  are spread over several, as under vLLM those of replicas whose stages fill a machine): the terms know the rate of the link inside a
  machine, and none of a network. What pipeline stages on several machines send each other is told beside the forecast, and stands in
  no term.
- Several sequences at once under MLX: what is published of it comes from fewer than three sources.
- Weights that a command leaves to the CPU's memory (`--n-cpu-moe`, `-ngl`, `--cpu-offload-gb`): the answer is a bound, which reads them
  at the rate that `--ram-bandwidth` names, or over PCIe where the GPU computes with them. Two hosts that were measured (RTX 4080 and
  2080, a model each) came to 29 and 39 % of it.
- Commands that no measurement was run with: tokens that are drafted (`--speculative-config`, `--speculative-algorithm`, `-md`), where
  the bound is that of plain decoding times the tokens of a step, and none where their number is not known; prompts and tokens on
  separate machines (`--disaggregation-mode`, `--kv-transfer-config`); the cache in the CPU's memory (`-nkvo`); layers cut across GPUs
  under llama.cpp (`-sm row`); adapters, kernels other than the engine's own choice, prompts that are not read in pieces, and every flag
  of which nothing is known. One table, `src/archcalc/commands/speeds.py`, says of each flag of each release whether it changes nothing,
  a forecast reads it, or nothing was measured with it.
- Steps that are not one graph: none is captured (`--enforce-eager`, `-O0`, `--disable-cuda-graph`), pieces alone are (vLLM's `-O1`),
  or none of so large a batch (`--max-cudagraph-capture-size`, `--cuda-graph-max-bs`, or by default: vLLM captures up to 512 sequences of
  a replica, 1,024 on data-centre Blackwell, SGLang as many as the GPU's memory suggests, 48 on a card of 24 GB), unless batches as large
  were measured.
- Models whose decoder reads what an encoder made of the input (Whisper, T5, BART): the encoder's work before the first token and the cache
  of its output are in no term; the bounds are of the decoder alone.
- Prompts that vLLM or SGLang are told to read in steps of fewer than 2,048 tokens (`--max-num-batched-tokens`,
  `--long-prefill-token-threshold`, `--chunked-prefill-size`), where one does not take a whole prompt and a token of each other request:
  the time to a token alone is forecast.
- Weights that servers multiply otherwise than those that were measured: bitsandbytes, GGUF under vLLM, single precision.
- What expert parallelism changes: its exchange of tokens is counted as the messages and bytes of tensor parallelism. Beside the same
  source's rows without it, rows with it are 8 to 35 % faster than that for DeepSeek and 13 to 25 % slower for Qwen3 and Qwen3.5: no term
  of it would hold for both.
- More requests than run at once, because the cache has no room for them or the engine runs fewer (`--max-num-seqs`,
  `--max-running-requests`, `-np`, `OLLAMA_NUM_PARALLEL`, `--decode-concurrency`): the bound of those that run, with how many. Of
  weights that do not fit no rate is printed, unless the system shares its memory and a setting gives the GPU enough of it
  (`ttm.pages_limit` on a Strix Halo, `iogpu.wired_limit_mb` on a Mac): then the answer stays no, and the rate is what that setting gives.
- Prompts on a device whose matrix rate nobody publishes (Apple M5), and requests at once there, as the prompts of others share their steps.
- Prompts of models with experts under llama.cpp that are read with other than 512 tokens at once (`-ub`, Ollama's `num_batch`): two
  sources measured it, and a forecast takes too much of a gain for granted. Those of dense models are forecast: nine measurements of
  three threads (Radeon, `-ub` 64 to 1,024), of which only rows with 512 are in the fit, lie within 18 % of it.

Products are taken at the rate of what the engine's kernels multiply in (`src/archcalc/analysis/speed/rates.py` has the table): 16 bits for
AWQ, GPTQ of 4 and 8 bits, W4A16 and other weights alone, FP8 from Ada on, MXFP8 and NVFP4 from Blackwell on, INT8 where activations
are INT8 too, and 16 bits where the GPU has no such kernels. Matrices that a checkpoint keeps in 16 bits are multiplied in 16, and so are
attention's scores and values, but for an FP8 cache on Hopper and data-centre Blackwell. Servers accumulate 16 bits in FP32, which a
GeForce does at half the rate of FP16 that accumulates in FP16.

Bounds are bounds, and rounded away from what they bound:
a step reads at least one token's experts, looked-up tables are not read, and under llama.cpp quantized products may run
at INT8 or at FP16 with FP16 accumulation where a device has them. No middle is faster than its bound.

A request's own prompt is read before its first token, and shares no step of it: those of the others do, fewer the longer the outputs are.
Replicas of a dense model are as many machines; those that share experts run in step.

## Requests and dollars

`decode_tokens_per_s` is the rate while requests decode; `requests_per_s` counts their wait for the first token too (as many as there are at
once over the time of one: Little 1961), and is at most what is read of prompts where nothing else is done, short ones several to a pass.
It is not told where no first token is forecast, nor is a price of output. Requests of one output token have no time between two: their
rate is that of their prompts, and their first token takes as long as all that run at once. The price of a million output tokens is the
rent over those, so that it pays the prompts as well; the price of prompt tokens is of a machine that reads prompts alone, those of
as many requests as there are at once, on all replicas and short ones several to a pass, as `prefill_tokens_per_s` is. The rent is
the list price of the instance where one is named, else of the cheapest such machine. They are not added.

Of the splits that fit the one is taken that finishes most requests a second with as many at once (`--concurrency`), of the lengths that are
asked about or the usual ones, where it is ahead of the usual split by more than x 1.3; the page says what was compared. Where a first
token is not forecast of all of them, tokens as they decode are compared. The same holds for `compare`, `sweep`, `pick` and lists; under a
target it is the split that keeps it and finishes most requests. A chart of `plot pareto` and that of a page have the output tokens of whole
requests on their second axis. `--sort speed` has forecasts first and then bounds, which are no speeds; where the lengths of requests are
given, it goes by whole requests too.

A target of the time per token is kept by the forecast x 1.3, one of the first token by the end of its 80 %: a third of the rows of unseen
sources took longer than its middle x 1.3.

Where the cache, the engine or what is forecast stops at so many requests and the target does not, the page says which. Weights are taken as
published; `--max-quant`, lists of models and `pick` take the first smaller storage that keeps a target, and `fit MODEL` names it.

One measurement of a host (`calibrate`) moves the middle. It narrows the interval of the same model on as many GPUs, by the scatter of its
own rows; of other models and numbers to that of rows of one source; and not at all where a term of the forecast (messages between ranks,
layers of experts, prompts of others) was in none of its measurements. Until there are five of a phase,
the interval is no narrower than rows of one
source lie around their own middle: 80 % within x 1.2 of the time per token, x 1.3 of a prompt of a local engine, x 1.5 of a server's first
token.
"""

_SHOWN: Mapping[str, tuple[str, ...]] = collections.defaultdict(
    tuple,
    {
        "vllm/nvidia": ("decode", "ttft"),
        "llama.cpp/nvidia": ("decode", "prefill"),
        "tensorrt-llm/blackwell": ("decode", "ttft"),
    },
)
"""Those that differ: SGLang's and TensorRT-LLM's intervals are vLLM's, as all are made of the same classes."""

_NEAR = """
## What stands in for what was not measured

Cards that only an NVLink bridge joins (A100 PCIe, H100 PCIe and NVL, A30, A40, RTX A6000, RTX 3090 and others: two of them, H200 NVL up to
four) are taken to have one, which is sold apart, where no more exchange than it joins; more meet over PCIe.

Under llama.cpp NVIDIA's data-centre GPUs with stacked memory (V100 to B300) are one class. A single request reaches from a sixth (B300) to
somewhat over half (V100) of their bandwidth, where cards with graphics memory reach two thirds and more, so that an RTX 4090 is ahead of an
A100 with most models that fit it. The rows are of two publishers; the one of 2026 measured ten models on 13 machines with one build and
script, and each machine counts as a source, as those of InferenceX do. Lengths were not stated, and are taken as 64 and 512 tokens.

An engine that was measured on some of NVIDIA's GPUs is forecast on its others (an A100 or a GeForce under SGLang), with the
errors of classes of devices that were left out of a fit whole. It is forecast there no faster than with the coefficients of each newer
class that it was measured on, so that of two GPUs the newer one, if it is as good in every rate, is not the slower one; where none is
newer the fastest of the older ones stands in, as Hopper does for Blackwell under TensorRT-LLM. Where rows of both say otherwise they
stand: cards with graphics memory start a layer sooner than Hopper under vLLM, and keep ahead of it with small models. A kind of layer that
fewer than three sources measured (attention that chooses by an index what it attends to) adds nothing to the forecast, and widens it to
the interval of kinds that were left out whole. The interval of SGLang and TensorRT-LLM is that of vLLM, made of the same classes.
A class whose rows are of single requests (an A100 under vLLM) has, for several at once, the wider of its interval and that of classes that
were left out whole.

Several sequences at once under llama.cpp are one batch of the tokens of all slots (`llama_context::decode`), which reads the weights once,
each slot's cache in its own stream, and multiplies as many rows; prompts that arrive join the steps of the others (`update_slots`). The
coefficient of the products is that of the other engines; nothing was fitted to the rows below, of RTX 3090, RTX 4090 and M2 Ultra. They are
of `llama-batched-bench` and of `llama-bench -ub N`, and their threads are of two authors. Three things are read into them: "llama 1B" is
TinyLlama (Llama 3.2 1B would beat the bandwidth), "llama 8B" Llama 3.1, and the machine of 16 threads under Metal an M2 Ultra.

"""

_BESIDE = """
## Beside another simulator

AIConfigurator 0.12.0 (AISimulate by its former name; 0.13.0 could not be installed) was asked for the time per token of 68 published
rows of vLLM, SGLang and TensorRT-LLM (`aiconfigurator cli estimate --database-mode HYBRID`: its own tables where
it has them, else its estimates). It answered 56, with a median error of 23 % and 65 % at the 90th percentile.
Of those, 37 rows are in the fit of this page, each forecast by a fit without its source (to 35 rows fewer than this page's): 15 % and
42 %, and 22 % and 51 % for AIConfigurator on the same 37.
"""

_ELSEWHERE = """
## Everything else

| figure | compared with | where |
| --- | --- | --- |
| elements of checkpoints | the Hub's counts of 182 repositories; those that differ, one by one | [Checkpoints](published.md) |
| caches | caches measured in transformers and llama.cpp, plans of vLLM's own code | [Caches](caches.md) |
| memory of a GPU, verdicts | logs of vLLM and SGLang on real GPUs, with the rows that are off | [Engine logs](engine-logs.md) |
| training | what autograd saved, peaks on a GPU, logs of torchtitan, torchtune and litgpt | [Training](training.md#how-close-it-comes) |
| the page's fit panel | the command line, over random machines, contexts and concurrencies | [report](commands/report.md) |
| other tools | the same models, side by side | [Comparison](peers.md) |
"""


def pages(only: list[Path], problems: list[str]) -> Iterator[tuple[Path, str]]:
    """Every generated file with what it should hold."""
    made = {
        ROOT / "docs" / "support.md": support_page,
        ROOT / "docs" / "python-api.md": python_page,
        ROOT / "docs" / "accuracy.md": accuracy_page,
        ROOT / "docs" / "speed.md": speed_page,
    }
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if only and not any(path == wanted or wanted in path.parents for wanted in only):
            continue
        if path in made:
            yield path, made[path]()
        elif _EXAMPLE.search(text := path.read_text(encoding="utf-8")):
            yield path, with_examples(text, problems)


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders; everything by default")
    args = parser.parse_args()
    only = [Path(path).resolve() for path in args.paths]
    problems: list[str] = []
    with workplace():
        stale = [(path, text) for path, text in pages(only, problems) if path.read_text(encoding="utf-8") != text]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    for path, text in stale:
        print(f"{path.relative_to(ROOT)} {'is out of date' if args.check else 'written'}")
        if not args.check:
            path.write_text(text, encoding="utf-8")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
