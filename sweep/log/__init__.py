"""A study's log and the layout of its folder: the events, written, read and validated.

Imports `core`, `config` and `storage`. `study_folder` chooses the kind of log and knows all paths
of a study. To add a kind of log: a file beside `s3_log`, and a line in `study_folder`.
"""
