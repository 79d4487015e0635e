"""What KMS does, as far as the seal rests on it: on moto, and on the strict double."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import KmsKey
from tests.doubles.kms import Keys, KeyState, StrictKms
from xero_connector.adapters.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

CONTEXT = {"purpose": "test"}
NOWHERE = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return error_code(error.value)


def data_key(key: KmsKey, **change: Any) -> Any:  # noqa: ANN401 - as boto3's
    return key.client.generate_data_key(
        **{"KeyId": key.arn, "KeySpec": "AES_256", "EncryptionContext": CONTEXT, **change}
    )


def decrypted(key: KmsKey, encrypted: bytes, **change: Any) -> bytes:  # noqa: ANN401 - as boto3's
    return key.client.decrypt(
        **{"CiphertextBlob": encrypted, "KeyId": key.arn, "EncryptionContext": CONTEXT, **change}
    )["Plaintext"]


def test_a_data_key_is_decrypted_under_its_context(kms_key: KmsKey) -> None:
    made = data_key(kms_key)
    assert len(made["Plaintext"]) == 32
    assert made["Plaintext"] not in made["CiphertextBlob"]
    assert decrypted(kms_key, made["CiphertextBlob"]) == made["Plaintext"]
    assert data_key(kms_key)["Plaintext"] != made["Plaintext"]


def test_another_context_does_not_decrypt(kms_key: KmsKey) -> None:
    encrypted = data_key(kms_key)["CiphertextBlob"]
    code = refused(lambda: decrypted(kms_key, encrypted, EncryptionContext={"purpose": "another"}))
    assert code == "InvalidCiphertextException"


def test_a_ciphertext_that_is_none(strict_kms_key: KmsKey) -> None:
    # moto says AccessDeniedException: it takes this for the ciphertext of another key.
    assert refused(lambda: decrypted(strict_kms_key, b"x" * 48)) == "InvalidCiphertextException"


def test_a_key_that_is_not_there(kms_key: KmsKey) -> None:
    encrypted = data_key(kms_key)["CiphertextBlob"]
    assert refused(lambda: data_key(kms_key, KeyId=NOWHERE)) == "NotFoundException"
    assert refused(lambda: decrypted(kms_key, encrypted, KeyId=NOWHERE)) == "NotFoundException"


def test_another_key_spec(kms_key: KmsKey) -> None:
    assert refused(lambda: data_key(kms_key, KeySpec="AES_512")) == "ValidationException"


@pytest.mark.moto_is_kinder("a key that is disabled works on")
def test_a_disabled_key(kms_key: KmsKey) -> None:
    key_id = kms_key.arn.rpartition("/")[2]
    made = data_key(kms_key)
    kms_key.client.disable_key(KeyId=key_id)
    assert refused(lambda: data_key(kms_key)) == "DisabledException"
    assert refused(lambda: decrypted(kms_key, made["CiphertextBlob"])) == "DisabledException"
    kms_key.client.enable_key(KeyId=key_id)
    assert decrypted(kms_key, made["CiphertextBlob"]) == made["Plaintext"]


def test_a_ciphertext_of_another_key() -> None:
    # moto says AccessDeniedException, whatever the permissions are.
    kms = StrictKms("one")
    kms.keys.states["two"] = KeyState.ENABLED
    made = kms.generate_data_key(KeyId="one", KeySpec="AES_256", EncryptionContext=CONTEXT)["CiphertextBlob"]
    with pytest.raises(ClientError) as error:
        kms.decrypt(CiphertextBlob=made, KeyId="two", EncryptionContext=CONTEXT)
    assert error_code(error.value) == "IncorrectKeyException"
    assert kms.decrypt(CiphertextBlob=made, KeyId="one", EncryptionContext=CONTEXT)["Plaintext"]


def test_a_key_that_the_caller_may_not_use_and_one_that_is_about_to_go() -> None:
    kms = StrictKms("one")
    role = StrictKms("one", Keys(kms.keys.states).of_a_function("two"))
    key = KmsKey(cast("KMSClient", role), "one")
    assert refused(lambda: data_key(key)) == "AccessDeniedException"
    kms.schedule_key_deletion(KeyId="one")
    assert refused(lambda: data_key(key)) == "AccessDeniedException"
    assert refused(lambda: data_key(KmsKey(cast("KMSClient", kms), "one"))) == "KMSInvalidStateException"
