"""Every figure of the benchmarks, and what it is: the table of docs/performance.md, too."""

from collections.abc import Mapping

FIGURES: Mapping[str, str] = {
    "refresh_cpu_ratio": "CPU of a refresh over that of the calls that it cannot avoid, over plain HTTP",
    "refresh_cpu_ratio_tls": "The same over TLS",
    "aws_calls_per_refresh": "Calls of AWS for one refresh in a sweep",
    "dynamodb_write_units_per_refresh": "Write units of DynamoDB for one refresh, indexes included",
    "sweep_efficiency": "Refreshes a second of one sweep over TLS, as a part of the pace that it allows itself",
    "sweep_capacity_per_tick_tls": "Refreshes of one run of the schedule on one core over TLS, 3,000 being due",
    "cold_start_ratio_token_refresh": "CPU of the first invocation over that of importing boto3 for two clients",
    "cold_start_ratio_credential_api": "The same for the admin API",
    "cold_start_ratio_oauth_callback": "The same for the pages",
    "cold_start_ratio_setup_page": "The same for the setup page",
    "layer_mb": "What the layer unpacks to",
    "callback_overhead_ratio": "Time of a callback without Xero's, over the time that Xero takes",
    "idle_sweep_queries": "Queries of a sweep that finds nothing due",
    "list_by_status_read_units": "Read units of a page of the list by status, among 50,000 credentials",
    "sweep_rss_growth_mb": "Memory that a sweep leaves behind in its execution environment",
    "head_of_line_p99_ratio": "99th percentile of a healthy refresh where others do not answer, over that without",
    "peers": "The product beside other ways to refresh",
}
