"""Commands as they are copied, written by a script into a file, or given by a chart, an operator or a scheduler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcalc.commands.config_file import merged
from archcalc.commands.words import filled, of_arguments, of_text
from archcalc.errors import UsageError
from conftest import Run

PLAIN = "vllm serve qwen3-8b --max-model-len 8192 --max-num-seqs 16"


def read(text: str, name: str) -> tuple[str, tuple[str, ...]]:
    """The command of a text, as one line, and its notes; nothing else stands beside it."""
    made = merged(filled(of_text(text, name), lambda _: None), lambda _: None)
    return f"{made.program} {' '.join(made.words)}", made.notes


PASTED = [
    ("a.sh", "$ vllm serve qwen3-8b \\\n>   --max-model-len 8192 \\\n>   --max-num-seqs 16\n", "prompts"),
    ("a.sh", "  1  vllm serve qwen3-8b \\\n  2    --max-model-len 8192 \\\n  3    --max-num-seqs 16\n", "numbers of lines"),
    ("a.sh", "12: vllm serve qwen3-8b \\\n13:   --max-model-len 8192 --max-num-seqs 16\n", "numbers of lines"),
    ("a.sh", "vllm serve qwen3-8b \\ \n  --max-model-len 8192 \\\t\n  --max-num-seqs 16\n", "a blank stands behind a \\"),
    ("a.sh", "vllm serve \u201cqwen3-8b\u201d \u2013-max-model-len 8192 \u2014max-num-seqs 16\n", "typographic"),
    ("a.sh", "vllm serve qwen3-8b \u2212\u2212max-model-len 8192 --max-num-seqs\u00a016\n", "typographic"),
    ("issue.md", "It's what I ran\n```bash\n$ vllm serve qwen3-8b --max-model-len 8192 --max-num-seqs 16\n```\n~~~\nERR (\n~~~\n", ""),
    ("a.sh", "echo Let\u2019s go\nvllm serve qwen3-8b --max-model-len 8192 --max-num-seqs 16\n", ""),
    ("", "vllm serve qwen3-8b ^\n  --max-model-len 8192 ^\n  --max-num-seqs 16\n", ""),
    ("", "vllm serve qwen3-8b `\n  --max-model-len 8192 `\n  --max-num-seqs 16\n", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), PASTED)
def test_what_copying_does_to_a_command_is_undone_and_told(name: str, text: str, said: str) -> None:
    line, notes = read(text, name)
    assert line == PLAIN
    assert any(said in note for note in notes) if said else not notes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([PLAIN], ""),
        ([f"bash -lc '{PLAIN}'"], ""),
        ([f"CUDA_VISIBLE_DEVICES=0 {PLAIN} > log 2>&1 &"], ""),
        (["vllm", "serve", "qwen3-8b", " --max-model-len", "8192", " --max-num-seqs", "16"], "in front of a blank"),
        (["vllm", "serve", "\u201cqwen3-8b\u201d", "\u2013-max-model-len", "8192", "\u2014max-num-seqs", "16"], "typographic"),
        (["vllm\u00a0serve\u00a0qwen3-8b", "--max-model-len\u00a08192", "--max-num-seqs", "16"], "typographic"),
        (["kubectl", "run", "v", "--image", "vllm/vllm-openai:v0.9.2", "--env", "A=1", "--", *PLAIN.split()[2:]], ""),
        (["uv", "run", "--with", "vllm==0.9.2", *PLAIN.split()], ""),
        (["singularity", "exec", "--nv", "--env", "CUDA_VISIBLE_DEVICES=0,1", "x.sif", *PLAIN.split()], ""),
    ],
)
def test_words_behind_two_dashes(words: list[str], said: str) -> None:
    made = of_arguments(words)
    assert f"{made.program} {' '.join(made.words)}" == PLAIN
    assert any(said in note for note in made.notes) if said else not made.notes
    assert {"vllm", "1"}.isdisjoint(dict(made.environment))
    assert dict(made.environment).get("CUDA_VISIBLE_DEVICES", "0") in ("0", "0,1")


FILE = "#!/bin/bash\nvllm serve qwen3-8b --max-model-len $CTX --max-num-seqs 16\n"
MANIFEST = """apiVersion: v1
kind: Pod
spec:
  containers:
  - name: v
    image: vllm/vllm-openai:v0.9.2
    args: ["--model", "qwen3-8b", "--max-model-len", "8192", "--max-num-seqs", "16"]
"""
WRITTEN = [
    f"CTX=8192\ncat > start.sh <<EOF\n{FILE}EOF\nchmod +x start.sh\nbash start.sh\n",
    f"CTX=8192\ncat <<EOF > /opt/start.sh\n{FILE}EOF\nexec /opt/start.sh\n",
    f"export CTX=8192\ncat > start.sh <<'EOF'\n{FILE}EOF\nnohup ./start.sh > log 2>&1 &\n",
    f"export CTX=8192\ntee start.sh >/dev/null <<'EOF'\n{FILE}EOF\nsource start.sh\n",
    f"cat > start.sh <<'EOF'\n{FILE}EOF\ndocker run -e CTX=8192 --gpus all vllm/vllm-openai:v0.9.2 bash /w/start.sh\n",
    f"cat > start.sh <<'EOF'\n{FILE.replace('$CTX', '8192')}EOF\nsbatch start.sh\n",
    f"cat > pod.yaml <<EOF\n{MANIFEST}EOF\nkubectl apply -f pod.yaml\n",
    f"kubectl apply -f - <<EOF\n{MANIFEST}EOF\n",
    f"cat <<EOF | oc apply -f -\n{MANIFEST}EOF\n",
    "cat > compose.yaml <<EOF\nservices:\n  v:\n    image: vllm/vllm-openai:v0.9.2\n    command: --model qwen3-8b --max-model-len 8192"
    " --max-num-seqs 16\nEOF\ndocker compose up -d\n",
    "cat > args.yaml <<EOF\nmax-model-len: 8192\nmax-num-seqs: 16\nEOF\nvllm serve qwen3-8b --config args.yaml\n",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_file_that_a_script_writes_and_runs(text: str) -> None:
    line, notes = read(text, "a.sh")
    assert line == PLAIN and not notes


def test_a_program_that_a_script_writes() -> None:
    text = "cat > serve.py <<'EOF'\nfrom vllm import LLM\nllm = LLM(model='qwen3-8b', max_model_len=8192)\nEOF\npython serve.py\n"
    assert read(text, "a.sh")[0] == "LLM --model qwen3-8b --max-model-len 8192"


@pytest.mark.parametrize(
    ("options", "words", "expected"),
    [
        # Slurm 25.05, sbatch(1), "Output environment variables".
        (("--nodes=2", "--gpus-per-node=8"), "-tp 8 -pp $SLURM_NNODES", "-tp 8 -pp 2"),
        (("-N 2", "--gres=gpu:h100:4"), "-tp $SLURM_GPUS_ON_NODE -pp ${SLURM_JOB_NUM_NODES}", "-tp 4 -pp 2"),
        (("-N2", "--ntasks-per-node=4"), "-tp $((SLURM_NTASKS))", "-tp 8"),
        (("--ntasks 4", "--gpus-per-task=1"), "-tp $SLURM_NTASKS", "-tp 4"),
        (("--gpus=4",), "-tp $SLURM_GPUS_ON_NODE", "-tp 4"),
        (("-N 1-4", "--gpus-per-node=8"), "-tp $SLURM_GPUS_PER_NODE -pp $SLURM_NNODES", "-tp 8 -pp $SLURM_NNODES"),
    ],
)
def test_variables_of_an_allocation(options: tuple[str, ...], words: str, expected: str) -> None:
    text = (
        "#!/bin/bash\n" + "".join(f"#SBATCH {option}  # as asked\n" for option in options) + f"srun vllm serve qwen3-8b {words}\n"
    )
    made = of_text(text, "job.sh")
    assert f"{' '.join(made.words)}" == f"qwen3-8b {expected}"
    assert any(made.unknown) == ("$" in expected) and not dict(made.environment)


SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: m}}
spec:
  predictor:
    model:
      modelFormat: {{name: {format}}}
      args: [{args}]
      storageUri: hf://Qwen/Qwen3-8B
"""
LLM = """apiVersion: serving.kserve.io/v1alpha1
kind: LLMInferenceService
spec:
  model: {uri: hf://Qwen/Qwen3-8B, name: q}
  parallelism: {tensor: 2}
  template:
    containers:
    - name: main
      image: IMAGE
      env:
      - {name: VLLM_ADDITIONAL_ARGS, value: "--max-model-len 8192"}
      args: [MORE]
"""
STARTED = [
    (
        SERVICE.format(format="huggingface", args="--model_name=q, --max_length=8192, --backend, vllm"),
        "vllm serve Qwen/Qwen3-8B --max-model-len 8192 --dtype float16", "float16",
    ),
    (
        SERVICE.format(format="huggingface", args="--model_id=Qwen/Qwen3-4B, --dtype=bfloat16, --tensor-parallel-size=2"),
        "vllm serve Qwen/Qwen3-4B --dtype bfloat16 --tensor-parallel-size 2", "",
    ),
    (SERVICE.format(format="vLLM", args="--max-model-len=8192"), "vllm serve Qwen/Qwen3-8B --max-model-len=8192", ""),
    (
        LLM.replace("IMAGE", "vllm/vllm-openai:v0.11.0").replace("MORE", "--max-num-seqs=16"),
        "vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2 --max-model-len 8192 --max-num-seqs=16", "",
    ),
    (
        LLM.replace("IMAGE", "lmsysorg/sglang:v0.5.5").replace("MORE", "--context-length, '8192'"),
        "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --tp 2 --context-length 8192", "",
    ),
    (
        "modelArtifacts: {uri: 'hf://Qwen/Qwen3-8B', name: q}\ndecode:\n  parallelism: {tensor: 2, data: 1}\n  containers:\n"
        "  - {name: vllm, image: 'ghcr.io/llm-d/llm-d-cuda:v0.4.0', modelCommand: vllmServe, args: [--max-num-seqs, '16']}\n",
        "vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2 --max-num-seqs 16", "",
    ),
    (
        "image:\n  repository: vllm/vllm-openai\n  tag: v0.9.2\n  command: [vllm, serve, qwen3-8b, --max-num-seqs, '16']\n",
        "vllm serve qwen3-8b --max-num-seqs 16", "",
    ),
    (
        "services:\n  v:\n    image: vllm/vllm-openai:v0.9.2\n    entrypoint: [bash, -c]\n    environment: {M: qwen3-8b}\n    command:\n"
        "    - |\n      pip list\n      vllm serve $${M} --max-num-seqs 16\n",
        "vllm serve qwen3-8b --max-num-seqs 16", "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said"), STARTED)
def test_what_operators_and_charts_start(text: str, line: str, said: str) -> None:
    made, notes = read(text, "a.yaml")
    assert made == line
    assert any(said in note for note in notes) if said else not notes


def test_arguments_in_a_variable_are_used_as_the_command_s(cli: Run, tmp_path: Path) -> None:
    """kserve/kserve, config/llmisvcconfig: the template's command ends with the variable's words."""
    path = tmp_path / "service.yaml"
    path.write_text(LLM.replace("IMAGE", "vllm/vllm-openai:v0.11.0").replace("MORE", ""), encoding="utf-8")
    done = cli("fit", "--gpu", "2xh100", "--command-file", str(path), "--format", "json", "--offline")
    answer = json.loads(done.stdout)
    assert answer["context_tokens"] == 8192
    assert answer["options"]["unmodelled"] == [] and "ADDITIONAL" not in answer["verdict"]


@pytest.mark.parametrize("args", ["5", "--max-model-len 8192"])
@pytest.mark.parametrize(
    "text",
    [
        SERVICE.replace("[{args}]", "{args}").format(format="huggingface", args="ARGS"),
        LLM.replace("[MORE]", "ARGS"),
        "modelArtifacts: {uri: 'hf://Qwen/Qwen3-8B'}\ndecode:\n  containers:\n  - modelCommand: vllmServe\n    args: ARGS\n",
    ],
)
def test_arguments_that_are_no_list_are_refused(text: str, args: str) -> None:
    with pytest.raises(UsageError, match=f"args is {args}: a list was expected"):
        read(text.replace("ARGS", args), "a.yaml")


def test_variables_that_are_no_list_are_none() -> None:
    text = LLM.replace('\n      - {name: VLLM_ADDITIONAL_ARGS, value: "--max-model-len 8192"}', " 5").replace("[MORE]", "[]")
    assert read(text, "a.yaml")[0] == "vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2"


SET = "--set servingEngineSpec.modelSpec[0]."
HELM = [
    (
        f"{SET}name=q {SET}modelURL=Qwen/Qwen3-8B {SET}vllmConfig.maxModelLen=8192,servingEngineSpec.modelSpec[0].requestGPU=1",
        "vllm serve Qwen/Qwen3-8B --no-enable-prefix-caching --max-model-len 8192",
    ),
    (
        f"{SET}modelURL=Qwen/Qwen3-8B --set-string 'servingEngineSpec.modelSpec[0].vllmConfig.extraArgs={{--max-num-seqs,16}}'",
        "vllm serve Qwen/Qwen3-8B --no-enable-prefix-caching --max-num-seqs 16",
    ),
    (
        '--set-json \'servingEngineSpec={"modelSpec":[{"modelURL":"Qwen/Qwen3-8B","vllmConfig":{"enablePrefixCaching":true}}]}\'',
        "vllm serve Qwen/Qwen3-8B --enable-prefix-caching",
    ),
]


@pytest.mark.parametrize(("flags", "line"), HELM)
def test_values_that_stand_in_the_command_of_helm(flags: str, line: str) -> None:
    assert read(f"helm upgrade --install v vllm/vllm-stack \\\n  {flags}\n", "a.sh")[0] == line


POWER = [
    ("$Ctx = 4096\nllama-server -m m.gguf -c ($Ctx * 2) -ngl 99\n", "llama-server -m m.gguf -c 8192 -ngl 99"),
    ("$Ctx = 4096\n$n = $Ctx * 2\nllama-server -m m.gguf -c $n -ngl 99\n", "llama-server -m m.gguf -c 8192 -ngl 99"),
    ("llama-server -m m.gguf -c $(8KB) -ngl (100 - 1)\n", "llama-server -m m.gguf -c 8192 -ngl 99"),
    ("$Ctx = [int]8192\nllama-server -m m.gguf -c ([int]$Ctx) -ngl 99\n", "llama-server -m m.gguf -c 8192 -ngl 99"),
]


@pytest.mark.parametrize(("text", "line"), POWER)
def test_sums_of_powershell(text: str, line: str) -> None:
    assert read(text, "a.ps1")[0] == line


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.ps1", "llama-server -m qwen3-8b -c (Get-Content n.txt) -ngl 99\n", "Get-Content n.txt"),
        ("a.ps1", "$c = if ($env:BIG) { 8192 } else { 4096 }\nllama-server -m qwen3-8b -c $c\n", "what that command prints"),
        ("a.ps1", "$m = 'qwen' + '3-8b'\nllama-server -m $m -c 8192\n", "what that command prints"),
        ("a.sh", "helm install v vllm/vllm-stack -f values.yaml --set a=1\n", "--command-file values.yaml"),
        ("a.sh", "helm install v vllm/vllm-stack --set a\n", "KEY=VALUE"),
        ("a.sh", "docker run --gpus device=0,1 vllm/vllm-openai:v0.9.2 --model qwen3-8b -tp 2\n", "\"device=0,1\""),
        ("a.yaml", SERVICE.format(format="huggingface", args="--backend=huggingface"), "--engine transformers"),
        ("a.sh", "vllm serve qwen3-8b -tp $(nvidia-smi -L | wc -l)\n", "what that command prints"),
    ],
)  # fmt: skip
def test_what_only_running_it_would_tell_is_one_message(cli: Run, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    done = cli("fit", "--offline", "--gpu", "h100", "--command-file", str(tmp_path / name))
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("gpu", "command", "machines"),
    [
        ("4090,5090", "vllm serve qwen3-8b --max-model-len 8192", ["rtx-4090", "rtx-5090"]),
        ("4090,5090", "python -m sglang.launch_server --model-path qwen3-8b --context-length 8192", ["rtx-4090", "rtx-5090"]),
        # Cards of one machine, where the engine takes several kinds.
        ("4090,5090", "llama-server -m qwen3-8b -c 8192", ["rtx-4090+rtx-5090"]),
    ],
)
def test_a_list_of_gpus_in_front_of_a_command(cli: Run, gpu: str, command: str, machines: list[str]) -> None:
    made = json.loads(cli("fit", "--offline", "-f", "json", "--gpu", gpu, "--", *command.split()).stdout)
    assert [each["gpu"] for each in (made if isinstance(made, list) else [made])] == machines


def test_a_command_without_two_dashes_is_told_where_it_stands(cli: Run) -> None:
    done = cli("fit", "--offline", "--gpu", "h100", PLAIN)
    assert done.returncode != 0 and "stands behind --" in done.stderr
    with pytest.raises(UsageError, match="not the command of an engine"):
        of_arguments(["some program of mine"])
