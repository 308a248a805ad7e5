"""Generates the clients from the contract: ``python -m tools.clients``.

``clients/python`` becomes an installable package, ``clients/typescript/openapi.json`` what
openapi-typescript reads. Both are made anew only where the contract or a generator has changed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bugtracker.contract import load_contract
from bugtracker.settings import PROJECT_ROOT
from tools.client_names import with_good_names

CLIENTS = PROJECT_ROOT / "clients"
BT = PROJECT_ROOT / "bt"
PYTHON_CONFIG = CLIENTS / "python.yaml"
TEMPLATES = CLIENTS / "templates"
GENERATOR = "openapi-python-client"

# The generator repeats the name for each item of a list; in the contract a list is one value.
REPEATED = "{k: v for k, v in params.items() if v is not UNSET and v is not None}"
ONE_VALUE = (
    "{k: ','.join(map(str, v)) if isinstance(v, list) else v"
    " for k, v in params.items() if v is not UNSET and v is not None}"
)


def generate_python(into: Path) -> Path:
    """Makes the Python client in this directory, unless it is there already; the directory.

    Several processes may ask at once. CalledProcessError when the generator refuses the contract.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    document = json.dumps(with_good_names(load_contract().document))
    sources = [Path(__file__), PYTHON_CONFIG, *sorted(TEMPLATES.iterdir())]
    wanted = _fingerprint(document, version(GENERATOR), *(file.read_text() for file in sources))
    stamp = into / ".made-of"
    with (into.parent / ".python.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            _run_generator(document, into)
            _join_lists(into)
            stamp.write_text(wanted)
    return into


def write_contract(file: Path) -> None:
    """The bundled contract, touched only where it has changed."""
    content = load_contract().json_bytes
    if not file.is_file() or file.read_bytes() != content:
        file.write_bytes(content)


def _run_generator(document: str, into: Path) -> None:
    """A warning of the generator is a failure: it leaves out what it warns of."""
    shutil.rmtree(into, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        source = Path(work, "openapi.json")
        source.write_text(document)
        command = [sys.executable, "-m", "openapi_python_client", "generate"]
        options = ["--path", str(source), "--config", str(PYTHON_CONFIG), "--meta", "setup"]
        options += ["--custom-template-path", str(TEMPLATES)]
        options += ["--output-path", str(into), "--overwrite", "--fail-on-warning"]
        # It looks for ruff, which formats what it made.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = {**os.environ, "PATH": path}
        whole = [*command, *options]
        subprocess.run(whole, check=True, stdout=sys.stderr, env=environment)  # noqa: S603 - ours


def _join_lists(client: Path) -> None:
    """ValueError when the generator writes something else by now."""
    files = [file for file in client.rglob("api/**/*.py") if REPEATED in file.read_text()]
    if not files:
        raise ValueError(f"{GENERATOR} does not write queries as it did")
    for file in files:
        file.write_text(file.read_text().replace(REPEATED, ONE_VALUE))


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    generate_python(CLIENTS / "python")
    write_contract(CLIENTS / "typescript" / "openapi.json")
