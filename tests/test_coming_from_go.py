"""The page on coming from rs/cors and jub0bs/cors: their recorded answers beside meshcors's.

Their answers are recorded, because CI has no Go. To record them again, with Go on the PATH::

    RECORD_GO=1 python -m pytest tests/test_coming_from_go.py

This writes tests/data/go_cors/answers.json; ``WRITE_PAGES=1`` then writes the page's table.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meshcors import MeshCORS, Policy, PolicyError
from meshcors.browser import Request, Response, judge, preflight_for
from tests.calling import EVIL, UI, Answered, call_asgi
from tests.coming_from import Page, cell

PAGE = Page("go")
FOLDER = Path(__file__).parent / "data" / "go_cors"
ANSWERS = FOLDER / "answers.json"
LIBRARIES = ("rs/cors", "jub0bs/cors")
JSON = {"content-type": "application/json"}

# The same in each library: (rs/cors, jub0bs/cors, meshcors), by name.
TEAM = (
    {
        "AllowedOrigins": [UI],
        "AllowedMethods": ["GET", "POST", "PUT"],
        "AllowedHeaders": ["content-type", "x-version"],
        "ExposedHeaders": ["x-request-id"],
        "AllowCredentials": True,
        "MaxAge": 600,
    },
    {
        "Origins": [UI],
        "Methods": ["PUT"],
        "RequestHeaders": ["content-type", "x-version"],
        "ResponseHeaders": ["x-request-id"],
        "Credentialed": True,
        "MaxAgeInSeconds": 600,
    },
    {
        "allow_origins": [UI],
        "allow_methods": ["PUT"],
        "allow_headers": ["x-version"],
        "expose_headers": ["x-request-id"],
        "allow_credentials": True,
        "max_age": 600,
    },
)
ANYONE = (
    {"AllowedOrigins": ["*"], "AllowedMethods": ["*"], "AllowedHeaders": ["*"]},
    {"Origins": ["*"], "Methods": ["*"], "RequestHeaders": ["*"]},
    {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]},
)
APPS = "https://*.apps.example"


def logged_in(pattern: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """This pattern, with credentials."""
    return (
        {"AllowedOrigins": [pattern], "AllowCredentials": True},
        {"Origins": [pattern], "Credentialed": True},
        {"allow_origins": [pattern], "allow_credentials": True},
    )


SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "team": TEAM,
    "only the origin": ({"AllowedOrigins": [UI]}, {"Origins": [UI]}, {"allow_origins": [UI]}),
    "anyone": ANYONE,
    "subdomains": ({"AllowedOrigins": [APPS]}, {"Origins": [APPS]}, {"allow_origins": [APPS]}),
    "anyone with credentials": logged_in("*"),
    "`http` with credentials": logged_in("http://ui.example"),
    "a public suffix with credentials": logged_in("https://*.github.io"),
    "every port of localhost, with credentials": logged_in("http://localhost:*"),
    "`null`": ({"AllowedOrigins": ["null"]}, {"Origins": ["null"]}, {"allow_origins": ["null"]}),
    "a wildcard in a name": (
        {"AllowedOrigins": ["https://ui*.example"]},
        {"Origins": ["https://ui*.example"]},
        {"allow_origins": ["https://ui*.example"]},
    ),
    "upper case": (
        {"AllowedOrigins": ["https://UI.example"]},
        {"Origins": ["https://UI.example"]},
        {"allow_origins": ["https://UI.example"]},
    ),
    "debug mode": TEAM,
    "`x-version` alone": (
        {"AllowedOrigins": [UI], "AllowedHeaders": ["x-version"]},
        {"Origins": [UI], "RequestHeaders": ["x-version"]},
        {"allow_origins": [UI], "allow_headers": ["x-version"]},
    ),
    "PATCH as patch": (
        {"AllowedOrigins": [UI], "AllowedMethods": ["patch"]},
        {"Origins": [UI], "Methods": ["patch"]},
        {"allow_origins": [UI], "allow_methods": ["patch"]},
    ),
}


class Case(NamedTuple):
    """A page's call to an app with one of the settings."""

    settings: str
    what: str
    origin: str = UI
    method: str = "GET"
    path: str = "/hello"
    headers: dict[str, str] = {}  # noqa: RUF012 (it is never changed)
    credentials: str = "omit"

    @property
    def call(self) -> Request:
        url = f"https://api.example{self.path}"
        return Request(self.origin, url, self.method, self.headers, self.credentials)

    def requests(self) -> list[dict[str, Any]]:
        """The preflight, if there is one, and the call."""
        asked = preflight_for(self.call)
        real = [*self.call.headers, ("origin", self.origin)]
        sent = [] if asked is None else [("OPTIONS", asked)]
        return [
            {
                "settings": self.settings,
                "method": method,
                "path": self.path,
                "fields": [list(field) for field in fields],
            }
            for method, fields in [*sent, (self.method, real)]
        ]


LOGGED_IN = "include"
AUTHORIZED = {"authorization": "Bearer t"}
CASES = [
    Case("team", "GET", credentials=LOGGED_IN),
    Case("team", "GET from another origin", EVIL),
    Case("team", "PUT with JSON and `x-version`", method="PUT", headers={**JSON, "x-version": "1"}),
    Case("team", "PUT from another origin", EVIL, "PUT"),
    Case("team", "DELETE, which is not listed", method="DELETE"),
    Case("team", "a header that is not listed", headers={"x-other": "1"}),
    Case("team", "`range: bytes=-5`, which is not listed", headers={"range": "bytes=-5"}),
    Case("team", "HEAD with `x-version`", method="HEAD", headers={"x-version": "1"}),
    Case("team", "GET to a path without a route", path="/gone"),
    Case("team", "PUT to a path without a route", method="PUT", path="/gone"),
    Case("team", "GET that fails with 500", path="/boom"),
    Case("team", "GET, and the app sets `access-control-allow-origin` itself", path="/own"),
    Case("debug mode", "DELETE, which is not listed", method="DELETE"),
    Case("debug mode", "a header that is not listed", headers={"x-other": "1"}),
    Case("`x-version` alone", "POST with JSON", method="POST", headers=JSON),
    Case("only the origin", "POST with JSON", method="POST", headers=JSON),
    Case("only the origin", "`x-requested-with`", headers={"x-requested-with": "fetch"}),
    Case("only the origin", "PUT", method="PUT"),
    Case("anyone", "GET", EVIL),
    Case("anyone", "POST with JSON", EVIL, "POST", headers=JSON),
    Case("anyone", "PUT", EVIL, "PUT"),
    Case("anyone", "any header", EVIL, headers={"x-any": "1"}),
    Case("anyone", "`authorization`", EVIL, headers=AUTHORIZED),
    Case("subdomains", "GET from `https://a.apps.example`", "https://a.apps.example"),
    Case("subdomains", "GET from `https://b.a.apps.example`", "https://b.a.apps.example"),
    Case("subdomains", "GET from `https://apps.example`", "https://apps.example"),
    Case(
        "subdomains",
        "GET from `https://a.apps.example.evil.example`",
        "https://a.apps.example.evil.example",
    ),
    Case("anyone with credentials", "GET", EVIL),
    Case("anyone with credentials", "GET with cookies", EVIL, credentials=LOGGED_IN),
    Case("`http` with credentials", "GET with cookies", "http://ui.example", credentials=LOGGED_IN),
    Case(
        "a public suffix with credentials",
        "GET with cookies from `https://evil.github.io`",
        "https://evil.github.io",
        credentials=LOGGED_IN,
    ),
    Case(
        "every port of localhost, with credentials",
        "GET with cookies from `http://localhost:3000`",
        "http://localhost:3000",
        credentials=LOGGED_IN,
    ),
    Case("`null`", "GET from a sandboxed frame", "null"),
    Case("a wildcard in a name", "GET from `https://ui2.example`", "https://ui2.example"),
    Case(
        "a wildcard in a name",
        "GET from `https://ui.evil.example`",
        "https://ui.evil.example",
    ),
    Case("upper case", "GET from `https://ui.example`"),
    Case("PATCH as patch", "`fetch(url, {method: 'PATCH'})`", method="PATCH"),
]


def requests() -> list[dict[str, Any]]:
    return [request for case in CASES for request in case.requests()]


def record() -> None:
    """Run both libraries with Go, and write what they answer."""
    settings = {
        name: {"RS": theirs, "Jub0bs": also, "Debug": name == "debug mode"}
        for name, (theirs, also, _) in SETTINGS.items()
    }
    done = subprocess.run(
        ["go", "run", "."],
        input=json.dumps({"settings": settings, "requests": requests()}),
        cwd=FOLDER,
        env={"GOFLAGS": "-mod=mod", **os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    rows = [
        {"request": asked, **{name: said["answers"][name][at] for name in LIBRARIES}}
        for at, asked in enumerate(requests())
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = [
        f'"{name}": {json.dumps(each)},\n'
        for name, each in (
            ("versions", said["versions"]),
            ("options", said["options"]),
            ("settings", settings),
        )
    ]
    text = f'{{{"".join(head)}"rows": [\n{lines}\n]}}\n'
    ANSWERS.write_text(text, encoding="utf-8")


if os.environ.get("RECORD_GO"):
    record()
RECORDED = json.loads(ANSWERS.read_text(encoding="utf-8"))
ROWS = {json.dumps(row["request"]): row for row in RECORDED["rows"]}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """What tests/data/go_cors/main.go serves."""
    status = {"/gone": 404, "/boom": 500}.get(scope["path"], 200)
    own = [(b"access-control-allow-origin", b"https://own.example")]
    fields = own if scope["path"] == "/own" else []
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"hello"})


def recorded(library: str, case: Case) -> list[Response] | None:
    """Its answers to the case's requests; None where it refuses the settings."""
    said = [ROWS[json.dumps(asked)][library] for asked in case.requests()]
    if None in said:
        return None
    return [Response(each["status"], [tuple(field) for field in each["fields"]]) for each in said]


def answered(case: Case) -> list[Response] | None:
    """The answers of meshcors; None where it refuses the settings."""
    try:
        policy = Policy(**SETTINGS[case.settings][2])
    except PolicyError:
        return None
    with_policy = MeshCORS(app, policy)

    def ask(request: dict[str, Any]) -> Answered:
        return call_asgi(with_policy, request["method"], request["path"], request["fields"])

    said = [ask(request) for request in case.requests()]
    return [Response(each.status, each.headers) for each in said]


def judged(case: Case, answers: list[Response]) -> tuple[int, str]:
    """The status that decides, and the browser's verdict."""
    *before, real = answers
    verdict = judge(case.call, preflight=before[0] if before else None, response=real)
    return (before[0] if verdict.step == "preflight" else real).status, verdict.code


def told(case: Case, answers: list[Response] | None) -> str:
    return "refused at the start" if answers is None else cell(*judged(case, answers))


def in_go(value: object) -> str:
    """A setting as Go spells it."""
    if isinstance(value, list):
        return "[]string{" + ", ".join(f'"{each}"' for each in value) + "}"
    return str(value).lower()


def test_before_and_after_are_what_the_first_rows_run() -> None:
    for block, settings in zip(PAGE.blocks("go"), TEAM[:2], strict=True):
        written = dict(re.findall(r"^\s+(\w+): +(.*),$", block, re.MULTILINE))
        assert written == {name: in_go(value) for name, value in settings.items()}
    (after,) = PAGE.blocks()
    made: dict[str, Any] = {}
    exec(compile(after, str(PAGE.path), "exec"), made)
    assert made["policy"] == Policy(**TEAM[2])


def test_every_option_has_its_row() -> None:
    known = {name for names in RECORDED["options"].values() for name in names}
    assert {"AllowedOrigins", "Debug", "DangerouslyTolerateInsecureOrigins"} <= known
    assert {name for name in known if f"`{name}`" not in PAGE.text} == set()


# Without `authorization`, a star of headers is a warning.
@pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")
def test_the_table_is_what_they_answered_and_what_meshcors_answers() -> None:
    assert [row["request"] for row in RECORDED["rows"]] == requests()
    assert {name: each["RS"] for name, each in RECORDED["settings"].items()} == {
        name: theirs for name, (theirs, _, _) in SETTINGS.items()
    }
    assert {name: each["Jub0bs"] for name, each in RECORDED["settings"].items()} == {
        name: also for name, (_, also, _) in SETTINGS.items()
    }
    versions = [f"{name} {RECORDED['versions'][name]}" for name in LIBRARIES]
    lines = [f"| settings | call | {' | '.join(versions)} | meshcors |", "|---|---|---|---|---|"]
    same = dict.fromkeys(LIBRARIES, 0)
    for case in CASES:
        ours = answered(case)
        texts = []
        for name in LIBRARIES:
            theirs = recorded(name, case)
            texts.append(told(case, theirs))
            passes = [each and judged(case, each)[1] == "allowed" for each in (theirs, ours)]
            same[name] += passes[0] == passes[1]
        texts.append(told(case, ours))
        lines.append(f"| {case.settings} | {case.what} | {' | '.join(texts)} |")
    first, second = (f"{same[name]} of {len(CASES)} calls with {name}" for name in LIBRARIES)
    table = "\n".join(lines)
    said = f"The outcome is the same in {first}, and in {second}.\n\n{table}"
    PAGE.check("answers", said)
