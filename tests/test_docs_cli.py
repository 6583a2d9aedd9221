"""The console blocks of the pages on lint and fix are what the commands print, word for word.

The blocks of a page are one session in one directory: what ``--write`` wrote is there afterwards.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from meshcors import cli
from meshcors.mesh.lint import RULES, Rule

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
PAGES = [ROOT / "docs" / name for name in ("lint.md", "fix.md")]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def session(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with what it prints according to the page."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [command for block in blocks for command in COMMAND.findall(block)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_is_printed(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "virtualservice_original.yaml", "model.yaml")
    shutil.copy(DATA / "virtualservice_kserve.yaml", "kserve.yaml")
    code = 0
    commands = session(page)
    assert commands
    for command, shown in commands:
        program, *args = shlex.split(command)
        if (program, args) == ("echo", ["$?"]):
            printed = f"{code}\n"
        else:
            assert program == "meshcors"
            code = cli.run(args)
            printed = "".join(capsys.readouterr())
        assert printed == shown, command


def test_the_page_on_lint_shows_the_file_it_began_with() -> None:
    text = (DATA / "virtualservice_original.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{text}```\n" in PAGES[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_section(rule: Rule) -> None:
    assert f"\n### {rule.id}\n\n**{rule.name}**, {rule.severity}: {rule.title}.\n\n" in (
        PAGES[0].read_text(encoding="utf-8")
    )
