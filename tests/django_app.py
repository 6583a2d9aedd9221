"""Django in a test's process: settings once, and the URLs of the driver's app."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import re_path

from tests.apps import TestApp
from tests.vectors import APPS

MIDDLEWARE = ["meshcors.django.MeshCORSMiddleware"]


def configure() -> None:
    """Configure Django: it has one set of settings a process."""
    if settings.configured:
        return
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="test", LOGGING_CONFIG=None)
    django.setup(set_prefix=False)
    logging.getLogger("django.request").disabled = True


@contextmanager
def django_settings(policy: Any, **more: Any) -> Iterator[None]:
    """Have the middleware answer by `policy`, the value of ``settings.MESHCORS``."""
    configure()
    given = {"MIDDLEWARE": MIDDLEWARE, "ROOT_URLCONF": __name__, "MESHCORS": policy}
    with override_settings(**{**given, **more}):
        yield


# What the URLs below answer with; it changes from call to call.
used = TestApp("ok")


def use(app: TestApp) -> None:
    global used
    used = app


def respond(request: HttpRequest) -> Any:
    return used.respond_django(request)


def fail(request: HttpRequest) -> HttpResponse:
    status, fields, chunks = APPS["fails"]
    body = b"" if request.method == "HEAD" else chunks[0]
    return HttpResponse(body, status=status, headers=dict(fields))


urlpatterns = [re_path("", respond)]
handler500 = fail
