"""What a run leaves for people: a record, tables, heat maps."""
