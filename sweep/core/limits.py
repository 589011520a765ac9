"""What every name and number of a study must fit: in a config, in the log, and in a table."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The name of a study or of a trial: a valid file name in any folder, and never a path."""

LARGEST = 1e150
"""The largest magnitude of a number: its square and its sums stay finite."""
