"""The tests, and what they have in common."""

import gc

# What is imported and collected stays: conftest.py switches it on when tests begin.
gc.disable()
