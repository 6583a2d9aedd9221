"""The list of pages on coming from elsewhere, and its table of what each library answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshcors import _cli as cli
from meshcors.browser import Request, Response, judge_preflight, preflight_for
from tests.calling import EVIL, UI
from tests.coming_from import (
    ACAO,
    DOCS,
    Page,
    cell,
    flask_cors,
    ours,
    ours_in_flask,
    theirs,
    verdict,
)

INDEX = Page("index")
JSON = {"content-type": "application/json", "x-version": "1"}
# What is asked: (the calls of the browser model, or a method and fields that no page sends)
ASKED: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "PUT with both headers": (UI, "PUT", "/api/hello", JSON),
    "DELETE, which is not listed": (UI, "DELETE", "/api/hello", {}),
    "a header that is not listed": (UI, "GET", "/api/hello", {"x-other": "1"}),
    "PUT from another origin": (EVIL, "PUT", "/api/hello", JSON),
    "PUT to a path without a route": (UI, "PUT", "/nowhere", JSON),
}
SIMPLE: dict[str, tuple[str, str]] = {
    "GET": (UI, "/api/hello"),
    "GET from another origin": (EVIL, "/api/hello"),
    "GET to a path without a route": (UI, "/nowhere"),
    "GET that raises an exception": (UI, "/api/boom"),
    "GET, and the app sets `access-control-allow-origin` itself": (UI, "/api/own"),
}


def table() -> str:
    same = {"allow_headers": ["content-type", "x-version"]}
    listed = ["GET", "POST", "PUT"]
    columns = {
        "CORSMiddleware": theirs(allow_origins=[UI], allow_methods=listed, **same),
        "flask-cors": flask_cors(origins=[UI], methods=listed, **same),
        "meshcors in Starlette": ours(allow_origins=[UI], allow_methods=["PUT"], **same),
        "meshcors in Flask": ours_in_flask(allow_origins=[UI], allow_methods=["PUT"], **same),
    }
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]

    def add(name: str, cells: list[tuple[int, str]]) -> None:
        texts = [cell(status, code) for status, code in cells]
        lines.append(f"| {name} | {' | '.join(texts)} |")

    for name, (origin, method, path, headers) in ASKED.items():
        call = Request(origin, f"https://api.example{path}", method, headers, "omit")
        asked = preflight_for(call)
        assert asked is not None
        answers = [serve("OPTIONS", path, asked) for serve in columns.values()]
        judged = [judge_preflight(call, Response(each.status, each.headers)) for each in answers]
        statuses = [each.status for each in answers]
        add(f"preflight: {name}", list(zip(statuses, [each.code for each in judged], strict=True)))
    for name, (origin, path) in SIMPLE.items():
        answers = [serve("GET", path, [("origin", origin)]) for serve in columns.values()]
        codes = [verdict(serve, origin=origin, path=path) for serve in columns.values()]
        add(name, list(zip([each.status for each in answers], codes, strict=True)))
    plain = [serve("OPTIONS", "/api/hello", [("origin", UI)]) for serve in columns.values()]
    allowed = [each.get(ACAO) == UI for each in plain]
    assert all(allowed)
    sources = ["the app" if each.get("allow") else "the middleware" for each in plain]
    cells = [f"{each.status}, from {name}" for each, name in zip(plain, sources, strict=True)]
    lines.append(f"| OPTIONS that is not a preflight | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_table_of_answers_is_what_they_answer() -> None:
    INDEX.check("answers", table())


@pytest.mark.parametrize(
    ("name", "language", "code"),
    [
        ("starlette", "python", 0),
        ("flask-cors", "python", 0),
        ("django-cors-headers", "python", 0),
        ("asgi-cors", "python", 0),
        ("nginx", "nginx", 2),
        ("istio", "yaml", 0),
    ],
)
def test_before_is_read_as_a_policy_where_the_page_says_so(
    name: str,
    language: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = Page(name)
    (command,) = re.findall(r"`meshcors (render --to policy [^`]*)`", page.text)
    monkeypatch.chdir(tmp_path)
    Path(command.split()[-1]).write_text(page.blocks(language)[0], encoding="utf-8")
    assert cli.run(command.split()) == code
    printed, complaints = capsys.readouterr()
    if code:
        assert "lets any site act as the user" in complaints
    else:
        Path("policy.yaml").write_text(printed, encoding="utf-8")
        assert cli.run(["render", "--config", "policy.yaml", "--to", "kubernetes"]) == 0


def test_the_index_names_every_page() -> None:
    names = {path.name for path in DOCS.glob("*.md")} - {"index.md"}
    assert {name for name in names if f"({name})" not in INDEX.text} == set()
