"""The main function of rank 1 and up of a trial: it trains, and writes no file.

Rank 0 starts this process (`sweep.pretraining.parallel.processes`) and sends its job through
stdin. The end of stdin ends the process.
"""

from __future__ import annotations

import io
import math
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

import torch

from sweep.config.study import TrialConfig
from sweep.core.plugins import importable
from sweep.datasets.cache import load
from sweep.pretraining import train
from sweep.pretraining.cpu.allocator import keep_freed_memory
from sweep.pretraining.images import training_images
from sweep.pretraining.parallel.batch_norm import over_all_ranks
from sweep.pretraining.parallel.processes import join, meeting_point
from sweep.pretraining.parallel.ranks import Ranks


def main() -> None:
    """Train with the other ranks until rank 0 ends this process."""
    stdin = sys.stdin.buffer
    size = int.from_bytes(stdin.read(8), "little")
    job = stdin.read(size)
    if len(job) < max(1, size):
        return  # rank 0 has ended
    watch = threading.Thread(target=_end_with, args=(stdin.fileno(),), daemon=True)
    watch.start()
    try:
        _train(torch.load(io.BytesIO(job), map_location="cpu", weights_only=True))
    except BaseException:  # also SystemExit of a plug-in; rank 0 reads the last line
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # the other ranks need not wait for the end of Python's threads
    watch.join()  # rank 0 may still read what this rank sent


def _end_with(stdin: int) -> None:
    """End this process, whatever it does, at the end of its stdin."""
    while os.read(stdin, 1):
        pass
    os._exit(0)


def _train(job: Mapping[str, Any]) -> None:
    config = TrialConfig.model_validate_json(job["config"])
    device: str = job["device"]
    for folder in job["plugins"]:
        importable(folder)
    torch.set_num_threads(job["threads"])
    if device == "cpu":
        keep_freed_memory()
    else:
        torch.cuda.set_device(device)
    data = load(config.data)
    run = train.begin(config, data.shape, device, images=len(data.splits.pretrain))
    images, labels = training_images(
        run.method, data.splits, name=config.method.name, device=device
    )
    run.load_state_dict(job["state"])
    ranks = Ranks(rank=job["rank"], processes=job["processes"])
    join(meeting_point(job["port"]), rank=ranks.rank, processes=ranks.processes, device=device)
    if config.train.sync_batch_norm:
        over_all_ranks(run.method)
    for _ in train.pretrain(
        run,
        images,
        config,
        device=device,
        mean=data.mean,
        std=data.std,
        heartbeat_seconds=math.inf,
        labels=labels,
        ranks=ranks,
    ):
        pass
