"""Logging in, the email that the simulator sends, and authorising a Custom connection."""

from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.apps import OIDC_SCOPES, App
from local.xero_simulator.developer_portal.forms import RefusedFormError, email_problems
from local.xero_simulator.developer_portal.guard import Guard, current_user, safe_next
from local.xero_simulator.developer_portal.notices import announce
from local.xero_simulator.developer_portal.portal import ORGANISATIONS, DeveloperPortal
from local.xero_simulator.users import DEFAULT_EMAIL


class AccountPages:
    """The pages about a person rather than an app."""

    def __init__(self, portal: DeveloperPortal, guard: Guard) -> None:
        self._portal = portal
        self._guard = guard

    def login_page(self) -> str:
        return render_template("portal/login.html", email=DEFAULT_EMAIL, next=request.args.get("next", ""))

    def log_in(self) -> BaseResponse:
        email = request.form.get("email", "")
        onwards = request.form.get("next", "")
        if problems := email_problems("email", email):
            page = render_template("portal/login.html", email=email, next=onwards, problems=problems)
            return Response(page, HTTPStatus.BAD_REQUEST)
        self._guard.log_in(email)
        return redirect(safe_next(onwards) or url_for("developer_portal.my_apps"))

    def log_out(self) -> BaseResponse:
        self._guard.log_out()
        return announce(redirect(url_for("developer_portal.login_page")), "logged-out")

    def email(self) -> str:
        return render_template("portal/email.html", invitations=self._portal.invitations_of(current_user()))

    def authorise_page(self, client_id: str) -> str:
        return _authorise_page(self._portal.invitation(current_user(), client_id))

    def authorise(self, client_id: str) -> BaseResponse:
        user = current_user()
        app = self._portal.invitation(user, client_id)
        if request.form.get("decision") != "allow":
            return redirect(url_for("developer_portal.email"))
        try:
            self._portal.authorise(user, client_id, request.form.get("tenant_id", ""))
        except RefusedFormError as error:
            return Response(_authorise_page(app, problems=error.problems), HTTPStatus.BAD_REQUEST)
        return announce(redirect(url_for("developer_portal.email")), "authorised")


def _authorise_page(app: App, **more: object) -> str:
    scopes = sorted(app.scopes - OIDC_SCOPES)
    return render_template("portal/authorise.html", app=app, scopes=scopes, organisations=ORGANISATIONS, **more)
