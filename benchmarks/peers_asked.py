"""Ten questions of users, asked of four other tools and of archcalc; what they print is kept, to be read. Run by hand, as `peers.py` is.

    python benchmarks/peers_asked.py FOLDER OUT [--only QUESTION...]

FOLDER holds a virtual environment for each tool. Each answer is a file of OUT, QUESTION-TOOL.txt: the command, what it printed, its exit
status and how long it took. No network is needed: the Hub's stand-in of `peers.py` answers for the tools that ask it. docs/peers.md quotes
the answers.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import peers
from archcalc import zoo

LLMFIT, KVFIT, HF_MEM, AIC = "llmfit", "kvfit", "hf-mem", "aiconfigurator"
MINE = {"num_hidden_layers": 40, "hidden_size": 4608, "num_attention_heads": 36, "num_key_value_heads": 12}
"""A researcher's model: what it changes of Qwen3-8B. With 8 KV heads for 36 heads it could not be."""
CARD = """| model | parameters | active | context |
|---|---|---|---|
| deepseek-ai/DeepSeek-V3 | 671B | 37B | 128k |
| openai/gpt-oss-120b | 117B | 12B | 128k |
"""

QUESTIONS: dict[str, list[tuple[str, str]]] = {
    "gpus": [
        ("archcalc", "fit gpt-oss-120b --gpu all --ctx 32k --concurrency 16"),
        (LLMFIT, "plan openai/gpt-oss-120b --context 32768"),
        (KVFIT, "openai/gpt-oss-120b --systems dgx-h100 dgx-h200 --concurrent-users 16 --context 32k"),
        (HF_MEM, "--model-id openai/gpt-oss-120b --experimental --kv-cache-dtype bfloat16 --max-model-len 32768 --batch-size 16"),
        (
            AIC,
            "cli recommend --model openai/gpt-oss-120b --target-concurrency 16 --system h100_sxm --backend vllm --isl 1024 --osl 1024"
            " --ttft 2000 --tpot 30",
        ),
    ],
    "card": [
        ("archcalc", "fit qwen3-32b --gpu 4090"),
        (LLMFIT, "--memory 24G info Qwen/Qwen3-32B"),
        (KVFIT, "Qwen/Qwen3-32B --hardware custom:24 --context 8k"),
        (AIC, "cli support --model Qwen/Qwen3-32B --system rtx_4090"),
    ],
    "mac": [
        ("archcalc", "pick --gpu m3-max-128gb --ctx 32k"),
        (LLMFIT, "--profile apple-m3-max-128gb fit -n 8"),
    ],
    "own": [
        ("archcalc", "fit MINE --gpu h100"),
        ("archcalc", "fit WRONG --gpu h100"),
        (LLMFIT, "info MINE/config.json"),
        (KVFIT, "MINE/config.json --hardware h100"),
        (HF_MEM, "--model-id MINE"),
        (AIC, "cli support --model MINE --system h100_sxm --backend vllm"),
        (AIC, "cli support --model WRONG --system h100_sxm --backend vllm"),
    ],
    "cache": [
        ("archcalc", "kv deepseek-v3 gemma-3-27b --ctx 32k --format csv"),
        (LLMFIT, "concurrency deepseek-ai/DeepSeek-V3 --context 32768"),
        (LLMFIT, "concurrency google/gemma-3-27b-it --context 32768"),
        (KVFIT, "deepseek-ai/DeepSeek-V3 --hardware h200 --gpus 8 --context 32k"),
        (KVFIT, "google/gemma-3-27b-it --hardware h200 --gpus 8 --context 32k"),
        (HF_MEM, "--model-id deepseek-ai/DeepSeek-V3 --experimental --kv-cache-dtype bfloat16 --max-model-len 32768 --json-output"),
        (HF_MEM, "--model-id google/gemma-3-27b-it --experimental --kv-cache-dtype bfloat16 --max-model-len 32768 --json-output"),
    ],
    "formats": [
        ("archcalc", "fit qwen3-32b --gpu 4090 --quant q4_k_m"),
        ("archcalc", "fit gpt-oss-120b --gpu h100 --ctx 8k"),
        (LLMFIT, "info openai/gpt-oss-120b"),
        (KVFIT, "openai/gpt-oss-120b --hardware h100 --context 8k"),
        (HF_MEM, "--model-id openai/gpt-oss-120b --json-output --details"),
    ],
    "active": [
        ("archcalc", "inspect gpt-oss-120b"),
        (LLMFIT, "info openai/gpt-oss-120b"),
        (HF_MEM, "--model-id deepseek-ai/DeepSeek-V3 --experimental --kv-cache-dtype bfloat16 --json-output"),
    ],
    "nodes": [
        ("archcalc", "fit deepseek-v3 --gpu 2xdgx-h200 --ctx 32k --concurrency 16"),
        (KVFIT, "deepseek-ai/DeepSeek-V3 --system dgx-h200 --nodes 2 --context 32k"),
        (AIC, "cli default --model deepseek-ai/DeepSeek-V3 --total-gpus 16 --system h200_sxm --backend sglang --isl 1024 --osl 1024"),
    ],
    "cost": [("archcalc", "fit llama-3.3-70b --gpu all --ctx 32k --concurrency 64")],
    "check": [("archcalc", "check CARD --offline")],
}  # fmt: skip
"""By question, which is a name of docs/peers.md's table: the tools that have a command for it, and the command."""


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a virtual environment for each tool")
    parser.add_argument("out", type=Path, help="where the answers are kept")
    parser.add_argument("--only", nargs="+", metavar="QUESTION", choices=QUESTIONS, default=list(QUESTIONS))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), peers.Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        env = {**peers.environment(f"http://127.0.0.1:{server.server_address[1]}", home), "COLUMNS": "120"}
        stands = {"CARD": f"{home}/README.md", "MINE": f"{home}/mine", "WRONG": f"{home}/wrong"}
        Path(stands["CARD"]).write_text(CARD, encoding="utf-8")
        for name, change in (("MINE", {}), ("WRONG", {"num_key_value_heads": 8})):
            Path(stands[name]).mkdir()
            config = json.dumps({**zoo.config("qwen3-8b"), **MINE, **change})
            (Path(stands[name]) / "config.json").write_text(config, encoding="utf-8")
        for question in args.only:
            for i, (tool, call) in enumerate(QUESTIONS[question]):
                words = [
                    stands.get(word.split("/")[0], word.split("/")[0]) + word[len(word.split("/")[0]) :] for word in call.split()
                ]
                bin_ = args.folder / tool / "bin"
                if tool == "archcalc":
                    started = [sys.executable, "-m", "archcalc", *words]
                elif tool in (KVFIT, HF_MEM):
                    started = [str(bin_ / "python"), "-c", peers.SHIM, tool, *words]
                else:
                    started = [str(bin_ / tool), *words]
                begin = time.perf_counter()
                own = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")} if tool == "archcalc" else {}
                done = subprocess.run(started, env={**env, **own}, capture_output=True, text=True, check=False)
                took = time.perf_counter() - begin
                text = f"$ {tool} {shlex.join(words)}\n{done.stdout}{done.stderr}\n[exit {done.returncode}, {took:.2f} s]\n"
                (args.out / f"{question}-{i}-{tool}.txt").write_text(text, encoding="utf-8")
                print(f"{question}: {tool}, exit {done.returncode}, {took:.2f} s", file=sys.stderr)
    server.shutdown()


if __name__ == "__main__":
    main()
