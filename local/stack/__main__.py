"""Run the stack until Ctrl-C: `make local`."""

import os
import shlex
import signal
import sys
from threading import Event
from types import FrameType

from local.stack.journey import Journey
from local.stack.local_stack import CHECKOUT, LocalStack
from local.stack.processes import LocalStackError, end_with_parent

USAGE = """
The stack is up. Ctrl-C stops it and removes every trace.

To walk from nothing to connected, open both in Chromium or Chrome on this machine, side by side:

  setup link     {setup_url}
  Xero's portal  {portal_url}   (instead of developer.xero.com; log in with any email address)

What else there is:

  admin API      {api_url}   (routes: /credentials …; IAM, sign as below)
  callback       {callback_url}   (the redirect URI to register)
  Xero simulator {xero_url}
  local AWS      {aws_endpoint_url}   (region {region})

  This stack is described in  {own}
  the latest one started in   {latest}

To call the API, for example to make another setup link:

  export AWS_ENDPOINT_URL={aws_endpoint_url} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID={access_key_id} AWS_SECRET_ACCESS_KEY={secret}
  curl --aws-sigv4 "aws:amz:{region}:execute-api" \\
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H 'Content-Type: application/json' \\
    -d '{{}}' {api_url}/setup-links
"""


def main() -> int:
    end_with_parent()
    stop = Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    try:
        with LocalStack() as stack:
            signal.signal(signal.SIGINT, leave)
            signal.signal(signal.SIGTERM, leave)
            told = stack.description
            setup_url = Journey(stack).setup_url(label="Electro Land")
            sys.stdout.write(
                USAGE.format(
                    **{name: getattr(told, name) for name in ("api_url", "callback_url", "xero_url", "region")},
                    setup_url=setup_url,
                    portal_url=told.portal_url,
                    aws_endpoint_url=told.aws_endpoint_url,
                    access_key_id=told.access_key_id,
                    secret=shlex.quote(told.secret_access_key),
                    own=os.path.relpath(stack.directory / "stack.json"),
                    latest=os.path.relpath(CHECKOUT / ".local" / "stack.json"),
                )
            )
            sys.stdout.flush()
            stop.wait()
            sys.stdout.write("\nstopping\n")
    except LocalStackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write("\nstopped before it was up\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
