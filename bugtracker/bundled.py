"""The bundled contract, kept beside its files: reading 58 files of YAML, and writing one, is a
fifth of a start, and leaves 10 MB of memory in pieces behind.

What is kept says which files it was made of. Where one has changed, or the code that bundles them,
it is made anew; where it cannot be written, a start takes longer.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson

from bugtracker import __version__, bundling, samples

KEPT = ".bundle"
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Bundle:
    """One document, as it is served in each of two forms."""

    json: bytes
    yaml: bytes


def bundled(root: Path) -> Bundle:
    """The contract below ``root``, as it was kept or made now.

    ValueError for a reference that leads nowhere or to something the root does not name.
    """
    sources, kept = _digest_of_sources(root), root.parent / KEPT
    return _read(kept, sources) or _made(root, sources, kept)


def _made(root: Path, sources: bytes, kept: Path) -> Bundle:
    document = bundling.bundle(root)
    bundle = Bundle(orjson.dumps(document), bundling.as_yaml(document))
    # A read-only file system, or somebody else's files: it works without.
    with suppress(OSError):
        _keep(bundle, sources, kept)
    return bundle


def _digest_of_sources(root: Path) -> bytes:
    digest = hashlib.sha256(__version__.encode())
    code = (Path(module.__file__ or "") for module in (bundling, samples))
    for file in (*code, *sorted(root.parent.glob("**/[!.]*.*"))):
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(file.anchor)}\0{len(content)}\0".encode() + content)
    return digest.digest()


def _read(kept: Path, sources: bytes) -> Bundle | None:
    """What is kept; None where there is nothing, or it is of other files, or damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    made_of, seal, body = content[:_DIGEST], content[_DIGEST : 2 * _DIGEST], content[2 * _DIGEST :]
    if made_of != sources or seal != hashlib.sha256(body).digest():
        return None
    # JSON has no such byte.
    json, _, yaml = body.partition(b"\0")
    return Bundle(json, yaml)


def _keep(bundle: Bundle, sources: bytes, kept: Path) -> None:
    """Whoever reads meanwhile finds the old one or the new one."""
    body = bundle.json + b"\0" + bundle.yaml
    with NamedTemporaryFile(dir=kept.parent, prefix=KEPT, delete=False) as file:
        file.write(sources + hashlib.sha256(body).digest() + body)
    try:
        os.chmod(file.name, 0o644)
        os.replace(file.name, kept)
    finally:
        Path(file.name).unlink(missing_ok=True)
