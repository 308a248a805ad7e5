"""What a process is made of, put together once at its start."""

from dataclasses import dataclass, field

from bugtracker.db import Database
from bugtracker.jobs.queue import Queue
from bugtracker.request_counts import RequestCounts
from bugtracker.security.api_keys import RecentKeys
from bugtracker.security.keys import KeyStore
from bugtracker.security.passwords import Hasher, PasswordPolicy
from bugtracker.security.secrets import Keyring
from bugtracker.security.tokens import AccessTokens
from bugtracker.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """Shared, thread-safe services of the process."""

    settings: Settings
    db: Database
    keyring: Keyring
    keys: KeyStore
    hasher: Hasher
    policy: PasswordPolicy
    queue: Queue
    recent_keys: RecentKeys = field(default_factory=RecentKeys)
    access_tokens: AccessTokens = field(default_factory=AccessTokens)
    request_counts: RequestCounts = field(default_factory=RequestCounts)
