"""Origins as regular expressions, matched by RE2 in linear time."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, cast

from meshcors._policy.errors import OriginError

# Envoy's and Istio's limit for a regex in a route.
MAX_REGEX_LENGTH: Final = 1024

# The fixed cost of a look-up, in the unit of `CompiledRegex.steps`.
_STEPS_AT_LEAST: Final = 1000


@dataclass(frozen=True, slots=True)
class Regex:
    """Origins as a regular expression that must match the whole origin.

    `pattern` is in RE2's syntax and has at most 1024 characters, as in Istio's ``allowOrigins:
    [{regex: ...}]``. It needs the extra ``regex``. Raises `ValueError` if `pattern` is not a `str`.
    """

    pattern: str

    def __post_init__(self) -> None:
        given: object = self.pattern
        if not isinstance(given, str):
            written = written_regex(given)
            hint = f"write {written}" if written else f"write one, not {type(given).__name__}"
            raise OriginError("origin_regex_not_text", f"a regex is a str: {hint}")

    def __str__(self) -> str:
        return f"regex:{self.pattern}"


def written_regex(pattern: object) -> str | None:
    """Return how to write a text or a `re.Pattern` as a `Regex`; None for anything else."""
    if isinstance(pattern, re.Pattern):
        folded = "(?i)" if pattern.flags & re.IGNORECASE else ""
        text = cast("re.Pattern[str] | re.Pattern[bytes]", pattern).pattern
        pattern = folded + (text if isinstance(text, str) else text.decode("latin-1"))
    return f"Regex({json.dumps(pattern)})" if isinstance(pattern, str) else None


class CompiledRegex:
    """A `Regex` compiled by RE2; raises `OriginError` if RE2 is missing or refuses it."""

    def __init__(self, regex: Regex) -> None:
        if len(regex.pattern) > MAX_REGEX_LENGTH:
            raise OriginError(
                "origin_regex_too_long", f"a regex has at most {MAX_REGEX_LENGTH} characters"
            )
        try:
            import re2
        except ModuleNotFoundError:
            raise OriginError(
                "origin_regex_engine_missing",
                "regexes run on RE2: python -m pip install 'meshcors[regex]'",
            ) from None
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(regex.pattern, options)
        except re2.error as error:
            reason = error.args[0]
            shown = reason.decode() if isinstance(reason, bytes) else reason
            raise OriginError("origin_regex_invalid", f"RE2 refuses it: {shown}") from None
        except UnicodeEncodeError:
            raise OriginError(
                "origin_regex_invalid", "RE2 reads UTF-8: leave out lone surrogates"
            ) from None

    def fullmatch(self, text: str) -> bool:
        """Return whether the whole of `text` matches."""
        return self._compiled.fullmatch(text) is not None

    def steps(self, text: str) -> int:
        """Return an upper bound of the work that matching `text` takes, in no particular unit."""
        size = int(self._compiled.programsize)
        # Large programs exceed the memory of RE2's DFA, and then each character costs more.
        return _STEPS_AT_LEAST + len(text) * (size + size * size // 1000)

    def literal_prefix(self) -> str:
        """Return a text, possibly empty, that every full match begins with."""
        import re2

        try:
            least, most = self._compiled.possiblematchrange(MAX_REGEX_LENGTH)
        except re2.error:  # RE2 cannot say
            return ""
        # Every match is between the least and the most, so it begins as both of them do.
        pairs = zip(least, most, strict=False)
        same = bytes(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return same.decode(errors="ignore")
