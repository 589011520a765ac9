"""From a config to a winner: checks before the start, the start itself, and what follows it.

Imports runners, tables, pretraining and the seams. To add a check before the start: `preflight`.
"""
