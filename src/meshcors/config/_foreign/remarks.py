"""What a system does that the policy will not do, or the other way: the only place that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors._policy.headers import SAFELISTED_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.config._foreign.said import Field, ForeignPolicy


def remarks(policy: ForeignPolicy) -> Iterator[str]:
    """Yield a line for each difference between what is read and what is written."""
    system = policy.system
    if system.refuses_unlisted:
        unlisted = [each for each in ("GET", "POST") if not _lists(policy, "allowMethods", each)]
        if unlisted:
            names = " and ".join(unlisted)
            yield (
                f"{system.name} refuses the preflight of a {names}, which is not listed; meshcors"
                f" always allows {', '.join(sorted(SAFELISTED_METHODS))}."
            )
    if not system.safe_headers and not _lists(policy, "allowHeaders", "content-type"):
        yield "content-type is not listed, so pages cannot send JSON; meshcors always allows it."
    for name, option in policy.options.items():
        if not option.given:
            yield f"{name} is the default of {system.name}: {option.keyword} is not set."
    yield from _stars(policy)
    if system.bare_errors:
        yield f"In {system.name}, {system.bare_errors}; meshcors adds them."
    if policy.key:
        yield (
            f"meshcors answers 401 to a request without {policy.key}; the gateway goes on to its"
            " next rule."
        )


def _stars(policy: ForeignPolicy) -> Iterator[str]:
    credentials = has_credentials(policy)
    for name in ("allowMethods", "allowHeaders", "exposeHeaders"):
        if not _has_star(policy, name):
            continue
        if credentials and not policy.system.echoes:
            yield (
                f"{name}: with credentials, browsers take the * of {policy.system.name} as a name;"
                " it is left out."
            )
        elif name == "allowMethods" and policy.system.star_methods:
            yield (
                f"allowMethods: * is any method in meshcors; {policy.system.name} means"
                f" {policy.system.star_methods}."
            )
        elif name == "allowHeaders" and not credentials and policy.system.echoes:
            yield "allowHeaders: authorization is added, because * does not cover it in browsers."


def has_credentials(policy: ForeignPolicy) -> bool:
    """Tell whether a policy allows credentials."""
    option = policy.options.get("allowCredentials")
    return option is not None and option.value is True


def _lists(policy: ForeignPolicy, name: Field, item: str) -> bool:
    option = policy.options.get(name)
    items = option.value if option is not None else ()
    named = [str(each).lower() for each in items] if isinstance(items, list) else []
    if "*" in named:
        return policy.system.echoes or not has_credentials(policy)
    return item.lower() in named


def _has_star(policy: ForeignPolicy, name: Field) -> bool:
    option = policy.options.get(name)
    return option is not None and isinstance(option.value, list) and "*" in option.value
