"""As much of a shell's grammar as commands in scripts use: quotes, variables, arrays, continuations, redirections, branches. Nothing is
run.

Source: POSIX.1-2024, Shell Command Language, sections 2.2 (quoting), 2.3 (tokens), 2.6.2 (parameters), 2.9.3 (lists) and 2.9.4 (compound
commands), and its utility `test`; bash 5.2 for arrays and `[[`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from archcalc.commands.arithmetic import whole
from archcalc.commands.conditions import Status, both, compared, judged, matched, not_known
from archcalc.errors import FormatError
from archcalc.records import NamedTuple

MOST_BYTES = 1 << 20
"""Scripts and manifests are small; larger files are not read as one."""


class Word(NamedTuple):
    """A word after expansion, and the variables in it that nothing says the value of."""

    text: str
    unknown: tuple[str, ...] = ()


class Simple(NamedTuple):
    """One command: the variables set for it alone or before it, and its words. `notes` say which of them depend on what is not known,
    `stdin` is the text below that it is given (`<<EOF`), `target` the file that it writes."""

    words: tuple[Word, ...]
    environment: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    stdin: str = ""
    target: str = ""


class _Kept(NamedTuple):
    """What a script has set so far."""

    variables: dict[str, str]
    missing: dict[str, str]
    set: dict[str, str]
    arrays: dict[str, list[Word]]


class _Frame:
    """A branch around a command: whether it runs, and whether that is sure."""

    def __init__(self, kind: str, at: int, status: Status = Status(True, True)) -> None:  # noqa: B008
        self.kind, self.at, self.status = kind, at, status
        self.before = Status(False, True)
        self.told = self.said = ""
        self.kept: _Kept | None = None
        self.outer: tuple[str, Status | None] = ("", None)
        self.subject: Word | None = None
        self.patterns: list[Word] | None = None


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_BRACED = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!-])(?P<index>\[[^\]]*\])?"
    r"(?:(?P<op>:?[-=+?]|%%?|\#\#?|//?[\#%]?|,,?|\^\^?|:)(?P<word>.*))?",
    re.DOTALL,
)


_DEFAULTS = (":-", "-", ":=", "=", ":+", "+")


def _cut(value: str, op: str, word: str) -> str | None:
    """What `%`, `#`, `/`, `,`, `^` and `:` make of a value; None where it is not known."""
    word = re.sub(r"""["']""", "", word)
    if len(value) > _MOST_CUT:
        return None
    if op in ("%", "%%", "#", "##"):
        places = range(len(value) + 1)
        for n in places if len(op) == 1 else reversed(places):
            piece = value[len(value) - n :] if op[0] == "%" else value[:n]
            if matched(piece, word):
                return value[: len(value) - n] if op[0] == "%" else value[n:]
        return value
    if op.startswith("/"):
        old, _, new = word.partition("/")
        if op[1:] not in ("", "/") or set(old) & set("*?["):
            return None
        return value.replace(old, new, -1 if op == "//" else 1) if old else value
    if op == ":":
        first, _, count = word.partition(":")
        if not first.strip().isdecimal() or (count and not count.strip().isdecimal()):
            return None
        return value[int(first) :][: int(count) if count else None]
    if word:
        return None
    one = str.lower if op[0] == "," else str.upper
    return one(value) if len(op) == 2 else one(value[:1]) + value[1:]


_EXPANDED = re.compile(r"\\([$`\\])|\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_DRIVE = re.compile(r"[A-Za-z]:(?=\\|$)")
_OPERATORS = "|&;()<>\n"
_DEEPEST, _MOST_CALLS, _MOST_ITEMS, _MOST_CUT = 12, 500, 4096, 512
_FUNCTION = re.compile(r"(?:function[ \t]+([A-Za-z_][\w.:-]*)[ \t]*(?:\([ \t]*\))?|([A-Za-z_][\w.:-]*)[ \t]*\([ \t]*\))\s*\{(?=\s)")
_KEYED = re.compile(r"\[([^\]]*)\]=(.*)", re.DOTALL)
_ITEM = re.compile(r"([A-Za-z_]\w*)\[([\w.\"'-]+)\]=")
# What a function shares with the script that calls it.
_SHARED = ("missing", "set", "arrays", "tables", "functions", "called", "calls", "unsettled", "outside")
_KEYWORDS = frozenset("if then elif else fi do done while until esac { } !".split())
# Variables that an engine, or what it runs on, reads.
_READ = re.compile(r"(?:VLLM|SGLANG|SGL|LLAMA|GGML|OLLAMA|CUDA|HIP|ROCR|NVIDIA|NCCL|PYTORCH|TORCH|HF)_")


def simple_commands(text: str, environment: Mapping[str, str] | None = None, *, uncalled: bool = False) -> list[Simple]:
    """Every command of a script that may run, in order; with `uncalled` those of functions too that it defines and never calls.

    A branch that the script's own variables rule out is left out. One that depends on what is not known is kept, and what it sets is
    taken as if variables that nothing sets were empty, with a note.

    Raises `FormatError` for quotes that do not end.
    """
    reader = _Reader(text, dict(environment or {}))
    found = reader.all()
    for name in reader.functions if uncalled else ():
        if name not in reader.called and reader._may_call(name):
            # What another script would give it is not here.
            words = [Word(f"${n}", (f"${n}",)) for n in range(1, 10)]
            found += reader._call([Word(name), *words], [])
    return found


def condition(text: str, variables: Mapping[str, str]) -> Status:
    """Whether a list of commands holds, as behind `if`, by variables that are known. Raises `FormatError` as `simple_commands`."""
    reader = _Reader(text, dict(variables))
    reader.all()
    return reader.status


def _closing(text: str, at: int) -> int:
    """Where the brace stands that closes one opened before `at`. Raises `FormatError` where none does."""
    depth = 1
    for m in _PIECE.finditer(text, at):
        if m["brace"]:
            depth += 1 if m["brace"] == "{" else -1
            if not depth:
                return m.start("brace")
    raise FormatError("a function is not closed with }", "close it, or give the command alone")


# Quotes, comments and expansions, in which a brace is none of a shell's own, and braces.
_PIECE = re.compile(
    r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*"|\$\{[^}\n]{0,400}\}|(?:(?<=\s)|^)\#[^\n]*|(?:(?<=[\s;])|^)(?P<brace>\{(?=\s)|\}(?=[\s;&|<>)]|$))|\S""",
    re.DOTALL | re.MULTILINE,
)


class _Reader:
    def __init__(self, text: str, variables: dict[str, str]) -> None:
        self.text, self.at = text.replace("\r\n", "\n"), 0
        self.variables = variables
        self.missing: dict[str, str] = {}
        self.set: dict[str, str] = {}
        self.arrays: dict[str, list[Word]] = {}
        self.heredocs: list[tuple[str, bool, bool]] = []
        self.target = ""
        self.frames: list[_Frame] = []
        self.joined, self.status = "", Status(True, True, False)
        self.so_far: Status | None = None
        self.unsettled: dict[str, tuple[str, ...]] = {}
        self.outside: set[str] = set()
        self.used: dict[str, None] = {}
        self.guessed = self.negated = False
        self.ended: Status | None = None
        self.tables: dict[str, dict[str, Word]] = {}
        self.functions: dict[str, str] = {}
        self.called: set[str] = set()
        # What a function is called with; None of a script, whose arguments are not here.
        self.given: list[Word] | None = None
        self.depth = 0
        self.calls: list[str] = []

    def all(self) -> list[Simple]:
        found: list[Simple] = []
        words: list[Word] = []
        local: list[tuple[str, str]] = []
        lacking: dict[str, str] = {}
        fresh = True

        def close(operator: str) -> None:
            nonlocal words, local, lacking, fresh
            status, self.ended = self.ended, None
            if words:
                if not self._dead() and words[0].text in self.functions and self._may_call(words[0].text):
                    found.extend(self._call(words, local))
                elif not self._dead():
                    of_environment = [note for name, notes in self.unsettled.items() if _READ.match(name) for note in notes]
                    notes = tuple(dict.fromkeys((*self.used, *of_environment)))
                    found.append(Simple(tuple(words), (*self.set.items(), *local), notes, "", self.target))
                    self._looped(words)
                    self._stop(words, operator)
                status = judged(words, guessed=self.guessed)
            elif local:
                for name, value in local:
                    assign(name, value)
                status = Status(True, True, False)
            if status is not None and operator != "|":
                self._follow(status._replace(holds=status.holds != self.negated), operator)
                self.negated = False
            words, local, lacking, fresh, self.target = [], [], {}, True, ""
            self.used, self.guessed = {}, False

        def assign(name: str, value: str) -> None:
            if self._dead():
                return
            self.variables[name] = self.set[name] = value
            self._depend(name)
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
            elif self.frames and self.frames[-1].patterns is not None:
                self._pattern(self.frames[-1], self.frames[-1].patterns)
            elif c in "&|<>()" and words and words[0].text == "[[" and words[-1].text != "]]":
                width = 2 if self.text[self.at : self.at + 2] in ("&&", "||") else 1
                words.append(Word(self.text[self.at : self.at + width]))
                self.at += width
            elif c in "<>":
                if words and words[-1].text.isdecimal() and self.at and self.text[self.at - 1].isdecimal():
                    words.pop()
                self._redirection()
            elif fresh and not local and self.text.startswith("((", self.at):
                self.ended = self._sum()
            elif fresh and not local and (defined := _FUNCTION.match(self.text, self.at)):
                self._define(defined)
            elif c in _OPERATORS:
                operator = next(o for o in ("&&", "||", ";;", c) if self.text.startswith(o, self.at))
                close(operator)
                self.at += len(operator)
                if c == "\n" and (given := self._heredoc()) and found:
                    found[-1] = found[-1]._replace(stdin=given)
                elif operator == ";;" and (frame := self._innermost("case")):
                    self.at += self.text.startswith("&", self.at)
                    self._leave(frame)
                    frame.patterns = []
            else:
                exporting = bool(words) and words[0].text in ("export", "declare", "local", "readonly", "set")
                assigned = _ASSIGNED.match(self.text, self.at) if fresh or exporting else None
                if fresh and (item := _ITEM.match(self.text, self.at)):
                    self.at = item.end()
                    made = self._word(split=False)
                    if not self._dead():
                        self._put(item[1], item[2].strip("\"'"), made[0] if made else Word(""))
                    self.ended = Status(True, True, False)
                    continue
                if assigned:
                    self.at = assigned.end()
                    name = assigned[1]
                    if assigned[2]:
                        self.used |= dict.fromkeys(self.unsettled.get(name, ()))
                    if self.text.startswith("(", self.at):
                        self.at += 1
                        made = self._array()
                        keyed = [_KEYED.fullmatch(w.text) for w in made]
                        if keyed and all(keyed):
                            if not self._dead():
                                held = self.tables.get(name, {}) if assigned[2] else {}
                                made_of = {m[1]: w._replace(text=m[2]) for m, w in zip(keyed, made, strict=True) if m}
                                self.tables[name] = {**held, **made_of}
                                self._depend(name)
                        elif not self._dead():
                            self.arrays[name] = [*(self.arrays.get(name, []) if assigned[2] else []), *made]
                            self._depend(name)
                        self.ended = Status(True, True, False)
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
                    start = self.at
                    made = self._word()
                    if fresh and not local and not words and self.text[start : self.at] in _KEYWORDS:
                        self._keyword(self.text[start : self.at], start)
                        continue
                    words += made
                    fresh = fresh and not made
                    if words and words[0].text == "case" and words[-1].text == "in":
                        frame = self._enter("case", start)
                        frame.said = self.text[max(self.text.rfind("case", 0, start), 0) + 4 : start].strip()[:60]
                        frame.subject = words[1] if len(words) == 3 else None
                        frame.before = Status(False, frame.subject is not None and not frame.subject.unknown and not self.guessed)
                        frame.patterns = []
                        words, fresh, self.guessed = [], True, False
        close("\n")
        return found

    def _define(self, defined: re.Match[str]) -> None:
        """A function, of which nothing runs until it is called."""
        end = _closing(self.text, defined.end())
        if not self._dead():
            self.functions[defined[1] or defined[2]] = self.text[defined.end() : end]
        self.at = end + 1

    def _may_call(self, called: str) -> bool:
        read = sum(len(self.functions.get(name, "")) for name in (*self.calls, called))
        return self.depth < _DEEPEST and len(self.calls) < _MOST_CALLS and read < MOST_BYTES >> 4

    def _call(self, words: list[Word], local: list[tuple[str, str]]) -> list[Simple]:
        """What a function starts with these arguments. It sets the script's own variables."""
        self.called.add(words[0].text)
        self.calls.append(words[0].text)
        inner = _Reader(self.functions[words[0].text], self.variables)
        for name in _SHARED:
            setattr(inner, name, getattr(self, name))
        inner.given, inner.depth = words[1:], self.depth + 1
        inner.set = {**self.set, **dict(local)}
        # What its arguments depend on, what it starts depends on.
        before = tuple(self.used)
        made = [each._replace(notes=tuple(dict.fromkeys((*before, *each.notes)))) for each in inner.all()]
        for name in _SHARED:
            setattr(self, name, getattr(inner, name))
        for name, _ in local:
            self.set.pop(name, None)
        return made

    def _stop(self, words: list[Word], operator: str) -> None:
        """Nothing behind what ends the script, or the function, runs."""
        name = words[0].text
        ends = name == "exit" or (name == "return" and self.depth) or (name == "exec" and len(words) > 1)
        if ends and operator in ("\n", ";") and all(f.status.sure and f.status.holds and f.kind == "if" for f in self.frames):
            self.at = len(self.text) - 1 if self.text.endswith("\n") else len(self.text)
            self.frames = []
        elif name == "shift" and self.given is not None:
            by = words[1].text if len(words) > 1 else "1"
            del self.given[: int(by) if by.isdecimal() else 1]

    def _put(self, name: str, key: str, value: Word) -> None:
        """One item of an array: by its number, or by its key."""
        if key.isdecimal() and name not in self.tables:
            items = self.arrays.setdefault(name, [])
            items += [Word("")] * (int(key) + 1 - len(items)) if int(key) < _MOST_ITEMS else []
            if int(key) < len(items):
                items[int(key)] = value
        else:
            self.tables.setdefault(name, {})[key] = value
        self._depend(name)

    def _sum(self) -> Status:
        """Whether `((...))` holds."""
        start = self.at + 2
        end = self.text.find("))", start)
        end = len(self.text) if end < 0 else end
        self.at = end + 2
        inner = self.text[start:end]
        names = _NAME.findall(inner)
        for name in names:
            self._value(name)
        unset = {name: "0" for name in names if name not in self.variables}
        sure = not (unset or self.guessed or self.used or any(name in self.missing for name in names))
        return compared(inner, {**self.variables, **unset}, sure=sure)

    def _dead(self) -> bool:
        return any(frame.status.sure and not frame.status.holds for frame in self.frames)

    def _depend(self, name: str) -> None:
        """What a variable depends on once it is set, by what its value is made of."""
        if self.used:
            self.unsettled[name] = tuple(self.used)
        else:
            self.unsettled.pop(name, None)
        if self.guessed:
            self.outside.add(name)
        else:
            self.outside.discard(name)

    def _looped(self, words: list[Word]) -> None:
        """A loop over words is read as its first turn."""
        if len(words) > 3 and (words[0].text, words[2].text) == ("for", "in") and not words[3].unknown:
            name, items = words[1].text, [w.text for w in words[3:]]
            if _NAME.fullmatch(name) and not set(items[0]) & set("{*?["):
                self.variables[name] = items[0]
                self.missing.pop(name, None)
                self.unsettled.pop(name, None)
                if len(items) > 1:
                    self.unsettled[name] = (f"{name} runs over {' '.join(items)[:60]}: its first turn is taken",)

    def _follow(self, status: Status, operator: str) -> None:
        """Whether what stands behind `&&` or `||` runs, or how the list ended."""
        if self.joined:
            assert self.so_far is not None
            status = both(self.so_far, status) if self.joined == "&&" else ~both(~self.so_far, ~status)
            if self.frames and self.frames[-1].kind == "chain":
                self._leave(self.frames[-1])
                first = self.frames.pop().at
            else:
                first = self.at
        else:
            first = self.at
        if operator not in ("&&", "||"):
            self.joined, self.so_far, self.status = "", None, status
            return
        start = min(first, max(self.text.rfind("\n", 0, self.at), self.text.rfind(";", 0, self.at)) + 1)
        told = self.text[start : self.at]
        self.joined, self.so_far = operator, status
        frame = _Frame("chain", start, status if operator == "&&" else ~status)
        if operator == "||" and not status.tested:
            frame.status = Status(False, False)
        frame.told = not_known(told, status.holds)
        self.frames.append(frame)
        self._keep(frame)

    def _enter(self, kind: str, start: int) -> _Frame:
        frame = _Frame(kind, start)
        frame.outer, self.joined, self.so_far = (self.joined, self.so_far), "", None
        self.frames.append(frame)
        return frame

    def _innermost(self, kind: str) -> _Frame | None:
        return next((frame for frame in reversed(self.frames) if frame.kind == kind), None)

    def _end(self, kind: str) -> None:
        if self._innermost(kind) is None:
            return
        while True:
            frame = self.frames.pop()
            self._leave(frame)
            if frame.kind == kind:
                break
        self.joined, self.so_far = frame.outer
        self.ended = self.status if kind == "group" else Status(True, True, False)

    def _keep(self, frame: _Frame) -> None:
        frame.kept = _Kept(dict(self.variables), dict(self.missing), dict(self.set), dict(self.arrays))

    def _leave(self, frame: _Frame) -> None:
        """The end of a branch: what one sets that is taken not to run is set back."""
        kept, frame.kept = frame.kept, None
        if kept is None or frame.status.sure:
            return
        names = [name for name in self.variables if self.variables[name] != kept.variables.get(name)]
        names += [name for name in self.arrays if self.arrays[name] != kept.arrays.get(name)]
        if not frame.status.holds:
            self.variables.clear()
            self.variables.update(kept.variables)
            self.missing, self.set, self.arrays = kept.missing, kept.set, kept.arrays
        for name in names:
            note = f"{frame.told}; {name} depends on it"
            self.unsettled[name] = tuple(dict.fromkeys((*self.unsettled.get(name, ()), note)))

    def _keyword(self, word: str, start: int) -> None:
        frame = self._innermost("if")
        if word == "if":
            self._enter("if", self.at)
        elif word == "{":
            self._enter("group", start)
        elif word == "}":
            self._end("group")
        elif word == "fi":
            self._end("if")
        elif word == "esac":
            self._end("case")
        elif word == "!":
            self.negated = not self.negated
        elif word == "then" and frame:
            status = self.status if self.status.tested else Status(False, False)
            self._branch(frame, status, self.text[frame.at : start])
        elif word == "elif" and frame:
            self._leave(frame)
            frame.status, frame.at = Status(True, True), self.at
        elif word == "else" and frame:
            self._leave(frame)
            self._branch(frame, Status(True, True), "")

    def _branch(self, frame: _Frame, status: Status, condition: str) -> None:
        """One branch of an `if`, which runs where its condition holds and none before it did."""
        frame.status = both(~frame.before, status)
        if not status.sure and not frame.told:
            frame.told = not_known(condition, status.holds)
        frame.before = ~both(~frame.before, ~status)
        self._keep(frame)

    def _pattern(self, frame: _Frame, patterns: list[Word]) -> None:
        """The patterns of a branch of `case`, up to their parenthesis."""
        c = self.text[self.at]
        if c == ")":
            self.at += 1
            frame.patterns = None
            text = "" if frame.subject is None else frame.subject.text
            for unknown in frame.subject.unknown if frame.subject else ():
                text = text.replace(unknown, "")
            sure = frame.before.sure and not any(p.unknown for p in patterns)
            holds = any(matched(text, p.text) for p in patterns)
            frame.status = both(~frame.before, Status(holds, sure))
            frame.before = Status(frame.before.holds or holds, sure)
            frame.told = f"what {frame.said} stands for is not known here: {repr(text) if text else 'nothing'} is taken"
            self._keep(frame)
        elif c in _OPERATORS:
            self.at += 1
        else:
            start = self.at
            made = self._word(split=False)
            if self.text[start : self.at] == "esac":
                frame.patterns = None
                self._end("case")
            else:
                patterns += made

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
            said = self.text[start : self.at]
            self.heredocs.append((said.strip("'\"\\"), indented, said[:1] not in ("'", '"', "\\")))
            return
        while self.at < len(self.text) and self.text[self.at] in (c, "&", "|"):
            self.at += 1
        self._blanks()
        if self.at < len(self.text) and self.text[self.at] not in _OPERATORS:
            made = self._word()
            if c == ">" and made:
                self.target = made[0].text

    def _blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def _heredoc(self) -> str:
        """The texts below a command that it is given, behind which the script goes on."""
        held: list[str] = []
        for delimiter, indented, expands in self.heredocs:
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = end + 1
                line = line.lstrip("\t") if indented else line
                if line == delimiter:
                    break
                held.append(_EXPANDED.sub(self._in_heredoc, line) if expands else line)
        self.heredocs = []
        return "\n".join(held)

    def _in_heredoc(self, found: re.Match[str]) -> str:
        """What a variable stands for there; one that is not known stays as it is written."""
        name = found[2] or found[3]
        if found[1]:
            return found[1]
        return self.variables[name] if name in self.variables and name not in self.missing else found[0]

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
                for name in _NAME.findall(raw):
                    self._value(name)
                found = whole(re.sub(r"\$\{[^{}]*\}|\$\d", self._in_sum, raw[3:-2]), self.variables)
                return None, (raw, raw) if found is None else (str(found), None)
            # Kubernetes writes a variable so, and shells a command whose output is meant.
            name = raw[2:-1]
            if _NAME.fullmatch(name) and name in self.variables:
                return None, self._value(name)
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
            return self._positional(following)
        self.at = start + 1
        return None, ("$", None)

    def _in_sum(self, found: re.Match[str]) -> str:
        inner = found[0].strip("${}")
        _, (value, missing) = self._braced(inner) if found[0][1] == "{" else self._positional(inner)
        return found[0] if missing is not None or not value else value

    def _braced(self, inner: str) -> tuple[list[Word] | None, tuple[str, str | None]]:
        if (length := re.fullmatch(r"#(\w+)(?:\[[@*]\])?", inner)) is not None and length[1] != "#":
            return self._length(length[1], inner)
        if (keys := re.fullmatch(r"!(\w+)\[[@*]\]", inner)) is not None and (keys[1] in self.tables or keys[1] in self.arrays):
            held = self.tables.get(keys[1]) or range(len(self.arrays.get(keys[1], [])))
            return [Word(str(key)) for key in held], ("", None)
        m = _BRACED.fullmatch(inner)
        if m is None:
            return None, ("${" + inner + "}", "${" + inner + "}")
        name, index, op = m["name"], m["index"], m["op"] or ""
        if name in "@*" and self.given is not None and op == ":":
            first, _, count = m["word"].partition(":")
            if first.strip().isdecimal() and (not count or count.strip().isdecimal()):
                begin = max(int(first) - 1, 0)
                return list(self.given[begin : begin + int(count) if count else None]), ("", None)
        if name in "@*#?!-" or (name.isdecimal() and not op):
            return self._positional(name) if not op else (None, ("${" + inner + "}", "${" + inner + "}"))
        if index in ("[@]", "[*]") and (name in self.arrays or name in self.tables or name in self.unsettled):
            self._value(name)
            return self.arrays.get(name, list(self.tables.get(name, {}).values())), ("", None)
        value, missing = self._indexed(name, index[1:-1]) if index else self._value(name)
        self.guessed = self.guessed or bool(op and name not in self.variables and not (name.isdecimal() and self.given))
        empty = missing is not None or not (name in self.variables or name in self.arrays or name.isdecimal() or index)
        empty = empty or (name.isdecimal() and len(self.given or ()) < int(name)) or (op.startswith(":") and not value)
        if name in self.variables and missing is not None and missing.startswith(("$(", "`")) and op in _DEFAULTS:
            # It is set, to what a command prints, which is not known to be empty.
            return None, (value, missing)
        if op in (":-", "-", ":=", "="):
            if not empty:
                return None, (value, missing)
            inside = _Reader(m["word"], self.variables)
            for shared in _SHARED:
                setattr(inside, shared, getattr(self, shared))
            inside.given = self.given
            made = inside._word(split=False) if m["word"] else []
            self.guessed = self.guessed or inside.guessed
            text, lacks = " ".join(w.text for w in made), next((u for w in made for u in w.unknown), None)
            if op.endswith("=") and not self._dead() and lacks is None:
                self.variables[name] = self.set[name] = text
                self.missing.pop(name, None)
            return None, (text, lacks)
        if op in (":+", "+"):
            return None, ("" if empty else m["word"], None)
        if op in ("", ":?", "?"):
            return None, (value, missing)
        made_of = None if missing is not None or "$" in m["word"] else _cut(value, op, m["word"])
        return None, (("${" + inner + "}",) * 2 if made_of is None else (made_of, None))

    def _positional(self, name: str) -> tuple[list[Word] | None, tuple[str, str | None]]:
        """An argument of a function; of a script they are not here, and taken as none."""
        if self.given is None:
            self.guessed = True
            return ([], ("", None)) if not name.isdecimal() or name == "0" else (None, (f"${name}", f"${name}"))
        if name in "@*":
            return list(self.given), ("", None)
        if name == "#":
            return None, (str(len(self.given)), None)
        if name.isdecimal() and name != "0":
            held = self.given[int(name) - 1] if int(name) <= len(self.given) else Word("")
            return None, (held.text, next(iter(held.unknown), None))
        self.guessed = True
        return [], ("", None)

    def _length(self, name: str, inner: str) -> tuple[list[Word] | None, tuple[str, str | None]]:
        if "[" in inner:
            self._value(name)
            held = self.arrays.get(name) or self.tables.get(name)
            return None, (str(len(held)), None) if held is not None else ("${" + inner + "}", "${" + inner + "}")
        value, missing = self._value(name)
        return None, (str(len(value)), None) if missing is None else ("${" + inner + "}", "${" + inner + "}")

    def _indexed(self, name: str, index: str) -> tuple[str, str | None]:
        """One item of an array, by its number or its key."""
        self._value(name)
        inside = _Reader(index, self.variables)
        inside.given = self.given
        made = inside._word(split=False)
        key = " ".join(w.text for w in made)
        for used in _NAME.findall(index) if "$" in index else ():
            self._value(used)
        held = None
        if name in self.tables:
            held = self.tables[name].get(key)
        else:
            at = whole(key, self.variables)
            items = self.arrays.get(name)
            if items is None and at == 0:
                return self._value(name)
            held = items[at] if at is not None and items and -len(items) <= at < len(items) else None
        if held is None or any(w.unknown for w in made):
            return ("${" + name + "[" + index + "]}",) * 2
        return held.text, next(iter(held.unknown), None)

    def _value(self, name: str) -> tuple[str, str | None]:
        if name.isdecimal():
            return self._positional(name)[1]
        self.used |= dict.fromkeys(self.unsettled.get(name, ()))
        self.guessed = self.guessed or name in self.outside
        if name in self.variables:
            return self.variables[name], self.missing.get(name)
        if name in self.arrays:
            return (self.arrays[name][0].text if self.arrays[name] else ""), None
        if name in self.unsettled:
            # Set in a branch alone that is taken not to run.
            return "", None
        return f"${name}", f"${name}"
