"""Files that deploy a plan: what is written to start its command elsewhere, one module for each kind of file.

`Deployment` is what all of them are made of: the command's words, the image and its release, the GPUs, and how long the load may take.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from archcalc.errors import UnsupportedError, UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device, GpuSpec
    from archcalc.model import Architecture
    from archcalc.report import FitReport


class Kind(NamedTuple):
    """A kind of file: its module, the engines that it starts (the first where none is named), whether it runs in containers, and on
    several machines."""

    module: str
    engines: tuple[str, ...]
    contained: bool = True
    nodes: bool = False


KINDS = {
    "compose": Kind("compose", ("vllm", "sglang", "llama.cpp")),
    "k8s": Kind("k8s", ("vllm", "sglang", "llama.cpp"), nodes=True),
    "helm": Kind("helm", ("vllm",)),
    "slurm": Kind("slurm", ("vllm", "sglang", "llama.cpp"), nodes=True),
    "llm-d": Kind("llmd", ("vllm",)),
    "modelfile": Kind("modelfile", ("llama.cpp",), False),
    "lmstudio": Kind("lmstudio", ("llama.cpp",), False),
    "mlx": Kind("mlx", ("mlx",), False),
}
"""What `archcalc fit --emit` writes."""

RATE = 100_000_000
"""Bytes a second that weights are taken to come with where they are not there yet, a slow network: an allowance of ours."""
LOAD_S = 600
"""Seconds that an engine is given to load, compile and capture its graphs, beside the time that the weights take to come."""


RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/xe"}
"""What Kubernetes' device plugins call a vendor's GPUs."""


class Program(NamedTuple):
    """How an engine is started in a container: its port, what has it listen to others, its images by the GPU's vendor, and what its
    program is called in them, where that differs."""

    port: int
    listens: tuple[str, ...]
    images: dict[str, str]
    binary: str = ""


PROGRAMS = {
    # vLLM: docs/deployment/docker.md; without --host it listens on all addresses (0.33, entrypoints/launcher.py). ROCm's image is
    # vllm-openai-rocm (docs/getting_started/installation/gpu.rocm.inc.md).
    "vllm": Program(8000, (), {"nvidia": "vllm/vllm-openai:v{version}", "amd": "vllm/vllm-openai-rocm:v{version}"}),
    # SGLang 0.5.23: docs/get_started/install.md, srt/server_args.py (host 127.0.0.1, port 30000).
    "sglang": Program(30000, ("--host", "0.0.0.0"), {"nvidia": "lmsysorg/sglang:v{version}"}, "python3"),
    # llama.cpp 0c1e57098: docs/docker.md, common/common.h (hostname 127.0.0.1, port 8080); the image of a build has its tag behind its own
    # (.github/workflows/docker.yml, `merge_arch_tags`).
    "llama.cpp": Program(
        8080,
        ("--host", "0.0.0.0"),
        {
            vendor: f"ghcr.io/ggml-org/llama.cpp:server-{name}{{version}}"
            for vendor, name in (("nvidia", "cuda"), ("amd", "rocm"), ("intel", "intel"))
        },
        "/app/llama-server",
    ),
}


_OF_NODES = ("--nnodes", "--node-rank", "--master-addr", "--dist-init-addr")


class Deployment(NamedTuple):
    """A plan as it is deployed.

    `words` are the program's and then its arguments, which listen on `port` of all addresses; `arguments` those alone. `source` is the
    repository of what was judged, `gpus` those of each of `nodes` machines, `path` the file or folder of the host that is loaded, None
    for a model of the Hub. `weights_bytes` are all that is downloaded. `gpu_layers` of `layers` are on the GPUs, the head counting as one;
    None for all.
    `passed` are flags of the command that no memory follows from, `environment` the variables that it is started with. `beside` are the
    host's files and folders that other flags name: drafts, adapters, projectors, templates.
    """

    name: str
    source: str
    model: str
    words: tuple[str, ...]
    program: int
    image: str
    release: str
    port: int
    gpus: int
    nodes: int
    vendor: str
    path: str | None
    weights_bytes: int
    context_tokens: int
    quant: str
    head: tuple[str, ...]
    kv_dtype: str = ""
    concurrency: int = 1
    gpu_layers: int | None = None
    layers: int = 0
    passed: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The host's folders that what is loaded lies in, without those within another."""
        found = dict.fromkeys(_folder(path) for path in ((self.path, *self.files) if self.path else self.files))
        return tuple(one for one in found if not any(one != other and one.startswith(f"{other}/") for other in found))

    @property
    def command(self) -> list[str]:
        return list(self.words[: self.program])

    @property
    def arguments(self) -> list[str]:
        return list(self.words[self.program :])

    @property
    def alone(self) -> tuple[str, ...]:
        """The words without what differs between machines."""
        out: list[str] = []
        skip = False
        for word in self.words:
            if not skip and word not in (*_OF_NODES, "--headless"):
                out.append(word)
            skip = not skip and word in _OF_NODES
        return tuple(out)

    @property
    def start_s(self) -> int:
        """How many seconds the first start may take."""
        return LOAD_S + -(-self.weights_bytes // RATE)

    @property
    def gated(self) -> bool:
        """Whether a token of the Hub may be needed."""
        return self.path is None

    @property
    def token_note(self) -> str:
        """A comment on how to make the secret that a gated model needs; empty where nothing comes from the Hub."""
        if not self.gated:
            return ""
        return "# A gated model needs: kubectl create secret generic hf-token --from-literal=token=$HF_TOKEN\n"

    @property
    def comment(self) -> str:
        """What the file is of, as comments."""
        return "".join(f"# {line}\n" for line in self.head)

    @property
    def left_out(self) -> str:
        """A comment that names the command's flags which a file of another program does not say; empty where there are none."""
        left = [flag for flag in self.passed if flag not in ("--host", "--port")]
        return f"# not in this file: {', '.join(left)}\n" if left else ""


SHARED: tuple[dict[str, Any], dict[str, Any]] = (
    {"name": "shm", "emptyDir": {"medium": "Memory"}},
    {"name": "shm", "mountPath": "/dev/shm"},
)
"""A volume of shared memory, and where it is mounted: a container's own 64 MiB are too few for several processes."""


def token(d: Deployment) -> list[dict[str, Any]]:
    """The variable with the Hub's token, of a secret that need not be there."""
    key = {"name": "hf-token", "key": "token", "optional": True}
    return [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}}] if d.gated else []


def engine_of(kind: str, engine: str | None) -> str | None:
    """The engine that a kind of file starts, where it is not any. Raises `UsageError` for one that it does not."""
    known = KINDS[check(kind)].engines
    if engine is not None and engine not in known:
        raise UsageError(f"--emit {kind} starts {' or '.join(known)}, and --engine is {engine}", "leave one of them out")
    return known[0] if len(known) == 1 else engine


def check(kind: str) -> str:
    """A kind that there is. Raises `UsageError` for another."""
    if kind not in KINDS:
        raise UsageError(f"--emit {kind}: no such file", f"one of {', '.join(KINDS)}")
    return kind


def emit(
    kind: str, r: FitReport, architecture: Architecture, spec: GpuSpec, version: str | None = None, image: str | None = None
) -> str:
    """The file that starts a plan that fits, as text. `architecture` is the model's as it is published, `version` the engine's release;
    without one it is the last that takes all of the plan's command, the newest that is known where that does.

    Raises `UnsupportedError` for a plan that such a file does not start, and `UsageError` for an engine that it does not.
    """
    entry = KINDS[check(kind)]
    engine_of(kind, r.engine)
    vendor = spec.device.vendor
    if entry.contained and vendor not in RESOURCES and vendor != "apple":
        raise UnsupportedError(
            f"--emit {kind}: how containers ask for {spec.device.name} is not known here",
            f"name a listed card of {', '.join(RESOURCES)}" if vendor == "custom" else "start the printed command there",
        )
    if spec.nodes > 1 and not entry.nodes:
        raise UnsupportedError(
            f"--emit {kind} writes the file of one machine, and the plan takes {spec.nodes}",
            "name the GPUs of one machine, write --emit k8s or slurm, or start the printed command on each",
        )
    if spec.nodes > 1 and "--nnodes" not in shlex.split(r.command):
        raise UnsupportedError(
            f"--emit {kind} starts one command on each of {spec.nodes} machines by --nnodes, and this plan's is joined by other means",
            "start the printed command as its note says",
        )
    if spec.others:
        raise UnsupportedError(f"--emit {kind} asks for GPUs of one kind, and these are several", "name one kind")
    made = deployment(r, architecture, spec, version, image, entry.contained, kind)
    module = import_module(f"archcalc.emit.{entry.module}")
    if (says := getattr(module, "SAYS", None)) is not None:
        refuse_unsaid(kind, r, says)
    write: Callable[[Deployment], str] = module.write
    return write(made)


def label(source: str) -> str:
    """A name by which Kubernetes takes all of its objects, a Service's being the narrowest (RFC 1035: letters of ASCII, digits and `-`, a
    letter first; 63 of them, with what is put behind it).

    >>> label("01-ai/Yi 1.5 (v2)"), label("ÄÖ.json")
    ('yi-1-5-v2', 'json')
    >>> label("7b.json")
    'model-7b-json'
    """
    name = re.sub(r"[^a-z0-9]+", "-", source.rstrip("/").rsplit("/", 1)[-1].lower())[:50].strip("-")
    return name if name[:1].isalpha() else f"model-{name}".strip("-")


def checkpoint_bytes(architecture: Architecture, r: FitReport, device: Device) -> int:
    """The bytes that come before the load: the whole checkpoint, whatever a GPU or a replica keeps of it; as it is published where the
    engine quantizes as it loads."""
    from archcalc.engines.engine import server
    from archcalc.figures.checkpoint import summary
    from archcalc.quant import canonical

    engine = server(r.engine)
    held, stored = engine.load(architecture, None, device)
    if stored != r.plan.quant:
        quantizes = engine.loading(None, canonical(r.plan.quant)) is not None and not architecture.quantization
        held = architecture if quantizes else engine.load(architecture, r.plan.quant, device)[0]
    elif not engine.one_file:
        held = architecture
    return summary(held).bytes


def deployment(
    r: FitReport, architecture: Architecture, spec: GpuSpec, version: str | None, image: str | None, contained: bool, kind: str
) -> Deployment:
    """A plan as all files have it."""
    from archcalc.commands.change import VISIBLE
    from archcalc.engines.engine import server
    from archcalc.render.fit import plan_text

    words = shlex.split(r.command)
    variables = list(takewhile(lambda word: re.match(r"[A-Za-z_]\w*=", word), words))
    words = words[len(variables) :]
    environment = tuple((name, value) for name, _, value in (each.partition("=") for each in variables))
    if environment and kind not in ("compose", "k8s", "slurm") and KINDS[kind].contained:
        raise UnsupportedError(
            f"--emit {kind} has no words for {', '.join(variables)}, which the plan takes",
            "start the printed command, or write --emit compose",
        )
    started = (
        "vllm",
        "sglang",
        "python",
        "python3",
        "llama-server",
        "mlx_lm.server",
        *(("ollama",) if kind == "modelfile" else ()),
    )
    if words[0] not in started:
        raise UsageError(
            f"--emit {kind} writes how a server is started, and this is {words[0]}",
            "give the server's command, such as vllm serve MODEL",
        )
    program = _program_words(words)
    known = PROGRAMS.get(r.engine)
    port = known.port if known else 8080
    words, release, told = _judged(words, r.engine, version, kind, image, contained)
    if contained:
        assert known is not None
        template = image or known.images.get(spec.device.vendor)
        if template is None:
            raise UnsupportedError(
                f"--emit {kind}: no image of {r.engine} is known for {spec.device.name}"
                + (", and containers on a Mac see no GPU" if spec.device.vendor == "apple" else ""),
                "give one with --image" if spec.device.vendor != "apple" else "--emit modelfile, lmstudio or mlx are for a Mac",
            )
        image = template.format(version=_tag(r.engine, release)) if image is None else image
        words[0] = known.binary if known.binary and words[0] != "sglang" else words[0]
        stated = words[words.index("--port") + 1] if "--port" in words[:-1] else ""
        port = int(stated) if stated.isdecimal() else port
        words = [*words, *(known.listens if "--host" not in words else ()), *(() if stated else ("--port", str(port)))]
    words = _as_files(words, r.plan.quant) if server(r.engine).one_file else _of_the_hub(words)
    model = _model(words)
    path = os.path.abspath(os.path.expanduser(model)) if _local(model) else None
    if path is not None:
        words = [path if word == model else word for word in words]
    words, files = _files(words, program, path)
    if files and contained and kind not in ("compose", "k8s", "slurm"):
        raise UnsupportedError(
            f"--emit {kind} mounts nothing of the host's, and the command reads {', '.join(files)}",
            "start the printed command, or write --emit compose or k8s",
        )
    if contained and r.engine == "vllm":
        environment, said = _sampler(environment, release, kind)
        samples = (said,) if said else ()
    else:
        samples = ()
    name = label(r.source)
    unknown = [note for note in r.notes if "<" in note and ">" in note]
    head = (
        f"{r.source} on {spec.named}: {plan_text(r.plan)}, {r.context_tokens:,} tokens x {r.concurrency:,}",
        f"{r.engine} {release}".strip() + (f", image {image}" if contained else ""),
        *told,
        *unknown,
        *samples,
    )
    return Deployment(
        name=name,
        source=_repository(r.source),
        model=model if path is None else path,
        words=tuple(words),
        program=program,
        image=image or "",
        release=release,
        port=port,
        gpus=r.gpus // spec.nodes,
        nodes=spec.nodes,
        vendor=spec.device.vendor,
        path=path,
        weights_bytes=checkpoint_bytes(architecture, r, spec.device),
        context_tokens=r.context_tokens,
        quant=r.plan.quant,
        head=head,
        kv_dtype=r.plan.kv_dtype,
        concurrency=r.concurrency,
        gpu_layers=r.ram.gpu_layers,
        layers=r.ram.layers,
        passed=tuple(r.options.inert) if r.options else (),
        # A container's GPUs are those that the file asks for.
        environment=tuple((name, value) for name, value in environment if name not in VISIBLE),
        files=files,
    )


def _judged(
    words: list[str], engine: str, version: str | None, kind: str, image: str | None, contained: bool
) -> tuple[list[str], str, tuple[str, ...]]:
    """The words, the release that they were judged by, and what to say of the two: the one that is named, else the last that takes all of
    the command's flags. Where a container starts the newest build of llama.cpp, the words as that takes them.

    Raises `UnsupportedError` for a flag that this build has no more."""
    from archcalc.analysis.ask import taken_as
    from archcalc.commands.flags import read, renewed
    from archcalc.commands.words import of_arguments

    found = read(of_arguments(words), version)
    release = found.version or newest(engine)
    if found.version is not None or not found.gone or not contained:
        said = taken_as(found)
        return words, release, (said,) if said else ()
    if image is not None:
        return words, release, (f"builds as new as those whose rules hold here refuse {', '.join(found.gone)}",)
    words, changed = renewed(words)
    if gone := read(of_arguments(words), version).gone:
        raise UnsupportedError(
            f"--emit {kind} starts the newest build, which refuses {', '.join(gone)}",
            "leave it out, name a build that has it with --engine-version, or an image with --image",
        )
    return words, release, tuple(f"{after} is how the newest build takes {before}" for before, after in changed)


def _tag(engine: str, release: str) -> str:
    """A release as the tags of images spell it: all three numbers (`v0.33.0`), and of llama.cpp a build behind the image's own name."""
    if engine == "llama.cpp":
        return f"-b{release.lstrip('b')}" if release else ""
    numbers = re.match(r"\d+(?:\.\d+)*", plain := release.removeprefix("v"))
    return plain if numbers is None else numbers[0] + ".0" * (2 - numbers[0].count(".")) + plain[numbers.end() :]


_SAMPLER = "VLLM_USE_FLASHINFER_SAMPLER"


def _sampler(environment: tuple[tuple[str, str], ...], release: str, kind: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The variables with the sampler that the plan counts, and what to say where a file has no words for them.

    vLLM's images of 0.8.4 to 0.11.0 hold FlashInfer, whose sampler is taken where it is found (docker/Dockerfile,
    v1/sample/ops/topk_topp_sampler.py `TopKTopPSampler`); a plan that was made of no command counts none."""
    given = dict(environment)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", release)
    held = found is not None and (0, 8, 4) <= tuple(int(n) for n in found.groups()) <= (0, 11, 0)
    if given.get(_SAMPLER) == "1" and held:
        # As the image does by itself.
        return tuple((name, value) for name, value in environment if name != _SAMPLER), ""
    if _SAMPLER in given or not held:
        return environment, ""
    if kind in ("compose", "k8s", "slurm"):
        return (*environment, (_SAMPLER, "0")), ""
    return (
        environment,
        f"the image samples with FlashInfer, which takes more memory than is counted: set {_SAMPLER}=0 in its environment",
    )


# Flags whose value is a model of the Hub, and may be a bundled name.
_MODELS = frozenset("--model --model-path --tokenizer --tokenizer-path --speculative-draft-model-path --speculative-model".split())


def _of_the_hub(words: list[str]) -> list[str]:
    """The words with the Hub's repositories in place of bundled names, which no engine knows."""
    out = list(words)
    for i, word in enumerate(words):
        flag, equals, value = word.partition("=")
        first = i == 2 and words[1:2] == ["serve"]
        if first or (i and words[i - 1] in _MODELS):
            out[i] = _repository(word)
        elif equals and flag in _MODELS:
            out[i] = f"{flag}={_repository(value)}"
        elif word.startswith("{") and i and words[i - 1] == "--speculative-config":
            out[i] = re.sub(r'("model"\s*:\s*")([^"]+)"', lambda m: f'{m[1]}{_repository(m[2])}"', word)
    return out


def _as_files(words: list[str], quant: str) -> list[str]:
    """The words of an engine that loads one file, with such a file's name in place of a bundled one, as a plan of its own names it."""
    from archcalc import zoo

    out = list(words)
    for i, word in enumerate(words[1:], 1):
        flag = words[i - 1]
        if flag in ("-m", "--model", "-md", "--model-draft", "--spec-draft-model") and not _local(word) and zoo.find(word):
            out[i] = f"{_repository(word).rpartition('/')[2]}-{quant.upper().replace('-', '_')}.gguf"
    return out


# Flags whose values name files of the host (vLLM 0.33, SGLang 0.5.23, llama.cpp 0c1e57098).
_FILES = frozenset(
    "-md --model-draft --spec-draft-model --mmproj --lora --lora-scaled --control-vector --control-vector-scaled --chat-template"
    " --chat-template-file --grammar-file --json-schema-file --api-key-file --ssl-key-file --ssl-cert-file --lora-modules --lora-paths"
    " --tokenizer --tokenizer-path --speculative-draft-model-path --speculative-model --speculative-config --ssl-keyfile --ssl-certfile"
    " --ssl-ca-certs --config --tool-parser-plugin --reasoning-parser-plugin --quantization-param-path --model-vocoder -mv"
    " --adapter-path --draft-model --image-min-pixels-file".split()
)
_FILE = re.compile(r"(?:~|\.{1,2})?/.+|.+\.(?:gguf|jinja2?|jsonl?|gbnf|py|pem|key|crt|ya?ml)")


def _files(words: list[str], program: int, model: str | None) -> tuple[list[str], tuple[str, ...]]:
    """The words with whole paths of the host's files and folders that their flags name, and those paths."""
    out, found = list(words), dict[str, None]()

    def whole(value: str) -> str:
        # `name=path`, `file:scale`, lists with commas and JSON.
        pieces = re.split(r"([=,:\s\"'{}]+)", value)
        for n, piece in enumerate(pieces[::2]):
            if piece and piece != model and (_FILE.fullmatch(piece) or os.path.exists(piece)):
                pieces[2 * n] = os.path.abspath(os.path.expanduser(piece))
                found[pieces[2 * n]] = None
        return "".join(pieces)

    flag = ""
    for i, word in enumerate(words[program:], program):
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            if equals and flag in _FILES:
                out[i] = f"{flag}={whole(value)}"
        elif flag in _FILES:
            out[i] = whole(word)
    return out, tuple(found)


def _folder(path: str) -> str:
    """The folder that a file lies in, or the folder itself."""
    return os.path.dirname(path) if re.search(r"\.\w{1,6}$", path) and not os.path.isdir(path) else path


def refuse_unsaid(kind: str, r: FitReport, says: frozenset[str]) -> None:
    """Raises `UnsupportedError` where the plan takes what memory follows from and a file of this kind does not say. `says` are the flags
    of llama-server that it does, or that change nothing there."""
    from archcalc.analysis.ask import understand
    from archcalc.commands.words import of_arguments

    used = r.options.used if r.options else understand(of_arguments(shlex.split(r.command))).options.used
    usual = {"--flash-attn": ("on", "auto", "true", "1"), "--cache-type-k": ("f16",), "--cache-type-v": ("f16",)}
    unsaid = [
        f"--no-{flag[2:]}" if value == "false" else f"{flag} {value}" if value not in ("true", "") else flag
        for flag, value in used.items()
        if flag not in says and value.lower() not in usual.get(flag, ())
    ]
    keys, values = (used.get(f"--cache-type-{each}", "f16").lower() for each in "kv")
    if keys != values and not unsaid:
        unsaid.append(f"--cache-type-k {keys} beside --cache-type-v {values}")
    if r.ram.without_experts and not any("moe" in flag for flag in unsaid):
        unsaid.append(f"--n-cpu-moe {r.ram.without_experts}")
    if unsaid:
        raise UnsupportedError(
            f"--emit {kind} has no words for {', '.join(unsaid)}, which the plan takes",
            "start the printed command, or write --emit compose, which runs llama-server itself",
        )


OFFLOADED = frozenset(
    "--model --hf-repo --hf-file --ctx-size --parallel --gpu-layers --fit --fit-target --fit-ctx --kv-unified".split()
)
"""Flags of llama-server that every file of a program made of it says in its own way."""


def _repository(source: str) -> str:
    from archcalc import zoo

    entry = zoo.find(source)
    return entry.repo if entry else source


def newest(engine: str) -> str:
    """The newest release whose flags are known; empty where releases have no numbers that an image has."""
    from archcalc.commands.flags import table

    if engine == "vllm" or engine == "sglang" or engine == "mlx":
        return table(engine).releases[-1]
    return ""


def _program_words(words: list[str]) -> int:
    """How many words stand before the arguments."""
    if words[:2] in (["vllm", "serve"], ["sglang", "serve"]):
        return 2
    return 3 if words[0].startswith("python") else 1


def _model(words: list[str]) -> str:
    """The word that names the model."""
    flags = ("--model-path", "--model") if words[0].startswith("python") else ("--model", "-m", "-hf")
    return next((words[words.index(flag) + 1] for flag in flags if flag in words), words[2] if len(words) > 2 else "")


def hub_model(d: Deployment, kind: str) -> str:
    """The repository that `vllm serve` is given first. Raises where it is a folder, or stands elsewhere."""
    if d.path is not None:
        raise UnsupportedError(f"--emit {kind}: the chart loads a model of the Hub, and this is a folder", "give its repository")
    if d.command != ["vllm", "serve"] or not d.arguments or d.arguments[0].startswith("-"):
        raise UsageError(
            f"--emit {kind} needs the model as vllm serve's first word", "write the command as vllm serve MODEL --its-flags"
        )
    return d.arguments[0]


def _local(model: str) -> bool:
    return model.endswith(".gguf") or os.path.exists(os.path.expanduser(model))


def dump(*documents: object) -> str:
    """YAML, in the order of the keys, a document each."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            # What stands twice is written twice: anchors are hard to read and to edit.
            return True

    texts = [yaml.dump(d, Dumper=Plain, sort_keys=False, default_flow_style=False, width=120) for d in documents]
    return "---\n".join(texts)


def probe_steps(seconds: int, period: int = 10) -> int:
    """How often a probe may fail for so long."""
    return -(-seconds // period)
