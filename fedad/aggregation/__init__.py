"""One way of joining a file: the uploads of the sites -> the rows that are broadcast."""
