"""Options that several verbs share."""

from __future__ import annotations

import re
from typing import Final

import click

from meshcors.config._command_line import PlainCommand
from meshcors.mesh._documents.checks import host_error


class VerbCommand(PlainCommand):
    """A verb that does not print an extra argument, as click would: it may be a secret."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; raises `click.UsageError` if any are left."""
        ctx.allow_extra_args = True
        left = super().parse_args(ctx, args)
        if left:
            arguments = [each for each in self.params if isinstance(each, click.Argument)]
            names = [each.human_readable_name for each in arguments]
            expected = " and ".join([*names, "flags"])
            raise click.UsageError(f"expected only {expected}: remove the extra argument")
        return left


_PORT: Final = re.compile("[1-9][0-9]{0,4}")


def pod_address(_: click.Context, __: click.Parameter, given: str | None) -> tuple[str, int] | None:
    """Read ``host:port``; ``click.BadParameter`` if it is something else."""
    if given is None:
        return None
    host, _colon, port = given.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > 65535 or host_error(host):
        raise click.BadParameter(f"{given}: write host:port, such as meshcors-dummy:8080")
    return host, int(port)


# ``--pod HOST:PORT``, the parameter ``pod``: a host and a port.
POD: Final = click.option(
    "--pod",
    callback=pod_address,
    metavar="HOST:PORT",
    default="meshcors-dummy:8080",
    show_default=True,
    help="The Service of the preflight pod (a Deployment).",
)
# ``--gateway NAMESPACE/NAME``, the parameter ``gateway_name``.
GATEWAY: Final = click.option(
    "--gateway",
    "gateway_name",
    metavar="NAMESPACE/NAME",
    help="The gateway. Default: the first one in the documents.",
)
# ``--format text|json``, the parameter ``form``.
FORM: Final = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The format of the report.",
)
