"""The command line. Each command parses its words, calls one function and prints.

May import all rooms; no room imports this one. To add a command: a function in `run`, `read`,
`replay` or `tools`, and its line in `app`.
"""
