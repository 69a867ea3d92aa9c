"""Image files: decoded, looked at before they are used, and remembered."""
