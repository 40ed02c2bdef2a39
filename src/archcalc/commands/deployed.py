"""What operators and charts start, as a container with a command of its own: KServe's `InferenceService` and `LLMInferenceService`, the
values of llm-d's chart whose `modelCommand` is not its own, and those of vLLM's own chart.

Sources: kserve/kserve 00397f1e, python/huggingfaceserver/huggingfaceserver/__main__.py (its own arguments, and float16 in place of `auto`
on a GPU; what vLLM does not serve goes to transformers); kserve/kserve 70e53e8b, config/llmisvcconfig/ (`/mnt/models` is what `model.uri`
names, `parallelism` and `VLLM_ADDITIONAL_ARGS` as flags; config-sglang-template.yaml); "Multi-node Inference", `workerSpec`;
llm-d-incubation/llm-d-modelservice 024c0f2d, charts/llm-d-modelservice/templates/_helpers.tpl (`vllmServeModelCommand`,
`imageDefaultModelCommand`); vLLM 0.33, examples/online_serving/chart-helm/values.yaml (`image.command`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archcalc.errors import UsageError
from archcalc.records import NamedTuple

MOUNTED = "/mnt/models"
"""Where the model lies in the container."""
# The server's own, which vLLM has not; each takes a value, but for those behind.
_OWN = frozenset(
    "--model-name --model-dir --backend --tensor-input-names --task --max-log-len --http-port --grpc-port --grpc-max-send-message-length"
    " --grpc-max-receive-message-length --workers --max-threads --max-asyncio-workers --log-config-file --access-log-format"
    " --predictor-host --predictor-protocol --predictor-request-timeout-seconds --storage-uri".split()
)
_SWITCHES = frozenset(
    "--disable-lower-case --disable-special-tokens --return-token-type-ids --return-probabilities --disable-log-requests --enable-grpc"
    " --enable-docs-url --enable-latency-logging --configure-logging --predictor-use-ssl".split()
)
_RENAMED = {"--model-id": "--model", "--model-revision": "--revision", "--max-length": "--max-model-len"}
_PARALLEL = {"tensor": "--tensor-parallel-size", "pipeline": "--pipeline-parallel-size", "data": "--data-parallel-size"}


class Started(NamedTuple):
    """A container, and what to say of it."""

    container: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def started(document: Mapping[str, Any]) -> Started | None:
    """What a service or a chart starts; None where its containers say all by themselves. Raises `UsageError` for a server of
    transformers."""
    if "kind" not in document:
        return _of_values(document)
    if document["kind"] not in ("InferenceService", "LLMInferenceService"):
        return None
    spec = _map(document.get("spec"))
    if document.get("kind") == "LLMInferenceService":
        return _llm(spec)
    predictor = _map(spec.get("predictor"))
    model = _map(predictor.get("model"))
    if not model:
        return None
    runtime = f"{_map(model.get('modelFormat')).get('name') or ''} {model.get('runtime') or ''}".lower()
    args = _args(model)
    source = _source(str(model["storageUri"])) if model.get("storageUri") else ""
    if "sglang" in runtime:
        return Started({**model, "command": ["python", "-m", "sglang.launch_server"], "args": ["--model-path", source, *args]})
    worker = _map(predictor.get("workerSpec"))
    for key in ("tensor", "pipeline"):
        if isinstance(size := worker.get(f"{key}ParallelSize"), int):
            args += [_PARALLEL[key], str(size)]
    if "huggingface" not in runtime:
        if "vllm" not in runtime:
            return None
        named = [] if any(word.partition("=")[0] == "--model" for word in args) else [source or MOUNTED]
        return Started({**model, "command": ["vllm", "serve", *named], "args": args})
    words, notes = _huggingface(args)
    named = [] if "--model" in words else [source or MOUNTED]
    if not named:
        at = words.index("--model")
        named, words = words[at + 1 : at + 2], words[:at] + words[at + 2 :]
    return Started({**model, "command": ["vllm", "serve", *named], "args": words}, notes)


def _of_values(document: Mapping[str, Any]) -> Started | None:
    image = _map(document.get("image"))
    if isinstance(image.get("command"), list) and image.get("repository"):
        tagged = f"{image['repository']}:{image.get('tag') or ''}".rstrip(":")
        return Started({**document, "image": tagged, "command": image["command"], "args": []})
    decode, artifacts = _map(document.get("decode")), _map(document.get("modelArtifacts"))
    containers = decode.get("containers")
    for container in containers if isinstance(containers, list) else ():
        how = container.get("modelCommand") if isinstance(container, Mapping) else None
        if how not in ("vllmServe", "imageDefault") or not artifacts.get("uri"):
            continue
        parallel = _map(decode.get("parallelism"))
        args = _args(container)
        for key in ("tensor", "data"):
            if isinstance(size := parallel.get(key), int) and size > 1:
                args = [_PARALLEL[key], str(size), *args]
        made = {**container, "command": ["vllm", "serve", _source(str(artifacts["uri"]))], "args": args}
        return Started(made, PREFILL if _map(document.get("prefill")).get("containers") else ())
    return None


PREFILL = ("its prefill pods are not part of this plan, which is of those that decode",)


def _llm(spec: Mapping[str, Any]) -> Started:
    source = _source(str(_map(spec.get("model")).get("uri") or MOUNTED))
    containers = _map(spec.get("template")).get("containers")
    containers = [c for c in containers if isinstance(c, Mapping)] if isinstance(containers, list) else []
    main: Mapping[str, Any] = next((c for c in containers if c.get("name") == "main"), containers[0] if containers else {})
    notes = PREFILL if spec.get("prefill") else ()
    given = _args(main)
    own = main.get("command")
    if own:
        held = [str(word).replace(MOUNTED, source) for word in own] if isinstance(own, list) else own
        return Started({**main, "command": held, "args": [word.replace(MOUNTED, source) for word in given]}, notes)
    listed = main.get("env")
    variables = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
    env = {str(e.get("name")): str(e.get("value") or "") for e in variables}
    parallel = _map(spec.get("parallelism"))
    sglang = "sglang" in f"{spec.get('runtime') or ''} {main.get('image') or ''}".lower()
    flags = [w for key, flag in _PARALLEL.items() if isinstance(parallel.get(key), int) for w in (flag, str(parallel[key]))]
    if sglang:
        tensor = ["--tp", str(parallel["tensor"])] if isinstance(parallel.get("tensor"), int) else []
        return Started(
            {**main, "command": ["python", "-m", "sglang.launch_server", "--model-path", source], "args": tensor + given}
        )
    if isinstance(local := parallel.get("dataLocal"), int) and "--data-parallel-size" in flags:
        flags += ["--data-parallel-size-local", str(local)]
    if parallel.get("expert") is True:
        flags.append("--enable-expert-parallel")
    try:
        more = shlex.split(env.get("VLLM_ADDITIONAL_ARGS", ""))
    except ValueError as error:
        raise UsageError("VLLM_ADDITIONAL_ARGS: a quote is not closed", "close it, or give the engine's command") from error
    left = [e for e in variables if e.get("name") != "VLLM_ADDITIONAL_ARGS"]
    return Started({**main, "command": ["vllm", "serve", source], "args": [*flags, *more, *given], "env": left}, notes)


def _huggingface(args: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The arguments of KServe's own server as those of vLLM, which it hands them to."""
    out: list[str] = []
    words = iter(_split(args))
    for word in words:
        name, equals, value = word.partition("=")
        flag = name.replace("_", "-") if name.startswith("--") else name
        if flag == "--backend":
            value = value if equals else next(words, "")
            if value not in ("auto", "vllm"):
                raise UsageError(
                    f"--backend {value[:40]}: KServe's server runs the model in transformers",
                    "archcalc fit MODEL --engine transformers --gpu GPU asks about that",
                )
        elif flag in _OWN:
            if not equals:
                next(words, "")
        elif flag not in _SWITCHES:
            out += [_RENAMED.get(flag, flag), *([value] if equals else [])]
    at = out.index("--dtype") if "--dtype" in out else len(out)
    if out[at + 1 : at + 2] not in ([], ["auto"]):
        return out, ()
    out[at : at + 2] = ["--dtype", "float16"]
    return out, ("KServe's Hugging Face server loads float16 where no dtype is named",)


def _split(args: Sequence[str]) -> Iterator[str]:
    """Arguments, of which one may hold a flag and its value."""
    for word in args:
        yield from word.split(None, 1) if word.startswith("--") and " " in word.strip() and "=" not in word.split()[0] else [word]


def _source(uri: str) -> str:
    """The model of an address: a repository of the Hub, or what is read as a path."""
    kind, found, rest = uri.partition("://")
    if not found or kind != "hf":
        return uri
    name, colon, revision = rest.strip("/").partition(":")
    return f"{name}@{revision}" if colon and revision else name


def _args(container: Mapping[str, Any]) -> list[str]:
    """The arguments of a container. Raises `UsageError` where they are no list."""
    args = container.get("args")
    if args is not None and not isinstance(args, list):
        raise UsageError(f"args is {str(args)[:60]}: a list was expected", 'write it so: args: ["--max-model-len", "8192"]')
    return [str(word) for word in args or () if word is not None]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
