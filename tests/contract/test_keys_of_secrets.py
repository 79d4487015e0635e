"""What Secrets Manager does with the keys of secrets, for callers who may use some of them.

On moto, and on the strict double. moto asks for no permission for a key, so it is kinder in most of this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import Clock, double_of
from tests.doubles.kms import Keys, KeyState
from tests.doubles.secrets_manager import StrictSecretsManager
from xero_connector.adapters.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

OLD, NEW = (f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in ("old", "new"))
FIRST, SECOND = (f"0000000{number}-aaaa-bbbb-cccc-dddddddddddd" for number in (1, 2))
SERIAL = count(1)

no_permissions = pytest.mark.moto_is_kinder("it asks for no permission for a key")


@dataclass(frozen=True, slots=True)
class Account:
    """An account with two keys: its administrator, and a role that may use the new one only."""

    administrator: "SecretsManagerClient"
    role: "SecretsManagerClient"
    states: dict[str, KeyState]

    def secret(self, key: str | None = OLD) -> str:
        """Create a secret with one version, by the administrator, and return its name."""
        name = f"keys/{next(SERIAL)}"
        if key is None:
            self.administrator.create_secret(Name=name)
        else:
            self.administrator.create_secret(Name=name, KmsKeyId=key)
        put(self.administrator, name, FIRST)
        return name


def put(client: "SecretsManagerClient", name: str, version_id: str) -> None:
    client.put_secret_value(SecretId=name, ClientRequestToken=version_id, SecretString=version_id)


def read(client: "SecretsManagerClient", name: str, version_id: str = FIRST) -> str:
    return client.get_secret_value(SecretId=name, VersionId=version_id)["SecretString"]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return error_code(error.value)


@pytest.fixture
def moto_account(moto_secrets_manager: "SecretsManagerClient") -> Account:
    return Account(moto_secrets_manager, moto_secrets_manager, {})


@pytest.fixture
def strict_account(clock: Clock) -> Account:
    keys = Keys({OLD: KeyState.ENABLED, NEW: KeyState.ENABLED})
    administrator = StrictSecretsManager(clock, keys=keys)
    role = StrictSecretsManager(clock, keys=keys.of_a_function(NEW), secrets=administrator.secrets)
    return Account(cast("SecretsManagerClient", administrator), cast("SecretsManagerClient", role), keys.states)


@pytest.fixture(params=["moto", "strict"])
def account(request: pytest.FixtureRequest) -> Account:
    found: Account = double_of(request, "account")
    return found


def key_of(account: Account, name: str) -> str | None:
    return account.administrator.describe_secret(SecretId=name).get("KmsKeyId")


def test_a_secret_keeps_the_key_that_it_was_created_with(account: Account) -> None:
    name = account.secret()
    put(account.administrator, name, SECOND)
    assert key_of(account, name) == OLD


def test_a_secret_that_names_no_key_tells_of_none(account: Account) -> None:
    name = account.secret(key=None)
    assert key_of(account, name) is None
    # The key of AWS is everybody's.
    assert read(account.role, name) == FIRST
    put(account.role, name, SECOND)


def test_the_key_of_a_secret_can_be_changed(account: Account) -> None:
    name = account.secret()
    account.administrator.update_secret(SecretId=name, KmsKeyId=NEW)
    assert key_of(account, name) == NEW
    put(account.role, name, SECOND)
    assert read(account.role, name, SECOND) == SECOND


def test_the_key_of_a_secret_that_is_scheduled_for_deletion_cannot_be_changed(account: Account) -> None:
    name = account.secret()
    account.administrator.delete_secret(SecretId=name, RecoveryWindowInDays=30)
    assert key_of(account, name) == OLD
    code = refused(lambda: account.administrator.update_secret(SecretId=name, KmsKeyId=NEW))
    assert code == "InvalidRequestException"


@no_permissions
def test_a_put_encrypts_with_the_secret_s_own_key(account: Account) -> None:
    name = account.secret()
    assert refused(lambda: put(account.role, name, SECOND)) == "AccessDeniedException"
    assert refused(lambda: put(account.role, name, FIRST)) == "AccessDeniedException"
    assert refused(lambda: read(account.role, name)) == "AccessDeniedException"


@no_permissions
def test_a_secret_is_not_created_with_a_key_that_its_creator_may_not_use(account: Account) -> None:
    created = lambda: account.role.create_secret(Name="keys/denied", KmsKeyId=OLD)  # noqa: E731 - one call
    assert refused(created) == "AccessDeniedException"


@no_permissions
def test_a_role_moves_a_secret_to_its_own_key_and_cannot_read_what_was_there(account: Account) -> None:
    name = account.secret()
    account.role.update_secret(SecretId=name, KmsKeyId=NEW)
    put(account.role, name, SECOND)
    assert read(account.role, name, SECOND) == SECOND
    assert refused(lambda: read(account.role, name)) == "AccessDeniedException"


@no_permissions
def test_a_role_cannot_move_a_secret_to_a_key_that_it_may_not_use(account: Account) -> None:
    name = account.secret(NEW)
    code = refused(lambda: account.role.update_secret(SecretId=name, KmsKeyId=OLD))
    assert code == "AccessDeniedException"
    assert key_of(account, name) == NEW


def test_an_administrator_who_moves_a_secret_takes_its_labelled_versions_along(account: Account) -> None:
    name = account.secret()
    account.administrator.update_secret(SecretId=name, KmsKeyId=NEW)
    assert read(account.role, name) == FIRST


def test_what_carries_no_label_is_not_taken_along(strict_account: Account) -> None:
    name = strict_account.secret()
    put(strict_account.administrator, name, SECOND)
    put(strict_account.administrator, name, SECOND.replace("2", "3"))
    strict_account.administrator.update_secret(SecretId=name, KmsKeyId=NEW)
    assert read(strict_account.role, name, SECOND) == SECOND  # the previous one
    assert refused(lambda: read(strict_account.role, name)) == "AccessDeniedException"
    assert read(strict_account.administrator, name) == FIRST


@pytest.mark.parametrize("state", [KeyState.DISABLED, KeyState.PENDING_DELETION])
def test_a_key_that_nobody_can_use(strict_account: Account, state: KeyState) -> None:
    name = strict_account.secret()
    strict_account.states[OLD] = state
    administrator, role = strict_account.administrator, strict_account.role
    assert refused(lambda: put(administrator, name, SECOND)) == "EncryptionFailure"
    assert refused(lambda: read(administrator, name)) == "DecryptionFailure"
    # Permissions are looked at first.
    assert refused(lambda: put(role, name, SECOND)) == "AccessDeniedException"
    assert refused(lambda: read(role, name)) == "AccessDeniedException"
    role.update_secret(SecretId=name, KmsKeyId=NEW)
    put(role, name, SECOND)


def tags_of(account: Account, name: str) -> dict[str, str]:
    described = account.administrator.describe_secret(SecretId=name)
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def test_tags_are_given_at_creation_and_later(account: Account) -> None:
    name = f"keys/{next(SERIAL)}"
    account.administrator.create_secret(Name=name, Tags=[{"Key": "application", "Value": "one"}])
    assert tags_of(account, name) == {"application": "one"}
    account.administrator.tag_resource(
        SecretId=name, Tags=[{"Key": "application", "Value": "two"}, {"Key": "stack", "Value": "dev-1"}]
    )
    assert tags_of(account, name) == {"application": "two", "stack": "dev-1"}


@pytest.mark.moto_is_kinder("it takes any tag")
@pytest.mark.parametrize(("key", "value"), [("aws:x", "x"), ("", "x"), ("x", "a;b"), ("x", "x" * 257)])
def test_tags_that_aws_does_not_take(account: Account, key: str, value: str) -> None:
    name = account.secret()
    code = refused(lambda: account.administrator.tag_resource(SecretId=name, Tags=[{"Key": key, "Value": value}]))
    assert code == "InvalidParameterException"
