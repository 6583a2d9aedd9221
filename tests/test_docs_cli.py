"""The console blocks of the pages on the command line are what the commands print, word for word.

The blocks of a page are one session in one directory, so what ``--write`` wrote stays.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from meshcors import _cli as cli
from meshcors.mesh._lint import RULES, LintRule
from tests.e2e.envoy import require_envoy

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
PAGES = [
    ROOT / "docs" / name
    for name in ("lint.md", "fix.md", "explain.md", "render.md", "routes.md", "lab.md")
]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def session(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with its output on the page."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [command for block in blocks for command in COMMAND.findall(block)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_is_printed(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if page.name == "lab.md":
        require_envoy()
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "virtualservice_original.yaml", "model.yaml")
    shutil.copy(DATA / "virtualservice_kserve.yaml", "kserve.yaml")
    shutil.copy(DATA / "virtualservice_neighbours.yaml", "shop.yaml")
    shutil.copy(DATA / "virtualservice_with_pod.yaml", "with-pod.yaml")
    shutil.copy(DATA / "policy.yaml", "policy.yaml")
    for name in ("config_dump.json", "routes.json"):
        shutil.copy(DATA / "envoy" / name, name)
    shutil.copy(DATA / "neighbours.yaml", "neighbours.yaml")
    shutil.copy(DATA / "token_wanted.yaml", "token-wanted.yaml")
    shutil.copy(DATA / "two_policies.yaml", "two.yaml")
    shutil.copy(DATA / "http_route.yaml", "route.yaml")
    shutil.copy(DATA / "http_routes.yaml", "routes.yaml")
    shutil.copy(DATA / "http_route_search.yaml", "search.yaml")
    for source in (DATA / "foreign").iterdir():
        shutil.copy(source, source.name)
    code = 0
    commands = session(page)
    assert commands
    for command, shown in commands:
        source, _, last = command.rpartition(" | ")
        if source.startswith("kubectl get"):
            dump = io.BytesIO((DATA / "dump.yaml").read_bytes())
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(dump))
        program, *args = shlex.split(last)
        if (program, args) == ("echo", ["$?"]):
            printed = f"{code}\n"
        else:
            assert program == "meshcors"
            code = cli.run(args)
            printed = "".join(capsys.readouterr())
        assert printed == shown, command


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("lint.md", "virtualservice_original.yaml"),
        ("explain.md", "virtualservice_original.yaml"),
        ("explain.md", "virtualservice_with_pod.yaml"),
        ("explain.md", "neighbours.yaml"),
        ("explain.md", "token_wanted.yaml"),
        ("render.md", "policy.yaml"),
        ("fix.md", "http_route.yaml"),
        ("fix.md", "virtualservice_kserve.yaml"),
        ("fix.md", "virtualservice_neighbours.yaml"),
        ("render.md", "http_routes.yaml"),
        ("render.md", "http_route_search.yaml"),
    ],
)
def test_a_page_shows_its_file(page: str, file: str) -> None:
    text = (DATA / file).read_text(encoding="utf-8")
    assert f"```yaml\n{text}```\n" in (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "language"),
    [
        ("app.py", "python"),
        ("settings.py", "python"),
        ("site.conf", "nginx"),
        ("models.yaml", "yaml"),
    ],
)
def test_the_page_on_render_shows_files_of_other_systems(file: str, language: str) -> None:
    text = (DATA / "foreign" / file).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "render.md").read_text(encoding="utf-8")
    assert f"```{language}\n{text}```\n" in page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_section(rule: LintRule) -> None:
    assert f"\n### {rule.id}\n\n**{rule.name}**, {rule.severity}: {rule.title}.\n\n" in (
        PAGES[0].read_text(encoding="utf-8")
    )
