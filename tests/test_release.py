"""What `.ci/check_release.py` lets be published, and what it refuses."""

from __future__ import annotations

import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
problems = runpy.run_path(str(ROOT / ".ci" / "check_release.py"))["problems"]

PYPROJECT = '[project]\nversion = "1.2.0"\n[project.urls]\nSource = "https://git.example/x/y"\n'
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n### Added\n\n- A.\n"


def test_what_is_ready_is_let_through() -> None:
    assert problems("v1.2.0", PYPROJECT, CHANGELOG) == []


@pytest.mark.parametrize(
    ("tag", "old", "new", "begin"),
    [
        pytest.param("v1.2.1", "", "", "tag v1.2.1: pyproject.toml has version 1.2.0", id="tag"),
        pytest.param("1.2.0", "", "", "tag 1.2.0: ", id="tag without v"),
        pytest.param("v1.2.0", "git.example", "git.invalid", "Source in ", id="placeholder"),
        pytest.param("v1.2.0", " - 2026-01-31", "", "CHANGELOG.md: no heading: ## [1", id="date"),
        pytest.param("v1.2.0", "[1.2.0]", "[1.2x0]", "CHANGELOG.md: no heading: ", id="version"),
        pytest.param("v1.2.0", "ed]\n", "ed]\n- B.\n", "CHANGELOG.md: move ", id="unreleased"),
    ],
)
def test_what_is_not_ready_is_refused_with_one_line(
    tag: str, old: str, new: str, begin: str
) -> None:
    found = problems(tag, PYPROJECT.replace(old, new), CHANGELOG.replace(old, new))
    assert [line[: len(begin)] for line in found] == [begin]


def test_the_projects_own_changelog_dates_every_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, *headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    dates = [re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", each) for each in headings]
    assert dates
    assert None not in dates
    found = [each[1] for each in dates if each]
    assert found == sorted(found, reverse=True)


def test_this_repository_is_published_by_its_workflow_alone_and_checked_first() -> None:
    workflow = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert 'python .ci/check_release.py "$GITHUB_REF_NAME"' in workflow


def test_the_address_is_written_in_one_place() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    address = pyproject["project"]["urls"]["Source"]
    folders = (".ci", ".github", "docs", "examples", "src", "tests")
    texts = (".md", ".py", ".svg", ".toml", ".yaml", ".yml")
    files = [*ROOT.glob("*"), *chain(*((ROOT / folder).rglob("*") for folder in folders))]
    placed = [
        path.name
        for path in files
        if path.suffix in texts and address in path.read_text(encoding="utf-8")
    ]
    assert placed == ["pyproject.toml"]


def test_every_action_is_pinned_by_its_commit() -> None:
    files = [ROOT / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")]
    used = [
        line.partition("uses: ")[2]
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "uses: " in line
    ]
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert len(used) > 5
    assert [each for each in used if not (each.startswith("./") or pinned.fullmatch(each))] == []
