"""Options from the pod's flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import cast

from meshcors._policy.errors import Problem
from meshcors.config._formats import NAMES, ORIGINS, flag_items, read_origin
from meshcors.config._options import OPTIONS, Option
from meshcors.config._settings import Settings, store


def read_flags(problems: list[Problem], flags: Mapping[str, object]) -> Settings:
    """Return the options in the pod's `flags`, which are values by option name."""
    settings: Settings = {}
    for option in OPTIONS:
        if option.flag and option.name in flags:
            read = partial(_read_flag, option, option.flag, flags[option.name])
            store(problems, settings, option, (option.flag, "flag"), read)
    return settings


def _read_flag(option: Option, flag: str, value: object) -> object:
    if option.format in {ORIGINS, NAMES}:
        items = flag_items(flag, cast("Iterable[str]", value), option.format)
        value = [read_origin(text) for text in items] if option.format is ORIGINS else items
    return option.format.read_data(value)
