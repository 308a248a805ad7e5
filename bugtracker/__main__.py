"""``python -m bugtracker``."""

from bugtracker.cli import main

main()
