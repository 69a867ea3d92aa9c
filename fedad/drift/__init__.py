"""Does the line still look as it did? Charts of verdicts by day, and alarms of a stated rate."""
