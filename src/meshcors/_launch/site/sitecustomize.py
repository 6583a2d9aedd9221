"""Python imports this at its start: PYTHONPATH leads here in all that ``meshcors run`` starts.

It may be any Python, of any environment: nothing here is newer than Python 3.6, and nothing that
takes time is imported.
"""

import importlib.machinery
import importlib.util
import os
import sys

# Without pathlib: every Python below the launcher starts with this.
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
_SERVERS = ("granian", "gunicorn", "hypercorn", "uvicorn", "werkzeug.serving")


_NOT_HERE = (
    " would serve without the policy: "
    + sys.executable
    + " cannot import this meshcors; install it there"
)


class _NoServer:
    """Where meshcors is not installed, no server may start."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse a server that is about to be imported."""
        if name in _SERVERS:
            _end(name + _NOT_HERE)


def _let_nothing_listen() -> None:
    """Refuse every other server, as `meshcors._launch.listening` does where there is meshcors."""
    import inspect
    import socket

    listen = socket.socket.listen
    families = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", None))

    def listen_checked(self: socket.socket, *args: int) -> None:
        frame = inspect.currentframe()
        caller = frame and frame.f_back and frame.f_back.f_globals.get("__name__")
        if (
            self.family in families
            and caller not in ("multiprocessing.connection", "multiprocessing.forkserver")
            and not os.environ.get("_MESHCORS_RUN_OTHER_LISTENERS")
        ):
            _end("what listens here" + _NOT_HERE)
        listen(self, *args)

    # To type checkers, a method cannot be replaced.
    socket.socket.listen = listen_checked  # type: ignore[assignment, method-assign]


def _end(reason: str) -> None:
    # `site` would report an exception, and go on.
    sys.stderr.write("meshcors run: " + reason + "\n")
    sys.stderr.flush()
    os._exit(2)


def _begin() -> None:
    try:
        from meshcors._launch.startup import begin
    except Exception:  # whatever is wrong with it
        sys.meta_path.insert(0, _NoServer())
        _let_nothing_listen()
        return
    try:
        begin(_HERE)
    except Exception as error:
        _end("it could not begin: " + repr(error))


def _run_hidden() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    others = [each for each in sys.path if os.path.abspath(each) != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_begin()
_run_hidden()
