"""Lint rules about the origins of a corsPolicy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import OriginPattern
from meshcors._policy.regex import MAX_REGEX_LENGTH, Regex
from meshcors._policy.regex_examples import example_of
from meshcors._policy.strangers import unintended_origins
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._lint.canaries import is_fixable
from meshcors.mesh._lint.commands import FIX
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.other_policies import all_policies
from meshcors.mesh._lint.sent_origins import (
    example_origins,
    is_sent,
    stranger_with,
    why_never_sent,
)
from meshcors.mesh._routing.matching import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import StringMatch

_BARE_DOT: Final = re.compile(r"(?<=[A-Za-z0-9_+*?)}])\.(?=[A-Za-z0-9])")
_ESCAPED: Final = re.compile(r"\\.|\[\^?\]?[^\]]*\]")


def star_with_credentials(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a policy with which any site can act as the user."""
    for located, origin in _origins(mesh):
        if located.policy.allow_credentials and is_open(origin):
            reason = (
                "with allowCredentials Envoy echoes any origin, so any site can act as the user"
            )
            fix = f": {FIX}" if is_fixable(located.document) else ""
            yield Finding(origin.place, reason, f"name the origins{fix}")


def never_sent(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find an entry that no origin of a browser matches."""
    for _, origin in _origins(mesh):
        hint = why_never_sent(origin)
        if not hint:
            continue
        if origin.kind == "exact":
            reason = f"no browser sends the origin {origin.value} exactly like this"
        else:
            begins = "begins with this prefix" if origin.kind == "prefix" else "matches this regex"
            reason = f"no origin that a browser sends {begins}"
        yield Finding(origin.place, reason, hint)


def bare_dots(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a regex in which a dot of a host name stands for any character."""
    for _, origin in _origins(mesh):
        if origin.kind != "regex":
            continue
        blanked = _ESCAPED.sub(lambda found: "_" * len(found[0]), origin.value)
        at = [found.start() for found in _BARE_DOT.finditer(blanked)]
        if at:
            other = _other_origin(origin.value, at)
            also = f", so {other} is allowed too" if other else ""
            yield Finding(origin.place, f"a dot matches any character{also}", "write \\.")


def partial_regexes(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a regex for a part of an origin: it has to match the whole, and never does."""
    for _, origin in _origins(mesh):
        if origin.kind == "regex" and not is_open(origin) and _is_partial(origin):
            reason = (
                "a regex has to match the whole origin, with its scheme, and this one never does"
            )
            yield Finding(origin.place, reason, "start it with https://")


def stranger_regexes(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a regex that also matches the origins of strangers."""
    for located, origin in _origins(mesh):
        if origin.kind != "regex" or is_open(origin):
            continue
        extra = unintended_origins(Regex(origin.value))
        credentials = located.policy.allow_credentials
        stranger = extra.stranger or (extra.neighbor if credentials else "")
        if stranger:
            reason = f"this regex also allows {stranger}"
            hint = "anchor the host name: https://example\\.com or https://(.+\\.)?example\\.com"
            yield Finding(origin.place, reason, hint)
        elif credentials and extra.unchecked and not _never_matches(origin):
            reason = "this regex cannot be checked for strangers"
            yield Finding(origin.place, reason, "list the origins, or write a simpler regex")


def prefixes(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a prefix that the origin of a stranger can begin with."""
    for _, origin in _origins(mesh):
        # only digits can follow a port's colon
        of_port = re.search(r"://[^/]+:[0-9]*$", origin.value)
        if origin.kind == "prefix" and not of_port and not why_never_sent(origin):
            reason = f"this prefix also allows {stranger_with(origin.value) or 'other sites'}"
            yield Finding(origin.place, reason, "use exact, or a regex")


def null_origin(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a policy that allows the origin of every sandboxed frame."""
    for located in all_policies(mesh):
        if not any(is_open(origin) for origin in located.policy.allow_origins):
            for origin in located.policy.allow_origins:
                if origin.kind == "exact" and origin.value == "null":
                    reason = "every sandboxed frame has the origin null, on any site"
                    yield Finding(origin.place, reason, "remove it, and serve the page from a URL")


def insecure_origins(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find an http origin that is allowed credentials."""
    for located, origin in _origins(mesh):
        if origin.kind != "exact" or not located.policy.allow_credentials:
            continue
        try:
            pattern = OriginPattern.parse(origin.value)
        except OriginError:
            continue
        if pattern.scheme == "http" and not pattern.is_loopback:
            reason = (
                "anyone on the network can forge an http page, whose calls carry the user's cookies"
            )
            yield Finding(origin.place, reason, "use https")


def _never_matches(origin: StringMatch) -> bool:
    return _is_partial(origin) or bool(why_never_sent(origin))


def _is_partial(origin: StringMatch) -> bool:
    text = example_of(origin.value)
    if text is None or text == "null" or "://" in text:
        return False
    # a regex that matches one of these is not partial
    longer = (f"https://{text}", f"https://ui{text}", f"https://{text}.example", "https://")
    return not any(compiled(origin.value).fullmatch(each) for each in longer)


def _origins(mesh: MeshDocuments) -> Iterator[tuple[LocatedPolicy, StringMatch]]:
    return (
        (located, origin)
        for located in all_policies(mesh)
        for origin in located.policy.allow_origins
    )


def _other_origin(regex: str, at: list[int]) -> str:
    """Return an origin that a regex matches only because of its dots ``at`` these places."""
    strict = "".join("\\." if number in at else char for number, char in enumerate(regex))
    if len(strict) > MAX_REGEX_LENGTH:
        return ""
    short = [example_of(regex, dot=dot) or "" for dot in "-x"]
    with_scheme = (f"https://{text}" for text in short)
    for text in (*short, *with_scheme, *example_origins(regex)):
        matched = is_sent(text) and compiled(regex).fullmatch(text)
        if matched and not compiled(strict).fullmatch(text):
            return text
    return ""
