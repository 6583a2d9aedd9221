"""Istio's checks of single values (``pkg/config/validation``).

A function that ends in ``_error`` returns what is wrong with a value, or ``""``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.headers import is_token
from meshcors._policy.regex import CompiledRegex, Regex

if TYPE_CHECKING:
    from collections.abc import Sequence

CORS_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")
)
PSEUDO_HEADERS: Final = frozenset((":method", ":scheme", ":authority", ":path", ":status"))
CLAIM_PREFIX: Final = "@request.auth.claims"

_LABEL: Final = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_WILDCARD_LABEL: Final = re.compile(r"\*|(\*-?)?[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def label_error(text: str) -> str:
    """Check one DNS label."""
    return "" if _LABEL.fullmatch(text) else f"{text!r} is not a DNS label"


def object_name_error(text: str) -> str:
    """Check ``metadata.name`` and ``metadata.namespace``."""
    return "" if _OBJECT_NAME.fullmatch(text) else f"{text!r} is not a Kubernetes name"


def label_value_error(text: str) -> str:
    """Check the value of a label."""
    return "" if _LABEL_VALUE.fullmatch(text) else f"{text!r} is not a label value"


def host_error(text: str) -> str:
    """Check a host name without wildcard; a final dot is allowed."""
    if not 0 < len(text) <= 255:
        return "a host name has 1 to 255 characters"
    labels = text.split(".")
    if re.fullmatch("[-+]?[0-9]+", labels[-1]):
        return f"{text!r} ends in a number"
    if len(labels) > 1 and not labels[-1]:
        labels.pop()
    wrong = next((part for part in labels if not _LABEL.fullmatch(part)), None)
    return "" if wrong is None else f"{text!r} is not a host name (label {wrong!r})"


def wildcard_host_error(text: str) -> str:
    """Check a host name whose first label may be ``*`` or begin with it."""
    if not 0 < len(text) <= 255:
        return "a host name has 1 to 255 characters"
    first, dot, rest = text.partition(".")
    if not _WILDCARD_LABEL.fullmatch(first):
        return f"{text!r} is not a host name (label {first!r})"
    return host_error(rest) if dot else ""


def is_ip(text: str) -> bool:
    """Tell whether a host is an IP address, which Istio accepts in place of a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def gateway_name_error(text: str) -> str:
    """Check ``namespace/name``, ``name`` or the old ``name.namespace.svc.cluster.local``."""
    namespace, slash, name = text.partition("/")
    if not slash:
        return host_error(text)
    return label_error(namespace) or label_error(name)


def match_header_error(name: str) -> str:
    """Check a header name under ``match``."""
    return "" if is_claim(name) or name in PSEUDO_HEADERS else header_name_error(name)


def header_name_error(name: str) -> str:
    """Check a header name (RFC 9110 5.6.2). ``*`` is a valid one, as in a corsPolicy's lists."""
    return "" if is_token(name) else f"{name!r} is not a header name"


def operation_header_error(name: str, authority_allowed: bool) -> str:
    """Check a header name under ``headers``.

    Only the request's host may be set, and only if ``authority_allowed``.
    """
    if not name:
        return "a header name is empty"
    internal = name.startswith(":") or name.lower() == "host"
    if internal and not (authority_allowed and name.lower() in {":authority", "host"}):
        return f"{name!r} cannot be changed here"
    return "" if internal else header_name_error(name)


def header_value_error(value: str) -> str:
    """Check a value that Envoy reads as a format (``%START_TIME%``, ``100%%``)."""
    if not _HEADER_VALUE.fullmatch(value):
        return "a header value contains a control character"
    # With an odd number of percent signs, one of them opens a command that is never closed.
    return "a single % must be written %%" if value.count("%") % 2 else ""


def regex_error(pattern: str) -> str:
    """Check an RE2 expression of at most 1024 bytes."""
    if len(pattern.encode()) > 1024:
        return "the regex is longer than 1024 bytes"
    try:
        CompiledRegex(Regex(pattern))
    except OriginError as error:
        # The rest of RE2's message quotes the expression, which may contain a key's value.
        return ": ".join(error.hint.split(": ")[:2])
    return ""


def substitution_error(pattern: str, substitution: str) -> str:
    r"""Check what takes the place of a match (``RE2::CheckRewriteString``): ``\0`` to ``\9``.

    `pattern` is an expression without a `regex_error`. Envoy refuses a configuration that has one.
    """
    import re2  # of the extra "regex", which checking the pattern has required

    groups: int = re2.compile(pattern).groups
    for escaped in re.findall(r"\\(.?)", substitution, re.DOTALL):
        if escaped.isdecimal() and escaped.isascii():
            if int(escaped) > groups:
                return rf"\{escaped} refers to a group that the regex does not have"
        elif escaped != "\\":
            return "a backslash needs the number of a group, or another backslash, behind it"
    return ""


def is_claim(name: str) -> bool:
    """Tell whether a header name refers to a JWT claim (``@request.auth.claims.group``)."""
    rest = name[len(CLAIM_PREFIX) :]
    if not name.lower().startswith(CLAIM_PREFIX):
        return False
    dotted = rest.startswith(".") and len(rest) > 1
    return dotted or (rest.startswith("[") and rest.endswith("]") and len(rest) > 2)


def covered_hosts(hosts: Sequence[str]) -> list[str | None]:
    """Return for each host the first one before it that overlaps with it, or None.

    Hosts of one VirtualService overlap as in ``pkg/config/host``: a wildcard covers every host and
    every wildcard that ends with the part after its ``*``.
    """
    # A host's end is compared with a wildcard only at these lengths.
    lengths = {len(host) - 1 for host in hosts if host.startswith("*")}
    exact: dict[str, int] = {}
    wildcards: dict[str, int] = {}  # by the part after the *
    ends: dict[str, int] = {}
    found: list[str | None] = []
    for at, host in enumerate(hosts):
        rest = host.removeprefix("*")
        own_ends = [rest[len(rest) - length :] for length in lengths if length <= len(rest)]
        covering = [wildcards[end] for end in own_ends if end in wildcards]
        if host.startswith("*"):
            covering += [ends[rest]] if rest in ends else []
            wildcards.setdefault(rest, at)
        else:
            covering += [exact[host]] if host in exact else []
            exact.setdefault(host, at)
        for end in own_ends:
            ends.setdefault(end, at)
        found.append(hosts[min(covering)] if covering else None)
    return found
