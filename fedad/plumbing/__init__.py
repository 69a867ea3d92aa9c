"""Files, progress, memory, threads, the journal: what every stage stands on."""
