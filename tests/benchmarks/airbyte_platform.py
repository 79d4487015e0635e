"""Airbyte's platform: reads what a connector prints, and stores each configuration that it sends.

    python -m tests.benchmarks.airbyte_platform DIRECTORY

It has the connector's standard output as its standard input. A control message `CONNECTOR_CONFIG` holds the whole
configuration; it is in its file, on stable storage, before the next line is read.
"""

import json
import sys

from tests.benchmarks.peer import Files


def main() -> None:
    """Store until the connector's output ends."""
    files = Files({"directory": sys.argv[1]})
    for line in sys.stdin:
        message = json.loads(line)
        control = message.get("control") or {}
        if message["type"] == "CONTROL" and control["type"] == "CONNECTOR_CONFIG":
            config = control["connectorConfig"]["config"]
            files.save(config["credentials"]["client_id"], config)


if __name__ == "__main__":
    main()
