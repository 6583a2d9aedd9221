"""The lab's page in real browsers: every call, the policy, a reload; read, measured and drawn.

``WRITE_PAGES=1`` writes the screenshots in docs too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshcors._lab.case import case_text
from tests.e2e.browsers import Browser, Page, await_console, launch
from tests.e2e.browsers import firefox as firefox_engine
from tests.e2e.test_lab import running_lab
from tests.e2e.test_pod_page import FAINT, press
from tests.written_pages import WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browsers.chromium import Chromium, ChromiumPage
    from tests.e2e.browsers.webkit import WebKit

DOCS = Path(__file__).parents[2] / "docs" / "lab.md"
PICTURES = DOCS.with_suffix("")
# call -> what the page says of it, in every browser
SUMMARIES = {
    "right-key": "Right key: blocked before, works after",
    "wrong-key": "Wrong key: blocked before, a readable 404 after",
    "no-key": "No key: blocked before, a readable 401 after",
    "stream": "Stream: blocked before, works after",
    "server-error": "Server error: blocked before, a readable 500 after",
    "with-credentials": "With credentials: blocked before, works after",
    "foreign-origin": "Foreign origin: blocked before and after, as it should be",
}
# What the script of the first call gets where it is blocked.
ERRORS = {
    "chromium": "TypeError: Failed to fetch",
    "firefox": "TypeError: NetworkError when attempting to fetch resource.",
    "webkit": "TypeError: Load failed",
}

DONE = """async (calls) => {
  for (let turn = 0; turn < 400; turn += 1) {
    if (Number(document.documentElement.dataset.done ?? 0) >= calls) return true;
    await new Promise((done) => setTimeout(done, 50));
  }
  return document.body.textContent;
}"""
SUMMARY = """async (wanted) => {
  const shown = document.getElementById("summary");
  for (let turn = 0; turn < 400 && shown.textContent !== wanted; turn += 1) {
    await new Promise((done) => setTimeout(done, 50));
  }
  return shown.textContent === wanted || shown.textContent;
}"""
CALLS = "() => Number(document.documentElement.dataset.done)"
PRESS = """(call) => document.querySelector(`#calls [data-call="${call}"]`).click()"""
SHOWN = """() => {
  const texts = (selector) =>
    [...document.querySelectorAll(selector)].map((each) => each.textContent);
  return {
    summary: texts("#summary")[0], verdicts: texts(".verdict"), got: texts(".got"),
    why: texts(".why:not([hidden])"),
    agrees: texts(".agrees"), body: texts("#after .body")[0], consoles: texts("#before dd"),
    sent: texts("#before .wire pre strong"), wire: texts("#before .wire")[0],
    titles: texts(".sequence title"), steps: texts("#after .sequence desc")[0],
    rules: texts("#calls summary"), alarms: texts(".alarm:not([hidden])"),
    pressed: texts("#calls [aria-pressed=true]"),
  };
}"""
TROUBLE = """async (wanted) => {
  const shown = document.getElementById("trouble");
  for (let turn = 0; turn < 400 && shown.hidden === wanted; turn += 1) {
    await new Promise((done) => setTimeout(done, 50));
  }
  return shown.textContent;
}"""
IN_SIGHT_AT_THE_END = """() => {
  scrollTo(0, document.documentElement.scrollHeight);
  const { top, bottom } = document.getElementById("trouble").getBoundingClientRect();
  return scrollY > 0 && top >= 0 && bottom <= innerHeight;
}"""
UNFOLDED = "() => [...document.querySelectorAll('#calls details')].map((each) => each.open)"
TYPE = """(text) => {
  const field = document.getElementById("policy");
  field.value = text;
  field.dispatchEvent(new Event("input"));
}"""
POLICY = "() => document.getElementById('policy').value"
VERDICT = """() => [document.getElementById("policy-verdict").textContent,
  document.getElementById("policy").getAttribute("aria-invalid")]"""

EVIL = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
# Texts of the pictures with a contrast below 4.5 to what they stand on.
FAINT_IN_PICTURES = r"""() => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => parts(color).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const faint = [];
  for (const text of document.querySelectorAll(".sequence text")) {
    let ground = text.previousElementSibling;
    while (ground.localName !== "rect") ground = ground.previousElementSibling;
    const colors = [text, ground].map((each) => light(getComputedStyle(each).fill)).sort();
    if ((colors[1] + 0.05) / (colors[0] + 0.05) < 4.5) faint.push(text.textContent);
  }
  return faint;
}"""
HEIGHTS = """() => [...document.querySelectorAll("button, summary, textarea")]
  .filter((each) => each.getClientRects().length)
  .map((each) => each.getBoundingClientRect().height)"""
LETTERS = """() => [...document.querySelectorAll(".sequence")].map(
  (each) => 12.5 * each.getBoundingClientRect().width / each.viewBox.baseVal.width)"""
END_OF_WAY = """() => Math.max(...[...document.querySelectorAll(".sequence")].map(
  (each) => each.getBoundingClientRect().bottom)) + scrollY"""
# Texts of the pictures that are wider than what they stand on.
OUTSIDE = """() => [...document.querySelectorAll(".sequence text")].filter((text) => {
  let ground = text.previousElementSibling;
  while (ground.localName !== "rect") ground = ground.previousElementSibling;
  const [inner, outer] = [text, ground].map((each) => each.getBoundingClientRect());
  return inner.left < outer.left || inner.right > outer.right
    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
}).map((text) => text.textContent)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launch("chromium") as started:
        yield started


@pytest.fixture(scope="module")
def firefox() -> Iterator[Browser]:
    with launch("firefox") as started:
        yield started


@pytest.fixture(scope="module")
def webkit() -> Iterator[Browser]:
    with launch("webkit") as started:
        yield started


@pytest.fixture(params=["chromium", "firefox", "webkit"])
def browser(request: pytest.FixtureRequest) -> Browser:
    found: Browser = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "model.yaml").write_text(case_text())
    return folder


@pytest.fixture(scope="module")
def lab(files: Path) -> Iterator[str]:
    # The page names the file as it was given.
    with contextlib.chdir(files), running_lab(files / "temporary", "model.yaml") as started:
        (files / "started").write_text("".join(started.lines))
        yield f"{started.address('page')}/"


def test_the_docs_show_what_is_printed(lab: str, files: Path) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    printed = (files / "started").read_text() + (files / "errors").read_text()
    lines = [
        sorted(
            re.sub(
                r":\d{4,5}(?:/[\w-]{22}/)?|\d\.\d s|(model|example)\.yaml", "…", text
            ).splitlines()
        )
        for text in (shown, printed)
    ]
    assert lines[0] == lines[1]


def opened(browser: Browser, address: str) -> Page:
    """The page, once it has made its first call."""
    page = browser.open(address)
    assert page.run(DONE, 1) is True
    return page


def made(page: Page, call: str) -> dict[str, Any]:
    """What the page shows once a button is pressed and its call is done."""
    calls = page.run(CALLS)
    page.run(PRESS, call)
    assert page.run(DONE, calls + 1) is True
    shown: dict[str, Any] = page.run(SHOWN)
    return shown


def real_names(line: str) -> str:
    """What a browser said of the lab's names, of the names that these stand for."""
    line = re.sub(r"http://([\w.-]+?)\.localhost:\d+", r"https://\1", line)
    return re.sub(r"[?&]lab=[\w-]+", "", line)


def test_the_first_call_tells_the_story(browser: Browser, lab: str) -> None:
    page = opened(browser, lab)
    shown = page.run(SHOWN)
    assert shown["summary"] == SUMMARIES["right-key"]
    assert shown["verdicts"] == ["✗ Blocked", "✓ Works"]
    assert ERRORS[browser.name] in shown["got"][0]
    assert [each[0] for each in shown["agrees"]] == ["✓", "✓"]
    (why,) = shown["why"]
    assert why.startswith("Why: a preflight names model-api-key but does not carry it")
    assert shown["sent"] == ["OPTIONS /", "404"]
    assert "✗ The POST was never sent: the browser stopped at the preflight." in shown["wire"]
    assert len(shown["titles"]) == 2
    assert len(shown["consoles"]) == 3
    assert shown["alarms"] == []
    # The model's line is what this browser printed.
    wanted = shown["consoles"][0].splitlines()

    def missing(lines: list[str]) -> list[str]:
        printed = real_names("\n".join(lines))
        return [each for each in wanted if each not in printed]

    assert missing(await_console(page, lambda lines: not missing(lines))) == []
    page.close()


def test_every_button_makes_its_call_on_both_sides(browser: Browser, lab: str) -> None:
    page = opened(browser, lab)
    calls = page.run(
        "() => [...document.querySelectorAll('#calls button')].map((each) => each.dataset.call)"
    )
    assert calls == list(SUMMARIES)
    for call, summary in SUMMARIES.items():
        shown = made(page, call)
        assert shown["summary"] == summary
        assert shown["pressed"] == [summary.partition(":")[0]]
        assert shown["alarms"] == [], call
        assert [each[0] for each in shown["agrees"]] == ["✓", "✓"], call
        if call == "stream":
            pieces = re.search(r"(\d+) pieces", shown["got"][1])
            assert pieces is not None
            assert int(pieces[1]) > 1
    assert not any("Content Security Policy" in line for line in page.console())
    page.close()


def two_rules() -> str:
    """The example with another key, and a second rule."""
    text = case_text().replace('"xyz"', '"another"')
    return text + text.partition("  http:\n")[2].replace('"another"', '"third"')


def verdict_on(page: Page, policy: str) -> tuple[str, str]:
    """Type a policy; return the verdict on it, and whether the field is marked as invalid."""
    before = page.run(VERDICT)
    page.run(TYPE, policy)
    deadline = time.monotonic() + 60
    while (now := page.run(VERDICT)) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    return now[0], now[1]


def test_the_policy_is_judged_while_it_is_typed_and_then_in_force(
    browser: Browser, lab: str
) -> None:
    page = opened(browser, lab)
    policy: str = page.run(POLICY)
    verdict, invalid = verdict_on(page, EVIL)
    assert verdict.startswith("✗ ")
    assert invalid == "true"
    # What is wrong is said as text.
    assert page.run("() => [document.images.length, document.scripts.length]") == [0, 1]
    assert page.run("() => document.title") == "meshcors lab"
    calls = page.run(CALLS)
    verdict, invalid = verdict_on(
        page, policy.replace("https://ui.example", "https://other.example")
    )
    assert verdict == "✗ With this policy, “Right key” is blocked at the preflight (acao_missing)."
    assert invalid == "false"
    # The pod has it now, and the call was made again.
    assert page.run(DONE, calls + 1) is True
    shown = page.run(SHOWN)
    assert shown["summary"] == "Right key: blocked before and after"
    assert shown["alarms"] == []
    assert verdict_on(page, policy)[0] == "✓ With this policy, “Right key” is allowed."
    assert page.run(DONE, calls + 2) is True
    assert page.run(SHOWN)["summary"] == SUMMARIES["right-key"]
    page.close()


# From here on every answer of the model says the opposite.
LIE = """() => {
  const real = window.fetch;
  window.fetch = async (url, init) => {
    const answer = await real(url, init);
    if (url !== "api/explain") return answer;
    const said = await answer.json();
    const allowed = !said.verdict.allowed;
    Object.assign(said.verdict, {allowed, outcome: "", code: "acao_missing"});
    return new Response(JSON.stringify(said), {headers: {"content-type": "application/json"}});
  };
}"""


def test_a_model_that_is_wrong_is_shown_to_be_wrong(chromium: Chromium, lab: str) -> None:
    page = opened(chromium, lab)
    page.run(LIE)
    shown = made(page, "right-key")
    assert shown["agrees"] == [
        "✗ The browser model and this browser disagree: the model says allowed, and this browser"
        " blocked the call.",
        "✗ The browser model and this browser disagree: the model says blocked at the"
        " answer (acao_missing), and this browser read the answer, a 200.",
    ]
    assert shown["alarms"] == shown["agrees"]
    page.close()


# Whatever the server says is markup, and the pictures have scripts in them.
SAY_MARKUP = """(evil) => {
  const real = window.fetch;
  const kept = ["id", "method", "path", "host", "address", "from", "credentials", "step"];
  const say = (value, name) => {
    if (name === "svg") {
      const open = `<svg xmlns="http://www.w3.org/2000/svg" onload="document.title='owned'">`;
      return `${open}<script>document.title = "owned"</script></svg>`;
    }
    if (name === "headers" && !Array.isArray(value)) return {"x-<b>": evil};
    if (Array.isArray(value)) return value.map((each) => say(each, ""));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, say(each, key)]));
    }
    return typeof value === "string" && !kept.includes(name) ? evil : value;
  };
  window.fetch = async (url, init) => {
    if (!url.startsWith("api/")) {
      return new Response(evil, {status: 200});
    }
    const said = say(await (await real(url, init)).json(), "");
    if (url === "api/state") said.notes = [evil];
    return new Response(JSON.stringify(said), {headers: {"content-type": "application/json"}});
  };
}"""


def test_what_the_server_and_answers_say_is_never_markup(chromium: Chromium, lab: str) -> None:
    page = chromium.open(lab)
    source = f"({SAY_MARKUP})({json.dumps(EVIL)})"
    page.command("Page.addScriptToEvaluateOnNewDocument", source=source)
    page.command("Page.reload")
    deadline = time.monotonic() + 60
    times = 0
    while times < 20 and time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):  # the old page is being replaced by the new one
            times = page.run("(evil) => document.body.textContent.split(evil).length", EVIL)
    assert times >= 20
    assert page.run("() => [document.images.length, document.title]") == [0, "meshcors lab"]
    page.close()


def test_a_stream_is_shown_while_it_comes(browser: Browser, lab: str) -> None:
    page = opened(browser, lab)
    times = page.run(
        """async () => {
          const times = [], body = document.querySelector("#after .body");
          const seen = () => body.childElementCount && times.push(performance.now());
          new MutationObserver(seen).observe(body, {childList: true});
          const {done} = document.documentElement.dataset;
          document.querySelector('#calls [data-call="stream"]').click();
          while (document.documentElement.dataset.done === done) {
            await new Promise((proceed) => setTimeout(proceed, 50));
          }
          return times;
        }"""
    )
    # The service takes more than a second for its five pieces.
    assert len(times) > 2
    assert times[-1] - times[0] > 500
    page.close()


def test_no_key_is_shown(chromium: Chromium, lab: str) -> None:
    page = opened(chromium, lab)
    script = page.run("() => document.getElementById('script').textContent")
    assert script == (
        'fetch("https://api.example.com/", {method: "POST", headers:'
        ' {"model-api-key": "…", "content-type": "application/json"}, body})'
    )
    assert (
        page.run("() => document.querySelector('#after .wire').textContent").count(
            "model-api-key: …"
        )
        == 1
    )
    page.close()


def test_the_page_follows_its_files(browser: Browser, lab: str, files: Path) -> None:
    page = opened(browser, lab)
    calls = page.run(CALLS)
    (files / "model.yaml").write_text("kind: VirtualService\nspec: [")
    trouble = page.run(TROUBLE, True)
    assert trouble.startswith("✗ model.yaml:2:8: not YAML")
    assert trouble.endswith(". The gateway still runs the last files that it could use.")
    # What ran before still does.
    assert page.run(DONE, calls + 1) is True
    assert page.run(IN_SIGHT_AT_THE_END) is True
    assert page.run(SHOWN)["summary"] == SUMMARIES["right-key"]
    (files / "model.yaml").write_text(case_text())
    assert page.run(TROUBLE, False) == ""
    assert page.run(DONE, calls + 2) is True
    page.close()


ROUTELESS = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: old, namespace: here}
spec: {hosts: [a.example], gateways: [public], http: [{redirect: {authority: b.example}}]}
"""
VISIBLE = """() => [...document.querySelectorAll("button, article, textarea")]
  .filter((each) => each.getClientRects().length).length"""


def test_files_without_a_call_are_no_empty_frame(chromium: Chromium, lab: str, files: Path) -> None:
    page = opened(chromium, lab)
    try:
        (files / "model.yaml").write_text(ROUTELESS)
        assert page.run(SUMMARY, "These files have no rule that a page could call.") is True
        assert page.run(VISIBLE) == 0
    finally:
        (files / "model.yaml").write_text(case_text())
    assert page.run(SUMMARY, SUMMARIES["right-key"]) is True
    assert page.run(VISIBLE) == len(SUMMARIES) + 3
    page.close()


def test_each_rule_has_its_calls(chromium: Chromium, lab: str, files: Path) -> None:
    page = opened(chromium, lab)
    calls = page.run(CALLS)
    (files / "model.yaml").write_text(two_rules())
    # The call is made again, with the key that the rule asks for now.
    assert page.run(DONE, calls + 1) is True
    shown = page.run(SHOWN)
    assert shown["summary"] == SUMMARIES["right-key"]
    assert len(shown["rules"]) == 2
    assert page.run(UNFOLDED) == [True, False]
    page.run("() => document.querySelectorAll('#calls details')[1].querySelector('button').click()")
    assert page.run(DONE, calls + 2) is True
    assert page.run(SHOWN)["summary"] == SUMMARIES["right-key"]
    assert page.run(UNFOLDED) == [True, True]
    (files / "model.yaml").write_text(case_text())
    assert page.run(DONE, calls + 3) is True
    page.close()


@pytest.fixture(scope="module")
def story(chromium: Chromium, lab: str) -> ChromiumPage:
    page = chromium.open(lab)
    assert page.run(DONE, 1) is True
    return page


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_reader(story: ChromiumPage, width: int, scheme: str) -> None:
    size = {"width": width, "height": 1040, "deviceScaleFactor": 1, "mobile": width < 500}
    story.command("Emulation.setDeviceMetricsOverride", **size)
    preference = [{"name": "prefers-color-scheme", "value": scheme}]
    story.command("Emulation.setEmulatedMedia", features=preference)
    if os.environ.get(WRITE):
        story.run("() => scrollTo(0, 0)")
        if width == 1280:
            write_picture(story, f"1280-{scheme}.png", bottom=story.run(END_OF_WAY))
        else:
            write_picture(story, f"390-before-{scheme}.png", bottom=1040)
            story.run("() => document.getElementById('after').scrollIntoView()")
            write_picture(story, f"390-after-{scheme}.png", bottom=1040)
    check_layout(story, width, scheme)


@pytest.fixture(scope="module")
def dark_firefox() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch:
        dark = {"layout.css.prefers-color-scheme.content-override": 0}
        patch.setattr(firefox_engine, "PREFERENCES", firefox_engine.PREFERENCES | dark)
        with launch("firefox") as started:
            yield started


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("engine", ["firefox", "webkit"])
def test_page_fits_its_reader_in_other_browsers(
    request: pytest.FixtureRequest, lab: str, engine: str, scheme: str, width: int
) -> None:
    if engine == "webkit":
        browser: WebKit = request.getfixturevalue("webkit")
        page: Any = browser.open(lab, f"width={width},height=900")
        page.command("Page.overrideUserPreference", name="PrefersColorScheme", value=scheme.title())
    else:
        page = request.getfixturevalue("dark_firefox" if scheme == "dark" else "firefox").open(lab)
        page.resize(width, 900)
    assert page.run(DONE, 1) is True
    check_layout(page, width, scheme)
    page.close()


def check_layout(page: Page, width: int, scheme: str) -> None:
    page.run("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert page.run("() => innerWidth") == width
    assert page.run("() => document.documentElement.scrollWidth") <= width
    assert page.run(FAINT) == []
    assert page.run(FAINT_IN_PICTURES) == []
    ground = page.run("() => getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(243, 244, 246)", "dark": "rgb(14, 17, 22)"}[scheme]
    # Fingers are thicker than arrows (WCAG 2.2, 2.5.8), and no letter of a picture is tiny.
    assert min(page.run(HEIGHTS)) >= 24
    assert min(page.run(LETTERS)) >= 11
    assert page.run(OUTSIDE) == []
    page.run("() => document.querySelectorAll('details').forEach((each) => (each.open = false))")


def write_picture(page: ChromiumPage, name: str, bottom: int) -> None:
    page.command("Page.bringToFront")
    size = page.run("() => [innerWidth, scrollY]")
    clip = {"x": 0, "y": size[1], "width": size[0], "height": bottom, "scale": 1}
    shot = page.command(
        "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
    )
    data = shot["data"]
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / name).write_bytes(base64.b64decode(data))


def test_everything_is_reached_and_done_with_the_keyboard(chromium: Chromium, lab: str) -> None:
    page = chromium.open(lab)
    assert page.run(DONE, 1) is True
    reached = []
    for _ in range(60):
        press(page, "Tab")
        found = page.run(
            """() => {
              const element = document.activeElement;
              if (element.seen || element === document.body) return null;
              element.seen = true;
              const style = getComputedStyle(element);
              return [element.tagName, style.outlineStyle === "solid"];
            }"""
        )
        if found is None:
            break
        reached.append(found)
    assert [tag for tag, outlined in reached if not outlined] == []
    tags = [tag for tag, _ in reached]
    assert tags[0] == "A"
    assert tags.count("BUTTON") == len(SUMMARIES)
    assert tags.count("SUMMARY") >= 3
    assert tags.count("TEXTAREA") == 1
    page.run("""() => document.querySelector('#calls [data-call="wrong-key"]').focus()""")
    press(page, "Enter")
    assert page.run(DONE, 2) is True
    shown = page.run(SHOWN)
    assert shown["summary"] == SUMMARIES["wrong-key"]
    assert page.run("() => document.activeElement.dataset.call") == "wrong-key"
    page.close()


def test_a_screen_reader_gets_names_and_news(chromium: Chromium, lab: str) -> None:
    page = opened(chromium, lab)
    page.command("Accessibility.enable")
    nodes = page.command("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and "name" in node and "role" in node
    }
    assert {
        ("heading", "meshcors lab"),
        ("heading", SUMMARIES["right-key"]),
        ("region", SUMMARIES["right-key"]),
        ("textbox", "The pod's policy"),
        ("button", "Right key"),
    } <= named
    assert len([name for role, name in named if role == "article" and name]) == 2
    assert len([name for role, name in named if role == "image" and name]) == 2
    assert not [role for role, name in named if role in ("button", "textbox", "image") and not name]
    live = page.run(
        "() => [...document.querySelectorAll('[aria-live], [role=alert]')].map((each) => each.id)"
    )
    assert live == ["trouble", "summary", "policy-verdict"]
    page.close()
