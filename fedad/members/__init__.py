"""One member of an ensemble a file, found by its name: a detector that also shows what it sees."""
