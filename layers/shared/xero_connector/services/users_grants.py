"""Find every grant that a credential ever got, by the Xero user who gave it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.disconnecting import GrantsAtHand
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED, SECRET_MISSING
from xero_connector.domain.errors import UNUSABLE, SecretDeleted, SecretNotVisible, StoreUnavailable
from xero_connector.domain.failed_refresh import SECRET_UNREADABLE, unreadable_since
from xero_connector.domain.parked_grant import REFRESH_TOKEN_LIFETIME, ParkedGrant
from xero_connector.domain.ports import Clock, Seal, Vault
from xero_connector.domain.refresh_policy import VISIBLE_WITHIN
from xero_connector.domain.time_budget import TIME_TO_READ
from xero_connector.domain.tokens import ClientPair, StoredTokens, consent_version_id
from xero_connector.services.disconnect_turn import DisconnectTurn, PostponedError

_MOST_NEWER = 5
_CUT_OFF = "The answer to a consent was lost, and whether Xero connected anything is not known."
_NOT_KEPT = "The token of an earlier consent was not kept, so it could not be revoked."
_LONG_ENOUGH = timedelta(minutes=2)
"""A turn, and a clock that is a minute off."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UsersGrants:
    """Reads the grants one user after the other: those that the credential holds first, the present one last."""

    vault: Vault
    seal: Seal
    clock: Clock

    def pair(self, turn: DisconnectTurn) -> ClientPair | None:
        """Return the pair; None, with a word, where it is gone. Raises `PostponedError` while that is not sure."""
        credential = turn.credential
        return self._read(
            turn,
            lambda: self._living(
                turn,
                lambda: self.vault.get_client_pair(credential.client_id, version_id=credential.client_version_id),
                restore=self.vault.restore_client_pair,
            ),
            what="The client secret",
        )

    def next(self, turn: DisconnectTurn) -> GrantsAtHand:
        """Return the grants of the user whose turn it is; what cannot be read any more is noted.

        Raises `PostponedError` while that is not sure.
        """
        credential = turn.credential
        waiting = self._waiting(credential)
        if waiting:
            return self._sealed(turn, waiting[0])
        if credential.consenting is not None:
            return self._cut_off(turn, credential.consenting)
        return self._present(turn)

    def any_of(self, credential: Credential) -> bool:
        """Whether the credential ever got anything."""
        return credential.generation > 0 or credential.consenting is not None or bool(self._alive(credential))

    def _waiting(self, credential: Credential) -> Sequence[tuple[ParkedGrant, ...]]:
        """Group what waits in the credential by user; the present grant's user comes last, and not here."""
        by_user: dict[object, list[ParkedGrant]] = {}
        for position, grant in enumerate(self._alive(credential)):
            if not self._is_present_users(credential, grant):
                by_user.setdefault(grant.xero_user_id or position, []).append(grant)
        return [tuple(grants) for grants in by_user.values()]

    def _alive(self, credential: Credential) -> Sequence[ParkedGrant]:
        grants = (*credential.earlier_grants, *(() if credential.parked is None else (credential.parked,)))
        return [grant for grant in grants if grant.obtained_at + REFRESH_TOKEN_LIFETIME > self.clock()]

    @staticmethod
    def _is_present_users(credential: Credential, grant: ParkedGrant) -> bool:
        if grant == credential.parked and grant.consent is None:
            return True
        return (
            credential.generation > 0
            and credential.xero_user_id is not None
            and grant.xero_user_id == credential.xero_user_id
        )

    def _sealed(self, turn: DisconnectTurn, grants: tuple[ParkedGrant, ...]) -> GrantsAtHand:
        lost = grants[-1].consent
        if lost is not None and not any(grant.sealed for grant in grants):
            return replace(self._cut_off(turn, lost), sealed=grants)
        tokens = self._unsealed(turn, grants)
        readable = [grant for grant, _ in tokens]
        if not any(grant.sealed for grant in grants):
            turn.leave(GRANT_NOT_CONFIRMED, _NOT_KEPT)
        return GrantsAtHand(
            refresh_tokens=[token for _, token in tokens],
            access_token=None,
            sealed=grants,
            newest=readable[-1] if readable else None,
            scopes=grants[-1].scopes,
        )

    def _unsealed(self, turn: DisconnectTurn, grants: tuple[ParkedGrant, ...]) -> list[tuple[ParkedGrant, str]]:
        tokens = []
        for grant in grants:
            context = turn.credential.seal_context
            token = (
                self._read(
                    turn,
                    lambda: self.seal.unseal(grant.sealed, context=context),  # noqa: B023 - called at once
                    what="The token of an earlier grant",
                )
                if grant.sealed
                else None
            )
            if token is not None:
                tokens.append((grant, token))
        return tokens

    def _cut_off(self, turn: DisconnectTurn, request: str) -> GrantsAtHand:
        """Find what a consent stored before it was cut off; its user is not known."""
        credential = turn.credential
        stored = self._seen(turn, consent_version_id(credential.incarnation, request))
        if stored is None:
            turn.leave(GRANT_NOT_CONFIRMED, _CUT_OFF)
            return GrantsAtHand([], None, sealed=(), newest=None)
        return self._stored(turn, stored)

    def _present(self, turn: DisconnectTurn) -> GrantsAtHand:
        credential = turn.credential
        sealed = tuple(grant for grant in self._alive(credential) if self._is_present_users(credential, grant))
        unsealed = self._unsealed(turn, sealed)
        stored = self._newest_stored(turn)
        at_hand = GrantsAtHand([], None, (), None) if stored is None else self._stored(turn, stored)
        at_hand.is_last = True
        at_hand.sealed = sealed
        parked = [token for grant, token in unsealed if grant == credential.parked]
        at_hand.refresh_tokens = [
            *(token for grant, token in unsealed if grant != credential.parked),
            *at_hand.refresh_tokens,
            *parked,
        ]
        # An answer that was stored is not lost.
        at_hand.may_be_rotated = turn.unfinished and (
            stored is None or stored.secret.generation == credential.generation
        )
        at_hand.newest = credential.parked if parked else None
        if stored is None and unsealed and not parked:
            at_hand.newest = unsealed[-1][0]
        return at_hand

    def _newest_stored(self, turn: DisconnectTurn) -> StoredTokens | None:
        credential = turn.credential
        lives_until = credential.refresh_token_expires_at
        if credential.generation == 0 or (lives_until is not None and lives_until <= self.clock()):
            return None
        rotated = credential.parked is not None and credential.parked.consent is None
        expires_at = credential.access_token_expires_at
        if rotated and expires_at is not None and expires_at - self.clock() <= _LONG_ENOUGH:
            # Neither of its tokens is good for anything.
            return None
        version_id = credential.tokens_version_id(credential.generation)
        newest = self._read(
            turn,
            lambda: self._living(
                turn,
                lambda: self.vault.get_tokens(credential.client_id, version_id=version_id),
                restore=self.vault.restore_tokens,
            ),
            what="The tokens secret",
        )
        if newest is None or not turn.unfinished:
            return newest
        # Work that was cut off may have stored its answer.
        for generation in range(credential.generation + 1, credential.generation + 1 + _MOST_NEWER):
            newer = self._seen(turn, credential.tokens_version_id(generation))
            if newer is None:
                break
            newest = newer
        return newest

    def _seen(self, turn: DisconnectTurn, version_id: str) -> StoredTokens | None:
        credential = turn.credential

        def look() -> StoredTokens | None:
            try:
                return self.vault.get_tokens(credential.client_id, version_id=version_id)
            except SecretDeleted:
                # Deleted with an earlier life of this credential: this one has stored nothing yet.
                return None

        return self._read(turn, look, what="The tokens secret")

    def _stored(self, turn: DisconnectTurn, stored: StoredTokens) -> GrantsAtHand:
        token = stored.secret.token
        # One that expires meanwhile would be refused for that reason, and prove nothing.
        alive = stored.secret.token_expires_at - self.clock() > _LONG_ENOUGH
        if token.refresh_token is None and not alive:
            turn.leave(
                GRANT_NOT_CONFIRMED, "The consent brought no refresh token, so its connections are not known."
            )
        return GrantsAtHand(
            refresh_tokens=[] if token.refresh_token is None else [token.refresh_token],
            access_token=token.access_token if alive else None,
            sealed=(),
            newest=None,
            scopes=token.scopes,
        )

    @staticmethod
    def _living[Secret](
        turn: DisconnectTurn, read: Callable[[], Secret | None], *, restore: Callable[[str], None]
    ) -> Secret:
        """Read a secret that the credential vouches for, and bring it back first where it was deleted by hand."""
        try:
            secret = read()
        except SecretDeleted:
            # Another holder that has ended the credential may have deleted it: then this one stops here.
            turn.lease.renew()
            turn.restored = True
            restore(turn.credential.client_id)
            try:
                secret = read()
            except SecretDeleted:
                # This reader does not see yet that it is back.
                secret = None
        if secret is None:
            raise SecretNotVisible
        return secret

    def _read[Secret](self, turn: DisconnectTurn, read: Callable[[], Secret], *, what: str) -> Secret | None:
        """Read what it takes to end a grant, waiting as long as it may only lag; None once it is gone."""
        turn.spare(TIME_TO_READ)
        try:
            return read()
        except StoreUnavailable as trouble:
            now = self.clock()
            if isinstance(trouble, SecretNotVisible) or trouble.reason in UNUSABLE:
                detail = f"{what} cannot be read now. It is tried each minute, for 15 minutes."
                since = unreadable_since(turn.credential, now, detail=detail)
                if now - since < VISIBLE_WITHIN:
                    raise PostponedError(SECRET_UNREADABLE, detail, unreadable_since=since) from trouble
            elif not turn.given_up:
                raise PostponedError(trouble.code, trouble.detail) from trouble
            turn.leave(SECRET_MISSING, f"{what} cannot be read any more, so a grant could not be ended with it.")
            return None
