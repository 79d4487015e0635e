"""The admin API: each route parses, calls one use case and answers (see `docs/api.md`)."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.bootstrap import application, invocation, observer
from xero_connector.domain.credential import Credential
from xero_connector.domain.status import Status
from xero_connector.observability import flushing
from xero_connector.web import problem_details, rest_requests
from xero_connector.web.credential_resource import (
    connect_link_resource,
    credential_resource,
    history_entry_resource,
)
from xero_connector.web.setup_link_body import parse_healing_link, parse_setup_link
from xero_connector.web.setup_link_resource import issued_setup_link_resource, setup_link_resource
from xero_connector.web.submission_body import parse_secret_body, parse_submission

app = problem_details.resolver(lambda error: application().report(error))


@app.post("/credentials")
def submit() -> Response[str]:
    """Prove and store a pair: 201 proven, 202 to be proven later; a Custom connection has no connect link."""
    submission = parse_submission(rest_requests.json_body(app))
    submitted = application().submit_credential(submission, submitted_by=rest_requests.caller(app))
    link = submitted.connect_link
    content = _resource(submitted.credential) | {"connect_url": link.connect_url if link else None}
    pending = submitted.credential.status is Status.PENDING_VALIDATION
    return problem_details.answer(HTTPStatus.ACCEPTED if pending else HTTPStatus.CREATED, content)


@app.get("/credentials")
def page() -> Response[str]:
    """List credentials, a page at a time."""
    listed = application().registry.page(
        status=rest_requests.status(app),
        limit=rest_requests.limit(app),
        next_token=rest_requests.next_token(app),
    )
    items = [_resource(credential) for credential in listed.items]
    return problem_details.answer(HTTPStatus.OK, {"items": items, "next_token": listed.next_token})


@app.get("/credentials/<client_id>")
def look_up(client_id: str) -> Response[str]:
    """Show one credential."""
    return _ok(application().find_credential(rest_requests.client_id(client_id)))


@app.get("/credentials/<client_id>/history")
def history(client_id: str) -> Response[str]:
    """List what was done to a credential and by whom, the newest first, a page at a time."""
    entries = application().read_history(
        rest_requests.client_id(client_id),
        limit=rest_requests.limit(app),
        next_token=rest_requests.next_token(app),
    )
    items = [history_entry_resource(entry) for entry in entries.items]
    return problem_details.answer(HTTPStatus.OK, {"items": items, "next_token": entries.next_token})


@app.post("/credentials/<client_id>/connect-link")
def connect_link(client_id: str) -> Response[str]:
    """Make a link that takes a Xero user through consent."""
    link = application().create_connect_link(rest_requests.client_id(client_id), by=rest_requests.caller(app))
    return problem_details.answer(HTTPStatus.CREATED, connect_link_resource(link))


@app.post("/credentials/<client_id>/setup-link")
def healing_link(client_id: str) -> Response[str]:
    """Make a link by which a customer heals a credential."""
    issued = application().create_healing_link(
        rest_requests.client_id(client_id),
        lifetime=parse_healing_link(rest_requests.optional_json_body(app)),
        by=rest_requests.caller(app),
    )
    return problem_details.answer(HTTPStatus.CREATED, issued_setup_link_resource(issued, application().clock()))


@app.post("/setup-links")
def setup_link() -> Response[str]:
    """Make a link by which a customer hands over a pair."""
    wish = parse_setup_link(rest_requests.optional_json_body(app))
    issued = application().create_setup_link(wish, by=rest_requests.caller(app))
    return problem_details.answer(HTTPStatus.CREATED, issued_setup_link_resource(issued, application().clock()))


@app.get("/setup-links")
def setup_links() -> Response[str]:
    """List setup links, the newest first, a page at a time."""
    listed = application().list_setup_links(
        state=rest_requests.link_state(app),
        limit=rest_requests.limit(app),
        next_token=rest_requests.next_token(app),
    )
    items = [setup_link_resource(link, application().clock()) for link in listed.items]
    return problem_details.answer(HTTPStatus.OK, {"items": items, "next_token": listed.next_token})


@app.get("/setup-links/<setup_link_id>")
def look_up_setup_link(setup_link_id: str) -> Response[str]:
    """Show one setup link."""
    link = application().list_setup_links.one(rest_requests.path_segment(setup_link_id))
    return problem_details.answer(HTTPStatus.OK, setup_link_resource(link, application().clock()))


@app.delete("/setup-links/<setup_link_id>")
def withdraw_setup_link(setup_link_id: str) -> Response[str]:
    """End a setup link before its time."""
    link = application().withdraw_setup_link(rest_requests.path_segment(setup_link_id))
    return problem_details.answer(HTTPStatus.OK, setup_link_resource(link, application().clock()))


@app.post("/credentials/<client_id>/validation")
def validate(client_id: str) -> Response[str]:
    """Prove the stored pair again."""
    return _ok(
        application().revalidate_credential(rest_requests.client_id(client_id), by=rest_requests.caller(app))
    )


@app.put("/credentials/<client_id>/secret")
def replace_secret(client_id: str) -> Response[str]:
    """Prove a new secret and swap it in."""
    client_secret = parse_secret_body(rest_requests.json_body(app))
    credential = application().replace_client_secret(
        rest_requests.client_id(client_id), client_secret, by=rest_requests.caller(app)
    )
    return _ok(credential)


@app.post("/credentials/<client_id>/refresh")
def refresh(client_id: str) -> Response[str]:
    """Refresh the tokens now."""
    return _ok(application().refresh_now(rest_requests.client_id(client_id), by=rest_requests.caller(app)))


@app.delete("/credentials/<client_id>")
def disconnect(client_id: str) -> Response[str]:
    """Revoke the grant and delete the secrets: 202 while Xero cannot be reached."""
    credential = application().disconnect_credential(
        rest_requests.client_id(client_id), by=rest_requests.caller(app)
    )
    ended = credential.status is not Status.DISCONNECTING
    return problem_details.answer(HTTPStatus.OK if ended else HTTPStatus.ACCEPTED, _resource(credential))


def _ok(credential: Credential) -> Response[str]:
    return problem_details.answer(HTTPStatus.OK, _resource(credential))


def _resource(credential: Credential) -> dict[str, Any]:
    return credential_resource(
        credential, tokens_secret_name=application().tokens_secret_name(credential.client_id)
    )


@flushing(observer, invocation)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    return app.resolve(event, context)
