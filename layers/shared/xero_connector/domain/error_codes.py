"""The codes that several errors share; the others stand where their error is made. `docs/api.md` explains them."""

BUSY = "busy"
NOT_CONNECTABLE = "not_connectable"
REFRESH_TOKEN_MISSING = "refresh_token_missing"  # noqa: S105 - the name of an error
STORE_UNAVAILABLE = "store_unavailable"
VERSION_ALLOWANCE = "version_allowance"
"""Secrets Manager takes no new version in time."""
XERO_UNAVAILABLE = "xero_unavailable"
