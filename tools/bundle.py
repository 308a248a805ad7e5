"""Writes the contract as one JSON document, as the server gives it out: ``python -m tools.bundle``.

``python -m tools.bundle path/to/openapi/bugtracker.yaml`` writes that version of it. Exit code 1
for a contract that cannot be bundled.
"""

import sys
from pathlib import Path

import orjson

from bugtracker.contract import ROOT_FILE, load_contract


def main() -> int:
    """The document on standard output."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT_FILE
    try:
        document = load_contract(root).document
    except (OSError, ValueError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
