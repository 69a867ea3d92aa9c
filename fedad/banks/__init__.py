"""Memory banks: rows that stand for what is normal, and what can be asked of them."""
