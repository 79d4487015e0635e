"""Runs in the process that is measured: the handler of a function, or the calls that a refresh cannot avoid.

    python -I -B contender.py JOB

A job is JSON. `path`: folders that come first on `sys.path`. `environment`: the variables. `core`: where to run.
`steps`: what to do, in turn. Prints one line of JSON: for each step that is measured, the seconds of CPU (user and
system), the seconds that passed, the largest resident size in KB, and what the step returned.

Nothing but the standard library is imported before the first step, and only what a step needs.
"""

import http.client
import importlib
import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from typing import Any, override
from urllib.parse import parse_qsl, urlsplit

_SEE_OTHER = 303


def main() -> None:
    """Do the steps of the job."""
    job = json.loads(sys.argv[1])
    sys.path[:0] = job["path"]
    os.environ.update(job["environment"])
    os.sched_setaffinity(0, {job["core"]})
    kinds: Mapping[str, Callable[..., Any]] = {
        "invoke": invoke,
        "consent": consent,
        "import_boto3": import_boto3,
        "bare_refreshes": bare_refreshes,
    }
    unmeasured: Mapping[str, Callable[..., Any]] = {"tell": tell, "set_clock_ahead": set_clock_ahead}
    results = []
    for step in job["steps"]:
        kind = step.pop("do")
        if kind in unmeasured:
            unmeasured[kind](**step)
            continue
        cpu, began = cpu_seconds(), time.monotonic()
        answer = kinds[kind](**step)
        results.append(
            {
                "cpu": cpu_seconds() - cpu,
                "seconds": time.monotonic() - began,
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "answer": answer,
            }
        )
    # The functions' own lines go to standard output: ours is the last.
    sys.stdout.write("\n" + json.dumps(results) + "\n")


def cpu_seconds() -> float:
    """Return what this process has used so far, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def tell(url: str, body: object) -> None:
    """Ask the servers' control."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def set_clock_ahead(minutes: float) -> None:
    """Have the handler find itself so much later."""
    bootstrap = importlib.import_module("xero_connector.bootstrap")
    ahead = timedelta(minutes=minutes)

    class Later(datetime):
        @classmethod
        @override
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    vars(bootstrap)["datetime"] = Later


class Context:
    """What Lambda tells a handler of its invocation."""

    function_name = "benchmark"
    function_version = "$LATEST"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"

    def __init__(self, seconds: float) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may go on."""
        return max(0, int((self._ends_at - time.monotonic()) * 1000))


def invoke(event: object, seconds: float) -> object:
    """Invoke the handler; the first time imports it."""
    answer = importlib.import_module("handler").lambda_handler(event, Context(seconds))
    return {name: answer[name] for name in answer if name != "body"}


def consent(tickets: Sequence[str], request: Mapping[str, Any], seconds: float) -> list[float]:
    """Open connect links as a browser does and come back from Xero; return how long each callback took."""
    handler = importlib.import_module("handler").lambda_handler
    took = []
    for ticket in tickets:
        link = {**request, "path": f"/connect/{ticket}", "resource": "/connect/{ticket}"}
        opened = handler(link, Context(seconds))["multiValueHeaders"]
        asked = dict(parse_qsl(urlsplit(opened["Location"][0]).query))
        query = {"code": asked["nonce"], "state": asked["state"]}
        back = {
            **request,
            "multiValueHeaders": {"Cookie": [opened["Set-Cookie"][0].partition(";")[0]]},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
        }
        began = time.monotonic()
        answer = handler(back, Context(seconds))
        took.append(time.monotonic() - began)
        if answer["statusCode"] != _SEE_OTHER:
            raise RuntimeError(answer["body"])
    return took


def import_boto3() -> None:
    """Do what every function that calls AWS has to do."""
    boto3 = importlib.import_module("boto3")
    boto3.client("dynamodb")
    boto3.client("secretsmanager")


def bare_refreshes(client_ids: Sequence[str], threads: int, prefix: str) -> int:
    """Make a lease write, two reads, a POST, a put and a commit write for each, and nothing else."""
    boto3, requests = importlib.import_module("boto3"), importlib.import_module("requests")
    config = importlib.import_module("botocore.config").Config(max_pool_connections=threads)
    dynamodb = boto3.client("dynamodb", config=config)
    vault = boto3.client("secretsmanager", config=config)
    sessions = [requests.Session() for _ in range(threads)]
    url = os.environ["XERO_IDENTITY_URL"] + "/connect/token"
    item = {f"attribute_{number}": {"S": "x" * 24} for number in range(24)}

    def write(client_id: str) -> None:
        dynamodb.put_item(
            TableName=os.environ["TABLE_NAME"],
            Item={"pk": {"S": f"BARE#{client_id}"}, "sk": {"S": "BARE"}, "revision": {"N": "1"}, **item},
            ConditionExpression="attribute_not_exists(pk) OR revision = :seen",
            ExpressionAttributeValues={":seen": {"N": "1"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def refresh(client_id: str) -> None:
        session = sessions.pop()
        write(client_id)
        pair = json.loads(vault.get_secret_value(SecretId=f"{prefix}/{client_id}/client")["SecretString"])
        name = f"{prefix}/{client_id}/tokens"
        tokens = json.loads(vault.get_secret_value(SecretId=name)["SecretString"])
        answer = session.post(
            url,
            data={"grant_type": "refresh_token", "refresh_token": tokens["token"]["refresh_token"]},
            auth=(pair["client_id"], pair["client_secret"]),
            timeout=10,
        ).json()
        content = json.dumps({**tokens, "token": answer})
        vault.put_secret_value(SecretId=name, ClientRequestToken=str(uuid.uuid4()), SecretString=content)
        write(client_id)
        sessions.append(session)

    with ThreadPoolExecutor(threads) as pool:
        return len(list(pool.map(refresh, client_ids)))


if __name__ == "__main__":
    main()
