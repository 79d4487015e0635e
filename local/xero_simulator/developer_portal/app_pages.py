"""My Apps, New app, and the details of an app."""

from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.developer_portal.forms import NewAppForm, RefusedFormError
from local.xero_simulator.developer_portal.guard import current_user
from local.xero_simulator.developer_portal.notices import announce
from local.xero_simulator.developer_portal.portal import DeveloperPortal


class AppPages:
    """The pages about apps, all but their Configuration."""

    def __init__(self, portal: DeveloperPortal) -> None:
        self._portal = portal

    def my_apps(self) -> str:
        return render_template("portal/my_apps.html", apps=self._portal.apps_of(current_user()))

    def new_app_page(self) -> str:
        return render_template("portal/new_app.html", form=NewAppForm())

    def create_app(self) -> BaseResponse:
        form = _new_app_form()
        try:
            app = self._portal.create(current_user(), form)
        except RefusedFormError as error:
            page = render_template("portal/new_app.html", form=form, problems=error.problems)
            return Response(page, HTTPStatus.BAD_REQUEST)
        return announce(redirect(url_for("developer_portal.app_page", client_id=app.client_id)), "created")

    def app_page(self, client_id: str) -> str:
        app = self._portal.app_of(current_user(), client_id)
        return render_template("portal/app_details.html", app=app, form=app.details)

    def save_app(self, client_id: str) -> BaseResponse:
        user = current_user()
        app = self._portal.app_of(user, client_id)
        form = _new_app_form()
        try:
            self._portal.change_details(user, client_id, form.details)
        except RefusedFormError as error:
            page = render_template("portal/app_details.html", app=app, form=form, problems=error.problems)
            return Response(page, HTTPStatus.BAD_REQUEST)
        return announce(redirect(url_for("developer_portal.app_page", client_id=client_id)), "saved")


def _new_app_form() -> NewAppForm:
    typed = request.form
    return NewAppForm(
        name=typed.get("name", ""),
        integration_type=typed.get("integration_type", ""),
        company_url=typed.get("company_url", ""),
        privacy_policy_url=typed.get("privacy_policy_url", ""),
        terms_url=typed.get("terms_url", ""),
        redirect_uri=typed.get("redirect_uri", ""),
        terms_accepted="terms" in typed,
    )
