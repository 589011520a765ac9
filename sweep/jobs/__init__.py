"""Studies as jobs of a Ray cluster: staged, submitted, followed, stopped.

`head` talks to the job server of a cluster's head node. `staging` collects what a job needs, some
kilobytes. `submit` submits a study and waits for its first step, `follow` prints its output, and
`first_step` is what the job does before it writes.
Imports all rooms below, `doctor` included. `ray` is imported in `head` alone.
"""
