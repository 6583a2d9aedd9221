"""An adapter for the standard library's http.server, which is neither ASGI nor WSGI."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import unquote

from meshcors.engine import INTERNAL_SERVER_ERROR, Answer, PolicyEngine, Proceed


class CORSRequestHandler(BaseHTTPRequestHandler):
    """A handler whose `engine` decides each request before a ``do_...`` method answers it."""

    engine: ClassVar[PolicyEngine]

    def handle_one_request(self) -> None:
        self.decision: Answer | Proceed | None = None
        self.fields: list[tuple[str, str]] = []
        self.has_begun = False
        try:
            super().handle_one_request()
        except Exception:
            # Nobody else would answer it in a way that a page can read; the server logs it.
            if isinstance(self.decision, Proceed) and not self.has_begun:
                self.send_answer(INTERNAL_SERVER_ERROR)
            raise

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        path = unquote(self.path.partition("?")[0])
        self.decision = self.engine.decide(self.command, path, self.headers.items())
        if isinstance(self.decision, Answer):
            self.send_answer(self.decision)
        return not isinstance(self.decision, Answer)

    def send_answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        # The request may have a body, which nobody reads here: what follows it is no request.
        for name, value in (*answer.headers, ("connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_response(self, code: int, message: str | None = None) -> None:
        self.has_begun = True
        super().send_response(code, message)

    def send_header(self, keyword: str, value: str) -> None:
        self.fields.append((keyword, value))

    def end_headers(self) -> None:
        fields, decision = self.fields, self.decision
        for name, value in decision.merge(fields) if isinstance(decision, Proceed) else fields:
            super().send_header(name, value)
        self.fields = []
        super().end_headers()
