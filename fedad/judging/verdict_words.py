"""What an operator may say of a verdict, as the log of verdicts has it. Needs nothing else."""

RIGHT, FALSE_ALARM, MISSED = "right", "false_alarm", "missed"
WORDS = (RIGHT, FALSE_ALARM, MISSED)
