"""A dependency that is used beside its public interface has an upper bound in pyproject.toml.

Other tests fail when such a part of it is gone: Starlette's outermost layer in test_starlette.py,
Werkzeug's mark of its debugger in test_wsgi.py, prometheus-client's choice of a format in
test_dummy_admin.py, ruamel.yaml's events and nodes in test_config.py and test_fix.py.

The servers that ``meshcors run`` hooks are no dependencies: their bounds are its own, and what
becomes of a server whose parts are gone is in e2e/test_launcher_refusals.py.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

import pytest

from meshcors._launch.servers import SERVERS


@pytest.mark.parametrize("name", ["prometheus-client", "ruamel.yaml", "starlette", "werkzeug"])
def test_what_is_used_beside_its_public_interface_has_an_upper_bound(name: str) -> None:
    found = [each for each in requires("meshcors") or () if re.match(rf"{name}\b", each)]
    assert found
    assert all(">=" in each and re.search(r"<\d", each) for each in found)


@pytest.mark.parametrize("name", SERVERS)
def test_the_servers_that_are_tested_are_within_the_bounds_of_the_launcher(name: str) -> None:
    try:
        found = tuple(int(part) for part in re.findall(r"\d+", version(name))[:3])
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    assert SERVERS[name].first <= found < SERVERS[name].end
