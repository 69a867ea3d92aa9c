"""Many runs, one answer: a matrix of configurations, what differs, to whom, and at what cost."""
