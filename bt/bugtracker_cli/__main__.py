"""``python -m bugtracker_cli``."""

from bugtracker_cli.main import main

main(prog_name="bt")
