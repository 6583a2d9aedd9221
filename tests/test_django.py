"""Django's own middleware: its test clients, its errors, its settings and its system checks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.views.decorators.http import require_GET

from meshcors import HeaderKey, Policy, ReplaceablePolicy, Rule, RuleSet
from tests.calling import EVIL, UI, clean_environment
from tests.django_app import MIDDLEWARE, django_settings

POLICY = Policy(
    allow_origins=[UI],
    allow_methods=["PUT"],
    key=HeaderKey("model-api-key", ["xyz"], exempt_paths=["/healthz"]),
)
OWN = MIDDLEWARE[0]
COMMON = "django.middleware.common.CommonMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
KEYED = {"origin": UI, "model-api-key": "xyz"}


def hello(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("hello", headers={"access-control-allow-origin": "*"})
    response.set_cookie("a", "1")
    return response


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


async def slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse("slow")


urls: Any = ModuleType("meshcors_django_urls")
urls.urlpatterns = [
    path("hello/", require_GET(hello)),
    path("healthz", hello),
    path("boom", boom),
    path("forbidden", forbidden),
    path("slow", slow),
]
sys.modules["meshcors_django_urls"] = urls
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": "meshcors_django_urls",
    "MIDDLEWARE": [OWN, COMMON],
    "TEMPLATES": [],
}


def ask(method: str, path: str, headers: dict[str, str], *, is_async: bool) -> Any:
    if is_async:
        client = AsyncClient(raise_request_exception=False)
        return asyncio.run(client.generic(method, path, headers=headers))
    return Client(raise_request_exception=False).generic(method, path, headers=headers)


clients = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@clients
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/hello/", 200),
        # CommonMiddleware's redirect
        ("GET", "/hello", 301),
        ("PUT", "/hello/", 405),
        ("OPTIONS", "/hello/", 405),
        ("GET", "/gone", 404),
        ("GET", "/forbidden", 403),
        ("GET", "/boom", 500),
        ("GET", "/slow", 200),
    ],
)
def test_a_page_reads_every_answer_and_a_stranger_none(
    method: str, path: str, status: int, is_async: bool
) -> None:
    with django_settings(POLICY, **SETTINGS):
        response = ask(method, path, KEYED, is_async=is_async)
        assert response.status_code == status
        assert response["access-control-allow-origin"] == UI
        assert "Origin" in response["vary"]
        stranger = ask(method, path, {**KEYED, "origin": EVIL}, is_async=is_async)
        assert stranger.status_code == status
        assert "access-control-allow-origin" not in stranger
        keyless = ask(method, path, {"origin": UI}, is_async=is_async)
        assert keyless.status_code == 401
        assert keyless["access-control-allow-origin"] == UI
        assert keyless["content-type"] == "application/problem+json"


@clients
def test_a_preflight_needs_no_key_and_an_exempt_path_none(is_async: bool) -> None:
    asked = {"origin": UI, "access-control-request-method": "PUT"}
    with django_settings(POLICY, **SETTINGS):
        preflight = ask("OPTIONS", "/hello/", asked, is_async=is_async)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight["access-control-allow-methods"] == "PUT"
        assert "content-type" not in preflight
        assert ask("GET", "/healthz", {}, is_async=is_async).status_code == 200
        head = ask("HEAD", "/hello/", {"origin": UI}, is_async=is_async)
        assert (head.status_code, head.content) == (401, b"")
        assert int(head["content-length"]) > 0


@clients
def test_other_middleware_may_be_around_it(is_async: bool) -> None:
    with django_settings(POLICY, **{**SETTINGS, "MIDDLEWARE": [SECURITY, OWN, COMMON]}):
        response = ask("GET", "/hello/", KEYED, is_async=is_async)
    assert response.status_code == 200
    assert response["x-content-type-options"] == "nosniff"
    assert response["access-control-allow-origin"] == UI


def test_what_the_app_sends_is_kept() -> None:
    with django_settings(POLICY, **SETTINGS):
        response = ask("GET", "/hello/", KEYED, is_async=False)
    assert response.content == b"hello"
    assert response.cookies["a"].value == "1"
    assert response["content-type"] == "text/html; charset=utf-8"


PLAIN = Policy(allow_origins=[UI])


@pytest.mark.parametrize(
    "given",
    [
        PLAIN,
        ReplaceablePolicy(PLAIN),
        {"allow_origins": [UI]},
        {"policy": PLAIN},
        {"rules": [Rule(PLAIN, path_prefix="/hello")], "uncovered": "app"},
        RuleSet([Rule(PLAIN, path_prefix="/hello")]),
        [Rule(PLAIN, path_prefix="/hello")],
    ],
)
def test_the_setting_is_what_middleware_takes(given: object) -> None:
    with django_settings(given, **SETTINGS):
        response = ask("GET", "/hello/", {"origin": UI}, is_async=False)
        assert response["access-control-allow-origin"] == UI
        other = ask("GET", "/healthz", {"origin": UI}, is_async=False)
        # Where no rule covers it, as if there were no middleware: the app's own field.
        assert other["access-control-allow-origin"] == ("*" if "Rule(" in repr(given) else UI)


def test_without_the_setting_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    with django_settings(None, **SETTINGS):
        response = ask("GET", "/hello/", {"origin": UI}, is_async=False)
    assert response["access-control-allow-origin"] == UI


WRONG: list[tuple[object, list[str]]] = [
    (
        {"allow_origins": ["ui.example", "http://other.example/x"]},
        ["ui.example", "other.example/x"],
    ),
    ({"allow_origin": [UI]}, ["allow_origin"]),
    ({"allow_origins": "*", "allow_credentials": True}, ["allow_origins"]),
    ({"rules": [], "allow_origins": [UI]}, ["allow_origins"]),
    ("*", ["not_a_policy"]),
    (7, ["not_a_policy"]),
    ({7: [UI]}, ["keywords must be strings"]),
]


@pytest.mark.parametrize(("given", "parts"), WRONG)
@pytest.mark.parametrize("handler", [WSGIHandler, ASGIHandler])
def test_a_wrong_policy_stops_the_start_with_every_problem(
    given: object, parts: list[str], handler: Any
) -> None:
    with django_settings(given), pytest.raises(ImproperlyConfigured) as caught:
        handler()
    assert str(caught.value).startswith("settings.MESHCORS: ")
    assert [part for part in parts if part not in str(caught.value)] == []


def checked(given: object, middleware: list[str]) -> list[str | None]:
    with django_settings(given, MIDDLEWARE=middleware, INSTALLED_APPS=["meshcors.django"]):
        found = [each for each in checks.run_checks() if str(each.id).startswith("meshcors.")]
    assert all(each.hint for each in found)
    return [each.id for each in found]


@pytest.mark.parametrize(
    ("given", "middleware", "expected"),
    [
        (POLICY, [OWN, SECURITY, COMMON], []),
        (POLICY, [SECURITY, OWN], ["meshcors.W001"]),
        (POLICY, [SECURITY], ["meshcors.W002"]),
        (POLICY, [OWN, "corsheaders.middleware.CorsMiddleware"], ["meshcors.W003"]),
        (
            POLICY,
            ["corsheaders.middleware.CorsMiddleware", OWN],
            ["meshcors.W001", "meshcors.W003"],
        ),
        ({"allow_origins": ["ui.example"]}, [OWN], ["meshcors.E001"]),
        ({"allow_origins": ["ui.example"]}, [], ["meshcors.E001", "meshcors.W002"]),
    ],
)
def test_system_checks(given: object, middleware: list[str], expected: list[str]) -> None:
    assert checked(given, middleware) == expected


def test_the_check_of_a_wrong_policy_says_every_problem_and_no_key() -> None:
    given = {"allow_origins": ["ui.example"], "max_age": "x", "key": "hidden-key"}
    with django_settings(given, INSTALLED_APPS=["meshcors.django"]):
        (error,) = [each for each in checks.run_checks() if each.id == "meshcors.E001"]
    assert error.is_serious()
    assert "ui.example" in error.msg
    assert "max_age" in error.msg
    assert "hidden-key" not in error.msg


# --- the page's lines, in a process of their own

PAGE = Path(__file__).parent.parent / "docs" / "frameworks.md"


def manage(folder: Path, settings: str, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "settings.py").write_text(f"SECRET_KEY = 'test'\n{settings}", encoding="utf-8")
    return subprocess.run(
        # Without bytecode: of two settings of one second and one length, it would be the first's.
        [sys.executable, "-B", *command],
        cwd=folder,
        env=clean_environment({"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(folder)}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pages_settings_pass_the_check(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8").partition("## Django")[2]
    settings = page.partition("```python\n")[2].partition("```")[0]
    check = ("-m", "django", "check", "--fail-level", "WARNING")
    done = manage(tmp_path, settings, *check)
    assert done.returncode == 0, done.stderr
    line = '    "meshcors.django.MeshCORSMiddleware",\n'
    assert line in settings
    last = settings.replace(line, "").replace('CommonMiddleware",\n', f'CommonMiddleware",\n{line}')
    done = manage(tmp_path, last, *check)
    assert done.returncode == 1
    assert "(meshcors.W001)" in done.stderr
    assert "HINT: Put it first" in done.stderr


def test_no_process_starts_with_a_wrong_policy(tmp_path: Path) -> None:
    settings = f"MIDDLEWARE = {MIDDLEWARE}\nMESHCORS = {{'allow_origins': ['a', 'b']}}\n"
    start = "from django.core.wsgi import get_wsgi_application; get_wsgi_application()"
    done = manage(tmp_path, settings, "-c", start)
    assert done.returncode == 1
    assert "ImproperlyConfigured: settings.MESHCORS: 2 problems\n" in done.stderr
