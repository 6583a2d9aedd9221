"""Several policies by host and path: the first rule that covers a URL decides.

One URL, one policy: browsers cache preflights by URL and header name, never by a header's value, so
nothing here depends on a key's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, Literal, TypeAlias, TypeVar, cast

from meshcors._policy.collector import Findings
from meshcors._policy.origins import OriginError, OriginPattern
from meshcors._policy.paths import is_plain_path, never_matches
from meshcors._policy.policy import Policy
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.wording import shown

T = TypeVar("T")

# Who answers where no rule covers a URL: the app, as if nothing stood before it, or a 404.
Uncovered: TypeAlias = Literal["app", "refuse"]

# What a refusal says where one URL would need two answers.
ONE_URL_ONE_POLICY: Final = (
    "browsers cache preflights by URL and header name, never by value: one URL has one policy"
)
# How many hosts' rules are kept ready, and how long a Host field may be to be kept: both are
# whatever clients send.
READY_HOSTS: Final = 1024
MAX_HOST_BYTES: Final = 320

EVERY_HOST: Final = ""
_WHOLE: Final = "/"
# RFC 9110 7.2: the Host field. A name of plain labels that may end with a dot, or an IPv6 address,
# and a port. An empty port, 0 and a leading zero are allowed there, but to Werkzeug and Django some
# of these are no host at all.
_HOST: Final = re.compile(
    r"(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|(\[[0-9a-f]*:[0-9a-f:.]+\]))(?::([1-9][0-9]{0,4}))?"
)
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True, init=False)
class Rule(PydanticField):
    """A policy, and the URLs that it covers.

    `hosts` are names (``api.example.com``), addresses, or all names below a domain
    (``*.example.com``: one label or more before it), compared without case and port; None covers
    every host. `path_prefix` covers itself and all below it, by whole segments and with case:
    ``/v1`` covers ``/v1`` and ``/v1/x``, never ``/v1x``. It is compared with the path on which the
    app routes, decoded once, and never covers one in doubt, such as ``/v1/../x`` or ``//v1``.

    Raises `PolicyError`.
    """

    policy: Policy
    hosts: tuple[str, ...]
    path_prefix: str

    def __init__(
        self, policy: Policy, *, hosts: Iterable[str] | None = None, path_prefix: str = _WHOLE
    ) -> None:
        found = Findings()
        if not isinstance(policy, Policy):
            hint = "pass a meshcors.Policy"
            found.add("not_a_policy", "policy", type(policy).__name__, hint)
        kept_hosts = () if hosts is None else _hosts(found, hosts)
        kept_prefix = _prefix(found, path_prefix)
        found.raise_if_wrong()
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "hosts", kept_hosts)
        object.__setattr__(self, "path_prefix", kept_prefix)


@dataclass(frozen=True, slots=True, init=False)
class RuleSet(PydanticField):
    """Rules in order: the first that covers a URL decides.

    `uncovered` says who answers, in middleware, where none covers it: ``"app"``, as if the
    middleware were not there, or ``"refuse"``, a 404 ``no_rule``. None is ``"refuse"`` where any
    rule has a key, for a client chooses its Host and path and would walk around it, else ``"app"``.

    A rule that no URL reaches is refused, and so are two rules for the same host and path.
    Raises `PolicyError`.
    """

    rules: tuple[Rule, ...]
    uncovered: Uncovered | None

    def __init__(self, rules: Iterable[Rule], *, uncovered: Uncovered | None = None) -> None:
        found = Findings()
        kept = _rules(found, rules)
        _check_reached(found, kept)
        if uncovered not in (None, "app", "refuse"):
            found.add("uncovered_unknown", "uncovered", "", "write app or refuse")
        found.raise_if_wrong()
        object.__setattr__(self, "rules", kept)
        object.__setattr__(self, "uncovered", uncovered)

    @property
    def refuses_uncovered(self) -> bool:
        """Whether middleware refuses what no rule covers."""
        if self.uncovered is None:
            return any(rule.policy.key for rule in self.rules)
        return self.uncovered == "refuse"

    def without_key_values(self) -> RuleSet:
        """Return the rules as the pod has them: keys checked for presence only."""
        bare = (
            Rule(
                rule.policy.without_key_values(),
                hosts=rule.hosts or None,
                path_prefix=rule.path_prefix,
            )
            for rule in self.rules
        )
        return RuleSet(bare, uncovered=self.uncovered)


class RuleMap(Generic[T]):
    """Rules compiled: a look-up takes the same time whatever their number.

    `values` are what to find for each of the rules, `outside` what to find for a URL that none
    covers. `uncertain` stands for a host in doubt where any rule names hosts, and for a path in
    doubt on a host where the path decides: the app may take it for one under another rule.
    """

    def __init__(self, rules: RuleSet, values: Sequence[T], outside: T, uncertain: T) -> None:
        self._values = (*values, outside)
        self._uncertain = uncertain
        self._none = len(rules.rules)
        self._by_host: dict[str, _Prefixes] = {}
        for index, rule in enumerate(rules.rules):
            for host in rule.hosts or (EVERY_HOST,):
                self._by_host.setdefault(host, _Prefixes()).add(rule.path_prefix, index)
        names_hosts = any(rule.hosts for rule in rules.rules)
        self._host_in_doubt = None if names_hosts else self._reach(EVERY_HOST)
        self._look_up = lru_cache(READY_HOSTS)(self._look_up_host)

    def find(self, host: bytes, path: str) -> T:
        """Return the value for a request.

        `host` is its Host field, b"" where it has none, several joined with a comma; `path` the one
        on which the app routes, decoded once.
        """
        reach = self._look_up(host) if len(host) <= MAX_HOST_BYTES else self._host_in_doubt
        if reach is None:
            return self._uncertain
        if not reach.by_path:
            return self._values[reach.whole]
        if not is_plain_path(path):
            return self._uncertain
        first = reach.whole
        for prefixes in reach.by_path:
            first = prefixes.first(path, first)
        return self._values[first]

    def _look_up_host(self, host: bytes) -> _Reach | None:
        named = host_name(host)
        return self._host_in_doubt if named is None else self._reach(named)

    def _reach(self, host: str) -> _Reach:
        found = [self._by_host[name] for name in _covering(host) if name in self._by_host]
        whole = min((prefixes.whole(self._none) for prefixes in found), default=self._none)
        return _Reach(whole, tuple(p for p in found if p.begins_before(whole)))


def host_name(field: bytes) -> str | None:
    """Return the host in a Host `field` (RFC 9110 7.2), or None for one in doubt.

    In lower case, without port and without a last dot. In doubt is what is missing, empty, sent
    more than once (joined with a comma) or malformed.
    """
    named = _HOST.fullmatch(field.decode("latin-1").strip(" \t").lower())
    if named is None or int(named[3] or 0) > _LARGEST_PORT:
        return None
    return named[1] or named[2]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a host reaches: its first rule for all paths, and the prefixes that come before it."""

    whole: int
    by_path: tuple[_Prefixes, ...]


class _Prefixes:
    """The rules that name the same host, by path prefix.

    Where two cover a path, the longer prefix comes first: a `RuleSet` has no other order.
    """

    def __init__(self) -> None:
        self._by_prefix: dict[str, int] = {}
        self._longest = 0
        self._begin: int | None = None
        self._whole: int | None = None

    def add(self, prefix: str, index: int) -> None:
        if prefix == _WHOLE:
            self._whole = index
        else:
            self._by_prefix[prefix] = index
            self._begin = index if self._begin is None else min(index, self._begin)
            self._longest = max(self._longest, len(prefix))

    def whole(self, otherwise: int) -> int:
        return otherwise if self._whole is None else self._whole

    def begins_before(self, index: int) -> bool:
        return self._begin is not None and self._begin < index

    def first(self, path: str, otherwise: int) -> int:
        """Return the first rule that covers `path`, or `otherwise` if that comes before it."""
        index = self._by_prefix.get(path)
        end = self._longest + 1
        while index is None:
            end = path.rfind("/", 0, end)
            if end <= 0:
                return otherwise
            index = self._by_prefix.get(path[:end])
        return min(index, otherwise)


def _covering(host: str) -> Iterator[str]:
    """Yield what covers a host or a pattern: itself, the patterns of its parents, every host."""
    yield host
    parent = host
    while parent := parent.partition(".")[2]:
        yield f"*.{parent}"
    yield EVERY_HOST


def _rules(found: Findings, rules: object) -> tuple[Rule, ...]:
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        found.add("not_a_list", "rules", type(rules).__name__, "write a list of meshcors.Rule")
        return ()
    kept = tuple(cast("Iterable[object]", rules))
    if not kept:
        found.add("no_rules", "rules", "", "write at least one rule")
    for index, rule in enumerate(kept):
        if not isinstance(rule, Rule):
            found.add("wrong_type", f"rules[{index}]", type(rule).__name__, "write a meshcors.Rule")
    return tuple(rule for rule in kept if isinstance(rule, Rule))


class Coverage:
    """Which rule covers all of a host, or pattern of hosts, and a path prefix.

    Nothing but a single rule can: hosts and paths that are named nowhere always remain.
    """

    def __init__(self) -> None:
        self._added: dict[tuple[str, str], int] = {}

    def add(self, rule: Rule, index: int) -> None:
        """Add the rule that is number `index`."""
        for host in rule.hosts or (EVERY_HOST,):
            self._added.setdefault((host, rule.path_prefix), index)

    def earliest(self, host: str, prefix: str) -> int | None:
        """Return the first rule, of those added, that covers `prefix` on `host`."""
        urls = ((name, path) for name in _covering(host) for path in _self_and_parents(prefix))
        return min((self._added[url] for url in urls if url in self._added), default=None)


def _check_reached(found: Findings, rules: tuple[Rule, ...]) -> None:
    """Find the rules that earlier ones keep from ever being reached."""
    coverage = Coverage()
    for index, rule in enumerate(rules):
        for host in rule.hosts or (EVERY_HOST,):
            earlier = coverage.earliest(host, rule.path_prefix)
            if earlier is None:
                continue
            field, value = f"rules[{index}]", f"{host}{rule.path_prefix}"
            first = rules[earlier]
            if rule.path_prefix == first.path_prefix and host in (first.hosts or (EVERY_HOST,)):
                hint = f"rules[{earlier}] covers the same URLs: {ONE_URL_ONE_POLICY}"
                found.add("rule_second_policy", field, value, hint)
            else:
                hint = f"never reached: rules[{earlier}] covers it; put this one before that"
                found.add("rule_unreachable", field, value, hint)
        coverage.add(rule, index)


def _self_and_parents(prefix: str) -> Iterator[str]:
    while prefix and prefix != _WHOLE:
        yield prefix
        prefix = prefix.rpartition("/")[0]
    yield _WHOLE


def _hosts(found: Findings, hosts: object) -> tuple[str, ...]:
    problems_before = len(found.problems)
    given = found.texts("hosts", hosts)
    if not given and len(found.problems) == problems_before:
        found.add("hosts_empty", "hosts", "", "leave hosts out to cover every host")
    for host in given:
        if host == "*":
            found.add("host_wildcard", "hosts", host, "leave hosts out to cover every host")
        elif not _is_host(host):
            hint = (
                "write a host such as api.example.com or *.example.com, without scheme, port or"
                " path"
            )
            found.add("host_malformed", "hosts", shown(host), hint)
    return tuple(dict.fromkeys(host.lower() for host in given))


def _is_host(host: str) -> bool:
    """Tell whether an origin can have the `host`, letter case apart."""
    try:
        return host.isascii() and OriginPattern.parse(f"https://{host.lower()}").port is None
    except OriginError:
        return False


def _prefix(found: Findings, path: object) -> str:
    field = "path_prefix"
    if not isinstance(path, str):
        found.add("wrong_type", field, shown(path), "a path is a string")
        return _WHOLE
    if not path.startswith("/"):
        found.add("path_not_absolute", field, shown(path), f"a path begins with /: /{path}")
    elif "*" in path:
        found.add("path_wildcard", field, shown(path), "a prefix covers all below it: leave out *")
    elif wrong := never_matches(path):
        code, hint = wrong
        found.add(code, field, shown(path), hint)
    return path.removesuffix("/") or _WHOLE
