"""Every way that we know an API to fail, one at a time, and what a program makes of each.

`python -m tests.system.faults` runs this package and what people use instead through all modes, and prints
the table of docs/reliability.md.
"""
