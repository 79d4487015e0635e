"""AWS's list prices in US dollars, for us-east-1 and arm64, without free tiers.

They are those of AWS's pricing pages ("AWS Secrets Manager Pricing", "AWS KMS pricing", and so on).
Change `NOTED_ON` with them. Another region costs up to a third more.
"""

NOTED_ON = "2026-11-30"

SECRET_MONTH = 0.40
SECRETS_MANAGER_CALL = 0.05 / 10_000
KMS_KEY_MONTH = 1.00
KMS_CALL = 0.03 / 10_000
DYNAMODB_WRITE_UNIT = 0.625 / 1_000_000
DYNAMODB_READ_UNIT = 0.125 / 1_000_000
DYNAMODB_GB_MONTH = 0.25 + 0.20
"""Storage, and its point-in-time recovery."""
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1_000_000
SCHEDULER_INVOCATION = 1.00 / 1_000_000
API_GATEWAY_CALL = 3.50 / 1_000_000
LOG_GB = 0.50
LOG_GB_MONTH = 0.03
METRIC_MONTH = 0.30
ALARM_METRIC_MONTH = 0.10
"""For each metric that an alarm looks at."""
COMPOSITE_ALARM_MONTH = 0.50
DASHBOARD_MONTH = 3.00
TRACE = 5.00 / 1_000_000
CLOUDTRAIL_EVENT = 2.00 / 100_000
"""Of management events, in each trail after the first."""
GUARDDUTY_EVENT = 4.00 / 1_000_000
