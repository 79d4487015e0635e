"""What API clients and browsers meet: requests are read, results and errors are written, as the contract says."""
