"""One data set a file: a folder on disk -> its samples. The file's docstring shows the tree."""
