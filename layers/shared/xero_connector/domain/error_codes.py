"""The codes that several errors share; the others stand where their error is made. `docs/api.md` explains them."""

BUSY = "busy"
NOT_CONNECTABLE = "not_connectable"
REFRESH_TOKEN_MISSING = "refresh_token_missing"  # noqa: S105 - the name of an error
STORE_UNAVAILABLE = "store_unavailable"
XERO_UNAVAILABLE = "xero_unavailable"
