"""A checked configuration: to a finished run folder, in this process or by Flower."""
