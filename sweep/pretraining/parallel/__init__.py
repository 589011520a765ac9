"""Several processes that train one model together, each on an equal part of every batch.

`ranks`: what the processes exchange in a step. `batch_norm`: statistics over all processes.
`checks`: what a method and a batch must be. `processes`: starts the other processes, and ends them.
Their main function is `sweep.pretraining.rank`. The files here import nothing of `train`.
"""
