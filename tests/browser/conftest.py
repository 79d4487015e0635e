"""Pages in a browser, without the deployed stack: a loopback server that gives the answers of the page objects."""

from collections.abc import Iterator

import pytest
from aws_lambda_powertools.event_handler import Response

from local.chromium import chromium
from tests.fakes.canned_server import Answer, CannedServer

__all__ = ["chromium"]  # a fixture


class PageServer(CannedServer):
    """Answers every request with the page that is shown now."""

    def show(self, response: Response[str], path: str = "/setup/ticket") -> str:
        """Answer with this page from now on; returns its address."""
        headers = {name: str(value) for name, value in response.headers.items()}
        self.answer = Answer(str(response.body), response.status_code, headers)
        return f"{self.url}{path}"


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as running:
        yield running
