"""A page and an interface by HTTP in front of the model that judges: `fedad serve`."""
