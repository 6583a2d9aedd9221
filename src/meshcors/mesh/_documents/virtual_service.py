"""A VirtualService document (networking.istio.io): YAML to `VirtualService`, checked as Istio does.

Sources: ``ValidateVirtualService`` in ``pkg/config/validation/validation.go``; ``ResolveShortname``
of gateways in ``pilot/pkg/model/virtualservice.go``. ``tcp`` and ``tls`` routes are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.model import VirtualService
from meshcors.mesh._documents.unrendered import KUSTOMIZE
from meshcors.mesh._documents.virtual_service_rule import read_rule

if TYPE_CHECKING:
    from meshcors.mesh._documents.cursor import Cursor

MESH: Final = "mesh"
_FIELDS: Final = ("hosts", "gateways", "http", "tls", "tcp", "exportTo")


def read_virtual_service(cursor: Cursor) -> VirtualService:
    """Read one VirtualService; its problems are added to the cursor's report."""
    namespace, name, created = read_metadata(cursor)
    spec = cursor.entries().get("spec")
    fields = spec.fields(_FIELDS) if spec and not spec.is_null else {}
    here = spec or cursor
    gateways = _gateways(fields.get("gateways"), namespace)
    hosts = _hosts(fields.get("hosts"), at_gateway=gateways != (MESH,))
    if not hosts:
        gateways = ()
        _check_delegate(here, fields)
    if not {"http", "tls", "tcp"} & fields.keys():
        message = "a VirtualService needs http, tls or tcp rules"
        here.problem("required", message, f"add http rules, or render a patch first: {KUSTOMIZE}")
    label = f"{namespace}/{name}"
    rules = fields["http"].items() if "http" in fields else []
    return VirtualService(
        kind="VirtualService",
        place=cursor.place,
        namespace=namespace,
        name=name,
        hosts=hosts,
        gateways=gateways,
        http=tuple(
            read_rule(
                rule, f"{label} http[{at}]", ("spec", "http", at), "" if not hosts else namespace
            )
            for at, rule in enumerate(rules)
        ),
        export_to=tuple(name for name, _ in fields["exportTo"].strings())
        if "exportTo" in fields
        else (),
        created=created,
        number=cursor.report.number,
        node=cursor.node,
    )


def read_metadata(cursor: Cursor) -> tuple[str, str, str]:
    """Return the namespace (``default`` if it has none), the name and the creation timestamp."""
    metadata = cursor.entries().get("metadata")
    entries = metadata.entries() if metadata and not metadata.is_null else {}
    texts: dict[str, Any] = {"namespace": "default", "name": "", "creationTimestamp": ""}
    for field in texts:
        if field in entries and not entries[field].is_null:
            texts[field] = entries[field].string()
    if not texts["name"]:
        (metadata or cursor).problem("required", "metadata.name is missing", "add it")
    for field in ("namespace", "name"):
        if texts[field] and (error := checks.object_name_error(texts[field])):
            (metadata or cursor).problem("name", error, "use lower case, digits, - and .")
    return texts["namespace"], texts["name"], texts["creationTimestamp"]


def resolve_gateway(name: str, namespace: str) -> str:
    """Return ``namespace/name`` of the gateway that a VirtualService in ``namespace`` names."""
    if name == MESH or "/" in name:
        return name
    first, dot, rest = name.partition(".")
    # The old form is the name of a service: model.cheetah or model.cheetah.svc.cluster.local.
    return f"{rest.partition('.')[0]}/{first}" if dot else f"{namespace}/{name}"


def _gateways(cursor: Cursor | None, namespace: str) -> tuple[str, ...]:
    found: list[str] = []
    for name, item in cursor.strings() if cursor else ():
        if error := checks.gateway_name_error(name):
            item.problem("gateway", error, "write namespace/name")
        found.append(resolve_gateway(name, namespace))
    return tuple(found) or (MESH,)


def _check_delegate(spec: Cursor, fields: dict[str, Cursor]) -> None:
    """Check what a VirtualService without hosts must not have."""
    for name in ("gateways", "tls", "tcp"):
        if name in fields:
            message = f"a VirtualService without hosts is a delegate, which has no {name}"
            hint = f"add hosts, remove {name}, or render a patch first: {KUSTOMIZE}"
            spec.problem("delegate", message, hint)


def _hosts(cursor: Cursor | None, *, at_gateway: bool) -> tuple[str, ...]:
    hosts = cursor.strings() if cursor else []
    covered = checks.covered_hosts([host for host, _ in hosts])
    for (host, item), other in zip(hosts, covered, strict=True):
        error = checks.wildcard_host_error(host)
        if error and not checks.is_ip(host):
            item.problem("host", error, "use a host name such as api.example.com or *")
        elif host == "*" and not at_gateway:
            item.problem("host", "'*' is not allowed without a gateway", "add gateways")
        if other is not None:
            message = f"{host} is already covered by {other}"
            item.problem("duplicate_host", message, "keep one of them")
    return tuple(host for host, _ in hosts)
