"""The handler of the admin port: probes, metrics, the effective policy and a human-readable page.

It has a listener of its own, so that no path of a service is shadowed. It shows no secret and
changes nothing. The policy is shown under known host names only: otherwise a website could point a
name of its own at this address (DNS rebinding), and its pages could read the policy. Probes and
metrics show nothing of the policy but its fingerprint, and are answered under any name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qs

from meshcors._policy.hosts import host_name
from meshcors.dummy._handler import FRAMING_FIELDS, Handler
from meshcors.dummy._metrics import Metrics, MetricsMissingError
from meshcors.dummy._state import PodState
from meshcors.dummy._wire import Wire, wire

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


class AdminPages:
    """Answers the requests of the admin port.

    The policy is shown if the Host is an IP address, ``localhost`` or one of `host_names`, which
    are in lower case.
    """

    def __init__(self, state: PodState, host_names: Collection[str] = ()) -> None:
        self._state = state
        self._host_names = frozenset({"localhost", *host_names})
        self._metrics = Metrics(state)
        self.handler = Handler(self._answer, FRAMING_FIELDS | {b"accept"}, _MAX_BODY)
        self._pages: dict[str, Callable[[Mapping[bytes, bytes]], Page]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._show_metrics,
            "/policy": self._policy,
            "/": self._front,
        }

    def _answer(self, method: str, path: str, fields: Mapping[bytes, bytes], body: bytes) -> Wire:
        show = self._pages.get(path)
        if show is None:
            return _wire(_text(404, f"no such page; the pages are {', '.join(self._pages)}"))
        if path in _GUARDED and not self._is_known(fields):
            return _wire(_text(421, _MISDIRECTED))
        if method in ("GET", "HEAD"):
            return _wire(show(fields))
        if method == "POST" and path == "/":
            return _wire(self._answer_form(body))
        allow = "GET, HEAD, POST" if path == "/" else "GET, HEAD"
        return _wire(_text(405, "method not allowed"), ("allow", allow))

    def _is_known(self, fields: Mapping[bytes, bytes]) -> bool:
        """Tell whether the request's Host is an address, or one of the names."""
        host = host_name(fields.get(b"host", b""))
        return host is not None and (host in self._host_names or _is_address(host))

    def _healthz(self, fields: Mapping[bytes, bytes]) -> Page:
        return _text(200, "ok")

    def _readyz(self, fields: Mapping[bytes, bytes]) -> Page:
        if self._state.is_ready:
            return _text(200, "ready")
        return _text(503, "draining" if self._state.draining else "not serving")

    def _show_metrics(self, fields: Mapping[bytes, bytes]) -> Page:
        accept = fields.get(b"accept", b"").decode("latin-1")
        try:
            body, content_type = self._metrics.render(accept)
        except MetricsMissingError as error:
            return _text(501, str(error))
        return 200, content_type, body

    def _policy(self, fields: Mapping[bytes, bytes]) -> Page:
        configuration = self._state.configuration
        shown = {
            "hash": configuration.fingerprint,
            "warnings": configuration.warnings,
            "problems": self._state.problems,
        }
        begin = json.dumps(shown, indent=2).removesuffix("\n}").encode()
        # Ready-made: writing thousands of rules takes long, and requests would wait.
        body = b"".join([begin, b',\n  "effective": ', configuration.json, b"\n}\n"])
        return 200, "application/json", body

    def _front(self, fields: Mapping[bytes, bytes]) -> Page:
        from meshcors._decision.page_check import FetchCall

        return self._render(FetchCall(), check=False)

    def _answer_form(self, body: bytes) -> Page:
        from meshcors._decision.page_check import FetchCall

        try:
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


def _wire(page: Page, *more: tuple[str, str]) -> Wire:
    status, content_type, body = page
    fields = [
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        *more,
    ]
    if content_type.startswith("text/html"):
        from meshcors.dummy._admin_parts import SECURITY_POLICY

        fields.append(("content-security-policy", SECURITY_POLICY))
    return wire(status, fields, body)
