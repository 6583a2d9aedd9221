"""Real names and the lab's: ``api.example.com`` is ``api.example.com.localhost``, on loopback.

Any host is its own name with ``.localhost`` behind it, so that no list of hosts is needed. Origins
are listed, because a page's scheme and port are lost on the way. Nothing of a document gets into
the text of the gateway's filter but origins, and of these each byte that is not plain is escaped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from meshcors._policy.origins import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCAL_SUFFIX: Final = ".localhost"
# A name in the DNS (RFC 1035 2.3.4), in its written form.
_LONGEST_NAME: Final = 253
_LONGEST_LABEL: Final = 63
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9.-]")
_NOT_PLAIN: Final = re.compile(rb"[^a-z0-9]")


def local_host(host: str) -> str | None:
    """Return the lab's name of a host (without port); None if it cannot have one."""
    local = f"{host.lower()}{LOCAL_SUFFIX}"
    return local if _is_name(local) else None


def _is_name(host: str) -> bool:
    return (
        len(host) <= _LONGEST_NAME
        and _NOT_IN_NAMES.search(host.replace("_", "-")) is None
        and all(0 < len(label) <= _LONGEST_LABEL for label in host.split("."))
    )


@dataclass(frozen=True, slots=True)
class LocalOrigins:
    """The lab's origins by the real ones, as both are serialized: ``http://NAME.localhost:PORT``."""

    by_real: Mapping[str, str]

    @classmethod
    def of(cls, origins: Iterable[str], port: int) -> LocalOrigins:
        """Give each of some real origins a name on the page server's port.

        Raises `OriginError` for what is no origin.
        """
        named: dict[str, str] = {}
        for origin in dict.fromkeys(origins):
            named[origin] = f"http://{_free_name(Origin.parse(origin), named.values())}:{port}"
        return cls(named)

    def filter_text(self) -> str:
        """Return the source of the gateway's filter (Envoy's Lua filter)."""
        program = files("meshcors._lab").joinpath("translator.lua").read_text(encoding="utf-8")
        real = _table((local, origin) for origin, local in self.by_real.items())
        return f"local LOCAL = {_table(self.by_real.items())}\nlocal REAL = {real}\n{program}"


def _free_name(origin: Origin, taken: Iterable[str]) -> str:
    """Return the name of an origin; its scheme and port are in it unless they are the usual ones.

    ``taken`` are the origins that have a name.
    """
    hosts = {_host_of(each) for each in taken}
    plain = _NOT_IN_NAMES.sub("-", origin.host)
    port = f"-{origin.port}" if origin.port else ""
    usual = origin.scheme == "https" and not port
    scheme = _NOT_IN_NAMES.sub("-", origin.scheme).replace(".", "-")
    wanted = f"{plain}{'' if usual else f'.{scheme}{port}'}{LOCAL_SUFFIX}"
    others = (f"origin-{number}{LOCAL_SUFFIX}" for number in range(len(hosts) + 1))
    return next(name for name in (wanted, *others) if _is_name(name) and name not in hosts)


def _host_of(local_origin: str) -> str:
    return local_origin.removeprefix("http://").rpartition(":")[0]


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    entries = (f"[{_quoted(name)}] = {_quoted(value)}" for name, value in pairs)
    return f"{{ {', '.join(entries)} }}"


def _quoted(text: str) -> str:
    """Return a text as a string of Lua (manual 2.1): every byte that is not plain as a number."""
    escaped = _NOT_PLAIN.sub(lambda found: b"\\%03d" % found[0][0], text.encode())
    return f'"{escaped.decode()}"'
