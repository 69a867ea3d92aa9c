"""What the verbs of the command line do, a file each; `cli.py` only reads their arguments."""
