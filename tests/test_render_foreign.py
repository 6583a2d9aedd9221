"""``meshcors render --to policy FILE...``: what other systems say about CORS, as a policy file."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from starlette.middleware.cors import CORSMiddleware

from meshcors import MeshCORS
from meshcors import _cli as cli
from meshcors._cli.render import command
from meshcors.browser import Request, Response, judge, preflight_for
from meshcors.config import from_file
from meshcors.config._foreign.patterns import is_whole
from tests.calling import call_asgi

UI = "https://ui.example"
STARLETTE = "from starlette.middleware.cors import CORSMiddleware\n"
FLASK = "from flask import Flask\nfrom flask_cors import CORS, cross_origin\napp = Flask('a')\n"
VIRTUAL_SERVICE = (
    "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: "
)
UNKNOWN = "not written out: "


class Said(NamedTuple):
    code: int
    data: Any
    comments: list[str]
    stderr: list[str]


@pytest.fixture
def render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(**files: str) -> Said:
        names = [name.replace("_dot_", ".") for name in files]
        for name, text in zip(names, files.values(), strict=True):
            Path(name).write_text(text, encoding="utf-8")
        code = cli.run(["render", "--to", "policy", *names])
        out, err = capsys.readouterr()
        if code == 0:
            # What is written is what the reader of policies takes, whatever it says.
            Path("policy.yaml").write_text(out, encoding="utf-8")
            assert cli.run(["render", "--to", "policy", "--config", "policy.yaml"]) == 0
            again, _ = capsys.readouterr()
            assert again == re.sub("(?m)^#.*\n", "", out)
        comments = [line[2:] for line in out.splitlines() if line.startswith("# ")]
        data = YAML(typ="safe", pure=True).load(out)
        return Said(code, data, comments, err.splitlines())

    return run


def policy(*origins: object, **fields: object) -> dict[str, object]:
    exact = [{"exact": each} if isinstance(each, str) else each for each in origins]
    return {"allowOrigins": exact, **fields}


def one(*origins: object, **fields: object) -> dict[str, object]:
    return {"corsPolicy": policy(*origins, **fields)}


def rule(
    *origins: object, at: str = "", hosts: list[str] | None = None, **fields: object
) -> dict[str, object]:
    prefix = {"pathPrefix": at} if at else {}
    named = {"hosts": hosts} if hosts else {}
    return {**named, **prefix, "corsPolicy": policy(*origins, **fields)}


ALL_BUT_SAFE = ["PUT", "PATCH", "DELETE"]
DJANGO = {
    "allowMethods": ["DELETE", "PATCH", "PUT"],
    "allowHeaders": ["authorization", "user-agent", "x-csrftoken", "x-requested-with"],
    "maxAge": 86400,
}
FLASK_DEFAULTS = {"allowMethods": ALL_BUT_SAFE, "allowHeaders": ["*", "authorization"]}

WRITTEN = {
    "add_middleware": (
        "app_dot_py",
        STARLETTE + "app.add_middleware(CORSMiddleware, allow_origins=['https://ui.example'],"
        " allow_methods=['GET', 'POST', 'PUT'], allow_headers=['Authorization', 'Accept',"
        " 'x-version'],"
        " allow_credentials=True, expose_headers=['x-request-id'], max_age=60 * 60)",
        one(
            UI,
            allowMethods=["PUT"],
            allowHeaders=["authorization", "x-version"],
            exposeHeaders=["x-request-id"],
            allowCredentials=True,
            maxAge=3600,
        ),
    ),
    "Middleware, with FastAPI's name, a name for the origins and a default": (
        "app_dot_py",
        "from fastapi.middleware import cors as c\n"
        "ORIGINS: list[str] = ['https://ui.example']\nMORE = (*ORIGINS, 'http://localhost:3000')\n"
        "app = Starlette(middleware=[Middleware(c.CORSMiddleware, allow_origins=list(MORE))])",
        one(UI, "http://localhost:3000", maxAge=600),
    ),
    "the call itself, by position": (
        "app_dot_py",
        STARLETTE + "app = CORSMiddleware(app, ['https://ui.example'], ['PUT'], ('*',))",
        one(UI, allowMethods=["PUT"], allowHeaders=["*", "authorization"], maxAge=600),
    ),
    "a pasted call without the import": (
        "app_dot_py",
        "def create_app():\n    origins = ['*']\n    app.add_middleware(CORSMiddleware,"
        " allow_origins=origins, allow_methods=['*'], max_age=5)",
        one("*", allowMethods=["*"], maxAge=5),
    ),
    "a regular expression": (
        "app_dot_py",
        STARLETTE + "app.add_middleware(CORSMiddleware, allow_credentials=True, max_age=5,"
        r" allow_origin_regex=r'https://[a-z]+\.apps\.example')",
        one({"regex": r"https://[a-z]+\.apps\.example"}, allowCredentials=True, maxAge=5),
    ),
    "Litestar": (
        "app_dot_py",
        "from litestar.config.cors import CORSConfig\n"
        "cors = CORSConfig(allow_origins=['https://*.example.com'], allow_methods=['PUT'])",
        one(
            "https://*.example.com",
            allowMethods=["PUT"],
            allowHeaders=["*", "authorization"],
            maxAge=600,
        ),
    ),
    "asgi-cors": (
        "app_dot_py",
        "from asgi_cors import asgi_cors\n"
        "app = asgi_cors(app, hosts=[b'https://ui.example'],"
        " host_wildcards=['https://*.example.com'],"
        " headers=['x-version'], methods=['PUT'], max_age=60)",
        one(
            UI,
            "https://*.example.com",
            allowMethods=["PUT"],
            allowHeaders=["x-version"],
            maxAge=60,
        ),
    ),
    "flask-cors, with nothing said": (
        "app_dot_py",
        FLASK + "CORS(app)",
        one("*", **FLASK_DEFAULTS),
    ),
    "flask-cors, by path, the longest first": (
        "app_dot_py",
        FLASK
        + "cors = CORS()\ncors.init_app(app, resources={r'/api/*': {'origins': 'https://ui.example'},"
        " r'/api/admin/*': {'origins': ['https://admin.example'], 'methods': 'GET, PUT'}},"
        " supports_credentials=True, allow_headers='content-type, x-version', max_age='60')",
        {
            "rules": [
                rule(
                    "https://admin.example",
                    at="/api/admin",
                    allowMethods=["PUT"],
                    allowHeaders=["x-version"],
                    allowCredentials=True,
                    maxAge=60,
                ),
                rule(
                    UI,
                    at="/api",
                    allowMethods=ALL_BUT_SAFE,
                    allowHeaders=["x-version"],
                    allowCredentials=True,
                    maxAge=60,
                ),
            ]
        },
    ),
    "flask-cors, a compiled expression and the app's config": (
        "app_dot_py",
        "import re\nfrom datetime import timedelta\n"
        + FLASK
        + "app.config['CORS_MAX_AGE'] = timedelta(minutes=1)\n"
        r"CORS(app, origins=re.compile(r'https://[a-z]+\.apps\.Example', re.I), methods=['PUT'],"
        " allow_headers=['x-version'], send_wildcard=unknown())",
        one(
            {"regex": r"(?i)https://[a-z]+\.apps\.Example"},
            allowMethods=["PUT"],
            allowHeaders=["x-version"],
            maxAge=60,
        ),
    ),
    "cross_origin": (
        "app_dot_py",
        FLASK
        + "@app.route('/items')\n@cross_origin(origins=['https://ui.example'], methods=['PUT'],"
        " allow_headers=['x-version'])\ndef items(): ...",
        {"rules": [rule(UI, at="/items", allowMethods=["PUT"], allowHeaders=["x-version"])]},
    ),
    "cross_origin beside the app's own, which counts for other views": (
        "app_dot_py",
        FLASK + "CORS(app, origins='https://a.example', methods=[], allow_headers=[])\n"
        "@app.route('/items/')\n@cross_origin(origins='https://ui.example', methods=[],"
        " allow_headers=[])\ndef items(): ...\n@app.get('/own')\n@cross_origin(origins="
        "'https://a.example', methods=[], allow_headers=[])\ndef own(): ...",
        {
            "rules": [
                rule(UI, at="/items"),
                rule("https://a.example", at="/own"),
                rule("https://a.example"),
            ]
        },
    ),
    "django-cors-headers": (
        "settings_dot_py",
        "from corsheaders.defaults import default_headers\n"
        "CORS_ALLOWED_ORIGINS = ['https://ui.example']\n"
        r"CORS_ALLOWED_ORIGIN_REGEXES = [r'^https://pr-\d+\.preview\.example$']"
        "\nCORS_URLS_REGEX = r'^/api/.*$'\nCORS_ALLOW_CREDENTIALS = True\n"
        "CORS_ALLOW_HEADERS = list(default_headers) + ['x-version']",
        {
            "rules": [
                rule(
                    UI,
                    {"regex": r"^https://pr-\d+\.preview\.example$"},
                    at="/api",
                    allowMethods=DJANGO["allowMethods"],
                    allowHeaders=[*DJANGO["allowHeaders"], "x-version"],  # type: ignore[misc]
                    allowCredentials=True,
                    maxAge=86400,
                )
            ]
        },
    ),
    "django-cors-headers, an old name": (
        "settings_dot_py",
        "CORS_ORIGIN_ALLOW_ALL = True",
        one("*", **DJANGO),
    ),
    "nginx, lines in a server": (
        "site_dot_conf",
        "server { server_name api.example.com .apps.example _;\n"
        "  add_header Access-Control-Allow-Origin https://ui.example always; # ours\n"
        "  add_header 'Access-Control-Allow-Methods' 'GET, PUT, OPTIONS' always;\n"
        '  add_header "Access-Control-Allow-Headers" "Content-Type,DNT,x-version" always;\n'
        "  add_header Access-Control-Allow-Credentials true always;\n"
        "  add_header Access-Control-Max-Age 60 always;\n"
        "  location / { proxy_pass http://app; } }",
        {
            "rules": [
                rule(
                    UI,
                    hosts=["api.example.com", "apps.example", "*.apps.example"],
                    allowMethods=["PUT"],
                    allowHeaders=["x-version"],
                    allowCredentials=True,
                    maxAge=60,
                )
            ]
        },
    ),
    "nginx, a map": (
        "site_dot_conf",
        'map $http_origin $cors { default ""; https://ui.example $http_origin;\n'
        r'  "~*^https://[a-z]+\.apps\.example$" $http_origin; }'
        "\nserver { location /api/ { add_header Access-Control-Allow-Origin $cors always;\n"
        "  add_header Access-Control-Allow-Headers content-type always; } }",
        {"rules": [rule(UI, {"regex": r"^https://[a-z]+\.apps\.example$"}, at="/api")]},
    ),
    "nginx, ifs that set a variable, and preflights of their own": (
        "default",
        'location / { set $ok ""; if ($http_origin = "https://ui.example") { set $ok 1; }\n'
        r"  if ($http_origin ~ ^https://a\.example$) { set $ok 1; }"
        "\n  if ($ok = 1) { add_header Access-Control-Allow-Origin $http_origin always; }\n"
        "  if ($request_method = OPTIONS) { add_header Access-Control-Allow-Methods PUT;\n"
        "    add_header Access-Control-Allow-Headers $http_access_control_request_headers;"
        " return 204; } }",
        one(
            UI,
            {"regex": r"^https://a\.example$"},
            allowMethods=["PUT"],
            allowHeaders=["*", "authorization"],
        ),
    ),
    "a VirtualService, with allowOrigin, keys and several routes": (
        "route_dot_yaml",
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: models}
spec:
  hosts: [api.example.com]
  http:
  - match: [{uri: {prefix: /v1/}, headers: {model-api-key: {exact: xyz}}}]
    corsPolicy: &cors
      allowOrigin: [https://ui.example]
      allowHeaders: [model-api-key, content-type]
      allowMethods: [GET, PUT]
      maxAge: 10m
    route: [{destination: {host: xyz}}]
  - match: [{uri: {prefix: /v1/}, headers: {model-api-key: {exact: abc}}}]
    corsPolicy: *cors
    route: [{destination: {host: abc}}]
  - corsPolicy:
      allowOrigins: [{regex: 'https://[a-z]+\\.apps\\.example'}]
      allowHeaders: [content-type]
    route: [{destination: {host: rest}}]
""",
        {
            "rules": [
                {
                    **rule(UI, at="/v1", hosts=["api.example.com"]),
                    "corsPolicy": policy(UI, allowMethods=["PUT"], maxAge=600),
                    "key": {"header": "model-api-key"},
                },
                rule({"regex": r"https://[a-z]+\.apps\.example"}, hosts=["api.example.com"]),
            ]
        },
    ),
    "a VirtualService that also takes calls without the key": (
        "route_dot_yaml",
        VIRTUAL_SERVICE + "{hosts: ['*'], gateways: [public],"
        " http: [{match: [{headers: {model-api-key: {exact: xyz}}}],"
        " corsPolicy: &cors {allowOrigins: [{exact: 'https://ui.example'}],"
        " allowHeaders: [model-api-key, content-type]}, route: [{destination: {host: a}}]},"
        " {corsPolicy: *cors, route: [{destination: {host: b}}]}]}}",
        one(UI, allowHeaders=["model-api-key"]),
    ),
    "nginx, what preflights get counts": (
        "site_dot_conf",
        "add_header Access-Control-Allow-Headers x-a; if ($request_method = OPTIONS) {"
        " add_header Access-Control-Allow-Headers x-b; }"
        ' if ($http_origin = "https://ui.example") { add_header Access-Control-Allow-Origin *; }',
        one(UI, allowHeaders=["x-b"]),
    ),
    "an HTTPRoute with a CORS filter": (
        "route_dot_json",
        json.dumps(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": "models"},
                "spec": {
                    "parentRefs": [{"name": "public"}],
                    "rules": [
                        {
                            "matches": [{"path": {"value": "/v1"}}],
                            "filters": [
                                {
                                    "type": "CORS",
                                    "cors": {
                                        "allowOrigins": [UI],
                                        "allowHeaders": ["content-type"],
                                        "allowMethods": ["PUT"],
                                    },
                                }
                            ],
                            "backendRefs": [{"name": "xyz", "port": 80}],
                        }
                    ],
                },
            }
        ),
        {"rules": [rule(UI, at="/v1", allowMethods=["PUT"], maxAge=5)]},
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_source_gives_this_policy(name: str, render: Any) -> None:
    file, source, expected = WRITTEN[name]
    said = render(**{file: source})
    assert (said.code, said.data) == (0, expected), said


def call(options: str) -> str:
    return f"import os\n{STARLETTE}app.add_middleware(CORSMiddleware, {options})"


REFUSED = {
    "an environment variable": (
        "app_dot_py",
        call("allow_origins=os.environ['SECRET'].split(',')"),
        f"app.py:3:50: allow_origins: {UNKNOWN}made of os.environ; write the origins here, such as",
    ),
    "a setting of another file": (
        "app_dot_py",
        "from conf import settings\n"
        + call("allow_origins=['https://ui.example'], max_age=settings.age"),
        f"app.py:4:82: max_age: {UNKNOWN}conf.settings.age; write the seconds here, such as 600",
    ),
    "a name that is set twice": (
        "app_dot_py",
        "ORIGINS = ['https://a.example']\nORIGINS = ['https://b.example']\n"
        + call("allow_origins=ORIGINS"),
        f"app.py:5:50: allow_origins: {UNKNOWN}ORIGINS, which is set more than once: lines 1, 2; ",
    ),
    "a name that an if sets": (
        "app_dot_py",
        "if True:\n    ORIGINS = ['*']\n" + call("allow_origins=ORIGINS"),
        f"app.py:5:50: allow_origins: {UNKNOWN}ORIGINS, which depends on line 1; ",
    ),
    "a list that is changed": (
        "app_dot_py",
        "ORIGINS = ['https://a.example']\nORIGINS.append(input())\n"
        + call("allow_origins=ORIGINS"),
        f"app.py:5:50: allow_origins: {UNKNOWN}ORIGINS, which line 2 changes; ",
    ),
    "a name without a value": (
        "app_dot_py",
        call("allow_origins=ORIGINS"),
        f"app.py:3:50: allow_origins: {UNKNOWN}ORIGINS, whose value is not in this file; ",
    ),
    "a name that stands for itself": (
        "app_dot_py",
        "A = B\nB = A\n" + call("allow_origins=A"),
        f"app.py:5:50: allow_origins: {UNKNOWN}nested too deeply",
    ),
    "hidden keywords": (
        "app_dot_py",
        call("**OPTIONS"),
        "app.py:3:38: **: it hides the keywords; write them one by one",
    ),
    "any site, with credentials": (
        "app_dot_py",
        call("allow_origins=['*'], allow_credentials=True"),
        "app.py:3:50: allow_origins: *; with credentials any site could act as the user: list the"
        " origins, or leave out allow_credentials, which bearer tokens do not need",
    ),
    "any site, with credentials, and an expression": (
        "app_dot_py",
        call(
            "allow_origins=['*'], allow_origin_regex='https://a[.]example', allow_credentials=True"
        ),
        "app.py:3:50: allow_origins: *; with credentials any site could act as the user: list the",
    ),
    "a path in an origin": (
        "app_dot_py",
        call("allow_origins=['https://ui.example/']"),
        "app.py:3:50: allow_origins: https://ui.example/; ",
    ),
    "a wildcard that is none": (
        "app_dot_py",
        call("allow_origins=['https://*.example.com']"),
        "app.py:3:50: allow_origins: https://*.example.com never matches: CORSMiddleware compares"
        " whole texts; leave it out, or write allow_origin_regex for what you mean",
    ),
    "http, with credentials": (
        "app_dot_py",
        call("allow_origins=['http://ui.example'], allow_credentials=True"),
        "write the policy by hand, with dangerouslyAllowInsecureOrigins: true",
    ),
    "an open expression, with credentials": (
        "app_dot_py",
        call("allow_origin_regex='https://.*example[.]com', allow_credentials=True"),
        "app.py:3:55: allow_origin_regex: https://.*example[.]com; with credentials any site could",
    ),
    "a method in lower case": (
        "app_dot_py",
        call("allow_origins=['https://ui.example'], allow_methods=['put']"),
        "app.py:3:88: allow_methods: put; methods are case-sensitive: write PUT",
    ),
    "a text for a list": (
        "app_dot_py",
        call("allow_origins='https://ui.example'"),
        "app.py:3:50: allow_origins: ",
    ),
    "no origin": (
        "app_dot_py",
        call("allow_methods=['*']"),
        "app.py:3:1: CORSMiddleware: no origin is allowed; name the pages' origins",
    ),
    "an unknown keyword": (
        "app_dot_py",
        call("allow_origins=['https://ui.example'], allowed=3"),
        "app.py:3:82: allowed: unknown; leave it out",
    ),
    "two apps in a file": (
        "app_dot_py",
        call("allow_origins=['https://a.example']")
        + "\nother.add_middleware(CORSMiddleware, allow_origins=['https://b.example'])",
        "app.py:4:1: CORSMiddleware: a second policy for the same URLs; the one at app.py:3:1"
        " covers",
    ),
    "a callback": (
        "app_dot_py",
        "from asgi_cors import asgi_cors\napp = asgi_cors(app, callback=check)",
        "app.py:2:31: callback: a function decides here; a policy is data",
    ),
    "a resource that is no prefix": (
        "app_dot_py",
        FLASK + r"CORS(app, resources={r'/a\d+/*': {'origins': '*'}})",
        r"app.py:4:21: resources: /a\d+/* is not a prefix of paths; write a path and /*",
    ),
    "a view of a blueprint": (
        "app_dot_py",
        FLASK + "@bp.route('/items')\n@cross_origin()\ndef items(): ...",
        "app.py:5:2: cross_origin: no route with a path that a rule can have; write a rule with"
        " the",
    ),
    "a setting that the environment decides": (
        "settings_dot_py",
        "import os\nif os.environ.get('DEBUG'):\n    CORS_ALLOW_ALL_ORIGINS = True\n",
        f"settings.py:3:5: CORS_ALLOW_ALL_ORIGINS: {UNKNOWN}CORS_ALLOW_ALL_ORIGINS, which depends"
        f" on"
        " line 2; write True or False here",
    ),
    "the origin sent back, with credentials": (
        "site_dot_conf",
        "add_header Access-Control-Allow-Origin $http_origin;\n"
        "add_header Access-Control-Allow-Credentials true;",
        "site.conf:1:1: add_header Access-Control-Allow-Origin: $http_origin lets any site act"
        " as the"
        " user, as every origin is sent back with Access-Control-Allow-Credentials; write a map",
    ),
    "an expression for a part of an origin": (
        "site_dot_conf",
        r"if ($http_origin ~* (ui\.example)) {"
        "\n  add_header Access-Control-Allow-Origin $http_origin; }",
        r"site.conf:1:1: if: (ui\.example) may match a part of an origin, which lets strangers in;"
        " write ^ at its beginning and $ at its end",
    ),
    "an anchor for one alternative only": (
        "site_dot_conf",
        r'map $http_origin $cors { "~^https://a\.example|https://b\.example$" $http_origin; }'
        "\nadd_header Access-Control-Allow-Origin $cors;",
        "site.conf:1:1: map: ^https://a",
    ),
    "a variable of another file": (
        "site_dot_conf",
        "add_header Access-Control-Allow-Origin $cors;",
        "site.conf:1:1: add_header Access-Control-Allow-Origin: $cors is set in another file; name"
        " that file, too",
    ),
    "a computed variable": (
        "site_dot_conf",
        'set $a "x"; set $a "${a}y"; if ($a = "xy") { add_header Access-Control-Allow-Origin'
        " $http_origin; }",
        "site.conf:1:13: set: $a is computed; write the origins here, or in a map of $http_origin",
    ),
    "a prefix of origins": (
        "route_dot_yaml",
        VIRTUAL_SERVICE + "{hosts: [a],"
        " http: [{corsPolicy: {allowOrigins: [{prefix: 'https://ui'}]}, route: [{destination:"
        " {host: a}}]}]}}",
        "corsPolicy.allowOrigins: ",
    ),
    "only a path that is exact": (
        "route_dot_yaml",
        VIRTUAL_SERVICE + "{hosts: [a],"
        " http: [{match: [{uri: {exact: /a}}], corsPolicy: {allowOrigins: [{exact:"
        " 'https://ui.example'}]},"
        " route: [{destination: {host: a}}]}]}}",
        "route.yaml:1:1: no corsPolicy that a rule can have; name the VirtualService or HTTPRoute",
    ),
    "a document with a problem": (
        "route_dot_yaml",
        VIRTUAL_SERVICE + "{hots: [a], http: [{route: [{destination: {host: a}}]}]}}",
        "route.yaml:1:",
    ),
    "no CORS in Python": (
        "app_dot_py",
        "print('CORS')",
        "app.py:1:1: says nothing about CORS that",
    ),
    "another library's CORS": (
        "app_dot_py",
        "from sanic_cors import CORS\nCORS(app)",
        "app.py:1:1: says nothing about CORS that can be read; name the file with add_middleware(",
    ),
    "no CORS in nginx": ("site_dot_conf", "server { listen 80; }", "site.conf:1:1: says nothing"),
    "a program in Go": (
        "main_dot_go",
        'cors.New(cors.Options{ AllowedOrigins: []string{"https://ui.example"} })',
        "main.go:1:1: of programs, only those in Python are read; write its policy by hand:"
        " docs/coming-from/go.md has the options side by side",
    ),
    "not Python": ("app_dot_py", "def :", "app.py:1:1: not Python: "),
    "not nginx": ("site_dot_conf", "server {", "not a configuration of nginx: } is missing"),
    "null bytes": ("app_dot_py", "a = '\0'", "app.py:1:1: not Python: "),
    "null bytes in nginx": ("site_dot_conf", "\0\0;", "site.conf:1:1: says nothing about CORS"),
    "deep Python": ("app_dot_py", "a = " + "-" * 100_000 + "1", "app.py:1:1: nested too deeply"),
    "a deep value": (
        "app_dot_py",
        call("allow_origins=" + "[" * 60 + "]" * 60),
        "nested too deeply",
    ),
    "deep nginx": ("site_dot_conf", "a {" * 100, "nested too deeply"),
    "a location without a path": (
        "site_dot_conf",
        "location { add_header Access-Control-Allow-Origin *; }",
        "left out: location  is not a prefix of paths",
    ),
    "lists of lists of lists": (
        "app_dot_py",
        "".join(f"A{at} = [A{at + 1}, A{at + 1}]\n" for at in range(39))
        + "A39 = []\n"
        + call("allow_origins=A0"),
        "app.py:43:50: allow_origins: not written out: nested too deeply (line ",
    ),
    "a number with thousands of digits": (
        "app_dot_py",
        call(f"allow_origins=['*'], max_age=0x{'f' * 9999}"),
        "app.py:3:65: max_age: not written out: a number that is too large",
    ),
    "variables of variables": (
        "site_dot_conf",
        "".join(f"set $a{at} $a{at + 1};" * 10 for at in range(8))
        + "set $a8 x; add_header Access-Control-Allow-Origin $a0;",
        ": set: too many lines set its variables",
    ),
    "an endless expression": (
        "site_dot_conf",
        f'if ($http_origin ~ "{"[" * 500_000}") {{'
        " add_header Access-Control-Allow-Origin $http_origin; }",
        "site.conf:1:500026: add_header Access-Control-Allow-Origin: [[[",
    ),
    "an endless path": (
        "settings_dot_py",
        f"CORS_ALLOW_ALL_ORIGINS = True\nCORS_URLS_REGEX = r'^{'/a' * 300_000}/'",
        "settings.py:1:1: django-cors-headers: a path of more than 1024 characters",
    ),
    "two thousand calls": (
        "app_dot_py",
        FLASK + "CORS(app)\n" * 2000,
        "flask-cors: more than 1000 policies; name fewer or smaller files",
    ),
    "a condition with a key": (
        "site_dot_conf",
        'if ($http_x_key = "SECRET") { add_header Access-Control-Allow-Origin $http_origin; }',
        "site.conf:1:1: if: $http_x_key is set in another file; name that file, too",
    ),
    "a huge file": ("app_dot_py", "#" * (1 << 20) + "#", "app.py:1:1: larger than 1 MiB; split it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_is_one_line_with_its_place(name: str, render: Any) -> None:
    file, source, line = REFUSED[name]
    said = render(**{file: source})
    assert (said.code, said.data) == (2, None)
    assert len(said.stderr) == 1
    assert said.stderr[0].startswith("meshcors: ")
    assert line in said.stderr[0]
    assert "SECRET" not in said.stderr[0]


REMARKS = {
    "POST is not listed": (
        "app_dot_py",
        STARLETTE + "app.add_middleware(CORSMiddleware, allow_origins=['*'])",
        [
            "app.py:2:1: CORSMiddleware refuses the preflight of a POST, which is not listed;"
            " meshcors always allows GET, HEAD, POST.",
            "app.py:2:1: allowMethods is the default of CORSMiddleware: allow_methods is not set.",
            "app.py:2:1: maxAge is the default of CORSMiddleware: max_age is not set.",
            "app.py:2:1: In CORSMiddleware, the 500 of an exception has no CORS headers; meshcors"
            " adds them.",
        ],
        [],
    ),
    "always is missing, and a * with credentials is a name": (
        "site_dot_conf",
        "add_header Access-Control-Allow-Origin https://ui.example;\n"
        "add_header Access-Control-Allow-Credentials true;\n"
        "add_header Access-Control-Allow-Headers *;",
        [
            "site.conf:1:1: content-type is not listed, so pages cannot send JSON; meshcors always"
            " allows it.",
            "site.conf:1:1: allowHeaders: with credentials, browsers take the * of nginx as a"
            " name; it"
            " is left out.",
            "site.conf:1:1: In nginx, errors have no CORS headers, because always is missing;"
            " meshcors adds them.",
        ],
        [],
    ),
    "always is missing where preflights are answered, which are no errors": (
        "site_dot_conf",
        "location / {\nif ($request_method = OPTIONS) {\n"
        "add_header Access-Control-Allow-Origin *;\n"
        "add_header Access-Control-Allow-Headers content-type;\nreturn 204; }\n"
        "add_header Access-Control-Allow-Origin * always; }",
        [],
        [],
    ),
    "what is left out, and what is not followed": (
        "site_dot_conf",
        "include cors.conf;\nserver { add_header Access-Control-Allow-Origin $http_origin always;\n"
        "add_header Access-Control-Allow-Headers content-type always;\n"
        "location ~ x { add_header Access-Control-Allow-Origin * always; }\n"
        "location /own { add_header X-A b; } }",
        [],
        [
            "note: site.conf:2:10: $http_origin sends back any origin; the policy's is *",
            "note: site.conf:4:1: left out: location ~ x is not a prefix of paths, and a rule would"
            " cover more",
            "note: site.conf:5:1: this location has an add_header of its own, so nginx sends no"
            " CORS"
            " headers there; the policy covers it",
            "note: site.conf:1:1: include is not followed; name what it includes, too",
        ],
    ),
    "a key that not every rule of the URL wants is no key of the policy": (
        "route_dot_yaml",
        VIRTUAL_SERVICE + "{hosts: [a.example], http: ["
        "{match: [{method: {exact: OPTIONS}}],"
        " corsPolicy: {allowOrigins: [{exact: '*'}], allowHeaders: [x, content-type]},"
        " route: [{destination: {host: a}}]},"
        "{match: [{headers: {x: {exact: a}}}],"
        " corsPolicy: {allowOrigins: [{exact: '*'}], allowHeaders: [x, content-type]},"
        " route: [{destination: {host: a}}]}]}}",
        [],
        [],
    ),
    "a call in an if": (
        "app_dot_py",
        STARLETTE + "if DEBUG:\n  app.add_middleware(CORSMiddleware, allow_origins=['*'],"
        " allow_methods=['GET', 'POST'], max_age=86400)",
        [
            "app.py:3:3: In CORSMiddleware, the 500 of an exception has no CORS headers;"
            " meshcors adds them."
        ],
        [
            "note: app.py:3:3: depends on line 2; the policy does not",
            "note: app.py:3:98: max_age: 86400 seconds: Chromium keeps an answer for at most 7200,"
            " WebKit 600, Firefox 86400",
        ],
    ),
    "an expression for the beginning": (
        "settings_dot_py",
        r"CORS_ALLOWED_ORIGIN_REGEXES = [r'^https://ui\.example']"
        "\nCORS_PREFLIGHT_MAX_AGE = 60\n"
        "CORS_ALLOW_HEADERS = ['content-type']\nCORS_ALLOW_METHODS = ['GET']",
        [],
        [
            r"note: settings.py:1:1: CORS_ALLOWED_ORIGIN_REGEXES: ^https://ui\.example matches the"
            " beginning of an origin only, so it lets in longer ones, too; the policy's matches the"
            " whole origin"
        ],
    ),
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_differs_is_said(name: str, render: Any) -> None:
    file, source, comments, notes = REMARKS[name]
    said = render(**{file: source})
    assert (said.code, said.comments, said.stderr) == (0, comments, notes)


def test_several_files_are_one_policy(render: Any) -> None:
    cors = "location / { add_header Access-Control-Allow-Origin $cors always; }"
    said = render(
        cors=cors, nginx_dot_conf="map $http_origin $cors { https://ui.example $http_origin; }"
    )
    assert said.data == one(UI)
    said = render(
        cors="add_header Access-Control-Allow-Origin https://a.example;",
        app_dot_py=call("allow_origins=['https://b.example']"),
    )
    assert said.stderr == [
        "meshcors: cors:1:1: nginx: a second policy for the same URLs; the one at app.py:3:1"
        " covers the"
        " same URLs: browsers cache preflights by URL and header name, never by value: give one URL"
        " one policy"
    ]


def test_all_problems_are_named(render: Any) -> None:
    said = render(app_dot_py=call("allow_origins=A, allow_headers=B"), site_dot_conf="}")
    assert [line.partition(": ")[2].partition(": ")[0] for line in said.stderr] == [
        "app.py:3:50",
        "app.py:3:67",
        "site.conf:1:1",
    ]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (
            ["--to", "env", "app.py"],
            "--config: name the file with the policy; with --to policy, name",
        ),
        (["--to", "policy"], "--config: name the file with the policy; with --to policy, name"),
        (["--to", "policy", "--config", "p", "app.py"], "expected only flags: remove the extra"),
        (["--to", "policy", "-"], "-: standard input has no name; save it as a file and name that"),
        (["--to", "policy", "."], ".:1:1: a directory, not a regular file; name a file"),
        (["--to", "policy", "/dev/zero"], "/dev/zero:1:1: a device, not a regular file; name a f"),
        (["--to", "policy", "--directory", "d", "app.py"], "--directory is for --to kubernetes"),
    ],
)
def test_usage(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["render", *args]) == 2
    assert capsys.readouterr().err.startswith(f"meshcors: {line}")


@pytest.mark.parametrize("name", ["no-such-secret", "x" * 5000, "binary.py", "loop.yaml", "\0"])
def test_a_file_that_cannot_be_read_is_the_same_line_as_for_other_verbs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary.py").write_bytes(b"\n\xff")
    Path("loop.yaml").symlink_to("loop.yaml")
    said = []
    for verb in (["render", "--to", "policy"], ["routes"]):
        assert cli.run([*verb, name]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] != ""
    assert said[0].count("\n") == 1


def test_all_files_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.py")
    Path("large.conf").write_bytes(b"#" * (2**20 + 1))
    assert cli.run(["render", "--to", "policy", "pipe.py", "large.conf"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "meshcors: large.conf:1:1: larger than 1 MiB; split it",
        "meshcors: pipe.py:1:1: a pipe, not a regular file; save its content as a file",
    ]
    assert cli.run(["render", "--to", "policy", "pipe.py", "missing"]) == 2
    said = "meshcors: FILE 2: No such file or directory; pass a readable file\n"
    assert capsys.readouterr().err == said


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request that the middleware lets through."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def accepts(middleware: Any, call: Request) -> bool:
    """Return whether a page's call works with a middleware around an app."""
    path = "/items"
    asked = preflight_for(call)
    said = None if asked is None else call_asgi(middleware, "OPTIONS", path, asked)
    answered = call_asgi(middleware, call.method, path, [*call.headers, ("origin", call.origin)])
    verdict = judge(
        call,
        preflight=None if said is None else Response(said.status, said.headers),
        response=Response(answered.status, answered.headers),
    )
    return verdict.allowed


CALLS = [
    Request(origin, "https://api.example/items", method, headers, credentials)
    for origin in (UI, "https://a.apps.example", "https://evil.example", "null")
    for method in ("GET", "POST", "PUT", "DELETE")
    for headers in ([], [("x-version", "1")], [("authorization", "a")], [("content-type", "a/b")])
    for credentials in ("omit", "include")
]  # fmt: skip
ORIGINS = st.lists(st.sampled_from([UI, "http://localhost:3000"]), max_size=2)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "allow_methods": st.lists(st.sampled_from(["GET", "POST", "PUT", "DELETE", "*"])),
        "allow_headers": st.lists(st.sampled_from(["X-Version", "authorization", "accept", "*"])),
        "allow_credentials": st.booleans(),
        "allow_origin_regex": st.sampled_from([None, r"https://[a-z]+\.apps\.example"]),
        "expose_headers": st.lists(st.sampled_from(["x-request-id", "etag"])),
        "max_age": st.integers(0, 7200),
    },
)


@given(ORIGINS | st.just(["*"]), OPTIONS)
@settings(max_examples=40, deadline=None)
def test_browsers_accept_the_same_calls(origins: list[str], options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source, made = Path(directory, "app.py"), Path(directory, "policy.yaml")
        keywords = ", ".join(f"{name}={value!r}" for name, value in options.items())
        source.write_text(
            f"{STARLETTE}app.add_middleware(CORSMiddleware, allow_origins={origins!r}, {keywords})"
        )
        result = CliRunner().invoke(command, ["--to", "policy", str(source)], standalone_mode=False)
        if result.return_value == 2:
            # no origin, or any with credentials
            regex = options.get("allow_origin_regex")
            assert not (origins or regex) or ("*" in origins and options.get("allow_credentials"))
            return
        made.write_text(result.stdout, encoding="utf-8")
        policy = from_file(made)
    ours, theirs = MeshCORS(app, policy), CORSMiddleware(app, origins, **options)
    methods = options.get("allow_methods", ["GET"])
    for page in CALLS:
        if page.method in ("GET", "POST") and not {page.method, "*"} & {*methods}:
            continue  # CORSMiddleware refuses its preflight, and the file says so
        assert accepts(ours, page) == accepts(theirs, page), page


@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning")
@given(st.text("^$a|()[]\\", max_size=12))
@settings(max_examples=300, deadline=None)
def test_an_expression_that_is_called_whole_matches_no_part(pattern: str) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error:
        return
    if is_whole(pattern):
        for text in ("a", "aa", "(", "|a", "]a", "\\"):
            found = compiled.search(text)
            assert found is None or (found.start(), found.end()) == (0, len(text)), text
