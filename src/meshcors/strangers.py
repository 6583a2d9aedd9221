"""Whom a regular expression for origins lets in beside those it is meant for.

It is asked about origins made from those it is meant for: with letters in front of a name and
behind it, with another character for a dot, another top-level domain, another port, http for https.
Public suffixes say whether a stranger can have such a name. A regex may be open in ways that none
of them finds; what is found is always true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from meshcors.origins import CompiledRegex, OriginError, OriginPattern, Regex
from meshcors.public_suffixes import public_suffixes
from meshcors.regex_examples import examples_of

# A name (RFC 6761 6.4) and an address (RFC 5737) that nobody can own: who lets them in lets in
# anyone.
_ANYONE: Final = ("stranger.invalid", "203.0.113.9")
_SUBDOMAIN_OF: Final = ".stranger.invalid"
_SCHEMES: Final = ("https", "http")
# What is put into a host, and over it: what letters, and what digits, would let in.
_MADE_UP: Final = ("q", "77")
_OTHER_TOP_LEVEL: Final = ("com", "net", "io", "de")
_LITERAL_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_LITERAL_PORT: Final = re.compile(r":[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Excess:
    """What a regex lets in too many, an origin for each way; ``""`` where none was found.

    `stranger` is somebody else's origin. `neighbor` is one whose name anyone can get, because
    names below the public suffix `suffix` are meant. `insecure` is an http one, not loopback.
    """

    stranger: str = ""
    neighbor: str = ""
    suffix: str = ""
    insecure: str = ""


class _Guess(NamedTuple):
    """An origin to try: what is made up in its host stands from `start` to `end`."""

    scheme: str
    host: str
    port: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}"


@lru_cache(maxsize=4096)
def excess(regex: Regex) -> Excess:
    """Return what `regex` lets in; raises `OriginError` for one that RE2 refuses."""
    compiled = CompiledRegex(regex)
    text = _unescaped(regex.pattern)
    neighbor = suffix = insecure = ""
    for guess in _guesses(regex.pattern):
        if not compiled.fullmatch(str(guess)):
            continue
        try:
            pattern = OriginPattern.parse(str(guess))
        except OriginError:
            # No browser sends it, so it is never compared.
            continue
        if pattern.is_loopback:
            continue
        if guess.scheme == "http":
            insecure = insecure or str(guess)
        judged = _judge(compiled, text, guess)
        if judged is not None:
            origin, below = judged
            if not below:
                return Excess(stranger=origin)
            neighbor, suffix = neighbor or origin, suffix or below
    return Excess("", neighbor, suffix, insecure)


def _judge(compiled: CompiledRegex, text: str, guess: _Guess) -> tuple[str, str] | None:
    """Return the origin of a stranger, and the public suffix that is shared with strangers.

    ``""`` stands for none. What is made up must reach into what one registers: the label below the
    public suffix, or the suffix itself.
    """
    host = guess.host
    if host in _ANYONE:
        return str(guess), ""
    if host.rpartition(".")[2].isdigit():
        return None  # an address: nobody registers one
    suffix = public_suffixes().suffix(host)
    if suffix.name == host:
        return None  # nor a suffix by itself
    suffix_at = len(host) - len(suffix.name)
    label_at = host.rfind(".", 0, max(suffix_at - 1, 0)) + 1
    if guess.end <= label_at:
        return None
    if guess.end > suffix_at:
        # A top-level domain that is there, or one that is made up as a whole.
        known = suffix.listed or guess.start <= host.rfind(".") + 1
        return (str(guess), "") if known else None
    if not suffix.listed and suffix.name not in text:
        return None  # a dot of the regex that was taken for a letter
    named = guess._replace(host=f"{host[:label_at]}stranger.{suffix.name}")
    if compiled.fullmatch(str(named)):
        return str(named), suffix.name
    return str(guess), suffix.name if suffix.private else ""


def _guesses(pattern: str) -> Iterator[_Guess]:
    seeds = list(dict.fromkeys(_seeds(pattern)))
    if not seeds:
        # Its syntax is not read: what is spelled out in it helps.
        text = _unescaped(pattern)
        seeds = [
            _Guess("https", host, port, 0, 0)
            for domain in dict.fromkeys(_LITERAL_DOMAIN.findall(text))
            for host in (domain, f"x.{domain}")
            for port in dict.fromkeys(["", *_LITERAL_PORT.findall(text)])
        ]
    for host in _ANYONE:
        for scheme in dict.fromkeys([*_SCHEMES, *(seed.scheme for seed in seeds)]):
            for port in dict.fromkeys(["", *(seed.port for seed in seeds)]):
                yield _Guess(scheme, host, port, 0, len(host))
    yield from (seed._replace(scheme="http") for seed in seeds)
    meant = {seed.host for seed in seeds}
    endings = {host.rpartition(".")[2] for host in meant}
    for seed in seeds:
        for host, start, end in _changed(seed.host, endings):
            if host not in meant:
                yield _Guess(seed.scheme, host, seed.port, start, end)


def _unescaped(pattern: str) -> str:
    return pattern.replace("\\", "").lower()


def _seeds(pattern: str) -> Iterator[_Guess]:
    """Yield origins, or what is nearly one, that `pattern` is meant for."""
    for text in examples_of(pattern):
        scheme, _, rest = text.lower().rpartition("://")
        bracket = rest.rfind("]")
        colon = rest.find(":", bracket + 1)
        host, port = (rest, "") if colon < 0 else (rest[:colon], rest[colon:])
        yield _Guess(scheme or "https", host, port, 0, 0)


def _changed(host: str, endings: Set[str]) -> Iterator[tuple[str, int, int]]:
    """Yield `host` with something made up in it, and from where to where that stands.

    The top-level domains in `endings` are not made up.
    """
    size = len(host)
    yield host + _SUBDOMAIN_OF, size, size + len(_SUBDOMAIN_OF)
    for made_up in _MADE_UP:
        for start in range(size + 1):
            end = start + len(made_up)
            yield host[:start] + made_up + host[start:], start, end
            if end <= size and host[start:end] != made_up:
                yield host[:start] + made_up + host[end:], start, end
    last = host.rpartition(".")[2]
    start = size - len(last)
    for name in _other_top_level(last):
        if name not in endings:
            yield host[:start] + name, start, start + len(name)
    suffixes = public_suffixes()
    domain = host
    while domain := domain.partition(".")[2]:
        if suffixes.suffix(domain).name != domain:
            for rule in suffixes.below(domain):
                name = "stranger." + rule.replace("*", "stranger")
                yield name, 0, len("stranger")


@lru_cache(maxsize=256)
def _other_top_level(name: str) -> list[str]:
    """Return top-level domains that begin like the one with this `name`, and well-known ones."""
    top_level = public_suffixes().top_level if name else ()
    alike = [each for each in top_level if each.startswith(name[:3])]
    return list(dict.fromkeys([*alike, *_OTHER_TOP_LEVEL]))
