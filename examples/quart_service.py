r"""A model service on Quart, picked by the header ``model-api-key: ghi``.

Start it, then call it as a page would::

    python -m pip install meshcors quart uvicorn
    uvicorn --app-dir examples quart_service:app --port 8005

    curl -i localhost:8005/v1/predict -H "origin: http://localhost:3000" -H "model-api-key: ghi" \
        -H "content-type: application/json" -d '{"text": "hello"}'
"""

from __future__ import annotations

from quart import Quart, request

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["http://localhost:3000"],
    max_age=600,
    key=HeaderKey("model-api-key", values=["ghi"], exempt_paths=["/healthz"]),
)
app = Quart(__name__)
# Quart documents this assignment for ASGI middleware; to mypy, asgi_app is a method.
app.asgi_app = MeshCORS(app.asgi_app, policy)  # type: ignore[method-assign]


@app.post("/v1/predict")
async def predict() -> dict[str, str]:
    question = await request.get_json()
    return {"model": "ghi", "answer": question["text"].swapcase()}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
