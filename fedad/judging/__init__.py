"""A model and good or test images: verdicts, thresholds, and what may be said of them."""
