"""Plain data as YAML in block style."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

# What kubectl reads by YAML 1.1, as a boolean or a number, and YAML 1.2 as a string.
_NOT_A_STRING: Final = re.compile("(?i)y|n|yes|no|on|off|[-+.]?[0-9][0-9a-fox_:.e+-]*")


def block_yaml(documents: Iterable[dict[str, Any]]) -> str:
    """Return plain data as YAML documents, in its own order.

    ``click.ClickException`` is raised if ruamel.yaml is not installed.
    """
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.representer import RoundTripRepresenter
        from ruamel.yaml.scalarstring import walk_tree
    except ModuleNotFoundError:
        hint = "YAML needs ruamel.yaml: python -m pip install 'meshcors[cli]'"
        raise click.ClickException(hint) from None

    class Plain(RoundTripRepresenter):
        def ignore_aliases(self, data: object) -> bool:
            return True

        def represent_text(self, data: str) -> Any:
            style = "'" if _NOT_A_STRING.fullmatch(data) else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Plain.add_representer(str, Plain.represent_text)
    yaml = YAML(pure=True)
    yaml.Representer = Plain
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    stream = io.StringIO()
    made = list(documents)
    # Strings of several lines become block scalars.
    walk_tree(made)
    yaml.dump_all(made, stream)
    return stream.getvalue()
