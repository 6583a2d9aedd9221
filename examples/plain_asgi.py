r"""A model service without a framework, picked by the header ``model-api-key: raw``.

Start it, then call it as a page would::

    python -m pip install meshcors uvicorn
    uvicorn --app-dir examples plain_asgi:app --port 8003

    curl -i localhost:8003/v1/predict -H "origin: http://localhost:3000" -H "model-api-key: raw" \
        -d '{"text": "hello"}'
"""

from __future__ import annotations

from meshcors import HeaderKey, MeshCORS, Policy
from meshcors.asgi import Receive, Scope, Send

policy = Policy(
    allow_origins=["http://localhost:3000"],
    max_age=600,
    key=HeaderKey("model-api-key", values=["raw"], exempt_paths=["/healthz"]),
)


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(f"no {scope['type']} here")
    body = b'{"status": "ok"}' if scope["path"] == "/healthz" else b'{"model": "raw"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = MeshCORS(serve, policy)
