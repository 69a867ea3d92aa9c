"""What is made of patch features before a bank is made of them, and of distances afterwards."""
