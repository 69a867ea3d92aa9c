"""Differential privacy: what a release computes with, what it costs, and what a site has spent."""
