"""Ray Tune: the runner of our own studies, and a scheduler for a user's own Tuner.

Ray is imported here and in two benches. `internals` holds every private name of Ray that is used.
"""
