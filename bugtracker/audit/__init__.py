"""The sealed record: proof that nobody rewrote an organisation's events.

docs/decisions/0020-sealed-events.md has the scheme and what it cannot show.
"""
