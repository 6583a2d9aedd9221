r"""A model service on FastAPI, picked by the header ``model-api-key: xyz``.

Start it, then call it as a page would::

    python -m pip install fastapi meshcors uvicorn
    uvicorn --app-dir examples fastapi_service:app --port 8001

    curl -i localhost:8001/v1/predict -H "origin: http://localhost:3000" -H "model-api-key: xyz" \
        -H "content-type: application/json" -d '{"text": "hello"}'
"""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

from meshcors import HeaderKey, MeshCORS

app = FastAPI()
app.add_middleware(
    MeshCORS,
    allow_origins=["http://localhost:3000"],
    max_age=600,
    # In production: HeaderKey.from_file("model-api-key", "/run/secrets/model-api-key")
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/healthz"]),
)


class Question(BaseModel):
    """What a client asks."""

    text: str


@app.post("/v1/predict")
def predict(question: Question) -> dict[str, str]:
    return {"model": "xyz", "answer": question.text.upper()}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}
