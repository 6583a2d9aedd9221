"""``meshcors lab [FILE...]``: a real gateway on this machine, and a page that calls it."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli import options
from meshcors._cli.files import policy_unreadable
from meshcors._cli.lab_check import print_check
from meshcors._cli.mesh_files import mesh_of
from meshcors._policy.errors import OriginError, PolicyError
from meshcors._policy.origins import Origin
from meshcors._policy.wording import printable
from meshcors.mesh._documents.checks import host_error, is_ip
from meshcors.testing import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Generator

    from meshcors._lab.running_lab import RunningLab
    from meshcors._lab.settings import Address, LabSettings
    from meshcors._lab.watch import FileWatch
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_PORT: Final = re.compile("[1-9][0-9]{0,4}")
_LARGEST_PORT: Final = 65535
# Seconds between two looks at what was started.
_LOOK: Final = 0.2
# Looks between two looks at the files, which are half a second apart.
_LOOKS_AT_FILES: Final = 3


def _origin(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None:
        try:
            Origin.parse(given)
        except OriginError as error:
            raise click.BadParameter(f"{given}: {error.hint}") from None
    return given


def _services(
    _: click.Context, __: click.Parameter, given: tuple[str, ...]
) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for text in given:
        name, equals, address = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text}: write NAME=HOST:PORT, as the documents name it")
        if name in found:
            raise click.BadParameter(f"{name}: given twice; leave one out")
        found[name] = _address(text, address)
    return found


def _address(text: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not _PORT.fullmatch(port)
        or int(port) > _LARGEST_PORT
        or (host_error(host) and not is_ip(host))
    ):
        raise click.BadParameter(f"{text}: write NAME=HOST:PORT, such as model=127.0.0.1:8000")
    return host, int(port)


@click.command(
    "lab",
    cls=options.VerbCommand,
    epilog="meshcors lab model.yaml --origin https://ui.example",
)
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option(
    "--check",
    "checking",
    is_flag=True,
    help="Make the page's calls without a browser, print the results, and exit.",
)
@click.option(
    "--service",
    "services",
    callback=_services,
    multiple=True,
    metavar="NAME=HOST:PORT",
    help="A real service in place of a stand-in; NAME is as in the documents, host or host:port."
    " May be repeated.",
)
@click.option(
    "--origin",
    callback=_origin,
    metavar="ORIGIN",
    help="The page's origin. Default: the first that the documents allow, or https://ui.example.",
)
@click.option(
    "--no-unmatched",
    "unmatched",
    is_flag=True,
    default=True,
    flag_value=False,
    help="As with fix: add no last rule that sends unmatched requests to the pod.",
)
@click.option(
    "--port",
    type=click.IntRange(1, _LARGEST_PORT - 1),
    metavar="PORT",
    help="The gateway's port before the fix; after it, the next one. Default: free ports.",
)
@click.option(
    "--page-port",
    type=click.IntRange(1, _LARGEST_PORT),
    metavar="PORT",
    help="The page's port. Default: a free one.",
)
@options.GATEWAY
@click.option(
    "--config",
    metavar="POLICY",
    help="A file with the pod's policy. Default: the one that fix gives it.",
)
@options.POD
@options.FORM
def command(
    files: tuple[str, ...],
    checking: bool,
    services: dict[str, Address],
    origin: str | None,
    unmatched: bool,
    port: int | None,
    page_port: int | None,
    gateway_name: str | None,
    config: str | None,
    pod: Address,
    form: str,
) -> int:
    """Run the VirtualServices and HTTPRoutes of FILE... in a real Envoy, and call them from a page.

    Everything runs on this machine, before and after `meshcors fix`, with a stand-in for each
    service. Without FILE, the lab runs an example. The files are watched. Ctrl-C ends the lab.

    With --check, exit code 1 if a browser would block a call that a rule is meant to serve, else 0.
    """
    _refuse_what_does_not_go_together(files, form, port, page_port, checking=checking)
    from meshcors._lab.settings import LabError, LabSettings
    from meshcors.testing._envoy_process import envoy_binary

    try:
        with _interruptible():
            envoy_binary()  # what is missing is said before anything starts
            settings = LabSettings(
                origin,
                pod,
                gateway_name,
                _policy(config),
                services,
                unmatched=unmatched,
                file=next(iter(files), "FILE"),
            )
            mesh = _read(files)
            if checking:
                return print_check(files, mesh, settings, form)
            ports = {} if port is None else {"before": port, "after": port + 1}
            return _serve(files, mesh, settings, ports, page_port or 0)
    except KeyboardInterrupt:
        if checking:
            raise
        click.echo("the lab has ended")
        return 0
    except PolicyError as error:
        raise policy_unreadable(error) from None
    except (LabError, MissingExtraError) as error:
        raise click.ClickException(str(error)) from None


def _refuse_what_does_not_go_together(
    files: tuple[str, ...], form: str, port: int | None, page_port: int | None, *, checking: bool
) -> None:
    if form == "json" and not checking:
        raise click.UsageError("--format: json goes with --check")
    if "-" in files and not checking:
        raise click.UsageError("-: standard input cannot be watched; name a file")
    if port is not None and page_port in (port, port + 1):
        raise click.UsageError(f"--page-port: {page_port} is the gateway's; name another")


def _policy(config: str | None) -> str | None:
    """Return the text of a policy file, without what is beside the policy; raises `PolicyError`."""
    if config is None:
        return None
    from meshcors._lab.policy import written
    from meshcors.config._loading import load

    return written(load({}, {}, config=config))


def _read(files: tuple[str, ...]) -> MeshDocuments:
    if files:
        return mesh_of(files)
    from meshcors._lab.case import CASE_FILE, case_text
    from meshcors.mesh._analysis.mesh_documents import read_mesh

    return read_mesh({CASE_FILE: case_text()})


def _serve(
    files: tuple[str, ...],
    mesh: MeshDocuments,
    settings: LabSettings,
    ports: dict[str, int],
    page_port: int,
) -> int:
    from meshcors._lab.running_lab import RunningLab
    from meshcors._lab.watch import FileWatch

    watch = FileWatch(files)
    _refuse_taken(ports)
    started = time.monotonic()
    click.echo("meshcors lab starts: ", nl=False, err=True)

    def say(what: str) -> None:
        click.echo(f"{what} ... ", nl=False, err=True)

    try:
        lab = RunningLab(mesh, settings, files=files, ports=ports, page_port=page_port, say=say)
    except BaseException:
        click.echo(err=True)
        raise
    try:
        click.echo(f"{time.monotonic() - started:.1f} s", err=True)
        _print_addresses(lab)
        ended = _watch(lab, watch, files)
    finally:
        lab.close()
    click.echo(f"meshcors: {printable(ended)}", err=True)
    return 1


def _print_addresses(lab: RunningLab) -> None:
    for note in lab.notes:
        click.echo(f"note: {printable(note)}", err=True)
    bases = lab.bases
    click.echo(f"page    {lab.page_url}")
    click.echo(f"before  {bases['before']}")
    click.echo(f"after   {bases['after']}")
    click.echo("Open the page in a browser. Ctrl-C ends the lab.")


def _watch(lab: RunningLab, watch: FileWatch, files: tuple[str, ...]) -> str:
    """Serve until something that was started ends by itself; return what, in one line."""
    looks = 0
    while True:
        time.sleep(_LOOK)
        if ended := lab.ended():
            return ended
        looks += 1
        if files and looks % _LOOKS_AT_FILES == 0 and watch.has_changed():
            if gone := watch.gone():
                lab.refuse(f"{', '.join(gone)}: no such file any more")
                continue
            try:
                lab.use(mesh_of(files))
            except click.ClickException as error:
                lab.refuse(error.format_message())


def _refuse_taken(ports: dict[str, int]) -> None:
    """Raise `LabError` for a port that something listens on: two Envoys could share it."""
    from meshcors._lab.settings import LabError

    for side, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                which = "" if side == "before" else " (the one after --port)"
                raise LabError(f"--port: {port}{which}: {error.strerror}; name another") from None


@contextmanager
def _interruptible() -> Generator[None]:
    """Take SIGTERM and a closed terminal for Ctrl-C, and only the first of them all.

    The end takes a moment, and a second signal must not break it off.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]

    def interrupt(_: int, __: object) -> None:
        for name in names:
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
