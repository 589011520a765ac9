"""The event log of a study, and where a study lies. The log is the only truth about a study.

Imports `core` and `storage`. To add a log for another kind of storage: a file beside `s3_log`.
"""
