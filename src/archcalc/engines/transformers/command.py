"""`from_pretrained` for a plan. Source: transformers 5.24, models/auto/auto_factory.py, modeling_utils.py."""

from __future__ import annotations

import json

from archcalc.engines._command import TORCH, not_set
from archcalc.engines.plan import Ask, Candidate, Command, Named
from archcalc.engines.served import classes_of, needs_code, served
from archcalc.model import Architecture

_TASKS = {
    "For" + task: "AutoModelFor" + task
    for task in (
        "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice", "MaskedLM", "PreTraining",
        "NextSentencePrediction",
    )
}  # fmt: skip
"""The class that loads one of a config, by how its name ends (models/auto/modeling_auto.py)."""


def command(named: Named, ask: Ask, model: Candidate) -> Command:
    notes = not_set("transformers", named)
    held = model.architecture
    name = json.dumps(named.name) if named.ready else named.name
    dtype = "auto" if held.dtype is None or held.dtype == named.stated else TORCH.get(held.dtype, "auto")
    arguments = [name, *([f"revision={json.dumps(named.revision)}"] if named.revision else [])]
    if needs_code("transformers", held):
        arguments.append("trust_remote_code=True")
        notes += ("trust_remote_code lets the repository's own code run, which holds the class of its config: read it first",)
    arguments += [f'dtype="{dtype}"', 'device_map="auto"', *(f"quantization_config={each}" for each in named.how)]
    parts = {g.part for g in held.groups} | {s.part for s in held.stacks}
    task = next((auto for name in classes_of(held)[:1] for ending, auto in _TASKS.items() if name.endswith(ending)), None)
    if task is not None:
        kind = task
    elif "head" not in parts or held.use or (held.encodes and held.returned):
        kind = "AutoModel"
    elif parts & {"vision", "audio"}:
        kind = "AutoModelForImageTextToText" if "vision" in parts else "AutoModelForMultimodalLM"
    else:
        kind = "AutoModelForSeq2SeqLM" if any(s.part == "other" for s in held.stacks) else "AutoModelForCausalLM"
    kind, note = _loaded_with(kind, held)
    return Command(f"{kind}.from_pretrained({', '.join(arguments)})", (*notes, *note))


_ORDER = (
    "AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForSpeechSeq2Seq", "AutoModelForSeq2SeqLM",
    "AutoModelForCausalLM", "AutoModel",
)  # fmt: skip


def _loaded_with(kind: str, held: Architecture) -> tuple[str, tuple[str, ...]]:
    """The Auto class that loads the model: the one wanted, or the next one that has its type, and what to say where none has.

    Of code beside the checkpoint those that its `auto_map` names (auto_factory.py `_BaseAutoModelClass.from_pretrained`)."""
    if needs_code("transformers", held):
        named = held.autos
        return (next((k for k in (kind, *_ORDER) if k in named), named[0]) if named else kind), ()
    lists = served("transformers").sets
    found = next((k for k in (kind, *_ORDER) if held.model_type in lists.get(k, (held.model_type,))), None)
    if found is not None:
        return found, ()
    own = next(iter(classes_of(held)), "its own class")
    return kind, (
        f"no Auto class of transformers {served('transformers').releases[-1]} has {held.model_type}: {own} loads it by its name",
    )
