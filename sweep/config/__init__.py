"""The config of a study: its models, its text, and how a space becomes candidates.

Imports `core` only. To add a key: a field of a model in `models`, with its default and its source.
"""
