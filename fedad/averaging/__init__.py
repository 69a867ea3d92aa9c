"""Uploads that are numbers, not rows -> one: moments that add, and tensors that are averaged."""
