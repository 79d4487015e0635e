"""Make the answer to a browser: a page in its language, with the headers that protect it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from xero_connector.web.pages import catalogue, protection
from xero_connector.web.rest_requests import header_lines

CONTENT_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A template and what it shows.

    `scripted` if it holds the script, `form` if it holds a form, `polls` seconds after which it looks again.
    """

    template: str
    status: HTTPStatus
    values: Mapping[str, Any] = field(default_factory=dict)
    scripted: bool = False
    form: bool = False
    polls: int | None = None


def accepted_language(app: APIGatewayRestResolver) -> str:
    """Return the language in which this request's page is answered."""
    return catalogue.SHIPPED.choose(",".join(header_lines(app, "accept-language")))


def respond(page: Page, texts: catalogue.Catalogue) -> Response[str]:
    """Render a page; Jinja2 is loaded with the first one, so that what needs no page never waits for it."""
    from xero_connector.web.pages import rendering  # noqa: PLC0415 - see above

    inline = rendering.assets()
    scripted = page.scripted or page.polls is not None
    body = rendering.render(page.template, texts, {"scripted": scripted, "polls": page.polls, **page.values})
    headers = protection.headers(
        style=inline.style,
        script=inline.script if scripted else None,
        form=page.form,
        polls=page.polls is not None,
    )
    return Response(
        status_code=int(page.status),
        content_type=CONTENT_TYPE,
        body=body,
        headers={**headers, "Content-Language": texts.language, "Vary": "Accept-Language"},
    )
