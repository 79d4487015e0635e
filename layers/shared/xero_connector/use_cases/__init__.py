"""What the connector does, one verb a file: each takes its collaborators, the clock among them."""
