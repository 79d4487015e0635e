"""The edge to API clients and browsers: reads requests, and writes results and errors as the contract says."""
