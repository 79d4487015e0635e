"""What AWS turns away is counted, whatever botocore does about it."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from tests.fakes.world import RecordingObserver
from xero_connector.adapters.aws_errors import CLIENT_CONFIG
from xero_connector.adapters.aws_refusals import count_refusals

THROTTLED = [
    ("dynamodb", "ProvisionedThroughputExceededException"),
    ("dynamodb", "ThrottlingException"),
    ("secretsmanager", "ThrottlingException"),
    ("kms", "ThrottlingException"),
]
REFUSED = [
    ("secretsmanager", "AccessDeniedException"),
    ("secretsmanager", "DecryptionFailure"),
    ("secretsmanager", "EncryptionFailure"),
    ("kms", "DisabledException"),
    ("kms", "KMSInvalidStateException"),
]
ORDINARY = [
    ("dynamodb", "ConditionalCheckFailedException"),
    ("secretsmanager", "ResourceNotFoundException"),
    ("secretsmanager", "ResourceExistsException"),
    ("secretsmanager", "LimitExceededException"),
]


class Answers:
    """Answers each request of a client without a socket; the last answer goes on."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self._answers: Iterator[tuple[int, dict[str, Any]]] = iter(answers)
        self._last = answers[-1]

    def __call__(self, request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        self._last = next(self._answers, self._last)
        status, body = self._last
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(json.dumps(body).encode()))


class _Raw:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def error(code: str, **members: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - any JSON
    return 400, {"__type": code, "message": "…", **members}


def watched(service: Any, answers: Answers) -> tuple[BaseClient, RecordingObserver]:  # noqa: ANN401 - a Literal
    client: BaseClient = boto3.client(service, config=CLIENT_CONFIG)
    client.meta.events.register("before-send", answers)  # type: ignore[arg-type] # what it returns is the answer
    observer = RecordingObserver()
    count_refusals(client, observer)
    return client, observer


def call(client: Any, service: str) -> None:  # noqa: ANN401 - one of three clients
    match service:
        case "dynamodb":
            client.get_item(TableName="registry", Key={"pk": {"S": "1"}})
        case "secretsmanager":
            client.get_secret_value(SecretId="one")
        case _:
            client.generate_data_key(KeyId="key", KeySpec="AES_256")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.mark.parametrize(("service", "code"), THROTTLED)
def test_every_throttled_attempt_is_counted(service: str, code: str) -> None:
    client, observer = watched(service, Answers(error(code)))
    with pytest.raises(ClientError, match=code):
        call(client, service)
    assert dict(observer.counts) == {"StoreThrottled": 2}


def test_a_throttled_attempt_is_counted_although_the_next_succeeds() -> None:
    client, observer = watched("dynamodb", Answers(error("ThrottlingException"), (200, {})))
    call(client, "dynamodb")
    assert dict(observer.counts) == {"StoreThrottled": 1}


def test_a_transaction_is_throttled_by_its_reasons() -> None:
    reasons = [{"Code": "None"}, {"Code": "ThrottlingError", "Message": "…"}]
    client, observer = watched(
        "dynamodb", Answers(error("TransactionCanceledException", CancellationReasons=reasons))
    )
    item = {"Put": {"TableName": "registry", "Item": {"pk": {"S": "1"}}}}
    with pytest.raises(ClientError):
        client.transact_write_items(TransactItems=[item])  # type: ignore[attr-defined] # BaseClient is any client
    assert dict(observer.counts) == {"StoreThrottled": 1}


@pytest.mark.parametrize(("service", "code"), REFUSED)
def test_a_missing_permission_and_a_disabled_key_are_counted(service: str, code: str) -> None:
    client, observer = watched(service, Answers(error(code)))
    with pytest.raises(ClientError, match=code):
        call(client, service)
    assert dict(observer.counts) == {"StoreRefused": 1}


@pytest.mark.parametrize(("service", "code"), ORDINARY)
def test_what_is_part_of_the_work_is_not_counted(service: str, code: str) -> None:
    client, observer = watched(service, Answers(error(code)))
    with pytest.raises(ClientError, match=code):
        call(client, service)
    assert not observer.counts
