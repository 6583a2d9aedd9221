"""A policy, or rules, that can be replaced while apps use them.

A replacement takes two steps, so that it happens as a whole or not at all: all adapters prepare the
new policy, which may fail, and then all switch to it, which cannot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from threading import RLock
from typing import Final, TypeAlias, TypeVar
from weakref import WeakMethod, WeakSet

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet

Source: TypeAlias = Policy | RuleSet
# What is prepared for a policy: calling it switches to that policy, and never fails.
Switch: TypeAlias = Callable[[], None]

T = TypeVar("T")


class ReplaceablePolicy:
    """A policy, or rules, that can be replaced while apps use them.

    Pass it to any adapter in place of a `Policy`, or to several at once. `source` is a
    `Policy`, a `RuleSet`, or an iterable of `Rule`. Threads and event loops may share it.

    Raises `PolicyError` for anything else.
    """

    # The name to import it by is the name that tracebacks show.
    __module__ = "meshcors"

    def __init__(self, source: Policy | RuleSet | Iterable[Rule]) -> None:
        self._current = _checked(source)
        self._adapters: list[Callable[[Source], Switch | None]] = []
        self._make_lock()
        _EVERY.add(self)

    @property
    def current(self) -> Policy | RuleSet:
        """The policy, or the rules, in force."""
        return self._current

    def replace(self, source: Policy | RuleSet | Iterable[Rule]) -> None:
        """Make every app use `source`, a policy or rules, from now on.

        A request that has begun is answered to its end by the policy with which it began. The key
        may change too, with its name and values. An equal policy changes nothing.

        Raises `PolicyError` for what an app cannot use, such as a single policy where an
        adapter was given `uncovered`. Then nothing has changed for any app.

        It may be called in any thread. Preparing thousands of rules takes a while, during which
        others go on answering: on an event loop, call it with ``await asyncio.to_thread(...)``.
        """
        new = _checked(source)
        with self._lock:
            if new != self._current:
                self._replace(new)
            # A signal's handler, which runs in this thread, may have replaced it meanwhile.
            while new != self._current:
                new = self._current
                self._replace(new)

    def _replace(self, new: Source) -> None:
        prepared = [(adapter, adapter(new)) for adapter in self._adapters]
        self._current = new
        for _, switch in prepared:
            if switch is not None:
                switch()
        self._adapters = [adapter for adapter, switch in prepared if switch is not None]

    def __repr__(self) -> str:
        return f"<meshcors.{type(self).__name__}: {self._current!r}>"

    def attach(self, prepare: Callable[[Source], T], switch: Callable[[T], None]) -> None:
        """Call `switch`, a method, with what `prepare` makes of this policy, and of each later one.

        For adapters. The object of the method is not kept alive. Raises what `prepare` raises.
        """
        with self._lock:
            switch(prepare(self._current))
            self._adapters.append(partial(_prepared, prepare, WeakMethod(switch)))

    def _make_lock(self) -> None:
        # A signal's handler may call `replace` while its thread is in it.
        self._lock = RLock()

    def _after_fork(self) -> None:
        """Be usable in a forked process, which has none of the other threads, but their locks."""
        self._make_lock()


def _prepared(
    prepare: Callable[[Source], T], method: WeakMethod[Callable[[T], None]], source: Source
) -> Switch | None:
    """Return the switch of an adapter to `source`, or None if the adapter is gone."""
    switch = method()
    return None if switch is None else partial(switch, prepare(source))


def _checked(source: object) -> Source:
    if isinstance(source, Policy | RuleSet):
        return source
    if isinstance(source, Iterable) and not isinstance(source, str):
        return RuleSet(source)
    hint = "pass a meshcors.Policy, or rules"
    raise PolicyError([Problem("not_a_policy", "source", type(source).__name__, hint)])


_EVERY: Final[WeakSet[ReplaceablePolicy]] = WeakSet()


def _renew_all() -> None:
    # Its own class, of this module.
    for each in list(_EVERY):
        each._after_fork()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_all)
