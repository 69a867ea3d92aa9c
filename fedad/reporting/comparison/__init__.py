"""The sections on a comparison, read from `comparison.json`; nothing is computed here."""
