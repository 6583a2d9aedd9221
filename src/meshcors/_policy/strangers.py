"""Strangers: which unintended origins a regular expression lets in.

It is tried with variations of the origins it is meant for: letters before or after a name, another
character in place of a dot, another top-level domain, another port, http for https, and what the
regex itself repeats or leaves out. Public suffixes tell whether a stranger can own such a name.
What is found is really open. Nothing found proves nothing, and a regex that cannot be tried counts
as unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from meshcors._policy.errors import OriginError
from meshcors._policy.hosts import is_loopback
from meshcors._policy.origins import MAX_ORIGIN_BYTES, Origin
from meshcors._policy.public_suffixes import public_suffixes
from meshcors._policy.regex import CompiledRegex, Regex
from meshcors._policy.regex_examples import examples_of

# A name (RFC 6761 6.4) and an address (RFC 5737) that nobody can own: a pattern that matches one
# matches anyone.
_STRANGER_HOSTS: Final = ("stranger.invalid", "203.0.113.9")
_SUBDOMAIN_OF: Final = ".stranger.invalid"
_SCHEMES: Final = ("https", "http")
# Their origins. A policy that allows one of them allows any site.
STRANGERS: Final = tuple(f"{scheme}://{host}" for host in _STRANGER_HOSTS for scheme in _SCHEMES)
# What is inserted into a host, to test letters, digits and the edges of words.
_MADE_UP: Final = ("q", "77", "q-", "-q")
_OTHER_TOP_LEVEL: Final = ("com", "net", "io", "de", "info", "cloud")
_LITERAL_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_LITERAL_PORT: Final = re.compile(r":[1-9][0-9]{0,4}")
_PLAIN: Final = re.compile(r"(?:[^\\.^$|?*+()\[\]{}]|\\[.-])*")
_HOST_PART: Final = re.compile(r"[a-z0-9_.-]+")
# The limit of what is tried: some 0.2 s for the slowest regexes.
MOST_STEPS: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class UnintendedOrigins:
    """The unintended origins that a regex lets in, one of each kind; ``""`` if none was found.

    `stranger` is somebody else's origin. `neighbor` is one that anyone can register, because the
    regex allows names below the public suffix `suffix`. `insecure` is an http origin other than
    loopback. `unchecked` means that there may be more: no intended origin was found, or trying them
    would take more than `MOST_STEPS`.
    """

    stranger: str = ""
    neighbor: str = ""
    suffix: str = ""
    insecure: str = ""
    unchecked: bool = False


class _Guess(NamedTuple):
    """An origin to try; `whole` is its host before an optional character was left out."""

    scheme: str
    host: str
    port: str
    whole: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}"


@lru_cache(maxsize=4096)
def unintended_origins(regex: Regex) -> UnintendedOrigins:
    """Return the unintended origins that `regex` allows; raises `OriginError` if RE2 refuses it."""
    compiled = CompiledRegex(regex)
    text = regex.pattern.replace("\\", "").lower()
    examples = examples_of(regex.pattern, most_steps=MOST_STEPS)
    # If its syntax cannot be read, the domains spelled out in it still help.
    seeds = list(dict.fromkeys(map(_origin_like, examples.texts))) or list(_spelled_out(text))
    steps = examples.steps
    sent: list[_Guess] = []
    for seed in seeds:
        origin = str(seed)
        steps += compiled.steps(origin)
        if steps <= MOST_STEPS and _is_readable(origin) and compiled.fullmatch(origin):
            sent.append(seed)
    meant = frozenset(_registered(seed.host) for seed in sent or seeds)
    guesses = chain(_guesses(seeds, examples.parts), _shortened(sent, examples.optional))
    neighbor = suffix = insecure = ""
    unchecked = not sent and not _PLAIN.fullmatch(regex.pattern)
    for guess in guesses:
        origin = str(guess)
        steps += compiled.steps(origin)
        if steps > MOST_STEPS:
            unchecked = True
            break
        if len(origin) > MAX_ORIGIN_BYTES or not compiled.fullmatch(origin):
            continue
        judged = _judge(compiled, text, meant, guess)
        is_insecure = guess.scheme == "http" and not insecure
        if (judged is None and not is_insecure) or not _is_sent_from_afar(origin):
            continue
        if is_insecure:
            insecure = origin
        if judged is not None:
            origin, below = judged
            if not below:
                return UnintendedOrigins(stranger=origin)
            neighbor, suffix = neighbor or origin, suffix or below
    return UnintendedOrigins("", neighbor, suffix, insecure, unchecked)


def _is_readable(origin: str) -> bool:
    """Return whether browsers send `origin`, or would with valid Punycode."""
    try:
        Origin.parse(origin)
    except OriginError as error:
        return error.code == "origin_punycode"
    return True


def _is_sent_from_afar(origin: str) -> bool:
    """Return whether browsers send `origin`, and it is not loopback."""
    try:
        return not is_loopback(Origin.parse(origin).host)
    except OriginError:
        return False


def _registered(host: str) -> str:
    """Return the registered domain of `host`: its public suffix and the label before it."""
    suffix = public_suffixes().suffix(host).name
    return host[host.rfind(".", 0, max(len(host) - len(suffix) - 1, 0)) + 1 :]


def _judge(
    compiled: CompiledRegex, text: str, meant: Set[str], guess: _Guess
) -> tuple[str, str] | None:
    """Return a stranger's origin, and the public suffix shared with strangers or ``""``; or None.

    A stranger is who registered a domain other than those in `meant`.
    """
    host = guess.host
    if host in _STRANGER_HOSTS or host.endswith(_SUBDOMAIN_OF):
        return str(guess), ""
    if host.rpartition(".")[2].isdigit():
        return None  # an address: nobody can register one
    suffix = public_suffixes().suffix(host)
    if suffix.name == host:
        return None  # nor a suffix itself
    if guess.whole:
        return (str(guess), "") if _is_cut_short(guess) else None
    domain = _registered(host)
    if domain in meant:
        return None
    if not suffix.listed and suffix.name not in text:
        return None  # it stems from a dot of the regex that matches a letter
    suffixes = {public_suffixes().suffix(each).name for each in meant}
    if suffix.name not in suffixes and not any(host.endswith(f".{each}") for each in meant):
        return str(guess), ""  # another top-level domain
    named = guess._replace(host=f"stranger.{suffix.name}")
    below = host.removesuffix(domain)
    for each in (named, named._replace(host=below + named.host)):
        if compiled.fullmatch(str(each)):
            return str(each), suffix.name
    return str(guess), suffix.name if suffix.private else ""


def _is_cut_short(guess: _Guess) -> bool:
    """Return whether the missing character makes it a different registered domain."""
    whole, short = (public_suffixes().suffix(host) for host in (guess.whole, guess.host))
    if guess.whole.count(".") != guess.host.count("."):
        return _registered(guess.host) != _registered(guess.whole)
    return whole.listed and short.listed and whole.name != short.name


def _guesses(seeds: Sequence[_Guess], parts: Iterable[str]) -> Iterator[_Guess]:
    for host in _STRANGER_HOSTS:
        for scheme in dict.fromkeys([*_SCHEMES, *(seed.scheme for seed in seeds)]):
            for port in dict.fromkeys(["", *(seed.port for seed in seeds)]):
                yield _Guess(scheme, host, port)
    yield from (seed._replace(scheme="http") for seed in seeds)
    lower = filter(_HOST_PART.fullmatch, map(str.lower, parts))
    made_up = list(dict.fromkeys([*_MADE_UP, *lower]))
    for seed in seeds:
        for host in _changed(seed.host, made_up):
            yield seed._replace(host=host)


def _shortened(seeds: Iterable[_Guess], optional: Set[str]) -> Iterator[_Guess]:
    for seed in seeds:
        for at, char in enumerate(seed.host):
            if char in optional:
                yield seed._replace(host=seed.host[:at] + seed.host[at + 1 :], whole=seed.host)


def _origin_like(text: str) -> _Guess:
    """Return an example of a regex as an origin, even if it is not quite one."""
    scheme, _, rest = text.lower().rpartition("://")
    rest = rest.partition("/")[0]
    bracket = rest.rfind("]")
    colon = rest.find(":", bracket + 1)
    host, port = (rest, "") if colon < 0 else (rest[:colon], rest[colon:])
    return _Guess(scheme or "https", host, port)


def _spelled_out(text: str) -> Iterator[_Guess]:
    for domain in dict.fromkeys(_LITERAL_DOMAIN.findall(text)):
        for host in (domain, f"x.{domain}"):
            for port in dict.fromkeys(["", *_LITERAL_PORT.findall(text)]):
                yield _Guess("https", host, port)


def _changed(host: str, made_up: Sequence[str]) -> Iterator[str]:
    """Yield variations of `host`: parts of `made_up` inserted or replacing, and other endings."""
    size = len(host)
    yield host + _SUBDOMAIN_OF
    for part in made_up:
        for start in range(size + 1):
            yield host[:start] + part + host[start:]
            if "-" not in part and start + len(part) <= size:
                yield host[:start] + part + host[start + len(part) :]
    last = host.rpartition(".")[2]
    for name in _other_top_level(last):
        yield host[: size - len(last)] + name
    suffixes = public_suffixes()
    domain = host
    while domain := domain.partition(".")[2]:
        if suffixes.suffix(domain).name != domain:
            for rule in suffixes.below(domain):
                yield "stranger." + rule.replace("*", "stranger")


@lru_cache(maxsize=256)
def _other_top_level(name: str) -> list[str]:
    """Return well-known top-level domains, and those that begin like `name`."""
    top_level = public_suffixes().top_level if name else ()
    alike = [each for each in top_level if each.startswith(name[:3])]
    return list(dict.fromkeys([*alike, *_OTHER_TOP_LEVEL]))
