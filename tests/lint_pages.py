"""The pages on lint's rules: from the package's explanations and the documents that the tests lint.

``tests/test_lint.py`` compares or writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from meshcors.mesh._lint import RULES, LintRule, lint
from meshcors.mesh._lint.explanations import sections, wrapped
from meshcors.mesh._lint.formats import as_text

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "lint.md"
PAGES = ROOT / "docs" / "lint"
DATA = Path(__file__).parent / "data" / "lint"
# What follows it in a document of the tests is on no page.
MORE = "---\n# More cases\n"
MARK = "<!-- Below: WRITE_PAGES=1 pytest tests/test_lint.py -->\n"
NAME = "model.yaml"
WIDTH = 120


def case(rule: LintRule, kind: str) -> str:
    """The whole document of a rule's tests; ``kind`` is found or clean."""
    return (DATA / f"{rule.id.lower()}_{kind}.yaml").read_text(encoding="utf-8")


def example(rule: LintRule, kind: str) -> str:
    """The part of that document that is on the rule's page."""
    return case(rule, kind).partition(MORE)[0]


def marked_lines(rule: LintRule, text: str) -> list[int]:
    """The lines that say where the rule finds something."""
    return [at for at, line in enumerate(text.splitlines(), start=1) if f"# {rule.id}" in line]


def pages() -> dict[Path, str]:
    """Every page and its text."""
    return {INDEX: _index()} | {page(rule): "\n".join(_lines(rule)) + "\n" for rule in RULES}


def page(rule: LintRule) -> Path:
    return PAGES / f"{rule.id.lower()}.md"


def _index() -> str:
    head = INDEX.read_text(encoding="utf-8").partition(MARK)[0]
    entries = [
        f"### {rule.id}\n\n**{rule.name}**, {rule.severity}: {rule.title}.\n\n"
        f"[Why, how to fix it, examples, exceptions](lint/{page(rule).name})\n"
        for rule in RULES
    ]
    return head + MARK + "\n" + "\n".join(entries)


def _lines(rule: LintRule) -> Iterator[str]:
    found = sections(rule)
    yield f"# {rule.id} {rule.name}"
    yield ""
    yield f"{rule.severity.capitalize()}: {rule.title}. All lint rules: [lint](../lint.md#rules)."
    for heading in ("What it finds", "Why it matters"):
        yield from _section(heading, found[heading])
    yield from _section("An example that fails", "")
    yield from _block("yaml", example(rule, "found").rstrip())
    yield ""
    yield from _block("console", _session(rule))
    yield from _section("How to fix it", found["How to fix it"])
    yield from _section("An example that passes", "")
    yield from _block("yaml", example(rule, "clean").rstrip())
    yield from _section("Exceptions", found["Exceptions"])


def _section(heading: str, text: str) -> Iterator[str]:
    yield ""
    yield f"## {heading}"
    yield ""
    if text:
        yield from (_marked_up(line) for line in wrapped(text, WIDTH))


def _marked_up(line: str) -> str:
    """Make links of the references to issues, rules and `meshcors fix`."""
    linked = re.sub(
        r"(?<![\w/])([\w-]+/[\w-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", line
    )
    linked = linked.replace("`meshcors fix`", "[`meshcors fix`](../fix.md)")
    return re.sub(r"\b(MC\d{3})\b(?![`\w])", lambda it: f"[{it[1]}]({it[1].lower()}.md)", linked)


def _block(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield text
    yield "```"


def _session(rule: LintRule) -> str:
    diagnostics = lint({NAME: example(rule, "found")}, [rule])
    assert diagnostics
    return f"$ meshcors lint {NAME} --select {rule.id}\n{as_text(diagnostics)}"
