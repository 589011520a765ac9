"""Members bound to their config keys: what is taken, what is filled in, what is refused."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from sweep.core import plugins
from sweep.core.errors import ConfigError

Product = Callable[[], dict[str, Any]]


def plain(
    *,
    margin: Annotated[float, Field(gt=0)] = 1,
    widths: tuple[int, ...] = (8, 16),
    mode: Literal["fast", "slow"] = "fast",
    depth: int | None = None,
) -> Product:
    """Return its keys, as it was given them."""
    return lambda: {"margin": margin, "widths": widths, "mode": mode, "depth": depth}


def needy(*, seed: int, margin: float) -> Product:
    return lambda: {"seed": seed, "margin": margin}


def shadows(
    *, copy: int = 1, json: int = 2, schema: int = 3, model_dump: int = 4, model_config: int = 5
) -> Product:
    values = locals()
    return lambda: values


def bare() -> Product:
    return dict


def unannotated(*, margin=0.1):  # type: ignore[no-untyped-def]  # as a user may write it
    return lambda: {"margin": margin}


def positional(margin: float = 0.1) -> Product:
    return dict


def variable(**keys: Any) -> Product:
    return dict


def unreadable(*, margin: Nowhere = 1) -> Product:  # type: ignore[name-defined]  # noqa: F821
    return dict


def of_no_type(*, margin: Ellipsis = 1) -> Product:  # type: ignore[valid-type]
    return dict


def out_of_its_own_range(*, margin: Annotated[float, Field(gt=0)] = 0.0) -> Product:
    return dict


def endless(*, margin: Any = float("inf")) -> Product:
    return dict


def beyond_json(*, margin: Any = object()) -> Product:  # noqa: B008
    return dict


def named(*, name: str = "x") -> Product:
    return dict


def text(*, margin: float = 0.1) -> Any:
    return "text"


def refusing(*, margin: float = 0.1) -> Product:
    raise ValueError("margin is no good, set it to 1.")


def failing(*, margin: float = 0.1) -> Product:
    raise KeyError("two\nlines")


@dataclass(frozen=True, kw_only=True)
class Base:
    margin: Annotated[float, Field(gt=0)] = 0.1

    def __call__(self) -> dict[str, Any]:
        return vars(self)


def bound(factory: Callable[..., Any], seed: int = 0, **keys: Any) -> plugins.Bound[Product]:
    name = f"{__name__}:{factory.__name__}"
    filled = {"seed": seed}
    return plugins.bind("The rule", name, {}, keys, where="rule", filled=filled, common={"name"})


def test_keys_that_are_not_given_have_the_defaults() -> None:
    plan = bound(plain)
    assert plan.keys == {"margin": 1.0, "widths": [8, 16], "mode": "fast", "depth": None}
    assert plan.make()() == {"margin": 1.0, "widths": (8, 16), "mode": "fast", "depth": None}
    assert not plan.ours


def test_what_is_bound_binds_to_the_same_again() -> None:
    plan = bound(plain, margin="0.5", widths=[3], depth=2)
    assert plan.make()()["widths"] == (3,)
    assert bound(plain, **plan.keys).keys == plan.keys
    assert repr(bound(plain).keys["margin"]) == repr(bound(plain, margin=1).keys["margin"]) == "1.0"


def test_the_seed_is_the_studys_and_no_key() -> None:
    plan = bound(needy, seed=7, margin=2)
    assert plan.keys == {"margin": 2.0}
    assert plan.make()() == {"seed": 7, "margin": 2.0}
    with pytest.raises(ConfigError, match=r"rule\.seed is no key of .*:needy\. Keys of .*: margin"):
        plugins.bind("The rule", plan.name, {}, {"margin": 2, "seed": 3}, where="rule")


def sourced(*, margin: float = 1.0, sources: tuple[object, ...] = ()) -> Product:
    return lambda: {"margin": margin, "sources": sources}


def test_what_the_study_fills_in_is_no_key_and_may_be_any_object() -> None:
    name, thing = f"{__name__}:sourced", object()
    filled = {"seed": 1, "sources": (thing,)}
    plan: plugins.Bound[Product] = plugins.bind(
        "The rule", name, {}, {}, where="rule", filled=filled
    )
    assert plan.keys == {"margin": 1.0}
    assert plan.make()() == {"margin": 1.0, "sources": (thing,)}
    assert plugins.keys_of("The rule", name, {}, filled) == {"margin"}
    with pytest.raises(ConfigError, match=r"rule\.sources is no key of"):
        plugins.bind("The rule", name, {}, {"sources": []}, where="rule", filled=filled)
    plain_seam: plugins.Bound[Product] = plugins.bind("The rule", name, {}, {}, where="rule")
    assert plain_seam.keys == {"margin": 1.0, "sources": []}


def test_a_key_may_be_named_as_an_attribute_of_a_model() -> None:
    plan = bound(shadows, copy=9, model_dump=8)
    assert plan.keys == {"copy": 9, "json": 2, "schema": 3, "model_dump": 8, "model_config": 5}
    assert plan.make()() == plan.keys
    with pytest.raises(ConfigError, match=r"^rule\.copy is 'x': input should be a valid integer"):
        bound(shadows, copy="x")


def test_a_parameter_without_annotation_takes_anything() -> None:
    assert bound(unannotated, margin="much").make()() == {"margin": "much"}


def test_a_dataclass_is_a_factory_and_its_inherited_fields_are_keys() -> None:
    assert bound(Inherits).keys == {"margin": 0.1, "extra": [1, 2]}
    with pytest.raises(ConfigError, match=r"rule\.margin is 0\.0: input should be greater than 0"):
        bound(Inherits, margin=0.0)
    assert bound(Inherits, extra=[3]).make()() == {"margin": 0.1, "extra": [3]}


@dataclass(frozen=True, kw_only=True)
class Inherits(Base):
    extra: list[int] = field(default_factory=lambda: [1, 2])


halved = functools.partial(plain, margin=0.5)


def test_a_partial_function_is_a_factory() -> None:
    plan: plugins.Bound[Product] = plugins.bind(
        "The rule", f"{__name__}:halved", {}, {}, where="rule"
    )
    assert plan.make()()["margin"] == 0.5


def test_fields_inherited_from_another_module_are_read_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words_of_its_own.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from sweep.rules.goldilocks import Goldilocks\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(Goldilocks):\n"
        "    margin: float = 0.1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plan: plugins.Bound[Product] = plugins.bind(
        "The rule", "words_of_its_own:Mine", {}, {"round": 5}, where="rule"
    )
    assert (plan.keys["round"], plan.keys["margin"]) == (5, 0.1)
    with pytest.raises(ConfigError, match=r"rule\.round is 3: input should be greater than"):
        plugins.bind("The rule", "words_of_its_own:Mine", {}, {"round": 3}, where="rule")


@pytest.mark.parametrize(
    ("factory", "keys", "sentence"),
    [
        (plain, {"margn": 1}, r"rule\.margn is no key of .*:plain\. Did you mean 'margin'\?"),
        (plain, {"zz": 1}, r"rule\.zz is no key of .*\. Keys of .*: depth, margin, mode, widths"),
        (bare, {"zz": 1}, r"rule\.zz is no key of .*:bare\. .*:bare has no keys\."),
        (plain, {"margin": 0}, r"rule\.margin is 0: input should be greater than 0\."),
        (plain, {"margin": "x"}, r"rule\.margin is 'x': input should be a valid number"),
        (plain, {"margin": float("nan")}, r"rule\.margin is nan: input should be a finite"),
        (plain, {"margin": float("inf")}, r"rule\.margin is inf: input should be a finite"),
        (plain, {"mode": "mid"}, r"rule\.mode is 'mid': input should be 'fast' or 'slow'"),
        (plain, {"widths": [1, "x"]}, r"rule\.widths\.1 is 'x': input should be a valid"),
        (unannotated, {"margin": float("nan")}, r"rule holds a number that is infinite or NaN"),
        (unannotated, {"margin": object()}, r"rule holds a value that no config can hold"),
        (needy, {}, r"^rule\.margin is missing\.$"),
        (
            positional,
            {},
            r"'margin', which is not keyword-only.*: def positional\(\*, key=default\)",
        ),
        (variable, {}, r"has the parameter 'keys', which is not keyword-only"),
        (named, {}, r"has the parameter 'name', and rule\.name is a key of its own\. Give the"),
        (unreadable, {}, r"a signature that cannot be read: NameError: name 'Nowhere' is not"),
        (of_no_type, {}, r"a signature that cannot be read: "),
        (out_of_its_own_range, {}, r"rule\.margin is 0\.0: input should be greater than 0"),
        (endless, {}, r"rule holds a number that is infinite or NaN"),
        (beyond_json, {}, r"rule holds a value that no config can hold"),
    ],
)
def test_what_cannot_be_bound_is_a_sentence(
    factory: Callable[..., Any], keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        bound(factory, **keys)


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (
            text,
            r"The rule '.*:text' made a str, which cannot be called\. A member is a function of",
        ),
        (refusing, r"The rule '.*:refusing': margin is no good, set it to 1\.$"),
        (failing, r"'.*:failing' failed: KeyError: 'two\\nlines' \(test_plugins\.py, line \d+\)\."),
    ],
)
def test_what_cannot_be_made_is_a_sentence(factory: Callable[..., Any], sentence: str) -> None:
    plan = bound(factory)
    with pytest.raises(ConfigError, match=sentence):
        plan.make()


def test_an_attribute_error_of_a_module_is_not_taken_for_a_missing_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_by_itself.py").write_text("import sys\nsys.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be imported: AttributeError: module 'sys'"):
        plugins.resolve("The rule", "broken_by_itself:mine", {})
    assert "broken_by_itself" not in sys.modules


def test_keys_given_are_filled_in_by_the_defaults_of_the_others() -> None:
    name = f"{__name__}:needy"
    assert plugins.filled_in("The rule", name, {}, {"margin": 2}, where="rule") == {"margin": 2}
    assert plugins.filled_in("The rule", name, {}, {}, where="rule") == {}
    with pytest.raises(ConfigError, match=r"rule\.sede is no key of"):
        plugins.filled_in("The rule", name, {}, {"sede": 2}, where="rule")
