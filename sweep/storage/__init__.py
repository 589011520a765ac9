"""Where a study's files lie, on a disk or an S3-compatible store; and which process drives it.

Imports `core` only. `location.locate` chooses the storage once, from the address that a user
names; everything else calls the acts of a `Location`. To add a kind of storage: a file beside `s3`
with the acts of `base.Storage`, a line in `locate`, and a parameter of the tests' fixture `root`.
"""
