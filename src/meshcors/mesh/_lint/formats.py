"""Findings as text, JSON, GitHub's workflow commands and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from meshcors.mesh._lint.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcors.mesh._lint.finding import Diagnostic

_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}


def as_text(findings: Sequence[Diagnostic]) -> str:
    """Print a line for each finding, and one that counts them."""
    lines = [str(finding) for finding in findings]
    counts = Counter(finding.rule.severity for finding in findings)
    parts = [f"{number} {severity}{'s' * (number > 1)}" for severity, number in counts.items()]
    lines.append(", ".join(parts) or "nothing found")
    return "\n".join(lines)


def as_json(findings: Sequence[Diagnostic]) -> str:
    """Print an object whose ``findings`` is a list of flat objects."""
    listed = [
        {
            "id": finding.rule.id,
            "severity": finding.rule.severity,
            "name": finding.rule.name,
            "file": finding.place.file,
            "line": finding.place.line,
            "column": finding.place.column,
            "reason": finding.reason,
            "hint": finding.hint,
            "docs": finding.rule.docs,
        }
        for finding in findings
    ]
    return json.dumps({"findings": listed}, indent=2)


def as_github(findings: Sequence[Diagnostic]) -> str:
    """Print workflow commands that GitHub Actions turns into annotations."""
    return "\n".join(
        f"::{_COMMANDS[finding.rule.severity]} file={_property(finding.place.file)},"
        f"line={finding.place.line},col={finding.place.column},"
        f"title={_property(f'{finding.rule.id} {finding.rule.name}')}"
        f"::{_data(f'{finding.reason}; {finding.hint} ({finding.rule.docs})')}"
        for finding in findings
    )


def as_sarif(findings: Sequence[Diagnostic]) -> str:
    """Print a log of one run, with every rule of the table."""
    driver = {
        "name": "meshcors",
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "shortDescription": {"text": rule.title},
                "help": {"text": rule.docs},
                "defaultConfiguration": {"level": rule.severity},
            }
            for rule in RULES
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in findings],
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


FORMATS: Final[dict[str, Callable[[Sequence[Diagnostic]], str]]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def _result(finding: Diagnostic) -> dict[str, Any]:
    place = finding.place
    location = {
        "artifactLocation": {"uri": _uri(place.file)},
        "region": {"startLine": place.line, "startColumn": place.column},
    }
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": finding.rule.severity,
        "message": {"text": f"{finding.reason}; {finding.hint}"},
        "locations": [{"physicalLocation": location}],
    }


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
