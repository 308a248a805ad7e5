"""Somebody who uses the API and remembers every secret that passed."""

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.authenticator import code_of
from tests.registering import Newcomer, text_of, tokens_of
from tests.world import Json

TOKEN = re.compile(r"#action=([a-z-]+)&token=(\S+)")


class Visitor(Newcomer):
    """Somebody all of whose secrets are canaries."""

    def __init__(self, http: httpx.Client, mail_dir: Path) -> None:
        super().__init__(http, mail_dir)
        self.secrets: dict[str, str] = {}
        """By kind and number; a kind is searched for as ``searching.py`` says."""
        self.password = self.new_password()
        self.mails_read = 0
        self.environment: dict[str, str] = {}
        """Of the server, for what its operator does meanwhile."""

    def new_password(self) -> str:
        """A password that is a canary, and so are those made of it."""
        return self.keep("password", f"Canary-{uuid4().hex}")

    def keep(self, kind: str, secret: str) -> str:
        """Remembers a secret."""
        self.secrets[f"{kind} {len(self.secrets) + 1}"] = secret
        return secret

    def kept(self, response: httpx.Response) -> Json:
        """The tokens of an answer, remembered; the signature also by itself."""
        pair = tokens_of(response)
        self.keep("refresh token", pair["refresh_token"])
        self.keep("access token", pair["access_token"])
        self.keep("signature", pair["access_token"].rpartition(".")[2])
        return pair

    def kept_codes(self, codes: list[str]) -> list[str]:
        """Backup codes, remembered also as some type them."""
        for code in codes:
            self.keep("backup code", code)
            self.keep("backup code", code.replace("-", "").upper())
        return codes

    def shown(self, seed: str, *, steps_ago: int = 0) -> str:
        """What an authenticator app with this seed shows, or showed."""
        return self.keep("code", code_of(seed, steps_ago=steps_ago))

    def logged_in(self, **fields: Any) -> Json:
        """The tokens of a login."""
        return self.kept(self.login(**fields))

    def mailed(self, action: str) -> str:
        """The token in the next mail whose link does this."""
        while True:
            self.mails_read += 1
            link = TOKEN.search(text_of(self.mail(self.mails_read)))
            if link is not None:
                token = self.keep("mailed token", link[2])
                if link[1] == action:
                    return token

    def as_me(self, pair: Json) -> dict[str, str]:
        return bearer(pair["access_token"])

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def companion(self, email: str) -> "Visitor":
        """Somebody else, whose secrets are remembered with these."""
        other = Visitor(self.http, self.mail_dir)
        self.secrets |= {f"{name} of {email}": secret for name, secret in other.secrets.items()}
        other.email, other.secrets = email, self.secrets
        return other


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


Step = Callable[[Visitor], None]


def mails_in(directory: Path) -> list[EmailMessage]:
    """Every mail that was sent."""
    files = sorted(directory.glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
