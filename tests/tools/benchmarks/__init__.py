"""What a whole export costs, beside what people would use instead.

`python -m tests.tools.benchmarks` runs every program in turn against a server that costs next to nothing, and prints
the table of docs/performance.md.
"""
