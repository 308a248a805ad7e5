"""Markdown that cannot carry script.

``sanitise`` is applied to what people write before it is stored; ``render`` makes HTML that a
page may use as it is. Both take any string and never raise.
"""

from bugtracker.markdown.render import render
from bugtracker.markdown.sanitise import sanitise

__all__ = ["render", "sanitise"]
