"""Which methods a path has, and the operation behind each."""

import re
from collections import defaultdict
from dataclasses import dataclass

from bugtracker.contract import Contract


@dataclass(frozen=True)
class _Path:
    methods: frozenset[str]
    operations: dict[str, str]
    """Operation by method."""


class PathIndex:
    """The contract's paths, found by number of segments first."""

    def __init__(self, contract: Contract) -> None:
        self._fixed: dict[str, _Path] = {}
        self._templates: dict[int, list[tuple[re.Pattern[str], _Path]]] = defaultdict(list)
        operations: dict[str, dict[str, str]] = defaultdict(dict)
        for operation in contract.operations.values():
            operations[operation.path][operation.method.upper()] = operation.id
        for path, methods in contract.methods_by_path.items():
            found = _Path(methods, operations[path])
            if "{" not in path:
                self._fixed[path] = found
                continue
            pattern = re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)))
            self._templates[path.count("/")].append((pattern, found))

    def methods(self, path: str) -> frozenset[str] | None:
        """The methods of a path, or None when the contract does not know it."""
        found = self._find(path)
        return None if found is None else found.methods

    def operation(self, path: str, method: str) -> str | None:
        """The id of the operation of a path and a method, None where there is none."""
        found = self._find(path)
        return None if found is None else found.operations.get(method)

    def _find(self, path: str) -> _Path | None:
        if path in self._fixed:
            return self._fixed[path]
        for pattern, found in self._templates.get(path.count("/"), ()):
            if pattern.fullmatch(path):
                return found
        return None
