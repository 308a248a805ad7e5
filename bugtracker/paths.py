"""Which methods a path has."""

import re
from collections import defaultdict

from bugtracker.contract import Contract


class PathIndex:
    """The contract's paths, found by number of segments first."""

    def __init__(self, contract: Contract) -> None:
        self._fixed: dict[str, frozenset[str]] = {}
        self._templates: dict[int, list[tuple[re.Pattern[str], frozenset[str]]]] = defaultdict(list)
        for path, methods in contract.methods_by_path.items():
            if "{" not in path:
                self._fixed[path] = methods
                continue
            pattern = re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)))
            self._templates[path.count("/")].append((pattern, methods))

    def methods(self, path: str) -> frozenset[str] | None:
        """The methods of a path, or None when the contract does not know it."""
        if path in self._fixed:
            return self._fixed[path]
        for pattern, methods in self._templates.get(path.count("/"), ()):
            if pattern.fullmatch(path):
                return methods
        return None
