"""What all tests share, which of them a bare `pytest` leaves out, and which may run side by side.

`pytest` alone is the contributor's loop: quick tests only. `pytest tests` runs everything; a file
or test that is named always runs. Under nox and in CI nothing is left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Files, a folder and single tests that start processes or servers, import many frameworks, or try
# very many or very large cases.
SLOW = (
    "tests/e2e",
    "tests/test_alerts.py",
    "tests/test_aiohttp.py",
    "tests/test_any_input.py",
    "tests/test_app_kind.py",
    "tests/test_asgi.py::test_no_lifespan_starts_with_a_wrong_policy",
    "tests/test_bench_scripts.py",
    "tests/test_browser.py::test_an_answer_is_remembered_as_long_as_it_says_and_the_engine_allows",
    "tests/test_browser_properties.py",
    "tests/test_changing_policies.py",
    "tests/test_chart.py",
    "tests/test_cli.py",
    "tests/test_cluster_names.py",
    "tests/test_cluster_policies.py",
    "tests/test_coming_from.py",
    "tests/test_coming_from_aiohttp.py",
    "tests/test_coming_from_asgi_cors.py",
    "tests/test_coming_from_django.py",
    "tests/test_coming_from_index.py",
    "tests/test_coming_from_preflights.py",
    "tests/test_coming_from_starlette.py",
    "tests/test_config.py::test_many_keys_of_json_are_read_in_one_pass",
    "tests/test_config.py::test_unreadable_file[deep]",
    "tests/test_connecting.py",
    "tests/test_console_messages.py",
    "tests/test_console_page.py",
    "tests/test_docs_cli.py",
    "tests/test_delegates.py",
    "tests/test_django.py",
    "tests/test_doctor.py",
    "tests/test_dummy_admin.py",
    "tests/test_dummy_command.py",
    "tests/test_dummy_life.py",
    "tests/test_dummy_parts.py",
    "tests/test_dummy_reload.py",
    "tests/test_dump.py",
    "tests/test_envoy_gateway.py",
    "tests/test_envoy_reading.py",
    "tests/test_examples.py",
    "tests/test_exceptions.py",
    "tests/test_explain.py",
    "tests/test_explain_causes.py",
    "tests/test_explain_generated.py",
    "tests/test_faq.py",
    "tests/test_fetch.py",
    "tests/test_fix.py",
    "tests/test_fix_http_route.py",
    "tests/test_fix_neighbours.py",
    "tests/test_fix_pod.py",
    "tests/test_frameworks.py",
    "tests/test_hooks.py",
    "tests/test_imports.py",
    "tests/test_kubernetes.py",
    "tests/test_lint.py",
    "tests/test_lint_in_ci.py",
    "tests/test_mesh_documents.py::test_alias_bomb_is_defused",
    "tests/test_mesh_documents.py::test_broken_text_is_one_clear_line[deep]",
    "tests/test_mesh_documents.py::test_rule_istio_refuses[big_body]",
    "tests/test_mesh_documents.py::test_size_is_bounded_by_characters",
    "tests/test_mesh_envoy.py",
    "tests/test_mesh_files.py",
    "tests/test_mesh_index.py",
    "tests/test_mutants.py",
    "tests/test_names.py",
    "tests/test_page_check.py",
    "tests/test_observing.py",
    "tests/test_pod_http.py",
    "tests/test_pod_http_fuzz.py",
    "tests/test_pod_name.py",
    "tests/test_properties.py",
    "tests/test_public_interface.py",
    "tests/test_quick.py",
    "tests/test_readme.py",
    "tests/test_regressions.py::test_litestar_404_and_405_are_reached",
    "tests/test_render.py",
    "tests/test_render_beside.py",
    "tests/test_render_foreign.py",
    "tests/test_render_foreign_hostile.py",
    "tests/test_root_path.py",
    "tests/test_rules.py::test_ready_origins_are_shared_among_the_policies",
    "tests/test_secret_inputs.py",
    "tests/test_secret_pod.py",
    "tests/test_secrets.py",
    "tests/test_starlette.py",
    "tests/test_strangers.py::test_nobody_is_found_where_nobody_is",
    "tests/test_strangers.py::test_what_cannot_be_checked_is_refused_with_credentials",
    "tests/test_testing.py",
    "tests/test_types.py",
    "tests/test_vectors.py",
    "tests/test_warnings.py",
    "tests/test_wrap.py",
    "tests/test_writing_an_adapter.py",
)

# Side by side, each file's tests run in one process. What waits for pods, or for browsers, is not
# slowed down by others that do: it runs in one process, one after another.
ONE_AFTER_ANOTHER = {
    "browsers": (
        "tests/e2e/test_browser_",
        "tests/e2e/test_console_page.py",
        "tests/e2e/test_doctor_zoo.py",
        "tests/e2e/test_lab_page.py",
        "tests/e2e/test_pod_page.py",
    ),
    "pods": ("tests/e2e/test_pod_", "tests/test_dummy_", "tests/test_secret_pod.py"),
}

# What takes the longest begins first: begun last, it would keep one process busy while the others
# have nothing left to do.
LONGEST = (
    *ONE_AFTER_ANOTHER["pods"],
    "tests/test_mesh_index.py",
    "tests/test_vectors.py",
    "tests/test_properties.py",
    "tests/e2e/test_fix_on_envoy.py",
    "tests/e2e/test_matrix.py",
)

# Without deadlines, and without a check of the time that examples take: machines differ. Under nox
# and in CI a property gets the same examples in every run, so that a failure is the change's own;
# `few` where another run tries them all. `nox -s search` looks for new ones.
PROFILES: dict[str, dict[str, Any]] = {
    "local": {},
    "quick": {"max_examples": 10},
    "same": {"derandomize": True, "database": None},
    "few": {"derandomize": True, "database": None, "max_examples": 20},
    "search": {"max_examples": 1000, "print_blob": True},
}
for name, chosen in PROFILES.items():
    settings.register_profile(
        name, settings.get_profile("default"), deadline=None,
        suppress_health_check=[HealthCheck.too_slow], **chosen,
    )  # fmt: skip


def is_gate() -> bool:
    """Whether this is what a change must pass: nox, or CI."""
    return bool({"CI", "NOX_CURRENT_SESSION"} & os.environ.keys())


def is_quick(config: pytest.Config) -> bool:
    """Whether nothing was named on the command line, outside nox and CI."""
    if hasattr(config, "workerinput"):  # side by side: as the process says that was started
        return bool(config.workerinput["quick"])
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return not (named or is_gate())


def pytest_configure(config: pytest.Config) -> None:
    usual = "same" if is_gate() else "quick" if is_quick(config) else "local"
    settings.load_profile(os.environ.get("EXAMPLES", usual))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    name = collection_path.relative_to(config.rootpath).as_posix()
    return True if is_quick(config) and name in SLOW else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if is_quick(config):
        slow = [item for item in items if item.nodeid.startswith(SLOW)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if is_quick(config):
        terminalreporter.write_line("Only the quick tests ran; `pytest tests` runs everything.")


def queue(test: str) -> str:
    """What a test waits in, with others that run in the same process, one after another."""
    found = (name for name, begins in ONE_AFTER_ANOTHER.items() if test.startswith(begins))
    return next(found, test.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Queues(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return queue(nodeid)

    # As collected, so that the longest come first.
    config.option.loadscopereorder = False
    return Queues(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["quick"] = is_quick(node.config)
