"""What tokens do to their credential: it holds what the vault has, and parks what it did not take."""

from dataclasses import replace
from datetime import datetime

from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import ConsentGiven, Credential, LastError
from xero_connector.domain.error_codes import VERSION_ALLOWANCE
from xero_connector.domain.history import Action, Note
from xero_connector.domain.parked_grant import REFRESH_TOKEN_LIFETIME, ParkedGrant
from xero_connector.domain.refresh_policy import LOOK_AGAIN_AFTER, PROMISED_LEFT
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import StoredTokens, TokensSecret


def holding(
    credential: Credential,
    stored: StoredTokens,
    *,
    due_at: datetime,
    now: datetime,
    version_id: str | None = None,
    consent: ConsentGiven | None = None,
) -> Credential:
    """Point at a stored version of the tokens: the credential is connected, and all trouble is over.

    `consent` tells which one brought the tokens, None if they were refreshed; `version_id` is where it stored
    them, None if that is the generation's own. A consent that may have been cut off is still looked for.
    """
    secret = stored.secret
    shortfall = _shortfall(secret, due_at, now)
    connected = credential.move_to(Status.CONNECTED if shortfall is None else _connected_but_short(credential))
    if consent is not None:
        connected = _of_consent(
            credential, connected, consent, generation=secret.generation, version_id=version_id
        )
    if credential.checks["pair"].result is not CheckResult.PASS:
        connected = connected.checked(pair=Check(CheckResult.PASS, "Xero gave tokens for this pair.", now))
    brought = consent is not None and consent.request == credential.consenting
    watched = None if brought else credential.consenting
    refreshable = secret.token.refresh_token is not None
    return replace(
        connected,
        generation=secret.generation,
        tokens_secret_arn=stored.arn,
        granted_scopes=secret.token.scopes,
        access_token_expires_at=secret.token_expires_at,
        refresh_token_expires_at=secret.obtained_at + REFRESH_TOKEN_LIFETIME if refreshable else None,
        last_refreshed_at=secret.obtained_at,
        failures=0,
        last_error=shortfall,
        allowance=credential.allowance.drawn(now),
        consenting=watched,
        consenting_since=credential.consenting_since if watched else None,
        parked=None,
        unreadable_since=None,
        refused_since=None,
        refusals=0,
    ).released(
        due_at=due_at if watched is None else min(due_at, now + LOOK_AGAIN_AFTER), attempt_finished=True, now=now
    )


def _connected_but_short(credential: Credential) -> Status:
    # Connected first, where a refresh cannot degrade what never worked.
    worked = credential.status in {Status.CONNECTED, Status.DEGRADED, Status.CLIENT_REJECTED}
    return Status.DEGRADED if worked else Status.CONNECTED


def _of_consent(
    before: Credential, connected: Credential, consent: ConsentGiven, *, generation: int, version_id: str | None
) -> Credential:
    short = (Note(action=Action.DEGRADED),) if connected.status is Status.DEGRADED else ()
    return replace(
        connected,
        notes=(*before.notes, _connected_by(before, consent), *short),
        grant_began=generation,
        grant_consent=consent.request,
        grant_version_id=version_id,
        xero_user_id=consent.xero_user_id,
    )


def _connected_by(credential: Credential, consent: ConsentGiven) -> Note:
    before = credential.xero_user_id
    other = before is not None and consent.xero_user_id is not None and before != consent.xero_user_id
    return Note(
        action=Action.CONNECTED,
        by=consent.by,
        detail="Another Xero user than before gave this consent. The earlier grant ends with this credential."
        if other
        else None,
        replaced_user_id=before if other else None,
    )


def parking(
    credential: Credential, grant: ParkedGrant, *, code: str, detail: str, due_at: datetime, now: datetime
) -> Credential:
    """Keep a refresh token that the vault did not take, until the vault takes what it brings."""
    failed = credential.failed(code=code, detail=detail, now=now)
    if failed.status is Status.CONNECTED:
        failed = failed.move_to(Status.DEGRADED)
    finished = failed.released(due_at=due_at, attempt_finished=True, now=now)
    superseded = grant.consent is not None
    mine = superseded and grant.consent == credential.consenting
    other = superseded and credential.parked is not None and credential.parked.consent != grant.consent
    superseded_grant = credential.parked if other else None
    return replace(
        finished if superseded_grant is None else finished.leaving_behind(superseded_grant, now=now),
        parked=grant,
        consenting=None if mine else finished.consenting,
        consenting_since=None if mine else finished.consenting_since,
    )


def _shortfall(secret: TokensSecret, due_at: datetime, now: datetime) -> LastError | None:
    """Say that readers cannot be given what they are promised, because Secrets Manager takes no version sooner."""
    if secret.token_expires_at - due_at >= PROMISED_LEFT:
        return None
    minutes = max(0, int((secret.token_expires_at - secret.obtained_at).total_seconds() // 60))
    return LastError(
        VERSION_ALLOWANCE,
        f"Xero's access token lives {minutes} minutes, and Secrets Manager takes no new version in time. Readers "
        "can find a token with less than five minutes left, or an expired one. The grant is safe.",
        now,
    )
