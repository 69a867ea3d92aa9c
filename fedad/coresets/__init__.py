"""One way of choosing a file: points -> the rows of them that are kept, in the order chosen."""
