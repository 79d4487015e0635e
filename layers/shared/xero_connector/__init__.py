"""Keeps the Xero grants of OneEnterprise's customers alive."""
