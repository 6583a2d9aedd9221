"""The requests that are sent: a preflight and a real request, as Chromium sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ORIGIN = "https://ui.example"
KEY, VALUE = "model-api-key", "xyz"


@dataclass(frozen=True)
class Request:
    """A request without a body."""

    method: str
    path: str
    fields: Mapping[str, str]

    @property
    def raw(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.fields.items()]
        return "\r\n".join([*lines, "", ""]).encode()


HOST_FIELD = {"Host": "models.example"}  # so spelled, wrk adds no other
BROWSER = {
    "accept": "*/*",
    "origin": ORIGIN,
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Safari/537.36",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "cross-site",
    "sec-fetch-dest": "empty",
    "referer": f"{ORIGIN}/",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-US,en;q=0.9",
}
# What a gateway adds.
GATEWAY = {
    "x-forwarded-for": "10.0.0.1",
    "x-request-id": "5e4b4c40-6b43-4b5c-8a7e-8d5a3a0f3c11",
}
ASKS = {
    "access-control-request-method": "POST",
    "access-control-request-headers": f"content-type,{KEY}",
}
CLIENT_HINTS = {
    "sec-ch-ua-platform": '"Linux"',
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
}
PREFLIGHT = Request("OPTIONS", "/v1/chat", {**HOST_FIELD, **ASKS, **BROWSER, **GATEWAY})
REAL = Request("GET", "/v1/hello", {**HOST_FIELD, **CLIENT_HINTS, KEY: VALUE, **BROWSER, **GATEWAY})
