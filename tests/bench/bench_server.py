"""What the middleware adds to a FastAPI app on uvicorn, beside Starlette's CORSMiddleware.

Between two requests a server does so much else that the middleware finds the processor's caches
cold, which a benchmark in one process does not show. Four servers run the same app: bare, with
Starlette's middleware, with ``add_middleware(MeshCORS)``, and with `meshcors.starlette.init_app`.
They share one core, and the client has another. In each round every server answers the same
requests on kept-alive connections, in turn; what counts is the CPU time that the kernel's
scheduler has given to the process. A round's costs are what a server takes more than the bare one
of the same round; the table shows medians over rounds.

    python tests/bench/bench_server.py [--rounds 24] [--requests 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import selectors
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

ORIGIN = "https://ui.example"
KEY = "model-api-key"
MOST = {"add_middleware": 0.45, "init_app": 0.35}

APP = """
import socket, sys, uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from meshcors import HeaderKey, MeshCORS, Policy
from meshcors.starlette import init_app

app = FastAPI()

@app.get("/v1/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

def policy():
    return Policy(
        allow_origins=["https://ui.example"],
        allow_methods=["PUT", "DELETE"],
        allow_headers=["authorization"],
        expose_headers=["x-request-id"],
        max_age=600,
        key=HeaderKey("model-api-key", values=["xyz"]),
    )

if sys.argv[1] == "starlette":
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["https://ui.example"],
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "model-api-key"],
        expose_headers=["x-request-id"],
        max_age=600,
    )
elif sys.argv[1] == "add_middleware":
    app.add_middleware(MeshCORS, policy=policy())
elif sys.argv[1] == "init_app":
    init_app(app, policy())

listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
config = uvicorn.Config(
    app, loop="uvloop", http="httptools", ws="none", log_level="error", access_log=False
)
uvicorn.Server(config).run([listener])
"""
SERVERS = ("bare", "starlette", "add_middleware", "init_app")

# What Chromium sends with fetch(), in its order.
REQUEST = (
    "GET /v1/hello HTTP/1.1\r\nhost: models.example\r\nconnection: keep-alive\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0\r\n"
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\n'
    f"{KEY}: xyz\r\nsec-ch-ua-mobile: ?0\r\naccept: */*\r\norigin: {ORIGIN}\r\n"
    "sec-fetch-site: cross-site\r\nsec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n"
    f"referer: {ORIGIN}/\r\naccept-encoding: gzip, deflate, br, zstd\r\n"
    "accept-language: en-GB,en;q=0.9\r\n\r\n"
).encode()
BODY = b'{"hello":"world"}'


@dataclass(frozen=True)
class Result:
    """Microseconds of CPU for each request, by server, and the ratios of what is added."""

    cost: dict[str, float]
    ratio: dict[str, float]


class Served:
    """One server process on the core that all of them share."""

    def __init__(self, name: str, core: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", APP, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        os.sched_setaffinity(self.process.pid, {core})
        assert self.process.stdout is not None
        found = re.search(rb"port (\d+)", self.process.stdout.readline())
        assert found is not None
        self.address = ("127.0.0.1", int(found[1]))

    def cpu_seconds(self) -> float:
        """Return the time that all threads have run so far, as the kernel's scheduler counts it."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def load(address: tuple[str, int], requests: int, connections: int) -> None:
    """Send `requests`, one after another on each of the `connections`."""
    left, open_ones = requests, connections
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = socket.create_connection(address)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(REQUEST)
            left -= 1
            selector.register(client, selectors.EVENT_READ, bytearray())
        while open_ones:
            for key, _ in selector.select():
                client, answer = key.fileobj, key.data
                assert isinstance(client, socket.socket)
                answer += client.recv(65536)
                if not answer.endswith(BODY):
                    continue
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                answer.clear()
                if left > 0:
                    client.sendall(REQUEST)
                    left -= 1
                else:
                    selector.unregister(client)
                    client.close()
                    open_ones -= 1


def cost(server: Served, requests: int, connections: int) -> float:
    """Return the server's CPU time per request, in microseconds."""
    before = server.cpu_seconds()
    load(server.address, requests, connections)
    return (server.cpu_seconds() - before) / requests * 1e6


def measure(rounds: int, requests: int, connections: int) -> Result:
    """Return the costs; the servers take turns, in another order each round."""
    cores = sorted(os.sched_getaffinity(0))
    servers: dict[str, Served] = {}
    taken: dict[str, list[float]] = {name: [] for name in SERVERS}
    try:
        for name in SERVERS:
            servers[name] = Served(name, cores[-1])
        os.sched_setaffinity(0, {cores[0]})
        for turn in range(rounds + 1):
            for place in range(len(SERVERS)):
                name = SERVERS[(turn + place) % len(SERVERS)]
                spent = cost(servers[name], requests, connections)
                if turn:  # the first round warms up
                    taken[name].append(spent)
    finally:
        os.sched_setaffinity(0, cores)
        for server in servers.values():
            server.stop()
    added = {
        name: [each - bare for each, bare in zip(taken[name], taken["bare"], strict=True)]
        for name in SERVERS[1:]
    }
    theirs = median(added["starlette"])
    return Result(
        {name: round(median(each), 2) for name, each in taken.items()},
        {name: round(median(added[name]) / theirs, 3) for name in MOST},
    )


def table(result: Result) -> str:
    """Return the result as a table."""
    bare = result.cost["bare"]
    lines = ["| FastAPI on uvicorn | CPU per request | added | added / Starlette's | at most |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for name, spent in result.cost.items():
        ratio = f"{result.ratio[name]:.2f}" if name in MOST else ""
        lines.append(
            f"| {name} | {spent:.1f} µs | {spent - bare:.1f} µs | {ratio} | {MOST.get(name, '')} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--requests", type=int, default=1000, help="to each server in a round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    result = measure(options.rounds, options.requests, options.connections)
    names = ("meshcors", "starlette", "fastapi", "uvicorn")
    print(f"CPython {platform.python_version()},", ", ".join(f"{n} {version(n)}" for n in names))
    print()
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
