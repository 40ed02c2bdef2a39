"""A batch file, or a script of PowerShell, as a shell reads it; nothing is run.

Names of variables are alike in any case there, so they are written in capitals. Sources: Microsoft's references of cmd (`set`, `if`, `for`,
`goto`, `rem`, `start`) and of PowerShell (about_Parsing, about_If, about_Foreach, about_Splatting, Start-Process).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.errors import FormatError


def shell_of(text: str, *, power: bool) -> str:
    """Raises `FormatError` for a `goto` over another one's target, for braces that do not close, and for what is too long or too deep."""
    text = text.replace("\r\n", "\n")
    if len(text) > MOST_BYTES:
        raise FormatError(f"the script holds more than {MOST_BYTES >> 10} KiB", "give the engine's command alone")
    try:
        return _power(text) if power else _batch(text)
    except RecursionError:
        raise FormatError("the script nests too deep to read", "give the engine's command alone") from None


MOST_BYTES = 1 << 15
"""Scripts of Windows are shorter."""


# cmd

_SET = re.compile(r'(?i)set[ \t]+(?:/a[ \t]+)?(?:"(\w+)=([^"]*)"|(\w+)=(.*))$')
_IF = re.compile(
    r"(?i)if[ \t]+(?P<i>/i[ \t]+)?(?P<not>not[ \t]+)?(?:/i[ \t]+)?"
    r"(?P<test>exist[ \t]+(?:\"[^\"]*\"|\S+)|defined[ \t]+\w+|errorlevel[ \t]+\d+"
    r"|(?:\"[^\"]*\"|[^\s=]+)[ \t]*(?:==|[ \t](?:equ|neq|lss|leq|gtr|geq)[ \t])[ \t]*(?:\"[^\"]*\"|\S+))[ \t]*(?P<rest>.*)$"
)
_FOR = re.compile(r"(?i)for[ \t]+%%?(\w)[ \t]+in[ \t]*\(([^)]*)\)[ \t]*do[ \t]*(.*)$")
_SIGNS = {"equ": "-eq", "neq": "-ne", "lss": "-lt", "leq": "-le", "gtr": "-gt", "geq": "-ge"}


def _batch(text: str) -> str:
    lines = [line.strip().lstrip("@") for line in re.sub(r"\^[ \t]*\n", " ", text).split("\n")]
    labels = {m[1].lower(): i for i, line in enumerate(lines) if (m := re.match(r":([\w-]+)", line))}
    out: list[str] = []
    # Labels that a jump forward leads to, the innermost last: what stands between runs where it is not made.
    jumps: list[str] = []
    blocks: list[str] = []
    for i, line in enumerate(lines):
        if (label := re.match(r":([\w-]+)", line)) is not None:
            while label[1].lower() in jumps:
                if jumps[-1] != label[1].lower():
                    raise FormatError(
                        f"goto {jumps[-1]}: it leads over what another goto leads to", "give the engine's command alone"
                    )
                out.append("fi")
                jumps.pop()
            continue
        out += _statement(line, blocks, {name for name, at in labels.items() if at > i}, jumps)
    return "\n".join([*out, *("fi" for _ in jumps)])


def _statement(line: str, blocks: list[str], ahead: set[str], jumps: list[str]) -> list[str]:
    """The lines of one statement. `blocks` are what the parentheses that are open close."""
    made: list[str] = []
    while line.startswith(")"):
        line = line[1:].lstrip()
        if not blocks:
            continue
        if found := re.match(r"(?i)else\b[ \t]*", line):
            line = line[found.end() :]
            made.append("else")
            if line.startswith("("):
                line = line[1:].lstrip()
            elif re.match(r"(?i)if\b", line):
                inner = _statement(line, blocks, ahead, jumps)
                if blocks[-1] == "fi" and inner and inner[0].startswith("if "):
                    # An `if` of its own: both end where it does.
                    blocks[-1] = "fi\nfi"
                    blocks[-2:] = [blocks[-1]]
                return [*made, *inner]
            elif line:
                return [*made, *_statement(line, [], ahead, jumps), blocks.pop()]
            return [*made, *(_statement(line, blocks, ahead, jumps) if line else [])]
        made.append(blocks.pop())
    if not line or re.match(r"(?i)(rem\b|::|echo\b|title\b|pause\b|cls\b)", line):
        return made
    if found := _IF.match(line):
        rest = found["rest"]
        jump = re.match(r"(?i)\(?[ \t]*goto[ \t]+:?([\w-]+)[ \t]*\)?$", rest)
        test = _condition(found["test"], folded=bool(found["i"]))
        if jump and jump[1].lower() != "eof":
            if jump[1].lower() in ahead and not blocks:
                jumps.append(jump[1].lower())
                made.append(f"if {'' if found['not'] else '! '}{test}; then :")
            return made
        made.append(f"if {'! ' if found['not'] else ''}{test}; then :")
        if rest.startswith("(") and not (whole := re.fullmatch(r"(?i)\(([^()]*)\)(?:[ \t]*(else)[ \t]*\(?([^()]*)\)?)?", rest)):
            blocks.append("fi")
            return [*made, *_statement(rest[1:].lstrip(), blocks, ahead, jumps)]
        rest = f"{whole[1]}{f' else {whole[3]}' if whole[2] else ''}" if rest.startswith("(") and whole else rest
        one, _, other = rest.partition(" else ")
        made += _statement(one.strip(), [], ahead, jumps)
        if other:
            made += ["else", *_statement(other.strip().strip("()"), [], ahead, jumps)]
        return [*made, "fi"]
    if found := _FOR.match(line):
        made.append(f"for {found[1].upper()} in {_word(' '.join(found[2].replace(',', ' ').split()))}; do :")
        rest = found[3]
        if rest.startswith("("):
            blocks.append("done")
            return [*made, *_statement(rest[1:].lstrip(), blocks, ahead, jumps)]
        return [*made, *_statement(rest, [], ahead, jumps), "done"]
    if line.startswith("("):
        blocks.append(":")
        return [*made, *_statement(line[1:].lstrip(), blocks, ahead, jumps)]
    if found := re.match(r"(?i)goto[ \t]+:?([\w-]+)", line):
        if found[1].lower() == "eof":
            return [*made, "exit"]
        if found[1].lower() in ahead and not blocks:
            jumps.append(found[1].lower())
            made.append("if false; then :")
        return made
    if re.match(r"(?i)exit\b", line):
        return [*made, "exit"]
    closing = ""
    if blocks and line.endswith(")") and line.count(")") > line.count("("):
        line, closing = line[:-1].rstrip(), blocks.pop()
    if found := _SET.match(line):
        made.append(f'{(found[1] or found[3]).upper()}="{_word((found[2] if found[1] else found[4]).rstrip(), quoted=True)}"')
    else:
        line = re.sub(r"(?i)^(?:call|start(?:[ \t]+\"[^\"]*\")?(?:[ \t]+/\w+)*)[ \t]+", "", line)
        made.append(_word(line))
    return [*made, closing] if closing else made


def _condition(test: str, *, folded: bool) -> str:
    kind, _, rest = test.partition(" ")
    if kind.lower() in ("exist", "errorlevel"):
        return f"command {kind} {_word(rest)}"
    if kind.lower() == "defined":
        return f'[ -n "${{{rest.strip().upper()}}}" ]'
    sides = re.split(r"(?i)[ \t]*(==|(?<=\s)(?:equ|neq|lss|leq|gtr|geq)(?=\s))[ \t]*", test, maxsplit=1)
    one, two = (_word(side.strip().strip('"'), quoted=True) for side in sides[::2])
    if folded:
        one, two = (
            re.sub(r"\$\{(\w+)\}|[A-Z]+", lambda m: f"${{{m[1]},,}}" if m[1] else m[0].lower(), side) for side in (one, two)
        )
    return f'[ "{one}" {_SIGNS.get(sides[1].lower(), "=")} "{two}" ]'


def _word(text: str, *, quoted: bool = False) -> str:
    """A text with cmd's variables and signs as a shell has them."""
    text = re.sub(r'\\(?!")', r"\\\\", text).replace("$", "\\$").replace("`", "\\`")
    if not quoted:
        # Of cmd's own, double quotes alone quote.
        text = re.sub(r'("(?:\\.|[^"\\])*")|([\';#])', lambda m: m[1] or "\\" + m[2], text)
        text = re.sub(r"\^(.)", r"\1", text)
    # The folder of the script itself, and its arguments.
    text = re.sub(r"%~[a-z]*p[a-z]*0\\*", ".\\\\\\\\", text)
    text = re.sub(r"%(?:~[a-z]*)?(\d)", r"${\1}", text)
    text = re.sub(r"%~?(\w+):[^%\n]*%", lambda m: f"${{{m[1].upper()}_CUT}}", text)
    text = re.sub(r"%%(\w)\b", lambda m: f"${{{m[1].upper()}}}", text)
    return re.sub(r"%(\w+)%|!(\w+)!", lambda m: f"${{{(m[1] or m[2]).upper()}}}", text)


# PowerShell

_HEAD = re.compile(
    r"(?i)(?P<if>if)[ \t]*\(|\}?\s*(?P<elif>elseif)[ \t]*\(|\}?\s*(?P<else>else)\s*\{|foreach[ \t]*\(\s*\$(?P<each>\w+)\s+in\s+"
    r"|(?P<while>while)[ \t]*\(|function\s+(?P<function>[\w-]+)\s*(?:\([^)]*\))?\s*\{|(?P<try>try|finally|process|begin|end)\s*\{"
    r"|(?P<catch>catch|switch)\b[^{\n]*\{"
)
_ASSIGNED = re.compile(
    r"(?i)(?:\[[\w.\[\]]+\]\s*)?\$(?:(?P<env>env:)|(?:global|script|local):)?(?P<name>\w+)\s*(?P<more>\+?)=(?!=)\s*"
)
_TESTS = {"eq": "=", "ne": "!=", "gt": "-gt", "lt": "-lt", "ge": "-ge", "le": "-le"}


def _power(text: str) -> str:
    text = re.sub(r"`[ \t]*\n", " ", text)
    text = re.sub(r"(?s)<#.*?#>", "", text)
    reader = _Power(text)
    reader.statements(0, len(text))
    return "\n".join(reader.out)


class _Power:
    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[str] = []
        # `@NAME` of a command puts in an array's words.
        self.arrays: set[str] = set()

    def statements(self, at: int, end: int) -> None:
        while at < end:
            c = self.text[at]
            if c in " \t\n;}":
                at += 1
            elif c == "#":
                at = self._line(at, end)
            elif found := re.compile(r"(?i)param\s*\(").match(self.text, at):
                close = self._closed(found.end(), "(", ")")
                for piece in _split(self.text[found.end() : close], ","):
                    if given := _ASSIGNED.search(piece):
                        self._assign(given, piece[given.end() :])
                    elif off := re.search(r"(?i)\[switch\]\s*\$(\w+)", piece):
                        self.out.append(f"{off[1].upper()}=false")
                at = close + 1
            elif found := _HEAD.match(self.text, at):
                at = self._block(found)
            else:
                stop = self._statement_end(at, end)
                self._statement(self.text[at:stop].strip())
                at = max(stop, at + 1)

    def _block(self, found: re.Match[str]) -> int:
        at = found.end()
        if found["if"] or found["elif"] or found["while"] or found["each"]:
            close = self._closed(at, "(", ")")
            inner, body = self.text[at:close], self.text.find("{", close)
            if body < 0:
                raise FormatError("a block of the script does not open", "give the engine's command alone")
        else:
            inner, body = "", at - 1
        end = self._closed(body + 1, "{", "}")
        if found["each"]:
            items = re.sub(r"^@\(|\)$", "", inner.strip())
            self.out.append(f"for {found['each'].upper()} in {self._words(items.replace(',', ' '))}; do :")
            self.statements(body + 1, end)
            self.out.append("done")
        elif found["if"] or found["elif"] or found["else"]:
            self.out.append("else" if found["else"] else f"{'elif' if found['elif'] else 'if'} {self._condition(inner)}; then :")
            self.statements(body + 1, end)
            if not re.compile(r"(?i)\s*else(?:if)?\b").match(self.text, end + 1):
                self.out.append("fi")
        elif found["catch"]:
            pass
        elif found["function"]:
            self.out.append(f"{found['function']}() {{")
            self.statements(body + 1, end)
            self.out.append("}")
        else:
            self.statements(body + 1, end)
        return end + 1

    def _statement(self, text: str) -> None:
        if given := _ASSIGNED.match(text):
            self._assign(given, text[given.end() :])
            return
        if started := re.match(r"(?i)(?:start-process|saps)\b", text):
            text = re.sub(r"(?i)-(?:filepath|argumentlist|args)\b", "", text[started.end() :])
            text = re.sub(r"(?i)-(?:nonewwindow|wait|passthru)\b|-(?:workingdirectory|windowstyle|redirect\w+)\s+\S+", "", text)
            text = (
                re.sub(r"""['"]?\s*,\s*['"]?""", " ", text).replace('"', "").replace("'", "").replace("@(", " ").replace(")", " ")
            )
        text = re.sub(r"^[&.]\s+", "", text)
        if re.match(r"(?i)(?:write-\w+|echo)\b", text):
            return
        self.out.append(self._words(text))

    def _assign(self, given: re.Match[str], value: str) -> None:
        name, value = given["name"].upper(), value.strip()
        if joined := re.match(r"(?i)join-path\s+(?:-path\s+)?(\S+)\s+(?:-childpath\s+)?['\"]?([^'\"\n]+)['\"]?$", value):
            value = f"{joined[1].strip(chr(39) + chr(34))}/{joined[2]}"
        if value.startswith("@("):
            self.arrays.add(name)
            items = " ".join(self._words(item.strip()) for item in _split(value[2:].rstrip(")"), ",") if item.strip())
            self.out.append(f"{name}{given['more']}=({items})")
        elif given["more"] and name in self.arrays:
            self.out.append(f"{name}+=({' '.join(self._words(item.strip()) for item in _split(value, ','))})")
        elif (made := _sum(value)) is not None:
            self.out.append(f"{name}={self._words(made)}")
        elif re.match(r"(?i)[@({\[]|\w+-\w+\b|(?:if|switch|foreach|for|while)\b", value) or _joins(value):
            # What an expression gives is known to PowerShell alone.
            self.out.append(f'{name}="$({" ".join(value.split())[:60].replace(chr(34), "")})"')
        else:
            self.out.append(f"{name}{given['more']}={self._words(value) or chr(34) * 2}")

    def _condition(self, text: str) -> str:
        text = text.strip()
        if inverse := re.match(r"(?i)(?:-not\b|!)\s*", text):
            return f"! {self._condition(text[inverse.end() :])}"
        while text.startswith("(") and text.endswith(")") and text.count("(") == 1:
            text = text[1:-1].strip()
        if re.fullmatch(r"\$(?:env:)?\w+", text):
            word = self._words(text)
            return f'[ -n "{word}" ] && [ "{word}" != false ] && [ "{word}" != 0 ]'
        found = re.fullmatch(
            r"""(?i)(\$(?:env:)?\w+|'[^']*'|"[^"]*"|\d+)\s+-(eq|ne|gt|lt|ge|le)\s+(\$\w+|'[^']*'|"[^"]*"|\d+)""", text
        )
        if found is None:
            return "command " + re.sub(r"[^\w .$-]", "", text)[:60].replace("$", "")
        sign = _TESTS[found[2].lower()]
        one, two = (self._words(side.strip("'\"")) for side in (found[1], found[3]))
        return f'[ "{one}" {sign} "{two}" ]'

    def _words(self, text: str) -> str:
        """Words of PowerShell as a shell has them."""
        text = _expressions(text)
        text = re.sub(r"""('[^'\n]*')|\\(?!")""", lambda m: m[1] or "\\\\", text).replace('`"', '\\"').replace("`$", "\0")
        text = re.sub(r"(?i)\$psscriptroot\b", ".", text)
        text = re.sub(r"(?i)\$(true|false)\b", lambda m: m[1].lower(), text)
        text = re.sub(r"(?i)\$\{?env:(\w+)\}?", lambda m: f"${{{m[1].upper()}}}", text)
        text = re.sub(r"\$\{?([A-Za-z_]\w*)\}?(?![\w(])", self._variable, text).replace("\0", "\\$")
        return re.sub(r"(?<!\S)@(\w+)", lambda m: f'"${{{m[1].upper()}[@]}}"', text)

    def _variable(self, found: re.Match[str]) -> str:
        name = found[1].upper()
        # An array is as many arguments as it holds.
        return f'"${{{name}[@]}}"' if name in self.arrays else f"${{{name}}}"

    def _line(self, at: int, end: int) -> int:
        stop = self.text.find("\n", at)
        return end if stop < 0 else stop

    def _statement_end(self, at: int, end: int) -> int:
        depth = 0
        for i, c in _unquoted(self.text, at, end):
            if c in "([{":
                depth += 1
            elif c in ")]}":
                if not depth:
                    return i
                depth -= 1
            elif c in "\n;" and not depth:
                return i
        return end

    def _closed(self, at: int, opens: str, closes: str) -> int:
        depth = 1
        for i, c in _unquoted(self.text, at, len(self.text)):
            if c == opens:
                depth += 1
            elif c == closes:
                depth -= 1
                if not depth:
                    return i
        raise FormatError(f"{opens} is not closed with {closes}", "close it, or give the engine's command alone")


_SUM = re.compile(r"(?i)(?:(?:\$(?:env:)?[a-z_]\w*|\d+(?:[kmg]b)?)(?!\w)|\$\{(?:env:)?\w+\}|\[u?int(?:32|64)?\]|[-+*/%()\s])+")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _sum(text: str) -> str | None:
    """An expression of whole numbers as a shell's arithmetic; None of any other (about_Arithmetic_Operators, about_Numeric_Literals)."""
    if not _SUM.fullmatch(text) or not re.search(r"[+*/%()\]-]|\d[kmg]b", text.lower()):
        return None
    text = re.sub(r"(?i)\[u?int(?:32|64)?\]", "", text)
    text = re.sub(r"(?i)\b(\d+)([kmg])b\b", lambda m: f"({m[1]}*{_UNITS[m[2].lower()]})", text)
    return f"$(({' '.join(text.split())}))"


def _joins(text: str) -> bool:
    """Whether a value is made of others by a sign that stands in no quotes."""
    bare = "".join(c for _, c in _unquoted(text, 0, len(text)))
    return re.search(r"\s[+*/%-]\s|\s-(?:f|join|split|replace)\s", bare) is not None


def _expressions(text: str) -> str:
    """A command's words with what stands in parentheses, or in `$(...)`, as one word each: a sum, or what PowerShell alone knows."""
    out, at, depth, start = list[str](), 0, 0, 0
    for i, c in _unquoted(text, 0, len(text)):
        if c == "(":
            if not depth:
                start = i
            depth += 1
        elif c == ")" and depth:
            depth -= 1
            opened = start - text[:start].endswith("$")
            if depth or (opened == start and start and not text[start - 1].isspace()):
                continue
            inner = text[start + 1 : i].strip()
            made = _sum(f"({inner})")
            out += [text[at:opened], made or f'"$({inner[:60].replace(chr(34), "").replace("$", "")})"']
            at = i + 1
    return "".join([*out, text[at:]])


def _unquoted(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Places and characters that stand in no quotes."""
    quote = ""
    for i in range(start, end):
        c = text[i]
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            yield i, c


def _split(text: str, sign: str) -> list[str]:
    """The parts between signs that stand in no quotes and no brackets, and lines, which part the items of an array too."""
    parts, start, depth = list[str](), 0, 0
    for i, c in _unquoted(text, 0, len(text)):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c in (sign, "\n") and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]
