"""Nothing secret in anything that the functions logged. Runs last: see `conftest.py`."""

import re

import pytest

from local.stack.journey import Journey

pytestmark = pytest.mark.stack

SECRET_VALUE = re.compile(r'"(?:client_secret|access_token|refresh_token)": "([^"]+)"')
JWT = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.")


def test_no_log_line_of_the_whole_session_holds_a_secret(journey: Journey) -> None:
    app = journey.create_app()
    journey.connect(app)
    journey.submit(app)
    journey.call_back(journey.stack.browser(), f"{journey.stack.description.callback_url}?code=x&state=y")
    journey.tokens(app)

    secrets = journey.seen | _everything_in_the_vault(journey)
    lines = [event.message for event in journey.stack.read_logs()]
    assert len(lines) > 10
    assert len(secrets) > 10
    leaks = [line for line in lines if JWT.search(line) or any(secret in line for secret in secrets)]
    assert not leaks


def _everything_in_the_vault(journey: Journey) -> set[str]:
    client = journey.stack.aws("secretsmanager")
    found = set()
    for page in client.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            for version in client.list_secret_version_ids(SecretId=secret["ARN"])["Versions"]:
                content = client.get_secret_value(SecretId=secret["ARN"], VersionId=version["VersionId"])
                found |= set(SECRET_VALUE.findall(content.get("SecretString", "")))
    return found
