"""A certificate that nobody has signed, for servers that tests start."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.e2e.parts import need_program


class Certificate(NamedTuple):
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


def self_signed(directory: Path, *names: str) -> Certificate:
    """Write a certificate for host names; without openssl the test is skipped."""
    openssl = need_program("openssl", "openssl")
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    alternatives = ",".join(f"DNS:{name}" for name in names)
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "7", "-subj", f"/CN={names[0]}"),
            *("-addext", f"subjectAltName={alternatives}"),
            *("-out", str(made.certificate), "-keyout", str(made.key)),
        ],
        check=True,
        capture_output=True,
    )
    return made
