"""What a site permits: the lines of its policy, the settings within them, and its audit."""
