"""The names that ``render`` is given, checked as Kubernetes checks them, and those that follow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from meshcors._cli import options
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._render.names import RouteNames

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_NAME: Final = "meshcors-dummy"
_DEFAULT_PORT: Final = 8080
# A Service's name (RFC 1035), a namespace's (RFC 1123), and any other object's.
_SERVICE: Final = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE: Final = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OBJECT: Final = re.compile(rf"(?=.{{1,253}}$){_NAMESPACE.pattern}(\.{_NAMESPACE.pattern})*")
_LETTERS: Final = "lower-case letters, digits and -"


def _name(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and not _SERVICE.fullmatch(given):
        raise click.BadParameter(
            f"write at most 63 {_LETTERS}, with a letter first, such as {DEFAULT_NAME}"
        )
    return given


def _namespace(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and not _NAMESPACE.fullmatch(given):
        raise click.BadParameter(f"write at most 63 {_LETTERS}, such as models")
    return given


def _gateway(_: click.Context, __: click.Parameter, given: str) -> str:
    namespace, slash, name = given.rpartition("/")
    if given == MESH:
        raise click.BadParameter("sidecars do not merge the documents of one host; name a gateway")
    if not _OBJECT.fullmatch(name) or (slash and not _NAMESPACE.fullmatch(namespace)):
        raise click.BadParameter("write name or namespace/name, such as istio-system/public")
    return given


def names_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `names_of` and `deployment_names` read."""
    for option in (_POD, _GATEWAY, _NAMESPACE_OPTION, _NAME):
        function = option(function)
    return function


_NAME: Final = click.option(
    "--name",
    callback=_name,
    metavar="NAME",
    help=f"The name of the documents; by default the pod's Service, or {DEFAULT_NAME}.",
)
_NAMESPACE_OPTION: Final = click.option(
    "--namespace",
    callback=_namespace,
    metavar="NAMESPACE",
    help="The namespace of the documents; by default kubectl chooses it.",
)
_GATEWAY: Final = click.option(
    "--gateway",
    callback=_gateway,
    metavar="NAME",
    default="gateway",
    show_default=True,
    help="The gateway that they are bound to: name, or namespace/name.",
)
_POD: Final = click.option(
    "--pod",
    callback=options.pod_address,
    metavar="HOST:PORT",
    help=f"The Service of the preflight pod (a Deployment); by default NAME:{_DEFAULT_PORT}.",
)


def names_of(
    name: str | None, namespace: str | None, gateway: str, pod: tuple[str, int] | None
) -> RouteNames:
    """Return the names for routes; those that are None follow from the others."""
    service = service_of_host(pod[0]) if pod else None
    name = name or (service[0] if service else DEFAULT_NAME)
    return RouteNames(name, gateway, pod or (name, _DEFAULT_PORT), namespace)


def deployment_names(
    name: str | None, namespace: str | None, pod: tuple[str, int] | None
) -> tuple[str, str | None, int]:
    """Return the name, namespace and port of the pod's Service, as routes to `pod` expect them.

    ``click.UsageError`` is raised if `pod` is not the Service that the other options name.
    """
    host, port = pod or (name or DEFAULT_NAME, _DEFAULT_PORT)
    service = service_of_host(host)
    if service is None or not _SERVICE.fullmatch(service[0]):
        raise click.UsageError(f"--pod: {host} is not a Service; write NAME or NAME.NAMESPACE")
    for flag, given, named in (
        ("--name", name, service[0]),
        ("--namespace", namespace, service[1]),
    ):
        if given and named and given != named:
            raise click.UsageError(
                f"{flag} {given}, but --pod names {named}: leave one of them out"
            )
    return service[0], namespace or service[1], port
