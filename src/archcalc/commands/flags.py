"""An engine's command read against the flags that its release has: every flag by its full name, with a value of the right kind.

The tables are made from the sources of each release by scripts/build_flags.py. How words are matched follows each program's own parser:
vLLM, utils/argparse_utils.py `FlexibleArgumentParser.parse_args` (underscores, `--a.b`, `-O3`); Python's argparse for SGLang and mlx-lm
(`--x=y`, unique prefixes); llama.cpp, common/arg.cpp `common_params_parse_ex` (exact names, underscores in long ones).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from math import isfinite
from pathlib import Path
from typing import Any

from archcalc.commands.accepted import choices as taken
from archcalc.commands.accepted import refuse
from archcalc.commands.alike import elsewhere
from archcalc.commands.environment import as_flags
from archcalc.commands.words import MODELFILE, NAMES, Command, Engine
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

Value = Any
"""True or False of a switch, a number, a text, a list of texts, or what JSON holds."""


OWN = frozenset(
    "--gpu --vram --ram --ram-bandwidth --offline --refresh --format --explain --set --engine --engine-version --calibration --emit"
    " --concurrency --isl --osl --command-file".split()
)
"""Options of archcalc that people write behind an engine's command."""


def _before(name: str) -> str:
    return f"archcalc's own {name} stands before --" if name in OWN else ""


class Row(NamedTuple):
    """A flag in a span of releases; `since` and `until` are empty where the first and the last release read have it."""

    name: str
    others: tuple[str, ...]
    off: tuple[str, ...]
    kind: str
    default: str
    since: str
    until: str


class Given(NamedTuple):
    """One flag of a command: its full name, its value, and the words it was written in."""

    name: str
    value: Value
    text: str
    at: int


class Read(NamedTuple):
    """A command, read. `positional` are the words that belong to no flag; `gone` are flags and values that the newest release lacks, where
    none was named. `version` is then the newest of those that have them all, where releases are ordered. `plugins` are values that no
    release knows by itself."""

    command: Command
    version: str | None
    given: tuple[Given, ...]
    positional: tuple[str, ...]
    gone: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def get(self, *names: str) -> Value:
        """The value of the first of these flags that is given, None where none is, or where a shell puts it in."""
        for name in names:
            for each in self.given:
                if each.name == name:
                    hidden = self.command.unknown and isinstance(each.value, str) and "$" in each.value
                    return None if hidden else each.value
        return None

    def text(self, name: str) -> str | None:
        return next((g.text for g in self.given if g.name == name), None)


class Table:
    """The flags of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rows: dict[str, list[Row]] = {}
        path = Path(__file__).parent / "tables" / f"{engine}.tsv"
        self.releases: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# Releases read:"):
                self.releases = line.partition(":")[2].split()
            if not line or line.startswith("#"):
                continue
            name, others, kind, default, since, until = (line.split("\t") + [""] * 5)[:6]
            spelled = others.split()
            row = Row(
                name,
                tuple(o for o in spelled if o[0] != "!"),
                tuple(o[1:] for o in spelled if o[0] == "!"),
                kind,
                default,
                since,
                until,
            )
            self.rows.setdefault(name, []).append(row)

    def at(self, version: str | None) -> dict[str, tuple[Row, bool]]:
        """Every spelling at a version, with its row and whether it turns the flag off."""
        out: dict[str, tuple[Row, bool]] = {}
        for rows in self.rows.values():
            row = self.as_of(rows, version)
            if row is None:
                continue
            for spelled in (row.name, *row.others):
                out.setdefault(spelled, (row, False))
            for spelled in row.off:
                out.setdefault(spelled, (row, True))
            if row.kind == "switch" and not row.off:
                out.setdefault("--no-" + row.name[2:], (row, True))
        return out

    def as_of(self, rows: list[Row], version: str | None) -> Row | None:
        if version is None:
            return next((r for r in rows if not r.until), None)
        asked = _key(self.engine, version)
        for r in rows:
            if (not r.since or _key(self.engine, r.since) <= asked) and (not r.until or asked < _key(self.engine, r.until)):
                return r
        return None

    def elsewhere(self, spelled: str) -> list[Row]:
        """The rows of other releases that have a flag spelled so."""
        return [
            r
            for rows in self.rows.values()
            for r in rows
            if spelled in (r.name, *r.others, *r.off) or (r.kind == "switch" and spelled == "--no-" + r.name[2:])
        ]


TABLED = frozenset[Engine](("vllm", "sglang", "llama.cpp", "mlx"))
"""Engines whose flags are read from their sources; of Ollama they are words and parameters."""


@cache
def table(engine: Engine) -> Table:
    return Table(engine)


def _other_releases(engine: Engine, spelled: str, version: str) -> str:
    """That a release has no flag spelled so, and which do."""
    rows, asked = table(engine).elsewhere(spelled), _key(engine, version)
    since = [row.since for row in rows if row.since and _key(engine, row.since) > asked]
    said = f"it came with {min(since, key=partial(_key, engine))}" if since else f"{rows[-1].until} has it no longer"
    return f"{NAMES[engine]} {version} has no {spelled}: {said}"


def lacks(engine: Engine, spelled: str, version: str | None) -> str:
    """That a release lacks a flag which others have, and which do; empty where it has it.

    >>> lacks("vllm", "--data-parallel-size", "0.8.2"), lacks("vllm", "--data-parallel-size", "0.8.3")
    ('vLLM 0.8.2 has no --data-parallel-size: it came with 0.8.3', '')
    """
    made = table(engine)
    # What no release spells so is the start of a name.
    rows = made.elsewhere(spelled)
    return "" if not rows or made.as_of(rows, version) else _other_releases(engine, spelled, version or made.releases[-1])


def choices(engine: Engine, version: str | None, flag: str) -> tuple[str, ...]:
    """The values that a flag takes in a release, where its sources list them."""
    return taken(engine, version, partial(_key, engine), flag)


def _whole(engine: Engine, spelled: str) -> str | None:
    """The full name of a flag as the newest release of an engine has it, also by the start of its name; None where it has none so."""
    flags = table(engine).at(None)
    name = spelled.replace("_", "-") if spelled.startswith("--") else spelled
    if name in flags:
        return f"--no-{flags[name][0].name[2:]}" if flags[name][1] else flags[name][0].name
    starts = (
        {row.name for each, (row, _) in flags.items() if each.startswith(name)}
        if engine != "llama.cpp" and len(name) > 4
        else set()
    )
    return starts.pop() if len(starts) == 1 else None


def _key(engine: Engine, version: str) -> tuple[tuple[int, ...], int]:
    """The numbers of a version, padded, and its post-release. Raises `UsageError` for what is none."""
    found = re.match(r"\s*[v~]?(\d{1,5}(?:\.\d{1,5}){0,3})", version)
    if found is None:
        raise UsageError(f"{version[:40]!r} is not a version of {NAMES[engine]}", "write it like 0.33.0")
    numbers = tuple(map(int, found[1].split(".")))
    post = re.search(r"post(\d+)", version)
    return numbers + (0,) * (3 - len(numbers)), int(post[1]) if post else 0


# Flags of llama.cpp that once stood alone, or took two words, and take one now: the last build known to read them so, and the first known
# not to. Between the two both are taken. Sources: pull requests 15434 of 2025-08-30 (release b6325), 15792 of 2025-09-05, 17827
# of 2025-12-07, 18056 of 2025-12 (ggml-org/llama.cpp, common/arg.cpp).
_ARITY: dict[str, tuple[int, int]] = {
    "--flash-attn": (6324, 6325),
    "--log-colors": (6343, 6500),
    "--color": (7200, 7710),
    "--lora-scaled": (7300, 7710),
    "--control-vector-scaled": (7300, 7710),
}
FLASH_TAKES = _ARITY["--flash-attn"]
"""The last build whose `--flash-attn` stands alone, and is off by default, and the first that decides by itself (`auto`)."""


def renewed(words: Sequence[str]) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The words of a command of llama.cpp with those flags that older builds took otherwise as the newest takes them, and what was changed
    for what.

    >>> renewed("llama-server -m a.gguf -fa --lora-scaled b.gguf 0.5".split())[1]
    (('-fa', '-fa on'), ('--lora-scaled b.gguf 0.5', '--lora-scaled b.gguf:0.5'))
    """
    rows = table("llama.cpp").at(None)
    out, changed, at = list[str](), list[tuple[str, str]](), 0
    while at < len(words):
        row = rows.get(words[at])
        after = list(words[at + 1 : at + 3])
        taken, value = 0, ""
        if row is not None and row[0].name in _ARITY:
            if any(old.kind == "two" for old in table("llama.cpp").rows[row[0].name]):
                if len(after) == 2 and re.fullmatch(r"-?\d+(\.\d+)?", after[1]):
                    taken, value = 2, ":".join(after)
            elif not after or _is_flag(after[0]):
                value = "on"
        out.append(words[at])
        if value:
            out.append(value)
            changed.append((" ".join(words[at : at + 1 + taken]), f"{words[at]} {value}"))
        at += 1 + taken
    return out, tuple(changed)


# llama-bench has a parser of its own (tools/llama-bench/llama-bench.cpp `parse_cmd_params`): lists, and values for switches.
_BENCH = {
    spelled: names.split()[0]
    for names in """--model -m|--hf-repo -hf -hfr|--hf-file -hff|--hf-token -hft|--offline|--n-prompt -p|--n-gen -n|--n-depth -d|-pg
        |--batch-size -b|--ubatch-size -ub|--cache-type-k -ctk|--cache-type-v -ctv|--threads -t|--gpu-layers -ngl --n-gpu-layers
        |--n-cpu-moe -ncmoe|--split-mode -sm|--main-gpu -mg|--no-kv-offload -nkvo|--flash-attn -fa|--device -dev|--mmap -mmp
        |--load-mode -lm|--lazy-mode -lzm|--tensor-split -ts|--override-tensor -ot|--fit-target -fitt|--fit-ctx -fitc|--no-host|--repack
        |--repetitions -r|--output -o|--output-err -oe|--cpu-mask -C|--cpu-strict|--poll|--prio|--rpc -rpc|--embeddings -embd
        |--no-op-offload -nopo|--delay|--verbose -v|--progress|--no-warmup|--numa""".split("|")
    for spelled in names.split()
}
# common/arg.cpp `is_truthy`, `is_falsey`, `is_autoy`.
_BENCH_FLASH = "on enabled true 1 off disabled false 0 auto -1"
_BENCH_BARE = frozenset({"--verbose", "--progress", "--no-warmup", "--offline"})
# Lists of ranges (`parse_int_range`), which may be given again: of several runs the one that takes most memory.
_BENCH_MOST = {
    **dict.fromkeys("--gpu-layers --batch-size --ubatch-size --n-prompt --n-gen --n-depth --main-gpu --fit-ctx".split(), max),
    "--n-cpu-moe": min,
    "--fit-target": min,
}
# Flags that may be given again and again, each adding to what was said.
_ADDS = frozenset(
    "--override-tensor --override-kv --lora --lora-scaled --lora-paths --lora-modules --api-key --middleware --control-vector"
    " --json-model-override-args --logits-processors --spec-draft-override-tensor --device".split()
)
# `ollama`: words of `run`, and a Modelfile's parameters, which are written as flags here (docs/modelfile.mdx).
_OLLAMA_BARE = frozenset({"--verbose", "--insecure", "--nowordwrap", "--hidethinking", "--truncate"})
_OLLAMA = frozenset(
    "--format --keepalive --think --dimensions --width --height --steps --seed --negative --num_ctx --num_gpu --num_batch --num_thread"
    " --num_predict --num_keep --temperature --top_k --top_p --min_p --stop --repeat_penalty --repeat_last_n --mirostat --mirostat_eta"
    " --mirostat_tau --tfs_z --typical_p --presence_penalty --frequency_penalty --use_mmap --use_mlock --main_gpu --low_vram"
    " --f16_kv --numa"
    " --adapter --draft_num_predict".split()
)


def read(command: Command, version: str | None = None) -> Read:
    """The command against the flags of a release: the one given, else the one that its image's tag names, else the newest.

    Raises `UsageError` for a flag that the release lacks (with the nearest one), one given twice with two values, a value of the wrong
    kind, or a value that a shell would have put in.
    """
    version = version or command.version
    if command.engine == "ollama":
        return _read_ollama(command, version)
    if command.program == "llama-bench":
        return _read_bench(command, version)
    found = _read_at(command, version)
    if not found.gone or command.engine == "llama.cpp":
        return found
    # Without a name the command is of an earlier release, as the newest would not start on it.
    releases = table(command.engine).releases[::-1]
    for release in releases:
        try:
            return _read_at(command, release)._replace(gone=found.gone)
        except UsageError:
            continue
    raise _of_no_release(command, releases)


def _read_at(command: Command, version: str | None) -> Read:
    reader = _Reader(command, version)
    reader.run()
    given = {each.name: each.value for each in reader.given.values()}
    gone, plugins = refuse(command.engine, version, partial(_key, command.engine), given)
    return Read(command, version, tuple(reader.given.values()), tuple(reader.positional), (*reader.gone, *gone), plugins)


def _of_no_release(command: Command, releases: list[str]) -> UsageError:
    """Why the newest release takes not all words of a command, and why the one that comes closest does not."""
    why: list[str] = []
    known: set[str] = set()
    for release in releases:
        try:
            _read_at(command, release)
        except UsageError as error:
            flag = re.search(r"--?[A-Za-z][\w.-]*", error.message)
            why += [error.message] if flag and flag[0] not in known else []
            known |= {flag[0]} if flag else set()
    if len(why) < 2:
        return UsageError(why[0], "write the flag as one of its releases takes it")
    return UsageError(
        f"no release of {NAMES[command.engine]} takes the whole command: {why[0]}; {why[1]}",
        "leave one of them out, or name the release that it is for: --engine-version",
    )


# What benches take beside the engine's own flags, in the sources of vLLM 0.33 (benchmarks/throughput.py, latency.py) and SGLang 0.5.23
# (benchmark/one_batch.py, offline_throughput.py): a name, and `!` behind one that takes no value. Memory does not depend on any of them.
_OF_BENCHES: Mapping[str, str] = {
    "vllm bench throughput": """--backend --dataset-name --dataset-path --no-oversample! --enable-multimodal-chat! --custom-output-len
        --input-len --output-len --n --num-prompts --num-warmups --hf-max-batch-size --hf-enable-torch-compile! --output-json
        --async-engine!
        --disable-detokenize! --lora-path --lora-assignment --prefix-len --random-range-ratio --random-input-len --random-output-len
        --random-prefix-len --hf-subset --hf-split --hf-name --profile! --prequeue-requests! --prefix-repetition-prefix-len
        --prefix-repetition-suffix-len --prefix-repetition-num-prefixes --prefix-repetition-output-len""",
    "vllm bench latency": """--input-len --output-len --batch-size --n --use-beam-search! --num-iters-warmup --num-iters --profile!
        --output-json --disable-detokenize!""",
    "one_batch": """--run-name --batch-size --input-len --output-len --prompt-filename --result-filename --correctness-test! --cut-len
        --log-decode-step --profile! --profile-record-shapes! --profile-activities --profile-stage --profile-prefix --profile-start-step
        --profile-steps""",
    "offline_throughput": """--backend --result-filename --dataset-name --dataset-path --num-prompts --sharegpt-output-len
        --sharegpt-context-len --random-input-len --random-output-len --random-range-ratio --gsp-num-groups --gsp-prompts-per-group
        --gsp-system-prompt-len --gsp-question-len --gsp-output-len --seed --disable-ignore-eos! --extra-request-body
        --apply-chat-template! --profile! --profile-activities --profile-steps --skip-warmup! --do-not-exit! --prompt-suffix
        --return-logprob! --logprob-start-len""",
}


def _of_bench(program: str) -> Mapping[str, bool]:
    """The flags that are a bench's own, and whether each takes a value; nothing of a program that is none."""
    kind = program if program.startswith("vllm bench") else program.rpartition(".")[2].removeprefix("bench_")
    return {name.rstrip("!"): not name.endswith("!") for name in _OF_BENCHES.get(kind, "").split()}


def of_bench(program: str, name: str) -> bool:
    """Whether a flag is a bench's own, on which memory does not depend."""
    return name.replace("_", "-") in _of_bench(program)


# Programs of mlx-lm whose flags are not in the table, which is of its server.
_MLX_ALONE = frozenset({"mlx_lm.generate", "mlx_lm.chat"})


class _Reader:
    def __init__(self, command: Command, version: str | None) -> None:
        self.command, self.engine = command, command.engine
        # llama.cpp's builds are not ordered by the releases its table was read in.
        self.version = None if self.engine == "llama.cpp" else version
        build = re.fullmatch(r"b(\d{1,6})", (version or "").strip()) if self.engine == "llama.cpp" else None
        self.build = int(build[1]) if build else None
        self.table = table(self.engine)
        self.flags = self.table.at(self.version)
        self.words = list(command.words)
        self.at = 0
        self.given: dict[str, Given] = {}
        self.positional: list[str] = []
        self.gone: list[str] = []
        self.bench = _of_bench(command.program)

    def run(self) -> None:
        while self.at < len(self.words):
            word, at = self.words[self.at], self.at
            self.at += 1
            if word == "--":
                continue
            if not _is_flag(word):
                self.command.refuse_unknown(at)
                self.positional.append(word)
                continue
            self._flag(word, at)
        if self.engine == "llama.cpp":
            self._environment()

    def _environment(self) -> None:
        """Variables in place of flags that the command leaves out."""
        for name, flag, negated, text in as_flags(self.command.environment):
            row = self.flags[flag][0] if flag in self.flags else None
            value = text.strip("\"' ")
            if row is None or row.name in self.given or (not value and not negated):
                continue
            on = value in ("on", "enabled", "true", "1")
            made: Value = on
            if negated:
                made = False
            elif row.kind == "switch" and not on and value not in ("off", "disabled", "false", "0"):
                raise UsageError(f"{name}={value[:40]}: on or off was expected", f"such as {name}=1")
            elif row.kind == "none" and not on:
                continue
            elif row.kind not in ("switch", "none"):
                made = _typed(self.engine, row, name, [value])
            self.given[row.name] = Given(row.name, made, f"{name}={value}", len(self.words))

    def _flag(self, word: str, at: int) -> None:
        name, equals, value = word.partition("=")
        if (takes := self.bench.get(name.replace("_", "-"))) is not None:
            end = self.at
            while takes and not equals and end < len(self.words) and not _is_flag(self.words[end]):
                end += 1
            self.given[name] = Given(name, value if equals else self.words[self.at : end], " ".join(self.words[at:end]), at)
            self.at = end
            return
        inner: list[str] = []
        if self.engine == "vllm":
            # FlexibleArgumentParser.parse_args: `-O3`, `-O=3` and `-O 3`.
            apart = word == "-O" and self.at < len(self.words) and re.fullmatch(r"\d+", self.words[self.at])
            if apart or re.fullmatch(r"-O=?\w+", word):
                level = self.words[self.at] if apart else word[2:].lstrip("=")
                self.at += bool(apart)
                whole = "--optimization-level" if "--optimization-level" in self.flags else "--compilation-config"
                name, equals, value = whole, "=", level
            if "." in name:
                name, *inner = name.split(".")
            if name.startswith("--"):
                name = name.replace("_", "-")
        elif self.engine == "llama.cpp" and name.startswith("--"):
            name = name.replace("_", "-")
            if equals and name in self.flags:
                raise UsageError(
                    f"llama.cpp takes {word[:60]} for one name, and has no flag so called", f"write {name} {value[:40]}"
                )
        row, off = self._row(name, word)
        if off or (row.kind == "none" and not equals):
            if equals:
                raise UsageError(f"{name} takes no value, and {value!r} is given", f"write {name} alone")
            self._put(row, not off, name, at)
            return
        if row.kind in ("switch", "none"):
            if equals:
                raise UsageError(f"{row.name} takes no value, and {value!r} is given", f"write {row.name}, or leave it out")
            self._put(row, True, word, at)
            return
        old = None if equals or self.engine != "llama.cpp" else self._as_before(row, name)
        if old is not None:
            self._put(row, old, " ".join(self.words[at : self.at]), at)
            return
        taken = [value] if equals else self._values(row, name, at)
        text = " ".join([name if not inner else word.partition("=")[0], *taken])
        if inner:
            self._nested(row, inner, taken[0] if taken else "true", text, at)
            return
        self._put(row, _typed(self.engine, row, name, taken), text, at)

    def _as_before(self, row: Row, name: str) -> Value:
        """The value of a flag that stands as older builds of llama.cpp take it; None where it stands as today's do.

        Raises `UsageError` where the build that is named takes it the other way. Without one it is among what newer builds refuse.
        """
        if row.name not in _ARITY:
            return None
        last, first = _ARITY[row.name]
        pair = any(old.kind == "two" for old in self.table.rows[row.name])
        after = self.words[self.at : self.at + 2]
        held = not after or _is_flag(after[0])
        older = len(after) == 2 and bool(re.fullmatch(r"-?\d+(\.\d+)?", after[1])) if pair else held
        names = f"llama.cpp b{self.build}"
        what, now = ("a file and a scale", "FILE:SCALE") if pair else ("no value", "a value, such as on")
        if not older:
            if self.build is not None and self.build <= last and not (pair and held):
                raise UsageError(f"{name}: {names} takes {what}", f"builds from b{first} on take {now}")
            return None
        if self.build is not None and self.build >= first:
            raise UsageError(
                f"{name}: {names} takes {now}", f"builds up to b{last} took {what}; write {name} {now.rpartition(' ')[2]}"
            )
        if self.build is None:
            self.gone.append(f"{name} with {what} (builds up to b{last} take it so, and from b{first} on {now})")
        self.at += 2 if pair else 0
        return f"{after[0]}:{after[1]}" if pair else "on"

    def _row(self, name: str, word: str) -> tuple[Row, bool]:
        if name in self.flags:
            return self.flags[name]
        if self.engine != "llama.cpp" and name.startswith("--"):
            # argparse takes the start of a flag for it where no other starts so.
            starts = {row.name: (row, off) for spelled, (row, off) in self.flags.items() if spelled.startswith(name)}
            if name in OWN or (self.command.program in _MLX_ALONE and not self.table.elsewhere(name)):
                starts = {}
            if len(starts) == 1:
                return next(iter(starts.values()))
            if len(starts) > 1 and not self.table.elsewhere(name):
                raise UsageError(f"{name} may be {' or '.join(sorted(starts)[:4])}", "write it whole")
        return self._missing(name)

    def _missing(self, name: str) -> tuple[Row, bool]:
        from difflib import get_close_matches

        engine = NAMES[self.engine]
        rows = self.table.elsewhere(name)
        if rows and (self.version is None or self.engine == "llama.cpp"):
            row = rows[-1]
            if name not in self.gone:
                self.gone.append(name)
            return row, name in row.off or name == "--no-" + row.name[2:]
        near = get_close_matches(name, list(self.flags), 1, 0.6)
        hint = _before(name) or elsewhere(self.engine, name, _whole)
        hint = hint or (f"the nearest is {near[0]}" if near else f"its own --help lists the flags of {engine}")
        if rows:
            raise UsageError(_other_releases(self.engine, name, self.version or "0"), hint)
        if self.command.program in _MLX_ALONE:
            raise UsageError(
                f"{name}: of {self.command.program} only the flags that mlx_lm.server has too are known here", f"leave {name} out"
            )
        raise UsageError(f"{engine}{f' {self.version}' if self.version else ''} has no flag {name}", hint)

    def _values(self, row: Row, name: str, at: int) -> list[str]:
        taken: list[str] = []
        most = {"list": 1 << 30, "two": 2}.get(row.kind, 1)
        while self.at < len(self.words) and len(taken) < most and not _is_flag(self.words[self.at]):
            taken.append(self.words[self.at])
            self.at += 1
        if not taken and row.kind in ("optional",):
            return []
        if not taken or (row.kind == "two" and len(taken) < 2):
            raise UsageError(f"{name} needs a value", "the command ends, or another flag follows it")
        return taken

    def _nested(self, row: Row, keys: list[str], value: str, text: str, at: int) -> None:
        """`--flag.key value`: a key of the JSON that the flag takes (`FlexibleArgumentParser`); `+` at its end makes a list longer."""
        held = self.given.get(row.name)
        whole = dict(held.value) if held is not None and isinstance(held.value, dict) else {}
        place = whole
        for key in keys[:-1]:
            inner = place.get(key.replace("-", "_"))
            place[key.replace("-", "_")] = inner = dict(inner) if isinstance(inner, dict) else {}
            place = inner
        try:
            made = json.loads(value)
        except ValueError:
            made = value
        last = keys[-1].replace("-", "_")
        if last.endswith("+"):
            last = last[:-1]
            made = [*place.get(last, []), *(made if isinstance(made, list) else [made])]
        place[last] = made
        self.command.refuse_unknown(at)
        self.given[row.name] = Given(row.name, whole, f"{held.text} {text}" if held else text, at)

    def _put(self, row: Row, value: Value, text: str, at: int) -> None:
        held = self.given.get(row.name)
        if held is not None and row.name in _ADDS:
            first = held.value if isinstance(held.value, list) else [held.value]
            self.given[row.name] = Given(
                row.name, [*first, *(value if isinstance(value, list) else [value])], f"{held.text} {text}", held.at
            )
            return
        if held is not None and held.value != value:
            raise UsageError(f"{row.name} is given twice, as {_shown(held.value)} and as {_shown(value)}", "leave one of them out")
        self.given[row.name] = Given(row.name, value, text, at)


def _shown(value: Value) -> str:
    return json.dumps(value) if isinstance(value, (bool, dict, list)) else str(value)


def _is_flag(word: str) -> bool:
    """Whether a word starts with a dash and is no number."""
    return word.startswith("-") and len(word) > 1 and not re.fullmatch(r"-\d+(\.\d+)?(,-?\d+(\.\d+)?)*", word)


_SPECIFIER = re.compile(r"%[A-Za-z]")
"""What systemd puts in: the instance of a unit's template (systemd.unit(5), "Specifiers")."""


def _typed(engine: Engine, row: Row, name: str, taken: list[str]) -> Value:
    """The value as the flag's kind reads it. A text with a variable in it is left: whoever uses it refuses it."""
    kind = row.kind
    if kind == "list":
        if len(taken) == 1 and taken[0].startswith("["):
            try:
                made = json.loads(taken[0])
                return made if isinstance(made, list) else taken
            except ValueError:
                return taken
        return taken
    if kind == "two":
        return taken
    if kind == "optional":
        return taken[0] if taken else True
    text = taken[0]
    if "$" in text or "`" in text or _SPECIFIER.fullmatch(text.strip()):
        return text
    if kind == "int":
        if re.fullmatch(r"[+-]?\d{1,18}", text.strip()):
            return int(text)
        raise UsageError(f"{name} {text[:40]}: a whole number was expected", "such as " + (row.default or "1"))
    if kind == "size":
        return _size(engine, name, text)
    if kind == "float":
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise UsageError(f"{name} {text[:40]}: a number was expected", "such as " + (row.default or "0.9"))
        return value
    if kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if re.fullmatch(r"\w+=\d+(,\w+=\d+)*", text):
                return {k: int(v) for k, v in (p.split("=") for p in text.split(","))}
            raise UsageError(f"{name} {text[:60]}: JSON was expected", "quote it for the shell: '{\"key\": 1}'") from error
    return text


def _size(engine: Engine, name: str, text: str) -> Value:
    """vLLM's `human_readable_int`: 1k is 1,000 and 1K is 1,024; `auto` and -1 are themselves."""
    if text.strip().lower() == "auto" or text.strip() == "-1":
        return -1
    m = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([kmgtKMGT]?)", text.strip())
    if m is None or ("." in m[1] and not m[2]) or (m[2] in "KMGT" and "." in m[1] and m[2]):
        raise UsageError(f"{name} {text[:40]}: a whole number was expected", "such as 32768, 32k (thousands) or 32K (of 1,024)")
    place = "kmgt".find(m[2].lower()) + 1 if m[2] else 0
    return int(float(m[1]) * (1000 if m[2].islower() else 1024) ** place) if place else int(m[1])


def _range(text: str) -> list[int]:
    """The first number of a range and its last one."""
    first, last, op, step = re.fullmatch(r"(-?\d+)(?:-(\d+)(?:([+*])(\d+))?)?", text).groups()  # type: ignore[union-attr]
    low, high, by = int(first), int(last or first), int(step or 1)
    if high < low or (high > low and low * by <= low if op == "*" else by < 1):
        raise UsageError(f"{text[:40]} is no range", "first-last, with + or * and a step, such as 512-4096*2")
    if op != "*":
        return [low, high - (high - low) % by]
    end = low
    while end * by <= high:
        end *= by
    return [low, end]


def _read_bench(command: Command, version: str | None) -> Read:
    from difflib import get_close_matches

    given: dict[str, Given] = {}
    words, at = list(command.words), 0
    while at < len(words):
        word = words[at]
        name, equals, value = word.partition("=")
        full = _BENCH.get(name)
        if full is None:
            near = get_close_matches(name, list(_BENCH), 1, 0.6)
            raise UsageError(
                f"llama-bench has no flag {name[:40]}",
                _before(name) or (f"the nearest is {near[0]}" if near else "its --help lists them"),
            )
        at += 1
        if full in _BENCH_BARE:
            given[full] = Given(full, True, word, at - 1)
            continue
        if not equals:
            if at >= len(words):
                raise UsageError(f"{name} needs a value", "the command ends")
            value = words[at]
            command.refuse_unknown(at)
            at += 1
        made: Value = value
        if full in ("--mmap", "--no-kv-offload", "--flash-attn", "--embeddings", "--no-op-offload"):
            made = value not in ("0", "off", "false")
            if full == "--flash-attn":
                wrong = [v for v in value.split(",") if v not in _BENCH_FLASH.split()]
                if wrong:
                    raise UsageError(f"{name} {wrong[0][:40]}: llama-bench takes {', '.join(_BENCH_FLASH.split())}", "such as on")
                made = "on" if made else "off"
            full = "--no-mmap" if full == "--mmap" and not made else full
        elif full == "-pg":
            if not re.fullmatch(r"\d{1,9},\d{1,9}", value):
                raise UsageError(f"{name} {value[:40]}: tokens of a prompt and of its answer were expected", "such as 512,128")
            made = [*(before.value if (before := given.get(full)) and isinstance(before.value, list) else []), value]
        elif full in _BENCH_MOST:
            if not re.fullmatch(r"-?\d{1,9}(-\d{1,9}([+*]\d{1,9})?)?(,-?\d{1,9}(-\d{1,9}([+*]\d{1,9})?)?)*", value):
                raise UsageError(f"{name} {value[:40]}: a whole number was expected, or several with commas", "such as 512")
            if full in ("--n-prompt", "--n-gen", "--n-depth") and re.search(r"(?:^|,)-", value):
                raise UsageError(f"{name} {value[:40]}: a number of tokens was expected", "0 or more")
            most = _BENCH_MOST[full]
            made = most(most(_range(one)) for one in value.split(","))
            if (before := given.get(full)) is not None and isinstance(before.value, int):
                made = most(made, before.value)
        given[full] = Given(full, made, f"{name} {value}", at - 1)
    return Read(command, version, tuple(given.values()), ())


def _read_ollama(command: Command, version: str | None) -> Read:
    from difflib import get_close_matches

    given: dict[str, Given] = {}
    positional: list[str] = []
    words, at = list(command.words), 0
    while at < len(words):
        word = words[at]
        at += 1
        if not _is_flag(word):
            command.refuse_unknown(at - 1)
            positional.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in _OLLAMA_BARE:
            given[name] = Given(name, True, word, at - 1)
            continue
        if name not in _OLLAMA:
            if other := elsewhere("ollama", name, _whole):
                raise UsageError(f"Ollama has no flag {name}", f"{other}, of its server")
            near = get_close_matches(name, [*_OLLAMA, *_OLLAMA_BARE], 1, 0.6)
            raise UsageError(
                f"Ollama has no {'parameter ' + name[2:] if '_' in name else 'flag ' + name}",
                _before(name) or (f"the nearest is {near[0]}" if near else "docs: Modelfile, PARAMETER"),
            )
        if "_" in name and command.program != MODELFILE:
            way = "OLLAMA_CONTEXT_LENGTH of the server, or " if name == "--num_ctx" else ""
            raise UsageError(f"{command.program} has no flag {name}", f"{way}PARAMETER {name[2:]} of a Modelfile sets it")
        if not equals:
            if at >= len(words):
                raise UsageError(f"{name} needs a value", "the command ends")
            value = words[at]
            at += 1
        made: Value = value
        if name in ("--num_ctx", "--num_gpu", "--num_batch", "--num_predict", "--num_keep", "--num_thread", "--main_gpu"):
            if not re.fullmatch(r"-?\d{1,12}", value):
                raise UsageError(f"{name[2:]} {value[:40]}: a whole number was expected", "such as 8192")
            made = int(value)
        held = given.get(name)
        if held is not None and name != "--stop" and held.value != made:
            raise UsageError(f"{name[2:]} is given twice, as {held.value} and as {made}", "leave one of them out")
        given[name] = Given(name, made, f"{name} {value}", at - 1)
    return Read(command, version, tuple(given.values()), tuple(positional))
