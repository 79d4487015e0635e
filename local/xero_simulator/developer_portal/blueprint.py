"""The routes of the portal, under /app: the host developer.xero.com has the same paths for My Apps."""

from http import HTTPStatus

from flask import Blueprint, Response, redirect, render_template, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.clock import Now
from local.xero_simulator.developer_portal.account_pages import AccountPages
from local.xero_simulator.developer_portal.app_pages import AppPages
from local.xero_simulator.developer_portal.configuration_page import ConfigurationPage
from local.xero_simulator.developer_portal.guard import PREFIX, Guard
from local.xero_simulator.developer_portal.notices import forget_taken_notice, take_notice
from local.xero_simulator.developer_portal.portal import DeveloperPortal, shown_date
from local.xero_simulator.identity_server import IdentityServer, UnknownAppError

_TYPE_NAMES = {
    "web_app": "Web app",
    "mobile_app": "Mobile or desktop app",
    "custom_connection": "Custom connection",
}
_APP = "/manage/app/<client_id>"


def developer_portal(identity_server: IdentityServer, now: Now) -> Blueprint:
    """Make the routes of the developer portal."""
    portal = DeveloperPortal(identity_server, now)
    guard = Guard(identity_server)
    blueprint = Blueprint(
        "developer_portal",
        __name__,
        url_prefix=PREFIX,
        template_folder="templates",
        static_folder="static",
    )
    blueprint.before_request(guard.admit)
    blueprint.after_request(guard.dismiss)
    blueprint.after_request(forget_taken_notice)
    blueprint.context_processor(lambda: {"csrf_token": guard.csrf_token, "take_notice": take_notice})
    blueprint.add_app_template_filter(shown_date)
    blueprint.add_app_template_filter(_TYPE_NAMES.__getitem__, "type_name")
    _add_routes(blueprint, portal, guard)
    blueprint.register_error_handler(UnknownAppError, _not_found)
    blueprint.register_error_handler(HTTPException, _refuse)
    return blueprint


def _add_routes(blueprint: Blueprint, portal: DeveloperPortal, guard: Guard) -> None:
    account = AccountPages(portal, guard)
    blueprint.get("/login")(account.login_page)
    blueprint.post("/login")(account.log_in)
    blueprint.post("/logout")(account.log_out)
    blueprint.get("/email")(account.email)
    blueprint.get("/authorise/<client_id>")(account.authorise_page)
    blueprint.post("/authorise/<client_id>")(account.authorise)
    apps = AppPages(portal)
    blueprint.add_url_rule("/", "home", lambda: redirect(url_for("developer_portal.my_apps")))
    blueprint.get("/manage")(apps.my_apps)
    blueprint.get("/manage/new")(apps.new_app_page)
    blueprint.post("/manage/new")(apps.create_app)
    blueprint.get(_APP)(apps.app_page)
    blueprint.post(_APP)(apps.save_app)
    configuration = ConfigurationPage(portal)
    blueprint.add_url_rule(f"{_APP}/configuration", "configuration", configuration.show)
    blueprint.add_url_rule(f"{_APP}/configuration", "submit", configuration.submit, methods=["POST"])


def _not_found(_: UnknownAppError) -> Response:
    return _error_page(HTTPStatus.NOT_FOUND)


def _refuse(error: HTTPException) -> BaseResponse:
    return _error_page(HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR))


def _error_page(status: HTTPStatus) -> Response:
    return Response(render_template("portal/error.html", status=status), status)
