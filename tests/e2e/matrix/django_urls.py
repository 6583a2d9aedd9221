"""Django's endpoints, and a middleware that tells that they were reached."""

from __future__ import annotations

import re
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.urls import re_path
from django.utils.decorators import sync_and_async_middleware

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


@sync_and_async_middleware
def reached(get_response: Any) -> Any:
    def noted(response: Any) -> Any:
        response["x-reached"] = "yes"
        return response

    async def serve(request: Any) -> Any:
        return noted(await get_response(request))

    if iscoroutinefunction(get_response):
        return serve
    return lambda request: noted(get_response(request))


urlpatterns = [re_path(_pattern(path), _view(name)) for name, path in ENDPOINTS.items()]
