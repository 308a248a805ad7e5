"""``bt``: the bug tracker in a terminal, built on nothing but the generated client."""
