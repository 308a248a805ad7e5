"""The bundled contract, kept beside its files: reading 58 files of YAML, and writing one, is a
fifth of a start, and leaves 10 MB of memory in pieces behind."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from bugtracker import bundling, samples
from bugtracker.kept import kept

KEPT = ".bundle"


@dataclass(frozen=True)
class Bundle:
    """One document, as it is served in each of two forms."""

    json: bytes
    yaml: bytes


def bundled(root: Path) -> Bundle:
    """The contract below ``root``, as it was kept or made now.

    ValueError for a reference that leads nowhere or to something the root does not name.
    """
    code = (Path(module.__file__ or "") for module in (bundling, samples))
    sources = (*code, *sorted(root.parent.glob("**/[!.]*.*")))
    both = kept(root.parent / KEPT, sources, lambda: _made(root))
    # JSON has no such byte.
    json, _, yaml = both.partition(b"\0")
    return Bundle(json, yaml)


def _made(root: Path) -> bytes:
    document = bundling.bundle(root)
    return orjson.dumps(document) + b"\0" + bundling.as_yaml(document)
