"""What to write or run, by finding and layer: one table of fix lines.

What is to be written or run as it stands is in backticks. ``*`` is for every layer without a row.
In braces: the line that allows the call in that layer (``grant``), the commands with this very call
(``explain``, ``fix``), and words of the finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._doctor.grants import (
    ANY_LANGUAGE,
    UNNAMED_ORIGIN,
    fields,
    grant,
    nginx_block,
)

if TYPE_CHECKING:
    from meshcors._doctor.findings import FindingCode
    from meshcors._doctor.grants import WantedGrant
    from meshcors._doctor.layer_names import Layer

_Row: TypeAlias = Mapping["Layer | Literal['*']", str]

_ALLOW: Final = "Let it allow this call too:\n`{grant}`"
_IN_NGINX: Final = (
    "Add to the location, so that preflights are answered before anything else:\n`{block}`"
)
_MESH: Final = (
    "See which rule is meant, then let fix write one for preflights:\n`{explain}`\n`{fix}`"
)
_IN_MESH: Final = (
    "In the rule that takes the preflight, write:\n`{grant}`\nWhich one that is: `{explain}`"
)
_NOT_BESIDE: Final = (
    "A corsPolicy next to directResponse does nothing, and neither does a CORS filter in a rule"
    " without backendRefs: route preflights to a service or the pod.\n`{fix}`"
)
_OPEN_AUTH: Final = (
    "Answer preflights before the token is asked for: outside the authentication, or leave OPTIONS"
    " with Access-Control-Request-Method out of it."
)
_OUTERMOST: Final = (
    "Put a CORS layer around everything else, so that it answers before routing, authentication and"
    " redirects:\n`{grant}`"
)
_ONE_OWNER: Final = (
    "Leave CORS to one layer. Remove it from the app, or drop the app's fields where the other one"
    " adds its own"
)
_TO_THE_POD: Final = (
    "Let a last rule send what no other rule takes to the pod, whose answers pages can read:\n"
    "`- route: [{{destination: {{host: meshcors-dummy, port: {{number: 8080}}}}}}]`\n"
    "If preflights have no rule yet, fix writes both: `{fix}`"
)
_REFUSED_BY_POLICY: Final = (
    "Send what the policy asks for. Its refusals carry no CORS fields, so that no page can read"
    " them.\nWhich policy it is: `{explain}`"
)
_REFUSED_BY_JWT: Final = (
    "Send a valid token. Refusals of this filter carry no CORS fields, so that no page can read"
    " them.\nWhich one it is: `{explain}`"
)
_REFUSED_BY_SERVER: Final = (
    "Send what it asks for, or let the authorization server add access-control-allow-origin to its"
    " refusals.\nWhat is in front: `{explain}`"
)
_IN_ANY_LANGUAGE: Final = (
    "MeshCORS is in meshcors for FastAPI and other ASGI apps, in meshcors.wsgi for Flask and other"
    " WSGI apps.\nIn another language, these fields of the answers allow it:"
)
_NULL_PAGE: Final = (
    "The origin null is that of files, data: URLs and sandboxed frames, on any site. Serve"
    " the page over http or https, and allow its own origin,"
    f" which is {UNNAMED_ORIGIN} below:\n"
)
# Where a fix line has the page's origin, or a command that writes it.
_WITH_ORIGIN: Final = ("{origin}", "{grant}", "{block}", "{fix}")
_FINAL_URL: Final = "Call that URL in the page's script."
_NO_REDIRECT: Final = (
    f"{_FINAL_URL} A preflight that passes does not help: many redirects turn a POST into a GET."
)
_NO_CORS: Final = "This is not CORS: "

FIXES: Final[Mapping[FindingCode, _Row]] = {
    "mixed_content": {"*": "Serve the API over https, and call https://{host}."},
    "dns_fault": {"*": f"{_NO_CORS}check the name in the URL, or give --resolve HOST:PORT:ADDR."},
    "refused": {"*": f"{_NO_CORS}check the port, and whether the server or its Service runs."},
    "tls_fault": {
        "*": f"{_NO_CORS}give {{host}} a certificate that browsers trust; if it speaks plain HTTP,"
        " call it over http. To ignore the certificate, add --insecure."
    },
    "timeout": {"*": f"{_NO_CORS}check firewalls and routes, or give it more time with --timeout."},
    "broken_answer": {"*": f"{_NO_CORS}look for this request in the server's log."},
    "preflight_not_routed": {
        "pod": "Let a rule of the pod's policy cover this host and path (hosts, pathPrefix).",
        "*": _MESH,
    },
    "preflight_redirected": {
        "login_redirect": _OPEN_AUTH,
        "envoy_direct_response": f"{_NO_REDIRECT}\nWhich rule redirects: `{{explain}}`",
        "nginx": _NO_REDIRECT,
        "*": f"{_FINAL_URL} Or let preflights be answered before the redirect. {_OUTERMOST}",
    },
    "slash_redirect": {
        "nginx": _NO_REDIRECT,
        "*": f"{_FINAL_URL} Or let CORS be answered before the redirect. {_OUTERMOST}",
    },
    "preflight_denied_by_auth": {
        "envoy_rbac": "Leave preflights out of the AuthorizationPolicy, in each of its"
        " operations:\n`to: [{{operation: {{notMethods: [OPTIONS]}}}}]` (DENY), or allow them:"
        " `to: [{{operation: {{methods: [OPTIONS]}}}}]` (ALLOW)\nWhich policy it is: `{explain}`",
        "envoy_jwt": "Let the filter pass preflights. That of a RequestAuthentication does; in one"
        " of your own (EnvoyFilter), write in its JwtAuthentication:\n`bypass_cors_preflight: true`"
        "\nWhich one it is: `{explain}`",
        "envoy_ext_authz": "Let the authorization server allow OPTIONS with"
        " Access-Control-Request-Method, or do not ask it for these. In each operation of an"
        " AuthorizationPolicy whose action is CUSTOM:\n`notMethods: [OPTIONS]`\nWhat is in front:"
        " `{explain}`",
        "cdn": "Let OPTIONS pass in the CDN's firewall and its list of allowed methods.",
        "load_balancer": "Let OPTIONS pass there without a key or a token, or answer it there.",
        "nginx": "Answer preflights before auth_basic, auth_request, allow and deny apply. "
        + _IN_NGINX,
        "*": _OUTERMOST,
    },
    "guard_refuses_origin": {
        "*": "Add the page to the server's own list of origins; no CORS field changes what this"
        " check says. In MLflow:\n`--cors-allowed-origins {origin}`\nIn MCP's SDK"
        ' (TransportSecuritySettings):\n`allowed_origins=["{origin}"]`\nIn Socket.IO:\n'
        '`cors_allowed_origins=["{origin}"]`\nIn Django, whose token the page must send too:\n'
        '`CSRF_TRUSTED_ORIGINS = ["{origin}"]`'
    },
    "guard_refuses_host": {
        "*": "Add {host} to the server's own list of allowed hosts, or let the proxy in front set a"
        " Host that is on it."
    },
    "preflight_unanswered": {
        "envoy_direct_response": _NOT_BESIDE,
        "nginx": _IN_NGINX,
        "cdn": "Let OPTIONS pass to the server, with Origin and Access-Control-Request-*, and let"
        " the server answer it. There:\n`{grant}`",
        "load_balancer": "Let OPTIONS pass to the server, and let the server answer it."
        " There:\n`{grant}`",
        "*": f"{_OUTERMOST}\nBehind a gateway that answers for the app: `{{explain}}`",
    },
    "no_upstream": {
        "nginx": f"{_NO_CORS}check the address in proxy_pass, and whether that server runs.",
        "cdn": f"{_NO_CORS}check that the CDN reaches the server behind it.",
        "load_balancer": f"{_NO_CORS}check that a healthy server is behind the load balancer.",
        "*": f"{_NO_CORS}check that the Service exists, has endpoints and the port of the rule.\n"
        "Which one it is: `{explain}`",
    },
    "preflight_error_status": {
        "envoy_direct_response": _NOT_BESIDE,
        "nginx": _IN_NGINX,
        "*": _OUTERMOST,
    },
    "two_owners": {
        "nginx": f"{_ONE_OWNER}:\n`proxy_hide_header {{field}};`",
        "*": f"{_ONE_OWNER} (corsPolicy in the mesh, the middleware in the app, add_header in"
        " nginx).\nWhat the mesh adds: `{explain}`",
    },
    "origin_not_allowed": {
        "meshcors": 'Add it to the policy:\n`allow_origins=["{origin}"]`\nor in its environment:'
        " `MESHCORS_ALLOW_ORIGINS={origin}`",
        "envoy_cors": _IN_MESH,
        "nginx": _IN_NGINX,
        "app": _OUTERMOST,
        "*": _ALLOW,
    },
    "wildcard_with_credentials": {
        "envoy_cors": _IN_MESH,
        "nginx": _IN_NGINX,
        "*": "Name the page's origin in place of *, or call without credentials:\n`{grant}`",
    },
    "credentials_not_allowed": {"envoy_cors": _IN_MESH, "nginx": _IN_NGINX, "*": _ALLOW},
    "list_malformed": {"envoy_cors": _IN_MESH, "nginx": _IN_NGINX, "*": _ALLOW},
    "method_not_allowed": {
        "meshcors": 'Add it to the policy:\n`allow_methods=["{method}"]`\nor in its environment:'
        " `MESHCORS_ALLOW_METHODS={method}`",
        "envoy_cors": _IN_MESH,
        "nginx": _IN_NGINX,
        "*": _ALLOW,
    },
    "header_not_allowed": {
        "meshcors": "Add it to the policy:\n`allow_headers=[{missing_quoted}]`",
        "pod": "Add to its flags:\n`{missing_flags}`",
        "envoy_cors": _IN_MESH,
        "nginx": _IN_NGINX,
        "*": _ALLOW,
    },
    "call_redirected_to_login": {
        "*": "Answer calls of scripts with 401 in place of the login page, and let the page send a"
        " token or log the user in first."
    },
    "call_redirected": {
        "envoy_direct_response": f"{_FINAL_URL}\nWhich rule redirects: `{{explain}}`",
        "*": f"{_FINAL_URL} Or let the redirect itself carry the CORS fields:\n`{{grant}}`",
    },
    "redirected_elsewhere": {
        "*": "Call that URL in the page's script, if the key is meant for it, and from here."
    },
    "redirects_go_on": {"*": "Call the URL that the redirects lead to, from here too."},
    "grant_missing_on_call": {
        "envoy_direct_response": "A corsPolicy next to directResponse does nothing: route the call"
        " to a service.\nWhich rule it is: `{explain}`",
        "nginx": "Add to the location (with always, for errors too):\n`{grant}`",
        "*": f"{_OUTERMOST}\nIf the mesh is to add it, its corsPolicy must be on the rule that"
        " takes the call: `{explain}`",
    },
    "grant_missing_on_error": {
        "envoy_no_route": f"{_TO_THE_POD}\nWhy no rule takes the call: `{{explain}}`",
        "envoy_rbac": _REFUSED_BY_POLICY,
        "envoy_jwt": _REFUSED_BY_JWT,
        "envoy_ext_authz": _REFUSED_BY_SERVER,
        "nginx": "add_header without always leaves errors out:\n`{grant}`",
        "cdn": "Let the CDN add CORS fields to its own error pages, or let the server answer.",
        "load_balancer": "Let the server answer in place of the load balancer, or let that add CORS"
        " fields to its own error pages.",
        "starlette": f"CORSMiddleware does not reach errors from outside of it. {_OUTERMOST}",
        "*": _OUTERMOST,
    },
    "key_missing_unreadable": {
        "envoy_no_route": _TO_THE_POD,
        "envoy_rbac": _REFUSED_BY_POLICY,
        "envoy_jwt": _REFUSED_BY_JWT,
        "envoy_ext_authz": _REFUSED_BY_SERVER,
        "nginx": "add_header without always leaves errors out:\n`{grant}`",
        "*": _OUTERMOST,
    },
    "stream_cut_short": {
        "*": f"{_NO_CORS}look for a worker that dies, or a timeout of the gateway on streams"
        " (`timeout: 0s` in the rule)."
    },
    "stranger_echoed_with_credentials": {
        "envoy_cors": f'exact: "*" and regex ".*" echo every origin. {_IN_MESH}',
        "nginx": "Do not echo $http_origin: name the origins.\n`{grant}`",
        "*": "Name the origins, or turn credentials off:\n`{grant}`",
    },
    "stranger_allowed": {
        "*": "If not every site is meant, name the origins, in each layer that adds the field:"
        "\n`{grant}`",
    },
    "null_allowed": {"*": "Remove null from the list of origins."},
    "look_alike_allowed": {
        "envoy_cors": "Use exact, or a regex with escaped dots that ends where the host does, and"
        " no prefix:\n`{grant}`",
        "*": "Compare the whole origin: anchor the regular expression at both ends and escape its"
        " dots, or name the origins:\n`{grant}`",
    },
    "subdomain_allowed": {"*": "If they are not meant, name the origins:\n`{grant}`"},
    "vary_missing": {
        "nginx": "`add_header Vary Origin always;`",
        "*": "Add `vary: Origin` to every answer of this URL. In the rule of a VirtualService:\n"
        "`headers: {{response: {{add: {{vary: Origin}}}}}}`",
    },
    "authorization_under_star": {"*": "List it next to the *: `*, authorization`."},
    "options_taken": {
        "*": "Let that rule take preflights alone. Write in its match:\n"
        "`headers: {{access-control-request-method: {{}}}}`\nWhich rule it is: `{explain}`"
    },
    "policy_differs": {
        "*": "Run this layer with that policy, or leave the answer to one that has it."
    },
    "max_age_missing": {
        "meshcors": "Set `max_age=600`.",
        "pod": "Add `--max-age 600`.",
        "envoy_cors": "Add `maxAge: 10m` to the corsPolicy.",
        "starlette": "Set `max_age=600`.",
        "flask_cors": "Set `max_age=600`.",
        "django_cors_headers": "Set `CORS_PREFLIGHT_MAX_AGE = 600`.",
        "nginx": "`add_header Access-Control-Max-Age 600 always;`",
        "*": "Send `access-control-max-age: 600`.",
    },
    "max_age_capped": {"*": "Nothing to do; a larger number changes nothing."},
    "private_network": {
        "*": "Serve the page over https, from the same network if you can; users are asked once per"
        " site."
    },
    "proxy_not_used": {
        "*": "If a browser says otherwise, look at the proxy: it must let OPTIONS pass, and the"
        " access-control fields. If only the proxy reaches {host}, run doctor where it is reached"
        " without one."
    },
    "key_not_checked": {"*": "If {key} is meant to be checked, give the service its values."},
    "call_refused": {
        "pod": "No rule of the gateway takes a call with this key, and the pod says so. Send a key"
        " that a rule asks for, or add a rule: `{explain}`",
        "*": "Read the body of that answer: it comes from the service itself.",
    },
}


def fix_for(code: FindingCode, layer: Layer, want: WantedGrant, words: Mapping[str, str]) -> str:
    """Return the fix lines for a finding in a layer; `words` are those of its message."""
    row = FIXES[code]
    template = row.get(layer) or row["*"]
    if want.origin == "null" and any(each in template for each in _WITH_ORIGIN):
        want, words = replace(want, origin=UNNAMED_ORIGIN), {**words, "origin": UNNAMED_ORIGIN}
        template = f"{_NULL_PAGE}{template}"
    commands = {
        "grant": _pasted(grant(layer, want).splitlines()),
        "block": _pasted(nginx_block(want).splitlines()),
        "explain": want.explain(),
        "fix": want.fix(),
    }
    if layer in ANY_LANGUAGE:
        commands["grant"] += f"`\n{_IN_ANY_LANGUAGE}\n`{_pasted(fields(want))}"
    return template.format_map({**words, **commands})


def _pasted(lines: Sequence[str]) -> str:
    """Return lines each of which stands in backticks, without the first and the last one."""
    return "`\n`".join(lines)
