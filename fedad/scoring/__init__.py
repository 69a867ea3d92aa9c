"""One way of scoring a file: a bank and local patches -> how far each patch is from normal."""
