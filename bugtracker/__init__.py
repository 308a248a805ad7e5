"""Bugtracker: a multi-tenant bug tracker API, built contract first."""

import warnings

# Connexion imports Starlette's test client, which asks for a successor of httpx: nothing an
# operator could do about.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")

__version__ = "0.1.0"
