"""The table of the reasons why a setup page cannot be shown, or its form not be taken: status and code of each.

The page has the words, under the same names. A row is called to make its `SetupRefused`.
"""

from dataclasses import dataclass
from http import HTTPStatus

from xero_connector.domain.error_codes import STORE_UNAVAILABLE
from xero_connector.domain.errors import SetupRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row: `detail` is for the log."""

    code: str
    status: HTTPStatus
    detail: str

    def __call__(self) -> SetupRefused:
        """Return a new error of this row."""
        return SetupRefused(self.detail, code=self.code, status=self.status)


# It was never made, or it has been removed since.
setup_link_unknown = Refusal(
    code="setup_link_unknown", status=HTTPStatus.NOT_FOUND, detail="This setup link does not exist."
)
setup_link_expired = Refusal(
    code="setup_link_expired", status=HTTPStatus.GONE, detail="This setup link has expired."
)
setup_link_withdrawn = Refusal(
    code="setup_link_withdrawn", status=HTTPStatus.GONE, detail="An administrator withdrew this setup link."
)
form_too_large = Refusal(
    code="form_too_large",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    detail="The form is larger than any pair could make it.",
)
form_malformed = Refusal(
    code="form_malformed", status=HTTPStatus.BAD_REQUEST, detail="The form is not one that this page makes."
)
# The token of the form does not belong to this browser's cookie, or the request comes from another site.
form_cross_site = Refusal(
    code="form_cross_site",
    status=HTTPStatus.FORBIDDEN,
    detail="The form was not sent by a page of this browser, or its cookie is missing.",
)
store_unavailable = Refusal(
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="A store did not do what was asked.",
)
