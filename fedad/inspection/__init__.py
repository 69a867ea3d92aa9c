"""A picture in, a verdict out: OK, NOK or take again, and why."""
