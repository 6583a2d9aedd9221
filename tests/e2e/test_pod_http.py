"""What `tests/data/http.txt` says of nginx and Envoy is what the real ones answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.e2e.front_servers import envoy, nginx
from tests.http_table import read_table
from tests.http_wire import exchange_all


@pytest.mark.parametrize("server", [nginx, envoy], ids=["nginx", "envoy"])
def test_the_table_says_what_a_real_server_answers(
    server: Callable[[], AbstractContextManager[int]],
) -> None:
    name = server.__name__
    cases = read_table().cases
    with server() as port:
        found = exchange_all(port, cases, name)
    said = {case.name: case.answers[name] for case in cases}
    assert {case: str(each) for case, each in found.items() if str(each) != said[case]} == {}
