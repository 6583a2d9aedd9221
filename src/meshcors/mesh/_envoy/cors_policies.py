"""Envoy's CorsPolicy at each level of a route, as the one policy that the filter goes by.

The filter asks the levels field by field, the most specific first.

Sources: ``envoy/extensions/filters/http/cors/v3/cors.proto`` and
``source/extensions/filters/http/cors/cors_filter.cc``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.model import NAME_LISTS, CorsPolicy, StringMatch
from meshcors.mesh._envoy.text_conditions import read_string

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.mesh._envoy.part import Part

_FIELDS: Final = dict(
    zip(NAME_LISTS, ("allow_methods", "allow_headers", "expose_headers"), strict=True)
)
_MODELLED: Final = (
    "@type", "allow_origin_string_match", "allow_origin", *_FIELDS.values(), "max_age",
    "allow_credentials", "filter_enabled", "shadow_enabled", "allow_private_network_access",
    "forward_not_matching_preflights", "enabled",
)  # fmt: skip


def read_policy(levels: Sequence[Part]) -> CorsPolicy | None:
    """Return the policy of a route; None if it is switched off.

    ``levels`` are the policies that apply, the most specific first; there is at least one.
    """
    first = levels[0]
    share = first.fraction("filter_enabled")
    enabled = first.flag("enabled", default=True)
    if share == 0 or not enabled:
        return None
    if share not in {None, 1}:
        first.doubt("filter_enabled", f"applies to {share:.2%} of the requests")
    for level in levels:
        level.only(_MODELLED)
    texts = {name: _first_text(levels, field) for name, field in _FIELDS.items()}
    max_age = _first_text(levels, "max_age")
    lists = [_names(texts[name]) for name in NAME_LISTS]
    forward = _first_flag(levels, "forward_not_matching_preflights")
    before = sum(len(level.doubts) for level in levels)
    origins = _origins(levels)
    return CorsPolicy(
        place=first.place,
        allow_origins=origins,
        allow_methods=lists[0],
        allow_headers=lists[1],
        expose_headers=lists[2],
        max_age=int(max_age) if max_age.isdecimal() and len(max_age) < 12 else None,
        allow_credentials=_first_flag(levels, "allow_credentials"),
        unmatched_preflights="IGNORE" if forward is False else "UNSPECIFIED",
        sent=(*texts.items(), ("maxAge", max_age)),
        is_partial=sum(len(level.doubts) for level in levels) > before,
        private_network=bool(_first_flag(levels, "allow_private_network_access")),
    )


def _origins(levels: Sequence[Part]) -> tuple[StringMatch, ...]:
    for level in levels:
        matchers = tuple(read_string(each) for each in level.children("allow_origin_string_match"))
        old = [StringMatch("exact", text, level.place) for text in level.texts("allow_origin")]
        if matchers or old:
            return (*matchers, *old)
    return ()


def _first_text(levels: Sequence[Part], name: str) -> str:
    return next((text for level in levels if (text := level.text(name))), "")


def _first_flag(levels: Sequence[Part], name: str) -> bool | None:
    return next((level.flag(name) for level in levels if level.has(name)), None)


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list, as a browser reads it."""
    return tuple(name for each in text.split(",") if (name := each.strip()))
