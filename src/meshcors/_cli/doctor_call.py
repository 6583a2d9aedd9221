"""The call that ``meshcors doctor`` makes, read from its options.

No message shows a header's value, a query or a body: each may be a secret.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from meshcors import browser
from meshcors._cli.explain_call import read_header
from meshcors._cli.files import policy_unreadable
from meshcors._cli.pasted_call import ascii_host, read_pasted_url, unquoted
from meshcors._policy.errors import OriginError, PolicyError
from meshcors._policy.headers import is_forbidden_request_header
from meshcors._policy.wording import shown_origin
from meshcors.mesh._fix.known_services import decider_of_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors._decision.simulation import Decider

MAX_BODY: Final = 1024 * 1024
_BODILESS: Final = ("GET", "HEAD")
# Fetch, "extract a body": a string without a content type of its own
_TEXT: Final = ("content-type", "text/plain;charset=UTF-8")


def required(url: str | None, origin: str | None) -> tuple[str, str]:
    """Return both; ``click.MissingParameter`` if one is not there."""
    if url is None:
        raise click.MissingParameter(param_hint="'URL'", param_type="argument")
    if origin is None:
        raise click.MissingParameter(param_hint="'--origin'", param_type="option")
    return url, origin


def read_body(data: str | None) -> bytes | None:
    """Return the body of ``--data``."""
    if data is None:
        return None
    body = data.encode("utf-8", "surrogateescape")
    if len(body) > MAX_BODY:
        raise click.UsageError(f"--data: at most {MAX_BODY // 2**20} MiB")
    return body


def read_page_call(
    url: str,
    origin: str,
    method: str | None,
    headers: Sequence[str],
    body: bytes | None,
    *,
    credentials: bool,
) -> browser.Request:
    """Return the call; ``click.UsageError`` if no script makes it."""
    called, origin = read_pasted_url(url), unquoted(origin)
    if origin in ("", "*"):
        raise click.UsageError("--origin: write the page's origin, such as https://ui.example")
    method = method or ("GET" if body is None else "POST")
    if body is not None and method.upper() in _BODILESS:
        raise click.UsageError(f"--data: a script cannot send a body with {method.upper()}")
    pairs = [read_header(unquoted(text)) for text in headers]
    for name, _ in pairs:
        if is_forbidden_request_header(name.lower()):
            raise click.UsageError(f"--header {name}: browsers do not let a script set it")
    if body is not None and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(_TEXT)
    mode: browser.Credentials = "include" if credentials else "omit"
    address = f"{called.scheme}://{called.host}{called.target}"
    try:
        return browser.Request(origin, address, method, pairs, mode)
    except OriginError as error:
        raise click.UsageError(f"--origin {shown_origin(origin)}: {error.hint}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


class ExpectedPolicy(NamedTuple):
    """The decisions of ``--config``, and the header of its key for the URL, or an empty text."""

    decider: Decider
    key: str


def read_policy(config: str, url: str) -> ExpectedPolicy:
    """Return the policy of a file; ``click.UsageError`` if it is invalid."""
    from meshcors._decision.page_check import rule_for
    from meshcors.config._loading import load

    try:
        source = load({}, {}, config=config)
    except PolicyError as error:
        raise policy_unreadable(error) from None
    rule = rule_for(source, url)
    key = rule.policy.key if rule else None
    return ExpectedPolicy(decider_of_source(source), key.name if key else "")


def read_resolve(
    _: click.Context, __: click.Parameter, given: Sequence[str]
) -> dict[tuple[str, int], str]:
    """Read ``HOST:PORT:ADDR``, each of them; ``click.BadParameter`` if one is something else."""
    return dict(_resolved(text) for text in given)


def _resolved(text: str) -> tuple[tuple[str, int], str]:
    host, _, rest = text.partition(":")
    port, _, address = rest.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    try:
        ip_address(address)
    except ValueError:
        address = ""
    if not (host and address and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise click.BadParameter(f"{text}: write HOST:PORT:ADDR, such as api.example:443:10.0.0.7")
    try:
        return (ascii_host(host.lower()), int(port)), address
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}") from None
