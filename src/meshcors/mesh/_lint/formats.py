"""Diagnostics as text, JSON, GitHub's workflow commands and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from meshcors._policy.wording import printable
from meshcors.mesh._lint.explanations import explanation
from meshcors.mesh._lint.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcors.mesh._lint.finding import Diagnostic, Severity

_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}


def as_text(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a line for each diagnostic, their counts, and how to read more."""
    # a newline in a name must not begin a line of its own: CI systems read some as commands
    lines = [printable(str(each)) for each in diagnostics]
    counts = Counter(each.severity for each in diagnostics)
    parts = [
        f"{counts[each]} {each}{'s' * (counts[each] > 1)}" for each in _SEVERITIES if counts[each]
    ]
    lines.append(", ".join(parts) or "no problems found")
    if diagnostics:
        worst = min(diagnostics, key=lambda each: _SEVERITIES.index(each.severity))
        lines.append(f"To read about a lint rule: {worst.rule.explain_command}")
    return "\n".join(lines)


def as_json(diagnostics: Sequence[Diagnostic]) -> str:
    """Return an object whose ``findings`` is a list of flat objects."""
    listed = [
        {
            "id": each.rule.id,
            "severity": each.severity,
            "name": each.name,
            "file": each.place.file,
            "line": each.place.line,
            "column": each.place.column,
            "object": each.object or None,
            "reason": each.reason,
            "hint": each.hint,
            # a path in the repository leads nowhere from here
            **({"docs": each.rule.docs} if "://" in each.rule.docs else {}),
            "explain": each.rule.explain_command,
        }
        for each in diagnostics
    ]
    return json.dumps({"findings": listed}, indent=2)


def as_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Return workflow commands that GitHub Actions turns into annotations."""
    return "\n".join(
        f"::{_COMMANDS[each.severity]} file={_property(each.place.file)},"
        f"line={each.place.line},col={each.place.column},"
        f"title={_property(_title(each))}"
        f"::{_data(f'{each.reason}; {each.hint} ({each.rule.explain_command})')}"
        for each in diagnostics
    )


def as_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a log of one run, with every lint rule of the table and its explanation."""
    driver = {
        "name": "meshcors",
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "shortDescription": {"text": rule.title},
                "help": {"text": explanation(rule)},
                **({"helpUri": rule.docs} if "://" in rule.docs else {}),
                "defaultConfiguration": {"level": rule.severity},
            }
            for rule in RULES
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each) for each in diagnostics],
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


FORMATS: Final[dict[str, Callable[[Sequence[Diagnostic]], str]]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def _result(diagnostic: Diagnostic) -> dict[str, Any]:
    place = diagnostic.place
    location = {
        "artifactLocation": {"uri": _uri(place.file)},
        "region": {"startLine": place.line, "startColumn": place.column},
    }
    logical = [{"fullyQualifiedName": diagnostic.object}] if diagnostic.object else []
    return {
        "ruleId": diagnostic.rule.id,
        "ruleIndex": RULES.index(diagnostic.rule),
        "level": diagnostic.severity,
        "message": {"text": f"{diagnostic.reason}; {diagnostic.hint}"},
        "locations": [
            {"physicalLocation": location, **({"logicalLocations": logical} if logical else {})}
        ],
    }


def _title(diagnostic: Diagnostic) -> str:
    named = f" ({diagnostic.object})" if diagnostic.object and not diagnostic.is_alone else ""
    return f"{diagnostic.rule.id} {diagnostic.name}{named}"


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogateescape")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
