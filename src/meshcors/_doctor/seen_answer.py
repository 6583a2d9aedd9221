"""An answer as the signatures look at it: its fields, its body's beginning, what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urljoin, urlsplit

if TYPE_CHECKING:
    from meshcors import browser
    from meshcors.testing._fetch import Exchange
    from meshcors.testing._quoting import Quoting

UPSTREAM_TIME: Final = "x-envoy-upstream-service-time"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_READ: Final = 8192


def redirect_target(exchange: Exchange) -> SplitResult | None:
    """Return where an answer redirects to; None if it does not, or to nothing that is a URL."""
    response = exchange.response
    location = None if response is None else response.get("location")
    if response is None or response.status not in _REDIRECTS or location is None:
        return None
    try:
        return urlsplit(urljoin(exchange.url, location))
    except ValueError:
        return None


@dataclass(frozen=True)
class SeenAnswer:
    """What the signatures look at: an answer, and what was asked."""

    exchange: Exchange
    response: browser.Response
    quote: Quoting

    def field(self, name: str) -> str:
        """Return the value of a field, empty if it is not there."""
        return self.response.get(name) or ""

    def named(self, name: str) -> str:
        """Return a field as evidence."""
        return f"{name}: {self.quote(self.field(name))}"

    @property
    def status(self) -> int:
        """Its status."""
        return self.response.status

    @cached_property
    def text(self) -> str:
        """The beginning of the body."""
        return self.exchange.body[:_READ].decode("utf-8", "replace")

    @cached_property
    def is_empty(self) -> bool:
        """Whether nothing came in the body."""
        return not self.exchange.body

    @cached_property
    def is_preflight(self) -> bool:
        """Whether it answers a preflight."""
        sent = {name.lower() for name, _ in self.exchange.sent}
        return self.exchange.method == "OPTIONS" and "access-control-request-method" in sent

    @property
    def is_through_envoy(self) -> bool:
        """Whether Envoy wrote the Server field."""
        return self.field("server").lower() in ("envoy", "istio-envoy")

    @property
    def is_envoys_own(self) -> bool:
        """Whether Envoy answered without asking a service."""
        return self.is_through_envoy and not self.field(UPSTREAM_TIME)

    @cached_property
    def target(self) -> SplitResult | None:
        """Where a redirect leads; None if it is none."""
        return redirect_target(self.exchange)

    @cached_property
    def vary(self) -> set[str]:
        """The field names in Vary, as they are written."""
        return set(self.response.elements("vary"))
