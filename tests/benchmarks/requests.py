"""Events as API Gateway makes them."""

from collections.abc import Mapping
from typing import Any


def api_request(method: str, path: str, **query: str) -> Mapping[str, Any]:
    """Return the event of a request that IAM has let in."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "localhost"},
        "multiValueHeaders": {"Host": ["localhost"]},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "pathParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "00000000-0000-0000-0000-000000000001",
            "resourcePath": path,
            "httpMethod": method,
            "path": f"/v1{path}",
            "stage": "v1",
            "identity": {"userArn": "arn:aws:iam::123456789012:user/admin", "sourceIp": "127.0.0.1"},
        },
    }
