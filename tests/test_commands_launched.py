"""What engines refuse of several processes and machines before they look at a model."""

from __future__ import annotations

import shlex

import pytest

from conftest import Run

SGLANG = "python -m sglang.launch_server --model-path"
MOE, DENSE = "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-8B"


# SGLang 0.4.0 and 0.5.4, srt/server_args.py `check_server_args` ("tp_size must be divisible by number of nodes", "multi-node data parallel
# is not supported unless dp attention"); 0.5.23, srt/arg_groups/validation_hook.py, srt/server_args.py `PortArgs.init_new`.
# vLLM 0.33, config/parallel.py `__post_init__` ("nnodes > 1 can only be set when distributed executor backend is mp, uni or
# external_launcher"), engine/arg_utils.py `create_engine_config` ("cannot be enabled together", "requires `--data-parallel-backend mp`",
# "requires a data-parallel rank"), entrypoints/cli/serve.py `cmd`, `run_headless`.
@pytest.mark.parametrize(
    ("version", "command", "said"),
    [
        ("", f"{SGLANG} {MOE} --tp 16 --nnodes 3 --node-rank 0 --dist-init-addr a:1", "--nnodes 3: 16 ranks"),
        ("", f"{SGLANG} {DENSE} --tp 8 --dp 2 --nnodes 2 --node-rank 0 --dist-init-addr a:1", "--nnodes 2 --dp-size 2"),
        ("0.4.4", f"{SGLANG} {DENSE} --tp 8 --dp 2 --nnodes 2 --node-rank 0 --dist-init-addr a:1", "--nnodes 2 --dp-size 2"),
        ("", f"{SGLANG} {MOE} --tp 16 --dp 4 --enable-dp-attention --nnodes 2 --node-rank 0", "--dist-init-addr"),
        ("", f"{SGLANG} {MOE} --tp 16 --dp 4 --enable-dp-attention --nnodes 2 --node-rank 0 --dist-init-addr a:1", ""),
        ("", f"{SGLANG} {MOE} --tp 16 --nnodes 2 --node-rank 0 --dist-init-addr a:1", ""),
        ("", f"vllm serve {MOE} -tp 8 -pp 2 --nnodes 2 --node-rank 0 --distributed-executor-backend ray", "--nnodes with mp"),
        ("0.12.0", f"vllm serve {MOE} -tp 8 -pp 2 --nnodes 2 --node-rank 0 --distributed-executor-backend ray", "--nnodes with mp"),
        ("", f"vllm serve {MOE} -tp 8 -pp 2 --nnodes 2 --node-rank 0 --distributed-executor-backend mp", ""),
        ("", f"vllm serve {MOE} -tp 8 -pp 2 --distributed-executor-backend ray", ""),
        ("", f"vllm serve {MOE} -tp 8 -dp 2 --nnodes 2 --node-rank 0 --data-parallel-backend ray", "--data-parallel-backend ray"),
        ("", f"vllm serve {MOE} -tp 8 -dp 2 --data-parallel-hybrid-lb --data-parallel-external-lb", "one way to balance"),
        ("", f"vllm serve {MOE} -dp 16 --data-parallel-external-lb", "which of the 16 replicas"),
        ("", f"vllm serve {MOE} -dp 16 --data-parallel-external-lb --data-parallel-rank 0", ""),
        ("", f"vllm serve {DENSE} -dp 16 --data-parallel-external-lb --data-parallel-rank 0", "model without experts"),
        ("", f"vllm serve {MOE} -dp 16 --headless --api-server-count 2", "--headless --api-server-count 2"),
        ("", f"vllm serve {MOE} -dp 16 --headless --api-server-count 1", "--headless --api-server-count 1"),
        ("0.12.0", f"vllm serve {MOE} -dp 16 --headless --api-server-count 1 --data-parallel-size-local 8", ""),
        # config/parallel.py `__post_init__`: Ray by itself where no backend is named, up to 0.11.0.
        ("0.11.0", f"vllm serve {MOE} -tp 8 -pp 2 --distributed-executor-backend mp", "16 ranks on one host"),
        ("0.11.0", f"vllm serve {MOE} -tp 8 -pp 2", ""),
    ],
)  # fmt: skip
def test_what_is_refused_of_several_machines(cli: Run, version: str, command: str, said: str) -> None:
    release = ("--engine-version", version) if version else ()
    done = cli("fit", "--offline", "--gpu", "16xh100", *release, "--", *shlex.split(command))
    shown = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode == 0) == (not said), shown
    assert said in shown
