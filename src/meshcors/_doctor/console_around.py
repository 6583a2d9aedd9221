"""What consoles print beside CORS: lines that only say that a call failed, and other blockers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from meshcors._doctor.causes import ConsoleCode

Engine: TypeAlias = Literal["chromium", "firefox", "safari", ""]


class AroundWords(NamedTuple):
    """A line beside CORS: who prints it, and its pattern over squeezed text."""

    engine: Engine
    code: ConsoleCode
    pattern: re.Pattern[str]


LONGEST_URL: Final = 4096
_URL: Final = rf"(?P<url>(?:https?|wss?)://.{{1,{LONGEST_URL}}}?)"
# Where no word follows the URL, it ends before a parenthesis at the latest.
_METHOD_URL: Final = (
    "(?P<method>GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS)"
    rf"(?P<url>https?://[^\0'\"()]{{1,{LONGEST_URL}}}?)"
)
# Over squeezed text, the more telling ones first: what one has taken, the next does not see.
_ROWS: Final[tuple[tuple[Engine, ConsoleCode, str], ...]] = (
    (
        "chromium",
        "mixed_content",
        rf"MixedContent:Thepageat'.{{1,{LONGEST_URL}}}?'wasloadedoverHTTPS,but[a-zA-Z]{{1,60}}"
        rf"'{_URL}'",
    ),
    ("firefox", "mixed_content", rf'Blockedloadingmixed(?:active|display)content"{_URL}"'),
    ("safari", "mixed_content", rf"requestedinsecurecontentfrom{_URL}\.Thiscontentwas"),
    ("safari", "mixed_content", "wasnotallowedto(?:run|display)insecurecontentfrom"),
    (
        "chromium",
        "content_security_policy",
        rf"(?:Refusedtoconnectto|Connectingto)'{_URL}'(?:becauseit)?violatesthe",
    ),
    (
        "chromium",
        "content_security_policy",
        rf"FetchAPIcannotload{_URL}\.Refusedtoconnectbecauseitviolates",
    ),
    (
        "firefox",
        "content_security_policy",
        rf"settingsblockedtheloadingofaresource(?:\([a-z-]{{1,30}}\))?at{_URL}(?:because|\(\")",
    ),
    ("safari", "content_security_policy", rf"Refusedtoconnectto{_URL}becauseit"),
    ("firefox", "opaque", "OpaqueResponseBlocking"),
    (
        "safari",
        "opaque",
        rf"Cancelledloadto{_URL}becauseitviolatestheresource'sCross-Origin-Resource-Policy",
    ),
    (
        "chromium",
        "network_error",
        rf"(?:Failedtoloadresource:|{_METHOD_URL})?net::ERR_(?P<error>[A-Z_]*)(?P<status>\d{{3}})?",
    ),
    (
        "",
        "error_status",
        r"Failedtoloadresource:theserverrespondedwithastatusof(?P<status>\d{3})",
    ),
    ("chromium", "error_status", rf"{_METHOD_URL}(?P<status>[45]\d\d)\("),
    ("chromium", "only_failed", "(?:TypeError:)?Failedtofetch"),
    ("firefox", "only_failed", "NetworkErrorwhenattemptingtofetchresource"),
    ("safari", "only_failed", "TypeError:Loadfailed|Loadfailed"),
    ("", "only_failed", "(?:AxiosError:)?NetworkError"),
    # in the network tab
    ("chromium", "only_failed", "CORSerror"),
    ("firefox", "acao_missing", "CORSMissingAllowOrigin"),
)
AROUND: Final = tuple(AroundWords(row[0], row[1], re.compile(row[2])) for row in _ROWS)
_ERRORS: Final[tuple[tuple[str, ConsoleCode], ...]] = (
    ("FAILED", "only_failed"),
    ("ABORTED", "only_failed"),
    ("BLOCKED_BY_ORB", "opaque"),
    ("BLOCKED_BY_RESPONSE", "opaque"),
    ("BLOCKED_BY_LOCAL_NETWORK", "private_network"),
    ("BLOCKED_BY_PRIVATE_NETWORK", "private_network"),
    ("CACHED_IP_ADDRESS_SPACE", "private_network"),
    ("BLOCKED_BY_CSP", "content_security_policy"),
    ("BLOCKED_BY_CLIENT", "content_blocker"),
)


def code_of(error: str) -> ConsoleCode:
    """Return the code of one of Chromium's errors, without its ``ERR_``."""
    for begin, code in _ERRORS:
        if error.startswith(begin):
            return code
    return "network_error"
