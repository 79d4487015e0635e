"""The schedule: refresh what is due, and finish what was interrupted."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.bootstrap import application, invocation, observer
from xero_connector.observability import flushing


@flushing(observer, invocation)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work through the shards that the schedule's input names: `{"shards": ["0", "1"]}`."""
    del context
    return dict(application().sweep_due_credentials(shards=event["shards"], deadline=invocation.ends_at()))
