"""Lint: every rule on a file with the mistake and on one without, and what is printed."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import _cli as cli
from meshcors._policy.origins import Origin
from meshcors._policy.regex_examples import example_of
from meshcors.mesh import Gateway, GatewayRequest, read_documents
from meshcors.mesh._lint import RULES, links, lint
from meshcors.mesh._lint.explanations import EXPLANATIONS, explanation, sections
from meshcors.mesh._lint.formats import FORMATS
from meshcors.mesh._lint.rules import WOULD_NOT_LOAD
from meshcors.mesh._routing.cors_filter import origin_allowed
from meshcors.mesh._routing.matching import compiled
from tests import written_pages
from tests.lint_pages import INDEX, MORE, PAGES, case, example, marked_lines, page, pages
from tests.mesh_cases import vs

if TYPE_CHECKING:
    from meshcors.mesh._lint import LintRule

DATA = Path(__file__).parent / "data"
ADDRESS = "https://repository.example/meshcors"
ORIGINAL = DATA / "virtualservice_original.yaml"
BEFORE = DATA / "virtualservice_before.yaml"
SAMPLES = sorted((DATA / "istio-samples").glob("*.yaml"))
RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.id}-{rule.name}")


def example_part(path: Path) -> str:
    """The text of a file that stands before more cases of a lint rule."""
    return path.read_text().partition(MORE)[0]


def found(text: str) -> list[tuple[str, int]]:
    return [(each.rule.id, each.place.line) for each in lint({"model.yaml": text})]


@RULE
def test_a_rule_finds_the_marked_lines_and_no_others(rule: LintRule) -> None:
    for text in (case(rule, "found"), example(rule, "found")):
        marked = marked_lines(rule, text)
        assert [line for name, line in found(text) if name == rule.id] == marked
        assert marked


@RULE
def test_a_rule_is_silent_where_nothing_is_wrong(rule: LintRule) -> None:
    for text in (case(rule, "clean"), example(rule, "clean")):
        assert found(text) == []


def test_the_pages_on_the_rules_are_up_to_date() -> None:
    made = pages()
    for path, text in made.items():
        written_pages.check(path, text)
    assert set(PAGES.iterdir()) == made.keys() - {INDEX}


@RULE
def test_every_rule_is_explained(rule: LintRule) -> None:
    assert EXPLANATIONS.keys() == {rule.id for rule in RULES}
    texts = EXPLANATIONS[rule.id]
    assert all(text.endswith(".") for text in (texts.finds, texts.why, texts.fix))
    # it continues a sentence
    assert texts.not_reported == "" or re.fullmatch(r"[a-z`*Rc].*\.", texts.not_reported)
    printed = explanation(rule)
    assert printed.startswith(f"{rule.id} {rule.name} ({rule.severity}): {rule.title}\n")
    # code is not wrapped
    assert all(len(line) <= 80 or "`" in line for line in printed.splitlines()[1:])
    # the page and the terminal have the same words
    on_page = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", page(rule).read_text(encoding="utf-8"))
    for text in sections(rule).values():
        assert " ".join(text.split()) in " ".join(on_page.split())
        assert " ".join(text.split()) in " ".join(printed.split())


def test_the_original_file_has_what_made_it_fail() -> None:
    assert found(ORIGINAL.read_text()) == [
        ("MC001", 8),
        ("MC014", 10),
        ("MC004", 12),
        ("MC015", 13),
    ]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_of_istio_have_no_fault(path: Path) -> None:
    assert found(path.read_text()) == []


def test_ids_are_in_order_and_each_is_there_once() -> None:
    assert [rule.id for rule in RULES] == [f"MC{number:03}" for number in range(len(RULES))]


def test_files_are_one_mesh() -> None:
    original = ORIGINAL.read_text()
    preflights = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: preflights, namespace: cheetah}
spec:
  gateways: [model-deployment-gateway]
  hosts: ["*"]
  http:
  - match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}]
    route: [{destination: {host: meshcors-dummy}}]
"""
    ids = {finding.rule.id for finding in lint({"a.yaml": original, "b.yaml": preflights})}
    assert ids == {"MC004"}


@pytest.mark.parametrize(
    ("comment", "silenced"),
    [
        pytest.param("# meshcors: ignore MC015", True, id="its id"),
        pytest.param("#meshcors:ignore MC001, MC015", True, id="among others, no blanks"),
        pytest.param("# meshcors: ignore MC014", False, id="another id"),
        pytest.param("# meshcors: ignore", False, id="no id"),
        pytest.param("# ignore MC015", False, id="not addressed"),
    ],
)
def test_comments_silence_a_rule(comment: str, silenced: bool) -> None:
    lines = ORIGINAL.read_text().splitlines()
    at = next(at for at, line in enumerate(lines) if "maxAge" in line)
    same_line = [*lines[:at], f"{lines[at]} {comment}", *lines[at + 1 :]]
    line_above = [*lines[:at], f"      {comment}", *lines[at:]]
    far_above = [*lines[: at - 1], f"      {comment}", *lines[at - 1 :]]
    for text, expected in ((same_line, silenced), (line_above, silenced), (far_above, False)):
        ids = [finding.rule.id for finding in lint({"a.yaml": "\n".join(text)})]
        assert ("MC015" not in ids) == expected


def test_a_document_that_would_not_load_is_a_finding_and_the_others_are_read() -> None:
    broken = (DATA / "lint" / "mc000_found.yaml").read_text()
    findings = lint({"broken.yaml": broken, "model.yaml": ORIGINAL.read_text()})
    assert findings[0].rule is WOULD_NOT_LOAD
    assert "prefix" in findings[0].hint
    assert "MC001" in {finding.rule.id for finding in findings}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: [", id="unclosed"),
        pytest.param("apiVersion: v1\n\tkind: List\n", id="tab"),
        pytest.param("a: &a [*a, *b]\n", id="unknown alias"),
        pytest.param("[" * 5000, id="deep"),
        pytest.param(f"a: {'x' * 3_000_000}\n", id="large"),
        pytest.param(ORIGINAL.read_text() + "  http: []\n", id="duplicate key"),
        pytest.param("a: \x07\n", id="control character"),
    ],
)
def test_a_file_that_is_no_yaml_is_a_finding_and_the_others_are_read(text: str) -> None:
    alone = lint({"good.yaml": ORIGINAL.read_text()})
    first, *others = lint({"good.yaml": ORIGINAL.read_text(), "bad.yaml": text})
    assert (first.rule, first.place.file) == (WOULD_NOT_LOAD, "bad.yaml")
    assert [(it.rule, it.place, it.reason) for it in others] == [
        (it.rule, it.place, it.reason) for it in alone
    ]


def test_without_re2_a_regex_is_a_finding_and_not_called_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    text = (DATA / "lint" / "mc007_clean.yaml").read_text()
    (finding,) = lint({"a.yaml": text})
    assert finding.rule is WOULD_NOT_LOAD
    assert "pip install 'meshcors[regex]'" in finding.reason


def findings() -> list[Any]:
    return lint({"a,b:c%.yaml": ORIGINAL.read_text()})


@pytest.mark.usefixtures("installed")
def test_json_has_every_part() -> None:
    first = json.loads(FORMATS["json"](findings()))["findings"][0]
    assert (first["id"], first["severity"], first["line"], first["column"]) == (
        "MC001",
        "error",
        8,
        5,
    )
    assert first["explain"] == "meshcors lint --explain MC001"
    assert "docs" not in first
    assert first["object"] == "VirtualService cheetah/model"
    assert first["reason"]
    assert first["hint"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Message]:
    """The metadata of the package, in place of those that were installed."""
    found = Message()
    found["Version"] = "1.2.3"
    monkeypatch.setattr(metadata, "metadata", lambda name: {"meshcors": found}[name])
    links._docs.cache_clear()
    yield found
    links._docs.cache_clear()


def test_links_begin_with_the_address_of_the_source(installed: Message) -> None:
    installed["Project-URL"] = "Changelog, https://elsewhere.example"
    installed["Project-URL"] = f"Source, {ADDRESS}"
    assert RULES[1].docs == f"{ADDRESS}/blob/v1.2.3/docs/lint/mc001.md"
    listed = json.loads(FORMATS["json"](findings()))["findings"]
    assert listed[0]["docs"] == RULES[1].docs
    run = json.loads(FORMATS["sarif"]([]))["runs"][0]
    assert [each["helpUri"] for each in run["tool"]["driver"]["rules"]] == [
        each.docs for each in RULES
    ]


@pytest.mark.usefixtures("installed")
def test_without_an_address_a_link_is_a_path_in_the_repository() -> None:
    assert RULES[1].docs == "docs/lint/mc001.md"
    assert "helpUri" not in FORMATS["sarif"]([])


def test_without_metadata_a_link_is_a_path_in_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    links._docs.cache_clear()
    assert RULES[1].docs == "docs/lint/mc001.md"
    links._docs.cache_clear()


def test_github_commands_are_escaped() -> None:
    lines = FORMATS["github"](findings()).splitlines()
    assert len(lines) == len(findings())
    head = "::error file=a%2Cb%3Ac%25.yaml,line=8,col=5,title=MC001 lost-preflight::"
    assert lines[0].startswith(head)
    assert {line.split(" ")[0] for line in lines} == {"::error", "::notice"}
    assert FORMATS["github"]([]) == ""


def test_sarif_refers_to_its_rules() -> None:
    log = json.loads(FORMATS["sarif"](findings()))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert len(run["results"]) == len(findings())
    for result in run["results"]:
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["defaultConfiguration"]["level"] == result["level"]
        assert "How to fix it" in rule["help"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%2Cb%3Ac%25.yaml"
        assert place["region"]["startLine"] > 0
        assert result["locations"][0]["logicalLocations"] == [
            {"fullyQualifiedName": "VirtualService cheetah/model"}
        ]


def test_text_counts_what_was_found() -> None:
    *_, counts, more = FORMATS["text"](findings()).splitlines()
    assert counts == "2 errors, 2 notes"
    assert more == "To read about a lint rule: meshcors lint --explain MC001"
    assert FORMATS["text"]([]) == "no problems found"


def test_the_worst_findings_are_counted_and_explained_first() -> None:
    """Regression: a note at the top of the file was named first, and explained."""
    note = (DATA / "lint" / "mc015_found.yaml").read_text().partition(MORE)[0]
    (first, *_), (worst, *_) = lint({"a": note}), lint({"z": ORIGINAL.read_text()})
    *lines, counts, more = FORMATS["text"]([first, worst]).splitlines()
    assert [" note MC015" in lines[0], " error MC001" in lines[1]] == [True, True]
    assert counts == "1 error, 1 note"
    assert more == "To read about a lint rule: meshcors lint --explain MC001"


def test_a_finding_in_a_dump_names_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["lint", str(DATA / "dump.json")]
    name = "VirtualService cheetah/models"
    assert cli.run([*args, "--format", "github"]) == 1
    (error,) = (line for line in capsys.readouterr().out.splitlines() if "::error" in line)
    assert f"title=MC001 lost-preflight ({name})::a browser" in error
    for form, expected in (
        ("text", f"lost-preflight: {name}: a browser"),
        ("json", f'"object": "{name}"'),
        ("sarif", f'"fullyQualifiedName": "{name}"'),
    ):
        assert cli.run([*args, "--format", form]) == 1
        assert expected in capsys.readouterr().out


def test_what_is_not_yaml_is_no_part_of_the_object_before_it() -> None:
    first = ORIGINAL.read_text()
    named = [(each.rule.id, each.object) for each in lint({"a.yaml": f"{first}---\n\nspec: ["})]
    assert ("MC000", "") in named
    assert ("MC001", "VirtualService cheetah/model") in named


@pytest.mark.parametrize("form", ["a document", "in a List"])
def test_the_object_is_the_one_at_the_place(form: str) -> None:
    broken = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: {hosts: [a], htp: []}\n"
    )
    original = "\n".join(
        line for line in ORIGINAL.read_text().splitlines() if not line.startswith("#")
    )
    texts = (f"{original}\n", broken, f"{original}\n".replace("name: model,", "name: other,"))
    text = as_list(*texts) if form == "in a List" else "---\n".join(texts)
    lines = text.splitlines()
    listed = lint({"a.yaml": text})
    for each in listed:
        above = [at for at in range(each.place.line) if "metadata: {name" in lines[at]]
        if each.rule is WOULD_NOT_LOAD:
            assert each.object == ""
        else:
            assert each.object == "VirtualService cheetah/" + (
                "model" if "model," in lines[above[-1]] else "other"
            )
    assert len({each.object for each in listed}) == 3


@given(
    st.from_regex(
        r"https://[a-z]{1,5}(\\\.[a-z]{1,5}|\.\*|[a-c]|\[0-9\]\+|\(x\|y\)\??){1,4}", fullmatch=True
    )
)
def test_an_example_is_matched_by_its_regex(pattern: str) -> None:
    example = example_of(pattern)
    assert example is not None
    assert compiled(pattern).fullmatch(example)


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        pytest.param("a(b|c(d))+?e{2,3}f?", "abee", id="groups and repeats"),
        pytest.param(r"(?i)[^a-z]\d\.\w", "11.a", id="classes"),
        pytest.param("[[:alpha:]][]x]", "ax", id="POSIX classes, a bracket first"),
        pytest.param("(?P<name>a)(?:b)", "ab", id="named and unnamed groups"),
        pytest.param("a{0}b{1000}", None, id="more than is tried"),
        pytest.param(r"\bx", "x", id="a word's edge"),
        pytest.param(r"\p{Greek}", None, id="what is not read"),
        pytest.param("(" * 60 + ")" * 60, None, id="too deep"),
    ],
)
def test_examples_of_what_people_write(pattern: str, example: str | None) -> None:
    assert example_of(pattern) == example


@given(st.text(alphabet=r"ab.\*+?()[]{}|^$-0d,", max_size=20))
def test_no_regex_makes_the_search_for_an_example_fail(pattern: str) -> None:
    try:
        compiled(pattern)
    except ValueError:
        return
    example = example_of(pattern)
    assert example is None or compiled(pattern).fullmatch(example)


def test_what_lint_says_of_a_preflight_is_what_the_gateway_does() -> None:
    """MC001 means that the model answers 404 to the browser's preflight."""
    gateway = Gateway.from_yaml(ORIGINAL.read_text())
    headers = [
        ("origin", "https://ui.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "model-api-key"),
    ]
    assert gateway.handle(GatewayRequest("OPTIONS", "any.example", "/", headers)).kind == "no_route"
    (finding,) = (each for each in lint({"a": ORIGINAL.read_text()}) if each.rule.id == "MC001")
    assert re.search(r"names model-api-key .* 404", finding.reason)


WITHOUT_HOSTS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: delegate, namespace: cheetah}
spec:
  http:
  - route: [{destination: {host: model}}]
"""


def as_list(*texts: str) -> str:
    items = "".join("- " + text.replace("\n", "\n  ").rstrip(" ") for text in texts)
    return f"apiVersion: v1\nkind: List\nitems:\n{items}"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(WITHOUT_HOSTS, id="no hosts"),
        pytest.param(WITHOUT_HOSTS.replace("route:", "rout:"), id="an unknown field"),
        pytest.param("apiVersion: v1\n", id="no kind"),
        pytest.param((DATA / "lint" / "mc006_found.yaml").read_text(), id="a bad regex"),
    ],
)
@pytest.mark.parametrize("form", ["a document", "in a List"])
def test_one_document_that_would_not_load_does_not_stop_the_checking_of_the_rest(
    broken: str, form: str
) -> None:
    """Regression: one VirtualService without hosts kept the rest of a dump from being checked."""
    original = "\n".join(
        line for line in ORIGINAL.read_text().splitlines() if not line.startswith("#")
    )
    rest = f"{original}\n"

    def dump(*texts: str) -> str:
        return as_list(*texts) if form == "in a List" else "---\n".join(texts)

    own = {finding.rule.id for finding in lint({"a.yaml": dump(broken)})}
    alone = lint({"a.yaml": dump(rest)})
    for texts in ((broken, rest), (rest, broken)):
        together = lint({"a.yaml": dump(*texts)})
        reasons = [finding.reason for finding in together if finding.rule.id not in own]
        assert sorted(reasons) == sorted(each.reason for each in alone)
        assert len(together) > len(alone)
    assert own <= {"MC000", "MC006"}


def test_the_file_it_all_began_with_has_the_lost_preflight() -> None:
    """Regression: without a corsPolicy, nothing was found."""
    (finding,) = lint({"a.yaml": BEFORE.read_text()})
    assert (finding.rule.id, finding.place.line) == ("MC026", 8)
    assert re.search(r"names model-api-key .* 404", finding.reason)


def test_notes_are_one_line_a_document() -> None:
    lists = (DATA / "lint" / "mc014_found.yaml").read_text().partition("---\n")[0]
    (finding,) = (each for each in lint({"a.yaml": lists}) if each.rule.id == "MC014")
    assert finding.reason.startswith("names without effect in 3 lists: allowMethods: GET needs")
    listed = json.loads(FORMATS["json"]([finding]))["findings"]
    assert [(each["line"], each["hint"]) for each in listed] == [(12, "remove them")]
    several = "---\n".join(lists.replace("api.example", f"api{at}.example") for at in range(3))
    assert sum(each.rule.id == "MC014" for each in lint({"a.yaml": several})) == 3


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param([12], "names without effect in 2 lists: allowHeaders", id="the first"),
        pytest.param([12, 14], "exposeHeaders: set-cookie is", id="all but one"),
        pytest.param([12, 14, 15], "", id="all"),
    ],
)
def test_a_comment_silences_a_part_of_a_note(lines: list[int], left: str) -> None:
    text = (DATA / "lint" / "mc014_found.yaml").read_text().partition("---\n")[0].splitlines()
    for line in lines:
        text[line - 1] = f"{text[line - 1].partition('#')[0]} # meshcors: ignore MC014"
    reasons = [each.reason for each in lint({"a": "\n".join(text)}) if each.rule.id == "MC014"]
    assert len(reasons) == bool(left)
    assert all(reason.startswith(left) for reason in reasons)


BLOCKING = {"MC001", "MC002", "MC013", "MC016", "MC026", "MC030"}


@pytest.mark.parametrize("responder", ["pod", "mesh", "both"])
@pytest.mark.parametrize(
    "file", ["two_policies.yaml", "virtualservice_before.yaml", "virtualservice_original.yaml"]
)
def test_after_the_advice_is_followed_nothing_is_left(
    file: str, responder: str, tmp_path: Path
) -> None:
    document = tmp_path / file
    document.write_text((DATA / file).read_text())
    assert BLOCKING & {each.rule.id for each in lint({"a": document.read_text()})}
    wish = ["--with", responder, "--allow-origin", "https://ui.example", "--write"]
    assert cli.run(["fix", str(document), *wish]) == 0
    left = {each.rule.id for each in lint({"a": document.read_text()})}
    assert not BLOCKING & left


@pytest.mark.parametrize(
    "name",
    [
        "two_policies.yaml", "virtualservice_before.yaml", "virtualservice_original.yaml",
        "virtualservice_kserve.yaml", "http_route.yaml", "lint/mc001_found.yaml",
        "lint/mc002_found.yaml", "lint/mc004_found.yaml", "lint/mc021_found.yaml",
        "lint/mc026_found.yaml",
    ],
)  # fmt: skip
@pytest.mark.parametrize("args", [["a b.yaml"], ["."], ["-a.yaml"]])
def test_every_command_in_a_hint_works_as_printed(
    name: str,
    args: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = "a b.yaml" if args == ["."] else args[0]
    (tmp_path / file).write_text(example_part(DATA / name))
    monkeypatch.chdir(tmp_path)
    cli.run(["lint", "--format", "json", "--", *args])
    hints = [each["hint"] for each in json.loads(capsys.readouterr().out)["findings"]]
    commands = {hint[hint.index("meshcors fix") :] for hint in hints if "meshcors" in hint}
    for command in commands:
        assert cli.run(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out.startswith("---")


OWNED = "labels: {serving.kserve.io/inferenceservice: m}, name"


@pytest.mark.parametrize("name", ["virtualservice_original.yaml", "http_route.yaml"])
def test_what_a_controller_writes_is_left_to_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text((DATA / name).read_text().replace("metadata: {name", f"metadata: {{{OWNED}"))
    assert OWNED in path.read_text()
    hints = [(each.rule.id, each.hint) for each in lint({str(path): path.read_text()})]
    commands = {hint[hint.index("meshcors fix") :] for _, hint in hints if "meshcors fix" in hint}
    assert {"MC021"} <= {rule for rule, _ in hints}
    assert len(commands) <= 1
    for command in commands:
        assert command.endswith(" --separate")
        assert cli.run(shlex.split(command)[1:]) == 0
        assert "+++" in capsys.readouterr().out


def test_of_standard_input_there_is_no_file_to_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ORIGINAL.read_bytes())))
    assert cli.run(["lint", "-"]) == 1
    assert (
        "add a rule for preflights before this one: save the documents in a file, then meshcors fix"
        " FILE --allow-origin https://ui.example\n"
    ) in capsys.readouterr().out


def policy_of(entry: str, fields: str = "") -> str:
    return (DATA / "lint" / "mc004_clean.yaml").read_text().partition("---\n")[0].replace(
        '{exact: "*"}', entry
    ) + fields


@pytest.mark.parametrize(
    ("entry", "ids"),
    [
        pytest.param('{exact: "https://*.*.x.nz/*"}', {"MC005"}, id="exact, stars and a path"),
        pytest.param('{prefix: "https://*.x.nz"}', {"MC005"}, id="a star in a prefix"),
        pytest.param('{prefix: "https://x.nz/a"}', {"MC005"}, id="a path in a prefix"),
        pytest.param('{prefix: "ui.x.nz"}', {"MC005"}, id="a prefix without scheme"),
        pytest.param('{prefix: "https://x.n"}', {"MC010"}, id="a prefix of names"),
        pytest.param('{prefix: "https://x.nz:443"}', set(), id="a prefix of a port"),
        pytest.param('{regex: "https://*.*.x.nz/*"}', {"MC007", "MC009"}, id="a regex by mistake"),
        pytest.param(r'{regex: "https://ui\\.x\\.nz/"}', {"MC005"}, id="a slash"),
        pytest.param(r'{regex: "https://ui\\.x\\.nz/?"}', set(), id="a slash, or none"),
        pytest.param(r'{regex: "https://\\*\\.x\\.nz"}', {"MC005"}, id="a star as such"),
        pytest.param(r'{regex: "(?i)HTTPS://UI\\.X\\.NZ"}', set(), id="capitals"),
        pytest.param(r'{regex: "https://ui\\.x\\.nz:[0-9]+"}', set(), id="any port"),
        pytest.param('{regex: "https://.+:[0-9]+"}', {"MC009"}, id="any host on a port"),
        pytest.param('{regex: "https://ui.x.nz:.*"}', {"MC007", "MC009"}, id="dots and any port"),
        pytest.param('{regex: ".*x.nz"}', {"MC007", "MC009"}, id="no scheme"),
    ],
)
def test_origins_are_what_envoy_makes_of_them(entry: str, ids: set[str]) -> None:
    """An example in a finding is an origin that a browser could send and the entry allows."""
    text = policy_of(entry)
    found = lint({"a": text})
    assert {each.rule.id for each in found} == ids
    allowed = read_documents(text)[0].http[0].cors_policy
    assert allowed
    for each in found:
        for named in re.findall(r"(?:also allows|so) (\S+)", each.reason):
            Origin.parse(named)
            assert origin_allowed(allowed, named)


@pytest.mark.parametrize(
    "field", ["provider: nginx", "provider: gatewayapi:v1", "service: {delegation: true}"]
)
def test_a_canary_is_read_for_istio_only(field: str) -> None:
    canary = (DATA / "lint" / "mc001_found.yaml").read_text().rpartition("---\n")[2]
    assert {name for name, _ in found(canary)} == {"MC001"}
    name, _, value = field.partition(": ")
    changed = (
        canary.replace("  service:\n", "  service:\n    delegation: true\n")
        if name == "service"
        else f"{canary}  {name}: {value}\n"
    )
    assert found(changed) == []


def test_a_canary_beside_what_flagger_made_of_it_is_not_read() -> None:
    canary = (DATA / "lint" / "mc001_found.yaml").read_text().rpartition("---\n")[2]
    made = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: flagger, namespace: cheetah}
spec:
  gateways: [gateway]
  hosts: [flagger.example.com]
  http:
  - route: [{destination: {host: flagger-primary}}]
"""
    assert found(canary + made) == []


AUTHORIZATION = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: %s}
spec: %s
"""
NOTHING = AUTHORIZATION % ("istio-system", "{}")
DRY_RUN = NOTHING.replace("{name: a", "{annotations: {istio.io/dry-run: 'true'}, name: a")
OPTIONS_ALLOWED = "{rules: [{to: [{operation: {methods: [OPTIONS]}}]}]}"
SELECTED = "selector: {matchLabels: {istio: ingressgateway}}"
OF_GATEWAY = f"{{{SELECTED}, {OPTIONS_ALLOWED[1:]}"


@pytest.mark.parametrize(
    ("policies", "is_found"),
    [
        pytest.param(NOTHING, True, id="alone"),
        pytest.param(DRY_RUN, False, id="a dry run"),
        pytest.param(NOTHING + AUTHORIZATION % ("istio-system", OPTIONS_ALLOWED), False, id="two"),
        pytest.param(
            NOTHING + DRY_RUN.replace("spec: {}", f"spec: {OPTIONS_ALLOWED}"),
            True,
            id="a dry ALLOW",
        ),
        pytest.param(NOTHING + AUTHORIZATION % ("b", OPTIONS_ALLOWED), True, id="elsewhere"),
        pytest.param(NOTHING + AUTHORIZATION % ("istio-system", OF_GATEWAY), True, id="for one"),
        pytest.param(
            AUTHORIZATION % ("b", f"{{{SELECTED}}}") + AUTHORIZATION % ("b", OF_GATEWAY),
            False,
            id="both for one",
        ),
        pytest.param(
            AUTHORIZATION % ("b", f"{{{SELECTED}}}")
            + AUTHORIZATION % ("istio-system", OPTIONS_ALLOWED),
            False,
            id="one for all",
        ),
        pytest.param(
            AUTHORIZATION % ("istio-system", "{action: DENY, rules: [{}]}")
            + AUTHORIZATION % ("istio-system", OPTIONS_ALLOWED),
            True,
            id="a DENY",
        ),
    ],
)
def test_all_policies_that_allow_are_judged_together(policies: str, is_found: bool) -> None:
    text = (DATA / "lint" / "mc019_clean.yaml").read_text().partition("---\n")[0]
    assert ("MC019" in {name for name, _ in found(text + policies)}) == is_found


def test_a_wrong_policy_is_found_once() -> None:
    text = (DATA / "two_policies.yaml").read_text()
    assert found(text) == [("MC002", 8)]
    # then the other policy only lacks the header
    same = text.replace("https://web.example", "https://ui.example")
    assert found(same) == [("MC013", 16)]


def test_the_rules_of_a_delegate_are_reached_through_its_root() -> None:
    root = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: cheetah}
spec:
  gateways: [gateway]
  hosts: [api.example.com]
  http:
  - match: [{uri: {prefix: /v1}}]
    delegate: {name: delegate}
"""
    delegate = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: delegate, namespace: cheetah}
spec:
  http:
  - match: [{uri: {prefix: /v1/chat}}]
    corsPolicy:
      allowOrigins: [{exact: "https://ui.example"}]
      allowHeaders: [content-type]
      unmatchedPreflights: IGNORE
    route: [{destination: {host: model}}]
"""
    assert found(root + delegate) == []
    shadowed = root.replace("  - match", "  - route: [{destination: {host: web}}]\n  - match")
    assert [name for name, _ in found(shadowed + delegate)] == ["MC027"]


def test_a_newline_in_a_name_begins_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CI systems read lines such as ``::error::`` as commands."""
    rule = '{"x\\n::error title=FORGED::y": 1, route: [{destination: {host: a}}]}'
    monkeypatch.chdir(tmp_path)
    Path("a\n::error::b.yaml").write_text(vs(rule))
    assert cli.run(["lint", "."]) == 1
    printed = capsys.readouterr().out
    assert "FORGED" in printed
    assert not any(line.startswith("::") for line in printed.splitlines())
