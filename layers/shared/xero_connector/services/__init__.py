"""What several use cases share: steps under a lease, and machines that a sweep runs on."""
