"""Foreign policies: what a system says about the pages that call some URLs, and where it says so.

Values are as the source has them, spelled like plain data of a policy file; nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._policy.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A gateway with a thousand services has no more.
MOST_POLICIES: Final = 1000
# The fields of a corsPolicy in a policy file that a source may have.
Field: TypeAlias = Literal[
    "allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "allowCredentials", "maxAge",
    "allowPrivateNetwork",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ForeignProblem:
    """Why something of a source cannot be said: the `keyword` at fault, if any, and the hint."""

    place: Place
    keyword: str
    message: str
    hint: str

    def __str__(self) -> str:
        keyword = f"{self.keyword}: " if self.keyword else ""
        return f"{self.place}: {keyword}{self.message}; {self.hint}"


class ForeignError(ValueError):
    """There is no policy file for what was read; `problems` are all the reasons."""

    def __init__(self, problems: Iterable[ForeignProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class System:
    """How a system answers, as far as it matters for a translation.

    `echoes`: a ``*`` in its lists means whatever a page asks for; otherwise the ``*`` itself is
    sent. `star_methods`: what a ``*`` in its methods means, if that is less. `safe_headers`: it
    always allows ``content-type``. `refuses_unlisted`: its preflights fail for a GET or POST that
    is not listed. `patterns`: a ``*`` in an origin means any text. `exact`: what an origin that is
    compared whole should be written as instead. `bare_errors`: which answers have no CORS headers.
    """

    name: str
    echoes: bool = False
    star_methods: str = ""
    safe_headers: bool = False
    refuses_unlisted: bool = False
    patterns: bool = False
    exact: str = "leave it out, or write a regular expression"
    bare_errors: str = ""


STARLETTE: Final = System(
    "CORSMiddleware",
    echoes=True,
    star_methods="those that it has a list of",
    safe_headers=True,
    refuses_unlisted=True,
    exact="leave it out, or write allow_origin_regex for what you mean",
    bare_errors="the 500 of an exception has no CORS headers",
)
LITESTAR: Final = System("CORSConfig", echoes=True, safe_headers=True, patterns=True)
FLASK: Final = System("flask-cors", echoes=True)
DJANGO: Final = System(
    "django-cors-headers", exact="leave it out, or write CORS_ALLOWED_ORIGIN_REGEXES"
)
ASGI_CORS: Final = System("asgi-cors", patterns=True)
NGINX: Final = System("nginx")
# nginx without `always`
NGINX_BARE: Final = System(
    "nginx", bare_errors="errors have no CORS headers, because always is missing"
)
ISTIO: Final = System("Istio")
GATEWAY_API: Final = System("the CORS filter")


@dataclass(frozen=True, slots=True)
class ForeignOption:
    """The value of one option, the `keyword` that sets it, and where; `given` unless a default.

    A list that several keywords add to has what it was `before` the last of them.
    """

    value: object
    keyword: str
    place: Place
    given: bool = True
    before: ForeignOption | None = None

    def adder_of(self, item: str) -> ForeignOption:
        """Return the option as the keyword left it that added `item`, or itself."""
        before = self.before
        if before is None or not isinstance(before.value, list) or item not in before.value:
            return self
        return before.adder_of(item)


@dataclass(frozen=True, slots=True)
class ForeignPolicy:
    """What a `system` says for some hosts (none: all of them) and a path prefix."""

    system: System
    place: Place
    options: Mapping[Field, ForeignOption]
    hosts: tuple[str, ...] = ()
    path_prefix: str = "/"
    key: str = ""


@dataclass(slots=True)
class Reading:
    """What is read from files: policies, problems that end the command, and notes."""

    policies: list[ForeignPolicy] = field(default_factory=list["ForeignPolicy"])
    problems: dict[ForeignProblem, None] = field(default_factory=dict[ForeignProblem, None])
    notes: dict[str, None] = field(default_factory=dict[str, None])

    def refuse(self, place: Place, keyword: str, message: str, hint: str) -> None:
        """Add a problem; one that is known already is not repeated."""
        self.problems[ForeignProblem(place, keyword, message, hint)] = None

    def note(self, text: str) -> None:
        """Add a note, once."""
        self.notes[text] = None

    def said_nothing(self, name: str, message: str, hint: str) -> None:
        """Add the problem that a file has nothing to read, and what was left out of it."""
        left_out = next((each for each in self.notes if each.startswith(f"{name}:")), "")
        more = f"; {left_out}" if left_out else ""
        self.refuse(Place(name, 1, 1), "", message, f"{hint}{more}")
