"""The launcher's hooks, around stand-ins for the modules of servers.

Real servers, and real ones whose parts are gone, are in e2e/test_launcher.py and its neighbour.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from meshcors._launch import (
    granian_hooks,
    gunicorn_hooks,
    handing_on,
    hypercorn_hooks,
    listening,
    outermost,
    servers,
    uvicorn_hooks,
    werkzeug_hooks,
)
from meshcors._launch.outermost import OutermostASGI, OutermostWSGI
from tests.calling import UI


async def asgi_app(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    return []


@pytest.fixture(autouse=True)
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process below the launcher, before its server has an app."""
    for name in [*os.environ]:
        if name.startswith("MESHCORS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    # Set first: so it is as before at the end, whatever the hooks write there.
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(handing_on, "_folder", "ours")
    outermost._policy.cache_clear()
    yield
    outermost._policy.cache_clear()
    servers.apps.clear()
    servers.hooked.clear()


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.removeprefix("meshcors run: ")


def test_uvicorn(capsys: pytest.CaptureFixture[str]) -> None:
    class Config:
        loaded_app: Any = None

        def load(self) -> None:
            self.loaded_app = asgi_app

    class Server:
        config = Config()
        sockets: Any = None

        async def startup(self, sockets: Any = None) -> None:
            self.sockets = sockets

    uvicorn_hooks.hook_config(SimpleNamespace(Config=Config))
    uvicorn_hooks.hook_server(SimpleNamespace(Server=Server))
    server = Server()
    with pytest.raises(SystemExit):
        asyncio.run(server.startup())
    assert refused(capsys).startswith("cannot put the policy around the app of uvicorn ")
    server.config.load()
    assert isinstance(server.config.loaded_app, OutermostASGI)
    asyncio.run(server.startup(sockets=[1]))
    assert server.sockets == [1]


@pytest.mark.parametrize(
    ("app", "mode", "kind"),
    [
        (asgi_app, None, OutermostASGI),
        (wsgi_app, None, OutermostWSGI),
        (asgi_app, "asgi", OutermostASGI),
        (wsgi_app, "wsgi", OutermostWSGI),
    ],
)
def test_hypercorn(app: Any, mode: Any, kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    served: list[Any] = []

    async def worker_serve(wrapper: Any, config: Any, *, sockets: Any) -> None:
        served.append(wrapper)

    utils = SimpleNamespace(
        wrap_app=lambda *given: SimpleNamespace(app=given[0], given=given[1:]),
        is_asgi=lambda app: app is asgi_app,
    )
    run = SimpleNamespace(worker_serve=worker_serve)
    hypercorn_hooks.hook_utils(utils)
    hypercorn_hooks.hook_run(run)
    with pytest.raises(SystemExit):
        asyncio.run(run.worker_serve(SimpleNamespace(app=app), None, sockets=None))
    assert refused(capsys).startswith("cannot put the policy around the app of hypercorn ")
    wrapper = utils.wrap_app(app, 16, mode)
    asyncio.run(run.worker_serve(wrapper, None, sockets=None))
    assert served == [wrapper]
    assert isinstance(wrapper.app, kind)
    assert wrapper.given == (16, "asgi" if app is asgi_app else "wsgi")


def test_granian(capsys: pytest.CaptureFixture[str]) -> None:
    modules = {
        name: SimpleNamespace(_callback_wrapper=lambda callback, *more: (callback, more))
        for name in ("asgi", "wsgi", "rsgi")
    }
    embedded = SimpleNamespace()
    with pytest.raises(SystemExit):
        granian_hooks.check_embedded(embedded)
    with pytest.raises(SystemExit):
        granian_hooks.check_hooked(None)
    capsys.readouterr()
    granian_hooks.hook_asgi(modules["asgi"])
    granian_hooks.hook_wsgi(modules["wsgi"])
    granian_hooks.hook_rsgi(modules["rsgi"])
    wrapped, more = modules["asgi"]._callback_wrapper(asgi_app, {}, None)
    assert (type(wrapped), more) == (OutermostASGI, ({}, None))
    assert type(modules["wsgi"]._callback_wrapper(wsgi_app)[0]) is OutermostWSGI
    with pytest.raises(SystemExit):
        modules["rsgi"]._callback_wrapper(asgi_app)
    assert refused(capsys).startswith("granian serves this app over RSGI")
    for name, module in modules.items():
        setattr(embedded, f"_{name}_call_wrap", module._callback_wrapper)
    granian_hooks.check_embedded(embedded)
    servers.hooked.add("granian.server")
    granian_hooks.check_hooked(None)


@pytest.mark.parametrize(
    ("attribute", "app", "kind"),
    [("wsgi", wsgi_app, OutermostWSGI), ("asgi", asgi_app, OutermostASGI)],
)
def test_gunicorn(attribute: str, app: Any, kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Worker:
        ran = False

        def __init__(self, age: int) -> None:
            self.age = age

        def load_wsgi(self) -> None: ...

        def run(self) -> None: ...

    class Kind(Worker):
        def load_wsgi(self) -> None:
            setattr(self, attribute, app)

        def run(self) -> None:
            self.ran = True

    gunicorn_hooks.hook_worker(SimpleNamespace(Worker=Worker))
    worker = Kind(1)
    with pytest.raises(SystemExit):
        worker.run()
    assert refused(capsys).startswith("cannot put the policy around the app of gunicorn ")
    worker.load_wsgi()
    worker.run()
    assert (worker.ran, worker.age) == (True, 1)
    assert isinstance(getattr(worker, attribute), kind)


def test_werkzeug(capsys: pytest.CaptureFixture[str]) -> None:
    class BaseWSGIServer:
        served = False

        def __init__(self, host: str, port: int, app: Any, handler: Any = None) -> None:
            self.app = app

        def serve_forever(self, poll_interval: float = 0.5) -> None:
            self.served = True

    werkzeug_hooks.hook_serving(SimpleNamespace(BaseWSGIServer=BaseWSGIServer))
    server = BaseWSGIServer("127.0.0.1", 0, wsgi_app, handler=None)
    server.serve_forever()
    assert (type(server.app), server.served) == (OutermostWSGI, True)
    server.app = wsgi_app
    with pytest.raises(SystemExit):
        server.serve_forever()
    assert refused(capsys).startswith("cannot put the policy around the app of werkzeug ")


def test_an_app_gets_the_policy_once() -> None:
    around = outermost.around_asgi(asgi_app)
    assert outermost.around_asgi(around) is around
    of_wsgi = outermost.around_wsgi(wsgi_app)
    assert outermost.around_wsgi(of_wsgi) is of_wsgi


def test_an_invalid_policy_is_a_line_for_each_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", "ui.example")
    monkeypatch.setenv("MESHCORS_MAX_AGE", "long")
    with pytest.raises(SystemExit):
        outermost.around_asgi(asgi_app)
    lines = capsys.readouterr().err.splitlines()
    assert [each.partition(": ")[2].partition(":")[0] for each in lines] == [
        "MESHCORS_MAX_AGE",
        "MESHCORS_ALLOW_ORIGINS",
    ]


class Socket:
    family = socket.AF_INET
    backlog: Any = None

    def getsockname(self) -> Any:
        return ("127.0.0.1", 80)

    def listen(self, *backlog: int) -> None:
        self.backlog = backlog


def test_nothing_listens_before_an_app_has_the_policy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Hooked(Socket): ...

    families = {name: getattr(socket, name) for name in ("AF_INET", "AF_INET6", "AF_UNIX")}
    listening.hook_socket(SimpleNamespace(socket=Hooked, **families))
    listener = Hooked()
    with pytest.raises(SystemExit):
        listener.listen(5)
    assert refused(capsys).startswith("no app has the policy yet, so nothing may listen on port 80")
    assert listener.backlog is None
    # called by a server, known and hooked or not
    by_uvicorn: dict[str, Any] = {"__name__": "uvicorn.server", "listener": listener}
    with pytest.raises(SystemExit):
        exec("listener.listen(1)", by_uvicorn)
    assert refused(capsys).startswith("cannot put the policy around the app of uvicorn ")
    servers.hooked.add("uvicorn.server")
    exec("listener.listen(2)", by_uvicorn)
    exec("listener.listen(3)", {"__name__": "multiprocessing.connection", "listener": listener})
    assert listener.backlog == (3,)
    # a library of Werkzeug's is no server
    with pytest.raises(SystemExit):
        exec("listener.listen(4)", {"__name__": "werkzeug.wrappers", "listener": listener})
    monkeypatch.setenv(listening.OTHERS_VARIABLE, "1")
    listener.listen(6)
    monkeypatch.delenv(listening.OTHERS_VARIABLE)
    outermost.around_wsgi(wsgi_app)
    listener.listen(7)
    assert listener.backlog == (7,)


def test_a_part_that_is_gone_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in [
        ("werkzeug.serving", "cannot put the policy around the app of werkzeug "),
        ("subprocess", "subprocess is not what was expected"),
    ]:
        with pytest.raises(SystemExit):
            servers.hook(SimpleNamespace(__name__=name))
        assert refused(capsys).startswith(line)
        assert name not in servers.hooked


@pytest.mark.parametrize("version", ["2.3.8", "4.0.0", "4", "unknown", ""])
def test_a_version_out_of_the_bounds_ends_the_process(
    version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    with pytest.raises(SystemExit):
        servers.hook(SimpleNamespace(__name__="werkzeug.serving"))
    bounds = "install a version from 3.0 on and before 4\n"
    assert refused(capsys) == f"werkzeug {version} is not started: {bounds}"


def test_a_subprocess_and_a_spawned_process_get_the_folder() -> None:
    class Popen:
        env: Any = None

        def __init__(self, *args: Any, env: Any = None, **more: Any) -> None:
            self.env = args[10] if len(args) > 10 else env

    handing_on.hook_subprocess(SimpleNamespace(Popen=Popen))
    assert Popen(["x"]).env is None
    assert os.environ["PYTHONPATH"] == "ours"
    theirs = os.pathsep.join(["ours", "theirs"])
    assert Popen(["x"], env={"A": "b"}).env == {"A": "b", "PYTHONPATH": "ours"}
    assert Popen(["x"], env={b"PYTHONPATH": b"theirs"}).env == {"PYTHONPATH": theirs}
    by_position = Popen(["x"], *[None] * 9, {"PYTHONPATH": "theirs"})
    assert by_position.env == {"PYTHONPATH": theirs}

    os.environ["PYTHONPATH"] = "theirs"
    spawned: list[Any] = []
    util = SimpleNamespace(spawnv_passfds=lambda *args: spawned.append(args))
    handing_on.hook_multiprocessing(util)
    util.spawnv_passfds(b"python", [], [])
    assert (spawned, os.environ["PYTHONPATH"]) == ([(b"python", [], [])], theirs)


def test_what_a_process_becomes_gets_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda *args: became.append((*args, os.environ["PYTHONPATH"])))
    monkeypatch.setattr(os, "execve", lambda *args: became.append(args))
    handing_on.keep("ours")
    monkeypatch.setenv("PYTHONPATH", "theirs")
    os.execl("/bin/python", "python", "-V")
    os.execvpe("/bin/python", ["python"], {"A": "b"})
    theirs = os.pathsep.join(["ours", "theirs"])
    assert became == [
        ("/bin/python", ("python", "-V"), theirs),
        ("/bin/python", ["python"], {"A": "b", "PYTHONPATH": "ours"}),
    ]
