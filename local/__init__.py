"""What runs on a laptop: Xero's simulator, and the local AWS with the real deployment in it."""
