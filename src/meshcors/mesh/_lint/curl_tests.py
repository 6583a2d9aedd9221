"""A lint rule about tests of preflights with curl."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place
from meshcors.mesh._documents.yaml_nodes import lines_of
from meshcors.mesh._lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_CURL: Final = re.compile(r"\bcurl\b")
_OPTIONS: Final = re.compile(r"\bOPTIONS\b")
# A copy of the whole object, as in the annotation last-applied-configuration.
_APPLIED: Final = re.compile(r'\{\\?"apiVersion\\?":')
_MOST_CONTINUATION_LINES: Final = 20


def hollow_curl_tests(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a curl command in a comment or a script that is meant to be a preflight but is not."""
    for file, text in mesh.texts.items():
        lines = lines_of(text)
        for number, line in enumerate(lines, start=1):
            found = _CURL.search(line)
            if found is None or _APPLIED.search(line):
                continue
            command, at = line, number
            last = min(len(lines), number + _MOST_CONTINUATION_LINES)
            while command.rstrip().endswith("\\") and at < last:
                command = command.rstrip()[:-1] + lines[at]
                at += 1
            if _OPTIONS.search(command) and "access-control-request-method" not in command.lower():
                reason = (
                    "without Access-Control-Request-Method this is not a preflight, so it does not"
                    " test one"
                )
                hint = "add -H 'Origin: ...' and -H 'Access-Control-Request-Method: POST'"
                yield Finding(Place(file, number, found.start() + 1), reason, hint)
