"""Take a pair from a customer who has a setup link: prove it at once, and keep for the page what came of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import (
    ConnectorError,
    LeaseUnavailable,
    MalformedRequest,
    RequestRefused,
    RevisionConflict,
    SecretDeleted,
    StoreUnavailable,
    VersionTaken,
    XeroUnavailable,
)
from xero_connector.domain.healing import wants_secret
from xero_connector.domain.ports import Clock, Observer, Registry, SetupLinks
from xero_connector.domain.scopes import OF_A_USER
from xero_connector.domain.setup_link import MOST_TRIES_OF_AN_ADDRESS, SetupLink, by_setup_link
from xero_connector.domain.setup_try import advice_of, problem_of
from xero_connector.domain.setup_view import Try, TryProblem
from xero_connector.domain.submission import Submission, parse_client_id, parse_client_secret
from xero_connector.domain.tokens import ClientPair
from xero_connector.services.change_setup_link import ChangeSetupLink
from xero_connector.services.find_setup_link import FindSetupLink
from xero_connector.use_cases.replace_client_secret import ReplaceClientSecret
from xero_connector.use_cases.submit_credential import SubmitCredential

_ADDRESS_WINDOW = timedelta(hours=1)
_MOST_TYPED = 200
"""Characters that are shown again of a client ID that cannot be one."""
_FAILURES = (
    RequestRefused,
    XeroUnavailable,
    StoreUnavailable,
    SecretDeleted,
    VersionTaken,
    RevisionConflict,
    LeaseUnavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupForm:
    """What the customer typed, as it came."""

    client_id: str
    client_secret: str = field(repr=False)
    integration_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The browser that sent the form and the address that it came from, each as a hash.

    `has_current_form` if the form is one that this very browser got.
    """

    browser_hash: str
    address_hash: str
    has_current_form: bool


class _Unfit(Exception):
    """A field that cannot be sent to Xero."""

    def __init__(self, problem: TryProblem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HandOverPair:
    """Submits a new pair, or swaps a refused secret.

    The link is claimed first, so that one pair is tried at a time. A process that is cut off leaves a claim that
    ends within a minute, and a credential that names the link.
    """

    registry: Registry
    setup_links: SetupLinks
    find_setup_link: FindSetupLink
    change_setup_link: ChangeSetupLink
    submit_credential: SubmitCredential
    replace_client_secret: ReplaceClientSecret
    clock: Clock
    observer: Observer

    def __call__(self, ticket: str, form: SetupForm, sender: Sender) -> None:
        """Take the form; the page shows what came of it. Raises `SetupRefused` where the link cannot be used."""
        link = self.find_setup_link(ticket)
        healed = self._client_id_to_heal(link)
        if link.is_over(self.clock()) or (healed is None and link.client_id is not None):
            # There is nothing left to hand over: the page shows where things stand.
            return
        typed = _Typed.of(form, link, healed)
        if not sender.has_current_form:
            self._tell(link, sender, typed.result(TryProblem.FORM_EXPIRED))
            return
        try:
            pair, integration_type = typed.pair(), typed.integration_type()
        except _Unfit as unfit:
            self._tell(link, sender, typed.result(unfit.problem))
            return
        if (refused := self._not_now(link, sender)) is not None:
            self._tell(link, sender, typed.result(*refused))
            return
        if not self._claim(link, pair.client_id, healed=healed):
            self._tell(link, sender, typed.result(TryProblem.IN_PROGRESS))
            return
        self._try(link, pair, integration_type, sender, typed, healed=healed)

    def _client_id_to_heal(self, link: SetupLink) -> str | None:
        """Return the client ID of the credential that takes a new secret by this link."""
        if link.client_id is None:
            return None
        credential = self.registry.get(link.client_id)
        if credential is None or not wants_secret(credential) or not link.leads_to(credential):
            return None
        return link.client_id

    def _not_now(self, link: SetupLink, sender: Sender) -> tuple[TryProblem, datetime | None] | None:
        if link.is_exhausted:
            return TryProblem.TOO_MANY_REFUSALS, None
        now = self.clock()
        if (allowed_at := link.try_allowed_at(now)) > now:
            return TryProblem.TOO_MANY_TRIES, allowed_at
        tries, since = self.setup_links.count_try(sender.address_hash, now=now, window=_ADDRESS_WINDOW)
        if tries > MOST_TRIES_OF_AN_ADDRESS:
            return TryProblem.TOO_MANY_TRIES, since + _ADDRESS_WINDOW
        return None

    def _claim(self, link: SetupLink, client_id: str, *, healed: str | None) -> bool:
        now = self.clock()
        claimed = False

        def claim(link: SetupLink) -> SetupLink:
            nonlocal claimed
            claimed = link.takes_claim(now) and link.client_id == healed
            return link.claimed(client_id, now) if claimed else link

        self.change_setup_link(link.setup_link_id, claim)
        return claimed

    def _try(
        self,
        link: SetupLink,
        pair: ClientPair,
        integration_type: IntegrationType,
        sender: Sender,
        typed: "_Typed",
        *,
        healed: str | None,
    ) -> None:
        link_id = link.setup_link_id
        try:
            if healed is None:
                self.submit_credential(
                    _submission(link, pair, integration_type),
                    submitted_by=link.created_by,
                    setup_link_id=link_id,
                )
            else:
                self.replace_client_secret(
                    healed, pair.client_secret, by=by_setup_link(link_id), setup_link_id=link_id
                )
        except _FAILURES as failure:
            result = typed.result(problem_of(failure), failure=failure)
            if result.problem is TryProblem.CREDENTIAL_EXISTS and self._is_by_this_link(pair.client_id, link_id):
                # An earlier try kept the pair, and its answer was lost.
                self.change_setup_link(link_id, lambda link: link.used(pair.client_id, self.clock()))
                return
            self.observer.event("setup_link_tried", setup_link_id=link_id, problem=result.problem)
            if result.problem is TryProblem.UNAVAILABLE:
                self.observer.warning("setup_link_unavailable", setup_link_id=link_id, detail=failure.detail)
            self.change_setup_link(link_id, lambda link: link.tried(sender.browser_hash, result, self.clock()))
            return
        self.observer.count("SetupLinksUsed")
        self.change_setup_link(link_id, lambda link: link.used(pair.client_id, self.clock()))

    def _is_by_this_link(self, client_id: str, setup_link_id: str) -> bool:
        credential = self.registry.get(client_id)
        return credential is not None and credential.setup_link_id == setup_link_id

    def _tell(self, link: SetupLink, sender: Sender, result: Try) -> None:
        self.observer.event("setup_link_tried", setup_link_id=link.setup_link_id, problem=result.problem)
        self.change_setup_link(link.setup_link_id, lambda link: link.told(sender.browser_hash, result))


@dataclass(frozen=True, slots=True)
class _Typed:
    """The form, read with what the link says."""

    form: SetupForm
    link: SetupLink
    client_id: str

    @classmethod
    def of(cls, form: SetupForm, link: SetupLink, healed: str | None) -> "_Typed":
        return cls(form, link, form.client_id if healed is None else healed)

    def pair(self) -> ClientPair:
        if not self.client_id.strip():
            raise _Unfit(TryProblem.MISSING_CLIENT_ID)
        try:
            client_id = parse_client_id(self.client_id)
        except MalformedRequest:
            raise _Unfit(TryProblem.MALFORMED_CLIENT_ID) from None
        if not self.form.client_secret.strip():
            raise _Unfit(TryProblem.MISSING_CLIENT_SECRET)
        try:
            return ClientPair(client_id, parse_client_secret(self.form.client_secret))
        except MalformedRequest:
            # The cause is left out: it is about the secret.
            raise _Unfit(TryProblem.MALFORMED_CLIENT_SECRET) from None

    def integration_type(self) -> IntegrationType:
        if self.link.integration_type is not None:
            return self.link.integration_type
        try:
            return IntegrationType(self.form.integration_type or IntegrationType.WEB_APP)
        except ValueError:
            raise _Unfit(TryProblem.MISSING_INTEGRATION_TYPE) from None

    def result(
        self, problem: TryProblem, again_at: datetime | None = None, *, failure: ConnectorError | None = None
    ) -> Try:
        try:
            integration_type = self.integration_type()
        except _Unfit:
            integration_type = None
        advice = {} if failure is None else advice_of(failure)
        return Try(
            problem=problem,
            client_id=self.client_id.strip()[:_MOST_TYPED],
            integration_type=integration_type,
            again_at=again_at,
            **advice,
        )


def _submission(link: SetupLink, pair: ClientPair, integration_type: IntegrationType) -> Submission:
    scopes = link.scopes
    if scopes is not None and integration_type is IntegrationType.CUSTOM_CONNECTION:
        # Made for a consent, where the link left the choice to the customer.
        scopes = tuple(scope for scope in scopes if scope not in OF_A_USER) or None
    return Submission(pair=pair, label=link.label, integration_type=integration_type, scopes=scopes)
