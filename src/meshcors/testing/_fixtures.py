"""What the fixtures of pytest hand out. pytest itself is not imported: it imports this.

An error that a test can cause is reported without the frames of this package: the reader of a
report needs the line of the test, and the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from meshcors import browser
from meshcors.mesh import DocumentError
from meshcors.testing._envoy_process import EnvoyError
from meshcors.testing._extras import MissingExtraError
from meshcors.testing._fetch import Wire
from meshcors.testing._gateway import MeshGateway
from meshcors.testing._pod import PodError, PreflightPod

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from meshcors.testing._documents import Documents
    from meshcors.testing._fetch import PageCall


_TOLD: Final = (DocumentError, EnvoyError, MissingExtraError, PodError)


class GatewayFactory:
    """The fixture ``mesh_gateway``: starts gateways that end with the fixture."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def __call__(
        self,
        documents: Documents,
        services: Mapping[str, int | str] | None = None,
        *,
        name: str | None = None,
    ) -> MeshGateway:
        """Start a gateway; the parameters and errors are those of `MeshGateway`."""
        __tracebackhide__ = True
        try:
            return self._running.enter_context(MeshGateway(documents, services, name=name))
        except _TOLD as error:
            raise error.with_traceback(None) from None


class PodFactory:
    """The fixture ``preflight_pod``: starts pods that end with the fixture."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def __call__(self, policy: str | Path | Mapping[str, Any]) -> PreflightPod:
        """Start a pod; the parameter and errors are those of `PreflightPod`."""
        __tracebackhide__ = True
        try:
            return self._running.enter_context(PreflightPod(policy))
        except _TOLD as error:
            raise error.with_traceback(None) from None


class BrowserFetch:
    """The fixture ``browser_fetch``: one browser, with a preflight cache of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.cache: browser.PreflightCache = browser.PreflightCache()

    def __call__(
        self,
        url: str,
        *,
        origin: str,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        credentials: browser.Credentials = "same-origin",
        body: bytes | str | None = None,
        gateway: MeshGateway | None = None,
    ) -> PageCall:
        """Make a call as a script of a page of `origin` does with ``fetch``.

        With a `gateway`, the host of `url` is the gateway's. A `body` that is text is sent as
        ``text/plain``, unless `headers` has its type. Raises `ValueError` where ``fetch`` raises a
        TypeError; a call that is blocked, or gets no answer, raises nothing.
        """
        __tracebackhide__ = True
        content = body.encode() if isinstance(body, str) else body
        lines = list(headers.items() if isinstance(headers, Mapping) else headers)
        if isinstance(body, str) and not any(name.lower() == "content-type" for name, _ in lines):
            # Fetch, "extract a body", for a string
            lines.append(("content-type", "text/plain;charset=UTF-8"))
        try:
            request = browser.Request(origin, url, method, lines, credentials)
        except ValueError as error:
            raise error.with_traceback(None) from None
        sender = self._wire if gateway is None else gateway
        try:
            return sender.fetch(request, content, cache=self.cache)
        except _TOLD as error:
            raise error.with_traceback(None) from None


@contextmanager
def gateways() -> Generator[GatewayFactory]:
    """Yield a factory of gateways, and end those that it has started."""
    with ExitStack() as running:
        yield GatewayFactory(running)


@contextmanager
def pods() -> Generator[PodFactory]:
    """Yield a factory of pods, and end those that it has started."""
    with ExitStack() as running:
        yield PodFactory(running)


def a_wire() -> Wire:
    """Return what sends a browser's requests, to be closed."""
    __tracebackhide__ = True
    try:
        return Wire()
    except MissingExtraError as error:
        raise error.with_traceback(None) from None
