"""Commands that start a run of the Trainer, TRL or LLaMA-Factory: launchers, and the arguments that they pass on; nothing is run.

Read in accelerate 1.15 (commands/launch.py), PyTorch 2.9 (distributed/run.py), DeepSpeed 0.19 (launcher/runner.py), TRL 1.16
(scripts, cli) and LLaMA-Factory 0.9.5 (cli.py). Arguments are those of `HfArgumentParser`: `--name value`, lists as words that follow,
flags alone as true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.errors import UnsupportedError, UsageError

_SIGNS = ("--per_device_train_batch_size", "--model_name_or_path")
_PROCESSES = ("num_processes", "nproc_per_node", "nproc-per-node", "num_gpus")
_METHODS = {
    "sft": "sft", "dpo": "dpo", "kto": "kto", "grpo": "grpo", "ppo": "ppo", "reward": "reward", "reward_modeling": "reward", "rloo": "grpo",
    "gspo": "grpo", "mpo": "dpo", "orpo": "orpo", "cpo": "cpo",
}  # fmt: skip
# TRL's scripts (examples/scripts) of trainers that keep other models beside the trained one, or other passes.
_OTHER_TRAINERS = frozenset(
    """
    gkd gold distillation sdft sdpo ssd online_dpo online_dpo_vlm dpo_online nash_md xpo bco tpo prm async_grpo sft_diffusion_gemma
    """.split()
)
PROCESSES, METHOD = "processes of the launcher", "trainer of the command"

# A command that leaves all to a file.
_NAMED = re.compile(
    r"(?:llamafactory-cli\s+train|axolotl\s+train|axolotl\.cli\.train|tune\s+run\b[^\n]*--config|trl\s+\w+\b[^\n]*--config"
    r"|litgpt\s+\w+\b[^\n]*--config|--job\.config[_-]file)[ =]+(\S+\.(?:ya?ml|toml))"
)


def elsewhere(path: str, text: str) -> None:
    """Raises `UsageError` for a script whose command leaves all to another file."""
    found = _NAMED.search(text)
    if found:
        raise UsageError(f"{path} starts what {found[1]} describes", f"--recipe {found[1]}, and its options by --set")


def arguments(words: Sequence[str]) -> Mapping[str, Any]:
    """The keys of a command's run, with what its launcher says; empty for a command of another kind."""
    if not any(word.partition("=")[0] in _SIGNS for word in words):
        return {}
    at = _program(words)
    launcher, program = flags_of(words[:at]), words[at] if at < len(words) else ""
    found: dict[str, Any] = {}
    for flag, value in flags_of(words[at + 1 :]).items():
        name = flag.replace("-", "_")
        # transformers 5.24, hf_argparser.py `_parse_dataclass_field`: flags that are on by default have another that switches them off.
        off = value is True and name.startswith("no_") and name != "no_cuda"
        found[name.removeprefix("no_") if off else name] = value if not off else False
    if config := launcher.get("config_file"):
        found["accelerate_config"] = config
    name = program.rpartition("/")[2].removesuffix(".py")
    if program == "trl" and at + 1 < len(words):
        name = words[at + 1]
    if name in _OTHER_TRAINERS:
        raise UnsupportedError(
            f"{name}: TRL's trainer of that name is not modelled, and what stands beside the model is memory",
            "SOURCE and options: --method sft, dpo, kto, grpo, ppo or reward",
        )
    # dpo_vlm.py, grpo_agent.py: what they learn from stands first.
    if method := _METHODS.get(name) or _METHODS.get(name.partition("_")[0]):
        found[METHOD] = method
    processes = next((str(launcher[one]) for one in _PROCESSES if one in launcher), None)
    nodes = str(launcher.get("nnodes", "1"))
    if processes is not None and processes.isdecimal() and nodes.isdecimal():
        # accelerate counts those of all machines, torchrun those of each.
        found[PROCESSES] = int(processes) * (1 if "num_processes" in launcher else int(nodes))
    return found


def _program(words: Sequence[str]) -> int:
    """Where the program stands that a launcher starts: a script, a module after `-m`, or a command of its own."""
    for i, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name.endswith(".py") or name in ("trl", "llamafactory-cli", "llmtuner-cli"):
            return i
        if (
            word in ("-m", "--module")
            and i + 1 < len(words)
            and not words[i + 1].startswith(("torch.", "accelerate.", "deepspeed"))
        ):
            return i + 1
    return 0


def flags_of(words: Sequence[str]) -> dict[str, Any]:
    """`--name value`, `--name=value` and flags of a command line; a list where a name has several values.

    >>> flags_of("x --a 1 --b --c=2 --d 3 4".split())
    {'a': '1', 'b': True, 'c': '2', 'd': ['3', '4']}
    """
    values: dict[str, Any] = {}
    name = ""
    for word in words:
        if re.match(r"--[A-Za-z]", word):
            name, equals, value = word[2:].partition("=")
            values[name] = value if equals else True
        elif name:
            before = values[name]
            values[name] = word if before is True else [*before, word] if isinstance(before, list) else [before, word]
    return values
