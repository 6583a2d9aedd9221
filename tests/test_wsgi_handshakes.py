"""WebSocket handshakes over WSGI, where an app takes the server's socket: strangers stay out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.drivers import DRIVERS, named_policy
from tests.test_vectors import assert_answer
from tests.vectors import VECTORS, Vector

pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")

ANSWERED = [each for each in VECTORS if "websocket" in each.traits and each.call.denial]
DRIVEN = ("wsgi", "flask", "django-wsgi", "create_wsgi_app-service")
# As browsers send it, and what some apps read as the same.
UPGRADES = ("websocket", "WebSocket", "h2c, websocket")


def assert_handshake(name: str, vector: Vector, upgrade: str) -> None:
    headers = (*vector.call.headers, ("connection", "Upgrade"), ("upgrade", upgrade))
    call = replace(vector.call, websocket=False, headers=headers)
    outcome = DRIVERS[name].run(named_policy(vector.policy), call, vector.app)
    assert outcome.called == vector.called
    if vector.called:
        # The app, which has no WebSockets, answers as it does any request.
        assert outcome.status == 200
    else:
        assert_answer(vector, outcome)


@pytest.mark.parametrize("name", DRIVEN)
@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("vector", [pytest.param(each, id=each.id) for each in ANSWERED])
def test_as_a_server_that_knows_websockets(name: str, vector: Vector, upgrade: str) -> None:
    assert_handshake(name, vector, upgrade)


@pytest.mark.parametrize("name", DRIVEN)
def test_another_upgrade_is_a_request_like_any_other(name: str) -> None:
    vector = next(each for each in ANSWERED if each.reason == "origin_not_allowed")
    headers = (*vector.call.headers, ("connection", "Upgrade"), ("upgrade", "h2c"))
    call = replace(vector.call, websocket=False, headers=headers)
    assert DRIVERS[name].run(named_policy(vector.policy), call, vector.app).called
