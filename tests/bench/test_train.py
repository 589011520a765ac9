from __future__ import annotations

import json

from sweep.bench.train import run


def test_both_ways_train_and_the_figure_is_whole() -> None:
    figure = run(repeats=1, images=8, batch=4, d=8, side=8)
    told = json.loads(figure.to_json())
    assert told["name"] == "train"
    assert told["unit"] == "images/s"
    assert told["value"] > 0
    assert told["baseline"] > 0
    assert told["ratio"] == told["value"] / told["baseline"]
    assert (told["batch"], told["d"], told["side"]) == (4, 8, 8)
