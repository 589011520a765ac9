"""The nouns of a study: records, events, history, outcome, failures, errors, plug-ins,
limits, and the codec of events.

Imports nothing else of the package. To add a noun: a file here, if at least two rooms use it.
"""
