"""Django's endpoints."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.urls import re_path

from tests.e2e.matrix.apps import ENDPOINTS, told


def _view(name: str) -> Any:
    def view(request: Any) -> HttpResponse:
        try:
            host = request.get_host()
        except DisallowedHost:
            host = request.META.get("HTTP_HOST", "")
        return HttpResponse(headers=told(name, request.path_info, host))

    return view


def _pattern(path: str) -> str:
    return "^" + re.escape(path.removeprefix("/")).replace(r"\*", ".+") + "$"


urlpatterns = [re_path(_pattern(path), _view(name)) for name, path in ENDPOINTS.items()]
