"""The forms of the portal: what was typed, and what is wrong with it."""

import unicodedata
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from local.xero_simulator.apps import (
    API_SCOPES,
    MOST_REDIRECT_URIS,
    AppDetails,
    IntegrationType,
    complaint_about,
)

# No published limits: these keep a page readable. A redirect URI's is the default of IdentityServer.
LONGEST_NAME = 100
LONGEST_URL = 400
LONGEST_EMAIL = 254

INTEGRATION_TYPES = {choice.value: choice for choice in IntegrationType}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the portal refuses, and the id of the control that it is about."""

    control: str
    message: str


class RefusedFormError(ValueError):
    """A form was refused and nothing changed; `problems` says why, in the order of the page."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class NewAppForm:
    """What was typed under "New app"."""

    name: str = ""
    integration_type: str = IntegrationType.WEB_APP.value
    company_url: str = ""
    privacy_policy_url: str = ""
    terms_url: str = ""
    redirect_uri: str = ""
    terms_accepted: bool = False

    @property
    def details(self) -> AppDetails:
        return AppDetails(
            self.name.strip(), self.company_url.strip(), self.privacy_policy_url.strip(), self.terms_url.strip()
        )

    @property
    def chosen_type(self) -> IntegrationType | None:
        return INTEGRATION_TYPES.get(self.integration_type)

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """The one that was typed; a Custom connection has none, whatever was typed."""
        if self.chosen_type is IntegrationType.CUSTOM_CONNECTION:
            return ()
        return (self.redirect_uri.strip(),)

    def problems(self) -> list[Problem]:
        found = details_problems(self.details)
        if self.chosen_type is None:
            found.insert(1 if found[:1] and found[0].control == "name" else 0, _UNKNOWN_TYPE)
        for redirect_uri in self.redirect_uris:
            found += _redirect_uri_problems("redirect_uri", redirect_uri)
        if not self.terms_accepted:
            found.append(Problem("terms", "Read the Terms & Conditions and tick the box to agree to them."))
        return found


@dataclass(frozen=True, slots=True)
class ConfigurationForm:
    """What an app's Configuration page holds while it is edited; `unsaved_secret` is the id of a fresh one."""

    redirect_uris: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    authorising_user: str = ""
    unsaved_secret: str = ""

    @property
    def filled_redirect_uris(self) -> tuple[str, ...]:
        """The redirect URIs without blanks around them; a field that was left empty is none."""
        return tuple(typed.strip() for typed in self.redirect_uris if typed.strip())

    def with_another_redirect_uri(self) -> "ConfigurationForm":
        return replace(self, redirect_uris=(*self.redirect_uris, ""))

    def without_redirect_uri(self, position: int) -> "ConfigurationForm":
        remaining = [uri for index, uri in enumerate(self.redirect_uris) if index != position]
        return replace(self, redirect_uris=tuple(remaining))

    def problems(self, integration_type: IntegrationType) -> list[Problem]:
        if integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self._custom_connection_problems()
        filled = self.filled_redirect_uris
        if not filled:
            return [Problem("redirect_uri-1", "Enter at least one redirect URI.")]
        if len(filled) > MOST_REDIRECT_URIS:
            return [Problem("redirect_uri-1", f"An app has {MOST_REDIRECT_URIS} redirect URIs at most.")]
        found: list[Problem] = []
        seen: set[str] = set()
        for number, typed in enumerate(self.redirect_uris, start=1):
            redirect_uri = typed.strip()
            control = f"redirect_uri-{number}"
            if redirect_uri in seen:
                found.append(Problem(control, "This redirect URI is here twice. Remove one of them."))
            elif redirect_uri:
                found += _redirect_uri_problems(control, redirect_uri)
                seen.add(redirect_uri)
        return found

    def _custom_connection_problems(self) -> list[Problem]:
        found: list[Problem] = []
        if not self.scopes or not API_SCOPES.issuperset(self.scopes):
            found.append(Problem("scopes", "Choose at least one scope from the list."))
        return found + email_problems("authorising_user", self.authorising_user)


def details_problems(details: AppDetails) -> list[Problem]:
    """Check what an app tells about itself, but not whether its name is taken."""
    found = _text_problems("name", "App name", details.name, LONGEST_NAME)
    if not found and "xero" in details.name.casefold():
        found.append(Problem("name", "The App name cannot contain the word Xero."))
    found += _url_problems("company_url", "Company or application URL", details.company_url)
    if details.privacy_policy_url:
        found += _url_problems("privacy_policy_url", "Privacy policy URL", details.privacy_policy_url)
    if details.terms_url:
        found += _url_problems("terms_url", "Terms & Conditions URL", details.terms_url)
    return found


def email_problems(control: str, typed: str) -> list[Problem]:
    """Check an email address, loosely: something on both sides of one @."""
    email = typed.strip()
    before, _, after = email.partition("@")
    well_formed = before and after and "@" not in after and " " not in email
    if not well_formed or len(email) > LONGEST_EMAIL or _has_control_character(email):
        return [Problem(control, "Enter an email address, such as name@example.com.")]
    return []


_UNKNOWN_TYPE = Problem("integration_type-web_app", "Choose an Integration Type.")


def _text_problems(control: str, label: str, text: str, longest: int) -> list[Problem]:
    if not text:
        return [Problem(control, f"Enter the {label}.")]
    if len(text) > longest:
        return [Problem(control, f"The {label} has {longest} characters at most; this one has {len(text)}.")]
    if _has_control_character(text):
        return [Problem(control, f"The {label} contains a character that cannot be shown.")]
    return []


def _url_problems(control: str, label: str, url: str) -> list[Problem]:
    if found := _text_problems(control, label, url, LONGEST_URL):
        return found
    if not _is_web_address(url):
        return [Problem(control, f"The {label} is an address that begins with https:// or http://.")]
    return []


def _redirect_uri_problems(control: str, redirect_uri: str) -> list[Problem]:
    if found := _text_problems(control, "Redirect URI", redirect_uri, LONGEST_URL):
        return found
    match complaint_about(redirect_uri):
        case None:
            return []
        case "not a URI":
            return [Problem(control, "This is not a URI. Copy the redirect URI again, without blanks.")]
        case complaint:
            return [Problem(control, f"Not accepted: {complaint}.")]


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"https", "http"} and bool(parts.hostname) and " " not in url


def _has_control_character(text: str) -> bool:
    # Control characters, and halves of surrogate pairs. Marks of direction are fine: pages isolate what was typed.
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
