"""Patches and rows: the nearest row of each, exactly, and the score of an image."""
