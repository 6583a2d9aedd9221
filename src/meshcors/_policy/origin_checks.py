"""The checks of a policy's origins: which are malformed, and which let strangers in."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from meshcors._policy.errors import OriginError
from meshcors._policy.origin_set import AllowedOrigin
from meshcors._policy.origins import OriginPattern
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.problem_collector import ProblemCollector
from meshcors._policy.regex import CompiledRegex, Regex, written_regex
from meshcors._policy.wording import shown, shown_origin

_FIELD: Final = "allow_origins"
SEVERAL_ORIGINS: Final = "several origins with spaces between: write a list"

# What regular expressions contain, and origins never do.
_LOOKS_LIKE_REGEX: Final = re.compile(r"[\\^$(){}|]|\.[*+]|\[[^\]:]*-")


class OriginChecks(NamedTuple):
    """The checks of one policy's origins; what they find goes to `problems`.

    `credentials` is its `allow_credentials`. The others are its ``dangerously_allow_...`` options.
    """

    problems: ProblemCollector
    credentials: bool
    null_origin: bool
    insecure_origins: bool
    public_suffixes: bool

    def check(self, origins: Collection[AllowedOrigin]) -> None:
        """Check all `origins` of a policy."""
        for item in origins:
            if isinstance(item, Regex):
                self._check_regex(item)
            elif item == "null":
                self._check_null()
            elif item != "*":
                self._check_pattern(item)
        if "*" in origins:
            self._check_wildcard(len(origins))

    def _add(self, code: ProblemCode, value: str, hint: str) -> None:
        self.problems.add(code, _FIELD, value, hint)

    def _check_null(self) -> None:
        if not self.null_origin:
            hint = (
                "every sandboxed frame and every file: page has the origin null; if you mean it,"
                " set dangerously_allow_null_origin"
            )
            self._add("origin_null", "null", hint)

    def _check_wildcard(self, count: int) -> None:
        if count > 1:
            hint = "* allows every origin already: leave out the others, or leave out *"
            self._add("origin_wildcard_beside_others", "*", hint)
        if self.credentials:
            hint = (
                "with credentials any site could act as the user: list the origins, or leave out"
                " allow_credentials, which bearer tokens do not need"
            )
            self._add("origin_wildcard_with_credentials", "*", hint)

    def _check_pattern(self, item: str) -> None:
        try:
            pattern = OriginPattern.parse(item)
        except OriginError as error:
            self._add_malformed(item, error)
            return
        if not self.credentials or pattern.is_loopback:
            return
        if pattern.scheme == "http":
            self._check_insecure(item)
        if pattern.subdomains:
            from meshcors._policy.public_suffixes import public_suffixes

            suffixes = public_suffixes()
            if suffixes.gives_names(pattern.host):
                below = next(iter(suffixes.below(pattern.host)), "")
                is_suffix = suffixes.suffix(pattern.host).name == pattern.host
                shared = pattern.host if is_suffix else below
                self._check_public_suffix(item, shared.removeprefix("*."))

    def _add_malformed(self, item: str, error: OriginError) -> None:
        if "@" in item:  # what stands before it may be a password
            self.problems.found.append(error.problem(_FIELD, shown_origin(item)))
        elif (hint := _typo_hint(item)) is not None:
            self._add(error.code, shown(item), hint)
        elif _LOOKS_LIKE_REGEX.search(item):
            hint = f"{error.hint}; if it is a regular expression, write {written_regex(item)}"
            self._add(error.code, item, hint)
        elif not self.problems.several(_FIELD, item):
            self.problems.found.append(error.problem(_FIELD, shown_origin(item)))

    def _check_regex(self, regex: Regex) -> None:
        # Late, because few policies have a regex.
        from meshcors._policy.strangers import UnintendedOrigins, unintended_origins

        try:
            CompiledRegex(regex)
            lets_in = unintended_origins(regex) if self.credentials else UnintendedOrigins()
        except OriginError as error:
            self.problems.found.append(error.problem(_FIELD, regex.pattern))
            return
        if lets_in.stranger:
            hint = (
                "with credentials any site could act as the user, for example"
                f" {lets_in.stranger}: write the whole domain, with"
                r" \. or // before it and nothing open-ended after it"
            )
            self._add("origin_regex_open", regex.pattern, hint)
        elif lets_in.unchecked:
            hint = (
                "cannot be checked for strangers, which credentials require: list the origins, or"
                " write a simpler expression"
            )
            self._add("origin_regex_unchecked", regex.pattern, hint)
        if lets_in.neighbor:
            self._check_public_suffix(regex.pattern, lets_in.suffix)
        if lets_in.insecure:
            self._check_insecure(regex.pattern)

    def _check_insecure(self, value: str) -> None:
        if not self.insecure_origins:
            hint = (
                "anyone on the network can forge an http page and act as the user: use https; if"
                " you mean it, set dangerously_allow_insecure_origins"
            )
            self._add("origin_insecure", value, hint)

    def _check_public_suffix(self, value: str, suffix: str) -> None:
        if not self.public_suffixes:
            hint = (
                f"anyone can register a name below {suffix}; if you mean it, set"
                " dangerously_allow_public_suffixes"
            )
            self._add("origin_public_suffix", value, hint)


def _typo_hint(item: str) -> str | None:
    """Return what to write for an `item` that is an origin with a typo; else None."""
    parts = item.split()
    if not parts:
        return "an empty origin: leave it out"
    if item.startswith("regex:"):
        return f"write {written_regex(item.removeprefix('regex:'))}, with meshcors.Regex"
    if len(parts) > 1 and all("://" in part for part in parts):
        return SEVERAL_ORIGINS
    if item != item.strip():
        return "leave out the white space"
    if item != item.strip("\"'"):
        return "leave out the quotes"
    return None
