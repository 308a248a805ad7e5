"""Code for people to copy: scripts below ``openapi/samples/``, named after their operation."""

from pathlib import Path
from typing import Any

LANGUAGES = {"sh": ("Shell", "curl"), "py": ("Python", "Python (httpx)")}
"""Ending of the file → language and title, as Redoc and others take them."""


def add_samples(document: Any, directory: Path) -> None:
    """Gives each operation of a bundled document its ``x-codeSamples``.

    ValueError for a file that belongs to no operation, or is in no language we know.
    """
    operations = {
        node["operationId"]: node
        for item in document["paths"].values()
        for node in item.values()
        if isinstance(node, dict) and "operationId" in node
    }
    # curl before Python.
    for file in sorted(directory.glob("*.*"), key=lambda file: (file.suffix != ".sh", file.name)):
        ending = file.suffix.removeprefix(".")
        if file.stem not in operations or ending not in LANGUAGES:
            raise ValueError(f"{file.name} is no sample of an operation")
        language, label = LANGUAGES[ending]
        sample = {"lang": language, "label": label, "source": file.read_text(encoding="utf-8")}
        operations[file.stem].setdefault("x-codeSamples", []).append(sample)
