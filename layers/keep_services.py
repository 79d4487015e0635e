"""Leave only some services in botocore's list of endpoints, which every cold start reads.

python keep_services.py ENDPOINTS_JSON SERVICE...
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Rewrite the file in place."""
    path, services = Path(sys.argv[1]), set(sys.argv[2:])
    endpoints = json.loads(path.read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: partition["services"][name] for name in partition["services"] if name in services
        }
    path.write_text(json.dumps(endpoints))


if __name__ == "__main__":
    main()
