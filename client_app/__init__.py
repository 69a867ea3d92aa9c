"""The site's half of a run, as a Flower ClientApp."""
