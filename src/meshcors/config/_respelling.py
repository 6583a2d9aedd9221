"""Translates hints and warnings, which use Python's names, for other sources."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from meshcors._policy.origin_checks import SEVERAL_ORIGINS
from meshcors._policy.other_libraries import KEY_HINT
from meshcors.config._options import OPTION_BY_NAME, Source, spelled

_OPTION_NAME: Final = re.compile(rf"(?<![.\w])({'|'.join(map(re.escape, OPTION_BY_NAME))})\b")
# The Python in hints: a string or Regex("..."), and allow_origins=[...] with these.
_ITEM: Final = re.compile(r'(?P<regex>Regex\()?(?P<text>"(?:[^"\\]|\\.)*")(?(regex)\))')
_ORIGINS: Final = re.compile(r'allow_origins=\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]')
_PHRASES: Final = (
    (", with meshcors.Regex", ""),
    ("a string or a meshcors.Regex", "a string, {exact: ...} or {regex: ...}"),
    ("a meshcors.Regex", "a regular expression"),
    ("write True or False", "write true or false"),
    ("or None for any", "or leave this out for any"),
)
_RULES: Final = re.compile(
    r'write rules=\[.*(?:path_prefix="([^"]*)"|hosts=\["(.*)"\])\)\], with meshcors\.Rule'
)
# Whole hints that sources word differently.
_HINTS: Final[Mapping[tuple[str, Source], str]] = {
    (SEVERAL_ORIGINS, "variable"): "several origins with spaces between: separate them by commas",
    (SEVERAL_ORIGINS, "flag"): "several origins with spaces between: repeat the flag",
    (KEY_HINT, "file"): "write key: {header: model-api-key, valuesFile: PATH}",
    (KEY_HINT, "variable"): "write MESHCORS_KEY_HEADER and MESHCORS_KEY_VALUES_FILE",
}


def respell(text: str, source: Source) -> str:
    """Return a hint or warning with the names of `source` instead of Python's."""
    text = _HINTS.get((text, source), text)
    text = _ORIGINS.sub(lambda found: _origins_as_written(found[1], source), text)
    text = _ITEM.sub(lambda found: _regex_as_written(found, source), text)
    text = _RULES.sub(lambda found: _rules_as_written(found, source), text)
    for ours, theirs in _PHRASES:
        text = text.replace(ours, theirs)
    return _OPTION_NAME.sub(lambda found: spelled(found[1], source), text)


def _rules_as_written(found: re.Match[str], source: Source) -> str:
    urls = f"pathPrefix: {found[1]}" if found[1] else f"hosts: [{found[2]}]"
    where = "write" if source == "file" else "in a file,"
    return f"{where} rules: [{{{urls}, corsPolicy: {{...}}}}]"


def _regex_as_written(found: re.Match[str], source: Source) -> str:
    return _origin_as_written(found, source) if found["regex"] else found[0]


def _origin_as_written(found: re.Match[str], source: Source) -> str:
    if source == "file":
        return f"{{regex: {found['text']}}}" if found["regex"] else found["text"]
    text = str(json.loads(found["text"]))
    return f"regex:{text}" if found["regex"] else text


def _origins_as_written(items: str, source: Source) -> str:
    texts = [_origin_as_written(found, source) for found in _ITEM.finditer(items)]
    if source == "file":
        return f"allow_origins: [{', '.join(texts)}]"
    if not any("," in text for text in texts):
        return f"allow_origins={','.join(texts)}"
    listed = _origins_as_written(items, "file").replace("allow_origins", "allowOrigins")
    return f"{listed} in a file: commas separate a variable's items"
