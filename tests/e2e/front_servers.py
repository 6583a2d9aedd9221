"""nginx and Envoy with the policy of `tests/data/http.txt`: 204 to its preflights, else 404."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.envoy import running_envoy
from tests.e2e.processes import free_port, running

_NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  map "$request_method $http_origin $http_access_control_request_method" $preflight {{
    "~^OPTIONS https://ui.example ." 1;
  }}
  server {{ listen 127.0.0.1:{port} default_server; return 404; }}
  server {{
    listen 127.0.0.1:{port};
    server_name api.example;
    location / {{ return 404; }}
    location /v1/ {{
      if ($preflight) {{ return 204; }}
      return 404;
    }}
  }}
}}
"""
_TYPE = "type.googleapis.com/envoy.extensions.filters."
_MANAGER = _TYPE + "network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPE + "http.router.v3.Router"
_BUFFER = _TYPE + "http.buffer.v3.Buffer"


def nginx_binary() -> str:
    """Where nginx is; without it the test is skipped, or fails if ``CI=true``."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        line = "the real nginx is missing: apt-get install nginx-light"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
    return binary


@contextmanager
def nginx() -> Iterator[int]:
    """Start nginx, and yield its port."""
    binary = nginx_binary()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-") as directory:
        Path(directory, "nginx.conf").write_text(_NGINX.format(port=port), encoding="ascii")
        command = [binary, "-p", directory, "-c", "nginx.conf", "-e", "stderr"]
        with running(command, port):
            yield port


@contextmanager
def envoy() -> Iterator[int]:
    """Start Envoy, and yield its port."""
    with running_envoy({"static_resources": {"listeners": [_listener()]}}) as started:
        yield started.port


def _listener() -> dict[str, Any]:
    preflight = [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "origin", "string_match": {"exact": "https://ui.example"}},
        {"name": "access-control-request-method", "present_match": True},
    ]
    routes = [
        {"match": {"prefix": "/v1/", "headers": preflight}, "direct_response": {"status": 204}},
        _not_found(),
    ]
    hosts = [
        {"name": "api", "domains": ["api.example"], "routes": routes},
        {"name": "others", "domains": ["*"], "routes": [_not_found()]},
    ]
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "main",
        "codec_type": "HTTP1",
        # A closing connection is seen sooner.
        "delayed_close_timeout": "0.1s",
        "http_filters": [
            # Otherwise it would answer before it has read a body, and close.
            {"name": "buffer", "typed_config": {"@type": _BUFFER, "max_request_bytes": 1 << 20}},
            {"name": "router", "typed_config": {"@type": _ROUTER}},
        ],
        "route_config": {"virtual_hosts": hosts},
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {"name": "main", "filter_chains": [{"filters": filters}]}


def _not_found() -> dict[str, Any]:
    return {"match": {"prefix": "/"}, "direct_response": {"status": 404}}
