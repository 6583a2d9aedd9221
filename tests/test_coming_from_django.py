"""The page on coming from django-cors-headers: both sides of what it says are run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from corsheaders.conf import Settings
from corsheaders.defaults import default_headers, default_methods
from django.core.handlers.wsgi import WSGIHandler

from meshcors import Policy, PolicyError, Regex
from tests import django_app
from tests.apps import TestApp
from tests.calling import EVIL, UI, call_wsgi, preflight
from tests.coming_from import CALLS, PRIVATE, Page, Serve, verdict

PAGE = Page("django-cors-headers")
THEIRS = {"MIDDLEWARE": ["corsheaders.middleware.CorsMiddleware"]}


@contextmanager
def django(**settings: Any) -> Iterator[Serve]:
    """Django with these settings, and an app that answers every path."""
    django_app.use(TestApp("ok"))
    with django_app.django_settings(None, **settings):
        yield Serve(call_wsgi, WSGIHandler())


def settings_of(source: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    exec(compile(source, str(PAGE.path), "exec"), made)
    return {name: value for name, value in made.items() if name.isupper()}


def test_the_same_calls_pass_before_and_after() -> None:
    passed, ages = [], []
    for source in PAGE.blocks():
        with django(**settings_of(source)) as serve:
            passed.append([verdict(serve, **each) == "allowed" for each in CALLS])
            asked = preflight(UI, "PUT")
            ages.append(serve("OPTIONS", "/api/hello", asked).get("access-control-max-age"))
    assert passed[0] == passed[1]
    assert {True, False} == set(passed[0])
    assert ages == ["600", "600"]


def test_every_setting_has_its_row() -> None:
    known = {name for name in vars(Settings) if name.startswith("CORS_")}
    assert known <= PAGE.options()


@pytest.mark.parametrize("name", ["ALLOWED_ORIGINS", "ALLOWED_ORIGIN_REGEXES", "URLS_REGEX"])
def test_a_setting_with_another_name_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(PolicyError) as raised:
        Policy(**{"allow_origins": [UI], f"CORS_{name}": "^/api"})
    (problem,) = raised.value.problems
    assert problem.code == "unknown_option"
    assert any(word in problem.hint for word in ("allow_origins", "Rule(", "Regex("))


def test_expressions_match_the_beginning_or_the_whole() -> None:
    longer, pattern = f"{UI}.evil.example", r"https://ui\.example"
    with django(CORS_ALLOWED_ORIGIN_REGEXES=[pattern], **THEIRS) as serve:
        assert verdict(serve, origin=longer) == "allowed"
    with django(MESHCORS={"allow_origins": [Regex(pattern)]}) as serve:
        assert verdict(serve, origin=longer) == "acao_missing"
        assert verdict(serve) == "allowed"


def test_elsewhere_every_site_may_act_as_the_user() -> None:
    everybody = {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_ALLOW_CREDENTIALS": True}
    with django(**everybody, **THEIRS) as serve:
        assert verdict(serve, origin=EVIL, credentials="include") == "allowed"


def test_defaults() -> None:
    row = next(line for line in PAGE.text.splitlines() if line.startswith("| `CORS_ALLOW_METHODS`"))
    assert all(f"`{each}`" in row for each in default_methods)
    row = next(line for line in PAGE.text.splitlines() if line.startswith("| `CORS_ALLOW_HEADERS`"))
    assert all(f"`{each}`" in row for each in default_headers)
    fields = [*preflight(UI, "PUT"), (PRIVATE, "true")]
    with django(CORS_ALLOWED_ORIGINS=[UI], **THEIRS) as serve:
        answered = serve("OPTIONS", "/api/hello", fields)
        stranger = serve("OPTIONS", "/api/hello", preflight(EVIL, "PUT"))
    assert (answered.status, stranger.status) == (200, 200)
    assert answered.get("access-control-max-age") == "86400"
    assert answered.get("access-control-allow-private-network") is None
    with django(MESHCORS={"allow_origins": [UI]}) as serve:
        answered = serve("OPTIONS", "/api/hello", fields)
        stranger = serve("OPTIONS", "/api/hello", preflight(EVIL, "PUT"))
    assert (answered.status, stranger.status) == (204, 403)
    assert answered.get("access-control-max-age") is None
    assert answered.get("access-control-allow-private-network") is None
