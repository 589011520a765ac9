"""What puts trials to work: in this process (`local`), or on Ray Tune (`ray`).

Imports all rooms below, and neither `replay` nor `launch`. To add a runner: a file beside `local`
that takes a `Study` and drives it to its end.
"""
