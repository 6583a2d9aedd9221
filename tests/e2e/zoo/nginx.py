"""nginx with the snippets that people copy, one server for each."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.certificates import self_signed
from tests.e2e.front_servers import nginx_binary
from tests.e2e.processes import free_port
from tests.e2e.processes import running as running_process
from tests.e2e.zoo.set_up import (
    GET,
    JSON,
    LOGGED_IN,
    Call,
    Change,
    Insert,
    Option,
    SetUp,
    by_name,
    codes,
    filled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  map $http_origin $allowed_origin {
    https://ui.example $http_origin;
  }
@servers@
}
"""
_PREFLIGHT = """
location / {
  if ($request_method = OPTIONS) {
    add_header Access-Control-Allow-Origin "https://ui.example" always;
    add_header Access-Control-Allow-Methods "POST, PUT" always;
    add_header Access-Control-Allow-Headers "content-type, model-api-key" always;
    add_header Access-Control-Max-Age 600 always;
    add_header Vary Origin always;
    return 204;
  }
  add_header Access-Control-Allow-Origin "https://ui.example" always;
  add_header Vary Origin always;
  proxy_pass http://127.0.0.1:@bare@;
}
"""
_ALLOW_UI = 'add_header Access-Control-Allow-Origin "https://ui.example" always;'
_ALLOW_HEADERS = 'add_header Access-Control-Allow-Headers "content-type, model-api-key" always;'
_ON_CALLS = """
  add_header Access-Control-Allow-Origin "https://ui.example" always;
  add_header Vary Origin always;
  proxy_pass"""


def _changed(*changes: tuple[str, str]) -> str:
    text = _PREFLIGHT
    for old, new in changes:
        text = Change(old, new).apply(text)
    return text


def _block(names: str) -> str:
    """The answer to preflights, and the line for the call itself."""
    return f"""if ($request_method = OPTIONS) {{
  {_ALLOW_UI}
  add_header Access-Control-Allow-Headers "{names}" always;
  return 204;
}}
{_ALLOW_UI}"""


def _for_any(origin: str) -> str:
    """The snippet with another origin, and credentials."""
    line = f"Access-Control-Allow-Origin {origin} always;"
    text = _PREFLIGHT.replace('Access-Control-Allow-Origin "https://ui.example" always;', line)
    return text.replace(line, f"{line}\n  add_header Access-Control-Allow-Credentials true always;")


NGINX = (
    SetUp(
        name="add_header without always",
        config=_changed(
            (_ON_CALLS, _ON_CALLS.replace('example" always', 'example"')), ("@bare@", "@denies@")
        ),
        layer="nginx",
        codes=codes("grant_missing_on_error"),
        fix=Change(
            'add_header Access-Control-Allow-Origin "https://ui.example";',
            _ALLOW_UI,
        ),
    ),
    SetUp(
        name="the answer to OPTIONS lacks allow-headers",
        config=_changed((f"    {_ALLOW_HEADERS}\n", "")),
        layer="nginx",
        codes=codes("header_not_allowed"),
        fix=Insert(_ALLOW_HEADERS, before="return 204"),
    ),
    SetUp(
        name="nginx and the app both add the field",
        config=_changed(("@bare@", "@good@")),
        layer="nginx",
        codes=codes("two_owners"),
        fix=Insert("proxy_hide_header access-control-allow-origin;", before="proxy_pass"),
    ),
    SetUp(
        name="nginx and flask-cors both add the field, to preflights too",
        config="""
location / {
  add_header Access-Control-Allow-Origin "https://ui.example" always;
  proxy_pass http://127.0.0.1:@flask_cors@;
}
""",
        layer="nginx",
        codes=codes("two_owners"),
        fix=Insert("proxy_hide_header access-control-allow-origin;", before="proxy_pass"),
    ),
    SetUp(
        name="* with credentials",
        config=_for_any("*"),
        call=LOGGED_IN,
        layer="nginx",
        codes=codes("wildcard_with_credentials"),
        fix=Change("add_header Access-Control-Allow-Origin * always;", _ALLOW_UI),
    ),
    SetUp(
        name="$http_origin with credentials",
        config=_for_any("$http_origin"),
        call=LOGGED_IN,
        verdict="works",
        layer="nginx",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change("add_header Access-Control-Allow-Origin $http_origin always;", _ALLOW_UI),
    ),
    SetUp(
        name="the origin from a map, without Vary",
        config=_for_any("$allowed_origin").replace("  add_header Vary Origin always;\n", ""),
        call=Call(method="GET", path="/v1/models", credentials=True),
        verdict="works",
        layer="nginx",
        codes=codes("vary_missing"),
        fix=Insert("add_header Vary Origin always;", before="proxy_pass"),
    ),
    SetUp(
        name="a regex for the origin that is not anchored",
        config="""
set $origin "";
if ($http_origin ~ "ui.example") {
  set $origin $http_origin;
}
"""
        + _for_any("$origin"),
        call=LOGGED_IN,
        verdict="works",
        layer="nginx",
        codes=codes("look_alike_allowed"),
        fix=Change("add_header Access-Control-Allow-Origin $origin always;", _ALLOW_UI),
    ),
    SetUp(
        name="* in allow-headers, and a call with credentials",
        config=_for_any("$allowed_origin").replace('"content-type, model-api-key"', '"*"'),
        call=LOGGED_IN,
        layer="nginx",
        codes=codes("header_not_allowed"),
        fix=Change('add_header Access-Control-Allow-Headers "*" always;', _ALLOW_HEADERS),
    ),
    SetUp(
        name="* in allow-headers, and a call with authorization",
        config=_changed(("content-type, model-api-key", "*")),
        call=Call(headers=(JSON, "authorization: Bearer t")),
        verdict="works",
        layer="nginx",
        codes=codes("authorization_under_star"),
        fix=Change("*", "*, authorization"),
    ),
    SetUp(
        name="a list without commas",
        config=_changed(('"POST, PUT"', '"POST PUT"')),
        call=Call(method="PUT"),
        layer="nginx",
        codes=codes("list_malformed"),
        fix=Change(
            'add_header Access-Control-Allow-Methods "POST PUT" always;',
            'add_header Access-Control-Allow-Methods "PUT" always;',
        ),
    ),
    SetUp(
        name="static files answer OPTIONS with 405",
        config="""
location / {
  root @root@;
}
""",
        call=GET,
        layer="nginx",
        codes=codes("preflight_unanswered"),
        fix=Insert(_block("model-api-key"), before="root"),
    ),
    SetUp(
        name="a redirect to https in front of the preflight",
        config="return 301 https://$host$request_uri;",
        layer="nginx",
        codes=codes("preflight_redirected"),
    ),
    SetUp(
        name="a redirect to https of a call without a preflight",
        config="return 301 https://$host$request_uri;",
        call=Call(method="GET", path="/v1/models", headers=()),
        layer="nginx",
        codes=codes("call_redirected"),
    ),
    SetUp(
        name="a redirect to a path with a slash in front of the preflight",
        config="location /v1/predict/ { proxy_pass http://127.0.0.1:@slashed@; }",
        layer="nginx",
        codes=codes("slash_redirect"),
    ),
    SetUp(
        name="a body that is too large",
        config=_changed((_ON_CALLS, "\n  client_max_body_size 1k;\n  proxy_pass")),
        call=Call(data="[" + "0," * 1000 + "0]"),
        layer="nginx",
        codes=codes("grant_missing_on_error"),
        fix=Insert(_ALLOW_UI, before="client_max_body_size"),
    ),
    SetUp(
        name="a location with an add_header of its own loses the server's",
        config="""
add_header Access-Control-Allow-Origin "https://ui.example" always;
add_header Access-Control-Allow-Headers "content-type, model-api-key" always;
add_header Access-Control-Max-Age 600 always;
add_header Vary Origin always;
if ($request_method = OPTIONS) {
  return 204;
}
location / {
  add_header Cache-Control no-store always;
  proxy_pass http://127.0.0.1:@bare@;
}
""",
        layer="nginx",
        codes=codes("grant_missing_on_call"),
        fix=Insert(_ALLOW_UI, before="add_header Cache-Control"),
    ),
    SetUp(
        name="a password in front of the preflight",
        config="""
location / {
  auth_basic api;
  auth_basic_user_file users;
  proxy_pass http://127.0.0.1:@bare@;
}
""",
        call=Call(headers=(JSON, "authorization: Basic YW5uOnNlY3JldA==")),
        layer="nginx",
        codes=codes("preflight_denied_by_auth"),
        fix=Insert(_block("authorization, content-type"), before="auth_basic api"),
    ),
    SetUp(
        name="the upstream is not there",
        config="location / { proxy_pass http://127.0.0.1:@nobody@; }",
        layer="nginx",
        codes=codes("no_upstream"),
    ),
    SetUp(
        name="a certificate that nobody signed",
        config=f"ssl_certificate @certificate@;\nssl_certificate_key @key@;{_PREFLIGHT}",
        call=Call(scheme="https"),
        verdict="unknown",
        layer="unreachable",
        codes=codes("tls_fault"),
        fix=Option("--insecure"),
    ),
    SetUp(name="nginx well set", config=_PREFLIGHT, verdict="works", layer="nginx"),
    SetUp(
        name="nginx well set, over HTTP/2",
        config=f"ssl_certificate @certificate@;\nssl_certificate_key @key@;{_PREFLIGHT}",
        call=Call(scheme="https", options=("--insecure",)),
        verdict="works",
        layer="nginx",
    ),
    SetUp(
        name="nginx well set, a GET without a preflight",
        config=_PREFLIGHT,
        call=Call(method="GET", path="/v1/models", headers=()),
        verdict="works",
        layer="nginx",
    ),
    SetUp(
        name="nginx for every site, without credentials",
        config=_PREFLIGHT.replace('"https://ui.example"', "*"),
        verdict="works",
        layer="nginx",
    ),
    SetUp(
        name="nginx well set, with credentials and a map",
        config=_for_any("$allowed_origin"),
        call=LOGGED_IN,
        verdict="works",
        layer="nginx",
    ),
)


@contextmanager
def running(upstreams: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Start nginx; yield the port of each set-up."""
    texts = by_name(NGINX)
    ports = {name: free_port() for name in texts}
    with tempfile.TemporaryDirectory(prefix="nginx-") as directory:
        root = Path(directory, "root")
        (root / "v1").mkdir(parents=True)
        (root / "v1" / "models").write_text("[]")
        Path(directory, "users").write_text("ann:{PLAIN}secret\n")
        tls = self_signed(Path(directory), "localhost")
        values = {
            **upstreams,
            "root": root,
            "nobody": free_port(),
            "certificate": tls.certificate,
            "key": tls.key,
        }
        servers = [
            f"server {{ listen 127.0.0.1:{ports[name]}{' ssl http2' if 'ssl_' in text else ''};"
            f"\n{filled(text, values)}}}"
            for name, text in texts.items()
        ]
        config = filled(_NGINX, {"servers": "\n".join(servers)})
        Path(directory, "nginx.conf").write_text(config, encoding="ascii")
        command = [nginx_binary(), "-p", directory, "-c", "nginx.conf", "-e", "stderr"]
        with running_process(command, ports[NGINX[0].name]):
            yield ports
