"""Heads other than the vocabulary's: `architectures` may name a class that gives labels, or a model without a head.

Source: transformers 5.23, modeling_layers.py (`GenericForSequenceClassification`, `GenericForTokenClassification`) and the classes
of types that do not use those; vLLM 0.33, models/qwen2_rm.py (reward models).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Group, Tensor

Task = Literal["", "bare", "sequence", "token", "reward", "choice", "other"]

_TASKS: tuple[tuple[str, Task], ...] = (
    ("LMHeadModel", ""),
    ("ForSequenceClassification", "sequence"),
    ("ForTokenClassification", "token"),
    ("ForQuestionAnswering", "other"),
    ("ForMultipleChoice", "choice"),
    ("ForRewardModel", "reward"),
    ("ForProcessRewardModel", "reward"),
    ("Model", "bare"),
)
# Classes named as a model without a head would be, that have one.
_WHOLE = frozenset({"chatglm", "internvl_chat", "llava_llama", "vision_encoder_decoder"})
# Types whose class for tokens calls its head so; their class for sequences calls it `score`.
_CLASSIFIER = frozenset({"biogpt", "bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_sw3", "mpt"})
_BART = frozenset({"bart", "bigbird_pegasus", "mbart", "mvp", "plbart"})
# Heads of several layers below other names.
_OTHER = frozenset({"flaubert", "modernbert_decoder", "modernvbert", "mt5", "t5", "t5gemma", "t5gemma2", "umt5", "xlm", "xlnet"})


def task_of(classes: object) -> Task:
    """What the first class does, `""` for any that predicts tokens."""
    first = classes[0] if isinstance(classes, Sequence) and classes else None
    return next((task for end, task in _TASKS if isinstance(first, str) and first.endswith(end)), "")


def labels_of(config: Mapping[str, Any], default: int = 2) -> int:
    """How many labels a classifier gives."""
    names, number = config.get("id2label"), config.get("num_labels")
    if isinstance(names, Mapping):
        return len(names)
    return number if isinstance(number, int) and number > 0 else default


def two_layers(name: str, labels: int, width: int) -> Iterator[Tensor]:
    """A classifier with a layer of its own before the labels."""
    yield from linear(f"{name}.dense", width, width, "head", bias=True)
    yield from linear(f"{name}.out_proj", labels, width, "head", bias=True)


def _head(name: str, task: Task, labels: int, width: int) -> tuple[Tensor, ...] | None:
    """The head of this task, or None where it is not known."""
    if task == "bare":
        return ()
    if task == "reward" and name == "qwen2":
        return (*linear("score.0", width, width, "head", bias=True), *linear("score.2", labels, width, "head", bias=True))
    if task not in ("sequence", "token") or name in _OTHER:
        return None
    if name in _BART:
        return tuple(two_layers("classification_head", labels, width)) if task == "sequence" else None
    tokens = task == "token"
    called = "classifier" if name == "ctrl" or (tokens and name in _CLASSIFIER) else "score"
    return tuple(linear(called, labels, width, "head", bias=tokens))


def unrooted(a: Architecture) -> Architecture:
    """Names without the part that all have in common, as a model without a head names its tensors."""
    roots = {t.name.partition(".")[0] for g in a.groups for t in g.tensors} | {s.prefix.partition(".")[0] for s in a.stacks}
    if len(roots) != 1:
        return a
    cut = f"{roots.pop()}."

    def short(g: Group) -> Group:
        return g._replace(tensors=tuple(t._replace(name=t.name.removeprefix(cut)) for t in g.tensors))

    return a._replace(
        groups=tuple(map(short, a.groups)),
        stacks=tuple(s._replace(prefix=s.prefix.removeprefix(cut)) for s in a.stacks),
        renames=tuple(pair for pair in a.renames if pair[0].startswith(".")),
    )


def _letters(name: str) -> list[str]:
    """Of a type or a class, whatever the order of their words."""
    return sorted(name.replace("_", ""))


def fitted(a: Architecture, config: Mapping[str, Any], name: str) -> Architecture:
    """The architecture with the head of the class that the config names, in place of the vocabulary's."""
    classes = config.get("architectures")
    task = task_of(classes)
    old = [t for g in a.groups if g.part == "head" for t in g.tensors]
    predicts = any(t.shape[0] == a.facts.vocab_size for t in old)
    if not task or not predicts or not isinstance(classes, list):
        return a
    if task == "bare" and (name in _WHOLE or _letters(classes[0].removesuffix("Model").lower()) != _letters(name)):
        return a
    labels = labels_of(config, 3 if name == "bart" else 2)
    if task == "reward":
        labels = 2 if "Process" in classes[0] else 1
    width = next((t.shape[1] for t in old if len(t.shape) == 2 and t.name.endswith(".weight")), a.facts.hidden_size)
    head = _head(name, task, labels, width)
    if head is None:
        return a._replace(notes=(*a.notes, f"counted with the vocabulary's head: a {classes[0]} has another"))
    rest = tuple(g for g in a.groups if g.part not in ("head", "mtp"))
    said = ("head", f"{labels} label{'s' * (labels != 1)}" if head else "none")
    fitted = a._replace(
        groups=(*rest, Group("head", head)) if head else rest,
        stacks=tuple(s for s in a.stacks if s.part != "mtp"),
        facts=a.facts._replace(tied_embeddings=False, more=(*a.facts.more, said)),
    )
    return fitted if head else unrooted(fitted)
