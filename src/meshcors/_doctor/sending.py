"""Sends what a browser would send for a call, and what tries the server out.

12 requests are sent at most, and none after a minute. The call's answer is read to its end, because
a stream may break off; of the others, little more than the head is read.

A request that may change something is never sent where no browser would send it: after a
preflight that was refused, and to a public http URL from an https page, only GET, HEAD and OPTIONS
are. No redirect of a preflight is followed, and none of an https page to http. No redirect takes a
header's value or a body to another server than the one that was named: the key is for that one.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors import browser
from meshcors._doctor.consultation import (
    ELSEWHERE,
    SAFE_METHODS,
    Consultation,
    RequestName,
    TriedRequest,
)
from meshcors._doctor.probes import WRONG_KEY, other_origins, with_key, without_key
from meshcors._doctor.proxies import named_proxy
from meshcors._doctor.surroundings import is_asked_for, is_mixed_content
from meshcors._doctor.today import passes_today
from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.web_ports import WEB_PORTS
from meshcors.testing._sent_fields import preflight_fields, request_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors.testing._fetch import Exchange, Wire

MOST_REQUESTS: Final = 12
# Seconds after which no request is sent any more.
MOST_SECONDS: Final = 60.0
# Seconds for a body that only says who has answered.
_BODY_SECONDS: Final = 2.0
# A guard's refusal of an Origin, or of a Host
_MAYBE_A_GUARDS: Final = frozenset({400, 401, 403, 421})
# Redirects of the call that are followed.
_MOST_HOPS: Final = 2
NO_ANSWER: Final = "nothing answered before"
NOT_SENT: Final = "the browser would not send it, and {method} may change something"
LATE: Final = f"the requests before it took {MOST_SECONDS:g} seconds"
MANY: Final = f"{MOST_REQUESTS} requests were sent before"
MIXED: Final = "the browser would not send it: it is mixed content"


def consult(
    wire: Wire,
    request: browser.Request,
    body: bytes | None,
    key: str,
    resolve: Mapping[tuple[str, int], str],
) -> Consultation:
    """Make the call of `request`, and try out how the server answers others.

    `key` is the header that picks a service, or empty; `resolve` is what the `wire` was given.
    """
    sender = _Sender(wire, request, body)
    sender.call()
    if not sender.is_lost:
        if key:
            sender.variant("wrong_key", with_key(sender.last, key, WRONG_KEY))
            sender.variant("no_key", without_key(sender.last, key))
        sender.without_origin()
        for name, origin in other_origins(request.origin):
            sender.probe(name, replace(request, origin=origin))
    addresses = () if sender.is_lost else _addresses(request.url, resolve)
    proxy = named_proxy(request.url)
    return Consultation(request, key, tuple(sender.tried), addresses, body or b"", proxy)


def _addresses(url: str, resolve: Mapping[tuple[str, int], str]) -> tuple[str, ...]:
    """Return the addresses that browsers find for the host; none where others are used."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or WEB_PORTS.get(parts.scheme, 0)
    if (host, port) in resolve:
        return ()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(sorted({str(each[4][0]) for each in found}))


class _Sender:
    """Sends requests one after another, and keeps count of them."""

    def __init__(self, wire: Wire, request: browser.Request, body: bytes | None) -> None:
        self._wire = wire
        # the call, or where it was redirected to last
        self.last = self._first = request
        self._method, self._body = request.method, body
        self._left = MOST_REQUESTS
        # why nothing more is sent has been said
        self._is_over = False
        self._end = monotonic() + MOST_SECONDS
        self.tried: list[TriedRequest] = []
        self._may_send = True

    @property
    def is_lost(self) -> bool:
        """Whether nothing came back at all."""
        return all(each.response is None for each in self.tried)

    def call(self) -> None:
        """Send the preflight, the call and its redirects."""
        hop, body = self.last, self._body
        for number in range(_MOST_HOPS + 1):
            name: RequestName = "redirect_call" if number else "call"
            is_mixed = is_mixed_content(hop)
            if is_mixed and number:
                # a key would be sent in clear text, to wherever the server says
                self.tried.append(TriedRequest(name, hop, None, MIXED))
                return
            passes = self._preflight("redirect_preflight" if number else "preflight", hop)
            if number and passes and _has_secrets(hop, body) and _leaves(self._first, hop):
                self.tried.append(TriedRequest(name, hop, None, ELSEWHERE))
                return
            if number == 0:
                is_blocked = is_mixed and not is_asked_for(hop)
                self._may_send = (passes and not is_blocked) or hop.method in SAFE_METHODS
            if (number and not passes) or not self._may_send or (self.tried and self.is_lost):
                is_lost = self.tried and self.is_lost
                why = NO_ANSWER if is_lost else NOT_SENT.format(method=hop.method)
                self.tried.append(TriedRequest(name, hop, None, why))
                return
            exchange = self._send(name, hop, hop.method, request_fields(hop), body)
            answer = None if exchange is None else exchange.response
            self.last = hop
            onward = None if answer is None else browser.follow(hop, answer)
            if onward is None or answer is None or not passes:
                return
            if not browser.judge_response(hop, answer).allowed:
                return
            body = body if onward.method == hop.method else None
            hop = onward

    def variant(self, name: RequestName, request: browser.Request) -> None:
        """Send the call with another key or none: it needs no preflight of its own."""
        if self._may_send:
            # a redirect may have turned POST into GET
            body = self._body if request.method == self._method else None
            self._send(name, request, request.method, request_fields(request), body)

    def without_origin(self) -> None:
        """Send once more, as a program sends it, what was denied perhaps for its Origin.

        That is a call that a guard may have denied, or a preflight that gets a 403.
        """
        for tried in self.tried:
            status = 0 if tried.response is None else tried.response.status
            if tried.name == "preflight" and status == 403:
                lines = preflight_fields(tried.request) or ()
                method, body = "OPTIONS", None
            elif tried.name == "call" and status in _MAYBE_A_GUARDS:
                lines = request_fields(tried.request)
                method, body = tried.request.method, self._body
            else:
                continue
            fields = tuple(line for line in lines if not _is_a_browsers(line[0]))
            self._send("no_origin", tried.request, method, fields, body)
            return

    def probe(self, name: RequestName, request: browser.Request) -> None:
        """Ask with another origin: by a preflight, or by a GET that needs none."""
        asked = preflight_fields(request)
        if asked is None and request.method in SAFE_METHODS:
            self._send(name, request, request.method, request_fields(request), None)
            return
        fields = asked or (("access-control-request-method", request.method), *_plain(request))
        self._send(name, request, "OPTIONS", fields, None)

    def _preflight(self, name: RequestName, request: browser.Request) -> bool:
        asked = preflight_fields(request)
        if asked is None:
            return True
        exchange = self._send(name, request, "OPTIONS", asked, None)
        return passes_today(request, None if exchange is None else exchange.response)

    def _send(
        self,
        name: RequestName,
        request: browser.Request,
        method: str,
        fields: browser.HeaderLines,
        body: bytes | None,
    ) -> Exchange | None:
        if self._is_over:
            return None
        late = LATE if monotonic() > self._end else MANY if not self._left else ""
        if late:
            self._is_over = True
            self.tried.append(TriedRequest(name, request, None, late))
            return None
        self._left -= 1
        patience = None if name in ("call", "redirect_call") else _BODY_SECONDS
        exchange = self._wire.exchange(method, request.url, fields, body, body_timeout=patience)
        self.tried.append(TriedRequest(name, request, exchange))
        if exchange.kind == "timeout" and exchange.response is None:
            # whoever waits for a report waits for no second one
            self._is_over = True
        return exchange


def _has_secrets(request: browser.Request, body: bytes | None) -> bool:
    """Tell whether a request carries what is for the server that was asked for alone."""
    return body is not None or any(
        name not in SAFELISTED_REQUEST_HEADERS for name, _ in request.headers
    )


def _leaves(first: browser.Request, onward: browser.Request) -> bool:
    """Tell whether a redirect leads to another host or port, or from https to http.

    From a port of http to one of https, both without a number, is no other server.
    """
    here, there = urlsplit(first.url), urlsplit(onward.url)
    if here.hostname != there.hostname:
        return True
    is_upgrade = (here.scheme, there.scheme) == ("http", "https") and not here.port
    same = here.port == there.port
    return not (same and (here.scheme == there.scheme or is_upgrade))


def _plain(request: browser.Request) -> Iterator[tuple[str, str]]:
    return (line for line in request_fields(request) if _is_a_browsers(line[0]))


def _is_a_browsers(name: str) -> bool:
    return name in ("origin", "referer") or name.startswith("sec-fetch-")
