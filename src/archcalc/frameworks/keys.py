"""The keys of a configuration file: those that are read, those that change no memory, and the rest, said by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archcalc import report
from archcalc.errors import ConfigError, UnsupportedError, UsageError
from archcalc.frameworks.files import File, unresolved

MOST_KEYS = 5000
_MOST_REFERENCES = 100
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


class Keys:
    """A file's keys, nested ones joined by dots. Each that is asked for counts as used."""

    def __init__(self, file: File, overrides: Sequence[str] = ()) -> None:
        self.path = file.path
        if file.kind == "shell" and not file.data:
            raise UsageError(
                f"{file.path}: scripts of this framework are not read",
                "give the configuration file that the script names with --recipe",
            )
        self.values: dict[str, Any] = {}
        self._flatten("", file.data)
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"--set {override}: KEY=VALUE was expected", "with --recipe it sets a key of that file")
            # What takes the place of a table, or of nothing, leaves none of it.
            self.values = {name: v for name, v in self.values.items() if not name.startswith(f"{key.strip()}.")}
            self.values[key.strip()] = _typed(value)
        self.used: dict[str, str] = {}
        self.notes: list[str] = list(file.notes)
        self._off: set[str] = set()
        self._inner: list[tuple[str, Keys, str]] = []

    def within(self, key: str, path: str, data: Mapping[str, Any], inert: str) -> Keys:
        """The keys of a file that `key` names, or of the table that it is: they are said with this file's, and `--set` reaches them."""
        inner = Keys(File(path, "json", data))
        prefix = f"{key}."
        inner.values.update({name[len(prefix) :]: value for name, value in self.values.items() if name.startswith(prefix)})
        inner.notes = self.notes
        self._inner.append((prefix, inner, inert))
        return inner

    def _flatten(self, prefix: str, data: Mapping[str, Any]) -> None:
        for key, value in data.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict):
                self._flatten(f"{name}.", value)
            else:
                self.values[name] = value
            if len(self.values) > MOST_KEYS:
                raise UsageError(f"{self.path} has more than {MOST_KEYS} keys")

    def has(self, *names: str) -> bool:
        return any(name in self.values or any(key.startswith(f"{name}.") for key in self.values) for name in names)

    def get(self, *names: str) -> Any:
        """The first of these keys that is set, or None."""
        for name in names:
            value = self._filled(self.values.get(name))
            if value is not None:
                self.used[name] = _shown(value)
                return value
        for name in names:
            if name in self.values:
                self.used[name] = "null"
        return None

    def _filled(self, value: Any, left: list[int] | None = None) -> Any:
        """A value with what it refers to in the same file put in its place (OmegaConf 2.3, `${variables.max_seq_len}`): other keys, which
        count as used. What the file does not set stays as it is. Raises `ConfigError` where it refers to itself, or to hundreds."""
        if isinstance(value, list):
            return [self._filled(one, left) for one in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        left = [_MOST_REFERENCES] if left is None else left

        def meant(name: str) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise ConfigError(f"{self.path}: {name} refers to itself, or too many keys refer to each other", key=name)
            found = self._filled(self.values.get(name), left)
            if found is not None:
                self.used[name] = _shown(found)
            return found

        whole = _REFERENCE.fullmatch(value)
        if whole is not None:
            return value if (found := meant(whole[1])) is None else found
        return _REFERENCE.sub(lambda m: m[0] if (found := meant(m[1])) is None else str(found), value)

    def text(self, *names: str, default: str = "") -> str:
        value = self.get(*names)
        if value is None:
            return default
        if isinstance(value, (list, dict)):
            raise ConfigError(f"{self.path}: {names[0]} is a list, and one value was expected", key=names[0])
        text = str(value)
        if variable := unresolved(text):
            raise ConfigError(
                f"{self.path}: {names[0]} is ${{{variable}}}, which the file does not set", f"--set {names[0]}=…", key=names[0]
            )
        return text

    def int(self, *names: str, default: int | None = None, least: int = 1, most: int = 1 << 31) -> int | None:
        text = self.text(*names)
        if not text or text == "auto":
            return default
        try:
            # JSON writes 5e8 for a whole number too.
            number = int(float(text)) if re.fullmatch(r"\d+(?:\.0+|(?:\.\d+)?[eE]\+?\d{1,2})", text) else int(text)
        except ValueError:
            raise ConfigError(f"{self.path}: {names[0]} is {text!r}, and a whole number was expected", key=names[0]) from None
        if not least <= number <= most:
            raise ConfigError(f"{self.path}: {names[0]} is {number}: {least:,} to {most:,} was expected", key=names[0])
        return number

    def flag(self, *names: str, default: bool = False) -> bool:
        value = self.get(*names)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "1", "yes", "auto"):
            return True
        if str(value).lower() in ("false", "0", "no", "none", ""):
            return False
        raise ConfigError(f"{self.path}: {names[0]} is {value!r}, and true or false was expected", key=names[0])

    def drops(self, name: str, default: float = 0.0) -> bool:
        """Whether a share that is dropped out is above zero."""
        text = self.text(name)
        try:
            share = float(text) if text else default
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise ConfigError(f"{self.path}: {name} is {text!r}, and a number from 0 to 1 was expected", key=name)
        return share > 0

    def names(self, *keys: str) -> tuple[str, ...]:
        value = self.get(*keys)
        if value is None:
            return ()
        if isinstance(value, list):
            return tuple(str(v) for v in value)
        return tuple(part.strip() for part in str(value).split(",") if part.strip())

    def choice(self, name: str, known: Mapping[str, str], default: str) -> str:
        text = self.text(name, default=default)
        if text not in known:
            raise UnsupportedError(f"{self.path}: {name} {text!r} is not modelled", f"one of {', '.join(filter(None, known))}")
        return known[text]

    def no_training(self, found: Iterable[str]) -> None:
        """Raises `UnsupportedError` for a file of the framework that starts something else than a training run, by the keys `found`."""
        if names := [name for name in found if self.has(name) and self.values.get(name) not in (None, False, "")]:
            raise UnsupportedError(
                f"{self.path}: {', '.join(names)}: this file starts no training",
                "a file that does, or SOURCE and options without it",
            )

    def refuse(self, names: Iterable[str]) -> None:
        """Raises `UnsupportedError` for keys that change memory and are not modelled."""
        off: tuple[Any, ...] = (None, False, 0, "", [], "none", "false")
        self._off.update(names := tuple(names))
        found = [
            name
            for name in names
            if self._filled(self.values.get(name)) not in off
            or any(key.startswith(f"{name}.") and value not in off for key, value in self.values.items())
        ]
        if found:
            raise UnsupportedError(
                f"{self.path}: {', '.join(found)}: not modelled, and memory depends on it", "take it out to see the rest of the run"
            )

    def recipe(self, framework: str, version: str | None, inert: str) -> report.TrainRecipe:
        """What was used, what changes no memory (keys that match `inert`), and what is not modelled."""
        pattern = re.compile(inert)
        prefixes = tuple(prefix for prefix, *_ in self._inner)
        rest = [name for name in self.values if name not in self.used and not name.startswith(prefixes)]
        # What would be refused is off.
        off = tuple(f"{name}." for name in self._off)
        quiet = [
            name
            for name in rest
            if self.values[name] is None or name in self._off or name.startswith(off) or pattern.fullmatch(name)
        ]
        used, unmodelled = dict(self.used), set(rest) - set(quiet)
        for prefix, inner, what in self._inner:
            own = inner.recipe(framework, version, what)
            used |= {f"{prefix}{name}": value for name, value in own.used.items()}
            quiet += [f"{prefix}{name}" for name in own.inert]
            unmodelled |= {f"{prefix}{name}" for name in own.unmodelled}
        return report.TrainRecipe(framework, version, used, sorted(quiet), sorted(unmodelled))


def _typed(value: str) -> Any:
    return {"true": True, "false": False, "null": None}.get(value.lower(), value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))[:200]
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]


OPTIMIZERS = {
    "adamw_torch": "adamw", "adamw_torch_fused": "adamw-fused", "adamw_apex_fused": "adamw-fused", "adamw_hf": "adamw",
    "adamw_bnb_8bit": "adamw-8bit", "adamw_8bit": "adamw-8bit", "paged_adamw": "paged-adamw", "paged_adamw_32bit": "paged-adamw",
    "paged_adamw_8bit": "paged-adamw-8bit", "adafactor": "adafactor", "sgd": "sgd", "lion": "lion", "lion_32bit": "lion",
    "lion_8bit": "lion-8bit", "adamw_torch_4bit": "adamw-4bit", "adamw_torch_8bit": "adamw-8bit", "ao_adamw_4bit": "adamw-4bit",
    "ao_adamw_8bit": "adamw-8bit", "ao_adamw_fp8": "adamw-fp8", "muon": "muon", "adamw_anyprecision": "adamw", "adamw": "adamw",
}  # fmt: skip
"""transformers 5.24, training_args.py `OptimizerNames`, and axolotl's own (0.19, utils/schemas/enums.py
`CustomSupportedOptimizers`)."""

INERT = (
    r"(?:.*\.)?(?:output_dir|run_name|report_to|logging_.*|save_.*|eval_.*|do_eval|do_train|do_predict|evaluation_strategy|learning_rate|lr"
    r"|lr_.*|warmup_.*|num_train_epochs|num_epochs|epochs|max_steps|seed|data_seed|weight_decay|adam_.*|max_grad_norm|clip_grad_norm|dataset.*"
    r"|datasets.*|test_datasets.*|val_.*|push_to_hub|hub_.*|wandb_.*|mlflow_.*|use_wandb|chat_template.*|tokenizer.*|special_tokens.*|tokens"
    r"|preprocessing_.*|dataloader_.*|remove_unused_columns|overwrite_.*|overwrite_output_dir|resume_from_checkpoint|strict|type|template"
    r"|shuffle.*|plot_loss|metric_logger.*|profiler.*|log_.*|ddp_timeout|trust_remote_code|train_on_inputs|group_by_length|train_on_.*"
    r"|model_type|tokenizer_type|is_.*_derived_model|early_stopping_.*|loraplus_.*|lora_alpha|lora_dropout|use_rslora|beta|label_.*"
    r"|saves_per_epoch|evals_per_epoch|auto_resume_from_checkpoints|debug|weight_decay|device|cudnn_.*|hub_strategy|greater_is_better"
    r"|metric_for_best_model|load_best_model_at_end|disable_tqdm|torch_compile_mode|include_.*|loss_watchdog_.*|name|version|description"
    r"|fsdp_transformer_layer_cls_to_wrap)"
)
"""Keys of logging, data, schedules and checkpoints, which change no memory of the GPU."""
