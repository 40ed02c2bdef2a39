"""How long sequences are under an engine, by its release: what vLLM and SGLang derive from a config, and what llama.cpp fits to memory.

Lengths of vLLM are what `_get_and_verify_max_len` of each release returned when it was run on these configs (config.py, since 0.11
config/model.py; the rope parameters brought into the form of the transformers that the release asks for), those of SGLang what
`get_context_length` did. Each row is a boundary: a length holds from its release on.
"""

import json
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import _lengths, parse
from archcalc.commands import environment
from archcalc.engines.engine import server
from archcalc.engines.sglang.settings import Settings as SglangSettings
from archcalc.engines.vllm.settings import Settings
from archcalc.errors import UsageError
from archcalc.model import Architecture
from conftest import Run

_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {"max_position_embeddings": 32768},
    "linear": {"max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "dynamic": {"max_position_embeddings": 32768, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "yarn": {"max_position_embeddings": 40960, "rope_scaling": _YARN},
    "yarn of Qwen2.5": {"max_position_embeddings": 32768, "rope_scaling": _YARN},
    "yarn stated": {
        "max_position_embeddings": 262144,
        "rope_scaling": {"type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096},
    },
    "yarn beside": {
        "max_position_embeddings": 65536, "original_max_position_embeddings": 8192,
        "rope_scaling": {**_YARN, "original_max_position_embeddings": 16384},
    },
    "yarn bare": {"max_position_embeddings": 32768, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    "llama3": {
        "max_position_embeddings": 131072,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
    },
    "longrope": {
        "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]},
    },
    "su": {"max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": {"type": "su"}},
    "longrope inside": {
        "max_position_embeddings": 65536,
        "rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 32768, "factor": 2.0},
    },
    "mrope": {"max_position_embeddings": 128000, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
    "gemma3": {
        "model_type": "gemma3_text", "max_position_embeddings": 131072, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "two keys": {"max_position_embeddings": 8192, "seq_length": 4096},
    "command-r": {"max_position_embeddings": 8192, "model_max_length": 131072},
    "nothing": {"hidden_size": 8},
    "by kinds of layers": {
        "max_position_embeddings": 65536,
        "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}, "sliding_attention": {"rope_type": "default"}},
    },
    "window": {"max_position_embeddings": 32768, "sliding_window": 4096},
    "window, scaled": {"max_position_embeddings": 32768, "sliding_window": 4096, "rope_scaling": {"type": "linear", "factor": 2.0}},
    "window, unused": {"max_position_embeddings": 32768, "sliding_window": 4096, "use_sliding_window": False},
}  # fmt: skip

VLLM = {
    "plain": (("0.8.5", 32768),),
    "linear": (("0.8.5", 65536),),
    "dynamic": (("0.8.5", 65536),),
    "yarn": (("0.8.5", 131072), ("0.30.0", 40960)),
    "yarn of Qwen2.5": (("0.8.5", 131072), ("0.30.0", 32768)),
    "yarn stated": (("0.8.5", 131072), ("0.30.0", 262144)),
    "yarn beside": (("0.8.5", 65536), ("0.12.0", 32768), ("0.30.0", 65536)),
    "llama3": (("0.8.5", 131072),),
    "longrope": (("0.8.5", 131072), ("0.11.1", 4096)),
    "su": (("0.8.5", 131072), ("0.11.1", 4096)),
    "longrope inside": (("0.8.5", 65536),),
    "mrope": (("0.8.5", 128000),),
    "gemma3": (("0.8.5", 131072),),
    "two keys": (("0.8.5", 4096),),
    "command-r": (("0.8.5", 131072),),
    "nothing": (("0.8.5", 2048),),
    "by kinds of layers": (("0.14.0", 524288),),
}
RELEASES = (
    "0.8.5 0.9.2 0.10.0 0.10.1 0.10.2 0.11.0 0.11.1 0.11.2 0.12.0 0.13.0 0.14.0 0.16.0 0.17.0 0.18.0 0.19.0 0.20.0 0.20.1 0.21.0 0.22.0"
    " 0.23.0 0.24.0 0.25.0 0.26.0 0.27.0 0.28.0 0.29.0 0.30.0 0.31.0 0.32.0 0.33.0".split()
)
SGLANG = {
    "plain": (("0.3.6", 32768),),
    "linear": (("0.3.6", 65536),),
    "dynamic": (("0.3.6", 65536),),
    "yarn": (("0.3.6", 40960),),
    "yarn of Qwen2.5": (("0.3.6", 32768),),
    "yarn stated": (("0.3.6", 262144),),
    "yarn beside": (("0.3.6", 65536),),
    "yarn bare": (("0.3.6", 131072), ("0.5.10", 32768)),
    "llama3": (("0.3.6", 131072),),
    "longrope": (("0.3.6", 131072),),
    "mrope": (("0.3.6", 128000),),
    "gemma3": (("0.3.6", 1048576), ("0.5.10", 131072)),
    "two keys": (("0.3.6", 4096),),
    "command-r": (("0.3.6", 131072),),
    "nothing": (("0.3.6", 2048),),
    "by kinds of layers": (("0.5.2", 65536),),
}
SGLANG_RELEASES = "0.3.6 0.4.0 0.4.3 0.4.6 0.4.9 0.5.2 0.5.4 0.5.6 0.5.8 0.5.10 0.5.12 0.5.15 0.5.18 0.5.20 0.5.22 0.5.23".split()


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _of(name: str) -> Architecture:
    """A small model whose config says this of its length."""
    config = CONFIGS[name]
    base = parse(zoo.config("gpt2"))
    facts = base.facts._replace(context_tokens=config.get("max_position_embeddings"))
    return base._replace(facts=facts, lengths=_lengths.of(config))


def _expected(rows: tuple[tuple[str, int], ...], version: str) -> int | None:
    return next((length for since, length in reversed(rows) if _key(since) <= _key(version)), None)


@pytest.mark.parametrize("name", VLLM)
def test_vllm_derives_the_length_as_the_release_does(name: str) -> None:
    model = _of(name)
    for version in RELEASES:
        expected = _expected(VLLM[name], version)
        if expected is not None:
            assert server("vllm").length(model, version, Settings()).usual == expected, version


@pytest.mark.parametrize(
    ("kind", "multiplies"),
    [*((kind, False) for kind in "su longrope llama3 yarn deepseek_yarn deepseek_llama_scaling telechat3-yarn".split()),
     *((kind, True) for kind in "linear dynamic ntk".split())],
)  # fmt: skip
def test_kinds_of_scaling_whose_factor_is_no_part_of_the_length(kind: str, multiplies: bool) -> None:
    """vLLM 0.33, config/model.py `_get_and_verify_max_len`; transformers_utils/config.py `patch_rope_parameters` reads TeleChat3's
    as YaRN."""
    config = {"max_position_embeddings": 40960, "rope_scaling": {"rope_type": kind, "factor": 4.0}}
    base = parse(zoo.config("gpt2"))
    model = base._replace(facts=base.facts._replace(context_tokens=40960), lengths=_lengths.of(config))
    assert server("vllm").length(model, "0.33.0", Settings()).usual == (4 * 40960 if multiplies else 40960)


@pytest.mark.parametrize("name", SGLANG)
def test_sglang_derives_the_length_as_the_release_does(name: str) -> None:
    model = _of(name)
    for version in SGLANG_RELEASES:
        expected = _expected(SGLANG[name], version)
        if expected is not None:
            length = server("sglang").length(model, version, SglangSettings())
            assert (length.usual, length.longest) == (expected, expected), version


@pytest.mark.parametrize(
    ("name", "version", "longest"),
    [
        ("plain", "0.33.0", 32768),
        # LongRoPE serves the original positions unasked, and takes all that are stated.
        ("longrope", "0.33.0", 131072),
        ("longrope", "0.10.0", 131072),
        ("yarn", "0.29.0", 131072),
        ("yarn", "0.30.0", 40960),
        ("command-r", "0.33.0", 131072),
        # Nothing is stated: any length is taken.
        ("nothing", "0.33.0", None),
    ],
)
def test_the_longest_that_vllm_takes(name: str, version: str, longest: int | None) -> None:
    assert server("vllm").length(_of(name), version, Settings()).longest == longest


@pytest.mark.parametrize(
    ("name", "version", "own", "usual"),
    [
        ("window", "0.8.5", Settings(caps_to_window=True), 4096),
        ("window", "0.33.0", Settings(caps_to_window=True), 4096),
        ("window", "0.33.0", Settings(), 32768),
        ("window, scaled", "0.12.0", Settings(caps_to_window=True), 8192),
        ("window, unused", "0.10.0", Settings(caps_to_window=True), 32768),
    ],
)
def test_a_window_switched_off_caps_the_length(name: str, version: str, own: Settings, usual: int) -> None:
    assert server("vllm").length(_of(name), version, own).usual == usual


def test_up_to_0_11_2_a_window_is_not_switched_off_beside_scaled_positions() -> None:
    from archcalc.engines.vllm.lengths import window_refused

    own = Settings(caps_to_window=True)
    assert window_refused(_of("window, scaled"), "0.11.2", own)
    assert window_refused(_of("window, scaled"), "0.12.0", own) is None
    assert window_refused(_of("window"), "0.11.2", own) is None
    assert window_refused(_of("window, scaled"), "0.11.2", Settings()) is None


@pytest.mark.parametrize(
    ("version", "length"),
    [("0.8.5", 4096), ("0.10.0", 4096), ("0.10.1", 8192), ("0.33.0", 8192)],
)
def test_a_backend_without_interleaved_windows_caps_the_length(cli: Run, version: str, length: int) -> None:
    """gemma-2 states 8,192 positions and a window of 4,096 in every other layer (config.py `ModelConfig`)."""
    done = _fit(
        cli, "--gpu", "h100", "--engine-version", version, "--", "VLLM_ATTENTION_BACKEND=FLASHINFER", "vllm", "serve", "gemma-2-9b"
    )
    assert done["context_tokens"] == length


# A longer context than the config's


def _fit(cli: Run, *arguments: str) -> dict[str, Any]:
    done = cli("fit", "--offline", "--format", "json", *arguments)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


_LONG = ("--max-model-len", "131072")
_SGLANG = ("python", "-m", "sglang.launch_server", "--model-path", "qwen3-8b", "--context-length", "131072")


@pytest.mark.parametrize(
    ("version", "command", "serves"),
    [
        (None, ("vllm", "serve", "qwen3-8b", *_LONG), False),
        (None, ("VLLM_ALLOW_LONG_MAX_MODEL_LEN=1", "vllm", "serve", "qwen3-8b", *_LONG), True),
        (None, ("env", "VLLM_ALLOW_LONG_MAX_MODEL_LEN=true", "vllm", "serve", "qwen3-8b", *_LONG), True),
        (None, ("VLLM_ALLOW_LONG_MAX_MODEL_LEN=0", "vllm", "serve", "qwen3-8b", *_LONG), False),
        (
            None,
            ("docker", "run", "-e", "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1", "vllm/vllm-openai:v0.20.0", "--model", "qwen3-8b", *_LONG),
            True,
        ),
        ("0.10.0", ("vllm", "serve", "qwen3-8b", "--rope-scaling", json.dumps(_YARN), *_LONG), True),
        ("0.29.0", ("vllm", "serve", "qwen3-8b", "--hf-overrides", json.dumps({"rope_parameters": _YARN}), *_LONG), True),
        ("0.30.0", ("vllm", "serve", "qwen3-8b", "--hf-overrides", json.dumps({"rope_parameters": _YARN}), *_LONG), False),
        (None, _SGLANG, False),
        ("0.4.3", _SGLANG, False),
        # These took the variable for set where it was not.
        ("0.4.6", _SGLANG, True),
        ("0.4.10", _SGLANG, True),
        ("0.4.6", ("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=0", *_SGLANG), False),
        ("0.5.1", _SGLANG, False),
        ("0.5.1", ("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1", *_SGLANG), True),
        (None, ("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=yes", *_SGLANG), True),
    ],
)
def test_who_takes_a_longer_context(version: str | None, command: tuple[str, ...], serves: bool) -> None:
    from archcalc.analysis.ask import understand
    from archcalc.commands.words import of_arguments
    from archcalc.engines.plan import Ask, context_of
    from archcalc.hardware import parse_spec
    from archcalc.loader import load

    if version in ("0.4.3", "0.4.6", "0.4.10", "0.5.1"):
        command = tuple(word.replace("qwen3-8b", "llama-3.1-8b").replace("131072", "262144") for word in command)
    found = understand(of_arguments(command), version).asked
    model = load(found.model, overrides=found.overrides).architecture
    ask = Ask(parse_spec("h100"), found.engine, found.values["context_tokens"], version=found.version, own=found.own)
    if serves:
        assert context_of(model, ask) == found.values["context_tokens"]
        return
    with pytest.raises(UsageError, match="beyond the model's") as refused:
        context_of(model, ask)
    assert "ALLOW" in refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  a:\n    image: vllm/vllm-openai:v0.20.0\n    command: {}\n"
        "    environment:\n      VLLM_ALLOW_LONG_MAX_MODEL_LEN: '1'\n",
        "spec:\n  containers:\n  - name: a\n    image: vllm/vllm-openai:v0.20.0\n    args: {}\n"
        "    env:\n    - name: VLLM_ALLOW_LONG_MAX_MODEL_LEN\n      value: '1'\n",
    ],
)
def test_a_manifests_variables_count(text: str) -> None:
    from archcalc.analysis.ask import understand
    from archcalc.commands.words import of_text

    arguments = '["--model", "qwen3-8b", "--max-model-len", "131072"]'
    found = understand(of_text(text.replace("{}", arguments), "a.yaml"))
    assert found.asked.own.allows_longer and found.options.used["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] == "1"


@pytest.mark.parametrize(
    ("engine", "name", "effect"),
    [
        ("vllm", "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "used"),
        ("vllm", "VLLM_LOGGING_LEVEL", "inert"),
        ("vllm", "VLLM_CPU_KVCACHE_SPACE", "inert"),
        ("vllm", "VLLM_MLA_DISABLE", "used"),
        ("vllm", "VLLM_MLA_PERFORM_MATRIX_ABSORPTION", "unmodelled"),
        ("vllm", "VLLM_ATTENTION_BACKEND", "unmodelled"),
        ("vllm", "VLLM_NEW_IN_ANOTHER_RELEASE", "unmodelled"),
        ("vllm", "HF_HOME", None),
        ("sglang", "SGLANG_MAMBA_SSM_DTYPE", "used"),
        ("sglang", "SGLANG_MAMBA_CONV_DTYPE", "unmodelled"),
        ("sglang", "SGLANG_TORCH_PROFILER_DIR", "inert"),
        ("llama.cpp", "GGML_CUDA_ENABLE_UNIFIED_MEMORY", "unmodelled"),
        ("llama.cpp", "LLAMA_CACHE", "inert"),
        ("ollama", "OLLAMA_KV_CACHE_TYPE", "used"),
        ("ollama", "OLLAMA_SCHED_SPREAD", "unmodelled"),
        ("ollama", "OLLAMA_HOST", "inert"),
    ],
)
def test_what_a_variable_does(engine: Any, name: str, effect: str | None) -> None:
    assert environment.effect(engine, name) == effect


def _understood(*words: str) -> Any:
    from archcalc.analysis.ask import understand
    from archcalc.commands.words import of_arguments

    return understand(of_arguments(words))


def test_variables_stand_for_llama_cpps_flags() -> None:
    """A flag on the command line counts first (common/arg.cpp `common_params_parse_ex`)."""
    server = ("llama-server", "-m", "qwen3-8b")
    found = _understood(
        "LLAMA_ARG_CTX_SIZE=8192", "LLAMA_ARG_N_PARALLEL=2", "LLAMA_ARG_FLASH_ATTN=off", "LLAMA_ARG_NO_KV_OFFLOAD=1", *server
    )
    own = found.asked.own
    assert (own.cells, own.slots, own.flash, own.cache_on_cpu) == (8192, 2, False, True)
    assert found.options.used["--ctx-size"] == "8192"
    assert _understood("LLAMA_ARG_CTX_SIZE=8192", *server, "-c", "4096").asked.own.cells == 4096
    with pytest.raises(UsageError, match="whole number"):
        _understood("LLAMA_ARG_CTX_SIZE=many", *server)


def test_the_first_engine_where_it_is_asked_for() -> None:
    """Up to 0.10.2 a variable chooses between vLLM's engines (envs.py `VLLM_USE_V1`)."""
    from archcalc.analysis.ask import understand
    from archcalc.commands.words import of_arguments
    from archcalc.engines.vllm.budget import runs_v0
    from archcalc.hardware import parse_spec

    command, device = of_arguments(("VLLM_USE_V1=0", "vllm", "serve", "llama-3.1-8b")), parse_spec("h100").device
    old, new = understand(command, "0.10.2"), understand(command, "0.11.0")
    assert runs_v0(device, "0.10.2", old.asked.own) and not runs_v0(device, "0.10.2")
    assert not runs_v0(device, "0.11.0", new.asked.own)
    assert "VLLM_USE_V1" in old.options.used and "VLLM_USE_V1" in new.options.inert


# llama.cpp's --fit


def _server(cli: Run, vram: str, *flags: str, model: str = "Qwen3-8B-Q4_K_M.gguf", version: str | None = None) -> dict[str, Any]:
    asked = ("--engine-version", version) if version else ()
    return _fit(cli, "--vram", vram, *asked, "--", "llama-server", "-m", model, *flags)


@pytest.mark.parametrize("vram", ["7GiB", "8GiB", "10GiB"])
def test_an_unset_context_is_interpolated(cli: Run, vram: str) -> None:
    """common/fit.cpp: linear between what the least and the trained length take, down to a multiple of 256."""
    margin = 1 << 30
    spare = [_server(cli, vram, "-c", str(n), "--fit", "off")["per_gpu"]["headroom_bytes"] - margin for n in (4096, 40960)]
    assert spare[1] < 0 < spare[0]
    expected = 4096 + (40960 - 4096) * spare[0] // (spare[0] - spare[1])
    found = _server(cli, vram)
    assert found["context_tokens"] == expected - expected % 256
    assert found["fits"] and found["start"]["starts"]
    assert any("--fit lowers the context from 40,960" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("vram", "flags", "version", "context", "starts", "moved"),
    [
        # All of it fits: nothing changes.
        ("24GiB", (), None, 40960, True, False),
        # Where not even the least does, layers go to the CPU's memory.
        ("4GiB", (), None, 4096, True, True),
        ("4GiB", ("--fit-ctx", "8192"), None, 8192, True, True),
        # A context that is set stays, and so does -c 0: layers move, and the engine starts.
        ("8GiB", ("-c", "32768"), None, 32768, True, True),
        ("8GiB", ("-c", "0"), None, 40960, True, True),
        # A placement that is set stays.
        ("8GiB", ("-c", "32768", "-ngl", "99"), None, 32768, False, False),
        ("8GiB", ("--fit", "off"), None, 40960, False, False),
        # Builds before it took 4,096.
        ("8GiB", ("-ngl", "99"), "b6000", 4096, True, False),
        ("8GiB", ("-c", "0", "-ngl", "99"), "b6000", 40960, False, False),
    ],
)
def test_what_fit_sets(
    cli: Run, vram: str, flags: tuple[str, ...], version: str | None, context: int, starts: bool, moved: bool
) -> None:
    found = _server(cli, vram, *flags, version=version)
    assert (found["context_tokens"], found["start"]["starts"]) == (context, starts)
    assert any("layers on the GPUs" in note for note in found["notes"]) == moved
    if starts and not found["start"]["limit"]:
        assert found["fits"] and found["per_gpu"]["headroom_bytes"] >= 0
    elif starts:
        # What was asked for is more than the GPU holds.
        assert not found["fits"] and "layers on the GPUs" in found["start"]["limit"]


def test_more_memory_never_shortens_the_context(cli: Run) -> None:
    found = [_server(cli, f"{size}GiB")["context_tokens"] for size in range(4, 15)]
    assert found == sorted(found) and found[0] == 4096 and found[-1] == 40960
    assert all(tokens % 256 == 0 for tokens in found)


def test_what_a_straight_line_misses_comes_out_of_the_margin(cli: Run) -> None:
    """Sliding layers and the larger of two phases make no line; the engine does not measure again once a context is found."""
    found = _server(cli, "12GiB", model="gemma-3-12b-Q4_K_M.gguf")
    assert found["fits"] and 4096 < found["context_tokens"] < 131072 and found["per_gpu"]["headroom_bytes"] == 0


def test_several_gpus_share_one_context(cli: Run) -> None:
    """Sums over the GPUs decide, less some layers that may not come out even (common/fit.cpp, step 2)."""
    found = _fit(cli, "--gpu", "2x4090", "--", "llama-server", "-m", "llama-3.3-70b-Q4_K_M.gguf")
    assert found["fits"] and 4096 < found["context_tokens"] < 131072 and found["context_tokens"] % 256 == 0
    assert any("81 of 81 layers" in note for note in found["notes"])


def test_slots_with_buffers_of_their_own_share_what_there_is(cli: Run) -> None:
    one, two = _server(cli, "8GiB"), _server(cli, "8GiB", "-np", "2")
    assert two["concurrency"] == 2 and one["context_tokens"] - 512 <= 2 * two["context_tokens"] <= one["context_tokens"] + 512


def test_experts_leave_the_gpu_before_layers_do(cli: Run) -> None:
    found = _server(cli, "12GiB", model="Qwen3-30B-A3B-Q4_K_M.gguf")
    assert found["fits"] and found["context_tokens"] == 4096 and found["ram"]["used_bytes"] > 4 << 30
    assert any("49 of 49 layers" in note and "without their experts" in note for note in found["notes"])
    # One layer's experts more would not have fitted.
    assert found["per_gpu"]["headroom_bytes"] < (found["per_gpu"]["weights_bytes"] + found["ram"]["used_bytes"]) // 48


@pytest.mark.parametrize(
    ("vram", "words", "version", "context"),
    [
        # By the GPUs' memory since 0.15.5 (server/routes.go), and no more than the trained length.
        ("16GiB", ("ollama", "run", "qwen3-8b"), None, 4096),
        ("24GiB", ("ollama", "run", "qwen3-8b"), None, 32768),
        ("80GiB", ("ollama", "run", "qwen3-8b"), None, 40960),
        ("80GiB", ("ollama", "run", "qwen3-8b"), "0.15.0", 4096),
        ("80GiB", ("ollama", "run", "qwen3-8b"), "0.6.6", 2048),
        ("16GiB", ("OLLAMA_CONTEXT_LENGTH=8192", "ollama", "run", "qwen3-8b"), None, 8192),
        ("80GiB", ("OLLAMA_CONTEXT_LENGTH=100000", "ollama", "run", "qwen3-8b"), None, 40960),
        # What is kept free counts as not there.
        ("24GiB", ("OLLAMA_GPU_OVERHEAD=2147483648", "ollama", "run", "qwen3-8b"), None, 4096),
    ],
)
def test_the_context_that_ollama_takes(cli: Run, vram: str, words: tuple[str, ...], version: str | None, context: int) -> None:
    asked = ("--engine-version", version) if version else ()
    assert _fit(cli, "--vram", vram, *asked, "--", *words)["context_tokens"] == context


# Versions


@pytest.mark.parametrize(
    ("command", "version", "newest"),
    [
        (("vllm", "serve", "llama-3.1-8b"), "7.0", "0.33.0"),
        (("vllm", "serve", "llama-3.1-8b"), "0.34.0rc1", "0.33.0"),
        (("python", "-m", "sglang.launch_server", "--model-path", "llama-3.1-8b"), "1.0", "0.5.23"),
        (("llama-server", "-m", "llama-3.1-8b"), "b99999", "b10969"),
        (("ollama", "run", "llama-3.1-8b"), "7.0", "0.33.0"),
        (("docker", "run", "vllm/vllm-openai:v0.99.0", "--model", "llama-3.1-8b"), None, "0.33.0"),
    ],
)
@pytest.mark.parametrize("question", ["fit", "kv"])
def test_a_version_of_the_future_is_told(
    cli: Run, question: str, command: tuple[str, ...], version: str | None, newest: str
) -> None:
    machine = ("--gpu", "h100") if question == "fit" else ()
    asked = ("--engine-version", version) if version else ()
    done = cli(question, "--offline", "--format", "json", *machine, *asked, "--", *command)
    found = json.loads(done.stdout)
    assert sum(f"is newer than {newest}" in note for note in found["notes"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit", "llama-3.1-8b", "--gpu", "h100", "--engine", "vllm", "--engine-version", "0.1.0"), "known from 0.6.0 to 0.33.0"),
        (("fit", "llama-3.1-8b", "--gpu", "h100", "--engine", "sglang", "--engine-version", "0.2"), "known from 0.3.6 to 0.5.23"),
        (("fit", "llama-3.1-8b", "--gpu", "h100", "--engine", "sglang", "--engine-version", "new"), "not a version of SGLang"),
        (("kv", "llama-3.1-8b", "--engine", "transformers", "--engine-version", "1.0"), "known from 4.36.0 to 5.24.0"),
        (("fit", "--gpu", "h100", "--engine-version", "0.1.0", "--", "vllm", "serve", "llama-3.1-8b"), "known from 0.4.0"),
        (("fit", "--gpu", "h100", "--engine-version", "7.0", "--", "llama-server", "-m", "llama-3.1-8b"), "no build of llama.cpp"),
        (
            ("fit", "--gpu", "h100", "--engine-version", "b7", "--", "llama-server", "-m", "llama-3.1-8b"),
            "known are builds from b1046",
        ),
        (("fit", "--gpu", "h100", "--engine-version", "0.1.dev16944", "--", "vllm", "serve", "llama-3.1-8b"), "names no release"),
        (("fit", "--gpu", "h100", "--engine-version", "new", "--", "ollama", "run", "llama-3.1-8b"), "not a version of Ollama"),
    ],
)
def test_a_version_that_cannot_be_is_refused(cli: Run, arguments: tuple[str, ...], said: str) -> None:
    done = cli(arguments[0], "--offline", *arguments[1:])
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr
