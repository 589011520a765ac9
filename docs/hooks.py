"""Makes the pages of the reference from the code: commands, keys of a config, members, tables.

mkdocs calls `on_files` before it builds. Nothing is written into the source tree.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sweep.cli.app import app
from sweep.config.study import StudyConfig
from sweep.criteria import CRITERIA
from sweep.datasets import DATASETS
from sweep.encoders import ENCODERS
from sweep.methods import METHODS
from sweep.probes import PROBES
from sweep.proposers import PROPOSERS
from sweep.rules import RULES
from sweep.tables.schemas import SCHEMAS

SEAMS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "method": METHODS,
    "encoder": ENCODERS,
    "data": DATASETS,
    "criteria": CRITERIA,
    "probe": PROBES,
    "rule": RULES,
    "space.proposer": PROPOSERS,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference."""
    pages = {"commands": commands, "config": keys, "members": members, "tables": tables}
    for name, page in pages.items():
        text = "\n".join(page()) + "\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def commands() -> Iterator[str]:
    """Yield the page of the commands: what each does, its arguments and options."""
    yield "# Commands\n\nThis page is made from `sweep --help`."
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield f"\n## sweep {name}\n\n{_paragraphs(command.help or '')}\n"
        yield "| argument or option | meaning |\n|---|---|"
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            option = parameter.param_type_name == "option"
            label = ", ".join(parameter.opts) if option else _argument(parameter)
            yield f"| `{label}` | {_cell(getattr(parameter, 'help', None) or '')} |"


def keys() -> Iterator[str]:
    """Yield the page of a config's keys, a part for each table of the TOML file."""
    yield (
        "# Keys of a config\n\nThis page is made from the models that check a config. A key is "
        "given in the TOML file, or on the command line as `table.key=value`. Keys of members: "
        "[members](members.md)."
    )
    yield from _model(StudyConfig, "")


def members() -> Iterator[str]:
    """Yield the page of the members of every seam, with their keys."""
    yield "# Members and their keys\n\nThis page is made from the signatures of the members."
    for seam, table in SEAMS.items():
        yield f"\n## {seam}"
        for name, factory in table.items():
            meaning, described = _docstring(factory)
            yield f"\n### {name} ({seam})\n\n{meaning}\n"
            hints = typing.get_type_hints(factory, include_extras=True)
            rows = [
                (p.name, hints.get(p.name, Any), p.default)
                for p in inspect.signature(factory).parameters.values()
                if p.kind is p.KEYWORD_ONLY and p.name not in ("seed", "sources")
            ]
            if rows:
                yield "| key | values | default | meaning |\n|---|---|---|---|"
            for key, hint, default in rows:
                shown = _default(default, inspect.Parameter.empty)
                meaning = described.get(key, "")
                yield f"| `{key}` | {_cell(_kind(hint))} | {_cell(shown)} | {meaning} |"


def tables() -> Iterator[str]:
    """Yield the page of the tables and the types of their columns."""
    yield (
        '# Tables\n\nThis page is made from the schemas. `sweep query STUDY "SELECT ..."` reads '
        "these tables, and `sweep dump STUDY -o FOLDER` writes them. `trials` has further columns "
        "for varied fields, the method's parameters and other criteria."
    )
    for name, schema in SCHEMAS.items():
        yield f"\n## {name}\n\n| column | type |\n|---|---|"
        for field in schema:
            yield f"| `{field.name}` | {field.type} |"


def _model(model: type[BaseModel], place: str) -> Iterator[str]:
    meaning, described = _docstring(model)
    title = f"[{place}]" if place else "The study"
    yield f"\n## {title}\n\n{meaning}\n\n| key | values | default | meaning |\n|---|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        kind = _nested(field.annotation)
        if kind is not None:
            inner.append((f"{place}.{name}" if place else name, kind))
            continue
        default = field.get_default(call_default_factory=True)
        shown = _default(default, PydanticUndefined)
        values = _kind(
            typing.Annotated[field.annotation, *field.metadata]
            if field.metadata
            else field.annotation
        )
        yield f"| `{name}` | {_cell(values)} | {_cell(shown)} | {described.get(name, '')} |"
    for where, kind in inner:
        yield from _model(kind, where)


def _nested(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a table of the config, None for a key."""
    for kind in (annotation, *typing.get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__name__ != "Range":
            return kind
    return None


def _kind(hint: Any) -> str:
    """Return a type and its bounds in words."""
    if typing.get_origin(hint) is typing.Annotated:
        base, *marks = typing.get_args(hint)
        bounds = [str(mark) for mark in _bounds(marks)]
        return ", ".join([_kind(base), *bounds])
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(str(value) for value in typing.get_args(hint))
    if hint is type(None):
        return "none"
    if arguments := typing.get_args(hint):
        origin = typing.get_origin(hint)
        if origin in (list, tuple, dict):
            inside = ", ".join(_kind(a) for a in arguments if a is not ...)
            return f"{origin.__name__} of {inside}"
        return " or ".join(dict.fromkeys(_kind(argument) for argument in arguments))
    return getattr(hint, "__name__", str(hint))


def _bounds(marks: list[Any]) -> Iterator[str]:
    for mark in marks:
        for found in (mark, *getattr(mark, "metadata", ())):
            for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
                if getattr(found, name, None) is not None:
                    yield f"{sign} {getattr(found, name):g}"


def _default(value: Any, required: Any) -> str:
    """Return a default as TOML writes it."""
    if value is required:
        return "required"
    return "not set" if value is None else f"`{json.dumps(value)}`"


def _docstring(thing: Any) -> tuple[str, dict[str, str]]:
    """Return the first paragraphs of a docstring, and the meaning of each of its `Args`."""
    text = inspect.cleandoc(thing.__doc__ or "")
    head, _, rest = text.partition("\nArgs:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if match := re.match(r" {4}([\w, ]+): (.*)", line):
            names = [name.strip() for name in match[1].split(",")]
            found |= dict.fromkeys(names, match[2])
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    meaning = re.split(r"\n(?:Raises|Returns|Example):?", head)[0].strip()
    return meaning, {name: _cell(text) for name, text in found.items()}


def _argument(parameter: Any) -> str:
    """Return an argument's name as the help shows it."""
    return str(parameter.metavar or parameter.name.upper())


def _paragraphs(text: str) -> str:
    """Return a help text with its example as code."""
    return re.sub(r"(?m)^Example: (.*)$", r"```sh\n\1\n```", inspect.cleandoc(text))


def _cell(text: str) -> str:
    """Return a text that a cell of a table can hold."""
    return text.replace("|", "\\|").replace("\n", " ")
