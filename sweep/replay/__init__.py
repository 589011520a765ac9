"""Recorded tables of trials, over which rules are replayed, compared, drawn and asked.

Imports `study` and what lies below, and no runner. To add a figure of a table: `statistics` or
`plot`.
"""
