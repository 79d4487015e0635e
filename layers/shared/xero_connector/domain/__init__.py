"""What the connector knows about Xero and grants: standard library only, no clock, no network."""
