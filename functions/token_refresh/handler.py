"""The schedule: refresh what is due, and finish what was cut off."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.bootstrap import application, observer, utc_now
from xero_connector.observability import flushing


@flushing(observer)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work through the shards that the schedule's input names: `{"shards": ["0", "1"]}`."""
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return dict(application().sweep_due_credentials(shards=event["shards"], deadline=deadline))
