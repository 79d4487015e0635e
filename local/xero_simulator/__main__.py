"""Run the Xero simulator alone.

    python -m local.xero_simulator [--port 0] [--grace-world first-successor-survives|first-successor-dies]

Prints one line of JSON, `{"url": "http://127.0.0.1:PORT"}`, then serves until SIGTERM or Ctrl-C. That address
stands for all three of Xero's (login, identity, api); `POST {url}/_simulator/apps` with
`{"integration_type": "web_app"}` makes a first client id and secret.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from threading import Event

from local.xero_simulator.server import XeroSimulator

SURVIVES = "first-successor-survives"
DIES = "first-successor-dies"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.xero_simulator", description="Simulates Xero's OAuth.")
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0, the default, takes a free one")
    parser.add_argument(
        "--grace-world",
        choices=[SURVIVES, DIES],
        default=SURVIVES,
        help="what a refresh token's first successor does when the token is presented again",
    )
    options = parser.parse_args(arguments)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        simulator = XeroSimulator(port=options.port, first_successor_survives=options.grace_world == SURVIVES)
    except (OSError, OverflowError) as error:
        parser.exit(1, f"cannot listen on port {options.port}: {error}\n")
    with simulator:
        sys.stdout.write(json.dumps({"url": simulator.url}) + "\n")
        sys.stdout.flush()  # the parent of this process waits for the line
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
