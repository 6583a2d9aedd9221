"""Two model services behind one URL, told apart by ``model-api-key``: FastAPI's xyz, Flask's abc.

Each has the same policy with its own key, as every service behind the URL must; the pod has it
without any key's value. `running_services` starts all of them as a user does.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import fastapi
import flask
from fastapi.responses import StreamingResponse

import meshcors.flask
from meshcors import HeaderKey, MeshCORS, Policy
from tests.e2e.processes import Running, free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY_HEADER = "model-api-key"
ORIGIN = "https://ui.example"
# What VirtualServices call them.
XYZ_SERVICE = "model-deploy-01j46dj4ah5abd1zz8pc21vkg9:8000"
ABC_SERVICE = "model-deploy-01k7q2m9c4h8w5t3e6r1y0zxva:8000"
POD = "meshcors-dummy:8080"


def policy(key: str) -> Policy:
    return Policy(
        allow_origins=[ORIGIN, "http://localhost:*"],
        allow_credentials=True,
        max_age=600,
        key=HeaderKey(KEY_HEADER, [key]),
    )


POD_FLAGS = (
    *("--allow-origin", ORIGIN, "--allow-origin", "http://localhost:*", "--allow-credentials"),
    *("--max-age", "600", "--key-header", KEY_HEADER),
)

# xyz as it was, without any CORS
bare_app = fastapi.FastAPI()

fastapi_app = fastapi.FastAPI()
fastapi_app.add_middleware(MeshCORS, policy=policy("xyz"))


@bare_app.post("/v1/predict")
@fastapi_app.post("/v1/predict")
@fastapi_app.post("/v1/predict/{caller}")
def predict(request: fastapi.Request, response: fastapi.Response) -> dict[str, str]:
    response.set_cookie("session", "remembered")
    return {"model": "xyz", "session": request.cookies.get("session", "")}


@fastapi_app.post("/v1/fail")
def fail() -> None:
    raise RuntimeError("the model fell over")


second_chunk = asyncio.Event()


@fastapi_app.get("/v1/stream")
async def stream() -> StreamingResponse:
    second_chunk.clear()

    async def events() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await asyncio.wait_for(second_chunk.wait(), timeout=20)
        yield "data: second\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@fastapi_app.post("/v1/stream/go-on")
async def go_on() -> None:
    second_chunk.set()


flask_app = flask.Flask(__name__)
meshcors.flask.init_app(flask_app, policy("abc"))


@flask_app.post("/v1/predict")
def predict_flask() -> flask.Response:
    return flask.jsonify(model="abc")


class Services(NamedTuple):
    """The ports of all of them, and the pod itself."""

    bare: int
    fastapi: int
    flask: int
    pod: int
    pod_process: Running

    def upstreams(self, *, xyz: int) -> dict[str, int]:
        """The destinations of the VirtualServices; ``xyz`` is the port of the first model."""
        return {XYZ_SERVICE: xyz, ABC_SERVICE: self.flask, POD: self.pod}


@contextmanager
def running_services(*pod_flags: str) -> Iterator[Services]:
    """Start the services and the pod, the pod with more flags than the policy's."""
    ports = [free_port() for _ in range(4)]
    bare, fastapi_port, flask_port, pod = map(str, ports)
    uvicorn = ("-m", "uvicorn", "--log-level", "critical", "--port")
    commands = [
        (*uvicorn, bare, f"{__name__}:bare_app"),
        (*uvicorn, fastapi_port, f"{__name__}:fastapi_app"),
        ("-m", "gunicorn", "-b", f"127.0.0.1:{flask_port}", f"{__name__}:flask_app"),
        ("-m", "meshcors.dummy", "--drain", "0", "--port", pod, *POD_FLAGS, *pod_flags),
    ]
    with ExitStack() as started:
        servers = [
            started.enter_context(running([sys.executable, *command], port))
            for command, port in zip(commands, ports, strict=True)
        ]
        yield Services(*ports, servers[-1])
