"""Sealing at rest: several keys, each value bound to its place, nothing altered unnoticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugtracker.security.envelope import HEADER_BYTES
from bugtracker.security.secrets import Keyring

MASTER, OLD, NEW = (
    f"{name} secret of more than 32 characters" for name in ("master", "old", "new")
)
KEYRING = Keyring(MASTER, [NEW, OLD])

# Made by earlier versions: what databases hold must open for ever.
BEFORE_ENVELOPES = (
    "a master key of more than 32 characters",
    "000102030405060708090a0b4d4c138e873e1fe2ef712ba7be3f6cdf714ace4b",
)
VERSION_1 = (
    "a master key of more than 32 characters",
    "01c7f88fe4000102030405060708090a0b0e20613a22e5365e73c0a9f7ae2696b4d80320fc",
)

plain_texts = st.binary(max_size=200)
places = st.text(st.characters(codec="utf-8"), max_size=60)


class TestEverySealedValue:
    @given(plain=plain_texts, place=places)
    def test_opens_at_its_place(self, plain: bytes, place: str) -> None:
        sealed = KEYRING.encrypt(plain, place)
        assert KEYRING.decrypt(sealed, place) == plain
        assert not KEYRING.needs_rotation(sealed)

    @given(plain=plain_texts, here=places, there=places)
    def test_opens_at_no_other_place(self, plain: bytes, here: str, there: str) -> None:
        sealed = KEYRING.encrypt(plain, here)
        if here != there:
            with pytest.raises(ValueError, match="cannot decrypt"):
                KEYRING.decrypt(sealed, there)

    @given(plain=plain_texts, place=places, data=st.data())
    def test_opens_with_no_bit_flipped(self, plain: bytes, place: str, data: st.DataObject) -> None:
        sealed = bytearray(KEYRING.encrypt(plain, place))
        bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
        sealed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="cannot decrypt"):
            KEYRING.decrypt(bytes(sealed), place)

    @given(plain=plain_texts, place=places, data=st.data())
    def test_opens_neither_cut_nor_lengthened(
        self, plain: bytes, place: str, data: st.DataObject
    ) -> None:
        sealed = KEYRING.encrypt(plain, place)
        cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
        for changed in (cut, sealed + data.draw(st.binary(min_size=1, max_size=20))):
            with pytest.raises(ValueError, match="cannot decrypt"):
                KEYRING.decrypt(changed, place)

    @given(anything=st.binary(max_size=100), place=places)
    def test_is_not_any_bytes(self, anything: bytes, place: str) -> None:
        for header in (b"", KEYRING.current_header):
            with pytest.raises(ValueError, match="cannot decrypt"):
                KEYRING.decrypt(header + anything, place)

    def test_does_not_open_under_the_id_of_another_key_we_have(self) -> None:
        sealed = KEYRING.encrypt(b"seed", "here")
        for header in (Keyring(OLD).current_header, Keyring(MASTER).current_header):
            with pytest.raises(ValueError, match="cannot decrypt"):
                KEYRING.decrypt(header + sealed[HEADER_BYTES:], "here")


class TestKeys:
    @pytest.mark.parametrize("keys", [[OLD], [OLD, NEW], [MASTER], []])
    def test_the_first_encrypts_and_all_decrypt(self, keys: list[str]) -> None:
        sealed = Keyring(MASTER, keys).encrypt(b"seed", "here")
        assert sealed.startswith(Keyring((keys or [MASTER])[0]).current_header)
        assert KEYRING.decrypt(sealed, "here") == b"seed"
        assert KEYRING.needs_rotation(sealed)

    def test_the_master_key_named_as_the_first_is_the_master_key(self) -> None:
        sealed = Keyring(MASTER, [MASTER, NEW]).encrypt(b"seed", "here")
        assert not Keyring(MASTER).needs_rotation(sealed)

    def test_a_missing_key_is_named_by_its_id_and_no_secret_is(self) -> None:
        sealed = Keyring(MASTER, [OLD]).encrypt(b"seed", "here")
        with pytest.raises(ValueError, match="BUGTRACKER_ENCRYPTION_KEYS") as refusal:
            Keyring(MASTER, [NEW]).decrypt(sealed, "here")
        message = str(refusal.value)
        assert sealed[1:HEADER_BYTES].hex() in message
        assert not any(secret in message for secret in (MASTER, OLD, NEW))
        assert refusal.value.__cause__ is None

    def test_none_is_called_missing_where_none_is(self) -> None:
        of_no_version = b"\x02" + bytes(40)
        for sealed in (KEYRING.encrypt(b"seed", "there"), of_no_version):
            with pytest.raises(ValueError, match="damaged, moved, or made with another"):
                KEYRING.decrypt(sealed, "here")

    def test_other_keys_change_neither_signatures_nor_hashes(self) -> None:
        alone = Keyring(MASTER)
        for keyring in (KEYRING, Keyring(MASTER, [OLD])):
            assert keyring.pepper == alone.pepper
            assert keyring.sign(b"cursor") == alone.sign(b"cursor")
            assert keyring.fingerprint(b"body") == alone.fingerprint(b"body")
            assert keyring.attempts_key("ada") == alone.attempts_key("ada")


class TestWhatDatabasesHold:
    @pytest.mark.parametrize(("master", "sealed"), [BEFORE_ENVELOPES, VERSION_1])
    def test_opens(self, master: str, sealed: str) -> None:
        for keyring in (Keyring(master), Keyring(master, [NEW])):
            assert keyring.decrypt(bytes.fromhex(sealed), "accounts.totp/1") == b"seed"

    def test_needs_rotation_when_it_is_from_before_envelopes(self) -> None:
        master, sealed = BEFORE_ENVELOPES
        assert Keyring(master).needs_rotation(bytes.fromhex(sealed))

    def test_opens_though_an_old_nonce_begins_like_an_envelope(self) -> None:
        master, _ = BEFORE_ENVELOPES
        keyring = Keyring(master)
        nonce = keyring.current_header + bytes(7)
        sealed = nonce + keyring._sealer._before_envelopes.encrypt(nonce, b"seed", b"here")
        assert keyring.decrypt(sealed, "here") == b"seed"
