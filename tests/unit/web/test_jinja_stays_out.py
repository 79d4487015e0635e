"""Jinja2 costs time at a cold start, so only who renders a page loads it. Each test is a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAY_SO = "import sys; print(sorted({'jinja2', 'markupsafe'} & set(sys.modules)))"
ASK = """
import importlib
from tests.fakes.world import CLIENT_ID, World
from tests.handlers.conftest import sample_event

world = World()
world.submit()
link = world.app.create_connect_link(CLIENT_ID, by="admin")
handler = importlib.import_module("functions.oauth_callback.handler")
handler.application = lambda: world.app
event = sample_event("oauth_callback/connect")
ticket = {ticket}
event |= {{"path": "/connect/" + ticket, "pathParameters": {{"ticket": ticket}}}}
print(handler.app.resolve(event, object())["statusCode"])
"""


def printed(program: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - this Python, and a program that stands here
        [sys.executable, "-c", f"{program}\n{SAY_SO}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("function", ["credential_api", "oauth_callback", "token_refresh"])
def test_no_handler_loads_jinja_at_its_start(function: str) -> None:
    assert printed(f"import functions.{function}.handler") == ["[]"]


def test_the_way_to_xero_needs_no_jinja() -> None:
    assert printed(ASK.format(ticket="link.connect_url.rsplit('/', 1)[1]")) == ["302", "[]"]


def test_a_page_does() -> None:
    assert printed(ASK.format(ticket="'x'")) == ["404", "['jinja2', 'markupsafe']"]
