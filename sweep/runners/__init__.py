"""Runners: they run the trials of a study, in this process (`local`) or on Ray Tune (`ray`).

Imports all rooms below, but not `replay` or `launch`. To add a runner: a file beside `local` that
takes a `Study` and drives it to its end.
"""
