"""The loop that every peer runs in, with its file store."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.peer import Files, work
from tests.benchmarks.peers import PEERS, refresh_token_of


def test_a_file_holds_the_grant_once_it_is_saved(tmp_path: Path) -> None:
    Files({"directory": str(tmp_path)}).save("A", {"token": {"refresh_token": "new"}})
    assert json.loads((tmp_path / "A.json").read_text()) == {"token": {"refresh_token": "new"}}
    assert [path.name for path in tmp_path.iterdir()] == ["A.json"]


def test_a_refresh_that_fails_is_counted_and_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    done = []

    def refresh(client_id: str) -> None:
        if client_id == "B":
            raise ValueError(client_id)
        done.append(client_id)

    assert work(refresh, ["A", "B", "C"], threads=1) == 1
    assert work(refresh, ["A", "B", "C"], threads=2) == 1
    assert sorted(done) == ["A", "A", "C", "C"]
    assert "ValueError" in capsys.readouterr().err


def test_the_stored_refresh_token_is_found_in_the_form_of_each_peer() -> None:
    assert {refresh_token_of(peer.grant("A")) for peer in PEERS} == {f"00000000{'r' * 36}"}


def test_no_peer_takes_the_client_ids_of_another() -> None:
    client_ids = [name for peer in PEERS for group in ("A", "B", "0A") for name in peer.client_ids(50, group)]
    assert len(set(client_ids)) == len(client_ids)
    assert {len(name) for name in client_ids} == {32}
