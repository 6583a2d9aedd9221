"""What to write so that a call is allowed: one line for each layer that answers CORS."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_METHODS, SAFELISTED_REQUEST_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcors._doctor.layer_names import Layer

# In place of an origin that nobody should allow or that is not known.
UNNAMED_ORIGIN: Final = "ORIGIN"
# django-cors-headers's default lists.
_DJANGOS: Final = frozenset(
    {
        *("accept", "authorization", "content-type", "user-agent"),
        *("x-csrftoken", "x-requested-with"),
    }
)
_DJANGOS_METHODS: Final = frozenset({"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
class WantedGrant:
    """What a page's call needs to be allowed.

    `names` are the headers that need permission, `key` is the header that picks a service or empty;
    `url` is without its query. `max_age` is what the answer said, or empty.
    """

    origin: str
    url: str
    method: str
    names: tuple[str, ...]
    credentials: bool
    key: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a list must have; none for those that need no permission."""
        return () if self.method in SAFELISTED_METHODS else (self.method,)

    @property
    def other_names(self) -> tuple[str, ...]:
        """The names that meshcors does not allow by itself."""
        return tuple(each for each in self.names if each not in SAFELISTED_REQUEST_HEADERS)

    def explain(self) -> str:
        """Return the command that follows this call through documents."""
        words = ["meshcors", "explain", "FILE", "--origin", self.origin, "--url", self.url]
        words += ["--method", self.method]
        for name in self.names:
            words += ["--header", f"{name}: VALUE"]
        if self.credentials:
            words.append("--credentials")
        return shlex.join(words)

    def fix(self, responder: str = "pod") -> str:
        """Return the command that writes a rule for preflights into documents."""
        return shlex.join(
            ["meshcors", "fix", "FILE", "--with", responder, "--allow-origin", self.origin]
        )


def _listed(values: Sequence[str]) -> str:
    quoted = ", ".join(f'"{each}"' for each in values)
    return f"[{quoted}]"


def _python(call: str, options: Sequence[tuple[str, str]]) -> str:
    written = ", ".join(f"{name}={value}" for name, value in options)
    return f"{call}, {written})"


def _meshcors(want: WantedGrant) -> str:
    options = [("allow_origins", _listed([want.origin]))]
    if want.methods:
        options.append(("allow_methods", _listed(want.methods)))
    if want.other_names:
        options.append(("allow_headers", _listed(want.other_names)))
    if want.credentials:
        options.append(("allow_credentials", "True"))
    return _python("MeshCORS(app", [*options, ("max_age", "600")])


def _starlette(want: WantedGrant) -> str:
    options = [("allow_origins", _listed([want.origin]))]
    options.append(("allow_methods", _listed([want.method])))
    if want.names:
        options.append(("allow_headers", _listed(want.names)))
    if want.credentials:
        options.append(("allow_credentials", "True"))
    return _python("app.add_middleware(CORSMiddleware", options)


def _flask_cors(want: WantedGrant) -> str:
    options = [("origins", _listed([want.origin])), ("methods", _listed([want.method]))]
    if want.names:
        options.append(("allow_headers", _listed(want.names)))
    if want.credentials:
        options.append(("supports_credentials", "True"))
    return _python("CORS(app", options)


def _django(want: WantedGrant) -> str:
    lines = [f"CORS_ALLOWED_ORIGINS = {_listed([want.origin])}"]
    if more := [each for each in want.names if each not in _DJANGOS]:
        lines.append(f"CORS_ALLOW_HEADERS = {_listed([*sorted(_DJANGOS), *more])}")
    if want.method not in _DJANGOS_METHODS:
        lines.append(f"CORS_ALLOW_METHODS = {_listed([*sorted(_DJANGOS_METHODS), want.method])}")
    if want.credentials:
        lines.append("CORS_ALLOW_CREDENTIALS = True")
    return "\n".join(lines)


def _pod(want: WantedGrant) -> str:
    words = ["--allow-origin", want.origin]
    if want.key:
        words += ["--key-header", want.key]
    for method in want.methods:
        words += ["--allow-method", method]
    for name in want.other_names:
        if name != want.key:
            words += ["--allow-header", name]
    if want.credentials:
        words.append("--allow-credentials")
    return shlex.join(words)


def _envoy(want: WantedGrant) -> str:
    parts = [f'allowOrigins: [{{exact: "{want.origin}"}}]']
    if want.methods:
        parts.append(f"allowMethods: [{', '.join(want.methods)}]")
    if want.names:
        parts.append(f"allowHeaders: [{', '.join(want.names)}]")
    if want.credentials:
        parts.append("allowCredentials: true")
    return f"corsPolicy: {{{', '.join(parts)}}}"


def _nginx(want: WantedGrant) -> str:
    fields = [("Origin", f'"{want.origin}"')]
    if want.methods:
        fields.append(("Methods", f'"{", ".join(want.methods)}"'))
    if want.names:
        fields.append(("Headers", f'"{", ".join(want.names)}"'))
    if want.credentials:
        fields.append(("Credentials", '"true"'))
    return "\n".join(
        f"add_header Access-Control-Allow-{name} {value} always;" for name, value in fields
    )


def nginx_block(want: WantedGrant) -> str:
    """Return the lines with which nginx answers preflights itself, and those for the call."""
    lines = _nginx(want).splitlines()
    inside = [f"  {line}" for line in (*lines, "return 204;")]
    of_the_call = [line for line in lines if line.split()[1] not in _ONLY_IN_PREFLIGHTS]
    return "\n".join(["if ($request_method = OPTIONS) {", *inside, "}", *of_the_call])


_ONLY_IN_PREFLIGHTS: Final = ("Access-Control-Allow-Methods", "Access-Control-Allow-Headers")
_GRANTS: Final[dict[Layer, Callable[[WantedGrant], str]]] = {
    "starlette": _starlette,
    "flask_cors": _flask_cors,
    "django_cors_headers": _django,
    "pod": _pod,
    "envoy_cors": _envoy,
    "envoy_no_route": _envoy,
    "envoy_direct_response": _envoy,
    "nginx": _nginx,
}


# Where the line is meshcors's own, and the app may be in another language.
ANY_LANGUAGE: Final[frozenset[Layer]] = frozenset({"app", "cdn", "load_balancer"})


def fields(want: WantedGrant) -> list[str]:
    """Return the fields of an answer that allow a call, as any server may send them."""
    lines = [f"access-control-allow-origin: {want.origin}"]
    if want.methods:
        lines.append(f"access-control-allow-methods: {', '.join(want.methods)}")
    if want.names:
        lines.append(f"access-control-allow-headers: {', '.join(want.names)}")
    if want.credentials:
        lines.append("access-control-allow-credentials: true")
    return lines


def grant(layer: Layer, want: WantedGrant) -> str:
    """Return what to write in `layer`; for an app of unknown make, meshcors's own line."""
    return _GRANTS.get(layer, _meshcors)(want)
