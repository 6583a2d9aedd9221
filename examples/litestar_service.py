r"""A model service on Litestar, picked by the header ``model-api-key: def``.

Start it, then call it as a page would::

    python -m pip install litestar meshcors uvicorn
    uvicorn --app-dir examples litestar_service:app --port 8004

    curl -i localhost:8004/v1/predict -H "origin: http://localhost:3000" -H "model-api-key: def" \
        -H "content-type: application/json" -d '{"text": "hello"}'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Litestar, get, post
from litestar.middleware import DefineMiddleware
from litestar.params import Body

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["http://localhost:3000"],
    max_age=600,
    key=HeaderKey("model-api-key", values=["def"], exempt_paths=["/healthz"]),
)


@dataclass
class Question:
    """What a client asks."""

    text: str


@post("/v1/predict", status_code=200)
async def predict(data: Annotated[Question, Body()]) -> dict[str, str]:
    return {"model": "def", "answer": data.text.title()}


@get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


# Around the app, the policy reaches every answer.
app = MeshCORS(Litestar([predict, healthz]), policy)


def inside() -> Litestar:
    """Return the service with the policy in Litestar's own list: it covers routes, not 404s."""
    return Litestar([predict, healthz], middleware=[DefineMiddleware(MeshCORS, policy=policy)])
