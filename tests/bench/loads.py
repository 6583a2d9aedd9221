"""Load on a server: requests over kept-alive connections, each waiting for its answer.

`wrk` where it is installed, as it takes little time from the server; else a loop in Python.
"""

from __future__ import annotations

import re
import resource
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.bench.requests import Request
from tests.bench.servers import Served, ask, is_whole

CONNECTIONS = 32


@dataclass(frozen=True)
class Load:
    """What a load has done: its answers, the seconds it took, and the CPU time it used itself."""

    answers: int
    seconds: float
    cpu_seconds: float


def load(server: Served, seconds: float) -> Load:
    """Keep a server busy for some seconds; wrk takes whole ones."""
    began, before = time.perf_counter(), used()
    if seconds >= 1 and shutil.which("wrk"):
        answers = with_wrk(server.address, server.request, round(seconds))
    else:
        answers = in_python(server.address, server.request.raw, seconds)
    return Load(answers, time.perf_counter() - began, used() - before)


def used() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def with_wrk(address: tuple[str, int], request: Request, seconds: int) -> int:
    fields = "".join(
        f'wrk.headers["{name}"] = [[{value}]]\n' for name, value in request.fields.items()
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "{request.method}"\n{fields}')
        script.flush()
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script.name]
        url = f"http://{address[0]}:{address[1]}{request.path}"
        done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) requests in", done.stdout)
    if found is None or re.search("Socket errors|Non-2xx", done.stdout):
        raise SystemExit(f"the load went wrong:\n{done.stdout}{done.stderr}")
    return int(found[1])


def in_python(address: tuple[str, int], request: bytes, seconds: float) -> int:
    answers, until = 0, time.perf_counter() + seconds
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection(address))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(request)
            selector.register(client, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                client, answer = key.fileobj, key.data
                more = client.recv(65536)
                if not more:
                    raise SystemExit("a connection was closed under load")
                answer += more
                if not is_whole(answer):
                    continue
                answer.clear()
                answers += 1
                if time.perf_counter() < until:
                    client.sendall(request)
                else:
                    selector.unregister(client)
    return answers


def load_at(server: Served, rate: int, seconds: float) -> Load:
    """Send a fixed number of requests a second, without waiting for the answers of the others.

    Each takes a connection that is idle; if none is, the server has fallen behind, and it waits.
    """
    request, total = server.request.raw, max(1, round(rate * seconds))
    began, before = time.perf_counter(), used()
    sent = answers = 0
    # Unlike epoll's, its timeouts are exact to a microsecond.
    with ExitStack() as stack, selectors.SelectSelector() as selector:
        idle = []
        for _ in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection(server.address))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            idle.append(selector.register(client, selectors.EVENT_READ, bytearray()))
        while answers < total:
            due = began + sent / rate - time.perf_counter()
            if sent < total and idle and due <= 0:
                # the one that was idle for longest
                idle.pop(0).fileobj.sendall(request)
                sent += 1
                continue
            for key, _ in selector.select(due if sent < total and idle else None):
                more = key.fileobj.recv(65536)
                if not more:
                    raise SystemExit("a connection was closed under load")
                key.data.extend(more)
                if is_whole(key.data):
                    key.data.clear()
                    answers += 1
                    idle.append(key)
    return Load(answers, time.perf_counter() - began, used() - before)


def cost(server: Served, seconds: float) -> float:
    """Return the server's CPU time per request under load, in microseconds."""
    before = server.cpu_seconds()
    done = load(server, seconds)
    return (server.cpu_seconds() - before) / done.answers * 1e6


@contextmanager
def open_connections(server: Served, count: int) -> Iterator[None]:
    """Keep connections open that have each had one answer."""
    with ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(socket.socket())
            # One source address has ports enough; with ten, a free one is found sooner.
            client.bind((f"127.0.1.{1 + number % 10}", 0))
            client.settimeout(10)
            client.connect(server.address)
            ask(client, server.request.raw)
            clients.append(client)
        yield
        for client in clients:
            client.setblocking(False)
            try:
                answer = client.recv(1)
            except BlockingIOError:
                continue  # still open, as it should be
            raise SystemExit(f"{server.name} did not keep a connection open: {answer!r}")


def raise_open_files(wanted: int) -> int:
    """Raise the limit on open files for this process and the servers it starts; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
