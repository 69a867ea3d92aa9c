"""The server's half of a run, as a Flower ServerApp."""
