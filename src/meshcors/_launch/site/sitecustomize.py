"""Python imports this at its start: PYTHONPATH leads here in all that ``meshcors run`` starts.

It may be any Python, of any environment: nothing here is newer than Python 3.6.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_SERVERS = ("granian", "gunicorn", "hypercorn", "uvicorn", "werkzeug.serving")


class _NoServer:
    """Where meshcors is not installed, no server may start."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        """Refuse a server that is about to be imported."""
        if name in _SERVERS:
            _end(
                name
                + " would serve without the policy: "
                + sys.executable
                + " cannot import this meshcors; install it there"
            )


def _end(reason):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    # `site` would report an exception, and go on.
    sys.stderr.write("meshcors run: " + reason + "\n")
    sys.stderr.flush()
    os._exit(2)


def _begin():  # type: ignore[no-untyped-def] # noqa: ANN202
    try:
        from meshcors._launch.startup import begin
    except Exception:
        sys.meta_path.insert(0, _NoServer())  # type: ignore[arg-type]
        return
    try:
        begin(_HERE)
    except Exception as error:
        _end("it could not begin: %r" % (error,))  # noqa: UP031


def _next_sitecustomize():  # type: ignore[no-untyped-def] # noqa: ANN202
    """Run the sitecustomize that this one hides, if there is one."""
    others = [each for each in sys.path if os.path.abspath(each) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_begin()
_next_sitecustomize()
