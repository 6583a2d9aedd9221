"""The admin page in real browsers: read, clicked through and measured.

``WRITE_PAGES=1`` writes the screenshots in docs too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dummy_process import KEY, UI, PodProcess, preflight_fields, running
from tests.e2e.browsers import Browser, Page, launch
from tests.e2e.browsers.chromium import Chromium, ChromiumPage
from tests.written_pages import WRITE

EVIL = "https://<img src=x onerror=document.title='owned'>"
STAGING = "https://staging.ui.example"
LONG = (
    "https://a-tenant-with-a-long-name.and-many-labels.customers.eu-central-1.platform.example:8443"
)
ENDLESS = f"https://{'x' * 200}.example"
PICTURES = Path(__file__).parents[2] / "docs" / "pod-page"
RULES = {
    "rules": [
        {
            "hosts": ["models.example"],
            "pathPrefix": "/v1",
            "corsPolicy": {
                "allowOrigins": [{"exact": UI}, {"exact": LONG}],
                "allowMethods": ["PUT"],
                "allowHeaders": ["x-request-id"],
                "maxAge": "2h",
            },
            "key": {"header": KEY},
        },
        {"hosts": ["docs.example"], "corsPolicy": {"allowOrigins": [{"exact": "*"}]}},
    ]
}
CALL = {"origin": UI, "url": "https://models.example/v1", "headers": f"content-type,{KEY}"}

FILL_IN = """(values) => {
  const form = document.getElementById("question");
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  form.querySelector("button").click();
}"""
VERDICT = """() => {
  const shown = document.getElementById("verdict");
  return shown && {text: shown.textContent, color: getComputedStyle(shown).color,
                   method: document.getElementById("question").elements.method.defaultValue,
                   top: shown.getBoundingClientRect().top, hash: location.hash};
}"""
ASK_WHY = """(origin) => [...document.forms].find(
  (form) => form.id !== "question" && form.elements.origin.value === origin
).querySelector("button").click()"""
UNFOLD = """(unfolded) => {
  for (const each of document.querySelectorAll("details")) each.open = unfolded;
}"""
# Words that are on more than one line. Between two nodes the page itself allows a break.
BROKEN_WORDS = r"""() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange(), broken = [];
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/[\p{L}\p{N}]+/gu)) {
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      const tops = [...range.getClientRects()].filter((box) => box.width).map((box) => box.top);
      if (Math.max(...tops) - Math.min(...tops) > 4) broken.push(word[0]);
    }
  }
  return broken;
}"""
# What is shown with a contrast below 4.5 (WCAG 2.2, 1.4.3).
FAINT = r"""() => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => parts(color).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return (parts(color)[3] ?? 1) === 1 ? color : ground(element.parentElement);
  };
  const faint = [], contrasts = [];
  for (const element of document.body.querySelectorAll("*")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    const pseudo = element.matches("[placeholder]") ? "::placeholder" : null;
    if (!(texts.length || pseudo) || !element.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(element, pseudo).color), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    contrasts.push(contrast);
    if (contrast < 4.5) faint.push([element.outerHTML.slice(0, 80), contrast]);
  }
  return contrasts.length > 30 ? faint : "too few texts were found";
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launch("chromium") as started:
        yield started


@pytest.fixture(scope="module")
def firefox() -> Iterator[Browser]:
    with launch("firefox") as started:
        yield started


@pytest.fixture(params=["chromium", "firefox"])
def browser(request: pytest.FixtureRequest) -> Browser:
    found: Browser = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    """A pod that has refused all kinds of requests, and whose last reload failed."""
    folder = tmp_path_factory.mktemp("policy")
    path = folder / "policy.json"
    path.write_text(json.dumps(RULES))
    # Messages name the file as it was given.
    with contextlib.chdir(folder), running(policy=("--config", path.name)) as started:
        models = {"Host": "models.example"}
        for method in ["POST"] * 140 + ["PATCH"]:
            fields = preflight_fields(UI, method, f"content-type,{KEY}")
            started.ask("OPTIONS", "/v1/chat", models | fields)
        for origin in (EVIL, ENDLESS, LONG + "0"):
            started.ask("OPTIONS", "/v1/chat", models | preflight_fields(origin))
        started.ask("GET", "/v1/models", models)
        started.ask("POST", "/v1/chat", models | {"Origin": UI, KEY: "a"})
        started.ask("GET", "/v1/models", models | {"Origin": UI})
        for names in ("content-type,x-debug", *["content-type,x-trace"] * 3):
            started.ask("OPTIONS", "/v1/chat", models | preflight_fields(UI, "PUT", names))
        started.ask("OPTIONS", "/v2", {"Host": "old.example"} | preflight_fields(UI))
        for _ in range(12):
            fields = preflight_fields(STAGING, "PUT", f"content-type,{KEY}")
            started.ask("OPTIONS", "/v1/chat", models | fields)
        path.write_text(json.dumps(RULES).replace(UI, f"{UI}/"))
        started.await_(lambda: "The last reload failed" in started.admin("/").text)
        yield started


def front(pod: PodProcess) -> str:
    return f"http://127.0.0.1:{pod.admin_port}/"


def await_verdict(page: Page, method: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found: dict[str, Any] | None = page.run(VERDICT)
        except AssertionError:  # the old page is being replaced by the new one
            found = None
        if found and found["method"] == method:
            return found
        time.sleep(0.05)
    raise AssertionError("no verdict was shown")


def test_page_tells_whether_a_browser_would_allow_a_call(browser: Browser, pod: PodProcess) -> None:
    page = browser.open(front(pod))
    assert page.run("() => document.querySelector('h1').textContent") == "Preflight pod: Ready"
    page.run(FILL_IN, {**CALL, "method": "PATCH"})
    refused = await_verdict(page, "PATCH")
    assert refused["text"] == (
        "No. The browser does not send the call: the policy does not allow the method PATCH."
    )
    page.run(FILL_IN, {**CALL, "method": "PUT"})
    allowed = await_verdict(page, "PUT")
    assert allowed["text"] == "Yes. The call reaches a service, and the page may read the answer."
    # The page's own security policy allows its style.
    assert (refused["color"], allowed["color"]) == ("rgb(179, 32, 27)", "rgb(10, 107, 53)")
    assert page.run("() => document.scripts.length") == 0
    assert page.run("() => performance.getEntriesByType('resource').length") == 0
    assert page.console() == []


def test_what_requests_say_is_shown_as_text(browser: Browser, pod: PodProcess) -> None:
    page = browser.open(front(pod))
    assert page.run("(evil) => document.body.textContent.includes(evil)", EVIL)
    assert page.run("() => document.images.length") == 0
    page.run(FILL_IN, {"origin": EVIL, "url": '"><script>document.title="owned"</script>'})
    await_verdict(page, "POST")
    assert page.run("() => document.title") == "meshcors: preflight pod"
    shown = "() => document.getElementById('question').elements.origin.value"
    assert page.run(shown) == EVIL


def test_one_click_leads_from_a_refusal_to_its_answer(browser: Browser, pod: PodProcess) -> None:
    page = browser.open(front(pod))
    page.run(ASK_WHY, STAGING)
    answer = await_verdict(page, "PUT")
    assert answer["text"].endswith(f"the policy does not allow the origin {STAGING}.")
    # It is what the browser shows.
    assert answer["hash"] == "#answer"
    assert 0 <= answer["top"] < 100
    assert page.run("() => document.querySelector('#answer pre').textContent") == (
        f'allowOrigins: [{{"exact": "{STAGING}"}}]'
    )
    assert page.run(BROKEN_WORDS) == []
    assert page.run(FAINT) == []
    assert page.console() == []


@pytest.fixture(scope="module")
def answered(chromium: Chromium, pod: PodProcess) -> ChromiumPage:
    page = chromium.open(front(pod))
    page.run(ASK_WHY, STAGING)
    await_verdict(page, "PUT")
    return page


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_reader(
    chromium: Chromium, pod: PodProcess, answered: ChromiumPage, width: int, scheme: str
) -> None:
    for name, page in (("front", chromium.open(front(pod))), ("answer", answered)):
        size = {"width": width, "height": 1040, "deviceScaleFactor": 1, "mobile": width < 500}
        page.command("Emulation.setDeviceMetricsOverride", **size)
        preference = [{"name": "prefers-color-scheme", "value": scheme}]
        page.command("Emulation.setEmulatedMedia", features=preference)
        page.run(UNFOLD, False)
        if os.environ.get(WRITE):
            write_picture(page, f"{name}-{width}-{scheme}.png")
        page.run(UNFOLD, True)
        assert page.run("() => innerWidth") == width
        assert page.run("() => document.documentElement.scrollWidth") <= width
        assert page.run(BROKEN_WORDS) == []
        assert page.run(FAINT) == []
        ground = page.run("() => getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(243, 244, 246)", "dark": "rgb(14, 17, 22)"}[scheme]
        # Fingers are thicker than arrows (WCAG 2.2, 2.5.8).
        assert (
            page.run(
                "() => Math.min(...[...document.querySelectorAll('button, summary')]"
                ".map((each) => each.getBoundingClientRect().height))"
            )
            >= 24
        )


def write_picture(page: ChromiumPage, name: str) -> None:
    page.run("() => document.getElementById('answer')?.scrollIntoView()")
    page.command("Page.bringToFront")
    data = page.command("Page.captureScreenshot", format="png")["data"]
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / name).write_bytes(base64.b64decode(data))


def test_everything_is_reached_and_done_with_the_keyboard(
    chromium: Chromium, pod: PodProcess
) -> None:
    page = chromium.open(front(pod))
    wanted = page.run(
        "() => document.querySelectorAll('a, input:not([type=hidden]), button').length"
    )
    reached = []
    while "done" not in reached and len(reached) < 3 * wanted:
        press(page, "Tab")
        reached.append(
            page.run(
                """() => {
                  const element = document.activeElement;
                  if (element.seen || element === document.body) return "done";
                  element.seen = true;
                  return getComputedStyle(element).outlineStyle === "solid" && element.tagName;
                }"""
            )
        )
    assert False not in reached
    folded = page.run(
        "() => document.querySelectorAll('details :is(a, input:not([type=hidden]), button)').length"
    )
    assert sum(each in ("A", "INPUT", "BUTTON") for each in reached) == wanted - folded
    page.run("() => document.querySelector('.refusal button').focus()")
    press(page, "Enter")
    assert await_verdict(page, "PUT")["hash"] == "#answer"


def press(page: ChromiumPage, key: str) -> None:
    code = {"Tab": 9, "Enter": 13}[key]
    given = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    text = {"text": "\r"} if key == "Enter" else {}
    page.command("Input.dispatchKeyEvent", type="keyDown", **given, **text)
    page.command("Input.dispatchKeyEvent", type="keyUp", **given)
