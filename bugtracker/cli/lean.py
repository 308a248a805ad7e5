"""Imports a command without what its libraries import for features of theirs that we do not use:
9 MB of every server, and a twentieth of its imports' time.

Connexion loads two HTTP clients, to fetch documents and to ask authorisation servers, and
Starlette's test client; uvicorn loads what restarts servers; structlog loads rich, to draw
tracebacks. Who needs one of them after all still gets it. tests/test_startup.py holds what must
not be loaded.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

UNUSED: dict[str, tuple[str, ...]] = {
    "httpx": (),
    "requests": (),
    "starlette.testclient": ("TestClient",),
    "uvicorn.supervisors": ("ChangeReload", "Multiprocess"),
}
"""Modules, and those of their classes that others take out of them while they are imported: what
these get is called, later or never."""


class _Later(ModuleType):
    """Stands for a module, which is imported when something of it is first asked for, or one of
    these classes is called."""

    def __init__(self, name: str, classes: tuple[str, ...]) -> None:
        super().__init__(name)
        vars(self).update({each: partial(_call, name, each) for each in classes})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Asked for by the import system itself.
            raise AttributeError(name)
        return getattr(_import_now(self.__name__), name)


def _import_now(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _Later):
        del sys.modules[name]
    return import_module(name)


def _call(module: str, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(_import_now(module), name)(*args, **kwargs)


@contextmanager
def lean_imports() -> Iterator[None]:
    """What is imported within the block is imported without those, where they are not loaded."""
    _import_structlog()
    standing = {name: _Later(name, UNUSED[name]) for name in UNUSED if name not in sys.modules}
    sys.modules.update(standing)
    try:
        yield
    finally:
        for name, module in standing.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _import_structlog() -> None:
    """As where rich is not installed: our renderers draw tracebacks by themselves."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog.dev  # noqa: F401
    finally:
        del sys.modules["rich"]
