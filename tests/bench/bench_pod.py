"""What the pod costs: CPU time per preflight, compared with a bare ASGI app on the same server.

Run as ``python -m tests.bench.bench_pod`` on Linux with the extra ``dummy``. The bare app answers
every request with a constant 204, under uvicorn with uvloop and httptools; the pod runs with its
metrics and its admin port. Both get the same bytes on kept-alive connections, in turn; the CPU time
that the kernel accounts to each server is compared. Memory and the time until the first answer are
measured at the end. Exit code 1: a bound is exceeded.
"""

from __future__ import annotations

import argparse
import re
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

MOST_TIMES_BARE = 1.2
MOST_IDLE_MIB = 40
MOST_SECONDS_TO_READY = 0.5

ORIGIN = "https://ui.example"
# As Chromium sends it, through a gateway.
PREFLIGHT = (
    b"OPTIONS /v1/chat HTTP/1.1\r\nhost: models.example\r\naccept: */*\r\n"
    b"access-control-request-method: POST\r\n"
    b"access-control-request-headers: content-type,model-api-key\r\n"
    b"origin: https://ui.example\r\n"
    b"user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    b" Chrome/140.0.0.0 Safari/537.36\r\n"
    b"sec-fetch-mode: cors\r\nsec-fetch-site: cross-site\r\nsec-fetch-dest: empty\r\n"
    b"referer: https://ui.example/\r\naccept-encoding: gzip, deflate, br, zstd\r\n"
    b"accept-language: en-US,en;q=0.9\r\nx-forwarded-for: 10.0.0.1\r\n"
    b"x-request-id: 5e4b4c40-6b43-4b5c-8a7e-8d5a3a0f3c11\r\n\r\n"
)
BARE = """
import socket, sys, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", lifespan="off",
    log_level="error", access_log=False, proxy_headers=False, server_header=False)
uvicorn.Server(config).run([listener])
"""
POD = [
    *("-m", "meshcors.dummy", "--host", "127.0.0.1", "--port", "0", "--admin-port", "0"),
    *("--drain", "0", "--allow-origin", ORIGIN, "--key-header", "model-api-key"),
]


class Served:
    """One server process and the CPU time it has used."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        found = re.search(rb"port (\d+)", self.process.stdout.readline())
        assert found is not None
        self.address = ("127.0.0.1", int(found[1]))

    def cpu_seconds(self) -> float:
        """Return the time that all threads have run so far, as the kernel's scheduler counts it."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def load(address: tuple[str, int], requests: int, connections: int) -> None:
    """Send `requests` preflights, one after another on each of the `connections`."""
    left, open_ones = requests, connections
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = socket.create_connection(address)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(PREFLIGHT)
            left -= 1
            selector.register(client, selectors.EVENT_READ)
        while open_ones:
            for key, _ in selector.select():
                client = key.fileobj
                assert isinstance(client, socket.socket)
                answer = client.recv(65536)
                assert answer.startswith(b"HTTP/1.1 204 "), answer
                assert answer.endswith(b"\r\n\r\n"), answer
                if left:
                    client.sendall(PREFLIGHT)
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


def seconds_to_ready() -> float:
    """Start a pod and return the seconds until its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = [*POD, "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL, stdout=-3)
    try:
        while True:
            try:
                load(("127.0.0.1", port), 1, 1)
                return time.perf_counter() - started
            except ConnectionRefusedError:
                assert process.poll() is None
                time.sleep(0.005)
    finally:
        process.terminate()
        process.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000, help="per turn")
    parser.add_argument("--turns", type=int, default=101)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    bare, pod = Served("-c", BARE), Served(*POD)
    try:
        time.sleep(1)
        idle = pod.resident_mib()
        for server in (bare, pod):
            load(server.address, 1000, options.connections)
        turns = [
            (
                cost(bare, options.requests, options.connections),
                cost(pod, options.requests, options.connections),
            )
            for _ in range(options.turns)
        ]
    finally:
        bare.stop()
        pod.stop()
    ready = median(seconds_to_ready() for _ in range(5))
    times = median(pod_cost / bare_cost for bare_cost, pod_cost in turns)
    rows = [
        ("bare app, CPU per request", f"{median(b for b, _ in turns):.1f} us", "", True),
        ("pod, CPU per preflight", f"{median(p for _, p in turns):.1f} us", "", True),
        ("pod / bare", f"{times:.2f}", f"<= {MOST_TIMES_BARE}", times <= MOST_TIMES_BARE),
        ("idle, resident", f"{idle:.1f} MiB", f"<= {MOST_IDLE_MIB}", idle <= MOST_IDLE_MIB),
        ("start to first answer", f"{ready:.2f} s", "<= 0.5", ready <= MOST_SECONDS_TO_READY),
    ]
    print("| what | measured | bound |\n|---|---|---|")
    for what, measured, bound, _ in rows:
        print(f"| {what} | {measured} | {bound} |")
    return 0 if all(kept for *_, kept in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
