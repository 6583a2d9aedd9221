"""What `.ci/check_release.py` lets be published, and what it refuses."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Inline links, definitions of links, and HTML attributes.
LINK = re.compile(r'(?:\]\(|^\[[^\]]+\]:\s+|\b(?:href|src|srcset)=")([^)\s"]+)', re.MULTILINE)
problems = runpy.run_path(str(ROOT / ".ci" / "check_release.py"))["problems"]

PYPROJECT = '[project]\nversion = "1.2.0"\n[project.urls]\nSource = "https://git.example/x/y"\n'
NO_ADDRESS = "pyproject.toml: no address of the repository: add Source to [project.urls]"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n### Added\n\n- A.\n"


def test_what_is_ready_is_let_through() -> None:
    assert problems("v1.2.0", PYPROJECT, CHANGELOG) == []


@pytest.mark.parametrize(
    ("tag", "old", "new", "begin"),
    [
        pytest.param("v1.2.1", "", "", "tag v1.2.1: pyproject.toml has version 1.2.0", id="tag"),
        pytest.param("1.2.0", "", "", "tag 1.2.0: ", id="tag without v"),
        pytest.param("v1.2.0", "Source", "Homepage", NO_ADDRESS, id="other address"),
        pytest.param("v1.2.0", "[project.urls]", "[x]", NO_ADDRESS, id="no address"),
        pytest.param("v1.2.0", "git.example", "git.invalid", NO_ADDRESS, id="placeholder"),
        pytest.param("v1.2.0", "https", "http", NO_ADDRESS, id="unencrypted address"),
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


def test_the_address_is_written_in_one_place_if_it_is_known() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    address = pyproject["project"].get("urls", {}).get("Source")
    if address is None:
        page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        assert "`no address of the repository`" in page
        return
    folders = (".ci", ".github", "docs", "examples", "src", "tests")
    texts = (".md", ".py", ".svg", ".toml", ".yaml", ".yml")
    files = [*ROOT.glob("*"), *chain(*((ROOT / folder).rglob("*") for folder in folders))]
    placed = [
        path.name
        for path in files
        if path.suffix in texts and address in path.read_text(encoding="utf-8")
    ]
    assert placed == ["pyproject.toml"]


@pytest.mark.parametrize("address", [None, "https://git.example/x/y"])
def test_the_page_on_the_index_has_no_link_that_leads_nowhere(
    address: str | None, tmp_path: Path
) -> None:
    """By the build's own command, of this project with and without an address."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pyproject = re.sub(r"^\[project\.urls\]\n(.+\n)*", "", pyproject, flags=re.MULTILINE)
    if address is not None:
        pyproject += f'\n[project.urls]\nSource = "{address}"\n'
    (tmp_path / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    for name in ("README.md", "LICENSE", ".ci/readme_links.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    words = [sys.executable, "-m", "hatchling", "metadata"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    metadata = json.loads(done.stdout)
    page = metadata["readme"]["text"]
    assert [each for each in LINK.findall(page) if not each.startswith("https://")] == []
    if address is None:
        assert "urls" not in metadata
        assert " Look it up, or paste it" in page
        assert "| `meshcors lab [FILE...]` (`meshcors[lab]`) |" in page
    else:
        assert metadata["urls"] == {"Source": address}
        assert f"[Look it up]({address}/blob/v0.1.0/docs/console-messages.md)" in page
        assert f"]({address}/raw/v0.1.0/docs/preflight.svg)" in page


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
