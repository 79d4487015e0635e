"""`Seal`, on the fake and on KMS."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from tests.contract.conftest import Clock
from tests.fakes.stores import InMemorySeal
from xero_connector.adapters.kms_seal import DATA_KEY_LIVES, KmsSeal
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_kms.client import KMSClient

CONTEXT = "client/incarnation"
TOKEN = "a-refresh-token"


@pytest.fixture
def kms() -> "Iterator[KMSClient]":
    with mock_aws():
        yield boto3.client("kms")


@pytest.fixture
def key_arn(kms: "KMSClient") -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def real(kms: "KMSClient", key_arn: str) -> KmsSeal:
    return KmsSeal(lambda: kms, key_arn, Clock())


@pytest.fixture(params=["fake", "real"])
def seal(request: pytest.FixtureRequest) -> Seal:
    return InMemorySeal() if request.param == "fake" else request.getfixturevalue("real")


def test_what_was_sealed_is_unsealed(seal: Seal) -> None:
    sealed = seal.seal(TOKEN, context=CONTEXT)
    assert TOKEN not in sealed
    assert seal.unseal(sealed, context=CONTEXT) == TOKEN


def test_another_credential_cannot_unseal_it(seal: Seal) -> None:
    sealed = seal.seal(TOKEN, context=CONTEXT)
    with pytest.raises(StoreUnavailable):
        seal.unseal(sealed, context="another/incarnation")


@pytest.mark.parametrize("sealed", ["", "{}", "[]", "null", '{"key": 1, "sealed": 2}'])
def test_what_was_never_sealed_is_refused(real: KmsSeal, sealed: str) -> None:
    with pytest.raises(StoreUnavailable):
        real.unseal(sealed, context=CONTEXT)


def test_what_was_altered_is_refused(real: KmsSeal) -> None:
    parts = json.loads(real.seal(TOKEN, context=CONTEXT))
    parts["sealed"] = parts["sealed"][:-8] + "AAAAAAA="
    with pytest.raises(StoreUnavailable):
        real.unseal(json.dumps(parts), context=CONTEXT)


def test_a_prepared_seal_needs_no_call(kms: "KMSClient", key_arn: str, real: KmsSeal) -> None:
    real.prepare()
    key_id = key_arn.rpartition("/")[2]
    kms.disable_key(KeyId=key_id)
    sealed = real.seal(TOKEN, context=CONTEXT)
    kms.enable_key(KeyId=key_id)
    assert real.unseal(sealed, context=CONTEXT) == TOKEN


class Incomplete:
    """A KMS whose answers lack their members."""

    def __init__(self) -> None:
        self.calls = 0

    def generate_data_key(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3's
        self.calls += 1
        return {}


def test_an_answer_that_was_cut_off_is_a_failure(key_arn: str) -> None:
    incomplete: Any = Incomplete()
    with pytest.raises(StoreUnavailable):
        KmsSeal(lambda: incomplete, key_arn, Clock()).prepare()


def test_one_data_key_serves_for_minutes(kms: "KMSClient", key_arn: str) -> None:
    clock = Clock()
    keys: set[str] = set()
    seal = KmsSeal(lambda: kms, key_arn, clock)
    for passed in (timedelta(), DATA_KEY_LIVES / 2, DATA_KEY_LIVES):
        clock.now += passed
        seal.prepare()
        keys.add(json.loads(seal.seal(TOKEN, context=CONTEXT))["key"])
    assert len(keys) == 2
