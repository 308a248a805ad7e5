"""Import of archives from elsewhere."""

from bugtracker.importing.archives import Progress, import_archives, total_size
from bugtracker.importing.bulk import refresh_statistics
from bugtracker.importing.report import FileReport, Problem, Report

__all__ = [
    "FileReport",
    "Problem",
    "Progress",
    "Report",
    "import_archives",
    "refresh_statistics",
    "total_size",
]
