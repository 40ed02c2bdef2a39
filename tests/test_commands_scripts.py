"""Scripts and files that start an engine: each is read as its own shell, loader or runtime reads it, or refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.commands.words import of_arguments, of_text
from archcalc.errors import ArchcalcError, UsageError

SERVE = "vllm serve a/b --max-model-len 8192"
WORDS = ("a/b", "--max-model-len", "8192")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        # Functions, their arguments, and what they set (bash 5.2, "Shell Functions").
        ("run() {\n vllm serve a/b --max-model-len $1\n}\nrun 8192", WORDS),
        ("function run { local m=$1; shift; vllm serve $m \"$@\"; }\nrun a/b --max-model-len 8192", WORDS),
        ("run () { vllm serve $1 \"${@:2}\"; }\nrun a/b --max-model-len 8192", WORDS),
        ("pick() { M=a/b; }\npick\nvllm serve $M --max-model-len 8192", WORDS),
        ("log() { echo \"vllm serve x\"; }\nlog\n" + SERVE, WORDS),
        ("outer() { inner $1 8192; }\ninner() { vllm serve $1 --max-model-len $2; }\nouter a/b", WORDS),
        ("a() { vllm serve x; }\nb() { vllm serve a/b --max-model-len 8192; }\nb", WORDS),
        ("run() { if [ $# -eq 2 ]; then L=$2; else L=1; fi; vllm serve $1 --max-model-len $L; }\nrun a/b 8192", WORDS),
        ("run() { vllm serve ${1:-a/b} --max-model-len ${2:-8192}; }\nrun", WORDS),
        # A file that others take functions from.
        ("serve() { vllm serve a/b --max-model-len 8192; }", WORDS),
        # Arrays by their places and keys.
        ("M=(x a/b)\nvllm serve ${M[1]} --max-model-len 8192", WORDS),
        ("M=(x a/b)\nI=1\nvllm serve ${M[$I]} --max-model-len 8192", WORDS),
        ("declare -A M=([s]=x [l]=a/b)\nK=l\nvllm serve ${M[$K]} --max-model-len 8192", WORDS),
        ("declare -A M\nM[l]=a/b\nvllm serve ${M[l]} --max-model-len 8192", WORDS),
        ("M=(a/b c)\nfor m in \"${M[@]}\"; do vllm serve $m --max-model-len 8192; done", WORDS),
        ("M=(a b)\nvllm serve a/b --max-model-len $((${#M[@]}*4096))", WORDS),
        ("declare -A M=([l]=a/b)\nfor k in \"${!M[@]}\"; do vllm serve ${M[$k]} --max-model-len 8192; done", WORDS),
        # Defaults that are kept.
        (': "${L:=8192}"\nvllm serve a/b --max-model-len "$L"', WORDS),
        (
            'while getopts "m:l:" o; do case $o in m) M=$OPTARG;; l) L=$OPTARG;; esac; done\n: ${M:=a/b} ${L:=8192}\n'
            'vllm serve "$M" --max-model-len "$L"',
            WORDS,
        ),
        # Cuts of a value.
        ("M=a/b:v\nvllm serve ${M%:*} --max-model-len 8192", WORDS),
        ("M=x:a/b\nvllm serve ${M#*:} --max-model-len 8192", WORDS),
        ("M=/x/y/8192\nvllm serve a/b --max-model-len ${M##*/}", WORDS),
        ("M=a-b\nvllm serve ${M/-//} --max-model-len 8192", ("a/b", "--max-model-len", "8192")),
        ("M=A/B\nvllm serve ${M,,} --max-model-len 8192", WORDS),
        ("M=xa/b\nvllm serve ${M:1} --max-model-len 8192", WORDS),
        # What ends the script ends it.
        (SERVE + "\nexit 0\nvllm serve other", WORDS),
        ("exec " + SERVE + "\nvllm serve other", WORDS),
        # What only speaks of a command does not run it.
        ("echo vllm serve other\npkill -f vllm serve\n" + SERVE, WORDS),
    ],
)  # fmt: skip
def test_a_script_is_read_as_its_shell_reads_it(script: str, words: tuple[str, ...]) -> None:
    assert of_text(script).words == words


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("serve() { vllm serve $1; }", r"\$1"),
        ("vllm serve $1", r"\$1"),
        ("M=(a b)\nvllm serve ${M[5]}", r"\$\{M\[5\]\}"),
        ("declare -A M=([a]=x)\nvllm serve ${M[b]}", r"\$\{M\[b\]\}"),
        ("N=M\nM=a\nvllm serve ${!N}", r"\$\{!N\}"),
        ("M=a\nvllm serve ${M/[a]/b}", r"\$\{M"),
        ("vllm serve '{{ model }}'", r"\{\{ model"),
    ],
)
def test_what_a_script_does_not_say_is_named(script: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"{said}.* stands for a value"):
        of_text(script).refuse_unknown(0)


@pytest.mark.parametrize(
    "line",
    [
        f"nohup {SERVE} > log 2>&1 &",
        f'tmux new-session -d -s x "{SERVE}"',
        f"tmux send-keys -t x '{SERVE}' C-m",
        f"screen -dmS x bash -c '{SERVE}'",
        f'ssh gpu1 "cd /x && {SERVE}"',
        f'su - v -c "{SERVE}"',
        f"sudo -E env A=1 {SERVE}",
        f"timeout 60 numactl -N 0 {SERVE} | tee log",
        f"srun --gpus=2 {SERVE}",
        f'srun bash -c "{SERVE}"',
        f"conda run -n x --no-capture-output {SERVE}",
        f"docker exec -it box {SERVE}",
        f"kubectl exec -it pod -- {SERVE}",
        f"uv run {SERVE}",
        f"poetry run {SERVE}",
        f"systemd-run --user {SERVE}",
        "uvx vllm serve a/b --max-model-len 8192",
        f"sbatch <<EOF\n#!/bin/bash\n{SERVE}\nEOF\n",
        f"ssh gpu1 <<'EOF'\ncd /x\n{SERVE}\nEOF\necho done\n",
        f"cat <<EOF | bash\n{SERVE}\nEOF\n",
    ],
)
def test_what_a_command_is_wrapped_in(line: str) -> None:
    assert of_text(line).words == WORDS


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        (f"uv run --with vllm==0.9.2 {SERVE}", "", "0.9.2"),
        ("uvx vllm@0.9.2 serve a/b --max-model-len 8192", "", "0.9.2"),
        ("uvx vllm==0.9.2 serve a/b --max-model-len 8192", "", "0.9.2"),
        (f"uvx --from 'vllm[runai]==0.9.2' {SERVE}", "", "0.9.2"),
        (f"pipx run --spec vllm==0.9.2 {SERVE}", "", "0.9.2"),
        (f"pip install vllm==0.9.2\n{SERVE}", "", "0.9.2"),
        (f"pip install 'vllm>=0.9.2'\n{SERVE}", "", None),
        (f"# vllm==0.8.0 was slow\n{SERVE}", "", None),
        (f"pip install vllm==0.9.2\npip install vllm==0.10.0\n{SERVE}", "", None),
        # What only speaks of a release installs none.
        (f"echo tested with vllm==0.8.0\n{SERVE}", "", None),
        (f"if pip list | grep vllm==0.8.0; then echo old; fi\n{SERVE}", "", None),
        (f"NOTE='vllm==0.8.0 was slow'\n{SERVE}", "", None),
        (f"pip uninstall -y vllm==0.8.0\npip install \\\n  'vllm==0.9.2'\n{SERVE}", "", "0.9.2"),
        (f"cat > requirements.txt <<EOF\ntorch==2.7.0\nvllm==0.9.2\nEOF\n{SERVE}", "", "0.9.2"),
        (f"apptainer exec --nv docker://vllm/vllm-openai:v0.9.2 {SERVE}", "", "0.9.2"),
        ("singularity run --nv docker://vllm/vllm-openai:v0.9.2 --model a/b --max-model-len 8192", "", "0.9.2"),
        (f"apptainer exec --nv --bind /x:/x images/vllm-openai_v0.9.2.sif {SERVE}", "", "0.9.2"),
        (f"srun --container-image=vllm/vllm-openai:v0.9.2 {SERVE}", "", "0.9.2"),
        ("kubectl run x --image=vllm/vllm-openai:v0.9.2 -- --model a/b --max-model-len 8192", "", "0.9.2"),
        (f"FROM python:3.12\nRUN pip install vllm==0.9.2\nCMD {SERVE}", "Dockerfile", "0.9.2"),
        (f"setup: |\n  uv pip install vllm==0.9.2\nrun: |\n  {SERVE}\n", "task.yaml", "0.9.2"),
    ],
)
def test_the_version_of_what_is_installed_is_the_one_asked(text: str, name: str, version: str | None) -> None:
    found = of_text(text, name)
    assert (found.words, found.version) == (WORDS, version)


def test_the_version_of_a_command_behind_two_dashes() -> None:
    assert of_arguments(f"uv run --with vllm==0.9.2 {SERVE}".split()).version == "0.9.2"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        # systemd.exec(5), systemd.service(5).
        (
            "x.service",
            '[Service]\nEnvironment="M=a/b" L=8192\nEnvironmentFile=-/etc/x.env\nExecStart=/opt/vllm serve ${M} \\\n  --max-model-len $L\n',
            WORDS,
        ),
        ("x.service", f"[Service]\nExecStart=\nExecStart=-/bin/bash -c '{SERVE}'\n", WORDS),
        ("x.container", "[Container]\nImage=vllm/vllm-openai:v0.9.2\nExec=--model a/b --max-model-len 8192\n", WORDS),
        ("supervisord.conf", f'[program:v]\ncommand=/opt/{SERVE}\nenvironment=A="1",B="2"\n', WORDS),
        ("Makefile", "M ?= a/b\nL := 8192\nserve: deps\n\t@vllm serve $(M) --max-model-len $(L)\n", WORDS),
        ("Procfile", f"web: {SERVE}\n", WORDS),
        # llama-swap's models, SkyPilot's tasks, dstack's services, processes.
        ("c.yaml", "macros:\n  l: --max-model-len 8192\nmodels:\n  q:\n    cmd: |\n      vllm serve a/b\n      ${l}\n", WORDS),
        ("c.yaml", f"models:\n  q:\n    cmd: docker run --rm vllm/vllm-openai {SERVE[11:]}\n", WORDS),
        ("t.yaml", "envs:\n  M: a/b\nrun: |\n  echo x\n  vllm serve $M --max-model-len 8192\n", WORDS),
        ("t.yaml", "type: service\nenv:\n  - M=a/b\ncommands:\n  - vllm serve $M --max-model-len 8192\n", WORDS),
        ("t.yaml", f"processes:\n  v:\n    command: {SERVE}\n", WORDS),
        (
            "s.yaml",
            "applications:\n- args:\n    llm_configs:\n    - model_loading_config: {model_id: q, model_source: a/b}\n"
            "      engine_kwargs: {max_model_len: 8192}\n",
            WORDS,
        ),
        (
            "s.py",
            "from ray.serve.llm import LLMConfig\nc = LLMConfig(model_loading_config=dict(model_id='q', model_source='a/b'),"
            " engine_kwargs=dict(max_model_len=8 * 1024))\n",
            WORDS,
        ),
        (
            "m.py",
            "import modal, subprocess\nM = 'a/b'\nN = 8192\ndef serve():\n    cmd = ['vllm', 'serve', M]\n"
            "    cmd += ['--max-model-len', str(N)]\n    subprocess.Popen(' '.join(cmd), shell=True)\n",
            WORDS,
        ),
        (
            "m.py",
            "import subprocess\nFAST = True\ncmd = ['vllm', 'serve', 'a/b']\nif FAST:\n    cmd.extend(['--max-model-len', '8192'])\n"
            "else:\n    cmd.append('--enforce-eager')\nsubprocess.run(cmd)\n",
            WORDS,
        ),
        ("run.sh", "python3 - <<'EOF'\nfrom vllm import LLM\nLLM('a/b', max_model_len=8192)\nEOF\n", ("--model", *WORDS)),
        ("run.sh", "python -c \"from vllm import LLM; LLM('a/b', max_model_len=8192)\"\n", ("--model", *WORDS)),
        ("m.py", "import os\nM = 'a/b'\nos.system(f'vllm serve {M} --max-model-len 8192')\n", WORDS),
    ],
)  # fmt: skip
def test_files_that_hold_a_command(name: str, text: str, words: tuple[str, ...]) -> None:
    assert of_text(text, name).words == words


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "m.py",
            "import os\ncmd = ['vllm', 'serve', 'a']\nif os.path.exists('x'):\n    cmd += ['--enforce-eager']\n",
            "not known here",
        ),
        ("m.py", "from ray.serve.llm import LLMConfig\nLLMConfig(engine_kwargs=load())\n", "engine_kwargs"),
        ("c.yaml", "models:\n  q: {cmd: vllm serve a}\n  r: {cmd: vllm serve b}\n", "starts 2 engines: q, r"),
        ("run.sh", "python3 -m llama_cpp.server --model x.gguf", "llama_cpp.server"),
        ("run.sh", "pip install x\nlmdeploy serve api_server a/b", "lmdeploy"),
        ("run.sh", "trtllm-serve a/b --tp_size 1", "trtllm-serve"),
        ("a.bat", "if a==b goto x\ngoto y\n:x\nllama-server -m a.gguf\n:y\n", "goto"),
        ("a.ps1", "if ($x) { llama-server -m a.gguf", "not closed"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(ArchcalcError, match=said):
        of_text(text, name)


GGUF = ("-m", "D:\\m\\x.gguf", "-c", "8192")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.bat", "set M=D:\\m\\x.gguf\nset /a C=8192\nllama-server.exe -m %m% ^\n -c %C%\n"),
        ("a.bat", 'set C=8192\nif "%C%"=="8192" (\n set L=8192\n) else (\n set L=4096\n)\nllama-server -m D:\\m\\x.gguf -c %L%\n'),
        ("a.bat", "set B=1\nif %B% equ 2 (set L=4096) else (set L=8192)\nllama-server -m D:\\m\\x.gguf -c %L%\n"),
        ("a.bat", "set B=YES\nif /i \"%B%\"==\"yes\" set L=8192\nllama-server -m D:\\m\\x.gguf -c %L%\n"),
        ("a.bat", "if not defined L set L=8192\nllama-server -m D:\\m\\x.gguf -c %L%\n"),
        ("a.bat", "set L=8192\ngoto run\nset L=4096\n:run\nllama-server -m D:\\m\\x.gguf -c %L%\ngoto :eof\nllama-server -m y\n"),
        ("a.bat", "set L=8192\nif %L%==8192 goto run\nset L=4096\n:run\nllama-server -m D:\\m\\x.gguf -c %L%\n"),
        ("a.bat", "for %%M in (x y) do (\n llama-server -m D:\\m\\%%M.gguf -c 8192\n)\n"),
        ("a.bat", "setlocal enabledelayedexpansion\nset L=8192\nif exist x (\n echo it's here\n)\nllama-server -m D:\\m\\x.gguf -c !L!\n"),
        ("a.bat", 'cd /d "%~dp0"\nset "L=%~dp0llama-server.exe"\n"%L%" -m D:\\m\\x.gguf ^\n -c 8192\n'),
        ("a.bat", '"%~dp0bin\\llama-server.exe" -m D:\\m\\x.gguf -c 8192\n'),
        ("a.ps1", "$s = Join-Path $PSScriptRoot 'llama-server.exe'\n$a = @('-m', 'D:\\m\\x.gguf', '-c', 8192)\n& $s @a\n"),
        ("a.ps1", "param([int]$Ctx = 8192)\n& .\\llama-server.exe -m D:\\m\\x.gguf -c $ctx\n"),
        ("a.ps1", "$big = $true\nif ($big) { $c = 8192 } else { $c = 4096 }\nllama-server -m D:\\m\\x.gguf -c $c\n"),
        ("a.ps1", "$n = 2\nif ($n -eq 1) { $c=1 }\nelseif ($n -eq 2) { $c = 8192 }\nelse { $c = 2 }\nllama-server -m D:\\m\\x.gguf -c $c"),
        ("a.ps1", "$a = @('-m', 'D:\\m\\x.gguf')\n$a += '-c', '8192'\n& llama-server.exe @a\n"),
        ("a.ps1", "$a = @(\n  '-m'\n  'D:\\m\\x.gguf'\n  '-c', '8192'\n)\nStart-Process llama-server.exe -ArgumentList $a -Wait\n"),
        ("a.ps1", "foreach ($m in @('x', 'y')) {\n  llama-server -m D:\\m\\$m.gguf -c 8192\n}\n"),
        ("a.ps1", "function Run($c) {\n llama-server -m D:\\m\\x.gguf -c 8192\n}\nRun 1\n"),
        ("a.ps1", "<# old\nllama-server -m y #>\ntry { llama-server -m D:\\m\\x.gguf -c 8192 } catch { Write-Host 'no' }\n"),
    ],
)  # fmt: skip
def test_scripts_of_windows(name: str, text: str) -> None:
    found = of_text(text, name)
    assert (found.program, found.words) == ("llama-server", GGUF)


def test_what_a_comment_parts_from_a_command_is_told() -> None:
    found = of_text("vllm serve a/b \\\n  --max-model-len 8192 \\\n  # --enforce-eager \\\n  --max-num-seqs 4\n")
    assert found.words == WORDS and "--max-num-seqs 4 stands on a line of its own" in " ".join(found.notes)


PIECES = [
    "if ", "else", "(", ")", "{", "}", "\n", "goto x", ":x", "for %%a in (1 2) do ", "set A=1", "%A%", "%1", "!A!", "$a", "@(", "@a",
    "param(", "foreach ($a in $b) ", "vllm serve a/b", "llama-server -m x.gguf", " -c 8192", "^", "`", "'", '"', "\\", "f() {", "f",
    "case x in", "esac", ";;", "${A[", "]", "${A%", "${!A", "<<EOF", "EOF", "[Service]", "ExecStart=", "Environment=", "$(A)", "A ?= b",
    "cmd: ", "models:", "- ", "shift",
]  # fmt: skip
NAMES = ["a.sh", "a.bat", "a.ps1", "a.service", "a.yaml", "Makefile", "a.py", "a.container", ""]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES), max_size=25))
def test_no_order_of_pieces_is_a_fault(name: str, pieces: list[str]) -> None:
    for glue in ("", " ", "\n"):
        try:
            of_text(glue.join(pieces), name)
        except ArchcalcError as error:
            assert error.message


def test_a_function_that_calls_itself_ends() -> None:
    found = of_text("f() { f; f; f; f; }\nf\nvllm serve a/b --max-model-len 8192\n")
    assert found.words == WORDS
