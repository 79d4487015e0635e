"""The metrics of AWS's own services that this deployment looks at, with the dimensions that AWS documents."""

from collections.abc import Mapping

type Dimensions = frozenset[str]

LAMBDA = "AWS Lambda Developer Guide, Types of metrics for Lambda functions; Dimensions: FunctionName"
API_GATEWAY = "Amazon API Gateway Developer Guide, REST API dimensions and metrics: ApiName, Stage"
SQS = "Amazon SQS Developer Guide, Available CloudWatch metrics for Amazon SQS: QueueName"
DYNAMODB = "Amazon DynamoDB Developer Guide, DynamoDB metrics and dimensions: TableName, GlobalSecondaryIndexName"

_FUNCTION = frozenset({"FunctionName"})
_STAGE = frozenset({"ApiName", "Stage"})
_TABLE = frozenset({"TableName"})

DOCUMENTED: Mapping[tuple[str, str, Dimensions], str] = {
    ("AWS/Lambda", "Errors", _FUNCTION): LAMBDA,
    ("AWS/Lambda", "Invocations", _FUNCTION): LAMBDA,
    ("AWS/Lambda", "Throttles", _FUNCTION): LAMBDA,
    ("AWS/Lambda", "Duration", _FUNCTION): LAMBDA,
    ("AWS/Lambda", "ConcurrentExecutions", frozenset()): LAMBDA,
    ("AWS/ApiGateway", "Count", _STAGE): API_GATEWAY,
    ("AWS/ApiGateway", "4XXError", _STAGE): API_GATEWAY,
    ("AWS/ApiGateway", "5XXError", _STAGE): API_GATEWAY,
    ("AWS/SQS", "NumberOfMessagesSent", frozenset({"QueueName"})): SQS,
    ("AWS/DynamoDB", "WriteThrottleEvents", _TABLE): DYNAMODB,
    ("AWS/DynamoDB", "WriteThrottleEvents", _TABLE | {"GlobalSecondaryIndexName"}): DYNAMODB,
    ("AWS/DynamoDB", "ReadThrottleEvents", _TABLE): DYNAMODB,
}
