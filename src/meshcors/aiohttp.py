"""aiohttp: the policy around a whole ``aiohttp.web`` application, its errors and streams included.

It decides nothing: a middleware asks the engine, and the signal ``on_response_prepare`` adds the
fields to whatever is sent, a stream and the server's own 500 too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from meshcors.engine import Answer, PolicyEngine, Proceed, segmented_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from meshcors._decision.observation import Observer
    from meshcors._policy.policy import Policy, PolicyOptions
    from meshcors._policy.rules import Rule, RuleSet, Uncovered
    from meshcors.config._replaceable import ReplaceablePolicy

__all__ = ["setup"]

# Where a request keeps what was decided for it; aiohttp before 3.14 knows texts only.
_NAME: Final = "meshcors.decided"
_DECIDED: Final[Any] = web.RequestKey(_NAME, object) if hasattr(web, "RequestKey") else _NAME


def setup(
    app: web.Application,
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    uncovered: Uncovered | None = None,
    observer: Observer | None = None,
    **options: Unpack[PolicyOptions],
) -> None:
    """Put the policy around everything that `app` answers, its sub-applications included.

    Takes what `MeshCORS` takes: a `Policy` or `ReplaceablePolicy`, a policy's options as keywords,
    `rules`, `uncovered` and `observer`, or nothing (then the environment is read). Paths are whole,
    also in a sub-application, and an encoded slash ends no segment, as in aiohttp's routes.

    Call it last: what is put in front of the application's middlewares afterwards, and signals that
    are added afterwards, are outside of the policy.

    Raises `PolicyError`, and `RuntimeError` when the app has started or has a policy already.
    """
    if app.frozen:
        raise RuntimeError("call setup before the app starts: its middlewares are fixed by now")
    if any(isinstance(each, _Middleware) for each in app.middlewares):
        raise RuntimeError("setup: this app has a policy already")
    engine = PolicyEngine(policy, rules=rules, uncovered=uncovered, observer=observer, **options)
    app.middlewares.insert(0, _Middleware(engine))
    app.on_response_prepare.append(_add_fields)


@web.middleware
class _Middleware:
    """Refuses a request, or lets the handler answer it."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine

    async def __call__(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = segmented_path(request.rel_url.raw_path)
        decision: Answer | Proceed | None
        if _is_websocket(request):
            decision = self._engine.decide_websocket(path, request.raw_headers)
        else:
            decision = self._engine.decide(request.method, path, request.raw_headers)
        # Of several policies around each other, the outermost one has the say.
        if decision is not None and _DECIDED not in request:
            request[_DECIDED] = decision
        if isinstance(decision, Answer):
            return _response(decision)
        return await handler(request)


def _is_websocket(request: web.Request) -> bool:
    """Tell whether aiohttp may accept a request as a WebSocket handshake.

    RFC 6455 4.1 asks for GET, but aiohttp (`WebSocketResponse` in its web_ws.py) accepts any
    method. It reads the first Upgrade field, and in the same way.
    """
    return request.headers.get("upgrade", "").lower().strip() == "websocket"


def _response(answer: Answer) -> web.Response:
    # aiohttp writes the content-length itself.
    headers = [field for field in answer.headers if field[0] != "content-length"]
    return web.Response(status=answer.status, headers=dict(headers), body=answer.body)


async def _add_fields(request: web.Request, response: web.StreamResponse) -> None:
    decision = request.get(_DECIDED)
    if isinstance(decision, Proceed):
        merged = decision.merge(response.headers.items())
        response.headers.clear()
        response.headers.extend(merged)
