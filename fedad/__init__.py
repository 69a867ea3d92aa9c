"""Find defects across plants without moving an image."""

__version__ = "0.2.0.dev0"
