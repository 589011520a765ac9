"""Tests of the scripts under `experiments/`, as far as they need no environment of their own."""
