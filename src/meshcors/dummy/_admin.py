"""The app of the admin port: probes, metrics, the effective policy and a human-readable page.

It has a listener of its own, so that no path of a service is shadowed. It shows no secret and
changes nothing. The policy is shown under known host names only: otherwise a website could point a
name of its own at this address (DNS rebinding), and its pages could read the policy. Probes and
metrics show nothing of the policy but its fingerprint, and are answered under any name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qs

from meshcors._policy.hosts import host_name
from meshcors.asgi import Receive, Scope, Send
from meshcors.dummy._metrics import Metrics, MetricsMissingError
from meshcors.dummy._state import PodState

if TYPE_CHECKING:
    from meshcors._decision.page_check import FetchCall

# Bytes and fields of a form.
_MAX_BODY: Final = 16 * 1024
_MAX_FIELDS: Final = 16

_PLAIN: Final = "text/plain; charset=utf-8"
_MISDIRECTED: Final = (
    "this page is shown only if the Host is an IP address, localhost or a name given with"
    " --admin-host-name"
)

# The paths that show the policy.
_GUARDED: Final = frozenset({"/", "/policy"})

# Status, content type, body.
Page: TypeAlias = tuple[int, str, bytes]


class AdminApp:
    """The ASGI app of the admin port.

    The policy is shown if the Host is an IP address, ``localhost`` or one of `host_names`, which
    are in lower case.
    """

    def __init__(self, state: PodState, host_names: Collection[str] = ()) -> None:
        self._state = state
        self._host_names = frozenset({"localhost", *host_names})
        self._metrics = Metrics(state)
        self._pages: dict[str, Callable[[Scope], Page]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._show_metrics,
            "/policy": self._policy,
            "/": self._front,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3.0)."""
        method, path = scope["method"], scope["path"]
        show = self._pages.get(path)
        allow: tuple[tuple[bytes, bytes], ...] = ()
        if show is None:
            page = _text(404, f"no such page; the pages are {', '.join(self._pages)}")
        elif path in _GUARDED and not self._is_known(scope):
            page = _text(421, _MISDIRECTED)
        elif method in ("GET", "HEAD"):
            page = show(scope)
        elif method == "POST" and path == "/":
            page = await self._answer_form(receive)
        else:
            page = _text(405, "method not allowed")
            allow = ((b"allow", b"GET, HEAD, POST" if path == "/" else b"GET, HEAD"),)
        await _send(page, allow, method, send)

    def _is_known(self, scope: Scope) -> bool:
        """Tell whether the request's Host is an address, or one of the names."""
        given = [value for name, value in scope["headers"] if name == b"host"]
        # Several hosts, joined, are not a valid host; neither is none at all.
        host = host_name(b",".join(given))
        return host is not None and (host in self._host_names or _is_address(host))

    def _healthz(self, scope: Scope) -> Page:
        return _text(200, "ok")

    def _readyz(self, scope: Scope) -> Page:
        if self._state.is_ready:
            return _text(200, "ready")
        return _text(503, "draining" if self._state.draining else "not serving")

    def _show_metrics(self, scope: Scope) -> Page:
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        try:
            body, content_type = self._metrics.render(accept.decode("latin-1"))
        except MetricsMissingError as error:
            return _text(501, str(error))
        return 200, content_type, body

    def _policy(self, scope: Scope) -> Page:
        configuration = self._state.configuration
        fields = {
            "hash": configuration.fingerprint,
            "warnings": configuration.warnings,
            "problems": self._state.problems,
        }
        begin = json.dumps(fields, indent=2).removesuffix("\n}").encode()
        # Ready-made: writing thousands of rules takes long, and requests would wait.
        body = b"".join([begin, b',\n  "effective": ', configuration.json, b"\n}\n"])
        return 200, "application/json", body

    def _front(self, scope: Scope) -> Page:
        from meshcors._decision.page_check import FetchCall

        return self._render(FetchCall(), check=False)

    async def _answer_form(self, receive: Receive) -> Page:
        from meshcors._decision.page_check import FetchCall

        body = b""
        more = True
        while more and len(body) <= _MAX_BODY:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            if len(body) > _MAX_BODY:
                return _text(413, "too large")
            given = parse_qs(body.decode(), max_num_fields=_MAX_FIELDS)
        except ValueError:
            return _text(400, "not a form")
        texts = {
            name: given[name][0] for name in ("origin", "url", "method", "headers") if name in given
        }
        call = FetchCall(**texts, credentials="credentials" in given, key="key" in given)
        return self._render(call, check=True)

    def _render(self, call: FetchCall, *, check: bool) -> Page:
        # Imported late: many pods never show this page.
        from meshcors._decision.page_check import check_call
        from meshcors.dummy._admin_page import render

        configuration = self._state.configuration
        result = check_call(configuration.source, configuration.engine, call) if check else None
        return 200, "text/html; charset=utf-8", render(self._state, call, result).encode()


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _text(status: int, text: str) -> Page:
    return status, _PLAIN, text.encode() + b"\n"


async def _send(
    page: Page, headers: tuple[tuple[bytes, bytes], ...], method: str, send: Send
) -> None:
    status, content_type, body = page
    fields = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        *headers,
    ]
    if content_type.startswith("text/html"):
        from meshcors.dummy._admin_parts import SECURITY_POLICY

        fields.append((b"content-security-policy", SECURITY_POLICY.encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
