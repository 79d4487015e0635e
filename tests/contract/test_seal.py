"""What every `Seal` does: the fake that the other tests trust, and the one on each double of KMS."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.contract.conftest import Clock, KmsKey, double_of
from tests.doubles.kms import KeyState, StrictKms
from tests.fakes.stores import InMemorySeal
from xero_connector.adapters.kms_seal import DATA_KEY_LIVES, KmsSeal
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Seal

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

CONTEXT = "client/incarnation"
TOKEN = "a-refresh-token"


def seal_under(key: KmsKey) -> KmsSeal:
    return KmsSeal(lambda: key.client, VaultKeys(key.arn, None), Clock())


@pytest.fixture
def real(kms_key: KmsKey) -> KmsSeal:
    return seal_under(kms_key)


@pytest.fixture(params=["in_memory", "moto", "strict"])
def seal(request: pytest.FixtureRequest) -> Seal:
    return InMemorySeal() if request.param == "in_memory" else seal_under(double_of(request, "kms_key"))


def test_what_was_sealed_is_unsealed(seal: Seal) -> None:
    sealed = seal.seal(TOKEN, context=CONTEXT)
    assert TOKEN not in sealed
    assert seal.unseal(sealed, context=CONTEXT) == TOKEN


def test_another_credential_cannot_unseal_it(seal: Seal) -> None:
    sealed = seal.seal(TOKEN, context=CONTEXT)
    with pytest.raises(StoreUnavailable):
        seal.unseal(sealed, context="another/incarnation")


@pytest.mark.parametrize("sealed", ["", "{}", "[]", "null", '{"key": 1, "sealed": 2}', "[" * 100_000])
def test_what_was_never_sealed_is_refused(real: KmsSeal, sealed: str) -> None:
    with pytest.raises(StoreUnavailable):
        real.unseal(sealed, context=CONTEXT)


def test_what_was_altered_is_refused(real: KmsSeal) -> None:
    parts = json.loads(real.seal(TOKEN, context=CONTEXT))
    parts["sealed"] = parts["sealed"][:-8] + "AAAAAAA="
    with pytest.raises(StoreUnavailable):
        real.unseal(json.dumps(parts), context=CONTEXT)


def test_a_prepared_seal_needs_no_call(kms_key: KmsKey, real: KmsSeal) -> None:
    real.prepare()
    key_id = kms_key.arn.rpartition("/")[2]
    kms_key.client.disable_key(KeyId=key_id)
    sealed = real.seal(TOKEN, context=CONTEXT)
    kms_key.client.enable_key(KeyId=key_id)
    assert real.unseal(sealed, context=CONTEXT) == TOKEN


@pytest.mark.moto_is_kinder("a key that is disabled works on")
def test_while_the_key_is_disabled_nothing_can_be_prepared_or_unsealed(kms_key: KmsKey, real: KmsSeal) -> None:
    sealed = real.seal(TOKEN, context=CONTEXT)
    kms_key.client.disable_key(KeyId=kms_key.arn.rpartition("/")[2])
    for call in (seal_under(kms_key).prepare, lambda: real.unseal(sealed, context=CONTEXT)):
        with pytest.raises(StoreUnavailable) as unavailable:
            call()
        assert unavailable.value.reason == "DisabledException"


class Incomplete:
    """A KMS whose answers lack their members."""

    def __init__(self) -> None:
        self.calls = 0

    def generate_data_key(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3's
        self.calls += 1
        return {}


def test_an_answer_that_was_cut_off_is_a_failure() -> None:
    incomplete: Any = Incomplete()
    with pytest.raises(StoreUnavailable):
        KmsSeal(lambda: incomplete, VaultKeys("key", None), Clock()).prepare()


def test_one_data_key_serves_for_minutes(kms_key: KmsKey) -> None:
    clock = Clock()
    keys: set[str] = set()
    seal = KmsSeal(lambda: kms_key.client, VaultKeys(kms_key.arn, None), clock)
    for passed in (timedelta(), DATA_KEY_LIVES / 2, DATA_KEY_LIVES):
        clock.now += passed
        seal.prepare()
        keys.add(json.loads(seal.seal(TOKEN, context=CONTEXT))["key"])
    assert len(keys) == 2


def test_what_a_former_key_sealed_is_unsealed_by_it() -> None:
    kms = StrictKms("former")
    kms.keys.states["in-force"] = KeyState.ENABLED
    client = cast("KMSClient", kms)
    sealed = KmsSeal(lambda: client, VaultKeys("former", None), Clock()).seal("s3cr3t", context="c")
    changed = KmsSeal(lambda: client, VaultKeys("in-force", "former"), Clock())
    assert changed.unseal(sealed, context="c") == "s3cr3t"
    assert changed.unseal(changed.seal("n3w", context="c"), context="c") == "n3w"
    with pytest.raises(StoreUnavailable) as unavailable:
        KmsSeal(lambda: client, VaultKeys("in-force", None), Clock()).unseal(sealed, context="c")
    assert unavailable.value.reason == "IncorrectKeyException"
