"""scripts/follow.py on two small trees that stand for an engine's releases: what is new, what changed, what is gone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))
spec = importlib.util.spec_from_file_location("follow", SCRIPTS / "follow.py")
assert spec is not None
assert spec.loader is not None
follow = importlib.util.module_from_spec(spec)
spec.loader.exec_module(follow)

AUTO = """
CONFIG_MAPPING_NAMES = OrderedDict([("llama", "LlamaConfig"), {types}])
"""
MAPPINGS = """
MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = OrderedDict([("llama", "LlamaForCausalLM"), {classes}])
MODEL_MAPPING_NAMES = OrderedDict([("llama", "LlamaModel"), {models}])
"""
EMPTY = (
    "\n".join(
        f"MODEL_FOR_{kind}_MAPPING_NAMES = OrderedDict([])"
        for kind in ("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM", "PRETRAINING", "MASKED_LM")
    )
    + "\n"
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def library(root: Path, *, types: str = "", classes: str = "", models: str = "", width: int = 4096, bias: bool = False) -> Path:
    """A transformers of one model, and of those whose names are given."""
    auto = root / "transformers" / "models" / "auto"
    write(auto / "configuration_auto.py", AUTO.format(types=types))
    write(auto / "modeling_auto.py", EMPTY + MAPPINGS.format(classes=classes, models=models))
    llama = root / "transformers" / "models" / "llama"
    write(llama / "configuration_llama.py", f"class LlamaConfig:\n    hidden_size: int = {width}\n    vocab_size: int = 32000\n")
    write(
        llama / "modeling_llama.py",
        f'class LlamaMLP:\n    """Told of."""\n    def __init__(self, c):\n        self.up = Linear(c.h, bias={bias})\n',
    )
    return root


def entries(found: dict[str, list[str]], start: str) -> list[str]:
    return next(value for key, value in found.items() if key.startswith(start))


def test_a_new_type_is_listed_and_one_that_is_read_is_not(tmp_path: Path) -> None:
    new = library(tmp_path, types='("zzz-new", "ZzzConfig"), ("zzz_eye", "EyeConfig")', classes='("zzz-new", "ZzzForCausalLM")')
    found = follow.follow("transformers", new, None)
    assert entries(found, "Types that make text") == ["zzz-new"]
    assert entries(found, "Other types") == ["zzz_eye"]
    assert "zzz-new: ZzzForCausalLM" in entries(found, "Types whose class")
    assert not any(kind.startswith("Keys") for kind in found)


def test_defaults_and_modules_that_changed_are_listed_and_comments_are_not(tmp_path: Path) -> None:
    old, new = library(tmp_path / "old"), library(tmp_path / "new", width=5120, bias=True)
    found = follow.follow("transformers", new, old)
    assert entries(found, "Keys and defaults") == ["llama: LlamaConfig.hidden_size: 4096 -> 5120"]
    assert entries(found, "Modules") == ["llama: LlamaMLP: changed"]
    path = new / "transformers" / "models" / "llama" / "modeling_llama.py"
    text = (old / "transformers" / "models" / "llama" / "modeling_llama.py").read_text(encoding="utf-8")
    write(path, text.replace("Told of", "Told again of"))
    assert entries(follow.follow("transformers", new, old), "Modules") == []


def engine(root: Path, classes: str, flag: str, rule: str) -> Path:
    folder = root / "vllm"
    write(folder / "model_executor" / "models" / "registry.py", f"_TEXT_MODELS = {{{classes}}}\n")
    methods = 'QuantizationMethods = Literal["awq", "zzz4"]\n'
    write(folder / "model_executor" / "layers" / "quantization" / "__init__.py", methods)
    write(folder / "engine" / "arg_utils.py", f'parser.add_argument("{flag}", type=int)\n')
    write(folder / "v1" / "kv_cache_interface.py", f"def page():\n    return {rule}\n")
    return root


def test_classes_methods_flags_and_rules_of_an_engine(tmp_path: Path) -> None:
    old = engine(tmp_path / "old", '"LlamaForCausalLM": ("llama", "L")', "--block-size", "16")
    new = engine(tmp_path / "new", '"LlamaForCausalLM": ("llama", "L"), "ZzzForCausalLM": ("z", "Z")', "--zzz-new", "32")
    found = follow.follow("vllm", new, old)
    assert entries(found, "Classes that are new") == ["ZzzForCausalLM"]
    assert "Qwen3ForCausalLM" in entries(found, "Classes that are gone")
    assert "LlamaForCausalLM" not in entries(found, "Classes that are gone")
    assert entries(found, "Quantization methods that are new") == ["zzz4"]
    assert entries(found, "Flags that are new") == ["--zzz-new"]
    assert "--block-size" in entries(found, "Flags that are gone")
    assert entries(found, "Functions with rules") == ["v1/kv_cache_interface.py page: changed"]


def test_the_report_and_its_exit_status(tmp_path: Path) -> None:
    new = library(tmp_path / "new", types='("zzz", "ZzzConfig")', classes='("zzz", "ZzzForCausalLM")')
    out = tmp_path / "report.md"
    assert follow.main([f"transformers={new}", "--out", str(out), "--strict"]) == 1
    text = out.read_text(encoding="utf-8")
    assert "## transformers (read last: " in text and "- zzz\n" in text
    assert follow.main([f"transformers={new}", "--out", str(out)]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vllm"], "vllm has no folder"),
        (["zzz=there"], "'zzz' is not followed: one of transformers"),
        (["vllm=/nowhere"], "does not hold vllm"),
    ],
)
def test_what_cannot_be_followed_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        follow.main(arguments)
