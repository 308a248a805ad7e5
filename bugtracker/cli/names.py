"""How settings are called outside."""

PLATFORM_NAMES = ("DATABASE_URL", "REDIS_URL")


def environment_variable(field: str) -> str:
    """The environment variable behind a field of the settings."""
    name = field.upper()
    return name if name in PLATFORM_NAMES else f"BUGTRACKER_{name}"
