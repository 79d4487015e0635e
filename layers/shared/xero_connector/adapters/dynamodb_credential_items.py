"""How the attributes of a credential are written: `dynamodb_credential_parts` divides them among its items."""

from decimal import Decimal
from uuid import UUID

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.item_members import Members
from xero_connector.domain.checks import UNCHECKED, Check, CheckResult
from xero_connector.domain.credential import Credential, IntegrationType, LastError, Lease
from xero_connector.domain.ending import Ending, Leftover
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import tenants_from
from xero_connector.domain.version_allowance import VersionAllowance

_MOST_VERSIONS = 10**6
"""What an allowance can be ahead or behind, so that the wait for it is a time."""


def credential_to_item(row: Credential, *, shards: int) -> items.Item:
    """Return all attributes of a credential; it is due at some time only where it has `due_shard` and `due_at`."""
    return {
        **items.credential_key(row.client_id),
        "client_id": row.client_id,
        "incarnation": str(row.incarnation),
        "revision": row.revision,
        "status": str(row.status),
        "label": row.label,
        "integration_type": str(row.integration_type),
        "requested_scopes": list(row.requested_scopes),
        "granted_scopes": list(row.granted_scopes),
        "checks": {name: _check_to_item(check) for name, check in row.checks.items()},
        "tenants": [tenant.to_dict() for tenant in row.tenants],
        "tenants_pending": row.tenants_pending,
        "tenants_checked_at": items.written(row.tenants_checked_at),
        "client_secret_number": row.client_secret_number,
        "generation": row.generation,
        "grant_began": row.grant_began,
        "grant_consent": row.grant_consent,
        "grant_version_id": row.grant_version_id,
        "xero_user_id": row.xero_user_id,
        "consenting": row.consenting,
        "consenting_since": items.written(row.consenting_since),
        "parked": None if row.parked is None else _parked_to_item(row.parked),
        "earlier_grants": [_parked_to_item(grant) for grant in row.earlier_grants] or None,
        "unreadable_since": items.written(row.unreadable_since),
        "refused_since": items.written(row.refused_since),
        "refusals": row.refusals or None,
        "ending": None if row.ending is None else _ending_to_item(row.ending),
        "tokens_secret_arn": row.tokens_secret_arn,
        "access_token_expires_at": items.written(row.access_token_expires_at),
        "refresh_token_expires_at": items.written(row.refresh_token_expires_at),
        "last_refreshed_at": items.written(row.last_refreshed_at),
        "due_shard": None if row.due_at is None else items.shard_of(row.client_id, shards),
        "due_at": None if row.due_at is None else items.epoch(row.due_at),
        "due_exactly_at": items.written(row.due_at),
        "lease_owner": None if row.lease is None else row.lease.owner,
        "lease_until": None if row.lease is None else items.written(row.lease.until),
        "attempt_started_at": items.written(row.attempt_started_at),
        "failures": row.failures,
        "last_error": None
        if row.last_error is None
        else {
            "code": row.last_error.code,
            "detail": row.last_error.detail,
            "at": row.last_error.at.isoformat(),
        },
        "allowance_level": Decimal(str(round(row.allowance.level, 6))),
        "allowance_at": row.allowance.at.isoformat(),
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
        "setup_link_id": row.setup_link_id,
        "updated_at": row.updated_at.isoformat(),
    }


def credential_from_item(item: items.Item) -> Credential:
    """Read all attributes of a credential."""
    members = Members(item)
    parked = members.inner_or_none("parked")
    ending = members.inner_or_none("ending")
    last_error = members.inner_or_none("last_error")
    checks = members.inner("checks")
    return Credential(
        client_id=members.text("client_id"),
        incarnation=UUID(members.text("incarnation")),
        revision=members.whole("revision"),
        status=Status(members.text("status")),
        label=members.text_or_none("label"),
        integration_type=IntegrationType(members.text("integration_type")),
        requested_scopes=members.texts("requested_scopes"),
        granted_scopes=members.texts("granted_scopes"),
        # Code that adds to a check finds one of each.
        checks={**UNCHECKED, **{name: _check_from(checks.inner(name)) for name in checks.item}},
        tenants=tenants_from(item.get("tenants")),
        tenants_pending=members.flag("tenants_pending"),
        tenants_checked_at=members.moment_or_none("tenants_checked_at"),
        client_secret_number=members.whole("client_secret_number"),
        generation=members.whole("generation"),
        grant_began=members.whole("grant_began"),
        grant_consent=members.text_or_none("grant_consent"),
        grant_version_id=members.text_or_none("grant_version_id"),
        xero_user_id=members.text_or_none("xero_user_id"),
        consenting=members.text_or_none("consenting") or None,
        consenting_since=members.moment_or_none("consenting_since"),
        parked=None if parked is None else _parked_from(parked),
        earlier_grants=tuple(_parked_from(grant) for grant in members.inner_list("earlier_grants")),
        unreadable_since=members.moment_or_none("unreadable_since"),
        refused_since=members.moment_or_none("refused_since"),
        refusals=members.whole("refusals") if "refusals" in members else 0,
        ending=None if ending is None else _ending_from(ending),
        tokens_secret_arn=members.text_or_none("tokens_secret_arn"),
        access_token_expires_at=members.moment_or_none("access_token_expires_at"),
        refresh_token_expires_at=members.moment_or_none("refresh_token_expires_at"),
        last_refreshed_at=members.moment_or_none("last_refreshed_at"),
        due_at=members.moment_or_none("due_exactly_at"),
        lease=Lease(members.text("lease_owner"), members.moment("lease_until"))
        if "lease_owner" in members
        else None,
        attempt_started_at=members.moment_or_none("attempt_started_at"),
        failures=members.whole("failures"),
        last_error=None
        if last_error is None
        else LastError(last_error.text("code"), last_error.text("detail"), last_error.moment("at")),
        allowance=VersionAllowance(_level(members), members.moment("allowance_at")),
        created_at=members.moment("created_at"),
        created_by=members.text("created_by"),
        setup_link_id=members.text_or_none("setup_link_id"),
        updated_at=members.moment("updated_at"),
    )


def _level(members: Members) -> float:
    level = float(members.number("allowance_level"))
    if abs(level) > _MOST_VERSIONS:
        raise ValueError
    return level


def _parked_to_item(grant: ParkedGrant) -> items.Item:
    item = {
        "sealed": grant.sealed,
        "obtained_at": grant.obtained_at.isoformat(),
        "consent": grant.consent,
        "xero_user_id": grant.xero_user_id,
        "scopes": list(grant.scopes),
    }
    return {name: value for name, value in item.items() if value is not None}


def _parked_from(members: Members) -> ParkedGrant:
    return ParkedGrant(
        sealed=members.text("sealed"),
        obtained_at=members.moment("obtained_at"),
        consent=members.text_or_none("consent"),
        xero_user_id=members.text_or_none("xero_user_id"),
        scopes=members.texts("scopes") if "scopes" in members else (),
    )


def _ending_to_item(ending: Ending) -> items.Item:
    item = {
        "since": ending.since.isoformat(),
        "exchanged": ending.exchanged,
        "revoked": ending.revoked,
        "suspected": ending.suspected,
        "exchange_lost_at": items.written(ending.exchange_lost_at),
        "grants_done": ending.grants_done,
        "leftovers": [{"code": one.code, "detail": one.detail} for one in ending.leftovers],
    }
    return {name: value for name, value in item.items() if value is not None}


def _ending_from(members: Members) -> Ending:
    return Ending(
        since=members.moment("since"),
        exchanged=members.flag("exchanged"),
        revoked=members.flag("revoked"),
        exchange_lost_at=members.moment_or_none("exchange_lost_at"),
        suspected=members.flag("suspected"),
        grants_done=members.flag("grants_done"),
        leftovers=tuple(Leftover(one.text("code"), one.text("detail")) for one in members.inner_list("leftovers")),
    )


def _check_to_item(check: Check) -> items.Item:
    item = {"result": str(check.result), "detail": check.detail, "checked_at": items.written(check.checked_at)}
    return {name: value for name, value in item.items() if value is not None}


def _check_from(members: Members) -> Check:
    return Check(CheckResult(members.text("result")), members.text("detail"), members.moment_or_none("checked_at"))
