"""Which layer answered a request, and by which evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from meshcors._doctor.seen_answer import SeenAnswer
from meshcors._doctor.signatures import KEY_MISSING, ORIGIN_REFUSAL, OWN_LIST, SIGNATURES
from meshcors.testing._quoting import Quoting

if TYPE_CHECKING:
    from meshcors._doctor.layer_names import Layer
    from meshcors.testing._fetch import Exchange


class AnsweredBy(NamedTuple):
    """The layer that answered, and how that is known."""

    layer: Layer
    evidence: tuple[str, ...]


def answered_by(exchange: Exchange, quote: Quoting | None = None) -> AnsweredBy:
    """Return which layer answered; `quote` hides what evidence must not show."""
    quote = quote or Quoting()
    if exchange.response is None:
        return AnsweredBy("unreachable", (quote.failure(exchange),) if exchange.failure else ())
    seen = SeenAnswer(exchange, exchange.response, quote)
    for layer, signature in SIGNATURES:
        evidence = signature(seen)
        if evidence is not None:
            return AnsweredBy(layer, (*evidence, *_way(seen, layer)))
    return AnsweredBy("app", (_NO_MARK, *_way(seen, "app")))


def with_the_pod(answers: Iterable[AnsweredBy]) -> list[AnsweredBy]:
    """Return the layers of one call's requests, read together.

    The pod and meshcors in an app answer preflights alike. Where another answer is the pod's, so
    are they.
    """
    found = list(answers)
    if not any(each.layer == "pod" for each in found):
        return found
    why = "a request without the right key is answered by the pod"
    return [
        AnsweredBy("pod", (*each.evidence, why)) if _answers_like_the_pod(each) else each
        for each in found
    ]


_ALIKE: Final = ((OWN_LIST,), (ORIGIN_REFUSAL,), (KEY_MISSING,))


def _answers_like_the_pod(answered: AnsweredBy) -> bool:
    return answered.layer == "meshcors" and answered.evidence[:1] in _ALIKE


_NO_MARK: Final = "no mark of a gateway, a proxy or a CORS middleware"


def _way(seen: SeenAnswer, layer: Layer) -> list[str]:
    """Return what else is known of the way of an answer: who passed it on."""
    way: list[str] = []
    if layer in ("pod", "meshcors", "starlette", "flask_cors", "django_cors_headers", "guard"):
        server = seen.field("server")
        if server:
            way.append(seen.named("server"))
    elif layer == "app" and not seen.is_through_envoy:
        way.extend(seen.named(name) for name in ("server", "x-powered-by") if seen.field(name))
    return way
