"""The pieces of `methods/ensemble.py`, an idea a file: taps, blocks, calibration, combination."""
