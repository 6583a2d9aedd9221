"""nginx: the ``add_header Access-Control-...`` lines of servers and locations.

A block without such lines has those around it, unless it has an add_header of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.nginx_hidden import inside, refuse_what_is_hidden
from meshcors.config._foreign.nginx_origins import NginxOrigins, UnreadableOriginsError, unique
from meshcors.config._foreign.nginx_syntax import NginxSyntaxError, parse_nginx
from meshcors.config._foreign.said import (
    MOST_POLICIES,
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
    for each in (each for root in roots for each in inside(root)):
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
        # None for a block without an add_header
        self._with_cors: dict[int, bool | None] = {}
        self._servers = sum(each.name == "server" for each in inside(root))

    def read(self) -> None:
        """Read every block that has lines of its own; longer paths first, as nginx picks them."""
        found: list[tuple[ForeignPolicy, Directive | None]] = []
        without: list[Directive] = []
        stack = [self._root]
        while stack:
            block = stack.pop()
            stack += [each for each in reversed(block.block) if each.name in _BLOCKS]
            lines = list(_lines(block))
            cors = [each for each in lines if _header(each) in _ALL]
            if any(_header(each) == _ORIGIN for each in cors):
                found += [(each, _server(block)) for each in self._policies(block, cors)]
            elif block.name == "location" and (lines or not self._inherits(block)):
                without.append(block)
        found.sort(key=lambda each: (-len(each[0].path_prefix), each[0].place))
        self._reading.policies += [policy for policy, _ in found]
        if len(found) <= MOST_POLICIES:
            for block in without[:MOST_POLICIES]:
                self._note_what_is_covered(block, found)

    def _note_what_is_covered(
        self, block: Directive, found: list[tuple[ForeignPolicy, Directive | None]]
    ) -> None:
        """Note that a location, where nginx sends no CORS headers, is in a policy's URLs."""
        path, server = block.words[-1], _server(block)
        for policy, its_server in found:
            is_same = its_server is server or not policy.hosts
            below = f"{path.rstrip('/')}/".startswith(f"{policy.path_prefix.rstrip('/')}/")
            if is_same and (below or path[:1] not in "/@"):
                own = "an add_header of its own, so" if any(_lines(block)) else "no add_header:"
                self._reading.note(
                    f"{block.place}: this location has {own} nginx sends no CORS headers there; the"
                    " policy covers it"
                )
                return

    def _inherits(self, block: Directive) -> bool:
        """Tell whether the lines around a block, of which the nearest ones count, have CORS."""
        for outer in (*reversed(block.outer), self._root):
            if id(outer) not in self._with_cors:
                headers = [_header(line) for line in _lines(outer)]
                self._with_cors[id(outer)] = _ORIGIN in headers if headers else None
            has_cors = self._with_cors[id(outer)]
            if has_cors is not None:
                return has_cors
        return False

    def _policies(self, block: Directive, lines: list[Directive]) -> Iterator[ForeignPolicy]:
        prefix = self._prefix(block)
        hosts = self._hosts(block)
        if prefix is None or hosts is None:
            return
        options: dict[Field, ForeignOption] = {}
        try:
            refuse_what_is_hidden(self._origins, block, lines)
            self._read_origins(options, lines)
        except UnreadableOriginsError as error:
            self._reading.refuse(error.place, error.keyword, error.reason, error.hint)
            return
        for name in _ALL - {_ORIGIN}:
            if line := self._line(lines, name):
                self._read_line(options, name, line)
        if not hosts and self._servers > 1:
            self._reading.note(
                f"{options['allowOrigins'].place}: this server has no name that a rule can have, so"
                " the policy covers every host"
            )
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
            return unique(self._origins.of(line, value, "true")) == options["allowOrigins"].value
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


def _server(block: Directive) -> Directive | None:
    return next((each for each in (*block.outer, block) if each.name == "server"), None)


def _header(line: Directive) -> str:
    return line.words[1].lower()


def _keyword(line: Directive) -> str:
    return f"{_WORD} {line.words[1]}"
