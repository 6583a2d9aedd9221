"""What was asked and what came back: the requests of one page's call, and those that try it out.

Pure data, and what can be read from it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from meshcors import browser
from meshcors._doctor.layers import AnsweredBy, answered_by, with_the_pod
from meshcors._doctor.today import as_today, passes_today
from meshcors.testing._quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.testing._fetch import Exchange

RequestName: TypeAlias = Literal[
    "preflight",
    "call",
    "redirect_preflight",
    "redirect_call",
    "wrong_key",
    "no_key",
    "no_origin",
    "stranger",
    "null_origin",
    "look_alike",
    "look_alike_prefix",
    "look_alike_dot",
    "subdomain",
]
# What the browser does for the page; all else only tries out how the server answers others.
OF_THE_PAGE: Final[frozenset[RequestName]] = frozenset(
    {"preflight", "call", "redirect_preflight", "redirect_call"}
)
LOOK_ALIKES: Final[tuple[RequestName, ...]] = ("look_alike", "look_alike_prefix", "look_alike_dot")
OF_OTHER_ORIGINS: Final[frozenset[RequestName]] = frozenset(
    {"stranger", "null_origin", *LOOK_ALIKES, "subdomain"}
)
# Methods that change nothing (RFC 9110 9.2.1), of those that scripts may use.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Why a redirect was not followed that leads to another server.
ELSEWHERE: Final = "it would take the call's headers or its body to another server"
ACAO: Final = "access-control-allow-origin"
ACAC: Final = "access-control-allow-credentials"


@dataclass(frozen=True, slots=True)
class TriedRequest:
    """One request: `request` is the call that it is or stands for.

    `exchange` is None if it was not sent; `why_not` says why.
    """

    name: RequestName
    request: browser.Request
    exchange: Exchange | None
    why_not: str = ""

    @property
    def response(self) -> browser.Response | None:
        """What came back, if anything did."""
        return None if self.exchange is None else self.exchange.response

    @property
    def grants_origin(self) -> bool:
        """Whether the answer allows the origin that asked, or every one."""
        allowed = None if self.response is None else self.response.get(ACAO)
        return allowed in ("*", self.request.origin)

    @property
    def grants_credentials(self) -> bool:
        """Whether it allows the origin that asked to act with the user's credentials."""
        response = self.response
        if response is None or response.get(ACAO) != self.request.origin:
            return False
        return response.get(ACAC) == "true"


class Hop(NamedTuple):
    """A call or where a redirect led it, and the preflight that it needs."""

    preflight: TriedRequest | None
    call: TriedRequest


@dataclass(frozen=True)
class Consultation:
    """A page's call and every request that was made for it, in order.

    `key` is the header that picks a service, or empty. `addresses` are those of the host. `body` is
    the call's, and `proxy` the variable that names a proxy for its URL, or empty.
    """

    request: browser.Request
    key: str
    tried: tuple[TriedRequest, ...]
    addresses: tuple[str, ...] = ()
    body: bytes = b""
    proxy: str = ""

    def find(self, name: RequestName) -> TriedRequest | None:
        """Return the last request of that name that was sent."""
        found = [each for each in self.tried if each.name == name and each.exchange is not None]
        return found[-1] if found else None

    @cached_property
    def quote(self) -> Quoting:
        """What may be printed of answers."""
        return Quoting(self.request, self.body)

    @cached_property
    def layers(self) -> tuple[AnsweredBy | None, ...]:
        """Who answered each of `tried`; None where nothing was sent."""
        sent = [each.exchange for each in self.tried if each.exchange is not None]
        found = iter(with_the_pod(answered_by(each, self.quote) for each in sent))
        layers = [None if each.exchange is None else next(found) for each in self.tried]
        return tuple(_guard_seen(self, layers))

    def layer(self, tried: TriedRequest) -> AnsweredBy:
        """Return who answered `tried`."""
        found = next(
            layer for each, layer in zip(self.tried, self.layers, strict=True) if each is tried
        )
        return found or AnsweredBy("unreachable", ())

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """The call itself and each redirect of it, every one with its preflight."""
        hops: list[Hop] = []
        preflight: TriedRequest | None = None
        for each in self.tried:
            if each.name in ("preflight", "redirect_preflight"):
                preflight = each
            elif each.name in ("call", "redirect_call"):
                hops.append(Hop(preflight, each))
                preflight = None
        return tuple(hops)

    @cached_property
    def deciding(self) -> tuple[TriedRequest, browser.Verdict]:
        """The request on whose answer the call turns, and the verdict on it."""
        hop = self.hops[-1]
        if hop.preflight is not None:
            asked = as_today(hop.preflight.request, hop.preflight.response)
            verdict = browser.judge_preflight(hop.preflight.request, asked)
            if not verdict.allowed:
                return hop.preflight, verdict
        return hop.call, browser.judge_response(hop.call.request, hop.call.response)

    def is_sent_by_browsers(self, tried: TriedRequest) -> bool:
        """Tell whether browsers would send this request, if it is one of the page's."""
        preflight = self.hops[0].preflight
        if tried.name != "call" or preflight is None:
            return True
        return passes_today(preflight.request, preflight.response)

    @property
    def answer(self) -> TriedRequest | None:
        """The call whose answer the script would read, if it was sent."""
        call = self.hops[-1].call
        return call if call.exchange is not None else None


def _guard_seen(
    consultation: Consultation, layers: list[AnsweredBy | None]
) -> Iterator[AnsweredBy | None]:
    """Yield the layers; the call's is a guard if the same call without an Origin succeeds."""
    without = consultation.find("no_origin")
    is_call = without is not None and without.exchange and without.exchange.method != "OPTIONS"
    status = without.response.status if without and without.response and is_call else 0
    for tried, layer in zip(consultation.tried, layers, strict=True):
        response = tried.response if tried.name == "call" else None
        if layer and response and layer.layer == "app" and 200 <= status < 300:
            why = f"the same call without an Origin gets {status}"
            yield AnsweredBy("guard", (str(response.status), why))
        else:
            yield layer
