"""The rules of the developer portal, without HTTP. What it makes is what the token endpoint then accepts."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum

from local.xero_simulator.apps import (
    API_SCOPES,
    DEFAULT_ORGANISATIONS,
    OIDC_SCOPES,
    App,
    AppDetails,
    ClientSecret,
    IntegrationType,
    Organisation,
    new_app,
)
from local.xero_simulator.clock import Now
from local.xero_simulator.developer_portal.forms import (
    ConfigurationForm,
    NewAppForm,
    Problem,
    RefusedFormError,
    details_problems,
)
from local.xero_simulator.identity_server import IdentityServer, UnknownAppError
from local.xero_simulator.users import User

MOST_UNSAVED_SECRETS = 1000

# The organisations of a user who authorises a Custom connection.
ORGANISATIONS = tuple(map(Organisation, DEFAULT_ORGANISATIONS))


class Outcome(StrEnum):
    """What Save did."""

    SAVED = "saved"
    INVITED = "invited"  # an email went to the authorising user, and the connection is inactive until then


class DeveloperPortal:
    """What a user can do with apps; a user sees nobody else's. Thread safe."""

    def __init__(self, identity_server: IdentityServer, now: Now) -> None:
        self._identity_server = identity_server
        self._now = now
        # Secrets that live on a page only. The app's own store never sees one that is not saved.
        self._unsaved: OrderedDict[str, tuple[str, ClientSecret]] = OrderedDict()

    def apps_of(self, user: User) -> list[App]:
        with self._identity_server.apps() as apps:
            owned = [app for app in apps.values() if app.owner == user.email]
        return sorted(owned, key=lambda app: (app.details.name.casefold(), app.client_id))

    def app_of(self, user: User, client_id: str) -> App:
        """Find an app; raises `UnknownAppError` for somebody else's too."""
        with self._owned(user, client_id) as app:
            return app

    def create(self, user: User, form: NewAppForm) -> App:
        """Create an app without a secret; raises `RefusedFormError`."""
        problems = form.problems()
        with self._identity_server.apps() as apps:
            problems = _with_taken_name(problems, form.details, apps)
            if problems or form.chosen_type is None:
                raise RefusedFormError(*problems)
            custom = form.chosen_type is IntegrationType.CUSTOM_CONNECTION
            app = new_app(
                form.chosen_type,
                redirect_uris=form.redirect_uris,
                scopes=() if custom else API_SCOPES,
                organisations=() if custom else None,
                details=form.details,
                owner=user.email,
                active=not custom,
            )
            apps[app.client_id] = app
        return app

    def change_details(self, user: User, client_id: str, details: AppDetails) -> None:
        """Change what an app tells about itself; raises `RefusedFormError`."""
        with self._owned(user, client_id) as app, self._identity_server.apps() as apps:
            problems = _with_taken_name(details_problems(details), details, apps, but_for=client_id)
            if problems:
                raise RefusedFormError(*problems)
            app.details = details

    def configuration_of(self, user: User, client_id: str) -> ConfigurationForm:
        """Read what is saved."""
        with self._owned(user, client_id) as app:
            return ConfigurationForm(app.redirect_uris, app.scopes - OIDC_SCOPES, app.authorising_user)

    def generate_secret(self, user: User, client_id: str) -> ClientSecret:
        """Generate a secret that is lost unless it is saved; raises `RefusedFormError` where none can be had."""
        with self._owned(user, client_id) as app:
            if app.is_public:
                raise RefusedFormError(Problem("secrets", "A Mobile or desktop app cannot have a client secret."))
            if not app.organisations:
                raise RefusedFormError(Problem("secrets", "The authorising user has to authorise the app first."))
            secret = ClientSecret(self._now())
            self._unsaved[secret.secret_id] = (client_id, secret)
            if len(self._unsaved) > MOST_UNSAVED_SECRETS:
                self._unsaved.popitem(last=False)
            return secret

    def unsaved_secret(self, user: User, client_id: str, secret_id: str) -> ClientSecret | None:
        """Find a secret that is on the page, but not saved yet."""
        with self._owned(user, client_id):
            of_app, secret = self._unsaved.get(secret_id, ("", None))
            return secret if of_app == client_id else None

    def delete_secret(self, user: User, client_id: str, secret_id: str) -> None:
        """Delete a saved secret; the token endpoint refuses it from now on."""
        with self._owned(user, client_id) as app:
            app.client_secrets = [one for one in app.client_secrets if one.secret_id != secret_id]

    def save(self, user: User, client_id: str, form: ConfigurationForm) -> Outcome:
        """Save an app's Configuration and its fresh secret; raises `RefusedFormError`, and then saves nothing."""
        with self._owned(user, client_id) as app:
            problems = form.problems(app.integration_type)
            secret = self.unsaved_secret(user, client_id, form.unsaved_secret)
            if form.unsaved_secret and secret is None:
                problems.append(Problem("secrets", "This client secret is saved already, or it is lost."))
            if problems:
                raise RefusedFormError(*problems)
            if secret is not None:
                app.client_secrets.append(secret)
                del self._unsaved[secret.secret_id]
            if app.integration_type is IntegrationType.CUSTOM_CONNECTION:
                return _save_custom_connection(app, form)
            app.redirect_uris = form.filled_redirect_uris
            return Outcome.SAVED

    def invitations_of(self, user: User) -> list[App]:
        """List the Custom connections that wait for this user."""
        with self._identity_server.apps() as apps:
            return [app for app in apps.values() if _waits_for(app, user)]

    def invitation(self, user: User, client_id: str) -> App:
        """Find a Custom connection that waits for this user; raises `UnknownAppError`."""
        with self._identity_server.apps() as apps:
            app = apps.get(client_id)
        if app is None or not _waits_for(app, user):
            raise UnknownAppError(client_id)
        return app

    def authorise(self, user: User, client_id: str, tenant_id: str) -> Organisation:
        """Connect a Custom connection to one of the user's organisations; raises `RefusedFormError`."""
        chosen = next((one for one in ORGANISATIONS if one.tenant_id == tenant_id), None)
        if chosen is None:
            raise RefusedFormError(Problem("organisation-1", "Choose an organisation."))
        with self._identity_server.apps():
            app = self.invitation(user, client_id)
            app.organisations = (chosen,)
            app.active = True
            self._identity_server.connect_exactly(client_id, [chosen.name])
        return chosen

    @contextmanager
    def _owned(self, user: User, client_id: str) -> Iterator[App]:
        with self._identity_server.apps() as apps:
            app = apps.get(client_id)
            if app is None or app.owner != user.email:
                raise UnknownAppError(client_id)
            yield app


def _save_custom_connection(app: App, form: ConfigurationForm) -> Outcome:
    authorising_user = form.authorising_user.strip().lower()
    scopes = form.scopes | OIDC_SCOPES
    if app.active and (scopes, authorising_user) == (app.scopes, app.authorising_user):
        return Outcome.SAVED
    app.scopes = scopes
    app.authorising_user = authorising_user
    app.active = False
    return Outcome.INVITED


def _waits_for(app: App, user: User) -> bool:
    return not app.active and app.authorising_user == user.email


def _with_taken_name(
    problems: list[Problem], details: AppDetails, apps: Mapping[str, App], *, but_for: str = ""
) -> list[Problem]:
    taken = {app.details.name.casefold() for app in apps.values() if app.client_id != but_for}
    if details.name.casefold() in taken:
        return [Problem("name", "There is an app with this name. Choose another name."), *problems]
    return problems


def shown_date(moment: datetime) -> str:
    """Write a moment as the portal shows it."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
