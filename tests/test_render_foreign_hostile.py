"""A policy file never allows more than its source: what would be more is refused, or named."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshcors import _cli as cli

FLASK = "from flask import Flask, Blueprint\nfrom flask_cors import CORS\napp = Flask('a')\n"
STARLETTE = (
    "from starlette.middleware import Middleware\n"
    "from starlette.middleware.cors import CORSMiddleware\n"
)
ASGI_CORS = "from asgi_cors import asgi_cors\n"
SEND = "add_header Access-Control-Allow-Origin"
NOT_UI = r'if ($http_origin !~ "^https://ui\.example$")'
EVIL = 'if ($http_origin = "https://evil.example")'

# Files that are refused, and why.
REFUSED = {
    "nginx, a variable that strangers lose": (
        "site.conf",
        f"set $ok 1; {NOT_UI} {{ set $ok 0; }} if ($ok) {{ {SEND} $http_origin; }}",
        "site.conf:1:12: if: this condition is not understood",
    ),
    "nginx, a variable that one origin loses": (
        "site.conf",
        f'set $cors $http_origin; {EVIL} {{ set $cors ""; }} {SEND} $cors;',
        "set: $cors is taken away from some origins again",
    ),
    "nginx, strangers refused": (
        "site.conf",
        f"location / {{ {NOT_UI} {{ return 403; }} {SEND} $http_origin; }}",
        "site.conf:1:14: if: it refuses some origins, which the policy would let in",
    ),
    "nginx, strangers refused by a map around it": (
        "site.conf",
        'map $http_origin $bad { default 1; "https://ui.example" 0; }\n'
        f"server {{ if ($bad) {{ return 444; }} location / {{ {SEND} *; }} }}",
        "site.conf:2:10: if: it refuses some origins",
    ),
    "nginx, a map that leaves an origin out of all": (
        "site.conf",
        f'map $http_origin $cors {{ default $http_origin; "https://evil.example" ""; }}'
        f"{SEND} $cors;",
        "map: $cors leaves out some of the origins that a pattern or the default lets in",
    ),
    "nginx, a map that leaves an origin out of a pattern": (
        "site.conf",
        r'map $http_origin $cors { "~^https://[a-z]+\.example$" 1; "https://evil.example" 0; }'
        f"if ($cors) {{ {SEND} $http_origin; }}",
        "map: $cors leaves out some of the origins that a pattern",
    ),
    "nginx, a map that leaves a pattern out of a later one": (
        "site.conf",
        r'map $http_origin $cors { "~^https://evil\." ""; "~^https://.*\.example$" $http_origin; }'
        f"{SEND} $cors;",
        "map: $cors leaves out some of the origins",
    ),
    "nginx, two maps of a variable": (
        "site.conf",
        "map $http_origin $cors { https://a.example $http_origin; }\n"
        f"map $http_origin $cors {{ https://b.example $http_origin; }} {SEND} $cors;",
        "$cors is set in several places; keep one map of it",
    ),
    "nginx, a map whose variable a location empties": (
        "site.conf",
        "map $http_origin $cors { https://a.example $http_origin; }\n"
        f'server {{ {SEND} $cors; location /a {{ set $cors ""; }} }}',
        "$cors is set in several places",
    ),
    "nginx, a variable that a location empties": (
        "site.conf",
        f'server {{ set $cors https://a.example; {SEND} $cors; location /a {{ set $cors ""; }} }}',
        "set: $cors is set again in this block",
    ),
    "nginx, credentials for one origin": (
        "site.conf",
        f"{SEND} https://b.example; {EVIL} {{ {SEND} https://evil.example;"
        " add_header Access-Control-Allow-Credentials true; }",
        "Access-Control-Allow-Credentials: not every line that allows an origin has it",
    ),
    "nginx, methods for one origin": (
        "site.conf",
        f"{SEND} https://b.example; add_header Access-Control-Allow-Methods GET;"
        f" {EVIL} {{ {SEND} https://evil.example; add_header Access-Control-Allow-Methods PUT; }}",
        "Access-Control-Allow-Methods: it differs from one origin to another",
    ),
    "nginx, two origins at once": (
        "site.conf",
        f"{SEND} https://a.example; {SEND} https://b.example;",
        "it is sent twice, so browsers take neither",
    ),
    "nginx, an if in an if": (
        "site.conf",
        f'{EVIL} {{ if ($http_origin = "https://b.example") {{ {SEND} $http_origin; }} }}',
        "if: one if about origins in another",
    ),
    "nginx, another origin than that of the pattern": (
        "site.conf",
        r'map $http_origin $cors { "~^https://[a-z]+\.example$" https://ui.test; }'
        f"{SEND} $cors;",
        "https://ui.test is sent to other origins, too",
    ),
    "flask-cors, a blueprint": (
        "app.py",
        FLASK + "bp = Blueprint('b', 'b')\nCORS(bp, origins='https://ui.example')",
        "app.py:5:1: it covers a part of the app only",
    ),
    "flask-cors, a setting that a condition changes": (
        "app.py",
        FLASK + "app.config['CORS_ORIGINS'] = 'https://ui.example'\nif app.debug:\n"
        "    app.config['CORS_ORIGINS'] = '*'\nCORS(app)",
        "app.py:6:5: CORS_ORIGINS: set or changed more than once",
    ),
    "flask-cors, a setting that is changed": (
        "app.py",
        FLASK + "app.config['CORS_ORIGINS'] = ['*']\napp.config['CORS_ORIGINS'].remove('*')\n"
        "CORS(app)",
        "CORS_ORIGINS: set or changed more than once",
    ),
    "flask-cors, a setting under a condition": (
        "app.py",
        FLASK + "if app.debug:\n    app.config['CORS_ORIGINS'] = '*'\nCORS(app)",
        "app.py:5:5: CORS_ORIGINS: depends on line 4",
    ),
    "flask-cors, settings of another file": (
        "app.py",
        FLASK + "app.config.from_object('settings')\nCORS(app)",
        "app.py:5:1: origins: line 4 may set CORS_ORIGINS, which is not read",
    ),
    "flask-cors, one path": (
        "app.py",
        FLASK + "CORS(app, resources={'/api': {'origins': 'https://ui.example'}})",
        "resources: /api is not a prefix of paths",
    ),
    "flask-cors, one path by an expression": (
        "app.py",
        FLASK + "CORS(app, resources={'^/api/$': {'origins': 'https://ui.example'}})",
        "resources: ^/api/$ is not a prefix of paths",
    ),
    "flask-cors, a star for methods": (
        "app.py",
        FLASK + "CORS(app, origins='https://ui.example', methods='*')",
        "methods: * is no method",
    ),
    "Starlette, a mounted middleware": (
        "app.py",
        STARLETTE + "app.mount('/files', CORSMiddleware(files, allow_origins=['*']))",
        "app.py:3:21: it covers a part of the app only",
    ),
    "Starlette, a mounted app": (
        "app.py",
        STARLETTE + "api.add_middleware(CORSMiddleware, allow_origins=['*'])\n"
        "app.mount('/api', api)",
        "app.py:3:1: it covers a part of the app only",
    ),
    "Starlette, a mounted name": (
        "app.py",
        STARLETTE + "wrapped = CORSMiddleware(files, ['*'])\n"
        "routes = [Mount('/files', app=wrapped)]",
        "app.py:3:11: it covers a part of the app only",
    ),
    "Starlette, the middleware of a mount": (
        "app.py",
        STARLETTE + "Mount('/a', [], middleware=[Middleware(CORSMiddleware, allow_origins=['*'])])",
        "it covers a part of the app only",
    ),
    "Django, settings that another file may change": (
        "settings.py",
        "CORS_ALLOWED_ORIGINS = ['https://ui.example']\nfrom .local import *",
        "CORS_ALLOWED_ORIGINS, which the import of * in line 2 may set again",
    ),
    "Django, a star among origins": (
        "settings.py",
        "CORS_ALLOWED_ORIGINS = ['*']",
        "CORS_ALLOWED_ORIGINS: * never matches; leave it out, or write CORS_ALLOW_ALL_ORIGINS",
    ),
    "Django, one path": (
        "settings.py",
        "CORS_ALLOW_ALL_ORIGINS = True\nCORS_URLS_REGEX = '^/api/$'",
        "CORS_URLS_REGEX: ^/api/$ is not a prefix of paths",
    ),
    "asgi-cors, a star among hosts": (
        "app.py",
        ASGI_CORS + "app = asgi_cors(app, hosts=['*'])",
        "hosts: * never matches; leave it out, or write allow_all=True or host_wildcards",
    ),
}

# Files that are read, what of them is in the policy, and what is not.
READ = {
    "a map gives some origins another value": (
        "site.conf",
        'map $http_origin $who { "https://ui.example" good; "https://half.example" half; }'
        f"if ($who = good) {{ {SEND} $http_origin; }}",
        "https://ui.example",
        "half",
    ),
    "a map sends another origin": (
        "site.conf",
        'map $http_origin $cors { "https://a.example" $http_origin; "https://b.example"'
        f' "https://other.example"; }} {SEND} $cors;',
        "https://a.example",
        "b.example",
    ),
    "a variable that is set anew": (
        "site.conf",
        f"set $cors https://old.example; set $cors https://ui.example; {SEND} $cors;",
        "https://ui.example",
        "old",
    ),
    "credentials by a map": (
        "site.conf",
        'map $http_origin $with { "https://ui.example" true; }'
        f"{SEND} https://ui.example; add_header Access-Control-Allow-Credentials $with;",
        "allowCredentials: true",
        "*",
    ),
    "a refusal for something else": (
        "site.conf",
        f"{SEND} https://ui.example; if ($scheme = http) {{ return 301; }}",
        "https://ui.example",
        "*",
    ),
    "an app mounted at the root": (
        "app.py",
        STARLETTE + "app.mount('/', CORSMiddleware(files, ['https://ui.example'], max_age=0))",
        "maxAge: 0",
        "*",
    ),
}
NOTES = {
    "nginx, locations without CORS": (
        "site.conf",
        f"server {{ server_name a.example; location / {{ {SEND} https://ui.example; }}\n"
        "location /admin { proxy_pass http://x; } }",
        "note: site.conf:2:1: this location has no add_header: nginx sends no CORS headers there;"
        " the policy covers it",
    ),
    "nginx, a server for every other name": (
        "site.conf",
        f"server {{ {SEND} https://ui.example; }} server {{ server_name b.example; }}",
        "note: site.conf:1:10: this server has no name that a rule can have, so the policy covers"
        " every host",
    ),
    "a VirtualService": (
        "route.yaml",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec:"
        " {hosts: [a.example], http: [\n"
        "{match: [{uri: {prefix: /internal}}], route: [{destination: {host: a}}]},"
        " {corsPolicy: {allowOrigins: [{exact: 'https://ui.example'}]},"
        " route: [{destination: {host: b}}]}]}}",
        "note: route.yaml:2:1: this rule has no CORS policy; the policy covers its URLs",
    ),
    "settings that import others": (
        "settings.py",
        "from .base import *\nCORS_ALLOWED_ORIGINS = ['https://ui.example']",
        "note: settings.py:1:1: line 1 imports *: the settings of that file are not read",
    ),
}


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, text: str) -> int:
    Path(name).write_text(text, encoding="utf-8")
    return cli.run(["render", "--to", "policy", name])


@pytest.mark.parametrize(("name", "text", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("render")
def test_what_a_policy_would_widen_is_refused(
    name: str, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(name, text)
    out, err = capsys.readouterr()
    assert reason in err
    assert (code, out) == (2, "")


@pytest.mark.parametrize(("name", "text", "there", "absent"), READ.values(), ids=READ)
@pytest.mark.usefixtures("render")
def test_only_what_the_source_lets_in_is_written(
    name: str, text: str, there: str, absent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(name, text)
    written = "".join(
        line for line in capsys.readouterr().out.splitlines(True) if not line.startswith("#")
    )
    assert code == 0
    assert there in written
    assert absent not in written


@pytest.mark.parametrize(("name", "text", "note"), NOTES.values(), ids=NOTES)
@pytest.mark.usefixtures("render")
def test_urls_that_a_policy_covers_besides_are_named(
    name: str, text: str, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, text) == 0
    assert note in capsys.readouterr().err.splitlines()
