"""Changing the keys that encrypt at rest, on a database of its own, beside running servers."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from bugtracker.app import create_app, create_runtime
from bugtracker.cli.progress import Silent
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.models import Base, IdempotencyKey, SigningKey
from bugtracker.runtime import Runtime
from bugtracker.services import rotation
from bugtracker.services.rotation import ENCRYPTED, PASSING, Rotated, count_outdated, rotate_secrets
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import employee
from tests.conformance import Conformance
from tests.partners import create_partner
from tests.registering import Newcomer, get_me, refresh, tokens_of
from tests.repeating import create_issue, is_replay, login, new_key
from tests.serving import serve
from tests.world import Caller, Json, World, made

MASTER = "the master key of these tests, long enough"
OLD, NEW = "old" * 12, "new" * 12
KEYS, RESPONSES = "signing_keys.private_key_encrypted", "idempotency_keys.response_encrypted"
SEEDS, SECRETS = "two_factor.seed_encrypted", "partner_keys.secret_encrypted"
WEBHOOKS = "webhook_secrets.secret_encrypted"


class Servers:
    """Runtimes with different keys on one database, each with a running server."""

    def __init__(self, settings: Settings, contract: Contract, stack: ExitStack) -> None:
        self._settings, self._contract, self._stack = settings, contract, stack

    def runtime(self, *keys: str) -> Runtime:
        changes = {"encryption_keys": tuple(SecretStr(key) for key in keys)}
        runtime = create_runtime(self._settings.model_copy(update=changes))
        self._stack.callback(runtime.db.close)
        return runtime

    def start(self, *keys: str) -> World:
        runtime = self.runtime(*keys)
        server = self._stack.enter_context(serve(create_app(runtime, self._contract)))
        world = World(runtime, server.url, Conformance(self._contract))
        self._stack.callback(world.close)
        return world


@pytest.fixture
def servers(
    settings: Settings, contract: Contract, cluster: Cluster, own_database: str
) -> Iterator[Servers]:
    changes = {
        "database_url": SecretStr(cluster.api_url(own_database)),
        "secret_key": SecretStr(MASTER),
    }
    with ExitStack() as stack:
        yield Servers(settings.model_copy(update=changes), contract, stack)


def rotated(runtime: Runtime) -> dict[str, Rotated]:
    results = rotate_secrets(runtime.db, runtime.keyring, Silent())
    return {result.name: result for result in results}


def outdated(runtime: Runtime) -> int:
    return count_outdated(runtime.db, runtime.keyring)


def at(world: World, person: Newcomer) -> Newcomer:
    """The same person as a client of another server."""
    return Newcomer(world.client(), person.mail_dir, person.email, person.username)


def someone(world: World) -> Newcomer:
    return employee(world, world.create_org(), world.client(), world.runtime.settings)


class TestRegistry:
    def test_holds_every_encrypted_column_of_the_models(self) -> None:
        columns = {
            str(column)
            for table in Base.metadata.sorted_tables
            for column in table.columns
            if column.name.endswith("_encrypted")
        }
        assert columns == {*(each.name for each in ENCRYPTED), *PASSING}


class TestRotateSecrets:
    def test_encrypts_everything_again_and_then_nothing(self, servers: Servers) -> None:
        before = servers.start(OLD)
        person, key = someone(before), new_key()
        login(person, key)
        app = Authenticator(before.runtime, person)
        app.enrol()
        partner = create_partner(before.runtime, before.client())
        for _ in range(2):
            before.create_org().admin.create_webhook()
        new = servers.runtime(NEW, OLD)
        assert outdated(new) == 6
        counts = {KEYS: 1, SEEDS: 1, SECRETS: 1, RESPONSES: 1, WEBHOOKS: 2}
        assert rotated(new) == {name: Rotated(name, count) for name, count in counts.items()}
        assert rotated(new) == {name: Rotated(name) for name in counts}
        assert outdated(new) == 0
        after = at(servers.start(NEW), person)
        assert is_replay(login(after, key))
        app.http = after.http
        assert app.confirm().status_code == 200
        assert partner.at(after.http).status("nothing").status_code == 404

    def test_takes_what_is_from_before_envelopes(
        self, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = servers.runtime()
        sealer = runtime.keyring._sealer

        def as_before(plain: bytes, associated: str) -> bytes:
            nonce = uuid4().bytes[:12]
            return nonce + sealer._before_envelopes.encrypt(nonce, plain, associated.encode())

        with monkeypatch.context() as patched:
            patched.setattr(sealer, "seal", as_before)
            kid = runtime.keys.signing().kid
        assert outdated(runtime) == 1
        assert rotated(servers.runtime(NEW))[KEYS].done == 1
        assert servers.runtime(NEW).keys.signing().kid == kid

    def test_goes_through_several_batches_past_what_cannot_be_decrypted(
        self, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rotation, "BATCH", 3)
        world = servers.start(OLD)
        person = someone(world)
        keys = [new_key() for _ in range(8)]
        for key in keys:
            login(person, key)
        with world.runtime.db.transaction() as session:
            first = select(IdempotencyKey.key_hash).order_by(
                IdempotencyKey.scope_hash, IdempotencyKey.key_hash
            )
            broken = session.scalars(first.limit(4)).all()
            values = {"response_encrypted": b"\x01 whatever this may be"}
            session.execute(
                update(IdempotencyKey).where(IdempotencyKey.key_hash.in_(broken)).values(values)
            )
        result = rotated(servers.runtime(NEW, OLD))
        assert result[RESPONSES] == Rotated(RESPONSES, done=4, failed=4, left=4)
        assert result[KEYS] == Rotated(KEYS, done=1)

    def test_a_change_in_between_wins(
        self, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = servers.runtime(OLD), servers.runtime(NEW, OLD)
        old.keys.signing()
        encrypt = new.keyring.encrypt

        def changed_meanwhile(plain: bytes, associated: str) -> bytes:
            with old.db.transaction() as session:
                value = old.keyring.encrypt(plain, associated)
                session.execute(update(SigningKey).values(private_key_encrypted=value))
            return encrypt(plain, associated)

        monkeypatch.setattr(new.keyring, "encrypt", changed_meanwhile)
        assert rotated(new)[KEYS] == Rotated(KEYS, done=0, failed=0, left=1)
        monkeypatch.undo()
        assert rotated(new)[KEYS] == Rotated(KEYS, done=1)


class TestWhileServersRun:
    def test_nobody_notices(self, servers: Servers) -> None:
        """Logins, refreshes, replays and two writers go on while secrets are encrypted again and
        again, to and fro: no request fails, nothing is lost."""
        world = servers.start(OLD, NEW)
        org = world.create_org()
        people = [employee(world, org, world.client(), world.runtime.settings) for _ in range(4)]
        writer, project = org.member, org.manager.create_project()
        kept = [(person, new_key()) for person in people for _ in range(3)]
        tokens = [tokens_of(login(person, key)) for person, key in kept]
        work = (
            lambda: refreshing(people[0]),
            lambda: refreshing(people[1]),
            lambda: replaying(kept, tokens),
            lambda: writing(writer, project, new_key()),
            lambda: writing(writer, project, new_key()),
        )
        rounds = 0
        with at_work(work) as turns:
            while rounds < 6 or min(turns()) < 3:
                rounds += 1
                first = (OLD, NEW) if rounds % 2 == 0 else (NEW, OLD)
                result = rotated(servers.runtime(*first))
                assert {each.failed for each in result.values()} == {0}
                assert result[RESPONSES].done >= (len(kept) if rounds == 1 else 1)
        print(f"{rounds} rotations beside {turns()} turns of work")
        last = servers.runtime(NEW, OLD)
        rotated(last)
        assert outdated(last) == 0
        replaying([(at(servers.start(NEW), person), key) for person, key in kept], tokens)


@contextmanager
def at_work(work: Sequence[Callable[[], object]]) -> Iterator[Callable[[], list[int]]]:
    """Does each again and again until the block is left; gives a look at how often each was done.
    Raises what any of them raised."""
    turns, stop = [0] * len(work), threading.Event()

    def repeat(place: int) -> None:
        while not stop.is_set():
            work[place]()
            turns[place] += 1

    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(repeat, place) for place in range(len(work))]

        def look() -> list[int]:
            for each in running:
                if each.done():
                    each.result()
            return turns

        try:
            yield look
        finally:
            stop.set()
        for each in running:
            each.result()


def refreshing(person: Newcomer) -> None:
    tokens = tokens_of(login(person, new_key()))
    again = tokens_of(refresh(person.http, tokens["refresh_token"]))
    assert get_me(person.http, again["access_token"]).status_code == 200


def replaying(kept: list[tuple[Newcomer, dict[str, str]]], tokens: list[Json]) -> None:
    for (person, key), expected in zip(kept, tokens, strict=True):
        response = login(person, key)
        assert is_replay(response)
        assert response.json() == expected


def writing(caller: Caller, project: Json, key: dict[str, str]) -> None:
    first = made(create_issue(caller, project, key))
    assert made(create_issue(caller, project, key)) == first


class TestPhases:
    """docs/operations/rotating-secrets.md, each step with the servers of the step before it."""

    @pytest.mark.parametrize("master_alone", [True, False])
    def test_tokens_and_replays_live_through_all(
        self, servers: Servers, master_alone: bool
    ) -> None:
        old, start = (MASTER, []) if master_alone else (OLD, [OLD])
        world = servers.start(*start)
        person, key = someone(world), new_key()
        tokens = tokens_of(login(person, key))
        before, deployed = world, [tokens["access_token"]]
        for step in ([old, NEW], [NEW, old], [NEW]):
            if step == [NEW]:
                left = {each.left for each in rotated(before.runtime).values()}
                assert left == {0}
            after = servers.start(*step)
            for writer in (before, after):
                # Each reads what the other wrote: a new signing key, and a stored answer.
                writer.runtime.keys.rotate()
                fresh = new_key()
                written = tokens_of(login(at(writer, person), fresh))
                deployed.append(written["access_token"])
                for reader in (before, after):
                    # What it would do a second after its last look.
                    reader.runtime.keys._loaded_at -= 1
                    assert_all_good(reader, deployed)
                    replaying([(at(reader, person), fresh)], [written])
                    replaying([(at(reader, person), key)], [tokens])
            before = after
        assert len(deployed) == 7
        assert_all_good(servers.start(NEW), deployed)

    def test_a_server_without_the_key_says_which_it_needs(self, servers: Servers) -> None:
        new = servers.runtime(NEW)
        new.keys.signing()
        key_id = new.keyring.current_header[1:].hex()
        with pytest.raises(ValueError, match=f"key with the id {key_id}"):
            servers.runtime(OLD).keys.signing()


def assert_all_good(world: World, access_tokens: list[str]) -> None:
    with httpx.Client(base_url=world.url) as http:
        assert [get_me(http, token).status_code for token in access_tokens] == [200] * len(
            access_tokens
        )
