"""Made-up organisations."""

from bugtracker.seeding.demo import demo_logins, seed_demo
from bugtracker.seeding.large import records_of, seed_large
from bugtracker.seeding.organisations import Login, Seeded

__all__ = ["Login", "Seeded", "demo_logins", "records_of", "seed_demo", "seed_large"]
