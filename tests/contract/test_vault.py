"""What every `Vault` does: the fake that the other tests trust, and the one on each double of Secrets Manager."""

from uuid import UUID

import pytest

from tests.contract.conftest import double_of, vault_on
from tests.fakes.builders import INCARNATION, a_tokens_secret
from tests.fakes.stores import InMemoryVault
from tests.fakes.world import CLIENT_ID
from xero_connector.domain.errors import SecretDeleted, VersionTaken
from xero_connector.domain.ports import Vault
from xero_connector.domain.tokens import ClientPair, client_version_id, tokens_version_id

PAIR = ClientPair(CLIENT_ID, "s3cr3t")
NEW_PAIR = ClientPair(CLIENT_ID, 'n3w"\\s3cr3t')
FIRST, SECOND, THIRD = (client_version_id(INCARNATION, number) for number in (1, 2, 3))
TOKENS = {number: a_tokens_secret(generation=number) for number in (1, 2, 3)}
IDS = {number: tokens_version_id(INCARNATION, number) for number in (1, 2, 3)}


PUTS_INTO_DELETED = pytest.mark.moto_is_kinder("it puts into a secret that is scheduled for deletion")


@pytest.fixture(params=["in_memory", "moto", "strict"])
def vault(request: pytest.FixtureRequest) -> Vault:
    return InMemoryVault() if request.param == "in_memory" else vault_on(double_of(request, "secrets_manager"))


def test_nothing_is_there(vault: Vault) -> None:
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) is None
    assert vault.get_tokens(CLIENT_ID, version_id=IDS[1]) is None


def test_a_pair_is_kept(vault: Vault) -> None:
    vault.put_client_pair(PAIR, version_id=FIRST)
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    assert vault.get_client_pair(CLIENT_ID, version_id=SECOND) is None
    assert vault.get_client_pair("another", version_id=FIRST) is None


def test_an_answer_is_kept(vault: Vault) -> None:
    stored = vault.put_tokens(TOKENS[1], version_id=IDS[1])
    assert stored.secret == TOKENS[1]
    assert vault.get_tokens(CLIENT_ID, version_id=IDS[1]) == stored
    assert f"{vault.tokens_secret_name(CLIENT_ID)}-" in stored.arn


def test_pair_and_tokens_are_secrets_of_their_own(vault: Vault) -> None:
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.put_tokens(TOKENS[1], version_id=IDS[1])
    vault.delete_client_pair(CLIENT_ID)
    assert vault.get_tokens(CLIENT_ID, version_id=IDS[1]) is not None
    assert vault.tokens_secret_name(CLIENT_ID).endswith(f"/{CLIENT_ID}/tokens")


def test_earlier_versions_stay_readable(vault: Vault) -> None:
    arns = {vault.put_tokens(TOKENS[number], version_id=IDS[number]).arn for number in (1, 2, 3)}
    assert len(arns) == 1
    for number in (1, 2, 3):
        found = vault.get_tokens(CLIENT_ID, version_id=IDS[number])
        assert found is not None
        assert found.secret == TOKENS[number]
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    assert vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR


def test_the_same_again_changes_nothing(vault: Vault) -> None:
    first = vault.put_tokens(TOKENS[1], version_id=IDS[1])
    assert vault.put_tokens(TOKENS[1], version_id=IDS[1]) == first
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.put_client_pair(PAIR, version_id=FIRST)
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_a_version_id_holds_one_content_for_ever(vault: Vault) -> None:
    vault.put_tokens(TOKENS[1], version_id=IDS[1])
    with pytest.raises(VersionTaken):
        vault.put_tokens(TOKENS[2], version_id=IDS[1])
    vault.put_tokens(TOKENS[2], version_id=IDS[2])
    with pytest.raises(VersionTaken):
        vault.put_tokens(TOKENS[3], version_id=IDS[1])
    found = vault.get_tokens(CLIENT_ID, version_id=IDS[1])
    assert found is not None
    assert found.secret == TOKENS[1]


def test_a_pair_s_version_id_holds_one_pair_for_ever(vault: Vault) -> None:
    vault.put_client_pair(PAIR, version_id=FIRST)
    with pytest.raises(VersionTaken):
        vault.put_client_pair(NEW_PAIR, version_id=FIRST)
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_what_is_scheduled_for_deletion_is_not_read(vault: Vault) -> None:
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.put_tokens(TOKENS[1], version_id=IDS[1])
    vault.delete_client_pair(CLIENT_ID)
    vault.delete_tokens(CLIENT_ID)
    with pytest.raises(SecretDeleted):
        vault.get_client_pair(CLIENT_ID, version_id=FIRST)
    with pytest.raises(SecretDeleted):
        vault.get_tokens(CLIENT_ID, version_id=IDS[1])
    with pytest.raises(SecretDeleted):
        vault.get_tokens(CLIENT_ID, version_id=IDS[2])


def test_deleting_twice_or_nothing_does_no_harm(vault: Vault) -> None:
    vault.delete_client_pair(CLIENT_ID)
    vault.delete_tokens(CLIENT_ID)
    vault.put_client_pair(PAIR, version_id=FIRST)
    for _ in range(2):
        vault.delete_client_pair(CLIENT_ID)
    vault.put_tokens(TOKENS[1], version_id=IDS[1])
    for _ in range(2):
        vault.delete_tokens(CLIENT_ID)


@PUTS_INTO_DELETED
def test_a_write_brings_a_deleted_secret_back(vault: Vault) -> None:
    vault.put_tokens(TOKENS[1], version_id=IDS[1])
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.delete_tokens(CLIENT_ID)
    vault.delete_client_pair(CLIENT_ID)
    another_life = UUID(int=1)
    vault.put_tokens(TOKENS[1], version_id=tokens_version_id(another_life, 1))
    vault.put_client_pair(NEW_PAIR, version_id=client_version_id(another_life, 1))
    assert vault.get_tokens(CLIENT_ID, version_id=tokens_version_id(another_life, 1)) is not None
    assert vault.get_client_pair(CLIENT_ID, version_id=client_version_id(another_life, 1)) == NEW_PAIR
    # The past is still there, under ids that the present never asks for.
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_the_same_again_brings_a_deleted_secret_back_too(vault: Vault) -> None:
    vault.put_client_pair(PAIR, version_id=FIRST)
    vault.delete_client_pair(CLIENT_ID)
    vault.put_client_pair(PAIR, version_id=FIRST)
    assert vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_a_secret_can_be_deleted_again_after_it_came_back(vault: Vault) -> None:
    for version_id in (FIRST, SECOND, THIRD):
        vault.put_client_pair(PAIR, version_id=version_id)
        vault.delete_client_pair(CLIENT_ID)
        with pytest.raises(SecretDeleted):
            vault.get_client_pair(CLIENT_ID, version_id=version_id)
