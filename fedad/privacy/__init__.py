"""One release a file: what a site has learned -> what may leave it, and a receipt."""
