"""A secret in any input that is about a key, or that names a file or an app, appears nowhere.

Every option, variable, field and flag has its place in a table: in `INPUTS`, where Hypothesis puts
a secret and looks at all that comes of it, or in `PUBLIC`, with the reason why it is shown.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pprint
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import meshcors.asgi
import meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy, create_app, create_wsgi_app, wrap
from meshcors import _cli as cli
from meshcors._policy.headers import is_token
from meshcors._policy.rules import Rule, RuleSet
from meshcors.config import from_environment, from_file, rules_from_file, to_document
from meshcors.config._loading import load
from meshcors.config._options import OPTIONS, OTHER_VARIABLES
from meshcors.dummy import _command as command
from meshcors.dummy._flags import add_flags
from tests.calling import UI, App, clean_environment
from tests.searching import examples

MARK = "s3cretMarker"
DATA = Path(__file__).parent / "data"

# What people write around a secret, and what is special to one of its readers.
_AROUND = st.text(" _-,:;/.%=+~\"'<>(){}[]!*&@#?|\\\t\n\x7f\u00e9\u2028", max_size=2)
_AFTER = _AROUND | st.sampled_from([".yaml", ".json", ".toml", ":app", ":app()", "/x", ": x", "=="])
secrets = st.builds("{}{}{}".format, _AROUND, st.just(MARK), _AFTER)

Input = Callable[[str, Path], object]


# --- where a secret is put --------------------------------------------------------------------


def no_header_name(secret: str) -> str:
    """A secret used as a header's name is public: it is in the answer to every preflight."""
    assume(not is_token(secret) or "_" in secret)
    return secret


def no_path(secret: str) -> str:
    """So is a secret used as an exempt path: it is in the policy's repr."""
    assume(not secret.strip().startswith("/"))
    return secret


def no_fields(secret: str) -> str:
    """And so is a secret used as the name of a field in a policy file."""
    with contextlib.suppress(YAMLError, ValueError):
        assume(not isinstance(YAML(typ="safe", pure=True).load(secret), dict))
    return secret


KEYWORDS: dict[str, Input] = {
    "HeaderKey(name)": lambda secret, _: HeaderKey(no_header_name(secret), ["x"]),
    "HeaderKey(values) as a text": lambda secret, _: HeaderKey("x-key", secret),
    "HeaderKey(values)": lambda secret, _: HeaderKey("x-key", ["x", secret]),
    "HeaderKey(exempt_paths) as a text": lambda secret, _: HeaderKey("x-key", exempt_paths=secret),
    "HeaderKey(exempt_paths)": lambda secret, _: HeaderKey("k", exempt_paths=[no_path(secret)]),
    "HeaderKey.from_file(path)": lambda secret, _: HeaderKey.from_file("x-key", secret),
    "HeaderKey.from_file(content)": lambda secret, folder: HeaderKey.from_file(
        "x-key", written(folder / "keys", secret)
    ),
    "Policy(key)": lambda secret, _: Policy(allow_origins=[UI], key=secret),  # type: ignore[arg-type]  # a mistake
    "MeshCORS(policy)": lambda secret, _: MeshCORS(App().asgi, secret),  # type: ignore[arg-type]  # a mistake
    "MeshCORS(rules)": lambda secret, _: MeshCORS(App().asgi, rules=secret),  # type: ignore[arg-type]  # a mistake
    "MeshCORS(uncovered)": lambda secret, _: meshcors.wsgi.MeshCORS(
        App().wsgi,
        rules=[Rule(Policy(allow_origins=[UI]))],
        uncovered=secret,  # type: ignore[arg-type]  # a mistake
    ),
    "create_app(policy)": lambda secret, _: create_app(secret),  # type: ignore[call-overload]  # a mistake
    "create_app(key)": lambda secret, _: create_app(keyed(secret)),
    "create_wsgi_app(key)": lambda secret, _: create_wsgi_app(keyed(secret)),
    "RuleSet(key)": lambda secret, _: RuleSet([Rule(keyed(secret))]),
    "from_file(path)": lambda secret, _: from_file(secret),
    "from_file(content)": lambda secret, folder: from_file(
        # A file of values instead of the policy's file.
        written(folder / "keys", no_fields(secret))
    ),
    "rules_from_file(path)": lambda secret, _: rules_from_file(secret),
    "load(config)": lambda secret, _: load(None, {}, config=secret),
    "to_document(key_values)": lambda secret, _: to_document(keyed(secret), key_values_file="keys"),
}


def keyed(secret: str) -> Policy:
    return Policy(allow_origins=[UI], key=HeaderKey("x-key", [secret]))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# How people write a header's name together with its value.
NAMED: dict[str, Callable[[str], object]] = {
    "a mapping in a list": lambda secret: [{"x-key": secret}],
    "a mapping's name in a list": lambda secret: [{secret: 1}],
    "a mapping": lambda secret: {"x-key": secret},
    "a list in a list": lambda secret: [["x-key", secret]],
    "a text": lambda secret: f"x-key: {secret}",
    "a text of two": lambda secret: f"x-key: a, {secret}",
    "a text in a list": lambda secret: [f"x-key: {secret}"],
    "a blank in a list": lambda secret: [f"Authorization Bearer {secret}"],
    "two in a list": lambda secret: [f"x-key: a, {secret}"],
    "of CORS": lambda secret: [f"access-control-allow-headers: {secret}"],
}
LISTS_OF_NAMES = ("allow_methods", "allow_headers", "expose_headers")


def keyword_of(name: str, write: Callable[[str], object]) -> Input:
    def make(secret: str, _: Path) -> object:
        options: dict[str, Any] = {"allow_origins": [UI], name: write(secret)}
        return Policy(**options)

    return make


def tuple_of(name: str) -> Input:
    return keyword_of(name, lambda secret: [("x-key", secret)])


def listed_field_of(field: str, write: Callable[[str], object]) -> Input:
    def make(secret: str, folder: Path) -> object:
        document = {"allowOrigins": [UI], field: write(secret)}
        return from_file(written(folder / "policy.json", json.dumps(document)))

    return make


def named_variable(name: str, text: str) -> Input:
    def make(secret: str, _: Path) -> object:
        # What follows a comma is another name there.
        assume("," not in secret)
        return from_environment(variables(name, text.format(secret)))

    return make


def name_below_key(secret: str, folder: Path) -> object:
    fields = {"allowOrigins": [UI], "key": {"header": "x-key", secret: 1}}
    made = []
    for document in (fields, {"rules": [fields]}):
        path = written(folder / "policy.json", json.dumps(document))
        made.append(rules_from_file(path))
    return made


# A file of secrets with a duplicate.
TWICE = {
    "yaml": "{0}: 1\n{0}: 2\n",
    "anchor.yaml": f"a: &{MARK} {{0}}\nb: &{MARK} {{0}}\n",
    "json": "{{{0}: 1, {0}: 2}}",
    "toml": "{0} = 1\n{0} = 2\n",
    "inline.toml": "a = {{{0} = 1, {0} = 2}}\n",
    "table.toml": "[{0}]\n[{0}]\n",
}


def twice(name: str) -> Input:
    def make(secret: str, folder: Path) -> object:
        content = TWICE[name].format(json.dumps(secret))
        return from_file(written(folder / f"twice.{name}", content))

    return make


def variables(name: str, secret: str) -> dict[str, str]:
    if name == "MESHCORS_KEY_HEADER":
        no_header_name(secret.strip())
    if name == "MESHCORS_KEY_EXEMPT_PATHS":
        assume(not any(each.strip().startswith("/") for each in secret.split(",")))
    own = {"MESHCORS_ALLOW_ORIGINS": UI, "MESHCORS_KEY_HEADER": "x-key", name: secret}
    if name == "MESHCORS_UNCOVERED":
        own = {name: secret, "MESHCORS_CONFIG": "rules.json"}
    return own


def environment_of(name: str) -> Input:
    return lambda secret, _: from_environment(variables(name, secret))


def wrapped(name: str) -> Input:
    def make(secret: str, _: Path) -> object:
        own = {"MESHCORS_APP": "os:getpid", **variables(name, secret)}
        with patch.dict(os.environ, clean_environment(own), clear=True):
            return wrap.asgi()

    return make


def checked(name: str) -> Input:
    def make(secret: str, _: Path) -> object:
        return pod(["--check"], variables(name, secret))

    return make


def pod(args: list[str], own: dict[str, str] | None = None) -> object:
    with (
        patch.dict(os.environ, clean_environment(own), clear=True),
        patch.object(sys, "argv", ["pod", *args]),
    ):
        command.run()


def field_of(*keys: str) -> Input:
    def make(secret: str, folder: Path) -> object:
        if keys == ("key", "header"):
            no_header_name(secret)
        if keys == ("key", "exemptPaths"):
            no_path(secret)
        value = [secret] if keys[-1] == "exemptPaths" else secret
        fields: dict[str, Any] = {"allowOrigins": [UI], "key": {"header": "x-key"}}
        place = fields
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        made = []
        for document in (fields, {"rules": [fields]}):
            path = written(folder / "policy.json", json.dumps(document))
            made.append(rules_from_file(path))
        return made

    return make


def flag_of(*flags: str) -> Input:
    policy = ("--allow-origin", UI, "--key-header", "x-key")

    def make(secret: str, _: Path) -> object:
        if flags[-2:] == ("--key-header", "{}"):
            no_header_name(secret)
        if flags == ("{}",):
            assume(not secret.startswith("-"))
        return pod([*policy, *(flag.format(secret) for flag in flags)])

    return make


def verb(*args: str) -> Input:
    """A command of the toolbox; a file named ``*.yaml`` contains the secret."""

    def make(secret: str, folder: Path) -> object:
        if args[0] != "explain" or "{}" in args:
            assume(not secret.startswith("-"))
        if any(":{}@" in each for each in args):
            # A port and a path, by any reading of URLs.
            assume(re.match(r"\d+[/?#]", secret) is None)
        service = (DATA / "virtualservice_original.yaml").read_text()
        written(folder / "service.yaml", service.replace('"xyz"', json.dumps(secret)))
        written(folder / "text.yaml", service.replace('{exact: "xyz"}', json.dumps(secret)))
        regex = f"{{regex: {json.dumps(f'({secret}')}}}"
        written(folder / "regex.yaml", service.replace('{exact: "xyz"}', regex))
        written(folder / "keys", secret.replace("\n", ""))
        written(folder / "twice.yaml", TWICE["yaml"].format(json.dumps(secret)))
        header = json.dumps({"x-key": secret})
        headers = service.replace("allowHeaders: [", f"allowHeaders: [{header}, ")
        written(folder / "headers.yaml", headers)
        quoted = json.dumps(secret)
        for name, rule in RULES_OF_SECRETS.items():
            rule = rule.replace("SECRET", quoted)
            rules = f"{service.partition('  http:')[0]}  http:\n  - {rule}\n"
            written(folder / f"{name}.yaml", rules)
        written(folder / "guard.yaml", service + GUARD.replace("SECRET", quoted))
        policy = {"allowOrigins": [UI], "key": {"header": "x-key", "valuesFile": "keys"}}
        written(folder / "policy.json", json.dumps(policy))
        return cli.run([arg.replace("{}", secret) for arg in args])

    return make


# Rules that a call to /a meets or fails, and that have SECRET in a value.
RULES_OF_SECRETS = {
    "query": "{match: [{queryParams: {v: {exact: SECRET}}}], route: [{destination: {host: m}}]}",
    "without": "{match: [{withoutHeaders: {v: {regex: SECRET}}}], directResponse: {status: 200}}",
    "fixed": "{directResponse: {status: 200}, headers: {response: {set: {x-k: SECRET}}}}",
    "redirect": "{redirect: {uri: /b}, headers: {response: {set: {x-k: SECRET}}}}",
}
GUARD = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: guard, namespace: istio-system}
spec: {rules: [{when: [{key: "request.headers[x-key]", values: [SECRET]}]}]}
"""
# Nothing listens on this port of this machine, and no name is looked up.
NOBODY = "http://127.0.0.1:1/"
EXPLAIN = ("explain", "service.yaml", "--origin", UI)
RENDER = ("render", "--config", "policy.json", "--to")
TO_A = ("--origin", UI, "--path", "/a")
VARIABLES = (
    *("MESHCORS_KEY_HEADER", "MESHCORS_KEY_VALUES", "MESHCORS_KEY_VALUES_FILE"),
    *("MESHCORS_KEY_EXEMPT_PATHS", "MESHCORS_CONFIG", "MESHCORS_APP", "MESHCORS_UNCOVERED"),
    *("MESHCORS_MAX_AGE", "MESHCORS_ALLOW_CREDENTIALS", "MESHCORS_ALLOW_PRIVATE_NETWORK"),
    "MESHCORS_DANGEROUSLY_ALLOW_NULL_ORIGIN",
    "MESHCORS_DANGEROUSLY_ALLOW_INSECURE_ORIGINS",
    "MESHCORS_DANGEROUSLY_ALLOW_PUBLIC_SUFFIXES",
)
FIELDS = (("key", "header"), ("key", "valuesFile"), ("key", "exemptPaths"))
FLAGS = ("--config", "--key-header", "--uds", "--max-age")
INPUTS: dict[str, Input] = {
    **KEYWORDS,
    **{name: environment_of(name) for name in VARIABLES},
    **{f"{name} of wrap": wrapped(name) for name in VARIABLES},
    **{f"{name} of the pod": checked(name) for name in VARIABLES},
    **{".".join(keys): field_of(*keys) for keys in FIELDS},
    **{
        f"{name}, {form}": keyword_of(name, write)
        for name in LISTS_OF_NAMES
        for form, write in NAMED.items()
    },
    **{f"{name}, a tuple in a list": tuple_of(name) for name in LISTS_OF_NAMES},
    **{
        f"{field}, {form}": listed_field_of(field, write)
        for field in ("allowMethods", "allowHeaders", "exposeHeaders")
        for form, write in NAMED.items()
    },
    **{
        f"MESHCORS_{name.upper()}, {text}": named_variable(f"MESHCORS_{name.upper()}", text)
        for name in LISTS_OF_NAMES
        for text in ("x-key: {}", "x-key={}", "x-key {}", "Authorization Bearer {}")
    },
    **{
        f"{flag} {text}": flag_of("--check", flag, text)
        for flag in ("--allow-method", "--allow-header", "--expose-header")
        for text in ("x-key: {}", "x-key={}", "x-key {}", "x-key: a, {}", "x-key, {}")
    },
    "a name below key": name_below_key,
    **{f"a name twice, {name}": twice(name) for name in TWICE},
    "--config": flag_of("--check", "--config", "{}"),
    "--key-header": flag_of("--check", "--key-header", "{}"),
    "--key-header NAME=": flag_of("--check", "--key-header", "x-key={}"),
    "--max-age": flag_of("--check", "--max-age", "{}"),
    "--uds": flag_of("--uds", "no/{}"),
    **{
        flag: flag_of("--check", flag, "{}")
        for flag in (
            *("--port", "--admin-port", "--admin-host-name", "--workers", "--max-connections"),
            *("--drain", "--keep-alive", "--log-format", "--log-level"),
            *("--last-good", "--reload-spread"),
        )
    },
    "--key-values": flag_of("--check", "--key-values={}"),
    "an argument of the pod": flag_of("{}"),
    "doctor URL": verb("doctor", "{}", "--origin", UI),
    "doctor URL, query": verb("doctor", f"{NOBODY}?key={{}}", "--origin", UI),
    "doctor URL, user info": verb("doctor", "https://a:{}@b.example/", "--origin", UI),
    "doctor --origin, user info": verb("doctor", NOBODY, "--origin", "https://a:{}@b.example"),
    "doctor --origin, query": verb("doctor", NOBODY, "--origin", "https://b.example/?a={}"),
    "doctor --origin, fragment": verb("doctor", NOBODY, "--origin", "https://b.example/#{}"),
    "doctor --header": verb("doctor", NOBODY, "--origin", UI, "--header", "model-api-key:{}"),
    "doctor --data": verb("doctor", NOBODY, "--origin", UI, "--data={}"),
    "doctor --config": verb("doctor", NOBODY, "--origin", UI, "--config", "{}"),
    "explain FILE": verb("explain", "{}", "--origin", UI),
    "explain --origin, user info": verb("explain", "--origin", "https://a:{}@b.example"),
    "fix --allow-origin, user info": verb("fix", "--allow-origin", "https://a:{}@b.example"),
    "explain --config": verb(*EXPLAIN, "--config", "{}"),
    "explain --config, values": verb(*EXPLAIN, "--config", "policy.json"),
    "explain --header": verb(*EXPLAIN, "--header", "model-api-key:{}"),
    "explain --header of another": verb(*EXPLAIN, "--header", "x-request-id:{}"),
    "explain --header, json": verb(*EXPLAIN, "--header", "authorization:{}", "--format", "json"),
    "explain --url": verb(*EXPLAIN, "--url", "{}"),
    "explain --url, user info": verb(*EXPLAIN, "--url", "https://a:{}@b.example/"),
    **{
        f"explain --url, query, {form}": verb(
            *(*EXPLAIN, "--header", "x-a: b", "--format", form),
            *("--url", "https://api.example/a?key={}"),
        )
        for form in ("text", "json")
    },
    "explain --path, query": verb(*EXPLAIN, "--path", "/a?key={}"),
    "explain --path, no path": verb(*EXPLAIN, "--path", "a?key={}"),
    **{
        f"explain a rule's {name}, {form}": verb(
            "explain", f"{name}.yaml", *TO_A, "--header", "v: x", "--format", form
        )
        for name in (*RULES_OF_SECRETS, "guard")
        for form in ("text", "json")
    },
    "explain other values": verb(*EXPLAIN, "--header", "model-api-key:{}2"),
    "explain a text": verb("explain", "text.yaml", "--origin", UI),
    "explain a regex": verb("explain", "regex.yaml", "--origin", UI),
    "lint FILE": verb("lint", "{}"),
    "lint FILE FILE": verb("lint", "service.yaml", "{}"),
    **{
        f"lint a value, {form}": verb("lint", "service.yaml", "--format", form)
        for form in ("text", "json", "github", "sarif")
    },
    "lint a text": verb("lint", "text.yaml"),
    "lint a regex": verb("lint", "regex.yaml"),
    "lint keys": verb("lint", "keys"),
    "fix FILE": verb("fix", "{}"),
    "lint a name twice": verb("lint", "twice.yaml"),
    "lint allowHeaders": verb("lint", "headers.yaml"),
    "explain allowHeaders": verb("explain", "headers.yaml", "--origin", UI),
    "fix allowHeaders": verb("fix", "headers.yaml"),
    "an extra argument of fix": verb("fix", "service.yaml", "{}"),
    "an extra argument of render": verb("render", "--config", "policy.json", "--to", "env", "{}"),
    "an extra argument of the pod's verb": verb("dummy", "--allow-origin", UI, "{}"),
    "fix a text": verb("fix", "text.yaml"),
    "fix --write": verb("fix", "service.yaml", "--write", "--allow-origin", UI),
    "render --config": verb("render", "--to", "env", "--config", "{}"),
    **{
        f"render {flag}": verb(*RENDER, "httproute", flag, "{}_!")
        for flag in ("--name", "--namespace", "--gateway", "--beside")
    },
    "render --beside, a value": verb(*RENDER, "virtualservice", "--beside", "service.yaml"),
    "render --directory": verb(*RENDER, "kubernetes", "--directory", "no/{}/no"),
    **{
        f"render values, {form}": verb("render", "--to", form, "--config", "policy.json")
        for form in ("env", "policy", "kubernetes", "virtualservice", "httproute")
    },
}

# --- what is shown, and why -------------------------------------------------------------------

_ANSWERED = "every answer to a preflight says it; what stands behind a name is in `INPUTS`"
_REPEATED = "it is no key's and names no file: a mistake in it is shown as it was written"
PUBLIC = {
    "allow_origins": _ANSWERED,
    "allow_methods": _ANSWERED,
    "allow_headers": _ANSWERED,
    "expose_headers": _ANSWERED,
    "--host": _REPEATED,
    "--admin-host": _REPEATED,
}


# --- and the result ---------------------------------------------------------------------------


class Records(logging.Handler):
    """Keeps every log record with all its attributes."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(vars(record))]


def chain(error: BaseException | None) -> Iterator[str]:
    """Return what an error says, and everything that led to it."""
    while error is not None:
        yield from ("".join(traceback.format_exception(error)), repr(error), repr(error.args))
        error = error.__cause__ or error.__context__


def all_that_comes_of(put: Input, secret: str, folder: Path) -> Iterator[str]:
    records, out, err = Records(), io.StringIO(), io.StringIO()
    logging.getLogger().addHandler(records)
    made: object = None
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.chdir(folder),
            warnings.catch_warnings(record=True) as warned,
        ):
            warnings.simplefilter("always")
            made = put(secret, folder)
    except Exception as error:
        yield from chain(error)
    except SystemExit as error:
        yield str(error.code)
    finally:
        logging.getLogger().removeHandler(records)
    yield from (repr(made), str(made), pprint.pformat(made))
    yield from map(str, warned)
    yield from records.texts
    yield from (out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        policy = {"rules": [{"allowOrigins": [UI], "key": {"header": "x-key"}}]}
        written(Path(name, "rules.json"), json.dumps(policy))
        yield Path(name)


@pytest.mark.parametrize("put", [pytest.param(put, id=name) for name, put in INPUTS.items()])
@examples(15)
@given(secret=secrets)
@example(secret=MARK)
@example(secret=f"{MARK}\n")
@example(secret=f"*{MARK}")
@example(secret=f"!{MARK}!x")
def test_a_secret_is_told_nowhere(put: Input, secret: str, folder: Path) -> None:
    try:
        said = list(all_that_comes_of(put, secret, folder))
    except UnicodeEncodeError:
        # These cannot be in a process's environment.
        assume(False)
    # Header names are printed in lower case.
    assert not [text for text in said if MARK.lower() in text.lower()]


def test_every_input_is_in_a_table() -> None:
    names = set(INPUTS)
    for option in OPTIONS:
        assert (option.name in PUBLIC) != (option.variable in names), option
        if option.file and option.name.startswith("key."):
            assert option.file_label in names
    assert set(OTHER_VARIABLES) <= names
    flags = add_flags(click.command()(lambda **_: None)).params
    switches = {"--check", "--access-log", "--allow-credentials", "--allow-private-network"}
    for flag in {parameter.opts[0] for parameter in flags} - switches:
        of_policy = next((o.name for o in OPTIONS if o.flag == flag), None)
        assert (flag in names) != (flag in PUBLIC or of_policy in PUBLIC), flag
