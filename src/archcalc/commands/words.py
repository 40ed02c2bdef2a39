"""From what people have to an engine's command: arguments, a shell script, `docker run`, compose, a manifest, a Dockerfile, a Modelfile.

Nothing is run. What a shell would put in from elsewhere (`$MODEL`, the output of a command) is named instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from archcalc.commands import deployed, helm, pasted
from archcalc.commands.containers import Granted, of_cdi, of_compose, of_docker, of_kubernetes, shared
from archcalc.commands.shell import MOST_BYTES, Simple, Word, simple_commands
from archcalc.errors import FormatError, UsageError
from archcalc.records import NamedTuple

Engine = Literal["vllm", "sglang", "llama.cpp", "ollama", "mlx"]
NAMES: Mapping[Engine, str] = {"vllm": "vLLM", "sglang": "SGLang", "llama.cpp": "llama.cpp", "ollama": "Ollama", "mlx": "mlx-lm"}


class Command(NamedTuple):
    """An engine's command. `words` follow the program; `version` is what the image's tag says. `where` is the service or container.

    `unknown` names, for each word, what a shell would have put in and nothing here says; it is shorter than `words` where the rest is
    known. `granted` is how many GPUs its container gets, and the words that say so. `imaged` is whether an image of the engine's own runs
    it, with all that its publisher puts in, `tag` the image's tag where that names no release of the engine. `called` is the class of a
    program in Python that the command stands for. `files` are the files
    of variables that its container is given, as the flag or key and the name, which `filled` reads; `unread` what of variables is
    elsewhere. `notes` say what of it depends on a branch of its script. `pinned` is whether what installs the engine names the version.
    `written` are the files that its script itself writes, by their names.
    """

    engine: Engine
    program: str
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    version: str | None = None
    where: str = ""
    unknown: tuple[str, ...] = ()
    granted: Granted | None = None
    imaged: bool = False
    tag: str = ""
    called: str = ""
    files: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pinned: bool = False
    written: tuple[tuple[str, str], ...] = ()

    def refuse_unknown(self, at: int) -> None:
        """Raises `UsageError` if the word's value is not known."""
        what = self.unknown[at] if at < len(self.unknown) else ""
        if what and self.unread and _VARIABLE.fullmatch(what):
            raise UsageError(
                f"{what} stands for a value that is not known here, and {self.unread[0]}, which may set it, is not here",
                "put in its value, or have that file or map stand beside the command",
            )
        if what.startswith(("$(", "`")):
            raise UsageError(f"{what[:60]}: what that command prints is not known here", "put in what it would print")
        if what:
            shell = ", or let a shell expand it" if what.startswith("$") else ""
            raise UsageError(f"{what} stands for a value that is not known here", f"put in its value{shell}")


_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|\(([A-Za-z_]\w*)\)|([A-Za-z_]\w*))")
KNOWN = (
    "vllm serve, python -m vllm.entrypoints.openai.api_server, python -m sglang.launch_server, sglang serve, llama-server, llama-cli,"
    " llama-bench, ollama, mlx_lm.server"
)
# Programs of llama.cpp that load a model with its common arguments (common/arg.cpp `LLAMA_EXAMPLE_*`).
_LLAMA = re.compile(
    r"llama-(?:server|cli|bench|batched-bench|completion|run|simple|parallel|perplexity|mtmd-cli|embedding|speculative)$"
)
MODELFILE = "ollama create"
"""The program that a Modelfile is for, whose parameters are written as flags here."""
_MODULES: Mapping[str, tuple[Engine, str]] = {
    "vllm.entrypoints.openai.api_server": ("vllm", "vllm serve"),
    "vllm.entrypoints.api_server": ("vllm", "vllm serve"),
    "vllm.entrypoints.cli.main": ("vllm", "vllm"),
    "sglang.launch_server": ("sglang", "python -m sglang.launch_server"),
    "sglang.bench_one_batch": ("sglang", "python -m sglang.bench_one_batch"),
    "sglang.bench_offline_throughput": ("sglang", "python -m sglang.bench_offline_throughput"),
    "sglang.benchmark.one_batch": ("sglang", "python -m sglang.benchmark.one_batch"),
    "sglang.benchmark.offline_throughput": ("sglang", "python -m sglang.benchmark.offline_throughput"),
    "mlx_lm.server": ("mlx", "mlx_lm.server"),
    "mlx_lm.generate": ("mlx", "mlx_lm.generate"),
    "mlx_lm.chat": ("mlx", "mlx_lm.chat"),
    "mlx_lm": ("mlx", "mlx_lm"),
}
_VALUED = frozenset(
    "-v --volume -p --publish -e --env --env-file --gpus --name --ipc --shm-size --network --net --runtime --entrypoint --mount --device"
    " --group-add --security-opt --cap-add --restart -m --memory --cpus --cpuset-cpus -w --workdir -u --user --ulimit --add-host"
    " -h --hostname"
    " -l --label --log-opt --log-driver --pull --platform --tmpfs --pid --cpu-shares --memory-swap --expose --dns --userns --cgroupns --uts"
    " --health-cmd --health-interval --health-timeout --health-retries --health-start-period --stop-timeout --stop-signal --sysctl"
    " --annotation --cidfile --ip --link --volumes-from --storage-opt".split()
)
_TAG = re.compile(r"(?:^|[^0-9.])v?(\d+\.\d+(?:\.\d+)?(?:\.?(?:post|rc|dev)\d*)?)")


def of_arguments(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Command:
    """The command that stands in arguments, which a shell has already read. Raises `UsageError` if no engine's does."""
    plain, notes = pasted.plain(arguments)
    words = [Word(a, tuple(_written(a))) for a in plain]
    found = list(_of_simple(Simple(tuple(words), tuple((environment or {}).items())), {}))
    if not found and len(arguments) == 1 and re.search(r"\s", arguments[0].strip()):
        # A whole command in quotes.
        try:
            return of_text(arguments[0])
        except (UsageError, FormatError) as error:
            if "starts no engine" not in error.message:
                raise
    if not found:
        raise _unknown(arguments)
    return _pinned(found[0]._replace(notes=(*found[0].notes, *notes)), " ".join(arguments))


def of_text(text: str, name: str = "") -> Command:
    """The one command of a script, manifest, Dockerfile or Modelfile. Raises `UsageError` where there is none, or are several."""
    if len(text) > MOST_BYTES:
        raise FormatError(
            f"{name or 'the command'} holds more than {MOST_BYTES >> 20} MiB: no script or manifest", "give its lines alone"
        )
    if "\0" in text:
        raise FormatError(f"{name or 'the command'} is not text", "a shell script, a compose file or a manifest was expected")
    found = _with_server(list(_by_format(text, name)))
    different = list(dict.fromkeys((c.engine, c.program, c.words) for c in found))
    if not found:
        if (other := _other(" ".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))) is not None:
            raise other
        hint = f"known are {KNOWN}"
        if (of := _config_of(text)) is not None:
            hint = f"a file of an engine's flags is given to its command: -- {of} --config {name or 'FILE'}"
        raise UsageError(f"{name or 'the text'} starts no engine that is known here", hint)
    if len(different) > 1:
        where = [c.where or f"{c.program} {' '.join(c.words[:2])}".strip() for c in found]
        raise UsageError(
            f"{name or 'the text'} starts {len(different)} engines: {', '.join(dict.fromkeys(where))[:160]}",
            "give the command of one of them after --",
        )
    return _pinned(found[0], text)


_PIN = re.compile(r"(?<![\w./:-])(vllm|sglang|mlx[-_]lm)(?:\[[\w,\s-]*\])?\s*(?:===?|@(?!\s*(?:git|http)))\s*v?(\d+(?:\.\w+)+)")


_REQUIRED = re.compile(r"\w[\w.-]*(?:\[[\w,-]*\])?(?:[=<>~!]=?=?[\w.*+]+)?")
# What installs; and what only speaks of it.
_INSTALLS = re.compile(
    r"(?i)\b(?:pip\d?|uv|uvx|pipx|conda|mamba|micromamba|poetry|pixi|pdm|rye)\b|install|--with\b|--from\b|requirements|dependencies"
)
_SAYS = re.compile(r"(?i)\s*(?:#|//|@?(?:echo|printf|print|log\w*|rem|write-\w+|grep|if|assert|test|\[)\b)")
_MOST_INSTALLED = 4096
"""Characters of a line that installs something."""


def _installs(line: str) -> bool:
    """Whether a line installs something, or is one of requirements alone."""
    if len(line) > _MOST_INSTALLED or _SAYS.match(line) or "uninstall" in line:
        return False
    words = [word for word in re.split(r"[\s\"',()]+", line.strip(" -[]")) if word]
    return _INSTALLS.search(line) is not None or all(_REQUIRED.fullmatch(word) for word in words)


def _pinned(command: Command, text: str) -> Command:
    """The command with the version that what installs its engine names, where one is named, and no image says another."""
    if command.version is not None or command.tag:
        return command
    lines = [line for line in re.sub(r"\\[ \t]*\n", " ", text).splitlines() if _installs(line)]
    named = dict.fromkeys(m[2] for m in _PIN.finditer("\n".join(lines)) if re.split("[-_]", m[1])[0] == command.engine)
    if len(named) > 1:
        said = f"{NAMES[command.engine]} is installed as {' and as '.join(named)}: neither is taken, --engine-version says which"
        return command._replace(notes=(*command.notes, said))
    return command._replace(version=next(iter(named)), pinned=True) if named else command


def _with_server(found: list[Command]) -> list[Command]:
    """Ollama's server and the one model that its client asks it for, as one command: what the server's variables say holds for it."""
    servers = [c for c in found if c.program in ("ollama serve", "ollama start") and not c.words]
    clients = [c for c in found if c.program == "ollama run"]
    if len(servers) != 1 or len({c.words for c in clients}) != 1 or len(found) != len(clients) + 1:
        return found
    server = servers[0]
    return [
        clients[0]._replace(environment=server.environment, version=server.version, granted=server.granted, imaged=server.imaged)
    ]


def _config_of(text: str) -> str | None:
    """The command that a file of flags is the `--config` of, by the key that names the model; None where it is no such file."""
    if re.search(r"(?m)^model[-_]path\s*:\s*\S", text):
        return "python -m sglang.launch_server"
    return "vllm serve" if re.search(r"(?m)^model(?:[-_]tag)?\s*:\s*\S", text) else None


def _written(word: str) -> Iterator[str]:
    """Variables that a shell would have put in, in a word that comes without a shell; of a unit of systemd what that puts in."""
    if re.fullmatch(r"%[A-Za-z]", word):
        yield word
    for m in re.finditer(r"\$(?:\{([A-Za-z_]\w*)\}|\(?([A-Za-z_]\w*)\)?)", word):
        yield m[0]


def filled(command: Command, read: Callable[[str], str | None]) -> Command:
    """The command with the variables of its container's files, which stand behind those that it is given itself. `read` is a file's text,
    None of one that is not here, which is named as not read.

    Sources: docker/cli 27, opts/file.go (`--env-file`: lines of NAME=VALUE as they are); the Compose specification, 05-services.md
    `env_file` (values in quotes; of several files the last holds).
    """
    values: dict[str, str] = {}
    unread = list(command.unread)
    for kind, name in command.files:
        text = dict(command.written).get(_last(name)) or read(name)
        if text is None:
            unread.append(f"{kind} {name}")
            continue
        for line in text.splitlines():
            key, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and re.fullmatch(r"[A-Za-z_]\w*", key.strip()):
                value = value.strip()
                quoted = kind != "--env-file" and re.fullmatch(r"(['\"])(.*)\1(?:\s+#.*)?", value)
                values[key.strip()] = quoted[2] if quoted else value
    own = dict(command.environment)
    made = command._replace(environment=tuple({**values, **own}.items()), files=(), unread=tuple(dict.fromkeys(unread)))
    if not command.unknown or not values:
        return made
    # What a shell in the container, or Kubernetes, would put in.
    words = list(command.words)
    unknown = [*command.unknown, *[""] * (len(words) - len(command.unknown))]
    for i, what in enumerate(unknown):
        if what:
            words[i] = _VARIABLE.sub(lambda m: values.get(m[1] or m[2] or m[3], m[0]), words[i])
            unknown[i] = next(_written(words[i]), "") if _VARIABLE.fullmatch(what) else what
    return made._replace(words=tuple(words), unknown=tuple(unknown) if any(unknown) else ())


_OTHERS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"(^|\s)(transformers(-cli)?\s+(serve|chat|run)|transformers-cli)(\s|$)"),
        "transformers' server and chat",
        "without a command: archcalc fit MODEL --engine transformers --gpu GPU, for generate() with the same model, context and batch",
    ),
    (
        re.compile(r"(^|[\s/.])(ktransformers|kt(?=\s+(run|chat|serve))|local_chat\.py)([\s/.]|$)"),
        "KTransformers",
        "its experts on the CPU are SGLang's too: -- python -m sglang.launch_server --model-path MODEL --kt-weight-path DIR"
        " --kt-num-gpu-experts N, or llama.cpp's --n-cpu-moe N",
    ),
    (
        re.compile(r"(^|\s)llama_cpp\.server|(^|[\s/])koboldcpp(\.py)?(\s|$)|(^|[\s/])llamafile(\s|$)"),
        "this engine",
        "it is made of llama.cpp: -- llama-server -m FILE.gguf -c CONTEXT -ngl LAYERS asks the same of that",
    ),
    (
        re.compile(
            r"(^|[\s/])(text-generation-(launcher|inference)|trtllm-(serve|build)|tensorrt-llm|tritonserver|lmdeploy|aphrodite|tabbyapi"
            r"|exllamav[23]?|mlc_llm)([\s/:]|$)"
        ),
        "this engine",
        "archcalc fit MODEL --engine vllm --gpu GPU plans the same model for one whose rules are known",
    ),
)
"""Programs that serve models by rules that are not known here, what to call them, and what to ask instead."""


def _other(written: str) -> UsageError | None:
    """What to say of a program that serves models by rules that are not known here."""
    for pattern, what, instead in _OTHERS:
        if found := pattern.search(written):
            name = found[0].strip(" /.:") if what == "this engine" else what
            return UsageError(f"{name}: what its commands allocate is not known here", instead)
    return None


def _unknown(arguments: Sequence[str]) -> UsageError:
    shown = " ".join(arguments[:4])
    if (other := _other(" ".join(arguments)[:400])) is not None:
        return other
    if not arguments:
        return UsageError("no command stands after --", f"such as: -- vllm serve MODEL; known are {KNOWN}")
    return UsageError(f"{shown[:80]!r} is not the command of an engine that is known here", f"known are {KNOWN}")


# Formats


def _by_format(text: str, name: str) -> Iterator[Command]:
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    if base.endswith((".yaml", ".yml", ".json")) or _looks_like_yaml(text):
        documents = _yaml(text, name, base.endswith((".yaml", ".yml", ".json")))
        if documents is not None:
            maps = _maps(documents)
            for document in documents:
                yield from _manifest(document, maps)
            return
    if base.endswith((".service", ".container")) or re.search(r"(?m)^\[(Service|Container|program:[^\]]+)\]\s*$", text):
        yield from _unit(text)
        return
    if _is_modelfile(text, base):
        yield _modelfile(text)
        return
    if base.startswith(("dockerfile", "containerfile")) or (
        re.search(r"(?im)^FROM\s", text) and re.search(r"(?im)^(CMD|ENTRYPOINT)\b", text)
    ):
        yield from _dockerfile(text)
        return
    if base.endswith(".py") or (
        re.search(r"(?m)^\s*(?:from|import)\s+(?:vllm|sglang|modal|ray)\b", text)
        and not re.search(r"^#!.*sh\b|<<-?\s*['\"]?\w", text)
    ):
        yield from _python(text)
        return
    if not base.endswith(tuple(_SCRIPTS)) and len(blocks := pasted.fenced(text)) and not re.search(r"<<-?\s*['\"]?\w", text):
        for block in blocks:
            try:
                yield from list(_by_format(block, ""))
            except FormatError:
                # Of a page, most blocks are no commands.
                continue
        return
    if re.fullmatch(r"(gnu)?makefile|.*\.mk", base):
        text = _makefile(text)
    power, batch = base.endswith(".ps1"), base.endswith((".bat", ".cmd"))
    if not base.endswith(tuple(_SCRIPTS)):
        # Lines of Windows are continued otherwise.
        power, batch = re.search(r"`[ \t]*\n[ \t]*-", text) is not None, re.search(r"\^[ \t]*\n[ \t]*-", text) is not None
    notes: tuple[str, ...] = ()
    if power or batch:
        from archcalc.commands.windows import shell_of

        text = shell_of(text, power=power)
    else:
        text, notes = pasted.meant(text)
    found: list[Command] = []
    written: dict[str, str] = {}
    for simple in simple_commands(text, pasted.allocation(text)):
        if simple.stdin and (name := _writes(simple)):
            written[name] = simple.stdin
            continue
        first = simple.words[0].text if simple.words else ""
        if found and re.match(r"--?[A-Za-z]", first):
            said = " ".join(word.text for word in simple.words[:2])
            note = f"{said} stands on a line of its own, which a comment or a missing \\ parts from the command above: it is no part of it"
            found[-1] = found[-1]._replace(notes=(*found[-1].notes, note))
        found += _with_written(simple, written)
    if not found:
        # Of a file that others take functions from none is called in it.
        found = [command for simple in simple_commands(text, uncalled=True) for command in _noted(simple, {})]
    if not found:
        found = [command for name, held in written.items() for command in _by_format(held, name)]
    for command in found:
        yield command._replace(notes=(*notes, *command.notes), written=(*command.written, *written.items()))


_SCRIPTS = (".sh", ".bash", ".zsh", ".ksh", ".sbatch", ".slurm", ".bat", ".cmd", ".ps1", ".env")
_COMPOSE = re.compile(r"(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml")
_STARTS = frozenset("apply create up install replace deploy launch submit".split())


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _writes(simple: Simple) -> str:
    """The file that `cat` or `tee` writes what stands below it into; empty where there is none."""
    texts = [word.text for word in simple.words]
    program = next((_base(text) for text in texts if text not in ("sudo", "command")), "")
    if program == "tee":
        named = [text for text in texts[texts.index("tee") + 1 :] if not text.startswith("-")] if "tee" in texts else []
        return _last(named[0]) if named else ""
    return _last(simple.target) if program == "cat" and not simple.target.startswith("/dev/") else ""


def _with_written(simple: Simple, written: Mapping[str, str]) -> Iterator[Command]:
    """What a command starts, by a file that the script has written before where it runs one."""
    texts = [word.text for word in simple.words]
    first = _base(texts[0]) if texts else ""
    starts = bool({*texts[:4]} & _STARTS)
    if first in ("kubectl", "oc") and starts and simple.stdin:
        yield from _by_format(simple.stdin, "stdin.yaml")
        return
    for at, text in enumerate(texts):
        name = _last(text)
        if name not in written or (first in _SPEAKS and first not in ("source", ".")):
            continue
        if re.search(r"(?i)\.(?:ya?ml|json)$|^modelfile", name) or name.endswith(".py"):
            if starts or name.endswith(".py"):
                for command in _by_format(written[name], name):
                    yield command._replace(environment=(*simple.environment, *command.environment))
                return
            continue
        begin = at
        while begin and texts[begin - 1].startswith("-"):
            begin -= 1
        begin = begin - 1 if begin and (_base(texts[begin - 1]) in _SHELLS or texts[begin - 1] in ("source", ".")) else at
        words = (*simple.words[:begin], Word("bash"), Word("-c"), Word(written[name]), *simple.words[at + 1 :])
        yield from _noted(simple._replace(words=words, stdin=""), {})
        return
    if starts and any(_base(text) in ("compose", "docker-compose") for text in texts[:2]):
        for name in written:
            if _COMPOSE.fullmatch(name):
                yield from _by_format(written[name], name)
                return
    yield from _noted(simple, {})


def _makefile(text: str) -> str:
    """A makefile's variables and recipes as a shell has them (GNU make 4.4, "How to Use Variables")."""
    if len(text) > MOST_BYTES >> 4:
        raise FormatError(f"the makefile holds more than {MOST_BYTES >> 14} KiB", "give the engine's command alone")
    text = re.sub(
        r"(?m)^(?:export[ \t]+|override[ \t]+)?(\w+)[ \t]*(?:\?|:{1,3})?=[ \t]*(.*)$", lambda m: f'{m[1]}="{m[2].strip()}"', text
    )
    text = re.sub(r"(?m)^[\w.%/-]+[^\n=]*:(?!=)[^\n]*$", "", text)
    text = re.sub(r"(?m)^\t[@+-]*", "", text)
    return re.sub(r"\$[({](\w+)[)}]", r"${\1}", text.replace("$$", "\0")).replace("\0", "$")


def _unit(text: str) -> Iterator[Command]:
    """A unit of systemd, of Podman's Quadlet, or a program of Supervisor.

    Sources: systemd 257, systemd.exec(5) `Environment`, `EnvironmentFile`, systemd.service(5) `ExecStart` and "Command lines",
    systemd.unit(5) "Specifiers"; podman-systemd.unit(5), `[Container]`; Supervisor 4.3, "Configuration File", `[program:x]`.
    """
    environment: dict[str, str] = {}
    files: list[tuple[str, str]] = []
    starts: list[str] = []
    image, entry = "", ""
    for line in re.sub(r"\\[ \t]*\n(?:[ \t]*[#;][^\n]*\n)*", " ", text.replace("\r\n", "\n")).splitlines():
        key, equals, value = line.strip().partition("=")
        key, value = key.strip(), value.strip()
        if not equals or key[:1] in "#;":
            continue
        if key == "Environment":
            # An empty one takes back what stands before it.
            environment = {} if not value else environment
            for word in (word for each in simple_commands(f": {value.replace('$', chr(92) + '$')}") for word in each.words[1:]):
                name, _, held = word.text.partition("=")
                environment[name] = held
        elif key == "EnvironmentFile":
            files = [*files, (key, value.lstrip("-"))] if value else []
        elif key == "environment":
            environment |= {m[1]: m[2] or m[3] for m in re.finditer(r"(\w+)=(?:[\"']([^\"']*)[\"']|([^,]*))", value)}
        elif key in ("ExecStart", "Exec", "command"):
            starts = [*starts, value.lstrip("@-:+!|") if key == "ExecStart" else value] if value else []
        elif key == "Image":
            image = value
        elif key == "Entrypoint":
            entry = value
    for line in starts or [""]:
        words = [
            Word(word.text, tuple(re.findall(r"%[A-Za-z]", word.text)) or word.unknown)
            for each in simple_commands(line, environment)
            for word in each.words
        ]
        if image:
            made = _in_image(image, [Word(entry)] if entry else [], words, environment)
        else:
            made = _of_simple(Simple(tuple(words), tuple(environment.items())), {})
        for command in made:
            yield command._replace(files=(*command.files, *files))


def _looks_like_yaml(text: str) -> bool:
    return bool(
        re.search(
            r"(?m)^(services|apiVersion|kind|spec|containers|command|args|image|servingEngineSpec|modelArtifacts|decode|models|macros"
            r"|applications|processes|run|commands|envs|jobs):",
            text,
        )
    )


def _yaml(text: str, name: str, sure: bool) -> list[Any] | None:
    import yaml

    try:
        depth = most = events = 0
        for event in yaml.parse(text):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            most, events = max(most, depth), events + 1
            if most > 60 or (isinstance(event, yaml.AliasEvent) and events > 20000):
                raise FormatError(f"{name or 'the manifest'} nests too deep to read", "give its command alone")
        found = [d for d in yaml.safe_load_all(text) if isinstance(d, (dict, list))]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if not sure:
            return None
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        at = f" in line {line + 1}" if line is not None else ""
        raise FormatError(f"{name or 'the manifest'} is not YAML{at}", "mend it, or give its command after --") from error
    return found or (None if not sure else [])


def _maps(documents: Sequence[Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The variables of the ConfigMaps and Secrets that stand in the manifest itself, by kind and name."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for document in documents:
        listed = document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else None
        for one in listed if isinstance(listed, list) else [document]:
            if not isinstance(one, dict) or one.get("kind") not in ("ConfigMap", "Secret"):
                continue
            # A Secret's `data` is in base64; its `stringData` is not.
            data, named = one.get("data" if one["kind"] == "ConfigMap" else "stringData"), one.get("metadata")
            if isinstance(data, dict) and isinstance(named, dict):
                found[one["kind"], str(named.get("name"))] = data
    return found


_Maps = Mapping[tuple[str, str], Mapping[str, Any]]


def _manifest(document: Any, maps: _Maps, depth: int = 0, pods: int = 1) -> Iterator[Command]:
    """Compose services, and containers wherever a manifest has them. `pods` are those of one group that a LeaderWorkerSet makes."""
    if depth > 40:
        return
    if isinstance(document, list):
        for item in document:
            yield from _manifest(item, maps, depth + 1, pods)
    if not isinstance(document, dict):
        return
    # kubernetes-sigs/lws 0.7, api/leaderworkerset/v1/leaderworkerset_types.go: `size` pods, the leader among them.
    group = document.get("leaderWorkerTemplate")
    if isinstance(group, dict) and isinstance(group.get("size"), int):
        pods = group["size"]
        # The leader's is the command that serves; its workers' are the same with ranks of their own.
        document = {"leader": group.get("leaderTemplate") or group.get("workerTemplate")}
    if (service := deployed.started(document)) is not None:
        named = str((document.get("metadata") or {}).get("name") or "") if isinstance(document.get("metadata"), dict) else ""
        for command in _container(named, service.container, maps, compose=False):
            yield command._replace(notes=(*command.notes, *service.notes))
        return
    services = document.get("services")
    if isinstance(services, dict):
        for name, service in services.items():
            if isinstance(service, dict):
                yield from _container(str(name), service, maps, compose=True)
    yield from _shells(document)
    if isinstance(document.get("engine_kwargs"), dict):
        yield from _of_ray(document)
    for key, value in document.items():
        if key in ("containers", "initContainers") and isinstance(value, list):
            for container in value:
                if isinstance(container, dict):
                    yield from _container(str(container.get("name", "")), container, maps, compose=False, pods=pods)
        elif key == "modelSpec" and isinstance(value, list):
            for model in value:
                if isinstance(model, dict):
                    yield from _of_chart(model)
        elif key != "services":
            yield from _manifest(value, maps, depth + 1, pods)


def _shells(document: Mapping[str, Any]) -> Iterator[Command]:
    """Commands that a shell is given by a key of their own: `cmd` of llama-swap's models, with its macros; `run` of SkyPilot's tasks and
    of workflows, `commands` of dstack, `command` of a process, with the variables beside them.

    Sources: mostlygeek/llama-swap v176, config.example.yaml; SkyPilot 0.10, "Task YAML"; dstack 0.19, "Service" (`commands`, `env`);
    process-compose 1.6, "Configuration" (`processes`).
    """
    macros = document.get("macros")
    macros = {str(k): str(v) for k, v in macros.items()} if isinstance(macros, dict) else {}
    models = document.get("models") or document.get("processes")
    for name, model in models.items() if isinstance(models, dict) else ():
        line = model.get("cmd") or model.get("command") if isinstance(model, dict) else None
        if not isinstance(line, str):
            continue
        own = model.get("macros")
        held = {"MODEL_ID": str(name), **macros, **({str(k): str(v) for k, v in own.items()} if isinstance(own, dict) else {})}
        for _ in range(8):
            for macro, text in held.items():
                line = line.replace("${" + macro + "}", text)
            if len(line) > _MOST_LINE:
                raise FormatError(
                    f"{name}: its command is longer than {_MOST_LINE >> 10} kB with its macros put in", "give it alone"
                )
        # It is split into words, and lines are no ends of commands (llama-swap, proxy/config `SanitizeCommand`).
        line = " ".join(re.sub(r"(?m)^\s*#.*$|\\$", "", line).split("\n"))
        for simple in simple_commands(line, _beside(model)):
            for command in _noted(simple, _beside(model)):
                yield command._replace(where=str(name))
    for key in ("run", "commands", "script"):
        value = document.get(key)
        lines = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in lines):
            continue
        environment = _beside(document)
        for simple in simple_commands("\n".join(map(str, lines)), environment):
            for command in _noted(simple, environment):
                image = document.get("image")
                own = _image(image) if isinstance(image, str) else None
                yield command._replace(
                    version=command.version or (own[1] if own and own[0] == command.engine else None),
                    where=str(document.get("name") or ""),
                )


_MOST_LINE = 1 << 16


def _beside(document: Mapping[str, Any]) -> dict[str, str]:
    """The variables beside a command."""
    found: dict[str, str] = {}
    for key in ("envs", "env", "environment"):
        given = document.get(key)
        if isinstance(given, dict):
            found |= {str(k): str(v) for k, v in given.items() if v is not None}
        elif isinstance(given, list):
            found |= {k: v for k, equals, v in (str(each).partition("=") for each in given) if equals}
    return found


def _of_ray(config: Mapping[str, Any]) -> Iterator[Command]:
    """One of Ray Serve's `llm_configs`: what its engine is started with (ray 2.50, ray/llm/_internal/serve/core/configs/llm_config.py
    `LLMConfig`: `model_source` is what is loaded, `model_id` where none is given)."""
    import json

    loading = config.get("model_loading_config")
    loading = loading if isinstance(loading, dict) else {}
    source = loading.get("model_source") or loading.get("model_id")
    if isinstance(source, dict):
        source = source.get("bucket_uri")
    words = [] if source is None else [str(source)]
    for name, value in config["engine_kwargs"].items():
        flag = "--" + str(name).replace("_", "-")
        if value is True or value is False:
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value is not None:
            words += [flag, json.dumps(value) if isinstance(value, (dict, list)) else str(value)]
    variables = config.get("runtime_env")
    variables = variables.get("env_vars") if isinstance(variables, dict) else None
    environment = {str(k): str(v) for k, v in variables.items()} if isinstance(variables, dict) else {}
    made = [Word(word, tuple(_written(word))) for word in words]
    yield _made("vllm", "vllm serve", made, environment, None)._replace(
        where=str(loading.get("model_id") or ""), called="LLMConfig"
    )


def _of_chart(model: Mapping[str, Any]) -> Iterator[Command]:
    """One model in the values of vLLM's chart (vllm-project/production-stack a6c01db, helm/templates/deployment-vllm-multi.yaml)."""
    config = model.get("vllmConfig")
    config = config if isinstance(config, dict) else {}
    words = ["vllm", "serve", str(model.get("modelURL") or "")]
    words.append("--enable-prefix-caching" if config.get("enablePrefixCaching") else "--no-enable-prefix-caching")
    for key, flag in (
        ("maxModelLen", "--max-model-len"), ("dtype", "--dtype"), ("tensorParallelSize", "--tensor-parallel-size"),
        ("maxNumSeqs", "--max-num-seqs"), ("gpuMemoryUtilization", "--gpu-memory-utilization"),
    ):  # fmt: skip
        if key in config:
            words += [flag, str(config[key])]
    if "enableChunkedPrefill" in config:
        words.append("--enable-chunked-prefill" if config["enableChunkedPrefill"] else "--no-enable-chunked-prefill")
    extra = config.get("extraArgs")
    words += [str(word) for word in extra] if isinstance(extra, list) else []
    if model.get("modelRevision"):
        words += ["--revision", str(model["modelRevision"])]
    image = f"{model.get('repository') or 'vllm'}:{model.get('tag') or ''}"
    made = [Word(word, tuple(_written(word))) for word in words]
    gpus = model.get("requestGPU")
    granted = (int(gpus), f"requestGPU: {gpus}") if isinstance(gpus, int) and gpus > 0 else None
    for command in _in_image(image, made, [], {}):
        yield command._replace(where=str(model.get("name", "")), granted=granted)


def _env_files(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a service's `env_file`: a name, names, or records of a `path`."""
    given = service.get("env_file")
    for one in given if isinstance(given, list) else [given]:
        name = one.get("path") if isinstance(one, dict) else one
        if isinstance(name, str) and name:
            yield "env_file", name


_REFERENCES = {"configMapRef": "ConfigMap", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}


def _referred(container: Mapping[str, Any], maps: _Maps) -> tuple[dict[str, str], list[str]]:
    """The variables that a container takes from ConfigMaps and Secrets, and of those that are not in the manifest what names them.

    Source: Kubernetes 1.34, "Define container environment variables": `envFrom`, and `valueFrom` of one."""
    values: dict[str, str] = {}
    unread: list[str] = []

    def told(of: Any, key: str) -> Iterator[Mapping[str, Any]]:
        for reference, kind in _REFERENCES.items():
            named = of.get(reference) if isinstance(of, dict) else None
            if isinstance(named, dict) and reference.endswith("KeyRef") == bool(key):
                held = maps.get((kind, str(named.get("name"))))
                if held is not None and (not key or str(named.get("key")) in held):
                    yield {key: held[str(named.get("key"))]} if key else held
                elif not key or kind == "ConfigMap":
                    # One value of a Secret is a token of the Hub's.
                    unread.append(f"{'envFrom' if not key else key + ' of'} {reference} {named.get('name')}")

    sources, own = ([*of] if isinstance(of := container.get(key), list) else [] for key in ("envFrom", "env"))
    for source in sources:
        before = str(source.get("prefix") or "") if isinstance(source, dict) else ""
        for held in told(source, ""):
            values |= {before + str(k): str(v) for k, v in held.items()}
    for item in own:
        if isinstance(item, dict) and "valueFrom" in item:
            for held in told(item["valueFrom"], str(item.get("name"))):
                values |= {str(k): str(v) for k, v in held.items()}
    return values, unread


def _container(name: str, c: Mapping[str, Any], maps: _Maps, *, compose: bool, pods: int = 1) -> Iterator[Command]:
    environment, unread = ({}, []) if compose else _referred(c, maps)
    files = tuple(_env_files(c)) if compose else ()
    given = c.get("environment") if compose else c.get("env")
    if isinstance(given, dict):
        environment |= {str(k): "" if v is None else str(v) for k, v in given.items()}
    elif isinstance(given, list):
        for item in given:
            if isinstance(item, dict) and "name" in item and "value" in item:
                environment[str(item["name"])] = str(item["value"])
            elif isinstance(item, str) and "=" in item:
                key, _, value = item.partition("=")
                environment[key] = value
    head = _words_of(c.get("entrypoint") if compose else c.get("command"), environment, compose)
    rest = _words_of(c.get("command") if compose else c.get("args"), environment, compose)
    image = str(c.get("image") or "")
    if compose:
        image = "".join(w.text for w in _expanded(image, {}))
    granted = of_compose(c) if compose else of_kubernetes(c)
    if granted is not None and pods > 1:
        granted = granted[0] * pods, f"{granted[1]} in {pods} pods"
    if pods == 1 and shared(" ".join(word.text for word in (*head, *rest))):
        granted = None
    for command in _in_image(image, head, rest, environment):
        yield command._replace(where=name, granted=command.granted or granted, files=files, unread=tuple(unread))


def _words_of(value: Any, environment: Mapping[str, str], compose: bool) -> list[Word]:
    if value is None:
        return []
    if isinstance(value, str):
        # Compose reads a string as a shell does. A variable is the host's, and not the container's.
        return [w for s in simple_commands(value.replace("$$", "$"), {} if compose else environment) for w in s.words]
    if not isinstance(value, list):
        return []
    out = []
    for item in value:
        text = str(item).lower() if isinstance(item, bool) else str(item)
        if " " in text.strip() and text.lstrip().startswith("--") and "{" not in text:
            # A list item that holds a flag and its value reaches the engine as one word; everybody means two.
            out += [Word(w.text, w.unknown) for s in simple_commands(text, environment) for w in s.words]
        elif "\n" in text or "$" not in text:
            out.append(Word(text.replace("$$", "$") if compose else text))
        else:
            out += _expanded(text, {} if compose else environment)
    return out


def _expanded(text: str, environment: Mapping[str, str]) -> list[Word]:
    """Variables in a text that is one word."""
    quoted = '"' + text.replace("$$", "$").replace("\\", "\\\\").replace('"', '\\"') + '"'
    made = [w for s in simple_commands(quoted, environment) for w in s.words]
    return made or [Word("")]


_OF_MODELFILES = frozenset("PARAMETER ADAPTER TEMPLATE SYSTEM MESSAGE LICENSE REQUIRES PARSER RENDERER".split())


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """A Modelfile's instructions and their values, of which one in quotes may take several lines (Ollama, parser/parser.go `ParseFile`)."""
    held: list[str] = []
    key = quote = ""
    for line in text.splitlines():
        if quote:
            held.append(line)
            if line.rstrip().endswith(quote):
                yield key, "\n".join(held)
                quote = ""
            continue
        key, _, value = line.strip().partition(" ")
        key, value = key.upper(), value.strip()
        said = value.partition(" ")[2].strip() if key in ("MESSAGE", "PARAMETER") else value
        quote = next((q for q in ('"""', '"') if said.startswith(q)), "")
        if quote and said.endswith(quote) and len(said) >= 2 * len(quote):
            quote = ""
        held = [value]
        if not quote and key and key[0] != "#":
            yield key, value


def _is_modelfile(text: str, base: str) -> bool:
    if base.startswith("modelfile"):
        return True
    keys = {key for key, _ in _instructions(text)}
    return "FROM" in keys and bool(keys & _OF_MODELFILES) and not keys & {"RUN", "CMD", "ENTRYPOINT"}


def _modelfile(text: str) -> Command:
    """Ollama's: FROM names the model, PARAMETER sets what it is run with."""
    words: list[str] = []
    model = None
    for key, value in _instructions(text):
        if key == "FROM":
            model = value.strip('"')
        elif key == "ADAPTER":
            words += ["--adapter", value.strip('"')]
        elif key == "PARAMETER":
            name, _, given = value.partition(" ")
            words += [f"--{name}", given.strip().strip('"')]
    if not model:
        raise FormatError("the Modelfile names no model", "it needs a line: FROM the-model")
    # What is said of its server stands in comments: no instruction says it.
    server = re.search(r"(?m)^#\s*((?:OLLAMA_\w+=\S+\s+)+)ollama serve\b", text)
    return Command(
        "ollama",
        MODELFILE,
        (model, *words),
        tuple((k, v) for k, _, v in (e.partition("=") for e in server[1].split())) if server else (),
    )


def _dockerfile(text: str) -> Iterator[Command]:
    import json

    image, environment = "", dict[str, str]()
    entry: list[Word] = []
    command: list[Word] = []
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        key, _, value = line.strip().partition(" ")
        value = value.strip()
        key = key.upper()
        if key == "FROM":
            image = value.split()[0] if value else ""
        elif key in ("ENV", "ARG"):
            for simple in simple_commands(value):
                environment |= dict(simple.environment)
            if "=" not in value and " " in value:
                name, _, rest = value.partition(" ")
                environment[name] = rest.strip()
            for m in re.finditer(r"([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)", value):
                environment[m[1]] = m[2].strip("\"'")
        elif key in ("CMD", "ENTRYPOINT"):
            try:
                given = json.loads(value) if value.startswith("[") else None
            except ValueError:
                given = None
            if isinstance(given, list):
                made = [Word(str(w)) for w in given]
            else:
                made = [w for s in simple_commands(value, environment) for w in s.words]
            if key == "CMD":
                command = made
            else:
                entry, command = made, []
    yield from _in_image(image, entry, command, environment)


def _python(text: str) -> Iterator[Command]:
    """`LLM(...)` or `Engine(...)` in a program, each argument as the flag of its name."""
    import ast
    import json

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise FormatError("the program is not Python that can be read", "give the engine's command after --") from error
    names = _constants(tree)
    environment = tuple(_variables(tree, names))
    yield from _listed(tree, names, environment)
    for node in ast.walk(tree):
        name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else name
        engine: Engine | None = {"LLM": "vllm", "AsyncEngineArgs": "vllm", "EngineArgs": "vllm"}.get(name)  # type: ignore[assignment]
        if name == "Engine" and "sglang" in text:
            engine = "sglang"
        if name == "LLMConfig" and isinstance(node, ast.Call):
            given = {k.arg: _constant(k.value, names) for k in node.keywords if k.arg}
            kwargs = next((k.value for k in node.keywords if k.arg == "engine_kwargs"), None)
            if kwargs is not None and not isinstance(given["engine_kwargs"], dict):
                raise UsageError(
                    f"engine_kwargs={ast.unparse(kwargs)[:40]}: what it holds is not known here", "give vllm serve's command"
                )
            yield from _of_ray({"engine_kwargs": {}, **given})
        if engine is None or not isinstance(node, ast.Call):
            continue
        words: list[str] = []
        unknown: list[str] = []
        if node.args:
            words += ["--model-path" if engine == "sglang" else "--model", str(_literal(node.args[0], names, unknown, 1))]
        for keyword in node.keywords:
            unknown += [""] * (len(words) - len(unknown))
            if keyword.arg is None:
                raise UsageError(
                    f"**{ast.unparse(keyword.value)[:40]}: what it holds is not known here", "give the engine's command after --"
                )
            flag = "--" + keyword.arg.replace("_", "-")
            value = _literal(keyword.value, names, unknown, len(words) + 1)
            if value is None:
                continue
            if value is True:
                words.append(flag)
            elif value is False:
                words.append(flag.replace("--", "--no-", 1))
            elif isinstance(value, (dict, list, tuple)):
                words += [flag, json.dumps(value)]
            else:
                words += [flag, str(value)]
        program = "LLM" if name == "LLM" else "vllm serve" if engine == "vllm" else "python -m sglang.launch_server"
        made = Command(engine, program, tuple(words), environment, unknown=tuple(unknown), called=name)
        yield made if program == "LLM" else _model_first(made)


_MOST_STATEMENTS = 100
"""A list of words grows in the lines behind it."""


def _listed(tree: Any, names: Mapping[str, Any], environment: tuple[tuple[str, str], ...]) -> Iterator[Command]:
    """A command that a program writes as a list of words, or as one text, for `subprocess` and the like.

    Raises `UsageError` where it grows in a branch that nothing here decides."""
    import ast

    def words_of(node: Any) -> list[Word]:
        made: list[Word] = []
        for each in node.elts:
            if isinstance(each, ast.Starred):
                held = _constant(each.value, names)
                if not isinstance(held, (list, tuple)):
                    raise UsageError(
                        f"*{ast.unparse(each.value)[:40]}: what it holds is not known here", "give the engine's command"
                    )
                made += [Word(str(word)) for word in held]
                continue
            found = _constant(each, names)
            known = found is not _UNKNOWN
            made.append(Word(str(found)) if known else Word("$?", (ast.unparse(each)[:60],)))
        return made

    def grows(statement: Any, name: str) -> Any:
        """What a statement puts behind a list of this name."""
        match statement:
            case ast.AugAssign(target=ast.Name(id=held), op=ast.Add(), value=ast.List() as more) if held == name:
                return more
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=held), attr="extend"), args=[ast.List() as more])
            ) if held == name:
                return more
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=held), attr="append"), args=[one])) if held == name:
                return ast.List(elts=[one], ctx=ast.Load())
        return None

    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        body = body if isinstance(body, list) else []
        for at, statement in enumerate(body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.With, ast.For, ast.Try)):
                continue
            for inner in ast.walk(statement):
                text = inner.value if isinstance(inner, ast.Constant) else None
                if isinstance(inner, ast.JoinedStr):
                    text = _constant(inner, names)
                if isinstance(text, str) and " " in text and isinstance(inner, (ast.Constant, ast.JoinedStr)):
                    if re.search(r"\b(?:vllm serve|sglang\.launch_server|llama-server|vllm\.entrypoints)\b.* -", text):
                        for simple in simple_commands(text):
                            yield from _noted(simple, dict(environment))
                    continue
                if not isinstance(inner, ast.List) or len(inner.elts) < 2:
                    continue
                words = words_of(inner) if any(isinstance(each, ast.Constant) for each in inner.elts) else []
                if not any(_program([w.text for w in words], i) for i in range(min(len(words), 6))):
                    continue
                match statement:
                    case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                        for later in body[at + 1 : at + 1 + _MOST_STATEMENTS]:
                            if (more := grows(later, name)) is not None:
                                words += words_of(more)
                            elif isinstance(later, ast.If):
                                held = _constant(later.test, names)
                                taken = later.body if held else later.orelse
                                added = [each for one in ast.walk(later) if (each := grows(one, name)) is not None]
                                if held is _UNKNOWN and added:
                                    raise UsageError(
                                        f"if {ast.unparse(later.test)[:40]}: whether {ast.unparse(added[0])[:60]} is in the command is not"
                                        " known here",
                                        "give the engine's command after --",
                                    )
                                for one in taken if added else ():
                                    if (more := grows(one, name)) is not None:
                                        words += words_of(more)
                yield from _of_simple(Simple(tuple(words), environment), {})


def _variables(tree: Any, names: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a program puts into `os.environ`."""
    import ast

    def of_os(node: Any) -> bool:
        return (isinstance(node, ast.Attribute) and node.attr == "environ") or (isinstance(node, ast.Name) and node.id == "environ")

    for node in ast.walk(tree):
        key = value = None
        match node:
            case ast.Assign(targets=[ast.Subscript(value=held, slice=key_), *_], value=value_) if of_os(held):
                key, value = key_, value_
            case ast.Call(func=ast.Attribute(value=held, attr="setdefault"), args=[key_, value_]) if of_os(held):
                key, value = key_, value_
            case ast.Call(func=ast.Attribute(value=held, attr="update"), args=[ast.Dict(keys=keys, values=values)]) if of_os(held):
                for each, given in zip(keys, values, strict=True):
                    name, text = _constant(each, names), _constant(given, names)
                    if isinstance(name, str) and isinstance(text, str):
                        yield name, text
        if key is not None:
            name, text = _constant(key, names), _constant(value, names)
            if isinstance(name, str) and isinstance(text, str):
                yield name, text


def _constants(tree: Any) -> dict[str, Any]:
    """The names that a program gives one value, and no other; sums of whole numbers and of other names are read too."""
    import ast

    given: dict[str, list[Any]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value):
                given.setdefault(name, []).append(value)
            case ast.Name(id=name, ctx=ast.Store()):
                given.setdefault(name, [])
            case ast.AugAssign(target=ast.Name(id=name)) | ast.arg(arg=name):
                given.setdefault(name, []).append(None)
    names: dict[str, Any] = {}
    for _ in range(4):
        for name, values in given.items():
            if len(values) == 1 and values[0] is not None and name not in names:
                found = _constant(values[0], names)
                if found is not _UNKNOWN:
                    names[name] = found
    return names


_UNKNOWN: Any = object()


def _constant(node: Any, names: Mapping[str, Any]) -> Any:
    import ast

    from archcalc.commands import arithmetic

    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    match node:
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Call(func=ast.Name(id="str" | "int" as kind), args=[inner]):
            value = _constant(inner, names)
            return _UNKNOWN if isinstance(value, (dict, list)) or value is _UNKNOWN else str(value) if kind == "str" else value
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            held = {k.arg: _constant(k.value, names) for k in keywords}
            return _UNKNOWN if _UNKNOWN in held.values() else held
        case ast.Dict(keys=keys, values=values):
            pairs = [(_constant(k, names), _constant(v, names)) for k, v in zip(keys, values, strict=True) if k is not None]
            known = len(pairs) == len(keys) and not any(_UNKNOWN in pair for pair in pairs)
            return dict(pairs) if known else _UNKNOWN
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            items = [_constant(each, names) for each in elements]
            return _UNKNOWN if _UNKNOWN in items else items
        case ast.IfExp(test=test, body=one, orelse=other):
            value = _constant(test, names)
            return _UNKNOWN if value is _UNKNOWN else _constant(one if value else other, names)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            value = _constant(inner, names)
            return _UNKNOWN if value is _UNKNOWN else not value
        case ast.JoinedStr(values=pieces):
            texts = [_constant(p.value if isinstance(p, ast.FormattedValue) else p, names) for p in pieces]
            return _UNKNOWN if any(not isinstance(t, (str, int, float)) for t in texts) else "".join(map(str, texts))
        case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[_, default]) if re.search(
            r"\benv|getenv", ast.unparse(node)
        ):
            # A variable of the environment, with its default.
            return _constant(default, names)
    found = arithmetic.of(node, names.get)
    return _UNKNOWN if found is None else found


def _literal(node: Any, names: Mapping[str, Any], unknown: list[str], at: int) -> Any:
    import ast

    found = _constant(node, names)
    if found is not _UNKNOWN:
        return found
    unknown += [""] * (at - len(unknown)) + [ast.unparse(node)[:60]]
    return "$?"


# Commands


def _noted(simple: Simple, outer: dict[str, str]) -> Iterator[Command]:
    """The engine that one command starts, with what of it depends on branches of the script."""
    for command in _of_simple(simple, outer):
        yield command._replace(notes=tuple(dict.fromkeys((*simple.notes, *command.notes))))


def _of_simple(simple: Simple, outer: dict[str, str]) -> Iterator[Command]:
    """The engine that one command starts, if it starts one."""
    environment = {**outer, **dict(simple.environment)}
    words = list(simple.words)
    texts = [w.text for w in words]
    if texts and _base(texts[0]) in _SPEAKS:
        return
    python = next((i for i, text in enumerate(texts) if re.fullmatch(r"python[\d.]*", _base(text))), None)
    program = simple.stdin if python is not None else ""
    if python is not None and "-c" in texts[python:-1]:
        program = texts[texts.index("-c", python) + 1]
    if re.search(r"\b(?:LLM|Engine|EngineArgs|AsyncEngineArgs|LLMConfig)\(", program):
        for command in _python(program):
            yield command._replace(environment=(*environment.items(), *command.environment))
        return
    if simple.stdin and any(_base(text) in _SHELLS for text in texts):
        # What a shell, here or elsewhere, is given to run.
        for each in simple_commands(simple.stdin, environment):
            yield from _noted(each, dict(environment))
        return
    for i, text in enumerate(texts):
        base = _base(text)
        if base in ("apptainer", "singularity") and {*texts[i + 1 : i + 3]} & {"exec", "run"}:
            yield from _apptainer(words[i + 1 :], environment)
            return
        if base in ("kubectl", "oc") and "run" in texts[i + 1 : i + 4] and "--" in texts:
            image = next(_valued(texts, "--image"), "")
            inside = dict(each.partition("=")[::2] for each in _valued(texts, "--env"))
            rest = words[texts.index("--") + 1 :]
            yield from _in_image(image, rest if "--command" in texts else [], [] if "--command" in texts else rest, inside)
            return
        if base == "helm" and not i and (document := helm.values(texts[1:])) is not None:
            yield from _manifest(document, {})
            return
        if base in ("docker", "podman", "nerdctl") and "run" in texts[i + 1 : i + 3]:
            yield from _docker(words[texts.index("run", i) + 1 :], environment)
            return
        if base in ("sh", "bash", "zsh", "dash") and i + 1 < len(texts):
            j = next((k for k in range(i + 1, len(texts)) if not texts[k].startswith("-")), None)
            if j is not None and any(re.fullmatch(r"-[a-z]*c[a-z]*", t) for t in texts[i + 1 : j]):
                inner = words[j]
                nested = dict(environment)
                for each in simple_commands(inner.text, {**pasted.allocation(inner.text), **environment}):
                    yield from _noted(each, nested)
                return
        found = _program(texts, i)
        if found is not None:
            engine, program, skip = found
            if re.match(r"[A-Za-z_]\w*=", texts[0]):
                for assignment in texts[:i]:
                    key, equals, value = assignment.partition("=")
                    if equals and key.isidentifier():
                        environment[key] = value
            held = next((_image(v) for v in _valued(texts[:i], "--container-image", "--image")), None)
            version = held[1] if held and held[0] == engine else None
            made = _made(engine, program, words[i + skip :], environment, version)
            yield made if base == "vllm" else _model_first(made)
            return
        if re.match(r"[A-Za-z_]\w*=(?!=)", text):
            key, _, value = text.partition("=")
            environment[key] = value
    if texts and _base(texts[0]) == "ollama":
        return
    if any(_base(text) in _WRAPPERS for text in texts):
        # A command in one word, which what it is given to hands to a shell.
        for word in words:
            if " " in word.text.strip():
                nested = dict(environment)
                # `screen -X stuff` writes the end of a line so.
                for each in simple_commands(word.text.removesuffix("\\n"), environment):
                    yield from _noted(each, nested)


_SHELLS = frozenset("sh bash zsh dash ssh sbatch qsub bsub".split())
_SPEAKS = frozenset(
    "chmod chown scp rsync"
    " echo printf grep egrep pgrep pkill killall which type man alias unalias git pip pip3 cd ls cat tail head sed awk rm cp mv mkdir touch"
    " curl wget kill source . trap read sleep log info warn error print say whereis complete logger".split()
)
"""Commands whose words are no command that runs."""
_WRAPPERS = frozenset(
    "tmux screen ssh su runuser watch script parallel xterm gnome-terminal konsole wezterm kitty systemd-run wsl cmd cmd.exe powershell"
    " pwsh srun sbatch flux bsub qsub mpirun at eval sg newgrp nix-shell distrobox toolbox".split()
)
"""Commands that take another one as one word."""


def _valued(texts: Sequence[str], *flags: str) -> Iterator[str]:
    """The values of flags among words."""
    for i, text in enumerate(texts):
        name, equals, value = text.partition("=")
        if name in flags:
            yield value if equals else texts[i + 1] if i + 1 < len(texts) else ""


_OF_APPTAINER = frozenset(
    "--bind -B --env --env-file --home -H --pwd --cwd --workdir -W --scratch -S --overlay -o --network --hostname --nvccli-path --security"
    " --app --mount --memory --cpus".split()
)


def _apptainer(words: Sequence[Word], environment: Mapping[str, str]) -> Iterator[Command]:
    """`apptainer exec` and `run`: an image by its address, or a file whose name has its tag (Apptainer 1.4, "Build", `pull`:
    NAME_TAG.sif). A container has the variables of the host."""
    inside, files = dict(environment), list[tuple[str, str]]()
    i = next(i for i, word in enumerate(words) if word.text in ("exec", "run")) + 1
    runs = words[i - 1].text == "run"
    while i < len(words) and words[i].text.startswith("-"):
        flag, equals, value = words[i].text.partition("=")
        if not equals and flag in _OF_APPTAINER:
            i += 1
            value = words[i].text if i < len(words) else ""
        if flag == "--env":
            # pflag 1.0, string_to_string.go: commas part pairs where there is more than one.
            inside |= dict(each.partition("=")[::2] for each in (value.split(",") if value.count("=") > 1 else [value]))
        elif flag == "--env-file":
            files.append((flag, value))
        i += 1
    if i >= len(words):
        return
    image = re.sub(r"^[a-z-]+://", "", words[i].text)
    if image.endswith(".sif"):
        image = re.sub(r"_(?=[^_/]*$)", ":", image.rpartition("/")[2].removesuffix(".sif"))
    rest = list(words[i + 1 :])
    for command in _in_image(image, [] if runs else rest, rest if runs else [], inside):
        yield command._replace(files=tuple(files))


_TEMPLATED = re.compile(r"^(?:--[\w-]+=)?(\{\{[^{}]*\}\})")


def _made(engine: Engine, program: str, rest: Iterable[Word], environment: Mapping[str, str], version: str | None) -> Command:
    rest = list(rest)
    # What a template puts in (`{{ .Values.model }}`) is as little known as what a shell does.
    unknown = tuple(w.unknown[0] if w.unknown else next(iter(_TEMPLATED.findall(w.text)), "") for w in rest)
    return Command(
        engine, program, tuple(w.text for w in rest), tuple(environment.items()), version, "", unknown if any(unknown) else ()
    )


def _model_first(command: Command) -> Command:
    """vLLM's server as a module, an image or a record of arguments takes `--model`; `vllm serve` has it in front."""
    words = command.words
    if command.program != "vllm serve" or not words or not words[0].startswith("-"):
        return command
    at = next((i for i, word in enumerate(words) if word.partition("=")[0] == "--model"), None)
    if at is None:
        return command
    taken = 1 if "=" in words[at] else 2
    if at + taken > len(words):
        return command
    order = [at + taken - 1, *(i for i in range(len(words)) if not at <= i < at + taken)]
    unknown = [*command.unknown, *[""] * (len(words) - len(command.unknown))]
    moved = [words[i].partition("=")[2] if i == at and taken == 1 else words[i] for i in order]
    return command._replace(words=tuple(moved), unknown=tuple(unknown[i] for i in order) if any(unknown) else ())


def _base(text: str) -> str:
    return text.replace("\\", "/").rpartition("/")[2].removesuffix(".exe").lower()


def _program(texts: Sequence[str], i: int) -> tuple[Engine, str, int] | None:
    """The engine whose program stands at `i`, what it is called, and how many words that takes."""
    base, following = _base(texts[i]), texts[i + 1] if i + 1 < len(texts) else ""
    if i and _base(texts[i - 1]) in ("uvx", "run", "x", "pipx"):
        # The package and its version name the program: `uvx vllm@0.9.2 serve`.
        base = re.sub(r"(?:\[[^\]]*\])?(?:@|==).*$", "", texts[i])
    if texts[i] == "-m" and following in _MODULES:
        engine, program = _MODULES[following]
        if program in ("vllm", "mlx_lm"):
            inner = _subcommand(engine, texts, i + 2)
            return (engine, inner, 3) if inner else None
        return engine, program, 2
    if base == "vllm":
        inner = _subcommand("vllm", texts, i + 1)
        return ("vllm", inner, 3 if inner.startswith("vllm bench") else 2) if inner else None
    if base == "sglang" and following == "serve":
        return "sglang", "sglang serve", 2
    if base in ("launch_server.py", "api_server.py"):
        return ("sglang", "python -m sglang.launch_server", 1) if base == "launch_server.py" else ("vllm", "vllm serve", 1)
    if _LLAMA.fullmatch(base):
        return "llama.cpp", base, 1
    if base == "ollama" and following in ("run", "serve", "start", "create"):
        return "ollama", f"ollama {following}", 2
    if base.startswith("mlx_lm"):
        if base in ("mlx_lm.server", "mlx_lm.generate", "mlx_lm.chat"):
            return "mlx", base, 1
        if following in ("server", "generate", "chat"):
            return "mlx", f"mlx_lm.{following}", 2
    return None


def _subcommand(engine: Engine, texts: Sequence[str], at: int) -> str:
    following = texts[at] if at < len(texts) else ""
    if engine == "mlx":
        return f"mlx_lm.{following}" if following in ("server", "generate", "chat") else ""
    if following == "serve":
        return "vllm serve"
    if following == "bench" and at + 1 < len(texts) and texts[at + 1] in ("latency", "throughput"):
        return f"vllm bench {texts[at + 1]}"
    return ""


def _docker(words: Sequence[Word], environment: Mapping[str, str]) -> Iterator[Command]:
    entry: list[Word] = []
    inside: dict[str, str] = {}
    gpus, devices, files = "", list[str](), list[tuple[str, str]]()
    i = 0
    while i < len(words) and words[i].text.startswith("-"):
        flag, equals, value = words[i].text.partition("=")
        takes = not equals and (flag in _VALUED)
        if takes:
            i += 1
            value = words[i].text if i < len(words) else ""
        if flag in ("-e", "--env"):
            key, given, held = value.partition("=")
            inside[key] = held if given else environment.get(key, "")
        elif flag.startswith("-e") and len(flag) > 2 and not flag.startswith("--"):
            key, _, held = words[i].text[2:].partition("=")
            inside[key] = held
        elif flag == "--env-file":
            files.append((flag, value))
        elif flag == "--gpus":
            gpus = value
        elif flag == "--device":
            devices.append(value)
        elif flag == "--entrypoint":
            entry = [Word(t.text, t.unknown) for s in simple_commands(value) for t in s.words]
        i += 1
    if i >= len(words):
        return
    granted = of_cdi(devices)
    if gpus:
        if re.fullmatch(r"device=[^\",]+(?:,[^\",=]+)+", gpus.strip()):
            ids = gpus.strip().partition("=")[2]
            raise UsageError(
                f"--gpus {gpus}: Docker takes the comma for the end of device=, and does not start",
                f"quote it for Docker too: --gpus '\"device={ids}\"'",
            )
        count = of_docker(gpus)
        granted = None if count is None else (count, f"--gpus {gpus}")
        # What --gpus says stands over the variable (docker/cli 27; moby 27, daemon/nvidia_linux.go).
        inside.pop("NVIDIA_VISIBLE_DEVICES", None)
    for command in _in_image(words[i].text, entry, list(words[i + 1 :]), inside):
        joined = shared(" ".join(word.text for word in words[i:]))
        yield command._replace(granted=None if joined else command.granted or granted, files=tuple(files))


def _in_image(image: str, entry: Sequence[Word], rest: Sequence[Word], environment: Mapping[str, str]) -> Iterator[Command]:
    """What a container starts: its own command if that is an engine's, else the image's with these arguments."""
    engine, version, program = _image(image)
    tag = ""
    if version is not None and engine in _RELEASES_BEGIN and not version.startswith("0."):
        # Its publisher numbers images by itself.
        tag = image.rpartition(":")[2]
        version = _NVIDIA.get(version) if engine == "vllm" and "nvcr.io/nvidia/" in image else None
        tag = "" if version else tag
    found = list(_of_simple(Simple((*entry, *rest), tuple(environment.items())), {}))
    if found:
        for command in found:
            own = engine == command.engine
            yield command._replace(
                version=command.version or (version if own else None), imaged=command.imaged or own, tag=command.tag or tag
            )
        return
    if engine is None or (entry and not entry[0].text.startswith("-")):
        return
    words = [*entry, *rest]
    if engine == "llama.cpp" and words and words[0].text in ("--server", "-s", "--run", "-r"):
        program, words = ("llama-server" if "s" in words[0].text[:4] and words[0].text != "--run" else "llama-cli"), words[1:]
    if engine == "ollama" and words and words[0].text in ("serve", "run"):
        program, words = f"ollama {words[0].text}", words[1:]
    if engine == "vllm" and words and words[0].text == "serve":
        words = words[1:]
    if words and not program:
        return
    yield _model_first(_made(engine, program, words, environment, version))._replace(imaged=True, tag=tag)


_RELEASES_BEGIN = frozenset({"vllm", "sglang"})
"""Engines of which every release so far begins with 0."""
_NVIDIA = {"25.10": "0.10.2", "26.01": "0.11.1", "26.03": "0.17.1", "26.05": "0.20.1", "26.10": "0.31.0"}
"""The vLLM of NVIDIA's images by their release, as its release notes list it (docs.nvidia.com, vLLM Release Notes, rel-25-10 and on)."""


def _image(image: str) -> tuple[Engine | None, str | None, str]:
    """The engine of an image, the version that its tag states, and the program it starts by itself."""
    path = image.partition("@")[0].lower()
    name, _, tag = path.rpartition(":") if ":" in path.rpartition("/")[2] else (path, "", "")
    engine: Engine | None = None
    program = ""
    if "vllm" in name:
        engine, program = "vllm", "vllm serve"
    elif "sglang" in name:
        engine, program = "sglang", ""
    elif "llama.cpp" in name or "llamacpp" in name or "llama-cpp" in name:
        engine, program = "llama.cpp", "llama-cli" if tag.startswith("light") else "llama-server"
        build = re.search(r"\bb(\d{4,6})\b", tag)
        return engine, f"b{build[1]}" if build else None, program
    elif "ollama" in name:
        engine, program = "ollama", "ollama serve"
    version = _TAG.search(tag)
    # Tags of ROCm's images hold the versions of everything: vLLM's stands behind its name.
    if engine == "vllm" and "rocm" in path:
        version = re.search(r"vllm_?v?(\d+\.\d+(?:\.\d+)?)", tag)
    return engine, version[1] if version and engine else None, program
