"""The models that a site keeps: which one judges, which one waits, and what each was made from."""
