"""What an installation says of the package: its page on the index, its version, its command."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALLED = distribution("meshcors")
ADDRESS = PROJECT.get("urls", {}).get("Source")
EDITABLE = (
    json.loads(INSTALLED.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable")
)
pytestmark = pytest.mark.skipif(
    bool(EDITABLE), reason="an editable install keeps old metadata: python -m nox -s package"
)
# Inline links, definitions of links, and HTML attributes.
LINK = re.compile(r'(?:\]\(|^\[[^\]]+\]:\s+|\b(?:href|src|srcset)=")([^)\s"]+)', re.MULTILINE)


def test_the_page_on_the_index_has_absolute_links_that_lead_somewhere() -> None:
    page = INSTALLED.metadata.get_payload()
    links = LINK.findall(page)
    readme = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    if ADDRESS is None:
        readme = [link for link in readme if link.startswith("https://")]
    assert len(links) == len(readme)
    assert [link for link in links if not link.startswith("https://")] == []
    for link, written in zip(links, readme, strict=True):
        if link == written:
            continue
        view, tag, path = link.removeprefix(f"{ADDRESS}/").split("/", 2)
        assert tag == f"v{PROJECT['version']}"
        assert view == ("raw" if path.endswith((".gif", ".png", ".svg")) else "blob")
        assert written in (path, path.removeprefix("README.md"))
        assert (ROOT / path.partition("#")[0]).is_file()


def test_the_metadata_is_what_the_project_says() -> None:
    metadata = INSTALLED.metadata
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata.get_all("License-File") == PROJECT["license-files"]
    assert metadata.get_all("Classifier") == sorted(PROJECT["classifiers"])
    assert set(metadata.get_all("Provides-Extra", [])) == PROJECT["optional-dependencies"].keys()


def test_links_that_tools_print_begin_with_the_one_address() -> None:
    listed = [] if ADDRESS is None else [f"Source, {ADDRESS}"]
    assert INSTALLED.metadata.get_all("Project-URL", []) == listed


def test_the_command_is_there() -> None:
    (command,) = INSTALLED.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("meshcors", PROJECT["scripts"]["meshcors"])
    assert callable(command.load())


def test_pytest_finds_the_fixtures() -> None:
    (plugin,) = INSTALLED.entry_points.select(group="pytest11")
    assert (plugin.name, plugin.value) == (
        "meshcors",
        PROJECT["entry-points"]["pytest11"]["meshcors"],
    )
    assert callable(plugin.load().mesh_gateway)
