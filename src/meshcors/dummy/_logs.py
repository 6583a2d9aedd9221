"""Log lines on stderr: JSON for machines, text for people; none has a control character.

None is very long, as collectors split lines of more than 16 KiB. A record's own fields are in its
attribute ``fields``, a mapping of names to plain values.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from meshcors._policy.wording import cut, printable

LOGGER: Final = logging.getLogger("meshcors.dummy")

Format = Literal["auto", "json", "text"]


def log(level: int, message: str, **fields: object) -> None:
    """Log `message` with `fields` beside it."""
    LOGGER.log(level, "%s", message, extra={"fields": fields})


def set_up(form: Format, level: str) -> None:
    """Send the pod's log lines, and the server's errors, to stderr.

    ``auto`` is text on a terminal and JSON elsewhere; `level` is a name of `logging`'s.
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # asyncio's lines about closed connections add nothing to ours.
    logging.getLogger("asyncio").setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
    """One JSON object a line; JSON itself escapes all that is not ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        line = {name: cut(text) if isinstance(text, str) else text for name, text in line.items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """Time, level and message, then ``name=value`` for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, or several where it has a traceback."""
        parts = [_time(record), record.levelname, printable(cut(record.getMessage()))]
        fields: Mapping[str, object] = getattr(record, "fields", {})
        parts += [f"{name}={_quoted(cut(str(value)))}" for name, value in fields.items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _quoted(text: str) -> str:
    text = printable(text)
    if text and not any(mark in text for mark in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
