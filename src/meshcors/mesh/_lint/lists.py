"""Rules about the names and the age in a corsPolicy that preflights are answered by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.policy import LARGEST_USEFUL_MAX_AGE
from meshcors.mesh._analysis.useless_names import (
    useless_exposed_name,
    useless_header,
    useless_method,
)
from meshcors.mesh._documents.problems import Place
from meshcors.mesh._documents.source import lines_of
from meshcors.mesh._lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_CURL: Final = re.compile(r"\bcurl\b")
_OPTIONS: Final = re.compile(r"\bOPTIONS\b")


def names_without_effect(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find names in the lists that browsers need no permission for, or can never use."""
    for located in mesh.preflight_policies:
        yield from _useless(located, "allowMethods", located.policy.allow_methods, useless_method)
        yield from _useless(located, "allowHeaders", located.policy.allow_headers, useless_header)
        yield from _useless(
            located, "exposeHeaders", located.policy.expose_headers, useless_exposed_name
        )


def _useless(
    located: LocatedPolicy, field: str, names: tuple[str, ...], why: Callable[[str], str]
) -> Iterator[Finding]:
    """Yield one hit for the list, at the first of the names."""
    useless = [(number, name) for number, name in enumerate(names) if why(name)]
    if useless:
        groups: dict[str, list[str]] = {}
        for _, name in useless:
            groups.setdefault(why(name), []).append(name)
        said = "; ".join(_sentence(listed, reason) for reason, listed in groups.items())
        place = located.place(field, useless[0][0])
        hint = f"leave {'them' if len(useless) > 1 else 'it'} out"
        yield Finding(place, f"{field}: {said}", hint)


def _sentence(names: list[str], reason: str) -> str:
    if len(names) > 1:
        verb, _, rest = reason.partition(" ")
        reason = f"{ {'needs': 'need', 'is': 'are'}.get(verb, verb) } {rest}"
    return f"{', '.join(names)} {reason}"


def long_max_age(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a maxAge longer than browsers keep a preflight's answer."""
    for located in mesh.preflight_policies:
        age = located.policy.max_age
        if age is not None and age > LARGEST_USEFUL_MAX_AGE:
            reason = (
                f"{age} seconds: Chromium keeps an answer for at most {LARGEST_USEFUL_MAX_AGE},"
                " WebKit 600, Firefox 86400"
            )
            yield Finding(
                located.place("maxAge"), reason, f"write {LARGEST_USEFUL_MAX_AGE // 3600}h"
            )


def literal_stars(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a ``*`` that does not mean what it seems to."""
    for located in mesh.policies:
        policy = located.policy
        for field, names in (
            ("allowMethods", policy.allow_methods),
            ("allowHeaders", policy.allow_headers),
        ):
            if "*" in names and len(names) > 1:
                meant = "literally" if policy.allow_credentials else "as all of them"
                reason = f"{field}: * beside other names is sent as it is, and read {meant}"
                place = located.place(field, names.index("*"))
                yield Finding(
                    place, reason, "write * alone, which echoes the request, or the names"
                )
        if policy.allow_credentials and "*" in policy.expose_headers:
            reason = "exposeHeaders: with credentials browsers take * literally"
            place = located.place("exposeHeaders", policy.expose_headers.index("*"))
            yield Finding(place, reason, "name the headers")
        stars = [origin for origin in policy.allow_origins if origin.value == "*"]
        if stars and len(policy.allow_origins) > 1:
            reason = "allowOrigins: * allows every origin already"
            yield Finding(stars[0].place, reason, "leave out the others, or leave out *")


def hollow_curl_tests(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a curl call, in a comment or a script, that looks like a preflight and is none."""
    for file, text in mesh.texts.items():
        lines = lines_of(text)
        for number, line in enumerate(lines, start=1):
            found = _CURL.search(line)
            if found is None:
                continue
            command, at = line, number
            while command.rstrip().endswith("\\") and at < min(len(lines), number + 20):
                command = command.rstrip()[:-1] + lines[at]
                at += 1
            if _OPTIONS.search(command) and "access-control-request-method" not in command.lower():
                reason = (
                    "without Access-Control-Request-Method this is no preflight, and proves nothing"
                    " about one"
                )
                hint = "add -H 'Origin: ...' and -H 'Access-Control-Request-Method: POST'"
                yield Finding(Place(file, number, found.start() + 1), reason, hint)
