"""What copying does to a command: prompts, numbers of lines, blanks behind a `\\`, typographic dashes and quotes; and what a script writes
into a file and then runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from archcalc.records import NamedTuple


class Read(NamedTuple):
    """A text as it was meant, and what was changed in it."""

    text: str
    notes: tuple[str, ...] = ()


TYPED = "typographic quotes, dashes or blanks are read as plain ones, which alone an engine takes"
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "\u00a0": " ", "\u202f": " "})
_DASHED = re.compile(r"(?<![^\s\"'])(?:-?[\u2013\u2014\u2212\u2010\u2011]+-?)(?=[A-Za-z][A-Za-z-])")
_NUMBERED = re.compile(r"[ \t]*(\d{1,4})(?:[:.|)]|\t|[ \t])[ \t]?(.*)")


def meant(text: str) -> Read:
    """A script's text without what pasting put in."""
    notes: list[str] = []
    text = text.replace("\r\n", "\n")
    if (numbered := _unnumbered(text)) is not None:
        text = numbered
        notes.append("numbers of lines are left out")
    unprompted = re.sub(r"(\\\n)[ \t]*>[ \t]+(?=-)", r"\1", text)
    if unprompted != text:
        text = unprompted
        notes.append("the prompts > of its lines are left out")
    joined = re.sub(r"\\[ \t]+\n(?=[ \t]*-)", "\\\\\n", text)
    if joined != text:
        text = joined
        notes.append(
            "a blank stands behind a \\ at the end of a line, where a shell ends the command: the next line is read as part of it"
        )
    plain = "\n".join(line if line.lstrip().startswith("#") else straight(line) for line in text.split("\n"))
    if plain != text:
        text = plain
        notes.append(TYPED)
    return Read(text, tuple(notes))


def straight(text: str) -> str:
    """A text with plain quotes and blanks, and two hyphens in front of a flag whose dash is another one.

    >>> straight("vllm serve “m” –-dtype half —max-num-seqs 8")
    'vllm serve "m" --dtype half --max-num-seqs 8'
    """
    # An apostrophe within a word is none of a shell's quotes.
    return _DASHED.sub(
        "--", "".join(p if p == "\u2019" else p.translate(_QUOTES) for p in re.split(r"(?<=\w)(\u2019)(?=\w)", text))
    )


def plain(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that no shell has to read any more, and what was changed in them."""
    notes: list[str] = []
    words = [word for a in arguments for word in re.split(r"[\u00a0\u202f]+", a)]
    words = [re.sub(r"^[\u201c\u201e\u2018](.*)[\u201d\u2019\u201c\u2018]$", r"\1", word, flags=re.DOTALL) for word in words]
    words = [_DASHED.sub("--", word, count=1) for word in words]
    if words != list(arguments):
        notes.append(TYPED)
    stripped = [word.lstrip() if word.lstrip().startswith("-") else word for word in words]
    if stripped != words:
        notes.append("a \\ stands in front of a blank, not at the end of a line: the flag behind it is read without the blank")
    return stripped, notes


def _unnumbered(text: str) -> str | None:
    """A text whose lines are numbered from one on, without the numbers."""
    lines = text.strip("\n").split("\n")
    found = [m for line in lines if (m := _NUMBERED.fullmatch(line)) is not None]
    if len(lines) < 2 or len(found) < len(lines) or any(int(m[1]) != int(found[0][1]) + i for i, m in enumerate(found)):
        return None
    return "\n".join(m[2] for m in found) + "\n"


def fenced(text: str) -> list[str]:
    """The blocks of code in a page of Markdown."""
    return [m[2] for m in re.finditer(r"(?ms)^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)^[ \t]*\1", text)]


def allocation(text: str) -> Mapping[str, str]:
    """The variables that Slurm sets by the options that stand in the script (`#SBATCH`), as far as those say a number.

    Source: Slurm 25.05, sbatch(1): "Output environment variables", `--nodes`, `--ntasks`, `--ntasks-per-node`, `--gpus`,
    `--gpus-per-node`, `--gpus-per-task`, `--gres`, `--cpus-per-task`.
    """
    said = dict(_options(text))

    def number(*names: str) -> int | None:
        value = next((said[n] for n in names if n in said), "")
        m = re.fullmatch(r"(?:gpu:)?(?:[\w.-]*[A-Za-z_][\w.-]*:)?(\d{1,5})", value)
        return int(m[1]) if m else None

    nodes, each = number("--nodes", "-N"), number("--ntasks-per-node")
    tasks = number("--ntasks", "-n")
    if nodes is None and not {"--nodes", "-N"} & said.keys() and said and tasks is None:
        nodes = 1
    tasks = tasks if tasks is not None or nodes is None else nodes * (each or 1)
    on_node = number("--gpus-per-node") or (number("--gres") if "gpu" in said.get("--gres", "") else None)
    whole = number("--gpus", "-G")
    if on_node is None and whole is not None and nodes is not None and not whole % nodes:
        on_node = whole // nodes
    found = {
        "SLURM_NNODES": nodes, "SLURM_JOB_NUM_NODES": nodes, "SLURM_NTASKS": tasks, "SLURM_NPROCS": tasks, "SLURM_NTASKS_PER_NODE": each,
        "SLURM_GPUS": whole, "SLURM_GPUS_PER_NODE": number("--gpus-per-node"), "SLURM_GPUS_ON_NODE": on_node,
        "SLURM_GPUS_PER_TASK": number("--gpus-per-task"), "SLURM_CPUS_PER_TASK": number("--cpus-per-task", "-c"),
    }  # fmt: skip
    return {name: str(value) for name, value in found.items() if value is not None}


def _options(text: str) -> Iterator[tuple[str, str]]:
    for m in re.finditer(r"(?m)^#SBATCH[ \t]+(.*)$", text):
        words = m[1].split("#", 1)[0].split()
        for i, word in enumerate(words):
            name, equals, value = word.partition("=")
            if re.fullmatch(r"-[NnGc]\d\S*", word):
                name, equals, value = word[:2], "=", word[2:]
            if name.startswith("-"):
                yield name, value if equals else words[i + 1] if i + 1 < len(words) else ""
