"""The second factor as the contract shows it."""

from typing import Any

from bugtracker.services.two_factor import Enrolment

Json = dict[str, Any]


def state(row: Any) -> Json:
    """``TwoFactor`` of the contract."""
    return {
        "enabled": row.confirmed_at is not None,
        "enabled_at": row.confirmed_at,
        "backup_codes_left": row.backup_codes_left,
    }


def enrolment(enrolled: Enrolment) -> Json:
    """``TwoFactorEnrolment`` of the contract."""
    return {
        "secret": enrolled.secret,
        "provisioning_uri": enrolled.provisioning_uri,
        "qr_code": enrolled.qr_code,
        "expires_in": enrolled.expires_in,
    }


def backup_codes(codes: list[str]) -> Json:
    """``BackupCodes`` of the contract."""
    return {"backup_codes": codes}
