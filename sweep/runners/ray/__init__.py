"""Ray Tune: the runner of our own studies, and a scheduler for anybody's.

Only the files here import ray.
"""
