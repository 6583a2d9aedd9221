"""One process for every Python app of the zoo: each app has a port, and its own lines.

Reads ``{name: {"kind": "asgi"|"wsgi", "lines": ...}}`` from stdin, and prints ``{name: port}`` once
all of them listen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import threading
from typing import Any

import uvicorn
import waitress

from tests.e2e.zoo import models


def made(lines: str) -> Any:
    """The ``app`` that a set-up's lines leave."""
    names = {name: getattr(models, name) for name in models.__all__}
    exec(compile(lines, "<set-up>", "exec"), names)
    return names["app"]


def listening() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def main() -> None:
    logging.disable(logging.CRITICAL)
    apps: dict[str, dict[int, Any]] = {"asgi": {}, "wsgi": {}}
    sockets: dict[str, list[socket.socket]] = {"asgi": [], "wsgi": []}
    ports = {}
    for name, each in json.load(sys.stdin).items():
        listener = listening()
        ports[name] = port = listener.getsockname()[1]
        apps[each["kind"]][port] = made(each["lines"])
        sockets[each["kind"]].append(listener)

    def wsgi(environ: Any, start_response: Any) -> Any:
        return apps["wsgi"][int(environ["SERVER_PORT"])](environ, start_response)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await apps["asgi"][scope["server"][1]](scope, receive, send)

    if sockets["wsgi"]:
        serve = {"sockets": sockets["wsgi"], "threads": 2, "clear_untrusted_proxy_headers": False}
        threading.Thread(target=waitress.serve, args=(wsgi,), kwargs=serve, daemon=True).start()
    print(json.dumps(ports), flush=True)
    config = uvicorn.Config(asgi, lifespan="off", log_config=None)
    asyncio.run(uvicorn.Server(config).serve(sockets=sockets["asgi"]))


if __name__ == "__main__":
    main()
