"""``python -m bugtracker``."""

import os
import signal
import sys

if os.getpid() == 1:
    # Process 1 of a container ignores what it does not handle: from here to the command's own
    # handlers it would have to be killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

from bugtracker.cli import main

main()
