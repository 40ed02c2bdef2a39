"""What a call of `archcalc check` asks for is done, told to every reader of its results, or refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archcalc.cards import settings
from archcalc.cards.check import check_text
from archcalc.cards.fix import mend
from archcalc.cards.settings import Settings
from archcalc.errors import UsageError
from conftest import Run


def mended(page: str) -> str:
    def again(text: str) -> object:
        return check_text(text, "page.md", Settings(), offline=True)

    return mend(again(page), again).text  # type: ignore[arg-type]


# Parameters x 2 bytes in GiB under GB, and one that is wrong: 8,190,735,360 x 2 / 2^30 = 15.26; 8,030,261,248 x 2 / 2^30 = 14.96.
WAYS = [
    ("| Model | Layers | Weights (BF16, GB) |\n|---|---|---|\n| Llama-3.1-8B | 32 | 14.96 |\n| Llama-3.1-70B | 80 | 131.4 |\n"
     "| Qwen3-8B | 36 | 18.2 |\n", "| 18.2 |", "| 15.3 |"),
    ("| Model | Layers | Weights (BF16, GB) |\n|---|---|---|\n| Llama-3.1-8B | 32 | 16.06 |\n| Llama-3.1-70B | 80 | 141.1 |\n"
     "| Qwen3-8B | 36 | 18.2 |\n", "| 18.2 |", "| 16.4 |"),
    # 32,000 tokens x 128 KiB and 320 KiB in GiB; 126 layers x 8 heads x 128 x 4 bytes x 32,000 = 15.38 GiB.
    ("| Model | Layers | KV cache at 32k |\n|---|---|---|\n| Llama-3.1-8B | 32 | 3.9 GB |\n| Llama-3.1-70B | 80 | 9.8 GB |\n"
     "| Llama-3.1-405B | 126 | 19.6 GB |\n", "| 19.6 GB |", "| 15.4 GB |"),
    # A cell without a unit has that of its column.
    ("# KV cache in FP16\n\n| Model | 16k tokens |\n|---|---|\n| Llama-3.1-8B | 1.95 GB |\n| Llama-3.1-70B | 4.88 GB |\n"
     "| Llama-3.1-405B | 15.38 |\n", "| 15.38 |", "| 7.69 |"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "before", "after"), WAYS)
def test_what_is_mended_is_counted_as_its_column_is(page: str, before: str, after: str) -> None:
    assert mended(page) == page.replace(before, after)


def test_a_tolerance_loosens_no_generated_section() -> None:
    page = "# Page\n\n| Model | Layers | Parameters |\n|---|---|---|\n| Llama-3.1-8B | 32 | 8.05B |\n"
    row = "| Field | Value |\n|---|---|\n| Total parameters | 8,030,261,249 |\n"
    section = f"<!-- archcalc:begin llama-3.1-8b -->\n\n{row}\n<!-- archcalc:end -->\n"
    for text, verdict in ((page, "ok"), (section, "wrong")):
        results = check_text(text, "page.md", Settings(), offline=True, tolerance=Fraction(1, 20)).results
        assert [r.verdict for r in results if r.field == "total_params"] == [verdict]


PAGE = "| Model | Layers | Hidden size |\n|---|---|---|\n| Llama-3.1-8B | 33 | 4096 |\n| Qwen3-8B | 36 | 4095 |\n"


def test_what_stands_is_not_mended(cli: Run, tmp_path: Path) -> None:
    page, base = tmp_path / "page.md", tmp_path / "base.json"
    page.write_text(PAGE.replace("4095", "4096"), encoding="utf-8")
    assert cli("check", str(page), "--write-baseline", str(base), "--offline").returncode == 0
    page.write_text(PAGE, encoding="utf-8")
    shown = cli("check", str(page), "--baseline", str(base), "--diff", "--offline")
    assert "+| Qwen3-8B | 36 | 4096 |" in shown.stdout
    assert "33" not in "".join(line for line in shown.stdout.splitlines() if line.startswith("+"))
    done = cli("check", str(page), "--baseline", str(base), "--fix", "--offline")
    assert (done.returncode, page.read_text(encoding="utf-8")) == (0, PAGE.replace("4095", "4096"))


DOUBTS = "| Model | Layers | Context |\n|---|---|---|\n| Foo-99B | 40 | 8k |\n| Bar-98B | 41 | 4k |\n"


def test_what_strict_fails_is_told_to_each_reader(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(DOUBTS, encoding="utf-8")
    for strict in ((), ("--strict",)):
        out = {form: cli("check", str(page), "--offline", "--format", form, *strict) for form in ("junit", "sarif", "github")}
        failing = bool(strict)
        assert {done.returncode for done in out.values()} == {int(failing)}
        suites = ElementTree.fromstring(out["junit"].stdout)
        assert (int(suites.attrib["failures"]) > 0) == failing == bool(suites.findall(".//failure"))
        log = json.loads(out["sarif"].stdout)["runs"][0]
        # A name without a model is told once, however many claims are about it.
        assert [result["level"] for result in log["results"]] == ["error", "error"] * failing
        assert out["github"].stdout.count("::error ") == 2 * failing


def test_a_file_without_claims_is_told_to_each_reader(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n", encoding="utf-8")
    for form in ("junit", "sarif", "github", "json"):
        done = cli("check", str(page), "--offline", "--require-claims", "--format", form)
        assert done.returncode == 1
        assert "holds no claims" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--diff", "--format", "json"), "--format"),
        (("--diff", "--format", "github"), "--format"),
        (("--explain", "--format", "github"), "--explain"),
        (("--explain", "--format", "sarif"), "--explain"),
    ],
)
def test_options_without_effect_are_refused(options: tuple[str, ...], said: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    done = cli("check", str(tmp_path / "page.md"), "--offline", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[ignore]]\n", "without a pattern"),
        ('[[ignore]]\nreason = "why"\n', "without a pattern"),
        ('[[ignore]]\nfield = "layer"\n', "'layer'"),
        ('[[ignore]]\nfield = "vision:layer"\n', "'vision:layer'"),
    ],
)
def test_an_ignore_that_says_nothing_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "archcalc.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        settings.find(str(tmp_path / "archcalc.toml"))


@pytest.mark.parametrize("field", ["layers", "*_params", "vision:*", "mtp:layers", "context"])
def test_an_ignore_names_fields(field: str, tmp_path: Path) -> None:
    (tmp_path / "archcalc.toml").write_text(f'[[ignore]]\nfield = "{field}"\n', encoding="utf-8")
    assert settings.find(str(tmp_path / "archcalc.toml")).ignore[0].field == field


def test_broken_settings_of_this_program_are_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.archcalc]\nfiles = [\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not TOML"):
        settings.find(None)


@pytest.mark.parametrize(
    ("pin", "said"),
    [("", "names no model"), (" ", "names no model"), ("qwen3-8b of ours", "words behind"), ("Ours =", "names no model")],
)
def test_a_pin_names_one_model(pin: str, said: str) -> None:
    page = f"# Page\n\n<!-- archcalc:{pin} -->\n\n| Layers | 36 |\n|---|---|\n| Heads | 32 |\n"
    assert [said in error.message for error in check_text(page, "page.md", Settings(), offline=True).errors] == [True]


@pytest.mark.parametrize("name", ["foo-7b", "Foo 7B", "FOO_7b", "foo 7b"])
def test_a_name_of_the_settings_is_known_however_it_is_spelt(name: str) -> None:
    page = f"| Model | Layers |\n|---|---|\n| {name} | 36 |\n"
    results = check_text(page, "page.md", Settings(sources={"Foo 7B": "qwen3-8b"}), offline=True).results
    assert [r.verdict for r in results] == ["ok"]


@pytest.mark.parametrize("name", ["Llama-3.1-8B-f32.gguf", "Llama-3.1-8B-BF16.gguf", "Llama-3.1-8B @ 32k", "llama-3.1-8b-fp16"])
def test_a_type_or_a_context_behind_a_name_changes_nothing(name: str) -> None:
    page = f"| Model | Layers | Hidden size |\n|---|---|---|\n| {name} | 32 | 4096 |\n"
    assert [r.verdict for r in check_text(page, "page.md", Settings(), offline=True).results] == ["ok", "ok"]
