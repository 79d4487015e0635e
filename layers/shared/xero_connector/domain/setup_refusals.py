"""The table of the reasons why there is no setup page to show: status, code and key of each page.

The words of a page are in the catalogue of texts, under the key of its row. A row is called to make its
`SetupRefused`.
"""

from dataclasses import dataclass
from http import HTTPStatus

from xero_connector.domain.error_codes import STORE_UNAVAILABLE
from xero_connector.domain.errors import SetupRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row: its name in the catalogue, and what happened; `detail` is for the log line, no page shows it."""

    key: str
    code: str
    status: HTTPStatus
    detail: str

    def __call__(self) -> SetupRefused:
        """Return a new error of this row."""
        return SetupRefused(self.detail, key=self.key, code=self.code, status=self.status)


# --- the link ----------------------------------------------------------------------------------------------------

# It was never made, or it has been removed since.
setup_link_unknown = Refusal(
    key="setup_link_unknown",
    code="setup_link_unknown",
    status=HTTPStatus.NOT_FOUND,
    detail="This setup link does not exist.",
)
setup_link_expired = Refusal(
    key="setup_link_expired",
    code="setup_link_expired",
    status=HTTPStatus.GONE,
    detail="This setup link has expired.",
)
setup_link_withdrawn = Refusal(
    key="setup_link_withdrawn",
    code="setup_link_withdrawn",
    status=HTTPStatus.GONE,
    detail="This setup link was withdrawn.",
)

# --- the form ----------------------------------------------------------------------------------------------------

form_too_large = Refusal(
    key="form_too_large",
    code="form_too_large",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    detail="The form is larger than any pair could make it.",
)
form_malformed = Refusal(
    key="form_malformed",
    code="form_malformed",
    status=HTTPStatus.BAD_REQUEST,
    detail="The body is not a form of the setup page.",
)
# The browser says that another site made the request (Fetch Standard, `Origin` and `Sec-Fetch-Site`).
form_cross_site = Refusal(
    key="form_cross_site",
    code="form_cross_site",
    status=HTTPStatus.FORBIDDEN,
    detail="The form was sent from another site.",
)

# --- our side ----------------------------------------------------------------------------------------------------

store_unavailable = Refusal(
    key="store_unavailable",
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="The setup page cannot be shown at the moment.",
)
