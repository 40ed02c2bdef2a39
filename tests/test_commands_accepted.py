"""Values that engines refuse at their start, by release, against the sources that the tables were made from, and commands that started."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from archcalc.commands.accepted import refuse
from archcalc.commands.flags import read, table
from archcalc.commands.words import of_arguments
from archcalc.errors import UsageError
from conftest import Run

DATA, SCRIPTS = Path(__file__).parent / "data", Path(__file__).parent.parent / "scripts"
VLLM, SGLANG, LLAMA = "vllm serve m", "python -m sglang.launch_server --model-path m", "llama-server -m m"


def of(command: str, version: str | None = None) -> Any:
    return read(of_arguments(shlex.split(command)), version)


@pytest.mark.parametrize(
    ("command", "version", "said", "hint"),
    [
        # vLLM 0.33: config/lora.py, config/offload.py, config/vllm.py `OptimizationLevel`, config/compilation.py `CUDAGraphMode`.
        (f"{VLLM} --enable-lora --max-loras 0", None, "--max-loras 0: vLLM 0.33.0 takes 1 or more", "leave --max-loras out"),
        (f"{VLLM} --max-lora-rank 48", None, "takes 1, 8, 16, 32, 64, 128, 256, 320, 512", "name one of them"),
        (f"{VLLM} --cpu-offload-gb -3", None, "--cpu-offload-gb -3: vLLM 0.33.0 takes 0 or more", ""),
        (f"{VLLM} --gpu-memory-utilization 1.5", None, "takes more than 0 and 1 at most", ""),
        (f"{VLLM} -O 9", None, "--optimization-level 9: vLLM 0.33.0 takes 0, 1, 2, 3", ""),
        (f"{VLLM} -O=9", None, "--optimization-level 9", ""),
        (f"{VLLM} --optimization-level 4", None, "--optimization-level 4", ""),
        (f"{VLLM} --compilation-config '{{\"cudagraph_mode\": \"FULLL\"}}'", None, "cudagraph_mode FULLL", "the nearest is FULL"),
        (f"{VLLM} --compilation-config.cudagraph_mode NOPE", None, "takes FULL, FULL_AND_PIECEWISE", ""),
        (f"{VLLM} --compilation-config '{{\"cudagraph_modes\": 1}}'", None, "no key cudagraph_modes", "the nearest is cudagraph_mode"),
        (f"{VLLM} --speculative-config '{{\"method\": \"mtpp\"}}'", None, "method mtpp", "the nearest is mtp"),
        (f"{VLLM} --speculative-config.num_speculative_tokens 0", None, "takes more than 0", ""),
        (f"{VLLM} --attention-backend foo", None, "--attention-backend foo", ""),
        (f"{VLLM} --tokenizer-mode foo", "0.11.0", "takes auto, custom, mistral, slow", ""),
        (f"{VLLM} --reasoning-parser foo", None, "--reasoning-parser foo", "--reasoning-parser-plugin brings others"),
        (f"{VLLM} --enable-auto-tool-choice --tool-call-parser hermez", None, "--tool-call-parser hermez", "the nearest is hermes"),
        # fp8 caches by token and head came with 0.20 (config/cache.py `CacheDType`).
        (f"{VLLM} --kv-cache-dtype fp8_per_token_head", "0.19.0", "--kv-cache-dtype fp8_per_token_head: vLLM 0.19.0", ""),
        # SGLang 0.5.23: arg_groups/choices.py, speculative/spec_info.py, arg_groups/lora_hook.py, kv_cache_hook.py.
        (f"{SGLANG} --attention-backend foo", None, "--attention-backend foo: SGLang 0.5.23 takes aiter", ""),
        (f"{SGLANG} --attention-backend cutlass_mla", "0.5.20", "SGLang 0.5.20 takes", ""),
        (f"{SGLANG} --speculative-algorithm NOPE", None, "--speculative-algorithm NOPE: SGLang 0.5.23 takes", ""),
        (f"{SGLANG} --load-format foo", None, "--load-format foo", ""),
        # srt/server_args.py: choices that a name of the function holds.
        (f"{SGLANG} --sampling-backend foo", None, "--sampling-backend foo: SGLang 0.5.23 takes ascend, flashinfer", ""),
        (f"{SGLANG} --nsa-prefill-backend foo", "0.5.16", "--nsa-prefill-backend foo", ""),  # A deprecated alias has its choices.
        # model_loader/__init__.py `_LOAD_FORMAT_TO_MODEL_LOADER`, tokenizers/registry.py `_VLLM_TOKENIZERS`: theirs once, no plugin's.
        (f"{VLLM} --load-format bitsandbytes", "0.33.0", "--load-format bitsandbytes: vLLM 0.33.0 takes", ""),
        (f"{VLLM} --tokenizer-mode slow", "0.33.0", "--tokenizer-mode slow", ""),
        (f"{SGLANG} --swa-full-tokens-ratio 1.5", None, "takes more than 0 and 1 at most", ""),
        (f"{SGLANG} --max-loras-per-batch 0", None, "takes more than 0", ""),
        # llama.cpp 0c1e57098, common/arg.cpp.
        (f"{LLAMA} -np 0", None, "--parallel 0: llama.cpp takes any but 0", ""),
        (f"{LLAMA} -fa maybe", None, "--flash-attn maybe: llama.cpp takes", ""),
        (f"{LLAMA} -ctk q5", None, "--cache-type-k q5", "the nearest is q5_"),
        ("llama-bench -m m -fa 0,maybe", None, "-fa maybe: llama-bench takes on,", ""),
        ("llama-bench -m m -p -5", None, "-p -5: a number of tokens was expected", ""),
        (f"{LLAMA} -ncmoe -1", None, "takes 0 or more", ""),
        (f"{LLAMA} --spec-type draft-mtp,foo", None, "--spec-type draft-mtp,foo", ""),
    ],
)  # fmt: skip
def test_a_value_that_the_release_refuses(command: str, version: str | None, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(command, version)
    assert said in caught.value.message and hint in caught.value.hint and caught.value.hint


@pytest.mark.parametrize(
    ("command", "version"),
    [
        (f"{VLLM} --max-loras 0", None),  # Without --enable-lora no configuration of adapters is made.
        (f"{VLLM} --load-format foo", None),  # model_loader/__init__.py `register_model_loader` is for plugins.
        (f"{VLLM} --tokenizer-mode foo", None),  # `TokenizerMode | str` since 0.12.
        (f"{VLLM} --attention-backend flash_attn", None),
        (f"{VLLM} --max-model-len auto", None),
        (f"{VLLM} --compilation-config '{{\"mode\": 3, \"cudagraph_mode\": \"full\"}}'", None),
        (f"{VLLM} --compilation-config '{{\"mode\": null}}'", None),
        (f"{VLLM} --reasoning-parser mine --reasoning-parser-plugin mine.py", None),
        (f"{VLLM} --tool-call-parser foo", None),  # Looked at with --enable-auto-tool-choice alone.
        (f"{VLLM} --cpu-offload-gb -3", "0.6.0"),
        (f"{VLLM} --kv-cache-dtype fp8_per_token_head", "0.20.0"),
        # One that was built on the way to a release takes what either takes; one after the newest anything.
        (f"{VLLM} --kv-cache-dtype fp8_per_token_head", "0.20.0rc1.dev7"),
        (f"{VLLM} --attention-backend foo", "0.40.0"),
        (f"{VLLM} --kv-cache-dtype fp8_per_token_head", "0.19.5"),
        (f"{SGLANG} --speculative-algorithm nextn", None),
        (f"{SGLANG} --attention-backend cutlass_mla", "0.5.12"),
        (f"{LLAMA} -fa", None),
        (f"{LLAMA} -np 0", "b5000"),  # common/arg.cpp looks at it since 2025-12.
        (f"{LLAMA} --repeat-last-n -1", None),
    ],
)  # fmt: skip
def test_a_value_that_the_release_takes(command: str, version: str | None) -> None:
    assert of(command, version).given


def test_a_value_of_another_release_is_taken_where_none_is_named() -> None:
    assert of(f"{SGLANG} --attention-backend cutlass_mla").gone == ("--attention-backend cutlass_mla",)


@pytest.mark.parametrize("words", ["--load-format foo", "--tokenizer-mode foo"])
def test_a_value_that_a_plugin_may_bring_is_told_of(words: str, cli: Run) -> None:
    assert of(f"{VLLM} {words}").plugins == (words,)
    assert of(f"{VLLM} --load-format Safetensors --tokenizer-mode hf").plugins == ()
    made = cli("fit", "--gpu", "h100", "--format", "json", "--", *f"vllm serve qwen3-0.6b {words}".split())
    assert any(note.startswith(words) and "plugin" in note for note in json.loads(made.stdout)["notes"])


LISTS = [
    # nargs="+" of srt/server_args.py, also where the flag is an alias of a later one's (0.5.14 to 0.5.19).
    ("--cuda-graph-bs 1 2 4", "0.5.10"),
    ("--cuda-graph-bs 1 2 4", "0.5.16"),
    ("--cuda-graph-bs 1 2 4", None),
    ("--piecewise-cuda-graph-tokens 1 2 4", "0.5.19"),
    ("--cuda-graph-bs-decode 1 2 4", None),
]


@pytest.mark.parametrize(("words", "version"), LISTS)
def test_a_list_is_no_model(words: str, version: str | None) -> None:
    done = of(f"{SGLANG} {words}", version)
    assert done.positional == () and done.get(words.split(maxsplit=1)[0]) == ["1", "2", "4"]


REFUSED = [
    ("vllm serve qwen3-0.6b --speculative-config {}", "num_speculative_tokens is missing"),
    ('vllm serve qwen3-0.6b --speculative-config {"method":"ngram"}', "num_speculative_tokens is missing"),
    ('vllm serve qwen3-0.6b --speculative-config {"num_speculative_tokens":2}', "neither a method nor a draft model"),
    ("vllm serve qwen3-0.6b --spec-tokens 3", "--spec-tokens: neither a method nor a draft model"),
    ("vllm serve qwen3-0.6b --prefill-context-parallel-size 0", "--prefill-context-parallel-size 0"),
    ("python -m sglang.launch_server --model-path qwen3-0.6b --nnodes 0", "--nnodes 0"),
    ("python -m sglang.launch_server --model-path qwen3-0.6b --attn-cp-size 0", "--attn-cp-size 0"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_what_divides_ranks_and_drafts_is_one_at_least(command: str, said: str, cli: Run) -> None:
    made = cli("fit", "--gpu", "8xh100", "--", *command.split())
    assert made.returncode == 2 and said in made.stderr


STARTED = [line.split("\t") for line in (DATA / "started_commands.tsv").read_text(encoding="utf-8").splitlines()[1:]]


def test_commands_that_started_are_accepted() -> None:
    for _, version, source, command in STARTED:
        assert of(command, version or None).given is not None, source
    assert len({source for _, _, source, _ in STARTED}) > 15


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "mlx"])
def test_a_release_takes_its_own_defaults(engine: Any) -> None:
    """What is written down as a flag's default is no value that the same release refuses."""
    known = table(engine)
    places = {release: tuple(map(int, release.split(".post")[0].split("."))) for release in known.releases}
    for release in (known.releases[0], known.releases[len(known.releases) // 2], known.releases[-1]):
        rows = {row.name: row for row, _ in known.at(release).values()}
        given = {
            name: int(row.default) if row.kind == "int" else float(row.default) if row.kind == "float" else row.default
            for name, row in rows.items()
            if row.default not in ("", "None", "True", "False") and row.kind in ("int", "size", "float", "str")
        }
        assert refuse(engine, release, lambda version: places[version], given) == ((), ())


def fit(cli: Run, command: str, *options: str) -> tuple[int, dict[str, Any] | None, str]:
    done = cli("fit", "--format", "json", "--offline", *options, "--", *shlex.split(command))
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


QWEN, MOE = "vllm serve qwen3-0.6b", "vllm serve qwen3-30b-a3b"
SGL = "python -m sglang.launch_server --model-path qwen3-0.6b"


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        # vLLM: config/lora.py `_validate_lora_config`, config/parallel.py `__post_init__`, engine/arg_utils.py `create_engine_config`.
        (f"{QWEN} --enable-lora --max-loras 8 --max-cpu-loras 2", "", "--max-cpu-loras 2: --max-loras is 8"),
        (f"{QWEN} --data-parallel-rank 3", "", "--data-parallel-size above 1 alone"),
        (f"{MOE} -dp 2 --data-parallel-rank 2", "--gpu 2xh100", "--data-parallel-rank 2: of 2 replicas"),
        (f"{MOE} -dp 2 --enable-eplb", "--gpu 2xh100", "--enable-eplb: vLLM balances experts with expert parallelism alone"),
        (f"{QWEN} --distributed-executor-backend foo", "", "vLLM takes mp, ray, uni, external_launcher"),
        (f"{QWEN} --cudagraph-capture-sizes -3", "", "--cudagraph-capture-sizes -3"),
        (f"{QWEN} --max-cudagraph-capture-size 0", "", "--max-cudagraph-capture-size 0"),
        # SGLang: srt/arg_groups/validation_hook.py, lora_hook.py; srt/model_executor/runner/base_cuda_graph_runner.py.
        (f"{SGL} --cuda-graph-max-bs -1", "", "--cuda-graph-max-bs"),
        (f"{SGL} --context-length -1", "", "--context-length -1"),
        (f"{SGL} --enable-lora", "", "add --max-lora-rank and --lora-target-modules"),
        (f"{SGL} --enable-lora --lora-paths a --max-loaded-loras 2", "", "--max-loras-per-batch is 8"),
        (f"{SGL} --chunked-prefill-size 1000 --page-size 64", "", "is no multiple of --page-size 64"),
        (f"{SGL} --mamba-full-memory-ratio -1", "", "--mamba-full-memory-ratio -1"),
        ("vllm serve gemma-3-4b --limit-mm-per-prompt.image -1", "", "--limit-mm-per-prompt image: -1 items"),
        ("llama-server -m qwen3-0.6b --spec-draft-ngl foo", "", "a number, auto or all"),
        # mlx, mlx/ops.cpp `affine_quantize`.
        ("mlx_lm.server --model qwen3-0.6b --kv-bits 7", "--gpu apple-m2-max", "MLX quantizes with 2, 3, 4, 5, 6, 8"),
    ],
)
def test_flags_that_refuse_each_other(cli: Run, command: str, options: str, said: str) -> None:
    status, _, error = fit(cli, command, *(options or "--gpu h100").split())
    assert status == 2 and said in error


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        # vLLM, config/model.py `_verify_with_expert_parallelism`; `create_engine_config` since 0.21.
        (f"{QWEN} --enable-expert-parallel", "--gpu h100", "--enable-expert-parallel for a model without experts"),
        (f"{QWEN} -dp 2 --data-parallel-rank 1", "--gpu 2xh100", "--data-parallel-rank for a model without experts"),
        # v1/attention/backend.py `validate_configuration`.
        (f"{QWEN} --attention-backend FLASHMLA", "--gpu h100", "for MLA alone"),
        (f"{QWEN} --attention-backend FLASH_ATTN", "--gpu t4", "from compute capability 8.0 on"),
        (f"{QWEN} --attention-backend FLASHINFER", "--gpu t4", "on compute capability 8.0 to 12.1"),
        (
            "vllm serve deepseek-v2-lite --attention-backend FLASH_ATTN",
            "--gpu h100",
            "does not take --attention-backend FLASH_ATTN for MLA",
        ),
        ("vllm serve deepseek-v2-lite --attention-backend FLASHMLA", "--gpu a100-sxm4-80gb", "on compute capability 9.0 to 10.9"),
        # SGLang, srt/arg_groups/attention_hook.py; before 0.5.19 prompts were for Blackwell alone (srt/server_args.py).
        (f"{SGL} --attention-backend trtllm_mha", "--gpu a100-sxm4-80gb", "over prompts on compute capability 9.x or 10.x or 12.x"),
        (f"{SGL} --attention-backend trtllm_mha", "--gpu h100 --engine-version 0.5.12", "over prompts on compute capability 10.x"),
        (f"{SGL} --decode-attention-backend trtllm_mha", "--gpu a100-sxm4-80gb", "over tokens"),
    ],
)
def test_a_command_that_does_not_start_fits_nowhere(cli: Run, command: str, options: str, said: str) -> None:
    status, got, _ = fit(cli, command, *options.split())
    assert status == 1 and got is not None and not got["fits"] and not got["start"]["starts"] and said in json.dumps(got)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (f"{MOE} --enable-expert-parallel", "--gpu h100"),
        (f"{MOE} -dp 2 --data-parallel-rank 1", "--gpu 2xh100"),
        (f"{QWEN} -dp 2 --data-parallel-rank 1", "--gpu 2xh100 --engine-version 0.20.0"),
        ("vllm serve deepseek-v2-lite --attention-backend FLASHMLA", "--gpu h100"),
        (f"{QWEN} --speculative-config.method extract_hidden_states --speculative-config.num_speculative_tokens 1", "--gpu h100"),
        ("env VLLM_MLA_DISABLE=1 vllm serve deepseek-v2-lite --attention-backend FLASH_ATTN --max-model-len 32768", "--gpu h100"),
        (f"{QWEN} --attention-backend TRITON_ATTN", "--gpu t4"),
        (f"{QWEN} --attention-backend FLASHINFER", "--gpu t4 --engine-version 0.23.0"),
        (f"{SGL} --attention-backend trtllm_mha", "--gpu h100"),
        (f"{SGL} --decode-attention-backend trtllm_mha", "--gpu h100 --engine-version 0.5.12"),
        (f"{SGL} --cuda-graph-max-bs -1 --disable-cuda-graph", "--gpu h100"),
    ],
)
def test_a_command_that_starts(cli: Run, command: str, options: str) -> None:
    assert fit(cli, command, *options.split())[0] == 0


def test_an_offload_below_nothing_is_none_to_sglang(cli: Run) -> None:
    """srt/utils/offloader.py `create_offloader_from_server_args`."""
    less, none = (fit(cli, f"{SGL} --cpu-offload-gb {size}", "--gpu", "h100")[1] for size in (-3, 0))
    assert less and none and less["per_gpu"] == none["per_gpu"]


@pytest.mark.parametrize("spelled", ["-O0", "-O=0", "-O 0", "--optimization-level 0"])
def test_a_level_of_optimization_in_all_its_spellings(cli: Run, spelled: str) -> None:
    """vLLM 0.33, utils/argparse_utils.py `FlexibleArgumentParser.parse_args`: without compilation there are no graphs."""
    status, got, _ = fit(cli, f"{QWEN} {spelled}", "--gpu", "h100")
    eager = fit(cli, f"{QWEN} --enforce-eager", "--gpu", "h100")[1]
    assert status == 0 and got and eager and got["per_gpu"]["overhead_bytes"] == eager["per_gpu"]["overhead_bytes"]
    assert not any("of another release" in note for note in got["notes"])


SOURCE = """
Role = Literal["a", "b"]

class Kind(Enum):
    ONE = 1
    TWO = 2

@config
class CacheConfig:
    size: int = Field(default=1, ge=1, lt=9)
    role: Role | None = None
    open: Role | str = "a"
    kind: Kind | None = None
    later: float = 0.5

    @field_validator("kind", mode="before")
    def before(cls, value):
        return Kind[value.upper()]

    def __post_init__(self):
        if not 0 < self.later <= 1:
            raise ValueError("no")

kwargs = get_kwargs(CacheConfig)
group.add_argument("--size", **kwargs["size"])
group.add_argument("--role", **kwargs["role"])
group.add_argument("--open", **kwargs["open"])
group.add_argument("--kind", **kwargs["kind"])
group.add_argument("--later", **kwargs["later"])
group.add_argument("--given", choices=["x", *MORE])
MORE = ["y"]
"""


def test_what_is_read_in_a_source(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("flag_values", SCRIPTS / "flag_values.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["flag_values"] = module
    spec.loader.exec_module(module)
    (tmp_path / "a.py").write_text(SOURCE, encoding="utf-8")
    got = {name: " ".join(taken.bounds or taken.choices) for name, taken in module.of_python([tmp_path / "a.py"], "vllm").items()}
    assert got == {"--size": ">=1 <9", "--role": "a b", "--kind": "ONE TWO", "--later": ">0 <=1", "--given": "x y"}
