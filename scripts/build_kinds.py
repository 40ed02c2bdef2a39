"""What the model types are that transformers has and no adapter reads: `src/archcalc/arch/kinds.tsv`.

usage: build_kinds.py FOLDER

FOLDER holds transformers' source (the folder that has `models/`). Read, and not imported: models/auto/modeling_auto.py and
auto_mappings.py (which class does what), the configurations (which parts a model has) and `input_modalities` of the classes (what they are
given). A row is the type, what it is, and the class that shows it. Types that adapters read are left out, so this is run again when one is
added.
"""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "src" / "archcalc" / "arch" / "kinds.tsv"

# The automatic classes, those first that say most, with what a model is that they list. Those of text models are not among them.
TASKS = {
    "ZERO_SHOT_OBJECT_DETECTION": "a detector that finds in an image what a text names",
    "MASK_GENERATION": "a model that cuts out of an image what is pointed at",
    "OBJECT_DETECTION": "an object detector",
    "INSTANCE_SEGMENTATION": "a model that segments images",
    "UNIVERSAL_SEGMENTATION": "a model that segments images",
    "POSE_ESTIMATION": "a model that estimates poses",
    "IMAGE_SEGMENTATION": "a model that segments images",
    "DEPTH_ESTIMATION": "a model that estimates depth",
    "IMAGE_MATTING": "a model that separates foreground from background",
    "KEYPOINT_DETECTION": "a model that finds key points in images",
    "KEYPOINT_MATCHING": "a model that matches key points of two images",
    "IMAGE_TO_IMAGE": "a model that makes images out of images",
    "TEXT_RECOGNITION": "a model that reads a line of text in an image",
    "TABLE_RECOGNITION": "a model that reads tables in images",
    "CAUSAL_IMAGE_MODELING": "a model that writes images pixel by pixel",
    "TEXT_TO_SPECTROGRAM": "a model that turns text into spectrograms",
    "TEXT_TO_WAVEFORM": "a model that turns text into sound",
    "CTC": "a speech recognizer",
    "RNNT": "a speech recognizer",
    "TDT": "a speech recognizer",
    "SPEECH_SEQ_2_SEQ": "a speech recognizer",
    "AUDIO_FRAME_CLASSIFICATION": "a model that labels frames of sound",
    "AUDIO_CLASSIFICATION": "a model that labels sound",
    "TIME_SERIES_PREDICTION": "a time series model",
    "TIME_SERIES_CLASSIFICATION": "a time series model",
    "TIME_SERIES_REGRESSION": "a time series model",
    "ZERO_SHOT_IMAGE_CLASSIFICATION": "a model that compares images with texts",
    "VISUAL_QUESTION_ANSWERING": "a model that answers questions on images, without a decoder",
    "DOCUMENT_QUESTION_ANSWERING": "an encoder of documents: text and where it stands",
    "TABLE_QUESTION_ANSWERING": "an encoder of tables",
    "VIDEO_CLASSIFICATION": "a model that labels videos",
    "IMAGE_CLASSIFICATION": "a model that labels images",
    "SEMANTIC_SEGMENTATION": "a model that segments images",
    "BACKBONE": "a backbone that makes features of images",
    "DECISION": "a model of decisions",
}
TEXT = ("MASKED_LM", "TOKEN_CLASSIFICATION", "QUESTION_ANSWERING", "TEXT_ENCODING")
# What a class of no automatic task is given, and what it is then.
GIVEN = {
    ("time",): "a time series model",
    ("audio",): "a model of sound",
    ("image",): "a model of images",
    ("video",): "a model of videos",
    ("text",): "a text encoder",
    ("audio", "text"): "a model of sound and text",
    ("image", "text"): "a model of images and text",
    ("audio", "image", "text"): "a model of images, sound and text",
    ("audio", "video"): "a model of videos and their sound",
    ("image", "video"): "a model of images and videos",
    ("text", "video"): "a model of videos and text",
    ("audio", "text", "video"): "a model of videos, their sound and text",
}
# The first input of a class that does not say more.
INPUTS = {
    "input_values": "audio",
    "input_features": "audio",
    "pixel_values": "image",
    "pixel_values_videos": "video",
    "past_values": "time",
}
# What words in classes' names say, where no automatic class lists them.
NAMED = (
    (r"(HifiGan|Vocoder|UnivNet)", "a vocoder: spectrograms into sound"),
    (r"(Codec|Tokenizer|Mimi|Dac|Encodec)", "a codec of sound"),
    (r"Rag", "a retriever and a generator, each of its own type"),
    (r"(DecisionTransformer)", "a model of decisions"),
    (r"Fold", "a model of the shapes of proteins"),
    (r"SceneTextRecognition", "a model that reads a line of text in an image"),
    (r"^Clvp", "a model that turns text into sound"),
    (r"LayoutXLM", "an encoder of documents: text and where it stands"),
    (r"^PeAudioVideo", "a model of videos and their sound"),
    (r"Nougat", "an encoder of images and a decoder of text, each of its own type"),
)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def pairs(module: ast.Module) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The tables of a module: name, and type with the first class that it stands for."""
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call):
            rows = []
            for part in ast.walk(node.value):
                if isinstance(part, ast.Tuple) and len(part.elts) == 2 and isinstance(part.elts[0], ast.Constant):
                    first = next((x.value for x in ast.walk(part.elts[1]) if isinstance(x, ast.Constant)), None)
                    if isinstance(first, str):
                        rows.append((str(part.elts[0].value), first))
            yield node.targets[0].id, rows
        # A table may get more rows below.
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "update":
            (more,) = call.args
            if isinstance(more, ast.Dict) and isinstance(call.func.value, ast.Name):
                keys = [strings(key)[0] for key in more.keys if key is not None]
                yield call.func.value.id, list(zip(keys, (strings(value)[0] for value in more.values), strict=True))


def strings(node: ast.AST) -> tuple[str, ...]:
    return tuple(x.value for x in ast.walk(node) if isinstance(x, ast.Constant) and isinstance(x.value, str))


class Reference:
    """What the source says."""

    def __init__(self, folder: Path) -> None:
        auto = folder / "models" / "auto"
        self.tables: dict[str, dict[str, str]] = {}
        for file in ("modeling_auto.py", "auto_mappings.py", "configuration_auto.py"):
            for name, rows in pairs(tree(auto / file)):
                self.tables.setdefault(name, {}).update(dict(rows))
        self.configs = self.tables["CONFIG_MAPPING_NAMES"]
        self.given: dict[str, tuple[str, ...]] = {}  # class -> what it is given
        self.bases: dict[str, list[str]] = {}
        self.of_config: dict[str, list[str]] = {}  # config class -> the classes that take it
        self.held: dict[str, str] = {}  # config class -> the config class that holds it
        self.folders: dict[str, str] = {}  # class -> where it stands
        for path in sorted((folder / "models").glob("*/*.py")):
            if not re.match(r"(modeling|configuration)_", path.name):
                continue
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef):
                    self.folders[node.name] = path.parent.name
                    self._read(node)

    def _read(self, node: ast.ClassDef) -> None:
        self.bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.target.id == "config":
                self.of_config.setdefault(ast.unparse(part.annotation).strip("'\""), []).append(node.name)
            if not (isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name)):
                continue
            name = part.targets[0].id
            if name == "main_input_name" and node.name not in self.given and (one := INPUTS.get(strings(part.value)[0])):
                self.given[node.name] = (one,)
            if name == "input_modalities":
                self.given[node.name] = tuple(sorted(strings(part.value)))
            elif name == "config_class" and isinstance(part.value, ast.Name):
                self.of_config.setdefault(part.value.id, []).append(node.name)
            elif name.startswith("sub_configs") and isinstance(part.value, ast.Dict):
                for value in (x for one in part.value.values for x in ast.walk(one)):
                    if isinstance(value, ast.Name) and value.id.endswith("Config"):
                        self.held.setdefault(value.id, node.name)

    def inputs(self, name: str) -> tuple[str, ...]:
        """What a class, or the nearest above it, says that it is given."""
        found = self.given.get(name)
        return found or next((up for base in self.bases.get(name, ()) if (up := self.inputs(base))), ())

    def kind(self, model_type: str) -> tuple[str, str]:
        """What the type is, and the class that shows it; empty where nothing says so."""
        for task, words in TASKS.items():
            if cls := self.tables.get(f"MODEL_FOR_{task}_MAPPING_NAMES", {}).get(model_type):
                return words, cls
        config = self.configs[model_type]
        own = [
            name
            for name in (self.tables["MODEL_MAPPING_NAMES"].get(model_type, ""), *self.of_config.get(config, ()), config)
            if name
        ]
        if (whole := self.whole(model_type)) is not None:
            return f"a part of {whole}", config
        for cls in own:
            if words := next((words for pattern, words in NAMED if re.search(pattern, cls)), ""):
                return words, cls
        for cls in own:
            if words := GIVEN.get(self.inputs(cls), ""):
                return words, cls
        if any(model_type in self.tables.get(f"MODEL_FOR_{task}_MAPPING_NAMES", {}) for task in TEXT):
            return "a text encoder", own[0]
        beside = {one for cls, given in self.given.items() if self.folders[cls] == self.folders[config] for one in given}
        return GIVEN.get(tuple(sorted(beside)), ""), own[0]

    def whole(self, model_type: str) -> str | None:
        """The type that the type is a part of: whose config holds its, or in whose folder it stands."""
        config = self.configs[model_type]
        folder = self.folders.get(config, "")
        for name, cls in self.configs.items():
            apart = name == model_type or cls == config or self.folders.get(cls) != folder
            if not apart and (cls == self.held.get(config) or (config not in self.held and name.replace("-", "_") == folder)):
                return name
        return None


def main(folder: Path) -> int:
    """Write the table."""
    sys.path.insert(0, str(ROOT / "src"))
    from archcalc.arch import adapter_name

    reference = Reference(folder)
    version = re.search(r'__version__ = "([0-9.]+)"', (folder / "__init__.py").read_text(encoding="utf-8"))
    rows, bare = [], []
    read = {cls for model_type, cls in reference.configs.items() if adapter_name({"model_type": model_type}) is not None}
    for model_type, config in sorted(reference.configs.items()):
        if config not in read:
            words, cls = reference.kind(model_type)
            (rows if words else bare).append((model_type, words, cls))
    with OUT.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
        out.writerow((f"# transformers {version[1] if version else '?'}, models/auto: model type", "what it is", "class"))
        out.writerows(rows)
    print(f"{OUT}: {len(rows)} types; nothing says what these are: {', '.join(row[0] for row in bare) or 'none'}")
    return 1 if bare else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    raise SystemExit(main(Path(sys.argv[1])))
