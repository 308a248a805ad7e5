"""Who are you, and may you: the security step that Connexion calls before validation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler
from sqlalchemy import text

from bugtracker.contract import Operation
from bugtracker.edge.addresses import parse_address
from bugtracker.errors import (
    AuthenticationRequired,
    OrganisationRequired,
    PermissionDenied,
    SessionRequired,
    TokenInvalid,
)
from bugtracker.foresight import Foreseen, Foresight
from bugtracker.messages import Message, _
from bugtracker.models.organisation import ROLES
from bugtracker.opening import Opened, Opening
from bugtracker.runtime import Runtime
from bugtracker.security.api_keys import hash_of, looks_like_key
from bugtracker.security.permissions import ACCOUNT, require_permission
from bugtracker.security.principal import Principal
from bugtracker.security.scoping import refuse_elsewhere
from bugtracker.security.tokens import AccessClaims
from bugtracker.threads import OPENED

LIVE_SESSION = Opening(
    "SELECT account_id, username, role, language FROM open_session({session_id}, {org_id})"
)
LIVE_API_KEY = Opening(
    "SELECT k.account_id, k.username, k.role,"
    " (SELECT a.language FROM accounts a WHERE a.id = k.account_id),"
    " set_config('app.org_id', k.org_id::text, true),"
    " set_config('app.account_id', k.account_id::text, true),"
    " k.api_key_id, array_to_string(k.scopes, ' '), k.is_use_due"
    " FROM live_api_key({key_hash}) k"
)
NOTE_USE = text("SELECT note_api_key_use(:org_id, :api_key_id, CAST(:ip AS inet))")
CHALLENGE = 'Bearer realm="bugtracker", error="invalid_token"'


def bearer_handler(
    runtime: Runtime, operations: Mapping[str, Operation], foresights: Mapping[str, Foresight]
) -> type[AbstractSecurityHandler]:
    """A Connexion security handler for ``bearer`` that also checks ``x-permission``. What the
    operations with ``foresights`` will read is read with it."""

    class BearerHandler(AbstractSecurityHandler):
        security_definition_key: ClassVar[str] = "x-bearerInfoFunc"
        environ_key: ClassVar[str] = "BEARERINFO_FUNC"

        def get_fn(
            self, security_scheme: Any, required_scopes: Any
        ) -> Callable[[ConnexionRequest], Awaitable[dict[str, Any]]]:
            del security_scheme, required_scopes
            return self._verify

        @staticmethod
        async def _verify(request: ConnexionRequest) -> dict[str, Any]:
            routing = request.scope["extensions"]["connexion_routing"]
            operation = operations[routing["operation_id"]]
            token = bearer_token(request.headers.get("authorization"))
            state = request.scope["state"]
            opened = state[OPENED] = Opened(runtime.db, _foreseen(foresights, request))
            principal = authenticate(runtime, opened, token, state["client_ip"])
            opened.org_id = principal.org_id
            # Before the refusal: its line in the log is all that tells who was denied what.
            state["principal"], state["operation_id"] = principal, operation.id
            state["account_id"], state["org_id"] = principal.account_id, principal.org_id
            state["via_key"] = principal.api_key_id
            try:
                authorise(operation, principal)
            except PermissionDenied:
                refuse_other_organisation(opened, principal, request.path_params)
                raise
            return {"sub": str(principal.account_id)}

    return BearerHandler


def _foreseen(foresights: Mapping[str, Foresight], request: ConnexionRequest) -> Foreseen | None:
    """None where a query may ask for more than the path tells."""
    scope = request.scope
    foresee = foresights.get(scope["extensions"]["connexion_routing"]["operation_id"])
    if foresee is None or scope["query_string"]:
        return None
    [named] = request.path_params.values()
    return foresee(named)


def bearer_token(header: str | None) -> str:
    """The token of an Authorization header; 401 when there is none or it is of another kind."""
    if not header:
        raise _unauthenticated(_("Send an access token: Authorization: Bearer …"))
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthenticated(_("The Authorization header must be of the form: Bearer <token>."))
    return token.strip()


def _unauthenticated(detail: Message) -> AuthenticationRequired:
    return AuthenticationRequired(detail, headers={"WWW-Authenticate": 'Bearer realm="bugtracker"'})


def token_invalid() -> TokenInvalid:
    """The refusal of a session that has ended."""
    return TokenInvalid(
        _("The access token has expired or its session has ended; refresh it or log in."),
        headers={"WWW-Authenticate": CHALLENGE},
    )


def _key_invalid() -> TokenInvalid:
    return TokenInvalid(
        _("The API key is unknown, has expired or was revoked, or whoever made it has left."),
        headers={"WWW-Authenticate": CHALLENGE},
    )


def authenticate(runtime: Runtime, opened: Opened, token: str, client_ip: str) -> Principal:
    """The caller behind an access token or an API key; session or key, and the membership, are
    checked in one statement, which begins the request's transaction in the caller's tenant."""
    if looks_like_key(token):
        return _key_principal(runtime, opened, token, client_ip)
    claims = runtime.access_tokens.verify(runtime.keys, runtime.settings, token)
    if claims is None:
        raise token_invalid()
    return _live_principal(opened, claims)


def _live_principal(opened: Opened, claims: AccessClaims) -> Principal:
    """The principal of a session that still lives. 401 once it was revoked or has expired, the
    account was disabled, or the membership ended."""
    row = opened.begin(LIVE_SESSION, session_id=claims.session_id, org_id=claims.org_id)
    if row is None or UUID(row[0]) != claims.account_id:
        raise token_invalid()
    _account, username, role, language = row
    return Principal(
        claims.account_id,
        claims.session_id,
        str(username),
        claims.org_id,
        None if role is None else ROLES[int(role)],
        language=language,
    )


def _key_principal(runtime: Runtime, opened: Opened, token: str, client_ip: str) -> Principal:
    """The principal of an API key: its creator, with the role of this moment and the key's scopes.
    401 once the key was revoked or has expired, or its creator was disabled or has left."""
    key_hash = hash_of(token)
    if key_hash is None:
        raise _key_invalid()
    row = opened.begin(LIVE_API_KEY, key_hash=key_hash)
    if row is None:
        runtime.recent_keys.forget(key_hash)
        raise _key_invalid()
    account, username, role, _language, org, _account, key, scopes, is_use_due = map(str, row)
    account_id, org_id, api_key_id = UUID(account), UUID(org), UUID(key)
    if is_use_due == "t":
        use = {"org_id": org_id, "api_key_id": api_key_id, "ip": parse_address(client_ip)}
        with runtime.db.read() as connection:
            connection.execute(NOTE_USE, use)
    runtime.recent_keys.remember(key_hash, account_id)
    return Principal(
        account_id,
        None,
        username,
        org_id,
        ROLES[int(role)],
        frozenset(scopes.split()),
        api_key_id,
        row[3],
    )


def authorise(operation: Operation, principal: Principal) -> None:
    """The coarse check: has the caller the operation's permission at all (403)?"""
    permission = operation.permission
    if permission is None:
        return
    if permission == ACCOUNT:
        require_session(principal)
        return
    if principal.org_id is None or principal.role is None:
        raise OrganisationRequired(_("Create or join an organisation, then refresh with org_id."))
    require_permission(principal, permission)


def refuse_other_organisation(
    opened: Opened, principal: Principal, path: Mapping[str, str]
) -> None:
    """403 with what to do, where the path names another organisation of the caller's than the
    token does: what they may in the one is no answer about the other."""
    try:
        org_id = UUID(path["organisation_id"])
    except (KeyError, ValueError):
        return
    refuse_elsewhere(opened.connection, principal, org_id)


def require_session(principal: Principal) -> None:
    """403 for an API key."""
    if principal.api_key_id is not None:
        raise SessionRequired(_("This is about a person's own account: log in. API keys cannot."))
