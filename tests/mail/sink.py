"""An SMTP server that keeps what it is sent, refuses, or falls silent, as told."""

import asyncio
import socket
import threading
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

ACCEPTED = "250 OK"


class Sink:
    """``refusal`` answers instead of acceptance; while not ``speaking``, clients wait."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.conversations = 0
        self.refusal: str | None = None
        self.recipient_refusal: str | None = None
        self.speaking = threading.Event()
        self.speaking.set()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.conversations += 1
        if self.recipient_refusal is not None:
            return self.recipient_refusal
        envelope.rcpt_tos.append(address)
        return ACCEPTED

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await asyncio.to_thread(self.speaking.wait)
        if self.refusal is not None:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=default)
        self.envelopes.append(envelope)
        self.mails.append(mail)  # type: ignore[arg-type]
        return ACCEPTED

    def wait_for_mail(self, number: int = 1, seconds: float = 60) -> EmailMessage:
        """The mail of that number, once it is there."""
        deadline = time.monotonic() + seconds
        while len(self.mails) < number:
            assert time.monotonic() < deadline, "no mail came"
            time.sleep(0.05)
        return self.mails[number - 1]

    def __enter__(self) -> "Sink":
        self._controller.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.speaking.set()
        self._controller.stop()
