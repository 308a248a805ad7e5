"""The operations whose one read is known from their path."""

from collections.abc import Mapping

from bugtracker.foresight import Foresight, foresight
from bugtracker.queries import comments, issues, projects

FORESEEN: Mapping[str, Foresight] = {
    "get_issue": foresight(issues.ONE.named),
    "get_project": foresight(projects.named),
    "get_comment": foresight(comments.named),
}
"""By operation."""
