"""The handler of the admin port: probes, metrics, the effective policy and a human-readable page.

It has a listener of its own, so that no path of a service is shadowed. It shows no secret and
changes nothing. The policy is shown under known host names only: otherwise a website could point a
name of its own at this address (DNS rebinding), and its pages could read the policy. Probes and
metrics show nothing of the policy but its fingerprint, and are answered under any name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qs

from meshcors._policy.hosts import host_name, is_ip_address
from meshcors.dummy._port import FRAMING_FIELDS, Handler, WireAnswer, wire
from meshcors.dummy._state import PodState

# Bytes and fields of a form.
_MAX_BODY: Final = 16 * 1024
_MAX_FIELDS: Final = 16

_HTML: Final = "text/html; charset=utf-8"
_MISDIRECTED: Final = (
    "this page is shown only if the Host is an IP address, localhost or a name given with"
    " --admin-host-name"
)

# What browsers say of a form of this page, or of a request that is no page's.
_OWN_SITE: Final = (b"same-origin", b"none")
_PATHS: Final = ("/healthz", "/readyz", "/metrics", "/policy", "/")
# The paths that show the policy.
_GUARDED: Final = frozenset({"/", "/policy"})


class AdminPages:
    """Answers the requests of the admin port.

    The policy is shown if the Host is an IP address, ``localhost`` or one of `host_names`, which
    are in lower case.
    """

    def __init__(self, state: PodState, host_names: Collection[str] = ()) -> None:
        self._state = state
        self._host_names = frozenset({"localhost", *host_names})
        reads = FRAMING_FIELDS | {b"accept", b"sec-fetch-site"}
        self.handler = Handler(self._answer, reads, _MAX_BODY)

    def _answer(
        self, method: str, path: str, fields: Mapping[bytes, bytes], body: bytes
    ) -> WireAnswer:
        methods = ("GET", "HEAD", "POST") if path == "/" else ("GET", "HEAD")
        if path not in _PATHS:
            return _text(404, f"no such page; the pages are {', '.join(_PATHS)}")
        if path in _GUARDED and not self._is_known(fields):
            return _text(421, _MISDIRECTED)
        if method == "POST" and fields.get(b"sec-fetch-site", b"none") not in _OWN_SITE:
            return _text(403, "a form of another site")
        if method not in methods:
            return _text(405, "method not allowed", ("allow", ", ".join(methods)))
        match path:
            case "/healthz":
                return _text(200, "ok")
            case "/readyz":
                draining = "draining" if self._state.draining else "not serving"
                return _text(200, "ready") if self._state.is_ready else _text(503, draining)
            case "/metrics":
                return self._metrics(fields.get(b"accept", b"").decode("latin-1"))
            case "/policy":
                return self._policy()
            case _:
                return self._front(body if method == "POST" else None)

    def _is_known(self, fields: Mapping[bytes, bytes]) -> bool:
        """Tell whether the request's Host is an address, or one of the names."""
        host = host_name(fields.get(b"host", b""))
        return host is not None and (host in self._host_names or is_ip_address(host))

    def _metrics(self, accept: str) -> WireAnswer:
        # Imported late: it takes memory, which a pod that nobody scrapes can do without.
        try:
            from meshcors.dummy._metrics import render
        except ModuleNotFoundError:
            return _text(
                501, "metrics need prometheus-client: python -m pip install 'meshcors[dummy]'"
            )
        body, content_type = render(self._state, accept)
        return _page(200, content_type, body)

    def _policy(self) -> WireAnswer:
        configuration = self._state.configuration
        shown = {
            "hash": configuration.fingerprint,
            "warnings": configuration.warnings,
            "problems": self._state.problems,
        }
        begin = json.dumps(shown, indent=2).removesuffix("\n}").encode()
        # Ready-made: writing thousands of rules takes long, and requests would wait.
        body = b"".join([begin, b',\n  "effective": ', configuration.json, b"\n}\n"])
        return _page(200, "application/json", body)

    def _front(self, form: bytes | None) -> WireAnswer:
        """Return the page for people, with the answer to the question of `form` if there is one."""
        # Imported late: many pods never show this page.
        from meshcors._decision.page_check import FetchCall, check_call
        from meshcors.dummy._admin_page import render
        from meshcors.dummy._admin_parts import SECURITY_POLICY

        configuration = self._state.configuration
        call, result = FetchCall(), None
        if form is not None:
            try:
                given = parse_qs(form.decode(), max_num_fields=_MAX_FIELDS)
            except ValueError:
                return _text(400, "not a form")
            names = given.keys() & {"origin", "url", "method", "headers"}
            texts = {name: given[name][0] for name in names}
            call = FetchCall(**texts, credentials="credentials" in given, key="key" in given)
            result = check_call(configuration.source, configuration.engine, call)
        body = render(self._state, call, result).encode()
        return _page(200, _HTML, body, ("content-security-policy", SECURITY_POLICY))


def _text(status: int, text: str, *more: tuple[str, str]) -> WireAnswer:
    return _page(status, "text/plain; charset=utf-8", text.encode() + b"\n", *more)


def _page(status: int, content_type: str, body: bytes, *more: tuple[str, str]) -> WireAnswer:
    fields = (
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    )
    return wire(status, (*fields, *more), body)
