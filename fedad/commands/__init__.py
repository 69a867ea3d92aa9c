"""The command line: a file a command, whose heavy imports wait until it runs.

`fedad data check` is `data_check.py`. `options.py` has the options that several commands share,
`show.py` what several print.
"""
