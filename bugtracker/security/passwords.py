"""Passwords: hashing with bounded concurrency, and the policy."""

import base64
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt

from bugtracker.errors import PasswordTooWeak, ServiceUnavailable, Violation
from bugtracker.messages import Message, _
from bugtracker.security.common_passwords import CommonPasswords
from bugtracker.security.secrets import Keyring
from bugtracker.settings import Settings

WAIT_SECONDS = 3.0
CLASSES = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
LONG_ENOUGH_ALONE = 15
_DIGEST_LENGTH = 31
"""Of bcrypt's stored form, behind cost and salt."""


class Hasher:
    """bcrypt over a keyed pre-hash, so that every byte of a long password counts.

    At most ``settings.hashing_threads`` hash at once: each costs a core for a quarter second, so
    unbounded logins would take the machine. Who waits holds a handler thread, so a quarter of
    those stays free for other requests. The rest, and those who wait too long, are told to come
    back (503).
    """

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._cost = settings.bcrypt_cost
        self._pepper = keyring.pepper
        self._slots = threading.BoundedSemaphore(settings.hashing_threads)
        self._crowd = threading.BoundedSemaphore(
            max(settings.hashing_threads, settings.threads * 3 // 4)
        )
        # To compare with, nobody's: it takes as long as one that was made, and none to make.
        self._dummy = f"{bcrypt.gensalt(self._cost).decode()}{'.' * _DIGEST_LENGTH}"

    def hash(self, password: str) -> str:
        """The stored form of a password."""
        with self._slot():
            return self._hash(password)

    def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one; takes as long when there is none."""
        with self._slot():
            matches = bcrypt.checkpw(self._prehash(password), (stored or self._dummy).encode())
        return matches and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether a stored form was made at another cost than today's."""
        return int(stored.split("$")[2]) != self._cost

    def _hash(self, password: str) -> str:
        return bcrypt.hashpw(self._prehash(password), bcrypt.gensalt(self._cost)).decode()

    def _prehash(self, password: str) -> bytes:
        """64 bytes of base64: bcrypt raises beyond 72 and stops at NUL."""
        digest = hmac.digest(self._pepper, password.encode(), "sha384")
        return base64.b64encode(digest)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with _held(self._crowd, timeout=0), _held(self._slots, timeout=WAIT_SECONDS):
            yield


@contextmanager
def _held(semaphore: threading.BoundedSemaphore, *, timeout: float) -> Iterator[None]:
    if not semaphore.acquire(timeout=timeout):
        raise ServiceUnavailable(
            _("Too many logins at this moment; try again."), headers={"Retry-After": "2"}
        )
    try:
        yield
    finally:
        semaphore.release()


class PasswordPolicy:
    """What a new password must be like."""

    def __init__(self, settings: Settings) -> None:
        self.common = CommonPasswords(settings.common_passwords_file)

    def require_strong(
        self, password: str, *, username: str, email: str, pointer: str = "/password"
    ) -> None:
        """Raises 422 unless the password has three classes of characters or is long, is not a
        common one, and does not contain the username or the address."""
        reason = self._weakness(password, username.lower(), email.lower())
        if reason is not None:
            violation = Violation("password_too_weak", reason, pointer=pointer)
            raise PasswordTooWeak(_("The password {reason}.", reason=reason), errors=[violation])

    def _weakness(self, password: str, username: str, email: str) -> Message | None:
        personal = [username, email, email.partition("@")[0]]
        classes = sum(bool(re.search(pattern, password)) for pattern in CLASSES)
        if any(len(word) >= 3 and word in password.lower() for word in personal):
            return _("must not contain the username or the e-mail address")
        if classes < 3 and len(password) < LONG_ENOUGH_ALONE:
            return _(
                "must have three of: lower case, upper case, digits, others;"
                " or at least {limit} characters",
                limit=LONG_ENOUGH_ALONE,
            )
        if self.common.covers(password):
            return _("must not be a common password, with or without digits and symbols at its end")
        return None
