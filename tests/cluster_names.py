"""What documents that are applied together name, and nobody has: loose ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meshcors.mesh._analysis.service_host import service_of_host

Document = dict[str, Any]


class Applied:
    """Documents as a cluster has them; one without a namespace is in `namespace`.

    What is in the namespaces `foreign` belongs to others: it is taken to be there.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        *,
        namespace: str = "default",
        foreign: tuple[str, ...] = (),
    ) -> None:
        self._namespace = namespace
        self._foreign = foreign
        self.documents = list(documents)
        self._found = {
            (each["kind"], self.home(each), each["metadata"]["name"]): each
            for each in self.documents
        }

    def home(self, document: Document) -> str:
        found: str = document["metadata"].get("namespace", self._namespace)
        return found

    def loose_ends(self) -> list[str]:
        return [
            f"{each['kind']} {each['metadata']['name']}: {end}"
            for each in self.documents
            for end in self._ends(each)
        ]

    def _ends(self, document: Document) -> Iterator[str]:
        spec, home, kind = document.get("spec", {}), self.home(document), document["kind"]
        if kind == "Deployment":
            yield from self._of_deployment(spec, home)
        elif kind == "Service":
            names = {port["name"] for port in self._ports(spec["selector"], home)}
            yield from (
                f"no pod has the port {port['targetPort']}"
                for port in spec["ports"]
                if port["targetPort"] not in names
            )
        elif kind == "VirtualService":
            for rule in spec["http"]:
                for to in rule["route"]:
                    to = to["destination"]
                    yield from self._to_service(to["host"], home, to["port"]["number"])
        elif kind == "DestinationRule":
            yield from self._to_service(spec["host"], home, None)
        elif kind == "HTTPRoute":
            for rule in spec["rules"]:
                for to in rule.get("backendRefs", []):
                    where = to.get("namespace", home)
                    yield from self._to_service(f"{to['name']}.{where}", home, to["port"])
        elif kind == "BackendTrafficPolicy":
            for to in spec["targetRefs"]:
                yield from self._missing(to["kind"], home, to["name"])
        elif kind == "HorizontalPodAutoscaler":
            yield from self._of_autoscaler(spec, home)
        elif kind == "ServiceMonitor":
            yield from self._of_monitor(spec, home)
        else:
            yield from self._of_policy(document, home)

    def _of_deployment(self, spec: Document, home: str) -> Iterator[str]:
        pod, labels = spec["template"]["spec"], spec["template"]["metadata"]["labels"]
        if not spec["selector"]["matchLabels"].items() <= labels.items():
            yield "it does not select its own pods"
        if "serviceAccountName" in pod:
            yield from self._missing("ServiceAccount", home, pod["serviceAccountName"])
        files: set[str] = set()
        (container,) = pod["containers"]
        volumes = {each["name"]: each for each in pod["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes.pop(mount["name"], None)
            if volume is None:
                yield f"no volume {mount['name']}"
            elif "configMap" in volume:
                name = volume["configMap"]["name"]
                yield from self._missing("ConfigMap", home, name)
                data = self._found.get(("ConfigMap", home, name), {}).get("data", {})
                files |= {f"{mount['mountPath']}/{file}" for file in data}
        yield from (f"the volume {name} is not mounted" for name in volumes)
        config = next(it for it in container["args"] if it.startswith("--config="))
        if config.removeprefix("--config=") not in files:
            yield f"nothing is mounted at {config}"
        if ":" not in container["image"]:
            yield f"the image {container['image']} has no tag"
        ports = {f"{each['name']}={each['containerPort']}" for each in container["ports"]}
        flags = {"--port=": "http=", "--admin-port=": "admin="}
        for flag, port in flags.items():
            value = next(it.removeprefix(flag) for it in container["args"] if it.startswith(flag))
            if port + value not in ports:
                yield f"no port {port}{value} for {flag}{value}"
        named = {each["name"] for each in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container[probe]["httpGet"]["port"] not in named:
                yield f"{probe}: no such port"

    def _of_autoscaler(self, spec: Document, home: str) -> Iterator[str]:
        to = spec["scaleTargetRef"]
        yield from self._missing(to["kind"], home, to["name"])
        deployment = self._found.get((to["kind"], home, to["name"]))
        if deployment is not None:
            if "replicas" in deployment["spec"]:
                yield "its Deployment sets replicas too"
            pod = deployment["spec"]["template"]["spec"]
            names = {each["name"] for each in pod["containers"]}
            for metric in spec["metrics"]:
                if metric["containerResource"]["container"] not in names:
                    yield "no such container"

    def _of_monitor(self, spec: Document, home: str) -> Iterator[str]:
        wanted = spec["selector"]["matchLabels"].items()
        services = [
            each
            for each in self.documents
            if each["kind"] == "Service"
            and self.home(each) == home
            and wanted <= each["metadata"]["labels"].items()
        ]
        ports = {port["name"] for each in services for port in each["spec"]["ports"]}
        yield from (
            f"no Service has the port {each['port']}"
            for each in spec["endpoints"]
            if each["port"] not in ports
        )

    def _of_policy(self, document: Document, home: str) -> Iterator[str]:
        spec = document.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if selector is None:
            return
        ports = self._ports(selector["matchLabels"], home)
        if not ports:
            yield f"no pod has the labels {selector['matchLabels']}"
            return
        known = {each["name"] for each in ports} | {str(each["containerPort"]) for each in ports}
        # Of the mesh's own tunnel.
        known |= {"15008"}
        rules = spec.get("ingress", []) if document["kind"] == "NetworkPolicy" else []
        named = [str(port["port"]) for rule in rules for port in rule["ports"]]
        named += list(spec.get("portLevelMtls", {}))
        if document["kind"] == "AuthorizationPolicy":
            operations = [to["operation"] for rule in spec["rules"] for to in rule["to"]]
            named += [port for each in operations for port in each["ports"]]
        yield from (f"no pod has the port {port}" for port in named if port not in known)

    def _ports(self, labels: Document, home: str) -> list[Document]:
        return [
            port
            for each in self.documents
            if each["kind"] == "Deployment" and self.home(each) == home
            for template in [each["spec"]["template"]]
            if labels.items() <= template["metadata"]["labels"].items()
            for port in template["spec"]["containers"][0]["ports"]
        ]

    def _to_service(self, host: str, home: str, port: int | None) -> Iterator[str]:
        # Istio completes a name without a dot, and takes any other as it is.
        service = service_of_host(host)
        if service is None:
            yield f"{host} is no Service"
            return
        name, namespace = service[0], service[1] or home
        if namespace in self._foreign:
            return
        found = self._found.get(("Service", namespace, name))
        if found is None:
            yield f"no Service {namespace}/{name}"
        elif port is not None and port not in [it["port"] for it in found["spec"]["ports"]]:
            yield f"{namespace}/{name} has no port {port}"

    def _missing(self, kind: str, namespace: str, name: str) -> Iterator[str]:
        if (kind, namespace, name) not in self._found:
            yield f"no {kind} {namespace}/{name}"
