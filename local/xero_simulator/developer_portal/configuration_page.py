"""The Configuration of an app: one form, of which nothing is kept until Save is pressed."""

from dataclasses import replace
from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.apps import API_SCOPES, DEFAULT_API_SCOPES
from local.xero_simulator.developer_portal.forms import ConfigurationForm, RefusedFormError
from local.xero_simulator.developer_portal.guard import current_user
from local.xero_simulator.developer_portal.notices import announce
from local.xero_simulator.developer_portal.portal import DeveloperPortal

# First those that are usual, then the others by name.
_SCOPES = (*DEFAULT_API_SCOPES, *sorted(API_SCOPES.difference(DEFAULT_API_SCOPES)))


class ConfigurationPage:
    """The page with redirect URIs, client ID and client secrets; a Custom connection's has scopes and a user."""

    def __init__(self, portal: DeveloperPortal) -> None:
        self._portal = portal

    def show(self, client_id: str) -> str:
        return self._page(client_id, self._portal.configuration_of(current_user(), client_id))

    def submit(self, client_id: str) -> BaseResponse:
        """Do what the pressed button says; what was typed stays on the page."""
        user = current_user()
        self._portal.app_of(user, client_id)
        form = _configuration_form()
        action, _, argument = request.form.get("action", "").partition(":")
        try:
            match action:
                case "save":
                    outcome = self._portal.save(user, client_id, form)
                    onwards = redirect(url_for("developer_portal.configuration", client_id=client_id))
                    return announce(onwards, outcome)
                case "generate-secret":
                    secret = self._portal.generate_secret(user, client_id)
                    form = replace(form, unsaved_secret=secret.secret_id)
                case "delete-secret":
                    self._portal.delete_secret(user, client_id, argument)
                    return Response(self._page(client_id, form, said="secret-deleted"))
                case "add-redirect-uri":
                    form = form.with_another_redirect_uri()
                case "remove-redirect-uri" if argument.isdecimal() and len(argument) < 10:
                    form = form.without_redirect_uri(int(argument))
                case _:
                    raise BadRequest
        except RefusedFormError as error:
            return Response(self._page(client_id, form, problems=error.problems), HTTPStatus.BAD_REQUEST)
        return Response(self._page(client_id, form))

    def _page(self, client_id: str, form: ConfigurationForm, **more: object) -> str:
        user = current_user()
        return render_template(
            "portal/configuration.html",
            app=self._portal.app_of(user, client_id),
            form=form,
            all_scopes=_SCOPES,
            unsaved=self._portal.unsaved_secret(user, client_id, form.unsaved_secret),
            **more,
        )


def _configuration_form() -> ConfigurationForm:
    typed = request.form
    return ConfigurationForm(
        redirect_uris=tuple(typed.getlist("redirect_uri")),
        scopes=frozenset(typed.getlist("scope")),
        authorising_user=typed.get("authorising_user", ""),
        unsaved_secret=typed.get("unsaved_secret", ""),
    )
