"""Tables of a study for queries: made from its event log, kept as Parquet beside the log.

Imports `core`, `config`, `storage` and `log`. To add a table, name its columns in `schemas` and
make its rows in `rows`.
"""
