"""Hosts: in origins, in the hosts of a rule, and in the Host field of a request."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from meshcors._policy.errors import OriginError

_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# UTS #46, deviation characters: names keep them, although folding case would change them.
_DEVIATION_CHARACTERS: Final = frozenset("\xdf\u03c2\u200c\u200d")
# Unicode categories that no name contains: control, format, surrogate, private use, separators.
_NEVER_IN_NAMES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
# RFC 9110 7.2: the Host field. A name of plain labels that may end with a dot, or an IPv6 address;
# then a port. RFC 9110 also allows an empty port, 0 and a leading zero, but Werkzeug and Django
# do not read all of these as a host.
_HOST_FIELD: Final = re.compile(
    r"(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|(\[[0-9a-f]*:[0-9a-f:.]+\]))(?::([1-9][0-9]{0,4}))?"
)
_LARGEST_PORT: Final = 65535
_NO_SUBDOMAINS: Final = "an IP address has no subdomains: leave out the wildcard"


def host_name(field: bytes) -> str | None:
    """Return the host in a Host `field` (RFC 9110 7.2), or None if it is ambiguous.

    The host is in lower case, without port and without a trailing dot. It is ambiguous if the
    field is missing, empty, malformed, or sent more than once (joined with a comma).
    """
    named = _HOST_FIELD.fullmatch(field.decode("latin-1").strip(" \t").lower())
    if named is None or int(named[3] or 0) > _LARGEST_PORT:
        return None
    return named[1] or named[2]


def check_host(host: str, subdomains: bool) -> None:
    """Raise `OriginError` unless browsers can send `host`, or `subdomains` of it, in an origin."""
    if "*" in host:
        raise OriginError(
            "origin_wildcard",
            "* is allowed only as the first label (https://*.example.com) or as the port (:*)",
        )
    if host.startswith("["):
        canonical = _canonical_ipv6(host)
        if subdomains:
            raise OriginError("origin_wildcard", _NO_SUBDOMAINS)
        if canonical != host:
            raise OriginError("origin_ip_address", f"write it as browsers send it: {canonical}")
        return
    labels = host.split(".")
    if labels[-1] == "" and "" not in labels[:-1] and labels != [""]:
        raise OriginError("origin_host", "leave out the trailing dot")
    if "" in labels:
        raise OriginError(
            "origin_host",
            "the host is missing or has an empty label: write one such as ui.example",
        )
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise OriginError(
            "origin_host",
            "a host has labels of at most 63 letters, digits, - and _, and at most 253"
            " characters in total",
        )
    for label in labels:
        if label.startswith("xn--") and not _is_punycode(label):
            raise OriginError(
                "origin_punycode", f"{label} is not valid Punycode, so no browser sends it"
            )
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # WHATWG URL 3.5: a host whose last label is a number is an IPv4 address.
        if not _is_ipv4(host):
            raise OriginError(
                "origin_ip_address", "write an IPv4 address as four numbers, such as 192.0.2.1"
            )
        if subdomains:
            raise OriginError("origin_wildcard", _NO_SUBDOMAINS)


def _is_punycode(label: str) -> bool:
    """Return whether browsers read the label "xn--..." as a name (UTS #46, processing).

    Which characters are assigned, and which may be combined, is not checked.
    """
    try:
        name = label[4:].encode().decode("punycode")
        # Not canonical, or plain ASCII, which needs no Punycode.
        if name.isascii() or name.encode("punycode").decode() != label[4:]:
            return False
    except (UnicodeError, OverflowError):
        return False
    if unicodedata.category(name[0]).startswith("M") or unicodedata.normalize("NFC", name) != name:
        return False
    # Names never contain what is mapped to something else, such as a capital letter or a ligature.
    return all(
        char in _DEVIATION_CHARACTERS
        or (
            unicodedata.category(char) not in _NEVER_IN_NAMES
            and unicodedata.normalize("NFKC", char.casefold()) == char
        )
        for char in name
    )


def _is_ipv4(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _canonical_ipv6(host: str) -> str:
    """Return "[...]" as the WHATWG URL standard serializes it, the longest run of zeros as "::"."""
    try:
        if not host.endswith("]") or "%" in host:
            raise ValueError(host)
        packed = ipaddress.IPv6Address(host[1:-1]).packed
    except ValueError:
        raise OriginError(
            "origin_ip_address", "write an IPv6 address in brackets, such as [::1]"
        ) from None
    pieces = [f"{packed[i] << 8 | packed[i + 1]:x}" for i in range(0, 16, 2)]
    # The first of the longest runs of two or more zero pieces.
    longest = max(
        (run for run in re.finditer(r"\b0(:0)+\b", ":".join(pieces))),
        key=lambda run: len(run.group()),
        default=None,
    )
    text = ":".join(pieces)
    if longest is not None:
        text = text[: longest.start()].rstrip(":") + "::" + text[longest.end() :].lstrip(":")
    return f"[{text}]"


def is_loopback(host: str) -> bool:
    """Return whether `host` is always this machine."""
    if host == "localhost" or host.endswith(".localhost") or host == "[::1]":
        return True
    return host.startswith("127.") and _is_ipv4(host)


def is_ip_address(host: str) -> bool:
    """Return whether `host`, as in a Host field, is an IP address."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
