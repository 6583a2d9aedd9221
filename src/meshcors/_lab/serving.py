"""The lab's own servers: any number of WSGI apps on 127.0.0.1, each on a port of its own.

One thread waits for connections on all of the ports; each connection then has a thread.
"""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from meshcors._lab.settings import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication

# A shell often allows 256 or 1024; a destination has a server on each side, and Envoy inherits it.
_OPEN_FILES: Final = 4096


class ServingError(Exception):
    """A port cannot be served; the message is one line with the reason."""


class QuietHandler(WSGIRequestHandler):
    """Serves a connection without a line on the terminal for each request."""

    # Seconds after which a silent connection is closed.
    timeout = 60

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's name
        """Log nothing."""


class LoopbackServers:
    """Serves apps until `close`; a context manager.

    One thread at a time may call `add`, `remove` and `close`.
    """

    def __init__(self) -> None:
        _allow_files()
        self._servers: dict[int, BaseWSGIServer] = {}
        self._selector = selectors.DefaultSelector()
        # a byte at one end wakes the thread, which waits at the other
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._changed = threading.Event()
        self._added: list[BaseWSGIServer] = []
        self._removed: list[BaseWSGIServer] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="the lab's servers", daemon=True)
        self._thread.start()

    def __enter__(self) -> LoopbackServers:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def add(self, app: WSGIApplication, port: int = 0) -> int:
        """Serve an app on a port, 0 for a free one; return the port.

        Raises `ServingError` if the port is taken, or too many files are open.
        """
        try:
            server = _listening(app, port)
        except OSError as error:
            raise ServingError(f"{port or 'the port of a service'}: {error.strerror}") from None
        # a client that has left meanwhile is not waited for
        server.timeout = 0
        self._servers[server.port] = server
        self._added.append(server)
        self._tell()
        return server.port

    def remove(self, ports: Iterable[int]) -> None:
        """Stop listening on these ports."""
        self._removed += [self._servers.pop(port) for port in ports]
        self._tell()

    def close(self) -> None:
        """Stop listening; a second time, nothing happens."""
        if self._is_closing:
            return
        self._is_closing = True
        self.remove(list(self._servers))
        self._thread.join()
        for each in (self._selector, self._wake, self._woken):
            each.close()

    def _tell(self) -> None:
        """Have the thread do what is asked for, and wait until it has."""
        self._changed.clear()
        self._wake.send(b"!")
        while self._thread.is_alive() and not self._changed.wait(1):
            pass

    def _serve(self) -> None:
        while True:
            ready = [key for key, _ in self._selector.select()]
            for key in ready:
                if key.data is not None:
                    key.data.handle_request()
            # last, as none of those above may be closed before
            if any(key.data is None for key in ready):
                self._woken.recv(1)
                self._follow()
                self._changed.set()
                if self._is_closing:
                    return

    def _follow(self) -> None:
        for server in self._added:
            self._selector.register(server, selectors.EVENT_READ, server)
        for server in self._removed:
            self._selector.unregister(server)
            server.server_close()
        self._added, self._removed = [], []


def _listening(app: WSGIApplication, port: int) -> BaseWSGIServer:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)
        # Werkzeug itself would end the process if the port were taken.
        return make_server(
            LOOPBACK,
            listener.getsockname()[1],
            app,
            threaded=True,
            request_handler=QuietHandler,
            fd=listener.fileno(),
        )


def _allow_files() -> None:
    """Let this process, and what it starts, open as many files as many servers need."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
