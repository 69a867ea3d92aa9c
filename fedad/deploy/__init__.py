"""A federation of real plants: its keys, its processes, and how a run is started on it."""
