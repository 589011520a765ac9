"""Ray Tune: the runner of studies, and `GoldilocksScheduler` for a user's own Tuner.

Imports what `sweep.runners` may import, and ray, which nothing else but two benches imports. The
settings in `cluster` must come before ray. To add a way in which an attempt can fail: `causes`.
"""
