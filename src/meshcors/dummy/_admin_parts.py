"""What the admin page is made of: its template, and HTML whose text is escaped and printable."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from meshcors._policy.wording import printable

TEMPLATE: Final = files("meshcors.dummy").joinpath("admin_page.html").read_text("utf-8")
_STYLE: Final = TEMPLATE.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
# Nothing may be loaded or run, and forms may be sent to this port only. The empty icon is in the
# page: otherwise browsers would ask for one.
SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'"
    "; frame-ancestors 'none'; base-uri 'none'"
)
# The longest list that is shown: nobody reads more.
MAX_ITEMS: Final = 30
# Where escaped text may wrap; never inside an entity.
_BREAKS: Final = re.compile(r"(?<=[/,:=?@])(?=\w)|(?=[.%]\w)")


def value(text: str) -> str:
    """Return a text for an attribute."""
    return escape(printable(text))


def text(shown: str) -> str:
    """Return text as HTML that may wrap after slashes and before dots."""
    return _BREAKS.sub("<wbr>", value(shown))


def code(shown: str) -> str:
    """Return untrusted text as ASCII code: letters that look like others are escaped."""
    return f"<code>{text(shown.encode('ascii', 'backslashreplace').decode())}</code>"


def codes(items: Sequence[str]) -> str:
    """Return a list in one line."""
    more = f", and {len(items) - MAX_ITEMS:,} more" if len(items) > MAX_ITEMS else ""
    return ", ".join(map(code, items[:MAX_ITEMS])) + more


def block(items: Iterable[str]) -> str:
    """Return lines to copy."""
    return f"<pre>{'<br>'.join(map(code, items))}</pre>"


def lines(items: Sequence[str]) -> str:
    """Return a list with a line for each item."""
    more = f"<li>and {len(items) - MAX_ITEMS:,} more</li>" if len(items) > MAX_ITEMS else ""
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items[:MAX_ITEMS])}{more}</ul>"


def facts(*named: tuple[str, str], kind: str = "many") -> str:
    """Return a description list of names and HTML, without its empty entries."""
    rows = (f"<div><dt>{name}</dt><dd>{html}</dd></div>" for name, html in named if html)
    return f'<dl class="{kind}">{"".join(rows)}</dl>'


def bars(caption: str, counts: dict[str, int]) -> str:
    """Return a table of counts, each with its share as a bar."""
    total = sum(counts.values())
    rows: list[str] = []
    for reason, count in counts.items():
        share = 100 * count / max(total, 1)
        # The least is seen too.
        width = max(share, 1) if count else 0
        rows.append(
            f'<tr><th scope="row">{words(reason)}</th><td>{count:,}</td><td><svg role="img"'
            f' viewBox="0 0 100 1" preserveAspectRatio="none"><title>{share:.1f} %</title>'
            '<rect class="track" width="100" height="1"/>'
            f'<rect class="{reason}" width="{width:.1f}" height="1"/></svg></td></tr>'
        )
    return f"<table><caption>{caption}: {total:,}</caption>{''.join(rows)}</table>"


def words(reason: str) -> str:
    """Return a reason, such as ``key_missing``, as people write it."""
    return reason.replace("_", " ").capitalize()


def duration(seconds: int, most: int = 4) -> str:
    """Return a time in words: the `most` largest of its units."""
    parts: list[str] = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count:,} {unit}{'s' if count > 1 else ''}"] if count else []
    return " ".join(parts[:most]) or "0 seconds"


def ago(seconds: float) -> str:
    """Return how long ago a Unix time was, and the time."""
    now, at = datetime.now(UTC), datetime.fromtimestamp(seconds, UTC)
    past = duration(max(0, int((now - at).total_seconds())), most=1)
    clock = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"
    return f'{past} ago <time class="soft">({clock} UTC)</time>'
