"""Errors as RFC 9457 problem details, each with its HTTP status."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from xero_connector.domain import errors
from xero_connector.domain.errors import ConnectorError
from xero_connector.web.credential_resource import checks_resource

PROBLEM_JSON = "application/problem+json"
NO_STORE = {"Cache-Control": "no-store"}
# The first class that matches counts. Any other error is a defect and ends the invocation.
_STATUSES: tuple[tuple[type[ConnectorError], HTTPStatus], ...] = (
    (errors.BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.MalformedRequest, HTTPStatus.BAD_REQUEST),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.LeaseUnavailable, HTTPStatus.CONFLICT),
    (errors.RevisionConflict, HTTPStatus.CONFLICT),
    (errors.PairRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.QuotaReached, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.XeroUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.SecretUnderAnotherKey, HTTPStatus.CONFLICT),
    (errors.StoreUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.SecretDeleted, HTTPStatus.CONFLICT),
)


def resolver(report: Callable[[ConnectorError], None]) -> APIGatewayRestResolver:
    """Return a router that reports each `ConnectorError` of the table and answers with a problem."""
    app = APIGatewayRestResolver()

    def on_error(error: ConnectorError) -> Response[str]:
        for kind, status in _STATUSES:
            if isinstance(error, kind):
                report(error)
                return _problem(app, error, status)
        raise error

    def on_unknown_route(_: NotFoundError) -> Response[str]:
        return _problem(
            app,
            errors.NotFound(
                "There is no such route.", code="route_not_found", hint="docs/api.md lists the routes."
            ),
            HTTPStatus.NOT_FOUND,
        )

    app.exception_handler(ConnectorError)(on_error)
    app.not_found(on_unknown_route)
    return app


def answer(status: HTTPStatus, content: object) -> Response[str]:
    """Return a JSON answer that must not be cached."""
    return Response(
        status_code=int(status),
        content_type="application/json",
        body=json.dumps(content),
        headers=dict(NO_STORE),
    )


def _problem(app: APIGatewayRestResolver, error: ConnectorError, status: HTTPStatus) -> Response[str]:
    headers = dict(NO_STORE)
    if isinstance(error, errors.QuotaReached):
        headers["Retry-After"] = str(error.retry_after)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": error.detail,
        "code": error.code,
        "hint": error.hint,
        "request_id": app.current_event.request_context.request_id,
    }
    if isinstance(error, errors.PairRefused):
        problem["checks"] = checks_resource(error.checks)
    return Response(status_code=int(status), content_type=PROBLEM_JSON, body=json.dumps(problem), headers=headers)
