"""Access tokens: what is accepted, and every known way to forge one."""

import base64
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.models import SigningKey
from bugtracker.runtime import Runtime
from bugtracker.security.keys import KEEP_RETIRED, Key, KeyStore
from bugtracker.security.secrets import Keyring
from bugtracker.security.tokens import (
    LEEWAY_SECONDS,
    AccessClaims,
    AccessTokens,
    issue_access_token,
)
from tests.registering import get_me
from tests.world import World

CLAIMS = AccessClaims(new_id(), new_id(), new_id())


def segment(value: object) -> str:
    raw = json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def good(runtime: Runtime) -> str:
    return issue_access_token(runtime.keys, runtime.settings, CLAIMS, utc_now())


@pytest.fixture
def key(runtime: Runtime) -> Key:
    return runtime.keys.signing()


def accepted(runtime: Runtime, token: str) -> AccessClaims | None:
    return newly(runtime.keys, runtime, token)


def newly(keys: KeyStore, runtime: Runtime, token: str) -> AccessClaims | None:
    """By somebody who remembers nothing."""
    return AccessTokens().verify(keys, runtime.settings, token)


def payload_of(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return payload


def signed(key: Key, payload: dict[str, Any], algorithm: str = "ES256", **headers: Any) -> str:
    """A token with our header but for what is given; None removes a member."""
    merged = {"kid": key.kid, "typ": "at+jwt", **headers}
    given = {name: value for name, value in merged.items() if value is not None}
    return jwt.encode(payload, key.private, algorithm=algorithm, headers=given)


class TestVerify:
    def test_gives_the_claims_back(self, runtime: Runtime, good: str) -> None:
        assert accepted(runtime, good) == CLAIMS

    def test_a_token_without_organisation_has_none(self, runtime: Runtime) -> None:
        claims = replace(CLAIMS, org_id=None)
        token = issue_access_token(runtime.keys, runtime.settings, claims, utc_now())
        assert accepted(runtime, token) == claims

    def test_lives_as_long_as_the_setting_says(self, runtime: Runtime) -> None:
        lifetime = timedelta(seconds=runtime.settings.access_token_seconds)
        for age, expected in ((timedelta(seconds=60), CLAIMS), (timedelta(seconds=-60), None)):
            issued = utc_now() - lifetime + age
            token = issue_access_token(runtime.keys, runtime.settings, CLAIMS, issued)
            assert accepted(runtime, token) == expected


class TestForgery:
    def test_the_helper_makes_good_tokens(self, runtime: Runtime, key: Key, good: str) -> None:
        assert accepted(runtime, signed(key, payload_of(good))) == CLAIMS

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "ES256K", "HS256"])
    def test_the_header_does_not_choose_the_algorithm(
        self, runtime: Runtime, key: Key, good: str, algorithm: str
    ) -> None:
        header = segment({"alg": algorithm, "kid": key.kid, "typ": "at+jwt"})
        _, body, signature = good.split(".")
        for last in ("", signature, "A" * 86):
            assert accepted(runtime, f"{header}.{body}.{last}") is None

    def test_the_public_key_is_no_shared_secret(
        self, runtime: Runtime, key: Key, good: str
    ) -> None:
        public = key.private.public_key()
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header = segment({"alg": "HS256", "kid": key.kid, "typ": "at+jwt"})
        message = f"{header}.{good.split('.')[1]}"
        for secret in (pem, pem.strip(), json.dumps(key.jwk).encode()):
            mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA512)
            digest = mac.sign(message.encode(), secret)
            signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            assert len(signature) == 86
            assert accepted(runtime, f"{message}.{signature}") is None

    def test_another_key_is_not_ours_whatever_it_calls_itself(
        self, runtime: Runtime, key: Key, good: str
    ) -> None:
        other = replace(key, private=ec.generate_private_key(ec.SECP256R1()))
        payload = payload_of(good)
        assert accepted(runtime, signed(other, payload)) is None
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(other.private.public_key(), as_dict=True)
        assert accepted(runtime, signed(other, payload, jwk=jwk)) is None
        assert accepted(runtime, signed(other, payload, kid="unknown")) is None

    @pytest.mark.parametrize(
        "header",
        [
            {"jku": "https://evil.example/jwks.json"},
            {"x5u": "https://evil.example/cert.pem"},
            {"x5c": ["AAAA"]},
            {"jwk": {"kty": "EC"}},
            {"crit": ["exp"]},
            {"b64": False},
            {"cty": "JWT"},
            {"typ": "JWT"},
            {"typ": "AT+JWT"},
            {"typ": None},
            {"kid": "unknown"},
            {"kid": "../../dev/null"},
            {"kid": "' OR 1=1 --"},
            {"kid": None},
        ],
        ids=str,
    )
    def test_a_header_other_than_ours_is_refused_even_if_signed_by_us(
        self, runtime: Runtime, key: Key, good: str, header: dict[str, Any]
    ) -> None:
        assert accepted(runtime, signed(key, payload_of(good), **header)) is None

    @pytest.mark.parametrize("kid", [7, None, [], {}, True])
    def test_a_key_id_that_is_no_text_is_refused(
        self, runtime: Runtime, good: str, kid: object
    ) -> None:
        header = segment({"alg": "ES256", "kid": kid, "typ": "at+jwt"})
        _, body, signature = good.split(".")
        assert accepted(runtime, f"{header}.{body}.{signature}") is None

    @pytest.mark.parametrize(
        "claim",
        [
            {"iss": "http://evil.example"},
            {"aud": "another"},
            {"aud": []},
            {"exp": 1},
            {"exp": "tomorrow"},
            {"nbf": 4_000_000_000},
            {"iat": 4_000_000_000},
            {"sub": 7},
            {"sub": "not a uuid"},
            {"sid": "not a uuid"},
            {"sid": None},
            {"org": "not a uuid"},
            {"org": 7},
        ],
        ids=lambda claim: str(claim)[:30],
    )
    def test_a_wrong_claim_is_refused_even_if_signed_by_us(
        self, runtime: Runtime, key: Key, good: str, claim: dict[str, Any]
    ) -> None:
        assert accepted(runtime, signed(key, {**payload_of(good), **claim})) is None

    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "sid"])
    def test_a_missing_claim_is_refused(
        self, runtime: Runtime, key: Key, good: str, claim: str
    ) -> None:
        payload = payload_of(good)
        del payload[claim]
        assert accepted(runtime, signed(key, payload)) is None

    def test_a_changed_part_is_refused(self, runtime: Runtime, good: str) -> None:
        header, body, signature = good.split(".")
        other_body = segment({**payload_of(good), "org": str(uuid4())})
        other_signature = ("B" if signature[0] != "B" else "C") + signature[1:]
        assert accepted(runtime, f"{header}.{other_body}.{signature}") is None
        assert accepted(runtime, f"{header}.{body}.{other_signature}") is None

    @pytest.mark.parametrize("garbage", ["=", "==", "!", "\n", " ", ".", ".x", "AA", "%00", "é"])
    def test_garbage_around_a_good_token_is_refused(
        self, runtime: Runtime, good: str, garbage: str
    ) -> None:
        header, body, signature = good.split(".")
        for token in (good + garbage, garbage + good, f"{header}.{body}{garbage}.{signature}"):
            assert accepted(runtime, token) is None

    @pytest.mark.parametrize(
        "token", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d.e", "null", "x" * 9000]
    )
    def test_what_is_no_token_is_refused(self, runtime: Runtime, token: str) -> None:
        assert accepted(runtime, token) is None

    @pytest.mark.parametrize(
        "header", [b"[" * 300, b"[" * 5000, b'{"alg":' + b"9" * 300, b"\xff\xfe", b"null", b"7"]
    )
    def test_a_header_that_is_no_object_is_refused(
        self, world: World, runtime: Runtime, good: str, header: bytes
    ) -> None:
        first = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
        _, body, signature = good.split(".")
        token = f"{first}.{body}.{signature}"
        assert accepted(runtime, token) is None
        with world.client() as http:
            assert get_me(http, token).json()["code"] == "token_invalid"


class TestSession:
    def test_the_session_must_be_the_accounts_own(self, world: World, runtime: Runtime) -> None:
        caller = world.create_org().developer
        stranger, _ = world.create_account()
        claims = AccessClaims(stranger, caller.session_id, None)
        token = issue_access_token(runtime.keys, runtime.settings, claims, utc_now())
        with world.client() as http:
            assert get_me(http, token).status_code == 401

    def test_a_session_that_never_was_is_refused(self, world: World, runtime: Runtime) -> None:
        account_id, _ = world.create_account()
        claims = AccessClaims(account_id, new_id(), None)
        token = issue_access_token(runtime.keys, runtime.settings, claims, utc_now())
        with world.client() as http:
            assert get_me(http, token).status_code == 401


class TestJwks:
    def test_verifies_our_tokens(self, world: World, runtime: Runtime, good: str) -> None:
        with world.client() as http:
            document = http.get("/.well-known/jwks.json").json()
        kid = jwt.get_unverified_header(good)["kid"]
        (jwk,) = (jwk for jwk in document["keys"] if jwk["kid"] == kid)
        payload = jwt.decode(
            good,
            jwt.PyJWK(jwk),
            algorithms=["ES256"],
            audience="bugtracker",
            issuer=runtime.settings.base_url,
        )
        assert payload["sub"] == str(CLAIMS.account_id)

    def test_shows_no_private_half(self, world: World) -> None:
        with world.client() as http:
            keys = http.get("/.well-known/jwks.json").json()["keys"]
        assert keys
        assert all(set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for key in keys)


class TestRotation:
    def test_logs_nobody_out(self, world: World, runtime: Runtime) -> None:
        caller = world.create_org().member
        # Another test may have rotated less than RELOAD_SECONDS ago.
        before = KeyStore(runtime.db, runtime.keyring).signing()
        runtime.keys.rotate()
        after = runtime.keys.signing()
        assert after.kid != before.kid
        assert caller.get("/api/auth/me").status_code == 200
        published = [jwk["kid"] for jwk in runtime.keys.published()]
        assert published[:2] == [after.kid, before.kid]

    def test_another_process_accepts_the_new_key_at_once(self, runtime: Runtime) -> None:
        other = KeyStore(runtime.db, runtime.keyring)
        other.signing()
        other._loaded_at -= 2
        runtime.keys.rotate()
        token = issue_access_token(runtime.keys, runtime.settings, CLAIMS, utc_now())
        assert newly(other, runtime, token) == CLAIMS

    def test_a_key_retired_long_ago_is_worth_nothing(self, runtime: Runtime) -> None:
        old = runtime.keys.signing()
        token = issue_access_token(runtime.keys, runtime.settings, CLAIMS, utc_now())
        runtime.keys.rotate()
        assert accepted(runtime, token) == CLAIMS
        with runtime.db.transaction() as session:
            row = session.get_one(SigningKey, old.kid)
            assert row.retired_at is not None
            row.retired_at -= KEEP_RETIRED
        fresh = KeyStore(runtime.db, runtime.keyring)
        assert newly(fresh, runtime, token) is None
        assert old.kid not in [jwk["kid"] for jwk in fresh.published()]

    def test_a_key_whose_time_ends_after_it_was_read_is_worth_nothing(
        self, runtime: Runtime
    ) -> None:
        token = issue_access_token(runtime.keys, runtime.settings, CLAIMS, utc_now())
        reader = KeyStore(runtime.db, runtime.keyring)
        key = reader.signing()
        assert newly(reader, runtime, token) == CLAIMS
        reader._keys[key.kid] = replace(key, retired_at=utc_now() - KEEP_RETIRED)
        assert newly(reader, runtime, token) is None

    def test_another_master_key_opens_nothing(self, runtime: Runtime, good: str) -> None:
        wrong = KeyStore(runtime.db, Keyring("another secret of more than 32 characters"))
        with pytest.raises(ValueError, match="BUGTRACKER_SECRET_KEY"):
            newly(wrong, runtime, good)


class TestRemembered:
    """A process verifies a token once. What it remembers says no more than a signature does."""

    def test_is_the_same_answer_again(self, runtime: Runtime, good: str) -> None:
        tokens = AccessTokens()
        for _ in range(2):
            assert tokens.verify(runtime.keys, runtime.settings, good) == CLAIMS
        header, body, signature = good.split(".")
        changed = ("B" if signature[0] != "B" else "C") + signature[1:]
        other = segment({**payload_of(good), "org": str(uuid4())})
        for forged in (f"{header}.{body}.{changed}", f"{header}.{other}.{signature}", good + "="):
            assert tokens.verify(runtime.keys, runtime.settings, forged) is None
        assert tokens.verify(runtime.keys, runtime.settings, good) == CLAIMS

    def test_is_of_one_deployment(self, runtime: Runtime, good: str) -> None:
        tokens = AccessTokens()
        assert tokens.verify(runtime.keys, runtime.settings, good) == CLAIMS
        elsewhere = runtime.settings.model_copy(update={"public_url": "https://other.example"})
        assert tokens.verify(runtime.keys, elsewhere, good) is None

    def test_ends_with_its_key(self, runtime: Runtime) -> None:
        keys, tokens = KeyStore(runtime.db, runtime.keyring), AccessTokens()
        token = issue_access_token(keys, runtime.settings, CLAIMS, utc_now())
        key = keys.signing()
        for change in (
            {key.kid: replace(key, retired_at=utc_now() - KEEP_RETIRED)},
            {key.kid: replace(key, private=ec.generate_private_key(ec.SECP256R1()))},
            {"another": key},
        ):
            keys._keys = {key.kid: key}
            assert tokens.verify(keys, runtime.settings, token) == CLAIMS
            keys._keys = change
            assert tokens.verify(keys, runtime.settings, token) is None

    def test_lives_no_longer_than_the_token(self, runtime: Runtime, key: Key, good: str) -> None:
        tokens = AccessTokens()
        now = time.time()
        ends = int(now) + 1 - LEEWAY_SECONDS
        token = signed(key, {**payload_of(good), "exp": ends})
        assert tokens.verify(runtime.keys, runtime.settings, token) == CLAIMS
        deadline = now + 5
        while tokens.verify(runtime.keys, runtime.settings, token) is not None:
            assert time.time() < deadline
        assert time.time() >= ends + LEEWAY_SECONDS

    def test_takes_so_much_room_and_no_more(self, runtime: Runtime) -> None:
        tokens = AccessTokens(most=3)
        made = [
            issue_access_token(runtime.keys, runtime.settings, CLAIMS, utc_now()) for _ in range(9)
        ]
        for token in (*made, *made, "x" * 900):
            tokens.verify(runtime.keys, runtime.settings, token)
        assert len(tokens._verified) == 3
        # Nothing in memory opens anything.
        assert not any(token.encode() in tokens._verified for token in made)
