"""Bugtracker: a multi-tenant bug tracker API, built contract first."""

__version__ = "0.1.0"
