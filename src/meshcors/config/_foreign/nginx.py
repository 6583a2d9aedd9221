"""nginx: the ``add_header Access-Control-...`` lines of servers and locations.

A block without such lines has those around it, unless it has an add_header of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.nginx_origins import NginxOrigins, UnreadableOriginsError, unique
from meshcors.config._foreign.nginx_syntax import NginxSyntaxError, parse_nginx
from meshcors.config._foreign.said import (
    NGINX,
    NGINX_BARE,
    ForeignOption,
    ForeignPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors.config._foreign.nginx_syntax import Directive
    from meshcors.config._foreign.said import Field, Reading

_LISTS: Final[dict[str, Field]] = {
    "access-control-allow-methods": "allowMethods",
    "access-control-allow-headers": "allowHeaders",
    "access-control-expose-headers": "exposeHeaders",
}
_ORIGIN: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"
_MAX_AGE: Final = "access-control-max-age"
_PRIVATE: Final = "access-control-allow-private-network"
_ALL: Final = frozenset({*_LISTS, _ORIGIN, _CREDENTIALS, _MAX_AGE, _PRIVATE})
_BLOCKS: Final = frozenset({"http", "server", "location", ""})
_WORD: Final = "add_header"


def read_nginx(reading: Reading, texts: Mapping[str, str]) -> None:
    """Read the texts of configurations by name; one may use the maps of another."""
    roots: list[Directive] = []
    before = len(reading.policies) + len(reading.problems)
    for name, text in texts.items():
        try:
            roots.append(parse_nginx(text, name))
        except NginxSyntaxError as error:
            reading.refuse(error.place, "", error.reason, error.hint)
    origins = NginxOrigins(roots)
    for root in roots:
        _Configuration(reading, root, origins).read()
    for each in (each for root in roots for each in _inside(root)):
        if each.name == "include" and "types" not in each.words[-1]:
            reading.note(f"{each.place}: include is not followed; name what it includes, too")
    if len(reading.policies) + len(reading.problems) == before:
        message = "says nothing about CORS that a policy can say"
        hint = f"name the file with {_WORD} Access-Control-Allow-Origin"
        reading.said_nothing(next(iter(texts)), message, hint)


class _Configuration:
    def __init__(self, reading: Reading, root: Directive, origins: NginxOrigins) -> None:
        self._reading = reading
        self._root = root
        self._origins = origins
        self._with_cors: dict[int, bool] = {}

    def read(self) -> None:
        """Read every block that has lines of its own; longer paths first, as nginx picks them."""
        found: list[ForeignPolicy] = []
        stack = [self._root]
        while stack:
            block = stack.pop()
            stack += [each for each in reversed(block.block) if each.name in _BLOCKS]
            lines = list(_lines(block))
            cors = [each for each in lines if _header(each) in _ALL]
            if any(_header(each) == _ORIGIN for each in cors):
                found += self._policies(block, cors)
            elif lines and block.name == "location" and self._inherits(block):
                self._reading.note(
                    f"{block.place}: this location has an add_header of its own, so nginx sends no"
                    " CORS headers there; the policy covers it"
                )
        found.sort(key=lambda each: (-len(each.path_prefix), each.place))
        self._reading.policies += found

    def _inherits(self, block: Directive) -> bool:
        return any(self._has_cors(outer) for outer in (self._root, *block.outer))

    def _has_cors(self, block: Directive) -> bool:
        if id(block) not in self._with_cors:
            found = any(_header(line) == _ORIGIN for line in _lines(block))
            self._with_cors[id(block)] = found
        return self._with_cors[id(block)]

    def _policies(self, block: Directive, lines: list[Directive]) -> Iterator[ForeignPolicy]:
        prefix = self._prefix(block)
        hosts = self._hosts(block)
        if prefix is None or hosts is None:
            return
        options: dict[Field, ForeignOption] = {}
        try:
            self._read_origins(options, lines)
        except UnreadableOriginsError as error:
            self._reading.refuse(error.place, error.keyword, error.reason, error.hint)
            return
        for name in _ALL - {_ORIGIN}:
            if line := self._line(lines, name):
                self._read_line(options, name, line)
        origins = [each for each in lines if _header(each) == _ORIGIN]
        # What preflights get is never an error.
        on_calls = [each for each in origins if not _is_for_preflights(each)] or origins
        bare = any(each.words[-1] != "always" for each in on_calls)
        system = NGINX_BARE if bare else NGINX
        yield ForeignPolicy(system, block.place if block.words[0] else lines[0].place, options,
                            hosts, prefix)  # fmt: skip

    def _read_origins(self, options: dict[Field, ForeignOption], lines: list[Directive]) -> None:
        found: list[object] = []
        credentials = self._line(lines, _CREDENTIALS)
        with_credentials = credentials is not None and credentials.words[2:3] not in ([], ["false"])
        origin_lines = [each for each in lines if _header(each) == _ORIGIN]
        for line in origin_lines:
            value = line.words[2] if line.words[2:] else ""
            origins = self._origins.of(line, value)
            if origins == ["*"] and value != "*":
                if with_credentials:
                    raise UnreadableOriginsError(
                        line,
                        f"{value} lets any site act as the user, as every origin is sent back with"
                        " Access-Control-Allow-Credentials",
                        "write a map of the origins that may, or leave out the credentials",
                    )
                self._reading.note(
                    f"{line.place}: {value} sends back any origin; the policy's is *"
                )
            found += origins
        first = origin_lines[0]
        options["allowOrigins"] = ForeignOption(unique(found), _keyword(first), first.place)

    def _line(self, lines: list[Directive], name: str) -> Directive | None:
        """Return the line for a header; what is sent to preflights counts first."""
        named = [each for each in lines if _header(each) == name]
        for_preflights = [each for each in named if _is_for_preflights(each)]
        return next(iter(for_preflights or named), None)

    def _read_line(self, options: dict[Field, ForeignOption], name: str, line: Directive) -> None:
        value = line.words[2] if line.words[2:] else ""

        def put(field: Field, given: object) -> None:
            options[field] = ForeignOption(given, _keyword(line), line.place)

        if name in (_CREDENTIALS, _PRIVATE) and self._is_true(options, line, value):
            put("allowCredentials" if name == _CREDENTIALS else "allowPrivateNetwork", True)
        elif value == "$http_access_control_request_headers" and name.endswith("allow-headers"):
            put("allowHeaders", ["*", "authorization"])
        elif "$" in value:
            self._reading.refuse(
                line.place, _keyword(line), f"{value} is computed", "write it here"
            )
        elif name in (_CREDENTIALS, _PRIVATE):
            return
        elif name == _MAX_AGE:
            put("maxAge", int(value[:20]) if value.isascii() and value.isdecimal() else value)
        else:
            put(_LISTS[name], [each.strip() for each in value.split(",") if each.strip()])

    def _is_true(self, options: dict[Field, ForeignOption], line: Directive, value: str) -> bool:
        """Tell whether a value is true, or a map that is true for just the allowed origins."""
        if value == "true" or not value.startswith("$"):
            return value == "true"
        try:
            return unique(self._origins.of(line, value)) == options["allowOrigins"].value
        except UnreadableOriginsError:
            return False

    def _prefix(self, block: Directive) -> str | None:
        """Return the prefix of a location, None if it has none that a rule can have."""
        prefix = "/"
        for location in (*block.outer, block):
            if location.name != "location":
                continue
            how, path = ("", "", *location.words[1:])[-2:]
            if how in ("=", "~", "~*") or not path.startswith("/"):
                self._reading.note(
                    f"{location.place}: left out: location {' '.join(location.words[1:])} is not a"
                    " prefix of paths, and a rule would cover more"
                )
                return None
            prefix = path
        if prefix != "/" and not prefix.endswith("/"):
            self._reading.note(
                f"{block.place}: location {prefix} also takes {prefix}x; the policy covers whole"
                f" segments: {prefix} and below"
            )
        return prefix.rstrip("/") or "/"

    def _hosts(self, block: Directive) -> tuple[str, ...] | None:
        hosts: list[str] = []
        for server in (*block.outer, block):
            if server.name != "server":
                continue
            for line in server.all("server_name"):
                for name in line.words[1:]:
                    if name.startswith("~") or name.endswith(".*") or "$" in name:
                        self._reading.refuse(
                            line.place, "server_name", f"{name} is a pattern of names that a rule"
                            " cannot have", "write the names",
                        )  # fmt: skip
                        return None
                    if name.startswith("."):
                        hosts += [name[1:], f"*{name}"]
                    elif re.fullmatch(r"[\w.*:-]*[a-zA-Z0-9]", name) and name != "localhost":
                        hosts.append(name)
        return tuple(dict.fromkeys(hosts))


def _is_for_preflights(line: Directive) -> bool:
    return any("OPTIONS" in " ".join(outer.words) for outer in line.outer if outer.name == "if")


def _lines(block: Directive) -> Iterator[Directive]:
    """Yield the add_header lines of a block, and those of the ifs in it."""
    for each in block.block:
        if each.name == _WORD and len(each.words) >= 2:
            yield each
        elif each.name in ("if", "limit_except"):
            yield from _lines(each)


def _inside(directive: Directive) -> Iterator[Directive]:
    for each in directive.block:
        yield each
        yield from _inside(each)


def _header(line: Directive) -> str:
    return line.words[1].lower()


def _keyword(line: Directive) -> str:
    return f"{_WORD} {line.words[1]}"
