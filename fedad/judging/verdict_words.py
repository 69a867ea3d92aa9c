"""What a model says of a picture, and what an operator may say of that, as lines have it. Needs
nothing else."""

OK, NOK, AGAIN = "OK", "NOK", "TAKE AGAIN"
UNREADABLE = "UNREADABLE"  # a file that is no picture
RIGHT, FALSE_ALARM, MISSED = "right", "false_alarm", "missed"
WORDS = (RIGHT, FALSE_ALARM, MISSED)  # an operator's
