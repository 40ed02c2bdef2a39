"""Heads other than the vocabulary's: `architectures` may name a class that gives labels or answers, or a model without a head.

A head is a record: what it adds, whether the body's pooler is built beside it, how many labels it gives whatever the config says,
and what it keeps of the vocabulary's head. The table says which a type's classes have.

Source: transformers 5.24, modeling_layers.py (`GenericForSequenceClassification`, `GenericForQuestionAnswering`,
`GenericForTokenClassification`) and the classes of types that do not use those; vLLM 0.33, models/qwen2_rm.py and models/internlm2.py
(reward models).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Group, Tensor
from archcalc.records import NamedTuple

Task = Literal[
    "", "bare", "sequence", "token", "questions", "simple questions", "reward", "process reward", "choice", "double", "next",
    "pretraining", "decoder", "projection", "other", "unknown",
]  # fmt: skip

# The end of a class's name; the first that fits is taken.
_TASKS: tuple[tuple[str, Task], ...] = (
    (r"LMHead(?:Model)?|MTModel|LM|ForConditionalGeneration|For\w*Text2Text", ""),
    (r"DoubleHeadsModel", "double"),
    (r"ForSequenceClassification", "sequence"),
    (r"ForTokenClassification", "token"),
    (r"ForQuestionAnsweringSimple", "simple questions"),
    (r"ForQuestionAnswering", "questions"),
    (r"ForMultipleChoice", "choice"),
    (r"ForNextSentencePrediction", "next"),
    (r"ForPreTraining", "pretraining"),
    (r"ForProcessRewardModel", "process reward"),
    (r"ForRewardModel", "reward"),
    (r"WithProjection", "projection"),
    (r"Classification|Retrieval|Prediction", "other"),
    (r"Decoder", "decoder"),
    (r"Model|Encoder", "bare"),
)


# What classes do that are built on a language model and have patches, boxes or the like in place of its vocabulary.
_NO_TOKENS = r"For\w*(?:Forecast|TimeSeries|Detection|Segmentation|DepthEstimation)\w*$|ForPrediction$"


class Sizes(NamedTuple):
    """What a head is made for."""

    labels: int
    width: int
    config: Mapping[str, Any]


Maker = Callable[[Sizes], Iterable[Tensor]]


class Head(NamedTuple):
    """What a class has beside the body: the tensors of `made`, and the body's pooler where `pooled`.

    `labels` are fixed, or None where the config says them. `without` is a stack of the body that this class does not build. `kept`
    renames the tensors of the vocabulary's head that this one has too; `vocabulary` says that it has all of them.
    """

    made: Maker
    pooled: bool = False
    labels: int | None = None
    kept: tuple[str, str] | None = None
    vocabulary: bool = False
    without: str = ""


def nothing(s: Sizes) -> Iterable[Tensor]:
    return ()


def plain(name: str, bias: bool = True) -> Maker:
    """A row for each label."""
    return lambda s: linear(name, s.labels, s.width, "head", bias=bias)


def deep(name: str, *layers: str) -> Maker:
    """A layer as wide as the model's before the labels."""
    first, last = layers or (f"{name}.dense", f"{name}.out_proj")

    def made(s: Sizes) -> Iterator[Tensor]:
        yield from linear(first, s.width, s.width, "head", bias=True)
        yield from linear(last, s.labels, s.width, "head", bias=True)

    return made


def summary(name: str, after: str = "", to_labels: bool = False) -> Maker:
    """`SequenceSummary`: a projection, if `summary_use_proj`, to the labels or the width, and a layer `after` it."""

    def made(s: Sizes) -> Iterator[Tensor]:
        width = s.labels if s.config.get("summary_proj_to_labels", to_labels) else s.width
        if s.config.get("summary_use_proj", True):
            yield from linear(f"{name}.summary", width, s.width, "head", bias=True)
        if after:
            yield from linear(after, s.labels, s.width, "head", bias=True)

    return made


def stated_summary(s: Sizes) -> Iterable[Tensor]:
    """A summary whose projection is there only where the config asks for one, and a layer after it."""
    return summary("sequence_summary", "classifier")(s._replace(config={"summary_use_proj": False, **s.config}))


def summed_choice(s: Sizes) -> Iterator[Tensor]:
    """A summary to the labels, and one number made of them."""
    yield from summary("sequence_summary", to_labels=True)(s)
    yield from linear("logits_proj", 1, s.labels, "head", bias=True)


def spans(name: str) -> Maker:
    """The head of SQuAD 2: where an answer starts, where it ends given its start, and whether there is one."""
    root = f"{name}." if name else ""

    def made(s: Sizes) -> Iterator[Tensor]:
        h = s.width
        yield from linear(f"{root}start_logits.dense", 1, h, "head", bias=True)
        yield from linear(f"{root}end_logits.dense_0", h, 2 * h, "head", bias=True)
        yield from layer_norm(f"{root}end_logits.LayerNorm", h)
        yield from linear(f"{root}end_logits.dense_1", 1, h, "head", bias=True)
        yield from linear(f"{root}answer_class.dense_0", h, 2 * h, "head", bias=True)
        yield from linear(f"{root}answer_class.dense_1", 1, h, "head")

    return made


def block_answers(s: Sizes) -> Iterator[Tensor]:
    """BigBird's: an FFN with a norm before the labels."""
    name, h, width = "qa_classifier", s.width, s.config["intermediate_size"]
    yield from linear(f"{name}.intermediate.dense", width, h, "head", bias=True)
    yield from linear(f"{name}.output.dense", h, width, "head", bias=True)
    yield from layer_norm(f"{name}.output.LayerNorm", h)
    yield from linear(f"{name}.qa_outputs", s.labels, h, "head", bias=True)


def context_pooled(s: Sizes) -> Iterator[Tensor]:
    """DeBERTa's `ContextPooler` before the labels."""
    width = s.config.get("pooler_hidden_size") or s.width
    yield from linear("pooler.dense", width, width, "head", bias=True)
    yield from linear("classifier", s.labels, s.width, "head", bias=True)


def asked(name: str, key: str) -> Maker:
    """A row for each label, whose bias is a key."""
    return lambda s: linear(name, s.labels, s.width, "head", bias=s.config.get(key) is True)


def rewarded(s: Sizes) -> Iterator[Tensor]:
    yield from linear("score.0", s.width, s.width, "head", bias=True)
    yield from linear("score.2", s.labels, s.width, "head", bias=True)


def projected(s: Sizes) -> Iterable[Tensor]:
    """CLIP's projection of a text into the space that it shares with images."""
    return linear("text_projection", s.config.get("projection_dim") or 512, s.width, "head")


Heads = Mapping[Task, Head]
CLASSIFIER, ANSWERS = plain("classifier"), plain("qa_outputs")
SENTENCES = Head(plain("cls.seq_relationship"), pooled=True, labels=2)
# Bodies without a pooler are pooled to no effect.
BERT: Heads = {
    "": Head(nothing, vocabulary=True),
    "bare": Head(nothing, pooled=True),
    "sequence": Head(CLASSIFIER, pooled=True),
    "token": Head(CLASSIFIER),
    "questions": Head(ANSWERS),
    "choice": Head(CLASSIFIER, pooled=True, labels=1),
}
SENTENCE_BERT: Heads = {**BERT, "next": SENTENCES, "pretraining": SENTENCES._replace(vocabulary=True)}
ROBERTA: Heads = {**BERT, "sequence": Head(deep("classifier"))}
PAIR: Heads = {**ROBERTA, "questions": Head(ANSWERS, labels=2)}
NOMIC: Heads = {**BERT, "bare": Head(nothing)}
DEBERTA: Heads = {**BERT, "sequence": Head(context_pooled), "choice": Head(context_pooled, labels=1)}
XLM: Heads = {
    "sequence": Head(summary("sequence_summary", to_labels=True)),
    "token": Head(CLASSIFIER),
    "simple questions": Head(ANSWERS),
    "questions": Head(spans("qa_outputs")),
    "choice": Head(summed_choice),
}
GENERIC: Heads = {
    "sequence": Head(plain("score", bias=False)),
    "token": Head(plain("score")),
    "questions": Head(ANSWERS, labels=2),
}
# Their class for tokens calls its head so; their class for sequences calls it `score`.
_CLASSIFIER: Heads = {**GENERIC, "token": Head(CLASSIFIER)}
_DOUBLE: Heads = {**_CLASSIFIER, "double": Head(summary("multiple_choice_head", to_labels=True), labels=1, vocabulary=True)}
_BART: Heads = {"sequence": Head(deep("classification_head")), "questions": Head(ANSWERS, labels=2)}
_T5: Heads = {"sequence": Head(deep("classification_head")), "questions": Head(ANSWERS), "token": Head(CLASSIFIER)}
_T5GEMMA: Heads = {"sequence": Head(plain("score.out_proj")), "token": Head(plain("score.out_proj"))}
_QWEN2: Heads = {**GENERIC, "reward": Head(rewarded, labels=1), "process reward": Head(rewarded, labels=2)}

_SPLIT: Heads = {
    **ROBERTA,
    "choice": Head(deep("", "pre_classifier", "classifier"), labels=1),
    "questions": Head(ANSWERS, labels=2),
}
_POOLED: Heads = {task: head._replace(pooled=True) for task, head in BERT.items()}

_BY_TYPE: Mapping[str, Heads] = {
    **dict.fromkeys(("ernie", "megatron_bert", "mobilebert", "bert"), SENTENCE_BERT),
    **dict.fromkeys(("camembert", "data2vec_text", "jina_embeddings_v3", "longformer", "mpnet", "roberta", "roberta_prelayernorm",
                     "xlm_roberta", "xlm_roberta_xl", "xmod", "esm"), ROBERTA),
    **dict.fromkeys(("nomic_bert", "gte", "new"), NOMIC),
    **dict.fromkeys(("deberta", "deberta_v2"), DEBERTA),
    "jina_bert": dict.fromkeys(("", "bare"), Head(nothing, pooled=True)),
    "albert": {**BERT, "pretraining": Head(plain("sop_classifier.classifier"), pooled=True, vocabulary=True)},
    "roc_bert": {**BERT, "pretraining": Head(nothing, pooled=True, vocabulary=True)},
    "bert_generation": {"": BERT[""], "decoder": BERT[""], "bare": BERT["bare"]},
    "big_bird": {
        "": Head(nothing, pooled=True, vocabulary=True), "bare": Head(nothing, pooled=True),
        "sequence": Head(deep("classifier"), pooled=True), "token": Head(CLASSIFIER, pooled=True),
        "questions": Head(block_answers, labels=2), "choice": Head(CLASSIFIER, pooled=True, labels=1),
        "pretraining": SENTENCES._replace(vocabulary=True),
    },
    "distilbert": {
        **BERT, "questions": Head(ANSWERS, labels=2), "sequence": Head(deep("", "pre_classifier", "classifier")),
        "choice": Head(deep("", "pre_classifier", "classifier"), labels=1),
    },
    "electra": {
        **ROBERTA, "choice": Head(summary("sequence_summary", "classifier"), labels=1),
        "pretraining": Head(deep("", "discriminator_predictions.dense", "discriminator_predictions.dense_prediction"), labels=1),
    },
    "convbert": {**ROBERTA, "choice": Head(stated_summary, labels=1)},
    "fnet": {task: head._replace(pooled=True) for task, head in SENTENCE_BERT.items()},
    "ibert": ROBERTA,
    "luke": {**BERT, "": Head(nothing, pooled=True, vocabulary=True), "questions": Head(ANSWERS, labels=2)},
    **dict.fromkeys(("mra", "nystromformer", "yoso"), _SPLIT),
    "squeezebert": _POOLED,
    "tapas": {task: head for task, head in BERT.items() if task in ("", "bare", "sequence")},
    "roformer": PAIR,
    "layoutlm": BERT,
    "rembert": BERT,
    "flaubert": XLM,
    "xlm": XLM,
    "xlnet": {
        "sequence": Head(summary("sequence_summary", "logits_proj")), "token": Head(CLASSIFIER), "simple questions": Head(ANSWERS),
        "questions": Head(spans("")), "choice": Head(summary("sequence_summary", "logits_proj"), labels=1),
    },
    "funnel": {
        "sequence": Head(deep("", "classifier.linear_hidden", "classifier.linear_out"), without="decoder"),
        "choice": Head(deep("", "classifier.linear_hidden", "classifier.linear_out"), labels=1, without="decoder"),
        "token": Head(CLASSIFIER), "questions": Head(ANSWERS),
        "pretraining": Head(
            deep("", "discriminator_predictions.dense", "discriminator_predictions.dense_prediction"), labels=1
        ),
    },
    "esmc": {"sequence": Head(deep("classifier")), "token": Head(CLASSIFIER)},
    **dict.fromkeys(("ultrabert", "ultravbert"), dict.fromkeys(("sequence", "token"), Head(CLASSIFIER))),
    "eurobert": {"sequence": Head(deep("", "dense", "classifier")), "token": Head(CLASSIFIER)},
    "modernbert_decoder": {"sequence": Head(asked("classifier", "classifier_bias"), kept=("lm_head.", "head."))},
    "modernvbert": dict.fromkeys(("sequence", "token"), Head(CLASSIFIER, kept=("projection_head.", "head."))),
    "ctrl": {**GENERIC, "sequence": Head(plain("classifier", bias=False))},
    **dict.fromkeys(("biogpt", "bloom", "falcon", "gpt_bigcode", "gpt_neo", "gpt_neox", "mpt"), _CLASSIFIER),
    **dict.fromkeys(("gpt2", "gpt_sw3", "openai_gpt"), _DOUBLE),
    **dict.fromkeys(("bart", "bigbird_pegasus", "led", "mbart", "mvp", "plbart"), _BART),
    **dict.fromkeys(("mt5", "t5", "umt5"), _T5),
    **dict.fromkeys(("t5gemma", "t5gemma2"), _T5GEMMA),
    "qwen2": _QWEN2,
    # THUDM/chatglm2-6b, modeling_chatglm.py: the vocabulary's head is part of the body.
    "chatglm": {"bare": Head(nothing, vocabulary=True), "sequence": Head(plain("classifier_head"), vocabulary=True)},
    "internlm2": {**GENERIC, "reward": Head(plain("v_head", bias=False), labels=1)},
    "clip_text_model": {"projection": Head(projected)},
    "qwen3_asr": {"token": Head(asked("score", "token_classification_bias"))},
}  # fmt: skip
# Types whose adapter counts the one class there is, whatever it is called.
_WHOLE = frozenset({
    "chatglm_6b", "colmodernvbert", "colpali", "colqwen2", "dflash", "dflash2", "dflash_laguna", "dspark", "eagle", "eagle3",
    "eagle3_deepseek", "eagle3_qwen3", "eagle3_speculator", "eagle_mistral",
    "dspark_speculator", "eagle_cohere", "eagle_deepseek", "eagle_llama4", "eagle_minicpm", "gemma4_dspark", "k3_dspark", "lilicorr",
    "qwen3_xpress", "eagle_mistral_large3", "eagle_qwen2", "internvl_chat", "llava_llama",
    "openvla", "peagle", "peagle_qwen3", "shieldgemma2", "speech_encoder_decoder", "vision_encoder_decoder",
})  # fmt: skip
# Types whose classes go by the name of another.
_NAMED = {"gpt_sw3": "gpt2", "glmga": "glm46v", "inkling_mm_model": "inkling", "nemo_speechlm": "nemotron3_5_transcribe"}
# How many labels there are where no config says so (configuration_bart.py, `BartConfig`); 2 otherwise.
_LABELS = {"bart": 3}


_ODDLY_NAMED = frozenset(
    {
        "DiffusionGemmaForBlockDiffusion",
        "FalconPerceptionForSegmentation",
        "HfMoondream",
        "Llama_Nemotron_Nano_VL",
        "MiniCPMO",
        "MiniCPMV",
        "NemotronH_Nano_Omni_Reasoning_V3",
        "NemotronH_Nano_VL_V2",
        "NemotronH_Omni_Reasoning_V3",
        "NemotronH_Super_Omni_Reasoning_V3",
        "Ovis",
        "Ovis2_5",
        "UltravoxModel",
    }
)  # fmt: skip
"""Whole models whose names do not end as others' do: their types' usual classes."""


def task_of(classes: object) -> Task:
    """What the first class does, `""` where it predicts tokens or none is named."""
    first = classes[0] if isinstance(classes, Sequence) and classes else None
    if not isinstance(first, str):
        return ""
    return next((task for ends, task in _TASKS if re.search(f"(?:{ends})$", first)), "unknown")


def heads_of(name: str) -> Heads:
    """The heads of a type's classes."""
    return _BY_TYPE.get(name, GENERIC)


def labels_of(config: Mapping[str, Any], default: int = 2) -> int:
    """How many labels a classifier gives: a number makes names anew (transformers 5.24, configuration_utils.py `num_labels`)."""
    names, number = config.get("id2label"), config.get("num_labels")
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return number
    return len(names) if isinstance(names, Mapping) else default


def sized(head: Head, config: Mapping[str, Any], name: str, width: int) -> Sizes:
    """What this config's head is made for."""
    labels = labels_of(config, _LABELS.get(name, 2)) if head.labels is None else head.labels
    return Sizes(labels, width, config)


def said(tensors: Sequence[Tensor], labels: int) -> tuple[str, str]:
    """The head as a fact of the architecture."""
    return ("head", f"{labels} label{'s' * (labels != 1)}" if tensors else "none")


def otherwise(a: Architecture, named: str) -> Architecture:
    """Counted as the type's usual class where that which is named is not known, and it says so."""
    old = any(g.part == "head" and g.tensors for g in a.groups)
    if old and re.search(_NO_TOKENS, named):
        raise UnsupportedError(
            f"architectures names {named}, which predicts no tokens: what it has in place of {a.model_type}'s vocabulary is not known here",
            "archcalc models --types lists what is read exactly",
        )
    taken = "with the vocabulary's head" if old else "without a head"
    note = f"counted {taken}, as the usual class of {a.model_type}: what {named} has instead is not known here"
    return a._replace(status="partial", notes=(*a.notes, note))


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
    return sorted(name.replace("_", "").lower())


def is_bare(named: str, name: str) -> bool:
    """Whether a class is the type's own model without a head."""
    return _letters(named.removesuffix("Model")) == _letters(_NAMED.get(name, name))


def fitted(a: Architecture, config: Mapping[str, Any], name: str) -> Architecture:
    """The architecture with the head of the class that the config names, in place of the vocabulary's."""
    classes = config.get("architectures")
    task = task_of(classes)
    old = [t for g in a.groups if g.part == "head" for t in g.tensors]
    heads = heads_of(name)
    if task == "" or not isinstance(classes, list):
        return a
    if name in _WHOLE:
        return otherwise(a, classes[0]) if task in ("sequence", "token", "questions", "choice") else a
    if task == "unknown" or (task == "pretraining" and task not in heads):
        return a if classes[0] in _ODDLY_NAMED else otherwise(a, classes[0])
    if not old and (task == "bare" or name not in _BY_TYPE):
        return a if task == "bare" else otherwise(a, classes[0])
    if task == "bare" and not any(t.shape[0] == a.facts.vocab_size or "lm_head" in t.name for t in old):
        return a
    head = heads.get(task, Head(nothing) if task == "bare" and is_bare(classes[0], name) else None)
    if head is None:
        return otherwise(a, classes[0])
    width = next((t.shape[1] for t in old if len(t.shape) == 2 and t.name.endswith(".weight")), a.facts.hidden_size)
    sizes = sized(head, config, name, width)
    tensors = [*(head.made(sizes))]
    if head.kept:
        was, now = head.kept
        tensors = [*(t._replace(name=now + t.name.removeprefix(was)) for t in old if t.name.startswith(was)), *tensors]
    if head.vocabulary:
        return a._replace(groups=(*a.groups, Group("head", tuple(tensors))))
    rest = tuple(g for g in a.groups if g.part not in ("head", "mtp"))
    fitted = a._replace(
        groups=(*rest, Group("head", tuple(tensors))) if tensors else rest,
        stacks=tuple(s for s in a.stacks if s.part != "mtp" and not (head.without and head.without in s.prefix.split("."))),
        facts=a.facts._replace(tied_embeddings=False, more=(*a.facts.more, said(tensors, sizes.labels))),
    )
    return fitted if tensors else unrooted(fitted)
