"""The filter language of lists (RSQL): text → syntax tree → a condition with bound parameters.

``docs/filters.md`` describes it to users. A resource declares what can be filtered as
:data:`Fields`; nothing else can be named. :func:`filtered` is all that a query needs.
"""

from bugtracker.rsql.compiler import compile_filter, filtered
from bugtracker.rsql.fields import Field, Fields, Scope

__all__ = ["Field", "Fields", "Scope", "compile_filter", "filtered"]
