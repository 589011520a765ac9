from __future__ import annotations

from dataclasses import asdict

from sweep.core.records import Cost, Measure, Observation


def test_an_observation_travels_as_json_and_back() -> None:
    seen = Observation(
        stage="measured",
        step=7,
        fraction=0.5,
        measures=(Measure(name="alpha", value=1.5, detail={"r2": 0.9}),),
        cost=Cost(wall_seconds=1.0, device_seconds=2.0),
        detail={"spectrum": [2.0, 1.0]},
    )
    fields = seen.to_json()
    assert fields == {**asdict(seen), "measures": [asdict(m) for m in seen.measures]}
    assert Observation.from_json(fields) == seen
