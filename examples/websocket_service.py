r"""A model service with a WebSocket, which a page opens with a ticket.

A page cannot set a header on a WebSocket, so it gets a ticket with a call that carries the key, and
puts the ticket in the URL. Start it, then do as a page would::

    python -m pip install fastapi meshcors uvicorn websockets
    uvicorn --app-dir examples websocket_service:app --port 8006

    curl -X POST localhost:8006/v1/tickets -H "model-api-key: xyz"
    python -m websockets "ws://localhost:8006/ws/chat?ticket=TICKET"
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from time import monotonic

from fastapi import FastAPI, HTTPException, Response, WebSocket, WebSocketException, status

from meshcors import HeaderKey, MeshCORS

app = FastAPI()
app.add_middleware(
    MeshCORS,
    allow_origins=["http://localhost:3000"],
    # Below /ws/ the routes check a ticket; the origin is checked everywhere.
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/ws/*"]),
)


class Tickets:
    """Tickets of this process: each is good once and for some seconds, and their number is bounded.

    They are found by their digests, so that the time it takes tells nothing about a ticket.
    """

    def __init__(self, seconds: float = 30, most: int = 1000) -> None:
        self._seconds = seconds
        self._most = most
        self._ends: dict[bytes, float] = {}  # the oldest first

    def issue(self) -> str | None:
        """Return a new ticket; None while too many are waiting."""
        self._drop_old()
        if len(self._ends) >= self._most:
            return None
        ticket = token_urlsafe(32)
        self._ends[_digest(ticket)] = monotonic() + self._seconds
        return ticket

    def use(self, ticket: str) -> bool:
        """Return whether a ticket is good; it no longer is afterwards."""
        self._drop_old()
        return self._ends.pop(_digest(ticket), None) is not None

    def _drop_old(self) -> None:
        now = monotonic()
        for digest in [digest for digest, end in self._ends.items() if end <= now]:
            del self._ends[digest]


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()


tickets = Tickets()


@app.post("/v1/tickets")
async def issue(response: Response) -> dict[str, str]:
    ticket = tickets.issue()
    if ticket is None:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "too many tickets are waiting")
    response.headers["cache-control"] = "no-store"
    return {"ticket": ticket}


@app.websocket("/ws/chat")
async def chat_of_page(websocket: WebSocket, ticket: str = "") -> None:
    if not tickets.use(ticket):
        raise WebSocketException(status.WS_1008_POLICY_VIOLATION)
    await chat(websocket)


# Not exempt: for programs, which send the key's header with the handshake.
@app.websocket("/v1/chat")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())
