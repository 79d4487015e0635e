"""The outside world, one file a technology: every foreign exception ends here."""
