"""Runs in the process of a peer: refreshes each of its credentials once, with one library and one store.

    python -I -B peer.py JOB

A job is JSON. `library` and `store`: names of what is below. `token_url`: Xero's double. `environment`: the
variables. `core`: where to run. `directory`: the files of the store, or `prefix`: its secrets. `steps`: in turn,
the client IDs to refresh and the number of threads. `result`: the file for what was measured, for standard output
belongs to the library: for each step the CPU seconds (user and system), the seconds that passed, and how many
refreshes did not succeed.

Each peer reads a grant, refreshes it and stores it before it takes the next one, as a job of its users would. What
can be kept from one grant to the next is kept where the library's documentation does so.
"""

import importlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

type Grant = dict[str, Any]
type Refresh = Callable[[str], None]


class Store(Protocol):
    """Where a grant is kept: its client pair and its tokens."""

    def load(self, client_id: str) -> Grant:
        """Read a grant."""
        ...

    def save(self, client_id: str, grant: Grant) -> None:
        """Have it on stable storage when this returns."""
        ...


class Files:
    """A file for each grant, as the examples in the libraries' documentation have it, but written durably."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._directory = Path(job["directory"])

    def load(self, client_id: str) -> Grant:
        """Read the file."""
        grant: Grant = json.loads((self._directory / f"{client_id}.json").read_text())
        return grant

    def save(self, client_id: str, grant: Grant) -> None:
        """Write beside it, flush to the disk, and rename."""
        aside = self._directory / f"{client_id}.new"
        with aside.open("w") as file:
            json.dump(grant, file)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self._directory / f"{client_id}.json")
        folder = os.open(self._directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class SecretsManager:
    """A secret for each grant: one read and one write a refresh, the fewest that there can be."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._prefix = job["prefix"]
        self._client = importlib.import_module("boto3").client("secretsmanager")

    def load(self, client_id: str) -> Grant:
        """Read the secret."""
        read = self._client.get_secret_value(SecretId=self._prefix + client_id)
        grant: Grant = json.loads(read["SecretString"])
        return grant

    def save(self, client_id: str, grant: Grant) -> None:
        """Write a new version."""
        self._client.put_secret_value(SecretId=self._prefix + client_id, SecretString=json.dumps(grant))


class Platform:
    """Airbyte's platform passes the configuration and stores what the connector prints: `airbyte_platform.py`."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._files = Files(job)

    def load(self, client_id: str) -> Grant:
        """Read the connector's configuration."""
        return self._files.load(client_id)

    def save(self, client_id: str, grant: Grant) -> None:
        """Refuse: the platform stores it."""
        raise NotImplementedError


def airbyte_cdk(token_url: str, store: Store) -> Refresh:
    """One authenticator for each connector's configuration."""
    native = importlib.import_module("airbyte_cdk.sources.streams.http.requests_native_auth")

    def refresh(client_id: str) -> None:
        config = store.load(client_id)
        native.SingleUseRefreshTokenOauth2Authenticator(config, token_url).get_access_token()

    return refresh


def xero_python(token_url: str, store: Store) -> Refresh:
    """One ApiClient for all grants of a thread, whose getter and saver are the store's."""
    api_client = importlib.import_module("xero_python.api_client")
    configuration = importlib.import_module("xero_python.api_client.configuration").Configuration
    oauth2 = importlib.import_module("xero_python.api_client.oauth2")
    oauth2.TokenApi.refresh_token_url = token_url
    local = threading.local()

    def client() -> Any:  # noqa: ANN401 - no types
        if not hasattr(local, "client"):
            settings = configuration()
            settings.ssl_ca_cert = os.environ["REQUESTS_CA_BUNDLE"]
            local.client = api_client.ApiClient(settings)
        return local.client

    def refresh(client_id: str) -> None:
        grant = store.load(client_id)

        def save(token: Grant) -> None:
            grant["token"] = token
            store.save(client_id, grant)

        xero = client()
        xero.configuration.oauth2_token = oauth2.OAuth2Token(client_id, grant["client_secret"])
        xero.oauth2_token_getter(lambda: grant["token"])
        xero.oauth2_token_saver(save)
        xero.refresh_oauth2_token()

    return refresh


def authlib(token_url: str, store: Store) -> Refresh:
    """A session for each grant, with `update_token`."""
    session = importlib.import_module("authlib.integrations.requests_client").OAuth2Session

    def refresh(client_id: str) -> None:
        grant = store.load(client_id)

        def save(token: Grant, **_: object) -> None:
            store.save(client_id, {**grant, "token": token})

        with session(client_id, grant["client_secret"], token=grant["token"], update_token=save) as xero:
            xero.refresh_token(token_url)

    return refresh


def plain_loop(token_url: str, store: Store) -> Refresh:
    """A POST over a connection that is kept."""
    requests = importlib.import_module("requests")
    local = threading.local()

    def refresh(client_id: str) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        grant = store.load(client_id)
        answer = local.session.post(
            token_url,
            data={"grant_type": "refresh_token", "refresh_token": grant["token"]["refresh_token"]},
            auth=(client_id, grant["client_secret"]),
            timeout=10,
        )
        answer.raise_for_status()
        store.save(client_id, {**grant, "token": answer.json()})

    return refresh


LIBRARIES: dict[str, Callable[[str, Store], Refresh]] = {
    "airbyte_cdk": airbyte_cdk,
    "xero_python": xero_python,
    "authlib": authlib,
    "plain_loop": plain_loop,
}
STORES: dict[str, Callable[[dict[str, Any]], Store]] = {
    "files": Files,
    "secrets_manager": SecretsManager,
    "platform": Platform,
}


def work(refresh: Refresh, client_ids: list[str], threads: int) -> int:
    """Refresh each once; one that fails does not stop the others. Return how many failed."""

    def attempt(client_id: str) -> bool:
        try:
            refresh(client_id)
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            sys.stderr.write(f"{client_id}: {type(error).__name__}\n")
            return False
        return True

    if threads == 1:
        return sum(not attempt(client_id) for client_id in client_ids)
    with ThreadPoolExecutor(threads) as pool:
        return sum(not done for done in pool.map(attempt, client_ids))


def main() -> None:
    """Do the steps of the job."""
    job = json.loads(sys.argv[1])
    os.environ.update(job["environment"])
    os.sched_setaffinity(0, {job["core"]})
    store = STORES[job["store"]](job)
    refresh = LIBRARIES[job["library"]](job["token_url"], store)
    results = []
    for step in job["steps"]:
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        failed = work(refresh, step["client_ids"], step["threads"])
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        results.append({"cpu": cpu, "seconds": seconds, "failed": failed})
    Path(job["result"]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
