"""Images -> patch features by a frozen network; an image is embedded once and cached on disk."""
