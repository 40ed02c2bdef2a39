"""Typer commands whose arguments are converted without pydantic.

Typer 0.29 builds a pydantic TypeAdapter for each parameter it converts, which takes longer to import than a bundled model takes to
analyse. The commands here take only str, int, bool, choices, and lists of str, so the conversion is a few lines. A typer without
such adapters never calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from enum import Enum
from typing import Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from archcalc.errors import UsageError

TAKES_COMMANDS = frozenset({"fit", "kv"})
_LISTS = frozenset({"sweep"})
"""Commands whose `--set` names one key several times."""
COMMAND_WORDS = "archcalc.command_words"


class _Plain:
    """Stands in for typer's runtime conversion of one parameter."""

    def __init__(self, annotation: Any, info: Any) -> None:
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        self._enum = next((kind for kind in kinds if issubclass(kind, Enum)), None)
        self._is_int = int in kinds
        self._min, self._max = getattr(info, "min", None), getattr(info, "max", None)

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._enum is not None and not isinstance(value, self._enum):
            try:
                return self._enum(value)
            except ValueError:
                names = ", ".join(repr(member.value) for member in self._enum)
                raise typer.BadParameter(f"{value!r} is not one of {names}.", ctx=ctx, param=param) from None
        return self._number(value, param, ctx) if self._is_int else value

    def _number(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a whole number.", ctx=ctx, param=param) from None
        if (self._min is not None and number < self._min) or (self._max is not None and number > self._max):
            raise typer.BadParameter(f"{number} is not in the range {self._min} to {self._max}.", ctx=ctx, param=param)
        return number


def _plainly(params: list[Any]) -> list[Any]:
    for param in params:
        described = getattr(param, "type_descriptor", None)
        if described is not None:
            plain = _Plain(described.annotation, described.parameter_info)
            param.get_runtime_param = lambda plain=plain: plain
    return params


def _help(command: Any, write: Callable[[Any, Any, Any], None], ctx: Any, formatter: Any) -> None:
    """The help, with brackets as they stand in its texts: rich takes them for markup. A reader that has seen enough of it is no failure,
    which rich takes it for."""
    from rich.markup import escape

    shown = copy(command)
    shown.params = [copy(param) for param in command.params]
    for each in (shown, *shown.params):
        if text := getattr(each, "help", None):
            each.help = escape(text)
    try:
        write(shown, ctx, formatter)
    except SystemExit:
        raise SystemExit(0) from None


class LightCommand(TyperCommand):
    """A command whose parameters are converted by `_Plain`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, on standard output."""
        _help(self, TyperCommand.format_help, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What stands behind `--` is an engine's command for those that take one, and not a SOURCE."""
        if self.name in TAKES_COMMANDS and "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND_WORDS] = tuple(args[at + 1 :])
            args = args[:at]
        self._refuse_repeated(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_repeated(self, ctx: Any, args: list[str]) -> None:
        """An option that takes one value and is given several: the last one would win, and the others be ignored."""
        if len(args) < 2:
            return
        try:
            values, _, order = self.make_parser(ctx).parse_args(list(args))
        except Exception:
            # What is wrong with the call is told when it is parsed.
            return
        keys = [str(each).partition("=")[0].strip() for each in values.get("set_") or ()] if self.name not in _LISTS else []
        if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise UsageError(f"--set {twice[0]} is given {keys.count(twice[0])} times, and a config holds one", "give it once")
        for param in dict.fromkeys(order):
            once = param.param_type_name == "option" and not (param.multiple or getattr(param, "is_flag", False))
            if once and order.count(param) > 1:
                raise UsageError(
                    f"{param.opts[0]} is given {order.count(param)} times, and takes one value",
                    "give it once" + (", with a list: 4k,8k" if "LIST" in str(param.metavar) else ""),
                )

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, help and completion included."""
        return _plainly(super().get_params(ctx))


class LightGroup(TyperGroup):
    """A group whose own parameters are converted by `_Plain`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, on standard output."""
        _help(self, TyperGroup.format_help, ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, help and completion included."""
        return _plainly(super().get_params(ctx))
