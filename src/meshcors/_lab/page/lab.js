// The lab's page: it makes each call for real, before and after, and shows what came of it beside
// what the models say. Everything that an answer, a file or the server says is shown as text, never
// as HTML. The same module runs in the frame of the foreign origin, where it only makes calls.

const CONSOLES = { chromium: "Chromium", firefox: "Firefox", safari: "Safari" };
const HERE = /Firefox\//.test(navigator.userAgent) ? "firefox"
  : /Chrom(e|ium)\//.test(navigator.userAgent) ? "chromium" : "safari";
const SIDES = ["before", "after"];
// What a script sets that is no key, so that its value may be shown.
const OPEN_HEADERS = ["accept", "accept-language", "content-language", "content-type"];
const PATIENCE = 20_000; // milliseconds until a call without an answer is given up
const MOST_TEXT = 4096; // letters of a body that are shown
const MOST_CHUNKS = 50;

const byId = (id) => document.getElementById(id);
const sleep = (time) => new Promise((done) => setTimeout(done, time));

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// ---- A call, as any page's script makes it.

async function perform(url, init, tell) {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE) });
    tell({ kind: "answer", status: answer.status });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; reader && !(part = await reader.read()).done; ) {
      tell({ kind: "chunk", text: part.value });
    }
    tell({ kind: "end" });
  } catch (error) {
    tell({ kind: "error", text: String(error), known: error instanceof TypeError });
  }
}

// In the frame: whoever embeds it may ask for calls; the server says who may embed it.
function serveCalls() {
  addEventListener("message", ({ source, origin, data }) => {
    if (source !== parent) return;
    perform(data.url, data.init, (event) => parent.postMessage({ id: data.id, event }, origin));
  });
  parent.postMessage({ ready: true }, "*");
}

// ---- The calls of other origins, each made in a frame of its own.

const frames = new Map();

function frameOf(address) {
  const known = frames.get(address);
  if (known) return known;
  const view = element("iframe");
  const frame = { view, listeners: new Map(), ready: null };
  frame.ready = new Promise((ready) => {
    addEventListener("message", ({ source, origin, data }) => {
      if (origin !== address || source !== view.contentWindow) return;
      if (data.ready) ready();
      frame.listeners.get(data.id)?.(data.event);
    });
  });
  view.title = "A page of another origin, which makes its calls";
  view.hidden = true;
  view.src = `${address}/frame`;
  document.body.append(view);
  frames.set(address, frame);
  return frame;
}

async function performInFrame(address, id, url, init, tell) {
  const frame = frameOf(address);
  await frame.ready;
  return new Promise((done) => {
    frame.listeners.set(id, (event) => {
      tell(event);
      if (event.kind !== "end" && event.kind !== "error") return;
      frame.listeners.delete(id);
      done();
    });
    frame.view.contentWindow.postMessage({ id, url, init }, address);
  });
}

// ---- What the server says.

let state = null;

async function ask(path, init) {
  try {
    const answer = await fetch(path, init);
    const said = await answer.json().catch(() => ({}));
    return answer.ok ? said : { error: said.error ?? `The lab's server said ${answer.status}.` };
  } catch {
    return { error: "The lab's server does not answer." };
  }
}

const explain = (side, call, policy) => ask("api/explain", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ side, call: call.id, policy }),
});

// Envoy's log may be a moment late.
async function traffic(id, expected) {
  let seen = [];
  for (let turn = 0; turn < 20 && seen.length < expected; turn++) {
    if (turn) await sleep(150);
    const said = await ask(`api/traffic?id=${id}`);
    if (Array.isArray(said)) seen = said;
  }
  return seen;
}

// ---- One side: what the browser did, what the models say, what the gateway saw.

function panel(side) {
  const view = byId("side").content.cloneNode(true).querySelector("article");
  view.id = side;
  view.querySelector("h3").id = `${side}-title`;
  view.setAttribute("aria-labelledby", `${side}-title`);
  const find = (selector) => view.querySelector(selector);
  find(".wire").open = matchMedia("(min-width: 56rem)").matches;
  return {
    view, heading: find("h3"), note: find(".note"), outcome: find(".outcome"), verdict: find(".verdict"),
    got: find(".got"), body: find(".body"), why: find(".why"), agrees: find(".agrees"), here: find(".here"),
    others: find(".others"), picture: find(".picture"), wire: find(".wire ol"),
  };
}

const panels = {};

// In a word, and whether it is what the owner of the service wants.
function judged(call, done) {
  const readable = done.status !== null;
  if (!done.known) return { words: "no answer", good: false };
  const unwanted = call.from === "stranger" || (call.credentials === "include" && !call.meant);
  if (!readable) return { words: "blocked", good: unwanted };
  if (call.from === "stranger") return { words: "a stranger reads the answer", good: false };
  return { words: done.status < 400 ? "works" : `a readable ${done.status}`, good: !done.broken };
}

function showOutcome(view, call, done) {
  const { words, good } = judged(call, done);
  view.outcome.className = `outcome ${good ? "good" : "bad"}`;
  view.verdict.textContent = `${good ? "✓" : "✗"} ${words[0].toUpperCase()}${words.slice(1)}${
    good && done.status === null ? ", as it should be" : ""}`;
  const pieces = done.chunks > 1 ? ` and ${done.chunks} pieces as they come` : "";
  const end = done.broken ? `, and then the answer breaks off: “${done.error}”` : ":";
  view.got.textContent = done.status === null ? `The script gets no status and no answer, only “${done.error}”`
    : `The script reads the status ${done.status}${pieces}${end}`;
}

// Make the call and show the answer while it comes in.
async function make(call, side, id, isCurrent) {
  const view = panels[side];
  const url = `http://${call.host}:${state.sides[side].port}${call.path}${call.path.includes("?") ? "&" : "?"}lab=${id}`;
  const init = { method: call.method, headers: call.headers, credentials: call.credentials };
  if (call.body !== null) init.body = call.body;
  const done = { status: null, error: "", known: true, broken: false, chunks: 0 };
  const start = performance.now();
  const tell = (event) => {
    if (event.kind === "answer") done.status = event.status;
    if (event.kind === "chunk") done.chunks += 1;
    if (event.kind === "error") {
      done.broken = done.status !== null;
      Object.assign(done, { error: event.text, known: event.known || done.broken });
    }
    if (!isCurrent()) return;
    showOutcome(view, call, done);
    if (event.kind !== "chunk" || done.chunks > MOST_CHUNKS) return;
    const time = ((performance.now() - start) / 1000).toFixed(1);
    const text = call.stream ? `${time} s  ${event.text.trim()}\n` : event.text;
    view.body.append(element("span", text.slice(0, Math.max(MOST_TEXT - view.body.textContent.length, 0))));
    view.body.hidden = false;
    view.body.scrollTop = view.body.scrollHeight;
  };
  await (call.frame ? performInFrame(call.frame, id, url, init, tell) : perform(url, init, tell));
  return done;
}

function inWords({ allowed, outcome, code, step }) {
  if (outcome === "depends") return "allowed or not, depending on what your service answers";
  return allowed ? "allowed" : `blocked at the ${step === "preflight" ? "preflight" : "answer"} (${code})`;
}

function showWhy(view, why) {
  view.why.textContent = why && `Why: ${why}.`;
  view.why.hidden = !why;
}

function showAgreement(view, explained, done) {
  const { allowed, outcome, messages } = explained.verdict;
  const readable = done.status !== null;
  const agree = outcome === "depends" || (done.known && allowed === readable);
  view.agrees.className = `agrees ${agree ? "" : "alarm"}`;
  view.agrees.textContent = agree ? `✓ The browser model says the same: ${inWords(explained.verdict)}.`
    : `✗ The browser model and this browser disagree: the model says ${inWords(explained.verdict)}, and this browser ${
      readable ? `read the answer, a ${done.status}` : done.known ? "blocked the call" : "got no answer in time"}.`;
  if (outcome === "depends") view.agrees.textContent = "The browser model cannot say: it depends on what your service answers.";
  const line = (engine) => [
    element("dt", `${CONSOLES[engine]}’s console${engine === HERE ? ", as in this browser" : ""}`),
    element("dd", messages[engine] || (allowed ? "(nothing)" : "(no line known)")),
  ];
  const others = Object.keys(CONSOLES).filter((engine) => engine !== HERE);
  view.here.replaceChildren(...(allowed ? [] : line(HERE)));
  view.others.hidden = allowed;
  view.others.querySelector("summary").textContent = `In ${others.map((engine) => CONSOLES[engine]).join(" and ")}`;
  view.others.querySelector("dl").replaceChildren(...others.flatMap(line));
}

// The picture comes from the lab's own server, and scripts in it would not run.
function showPicture(view, svg) {
  const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  view.picture.replaceChildren(picture.localName === "svg" ? document.importNode(picture, true) : "No picture.");
}

// What decides about a call is shown, without the value of a key or a cookie. Of all else the names are enough.
const DECIDES = /^(access-control-.*|origin|vary|location|www-authenticate|content-type)$/;
const SECRETS = ["cookie", "set-cookie", "authorization"];

function message(call, first, lines) {
  const view = element("pre");
  const keys = Object.keys(call.headers).map((name) => name.toLowerCase()).filter((name) => !OPEN_HEADERS.includes(name));
  const others = [];
  view.append(element("strong", first));
  for (const [name, value] of lines.map(([name, value]) => [name.toLowerCase(), value])) {
    if (keys.includes(name) || SECRETS.includes(name)) view.append(`\n${name}: …`);
    else if (DECIDES.test(name)) view.append(`\n${name}: ${value}`);
    else others.push(name);
  }
  if (others.length) view.append("\n", element("span", `and ${others.join(", ")}`, "soft"));
  return view;
}

const withoutId = (path) => path.replace(/[?&]lab=[^&]*/, "");

function showWire(view, call, seen, explained) {
  const items = seen.map((each, place) => {
    const item = element("li");
    const expected = explained.received?.[place]?.status;
    item.append(
      element("p", "Sent", "soft"), message(call, `${each.method} ${withoutId(each.path)}`, each.sent),
      element("p", "Came back", "soft"), message(call, String(each.status || "no answer"), each.received),
    );
    if (expected && expected !== each.status) item.append(element("p", `✗ The model expected ${expected}.`, "alarm"));
    const flags = each.flags && `, with Envoy's flag ${each.flags}`;
    item.append(element("p", `${each.rule ? `Rule ${each.rule}` : "No rule matched"}; ${
      each.upstream || "the gateway itself"} answered${flags}.`, "soft"));
    return item;
  });
  if (!seen.length) items.push(element("li", "The gateway saw none of this call.", "soft"));
  else if (!seen.some((each) => each.method === call.method)) {
    items.push(element("li", `✗ The ${call.method} was never sent: the browser stopped at the preflight.`, "bad"));
  }
  view.wire.replaceChildren(...items);
}

function clear(view) {
  view.judged = null;
  view.outcome.className = "outcome";
  view.verdict.textContent = "Calling…";
  view.got.textContent = view.agrees.textContent = "";
  view.body.replaceChildren();
  view.body.hidden = view.why.hidden = view.others.hidden = true;
  view.here.replaceChildren();
  view.picture.replaceChildren();
  view.wire.replaceChildren();
}

// ---- Both sides.

let current = null;
let runs = 0;
const turns = { before: 0, after: 0 };

async function run(call, sides = SIDES) {
  const turn = ++runs;
  current = call;
  history.replaceState(null, "", `#${call.id}`);
  for (const button of byId("calls").querySelectorAll("button")) {
    const pressed = button.dataset.call === call.id;
    button.setAttribute("aria-pressed", String(pressed));
    if (pressed && button.closest("details")) button.closest("details").open = true;
  }
  showScript(call);
  for (const side of sides) {
    turns[side] = turn;
    clear(panels[side]);
  }
  await Promise.all(sides.map((side) => runSide(call, side, turn)));
  if (sides.every((side) => turns[side] === turn)) document.documentElement.dataset.done = String(turn);
}

async function runSide(call, side, turn) {
  const view = panels[side];
  const isCurrent = () => turns[side] === turn;
  const id = `${side}-${turn}-${Date.now().toString(36)}`;
  const [done, explained] = await Promise.all([make(call, side, id, isCurrent), explain(side, call)]);
  if (!isCurrent()) return;
  view.judged = judged(call, done);
  showSummary(call);
  if (explained.error) view.agrees.textContent = explained.error;
  else {
    showWhy(view, explained.why);
    showAgreement(view, explained, done);
    showPicture(view, explained.svg);
  }
  const seen = await traffic(id, explained.sent?.length ?? 1);
  if (isCurrent()) showWire(view, call, seen, explained);
}

function showSummary(call) {
  const [before, after] = SIDES.map((side) => panels[side].judged);
  if (!before || !after) return;
  const same = before.words === after.words;
  byId("summary").textContent = `${call.title}: ${before.words}${same ? " before and after" : ` before, ${after.words} after`}${
    same && before.good && before.words === "blocked" ? ", as it should be" : ""}`;
}

function showScript(call) {
  const value = ([name, value]) => `"${name}": "${OPEN_HEADERS.includes(name.toLowerCase()) ? value : "…"}"`;
  const headers = Object.entries(call.headers).map(value).join(", ");
  byId("script").textContent = `${call.frame ? `// in a page of ${call.origin}\n` : ""}`
    + `fetch("https://${call.host.replace(/\.localhost$/, "")}${call.path}", {method: "${call.method}"`
    + `${headers && `, headers: {${headers}}`}${call.credentials === "include" ? ', credentials: "include"' : ""}`
    + `${call.body ? ", body}" : "}"})`;
}

// ---- The policy: the models' verdict while it is typed, and the pod's as soon as it is valid.

let edits = 0;

async function tryPolicy() {
  const turn = ++edits;
  await sleep(250);
  if (turn !== edits || !current) return;
  const text = byId("policy").value;
  const said = await explain("after", current, text);
  if (turn !== edits) return;
  if (said.error) return showPolicy(`✗ ${said.error}`, "bad", true);
  const { allowed } = said.verdict;
  const good = allowed === (current.from !== "stranger");
  showPolicy(`${good ? "✓" : "✗"} With this policy, “${current.title}” is ${inWords(said.verdict)}${
    good && !allowed ? ", as it should be" : ""}.`, good ? "good" : "bad");
  const written = await ask("api/policy", { method: "PUT", body: text });
  if (turn !== edits) return;
  if (written.error) return showPolicy(`✗ ${written.error}`, "bad", true);
  state.policy = text;
  await run(current, ["after"]);
}

function showPolicy(text, kind, isInvalid = false) {
  byId("policy-verdict").textContent = text;
  byId("policy-verdict").className = kind;
  byId("policy").setAttribute("aria-invalid", String(isInvalid));
}

// ---- The state, at the start and when the files change.

async function load() {
  const said = await ask("api/state");
  if (!said.sides) return trouble(said.error);
  const edited = state !== null && byId("policy").value !== state.policy;
  state = said;
  troubleWithFiles();
  byId("page-origin").textContent = said.page.origin;
  byId("files").textContent = said.files.length ? `; the gateway runs ${said.files.join(", ")}` : "; the gateway runs an example";
  byId("example").hidden = !said.example;
  byId("example").querySelector("pre").textContent = said.example;
  byId("policy-section").hidden = !said.policy; // no pod, no policy
  if (!edited) {
    byId("policy").value = said.policy;
    byId("policy").rows = Math.min(Math.max(said.policy.split("\n").length + 1, 5), 24);
  }
  for (const side of SIDES) {
    panels[side].heading.textContent = said.sides[side].title;
    panels[side].note.textContent = said.sides[side].note;
  }
  byId("notes").replaceChildren(...said.notes.map((note) => element("li", note)));
  byId("notes-section").hidden = !said.notes.length;
  byId("calls-section").hidden = byId("sides").hidden = !said.calls.length;
  showCalls(said.calls);
  const wanted = current?.id ?? decodeURIComponent(location.hash.slice(1));
  const call = said.calls.find((each) => each.id === wanted) ?? said.calls[0];
  current = call ?? null;
  if (call) await run(call);
  else byId("summary").textContent = "These files have no rule that a page could call.";
}

// The buttons, those of each rule in a group that can be folded.
function showCalls(calls) {
  const focused = document.activeElement?.dataset.call;
  const rules = [...new Set(calls.map((call) => call.rule))];
  byId("calls").replaceChildren(...rules.map((rule) => {
    const buttons = element("div", "", "buttons");
    buttons.setAttribute("role", "group");
    buttons.setAttribute("aria-label", `Calls for ${rule}`);
    buttons.append(...calls.filter((call) => call.rule === rule).map((call) => {
      const button = element("button", call.title);
      button.type = "button";
      button.dataset.call = call.id;
      button.addEventListener("click", () => run(call));
      return button;
    }));
    if (rules.length === 1) return buttons;
    const group = element("details");
    group.append(element("summary", rule), buttons);
    return group;
  }));
  if (focused) byId("calls").querySelector(`[data-call="${CSS.escape(focused)}"]`)?.focus();
}

function trouble(text) {
  byId("trouble").textContent = text ? `✗ ${text}` : "";
  byId("trouble").hidden = !text;
}

function troubleWithFiles() {
  if (state) trouble(state.error && `${state.error}. The gateway still runs the last files that it could use.`);
}

function start() {
  for (const side of SIDES) {
    panels[side] = panel(side);
    byId("sides").append(panels[side].view);
  }
  byId("policy").addEventListener("input", tryPolicy);
  const events = new EventSource("api/events");
  events.onmessage = ({ data }) => {
    if (state && JSON.parse(data).generation !== state.generation) load();
  };
  events.onerror = () => trouble("The lab has stopped, or cannot be reached. This page tries again by itself.");
  events.onopen = troubleWithFiles;
  load();
}

if (document.documentElement.dataset.page === "frame") serveCalls();
else start();
