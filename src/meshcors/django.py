"""Django: the policy as the first middleware of ``MIDDLEWARE``, from ``settings.MESHCORS``.

So Django's own test client sees it, and its system checks do: they are there once the module is
imported, as by ``INSTALLED_APPS``. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse

from meshcors._policy.errors import PolicyError
from meshcors._policy.rules import RuleSet
from meshcors.engine import Answer, PolicyEngine, Proceed

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["MeshCORSMiddleware", "check_settings"]

_SETTING: Final = "MESHCORS"
_PATH: Final = "meshcors.django.MeshCORSMiddleware"


class MeshCORSMiddleware:
    """Middleware for Django, sync and async: one CORS policy, and the check of the header key.

    Put ``"meshcors.django.MeshCORSMiddleware"`` first in ``MIDDLEWARE``: then the answers of all
    other middleware have the CORS headers too, and Django's 404 and 500.

    ``settings.MESHCORS`` is what `MeshCORS` takes: a `Policy` or `ReplaceablePolicy`, a `RuleSet`
    or an iterable of `Rule`, or a dict of keywords: the options of a policy, or ``rules`` and
    ``uncovered``. Without the setting the ``MESHCORS_*`` environment is read. Paths are those on
    which Django routes, without the script's name.

    Raises `ImproperlyConfigured`, with every problem of the policy.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._engine = _engine()
        # Before Python 3.12, asgiref knows coroutine functions that `inspect` does not.
        self._is_async = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated]
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request; a coroutine where Django runs asynchronously."""
        # As it came: Django's `method` is in upper case.
        method = str(request.META["REQUEST_METHOD"])
        headers: Any = request.headers
        decision = self._decide(method, request.path_info, headers)
        if self._is_async:
            return self._serve(request, decision)
        if isinstance(decision, Answer):
            return _response(decision, method)
        return _with_fields(self._get_response(request), decision)

    def _decide(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> Answer | Proceed | None:
        decision = self._engine.decide(method, path, headers.items())
        is_stranger = decision is not None and decision.reason == "origin_not_allowed"
        # Over WSGI, a view may take the server's socket: then this is a WebSocket's handshake.
        if is_stranger and "websocket" in headers.get("upgrade", "").lower():
            return self._engine.decide_websocket(path, headers.items()) or decision
        return decision

    async def _serve(
        self, request: HttpRequest, decision: Answer | Proceed | None
    ) -> HttpResponseBase:
        if isinstance(decision, Answer):
            return _response(decision, str(request.META["REQUEST_METHOD"]))
        return _with_fields(await self._get_response(request), decision)


def check_settings(app_configs: object = None, **more: object) -> list[checks.CheckMessage]:
    """Check ``settings.MESHCORS`` and ``MIDDLEWARE``, for ``manage.py check``.

    ``meshcors.E001``: the policy is wrong. ``meshcors.W001``: the middleware is not the first one.
    ``meshcors.W002``: it is not in ``MIDDLEWARE``. ``meshcors.W003``: django-cors-headers is there
    too.
    """
    found: list[checks.CheckMessage] = []
    middleware = list(settings.MIDDLEWARE)
    try:
        _engine()
    except ImproperlyConfigured as error:
        hint = "The application will not start."
        found.append(checks.Error(str(error), hint=hint, id="meshcors.E001"))
    if _PATH not in middleware:
        text = f"{_PATH} is not in MIDDLEWARE: nothing applies the policy."
        hint = "Put it first in MIDDLEWARE, or remove meshcors.django from INSTALLED_APPS."
        found.append(checks.Warning(text, hint=hint, id="meshcors.W002"))
    elif middleware[0] != _PATH:
        text = f"{_PATH} is not first in MIDDLEWARE: {middleware[0]} may answer a preflight."
        hint = "Put it first: otherwise the answers of other middleware have no CORS headers."
        found.append(checks.Warning(text, hint=hint, id="meshcors.W001"))
    other = next((each for each in middleware if str(each).startswith("corsheaders.")), None)
    if other is not None:
        text = f"{other} is in MIDDLEWARE too: only one of the two may write the CORS headers."
        hint = "Remove it, and corsheaders from INSTALLED_APPS."
        found.append(checks.Warning(text, hint=hint, id="meshcors.W003"))
    return found


checks.register(check_settings)


def _engine() -> PolicyEngine:
    """Return the engine of the settings. Raises `ImproperlyConfigured`."""
    given: object = getattr(settings, _SETTING, None)
    try:
        return PolicyEngine(**_arguments(given))
    except (PolicyError, TypeError) as error:
        place = "" if given is None else f"settings.{_SETTING}: "
        raise ImproperlyConfigured(f"{place}{error}") from error


def _arguments(given: object) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(cast("Mapping[str, Any]", given))
    # A text is no list of rules; as a policy it is refused.
    is_rules = isinstance(given, RuleSet | Iterable) and not isinstance(given, str)
    return {"rules" if is_rules else "policy": given}


def _response(answer: Answer, method: str) -> HttpResponse:
    body = b"" if method == "HEAD" else answer.body
    response = HttpResponse(body, status=answer.status)
    del response["content-type"]
    for name, value in answer.headers:
        response[name] = value
    return response


def _with_fields(response: HttpResponseBase, decision: Answer | Proceed | None) -> HttpResponseBase:
    if isinstance(decision, Proceed):
        # All of them are read before the first one is deleted.
        merged = decision.merge(response.items())
        for name in list(response.headers):
            del response[name]
        for name, value in merged:
            response[name] = value
    return response
