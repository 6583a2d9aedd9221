"""One page's call over real HTTP: what a browser would send, and what came back.

Nothing that the network does raises: a fault is one clear line. A redirect is followed where
browsers follow it, and a preflight's never. Proxies of the environment are not used: they would
answer in place of the server. Neither are cookies kept, nor connections.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from meshcors import browser
from meshcors._policy.web_ports import WEB_PORTS
from meshcors.testing._extras import needed
from meshcors.testing._faults import (
    FaultKind,
    NetworkFault,
    ended_late,
    fault_before_answer,
    fault_of_time,
    fault_within_answer,
)
from meshcors.testing._sent_fields import preflight_fields, request_fields
from meshcors.testing._time_limit import TimeLimit
from meshcors.testing._tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

MAX_BODY: Final = 64 * 1024
# Fetch, "HTTP-redirect fetch", step 8
MAX_REDIRECTS: Final = 20


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One request and what came back.

    - `sent`: the fields that were sent, in order. `repr` does not show them.
    - `response`: None without an answer.
    - `http_version`: ``HTTP/1.1``, ``HTTP/2``, and empty without an answer.
    - `body`: its first 64 KiB at most.
    - `failure`: one line that says what went wrong, or empty; `kind` is its kind. With an answer it
      is ``cut_short`` if the body ended early, ``timeout`` if it had not ended in time.
    """

    method: str
    url: str
    sent: browser.HeaderLines
    response: browser.Response | None
    http_version: str
    body: bytes
    failure: str
    kind: FaultKind

    def __repr__(self) -> str:
        """Show no field that was sent, and no query: either may hold a key."""
        # the line for what is no HTTP quotes the server, which may send a key back
        failure = "no HTTP" if self.kind == "protocol" else self.failure
        found = failure if self.response is None else self.response.status
        return f"<{self.method} {shown_url(self.url)}: {found}>"


@dataclass(frozen=True, slots=True, repr=False)
class PageCall:
    """A call as a browser makes it.

    - `preflight`: None if the browser sends none.
    - `answers`: the call itself and its redirects; empty if the preflight failed.
    - `verdict`: what the browser makes of it. Its `step` says whether a preflight is at fault.
    - `hop_preflights`: the preflights that redirects needed; a failed one is the last.
    """

    request: browser.Request
    preflight: Exchange | None
    answers: tuple[Exchange, ...]
    verdict: browser.Verdict
    hop_preflights: tuple[Exchange, ...] = ()

    @property
    def answer(self) -> Exchange | None:
        """The last answer to the call itself, which the script would read."""
        return self.answers[-1] if self.answers else None

    @property
    def decisive(self) -> Exchange:
        """The exchange that the verdict is about."""
        if self.verdict.step == "preflight" or not self.answers:
            preflights = [*([self.preflight] if self.preflight else []), *self.hop_preflights]
            return preflights[-1]
        return self.answers[-1]

    def __repr__(self) -> str:
        """Show no header's value and no query."""
        call = f"{self.request.method} {shown_url(self.request.url)} from {self.request.origin}"
        return f"<{call}: {self.verdict.code}>"


def shown_url(url: str) -> str:
    """Return a URL as messages show it, without the query's text."""
    before, mark, _ = url.partition("?")
    return f"{before}{mark}{'…' if mark else ''}"


class Wire:
    """Sends what browsers send; a context manager, as it has connections to close.

    - `insecure`: accept any certificate.
    - `resolve`: the address to connect to for a host and port, as curl's ``--resolve``. The name
      stays in ``Host`` and in the TLS handshake. Names below ``localhost`` are on this machine, as
      for browsers.
    - `connect_timeout`: the seconds until there is a connection, for all addresses of a name
      together, and as many for the TLS handshake.
    - `timeout`: the seconds from then on for an answer.
    - `http2`: offer HTTP/2 in the TLS handshake. Without TLS, the protocol is HTTP/1.1.

    No proxy of the environment is used, and no cookie is kept. Certificates are checked against
    the system's authorities, those of ``SSL_CERT_FILE`` and those of the package certifi. Raises
    `MissingExtraError` without the extra ``cli``.
    """

    def __init__(
        self,
        *,
        insecure: bool = False,
        resolve: Mapping[tuple[str, int], str] | None = None,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        http2: bool = True,
    ) -> None:
        self._httpx = needed("httpx")
        if http2:
            needed("h2")
        self._resolve = {
            (host.lower(), port): address for (host, port), address in (resolve or {}).items()
        }
        self._connect_timeout, self._timeout = connect_timeout, timeout
        from meshcors.testing._connecting import RacingTransport

        self._transport = RacingTransport(tls_context(insecure=insecure), http2=http2)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def exchange(
        self,
        method: str,
        url: str,
        headers: browser.HeaderLines,
        body: bytes | None = None,
        *,
        body_timeout: float | None = None,
    ) -> Exchange:
        """Send one request with these headers and no others but ``host`` and the body's length.

        No redirect is followed. Whatever the network does is in the result. `body_timeout` is for
        those who need little of the answer's body: it is read for so many seconds at most.
        """
        limit = TimeLimit(self._connect_timeout, self._timeout)
        try:
            request, server = self._request(method, url, headers, body, limit)
        except (ValueError, self._httpx.InvalidURL):
            line = "this is no http or https URL that can be called"
            return Exchange(method, url, headers, None, "", b"", line, "protocol")
        sent = _lines(request.headers.raw)
        with limit:
            try:
                response = self._transport.handle_request(request)
            # a host that is no name fails in Python's codec of names, before anything is sent;
            # in HTTP/2, httpx reads any status as a number
            except (self._httpx.TransportError, ValueError) as error:
                fault = self._fault(error, server, limit)
                self._done(limit.client_port)
                return Exchange(method, url, sent, None, "", b"", fault.line, fault.kind)
            if body_timeout is not None:
                limit.leave(body_timeout)
            content, fault = self._body(response, limit)
        self._done(limit.client_port)
        answer = browser.Response(response.status_code, _lines(response.headers.raw))
        version = response.http_version
        return Exchange(method, url, sent, answer, version, content, fault.line, fault.kind)

    def fetch(
        self,
        request: browser.Request,
        body: bytes | None = None,
        *,
        cache: browser.PreflightCache | None = None,
    ) -> PageCall:
        """Make a page's call: the preflight that it needs, the call, and its redirects.

        `cache` spares preflights and learns from them, as in a browser; without it, each call is
        the first. Fetch, "HTTP fetch" and "HTTP-redirect fetch".
        """
        hop = request
        preflights: list[Exchange] = []
        first: Exchange | None = None
        answers: list[Exchange] = []
        while True:
            asked, verdict = self._preflight(hop, cache)
            if asked is not None and hop is request:
                first = asked
            elif asked is not None:
                preflights.append(asked)
            if verdict is None or verdict.allowed:
                answers.append(self.exchange(hop.method, hop.url, request_fields(hop), body))
                verdict = browser.judge_response(hop, answers[-1].response)
            if cache is not None and not verdict.allowed:
                cache.clear(hop)
            onward = _onward(hop, answers[-1]) if verdict.allowed else None
            if onward is not None and len(answers) > MAX_REDIRECTS:
                verdict, onward = browser.judge_response(hop, None), None
            if onward is None:
                return PageCall(request, first, tuple(answers), verdict, tuple(preflights))
            body = body if onward.method == hop.method else None
            hop = onward

    def _preflight(
        self, request: browser.Request, cache: browser.PreflightCache | None
    ) -> tuple[Exchange | None, browser.Verdict | None]:
        """Send the preflight of `request`, unless it needs none."""
        fields = preflight_fields(request)
        now = time.monotonic()
        if fields is None or (cache is not None and cache.covers(request, now=now)):
            return None, None
        asked = self.exchange("OPTIONS", request.url, fields)
        verdict = browser.judge_preflight(request, asked.response)
        if cache is not None and verdict.allowed and asked.response is not None:
            cache.store(request, asked.response, now=now)
        return asked, verdict

    def _request(
        self,
        method: str,
        url: str,
        headers: browser.HeaderLines,
        body: bytes | None,
        limit: TimeLimit,
    ) -> tuple[httpx.Request, str]:
        """Return the request, its URL with the address to connect to, and the server's label."""
        target = self._httpx.URL(url)
        if target.scheme not in ("http", "https") or not target.raw_host:
            raise ValueError(url)
        host = target.raw_host.decode("ascii").lower()
        port = target.port or WEB_PORTS[target.scheme]
        address = self._address(target.scheme, host, port)
        name = f"[{host}]" if ":" in host else host
        label = f"{name}:{port}" + (f" (at {address})" if address else "")
        sent_to = target if address is None else self._httpx.URL(_at(target, address))
        timeout = self._httpx.Timeout(self._timeout, connect=self._connect_timeout)
        request: httpx.Request = self._httpx.Request(
            method,
            sent_to,
            headers=[
                (b"host", target.netloc),
                *((name.encode(), value.encode("latin-1")) for name, value in headers),
            ],
            content=body,
            extensions={
                "timeout": timeout.as_dict(),
                "trace": limit.watch,
                # the literal address of a URL is no name
                **({"sni_hostname": host} if address else {}),
            },
        )
        return request, label

    def _address(self, scheme: str, host: str, port: int) -> str | None:
        """Return the address, or the base URL, of the server that has a name; None if DNS has it.

        A base URL (``http://127.0.0.1:8000``) is that of a server in front of which TLS has ended.
        """
        del scheme
        address = self._resolve.get((host, port))
        return "localhost" if address is None and host.endswith(".localhost") else address

    def _done(self, client_port: int) -> None:
        """Note the connection of the request that has just been sent."""

    def _fault(self, error: Exception, server: str, limit: TimeLimit) -> NetworkFault:
        is_late = limit.is_over or isinstance(error, self._httpx.TimeoutException)
        # a name may not be found just when the time for it is over
        is_told = limit.step == "connect" and isinstance(error, self._httpx.ConnectError)
        if is_late and not is_told:
            return fault_of_time(limit.step, server, limit.seconds)
        return fault_before_answer(error, server, limit.step)

    def _body(self, response: httpx.Response, limit: TimeLimit) -> tuple[bytes, NetworkFault]:
        content = bytearray()
        fault = NetworkFault("", "")
        try:
            for chunk in response.iter_raw():
                content += chunk
                if len(content) >= MAX_BODY:
                    break
        except self._httpx.TransportError as error:
            fault = fault_within_answer(error, len(content))
        if limit.is_over and len(content) < MAX_BODY:
            fault = ended_late(len(content))
        with suppress(self._httpx.TransportError):
            response.close()
        return bytes(content[:MAX_BODY]), fault


def _at(url: httpx.URL, address: str) -> str:
    """Return the URL of the same resource at an address or below a base URL."""
    path = url.raw_path.decode("ascii")
    if "://" in address:
        return f"{address}{path}"
    host = f"[{address}]" if ":" in address and not address.startswith("[") else address
    return f"{url.scheme}://{host}{'' if url.port is None else f':{url.port}'}{path}"


def _onward(request: browser.Request, exchange: Exchange) -> browser.Request | None:
    return None if exchange.response is None else browser.follow(request, exchange.response)


def _lines(raw: list[tuple[bytes, bytes]]) -> browser.HeaderLines:
    return tuple(_decoded(raw))


def _decoded(raw: list[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in raw:
        yield name.decode("latin-1").lower(), value.decode("latin-1")
