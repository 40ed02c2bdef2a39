"""As much of a shell's grammar as commands in scripts use: quotes, variables, arrays, continuations, redirections. Nothing is run.

Source: POSIX.1-2024, Shell Command Language, sections 2.2 (quoting), 2.3 (tokens) and 2.6.2 (parameters); bash 5.2 for arrays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from archcalc.commands.arithmetic import whole
from archcalc.errors import FormatError
from archcalc.records import NamedTuple

MOST_BYTES = 1 << 20
"""Scripts and manifests are small; larger files are not read as one."""


class Word(NamedTuple):
    """A word after expansion, and the variables in it that nothing says the value of."""

    text: str
    unknown: tuple[str, ...] = ()


class Simple(NamedTuple):
    """One command: the variables set for it alone or before it, and its words."""

    words: tuple[Word, ...]
    environment: tuple[tuple[str, str], ...] = ()


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_BRACED = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!-])(?P<index>\[[^\]]*\])?(?:(?P<op>:?[-=+?])(?P<word>.*))?", re.DOTALL
)
_DRIVE = re.compile(r"[A-Za-z]:(?=\\|$)")
_OPERATORS = "|&;()<>\n"


def simple_commands(text: str, environment: Mapping[str, str] | None = None) -> list[Simple]:
    """Every command of a script, in order, whatever branches it stands in. Raises `FormatError` for quotes that do not end."""
    return _Reader(text, dict(environment or {})).all()


class _Reader:
    def __init__(self, text: str, variables: dict[str, str]) -> None:
        self.text, self.at = text.replace("\r\n", "\n"), 0
        self.variables = variables
        self.missing: dict[str, str] = {}
        self.set: dict[str, str] = {}
        self.arrays: dict[str, list[Word]] = {}
        self.heredocs: list[tuple[str, bool]] = []

    def all(self) -> list[Simple]:
        found: list[Simple] = []
        words: list[Word] = []
        local: list[tuple[str, str]] = []
        lacking: dict[str, str] = {}
        fresh = True

        def close() -> None:
            nonlocal words, local, lacking, fresh
            if words:
                found.append(Simple(tuple(words), (*self.set.items(), *local)))
            else:
                for name, value in local:
                    assign(name, value)
            words, local, lacking, fresh = [], [], {}, True

        def assign(name: str, value: str) -> None:
            self.variables[name] = self.set[name] = value
            if name in lacking:
                self.missing[name] = lacking[name]
            else:
                self.missing.pop(name, None)

        while self.at < len(self.text):
            c = self.text[self.at]
            if c in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif c == "#":
                self._comment()
            elif c in "<>":
                if words and words[-1].text.isdecimal() and self.at and self.text[self.at - 1].isdecimal():
                    words.pop()
                self._redirection()
            elif c in _OPERATORS:
                self.at += 1
                close()
                if c == "\n":
                    self._skip_heredocs()
            else:
                exporting = bool(words) and words[0].text in ("export", "declare", "local", "readonly", "set")
                assigned = _ASSIGNED.match(self.text, self.at) if fresh or exporting else None
                if assigned:
                    self.at = assigned.end()
                    name = assigned[1]
                    if self.text.startswith("(", self.at):
                        self.at += 1
                        self.arrays[name] = [*(self.arrays.get(name, []) if assigned[2] else []), *self._array()]
                        continue
                    made = self._word(split=False)
                    value = " ".join(w.text for w in made)
                    unknown = next((u for w in made for u in w.unknown), None)
                    if assigned[2]:
                        value, unknown = self.variables.get(name, "") + value, unknown or self.missing.get(name)
                    if unknown:
                        lacking[name] = unknown
                    if exporting:
                        assign(name, value)
                    else:
                        local.append((name, value))
                else:
                    made = self._word()
                    words += made
                    fresh = fresh and not made
        close()
        return found

    def _comment(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _redirection(self) -> None:
        c = self.text[self.at]
        if self.text.startswith("<<", self.at) and not self.text.startswith("<<<", self.at):
            self.at += 2
            indented = self.text.startswith("-", self.at)
            self.at += indented
            self._blanks()
            start = self.at
            while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&<>":
                self.at += 1
            self.heredocs.append((self.text[start : self.at].strip("'\"\\"), indented))
            return
        while self.at < len(self.text) and self.text[self.at] in (c, "&", "|"):
            self.at += 1
        self._blanks()
        if self.at < len(self.text) and self.text[self.at] not in _OPERATORS:
            self._word()

    def _blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def _skip_heredocs(self) -> None:
        for delimiter, indented in self.heredocs:
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = end + 1
                if (line.lstrip("\t") if indented else line) == delimiter:
                    break
        self.heredocs = []

    def _array(self) -> list[Word]:
        out: list[Word] = []
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == ")":
                self.at += 1
                return out
            if c in " \t\n":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif c == "#":
                self._comment()
            elif c in _OPERATORS:
                self.at += 1
            else:
                out += self._word()
        raise FormatError("an array of words is not closed with )", "close it, or give the command alone")

    def _word(self, split: bool = True) -> list[Word]:
        """The word at the cursor; several where an unquoted variable holds blanks, none where it holds nothing."""
        done: list[Word] = []
        text, unknown, quoted = "", list[str](), False

        while self.at < len(self.text):
            c = self.text[self.at]
            if c in " \t" or c in _OPERATORS:
                break
            if c == "'":
                end = self.text.find("'", self.at + 1)
                if end < 0:
                    raise FormatError("a single quote is not closed", "close it, or give the command alone")
                text, quoted, self.at = text + self.text[self.at + 1 : end], True, end + 1
            elif c == '"':
                self.at += 1
                quoted = True
                while True:
                    if self.at >= len(self.text):
                        raise FormatError("a double quote is not closed", "close it, or give the command alone")
                    c = self.text[self.at]
                    if c == '"':
                        self.at += 1
                        break
                    if c == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                        text += self.text[self.at + 1].replace("\n", "")
                        self.at += 2
                    elif c in "$`":
                        items, (value, missing) = self._expansion()
                        if items is not None:
                            if not items and not text:
                                quoted = False
                            for i, item in enumerate(items):
                                if i:
                                    done.append(Word(text, tuple(unknown)))
                                    text, unknown = "", []
                                text += item.text
                                unknown += item.unknown
                        else:
                            text += value
                            unknown += [missing] if missing else []
                    else:
                        text += c
                        self.at += 1
            elif c == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                # A path of Windows, whose own shell takes a backslash for itself.
                drive = _DRIVE.match(text) is not None and following.strip() != ""
                text += "" if following == "\n" else f"\\{following}".replace("\\\\", "\\") if drive else following
                quoted = quoted or bool(following.strip())
                self.at += 2
            elif c in "$`":
                items, (value, missing) = self._expansion()
                if items is not None:
                    done += items
                    continue
                unknown += [missing] if missing else []
                parts = value.split() if split and not missing else [value]
                if not parts:
                    continue
                if value[:1].isspace() and (text or quoted):
                    done.append(Word(text, tuple(unknown)))
                    text = ""
                for part in parts[:-1]:
                    done.append(Word(text + part, tuple(unknown)))
                    text, unknown = "", []
                text += parts[-1]
            else:
                text += c
                self.at += 1
        if text or quoted or unknown:
            done.append(Word(text, tuple(unknown)))
        return done

    def _expansion(self) -> tuple[list[Word] | None, tuple[str, str | None]]:
        """What `$` or a backtick stands for: the items of an array, or a text and the name of what is not known."""
        start = self.at
        if self.text[start] == "`":
            end = self.text.find("`", start + 1)
            end = len(self.text) if end < 0 else end + 1
            self.at = end
            return None, (self.text[start:end], self.text[start:end])
        following = self.text[start + 1 : start + 2]
        if following == "(":
            depth, i = 0, start + 1
            while i < len(self.text):
                depth += (self.text[i] == "(") - (self.text[i] == ")")
                i += 1
                if not depth:
                    break
            self.at = i
            raw = self.text[start:i]
            if raw.startswith("$((") and raw.endswith("))"):
                found = whole(raw[3:-2], self.variables)
                return None, (raw, raw) if found is None else (str(found), None)
            # Kubernetes writes a variable so, and shells a command whose output is meant.
            name = raw[2:-1]
            if _NAME.fullmatch(name) and name in self.variables:
                return None, (self.variables[name], None)
            return None, (raw, raw)
        if following == "{":
            end = self.text.find("}", start)
            depth = 0
            for i in range(start + 1, len(self.text)):
                depth += (self.text[i] == "{") - (self.text[i] == "}")
                if not depth:
                    end = i
                    break
            if end < 0:
                raise FormatError("${ is not closed with }", "close it, or give the command alone")
            self.at = end + 1
            return self._braced(self.text[start + 2 : end])
        named = _NAME.match(self.text, start + 1)
        if named:
            self.at = named.end()
            return None, self._value(named[0])
        if following and following in "@*#?!-0123456789":
            self.at = start + 2
            return [], ("", None)
        self.at = start + 1
        return None, ("$", None)

    def _braced(self, inner: str) -> tuple[list[Word] | None, tuple[str, str | None]]:
        m = _BRACED.fullmatch(inner)
        if m is None:
            return None, ("${" + inner + "}", inner)
        name, index, op = m["name"], m["index"], m["op"] or ""
        if (name in "@*#?!-" or name.isdecimal()) and not (name.isdecimal() and op):
            return [], ("", None)
        if index in ("[@]", "[*]") and name in self.arrays:
            return self.arrays[name], ("", None)
        value, missing = self._value(name)
        empty = missing is not None or (op.startswith(":") and not value)
        if op.endswith(("-", "=")) and empty:
            inside = _Reader(m["word"], self.variables)
            inside.missing = self.missing
            made = inside._word(split=False) if m["word"] else []
            return None, (" ".join(w.text for w in made), next((u for w in made for u in w.unknown), None))
        if op.endswith("+"):
            return None, ("" if empty else m["word"], None)
        return None, (value, missing)

    def _value(self, name: str) -> tuple[str, str | None]:
        if name in self.variables:
            return self.variables[name], self.missing.get(name)
        if name in self.arrays:
            return (self.arrays[name][0].text if self.arrays[name] else ""), None
        return f"${name}", f"${name}"
