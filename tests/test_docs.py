"""The documentation: its code and commands are run or checked, and the checks reject wrong ones."""

import re
import shlex

import pytest

from bench.cli.main import main
from bench.proof import verify
from bench.proof.mutants import MUTANTS
from bench.proof.timing_mutants import TIMING_MUTANTS
from tests import docs
from tests.helpers import ONE_PROCESS, set_quick_effort

ROOT = docs.ROOT
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / "results" / name for name in ("README.md", "tutorials/README.md")),
]
CHANGELOG = ROOT / "CHANGELOG.md"
GLOSSARY = ROOT / "docs" / "glossary.md"

TERMS = {
    *("reference", "backend", "case", "workload", "arm", "sample", "block", "round", "interleaved", "fresh process"),
    *("a/a control", "paired ratio", "confidence interval", "coverage", "minimum detectable effect", "threshold"),
    *("family-wise error rate", "interim analysis", "alpha spending", "regression", "improvement", "inconclusive"),
    *("roofline", "lower bound", "share of the roofline", "break-even", "crossover", "ulp", "running error bound"),
    *("mutant", "mutation score", "conformance", "oracle", "worker process"),
}

FORMER = r"\b(stretch(es)?|ratchet\w*|characteris(?!tic)\w+|crossings?|has paid|mlpbench documents)\b"
"""Terms of former versions, which only the changelog may use."""

MOST_LINES = {"README.md": 150, "ARCHITECTURE.md": 120}

ids = {"ids": lambda path: str(path.relative_to(ROOT))}


def text_of(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, **ids)
def test_blocks_commands_and_links_are_right(page):
    assert docs.check_page(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in text_of(page)], **ids)
def test_python_blocks_print_the_output_that_they_show(page, tmp_path):
    assert (
        docs.run_python([block.text for block in docs.blocks(text_of(page)) if block.language == "python"], tmp_path)
        == []
    )


@pytest.mark.parametrize("page", PAGES, **ids)
def test_settings_are_those_of_the_code(page):
    assert docs.check_settings(text_of(page)) == []


@pytest.mark.parametrize("page", PAGES, **ids)
def test_former_terms_are_gone(page):
    assert re.search(FORMER, text_of(page)) is None


@pytest.mark.parametrize(("name", "most"), MOST_LINES.items())
def test_pages_with_a_length_limit_keep_to_it(name, most):
    assert len(text_of(ROOT / name).splitlines()) <= most


def test_the_glossary_is_complete():
    assert docs.check_glossary(text_of(GLOSSARY), TERMS) == []


def test_the_changelog_has_valid_links_and_module_names():
    assert docs.check_links(CHANGELOG, text_of(CHANGELOG)) == []
    unreleased = text_of(CHANGELOG).partition("## [Unreleased]")[2].partition("\n## ")[0]
    modules = re.findall(r"^\| `[\w/]+\.py` \| (.+) \|$", unreleased, re.MULTILINE)
    new = [path for cell in modules for path in re.findall(r"`([\w/]+\.py)`", cell)]
    assert [path for path in new if not (ROOT / path).is_file()] == []


def test_documented_counts_are_those_of_the_proof():
    text = " ".join(text_of(ROOT / "docs" / "proof.md").split())
    assert f"`mutants: {len(MUTANTS)} of {len(MUTANTS)} killed`" in text
    assert f"`timing mutants: {len(TIMING_MUTANTS)} of {len(TIMING_MUTANTS)} caught`" in text
    assert len([*verify.NETWORKS, verify.LARGE]) == 13
    assert "thirteen networks" in text


def test_every_page_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\(([^)#\s]+)", text_of(ROOT / "README.md")))
    pages = {str(page.relative_to(ROOT)) for page in PAGES if page.parent in (ROOT, ROOT / "docs")}
    assert pages - linked - {"README.md"} == set()


def quick_commands():
    """Documented command lines that take only seconds: listings, helps, and quick comparisons of two backends."""
    lines_to_run = {"mlpbench --help": None}
    for page in PAGES:
        text = text_of(page)
        spans = re.findall(r"`(mlpbench [^`\n]+)`", docs.prose(text))
        lines = [
            line
            for block in docs.blocks(text)
            if block.language in ("sh", "console")
            for line in docs.commands(block.text)
        ]
        for line in [*lines, *spans]:
            words = shlex.split(line)
            known = not docs.OTHERS & set(words)
            if words[0] == "mlpbench" and known and ("--help" in words or words[1:] == ["backends"]):
                lines_to_run[line] = None
            elif words[:2] == ["mlpbench", "compare"] and known and "--quick" in words and "--network" not in words:
                lines_to_run[f"{line} --network 3-3-1 --operation forward"] = None
    return list(lines_to_run)


@pytest.mark.slow
@pytest.mark.parametrize("line", quick_commands())
@pytest.mark.usefixtures("empty_folder")
def test_quick_commands_run(line, capsys, forked_workers, monkeypatch):
    set_quick_effort(monkeypatch, ONE_PROCESS)
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


def test_there_are_quick_commands():
    lines = quick_commands()
    assert "mlpbench backends" in lines
    assert any(line.startswith("mlpbench compare ") for line in lines)


# Tests of the checks.


def page_with(*lines):
    return "\n".join(["# A page", "", *lines, ""])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("mlpbench run --fastest", "No such option"),
        ("mlpbench walk", "is no command"),
        ("mlpbench compare numpy_plain", "name two backends"),
        ("mlpbench run --threads many", "is not a valid integer"),
        ("mlpbench run --backend nonesuch", "nonesuch: no such backend"),
        ("mlpbench compare numpy_plain nonesuch", "nonesuch: no such backend"),
        ("mlpbench verify nonesuch", "nonesuch: no such backend"),
        ("mlpbench run --network three", "three is no network"),
        ("pytest --benchmark-gate-beside=main", "no option --benchmark-gate-beside"),
        ("pytest tests/test_nothing.py", "there is no tests/test_nothing.py"),
        ("pytest -p bench.nothing", "there is no bench.nothing"),
        ("make coffee", "no target coffee"),
        ("make gate BESIDE=main", "no variable BESIDE"),
        ("pip install -e '.[everything]'", "no extra everything"),
        ("pip install ./nowhere", "there is no ./nowhere"),
        ("source activate", "is no script"),
        ("curl example.org", "is no program"),
        ('eval "$(mlpbench)"', "is not the script for completion"),
    ],
)
def test_a_wrong_command_line_is_rejected(wrong, reason):
    for page in (page_with("```sh", wrong, "```"), page_with("```console", f"$ {wrong}", "output", "```")):
        (found,) = docs.check_page(ROOT / "docs" / "page.md", page)
        assert reason in found
        assert wrong in found
    if wrong.startswith(("mlpbench", "make", "pytest")):
        (found,) = docs.check_page(ROOT / "docs" / "page.md", page_with(f"Run `{wrong}` now."))
        assert reason in found


@pytest.mark.parametrize(
    "right",
    [
        "mlpbench --help",
        "mlpbench --version",
        "mlpbench run --help",
        "mlpbench run --quick --network 3-3-1 --backend numpy_plain",
        "mlpbench compare numpy_plain graph --quick",
        "pytest --benchmark -k forward",
        "make gate AGAINST=main",
        "# a comment",
        "mlpbench run \\\n  --quick",
    ],
)
def test_a_right_command_line_is_accepted(right):
    found = docs.check_shell(right)
    assert [error for error in found if "there is no forward" not in error] == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[there](nothing.md)", "leads nowhere"),
        ("![a picture](../results/nothing.svg)", "leads nowhere"),
        ("[there](glossary.md#nothing)", "no such heading"),
        ("[here](#nothing)", "leads nowhere"),
    ],
)
def test_a_broken_link_is_rejected(line, reason):
    (found,) = docs.check_page(ROOT / "docs" / "page.md", page_with(line))
    assert reason in found


def test_a_right_link_is_accepted():
    lines = page_with("[there](glossary.md#the-gate), [out](https://example.org), [up](../README.md)")
    assert docs.check_page(ROOT / "docs" / "page.md", lines) == []


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("print(1 + 1)\n# 3\n", "prints ['2'], and shows ['3']"),
        ("print(1 + 1)\n", "prints ['2'], and shows []"),
        ("1 + 1\n# 2\n", "prints [], and shows ['2']"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("raise ValueError('no')\n", "ValueError: no"),
    ],
)
def test_a_wrong_python_block_is_rejected(block, reason, tmp_path):
    (found,) = docs.run_python([block], tmp_path)
    assert reason in found


def test_a_python_block_sees_those_before_it(tmp_path):
    assert docs.run_python(["import math\n", "print(math.floor(2.5))\nprint('a')\n# 2\n# a\n"], tmp_path) == []


@pytest.mark.parametrize(
    ("language", "block", "reason"),
    [
        ("python", "1 +", "is not Python"),
        ("toml", "[", "is not TOML"),
        ("toml", '[project.entry-points."mlpbench.backends"]\nother = "module"', "is no part"),
        ("mermaid", 'flowchart TD\n    a["A"] --> b', "b has no label"),
        ("mermaid", "pie\n", "no kind of diagram"),
        ("yaml", "on: push", "a block of yaml cannot be checked"),
        ("", "anything", "a block of no language cannot be checked"),
    ],
)
def test_a_wrong_block_is_rejected(language, block, reason):
    (found,) = docs.check_page(ROOT / "docs" / "page.md", page_with(f"```{language}", block, "```"))
    assert reason in found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- **Case**: One thing. Source: Somebody, 1999.\n", "arm is missing"),
        ("- **Arm**: One thing. And another. Source: Somebody, 1999.\n", "has not one sentence"),
        ("- **Arm**: One thing. Source: somebody.\n", "has no source"),
        ("- **Arm**: One thing.\n", "arm is missing"),
    ],
)
def test_a_wrong_glossary_is_rejected(text, reason):
    (found,) = docs.check_glossary(text, {"arm"})
    assert reason in found


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("| `pairbench.statistics.CONFIDENCE` | 0.9 | |", "is 0.95, not 0.9"),
        ("| `pairbench.statistics.NOTHING` | 0.9 | |", "NOTHING"),
        ("| `pairbench.nothing.CONFIDENCE` | 0.9 | |", "nothing"),
    ],
)
def test_a_wrong_setting_is_rejected(row, reason):
    (found,) = docs.check_settings(row)
    assert reason in found
    assert docs.check_settings("| `pairbench.statistics.CONFIDENCE` | 0.95 | |") == []


@pytest.mark.parametrize("text", ["a stretch of calls", "two crossings", "it ratchets", "mlpbench documents"])
def test_a_former_term_is_found(text):
    assert re.search(FORMER, text)
