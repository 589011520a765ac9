"""Reading and writing files, on a disk or on an S3-compatible object store; and who holds them.

Imports `core` only. To add a kind of storage: a file beside `s3`, with the same acts.
"""
