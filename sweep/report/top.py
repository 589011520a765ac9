"""The parts of the page that need no script: winner, budget, config, versions, failures.

Every text is escaped: names, values and errors come from configs and logs of anybody.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

from sweep.core.text import one_line
from sweep.report.cautions import caution
from sweep.report.fields import HEADINGS, short, unit_of
from sweep.report.pictures.budget import SAVED, spent
from sweep.report.study import StudyData, interval, zone_of
from sweep.tables.comparison import flat

LONGEST_VALUE = 120


def text(value: object, longest: int = 400) -> str:
    """Return a value as HTML: escaped, on one line, and of a bounded length."""
    return escape(short(one_line(str(value)), longest))


def header(studies: Sequence[StudyData]) -> str:
    """Return the title and a line about each study."""
    title = text(studies[0].name) if len(studies) == 1 else f"{len(studies)} studies"
    lines = "".join(f"<p class=about>{_about(study, len(studies) > 1)}</p>" for study in studies)
    return f"<div><h1>{title}</h1>{lines}</div>"


def cards(studies: Sequence[StudyData]) -> str:
    """Return a winner and a budget for each study, side by side."""
    several = len(studies) > 1
    return "".join(_winner(study, several) + _budget(study, several) for study in studies)


def details(studies: Sequence[StudyData]) -> str:
    """Return config, versions and failures."""
    parts = [_failures(study, len(studies) > 1) for study in studies]
    parts.append(_configs(studies))
    parts.append(_versions(studies))
    return "".join(parts)


def _about(study: StudyData, several: bool) -> str:
    about = study.about
    status = "finished" if study.finished else str(about.get("status") or "created")
    chip = f"<span class='chip {escape(status)}'>{text(status)}</span>"
    name = f"<b>{text(study.name)}</b>" if several else ""
    counts = Counter(row["status"] for row in study.rows)
    models = ", ".join(f"{n} {text(state)}" for state, n in counts.most_common())
    where = f"{text(about.get('workers') or 1)} workers on {text(about.get('device') or '?')}"
    facts = [f"{len(study.rows)} models: {models}", where, _dates(about)]
    return f"{chip}{name}<span>{'</span><span>'.join(facts)}</span>"


def _dates(about: dict[str, Any]) -> str:
    created, updated = about.get("created"), about.get("updated")
    if not isinstance(created, datetime):
        return ""
    line = f"{created:%Y-%m-%d %H:%M}"
    return f"{line} to {updated:%Y-%m-%d %H:%M} UTC" if isinstance(updated, datetime) else line


# Winner ------------------------------------------------------------------------------


def _winner(study: StudyData, several: bool) -> str:
    row, warned = study.winner, caution(study)
    title = "Winner" if study.finished else "Best so far"
    if several:
        title += f" of {text(study.name)}"
    warning = f"<p class=warning role=note>{text(warned)}</p>" if warned else ""
    if row is None:
        return f"<section class=card><h2>{title}</h2>{warning or '<p>None.</p>'}</section>"
    found = interval(study)
    span = f"<p class=soft>95 % interval {found[0]:.1%} to {found[1]:.1%}</p>" if found else ""
    values = "".join(
        f"<li>{text(HEADINGS.get(name, name))} = <b>{_value(row[name])}</b></li>"
        for name in study.varied
    )
    command = f"sweep export {shlex.quote(study.place)} -o encoder.safetensors"
    return (
        f"<section class='card winner'><h2>{title}</h2>"
        f"<div class=headline><span class=number>{row[study.metric]:.2%}</span>"
        f"<span>validation {study.metric.replace('_', ' ')}<br>"
        f"of trial <code>{text(row['trial_id'])}</code></span></div>"
        f"{_strip(study, row[study.metric], found)}{span}<ul class=values>{values}</ul>"
        f"<p>{' '.join(_sentences(study, row))}</p>{warning}"
        f"<div class=command><code>{text(command)}</code>"
        "<button type=button data-copy>Copy</button></div></section>"
    )


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "not set" if value is None else text(value, LONGEST_VALUE)


def _sentences(study: StudyData, row: dict[str, Any]) -> Iterable[str]:
    if row.get("test_accuracy") is not None:
        yield f"Test accuracy {row['test_accuracy']:.1%}."
    if study.chance is not None:
        yield f"A guess is right for {study.chance:.1%}."
    ties = study.outcome.ties if study.outcome else ()
    if ties:
        shown = ", ".join(f"<code>{text(tie)}</code>" for tie in ties[:5])
        more = f" and {len(ties) - 5} more" if len(ties) > 5 else ""
        yield f"Cannot be told from it: {shown}{more}."
    if row.get("alpha") is not None:
        yield f"Its alpha is {row['alpha']:.3g}."
    if (zone := zone_of(study)) is not None:
        yield f"The rule last looked at alphas in {text(zone)}."
    if study.outcome is not None and study.outcome.reason:
        yield f"The study ended: {text(study.outcome.reason)}."


def _strip(study: StudyData, accuracy: float, found: tuple[float, float] | None) -> str:
    """Return a small drawing: all accuracies, the winner's interval, and a guess."""
    known = [r[study.metric] for r in study.rows if r.get(study.metric) is not None]
    ends = [*known, *(found or ()), *([study.chance] if study.chance is not None else [])]
    lo, hi = min(ends), max(ends)
    if hi <= lo:
        return ""

    def at(share: float) -> str:
        return f"{8 + 384 * (share - lo) / (hi - lo):.1f}"

    dots = "".join(f"<circle cx='{at(a)}' cy=14 r=2.5 class=dot />" for a in known[:2000])
    bar = ""
    if found is not None:
        bar = f"<line x1='{at(found[0])}' x2='{at(found[1])}' y1=14 y2=14 class=interval />"
    guess = ""
    if study.chance is not None:
        x = at(study.chance)
        guess = f"<line x1='{x}' x2='{x}' y1=4 y2=24 class=guess />"
        guess += f"<text x='{float(x) + 5:.1f}' y=27 class=label>a guess</text>"
    label = "Accuracies of all probed models; the winner's 95 % interval is marked."
    return (
        f"<svg class=strip viewBox='0 0 400 30' role=img aria-label='{label}'>"
        f"<line x1=8 x2=392 y1=14 y2=14 class=base />{guess}{bar}{dots}"
        f"<circle cx='{at(accuracy)}' cy=14 r=5 class=best /></svg>"
    )


# Budget ------------------------------------------------------------------------------


def _budget(study: StudyData, several: bool) -> str:
    parts = spent(study)
    total = sum(seconds for stage, seconds in parts.items() if stage != SAVED)
    rows = "".join(
        f"<tr><th scope=row>{text(stage)}</th><td>{_duration(seconds)}</td>"
        f"<td>{seconds / total:.0%}</td></tr>"
        for stage, seconds in parts.items()
        if stage != SAVED and total > 0
    )
    saved = ""
    if study.saved is not None and study.saved.whole > 0:
        part = study.saved.spent / study.saved.whole
        saved = (
            f"<p>Pretraining took <b>{_duration(study.saved.spent)}</b> of about "
            f"{_duration(study.saved.whole)} that all {study.saved.models} models would take "
            f"({part:.0%}).</p>"
        )
    probes = ""
    if study.outcome is not None:
        probes = f"<p class=soft>{study.outcome.probes_paid} models were probed at their end"
        saved_probes = study.outcome.probes_saved
        probes += f", {saved_probes} measured models were not.</p>" if saved_probes else ".</p>"
    title = f"Budget of {text(study.name)}" if several else "Budget"
    return (
        f"<section class=card><h2>{title}</h2><div class=headline>"
        f"<span class=number>{_duration(total)}</span><span>on devices,<br>"
        f"{_duration(study.timeline.last)} by the clock</span></div>"
        f"<div data-picture=budget></div>"
        f"<table class=plain><tbody>{rows}</tbody></table>{saved}{probes}</section>"
    )


def _duration(seconds: float) -> str:
    size, unit = unit_of(seconds)
    number = seconds / size
    short_unit = {"seconds": "s", "minutes": "min", "hours": "h", "days": "days"}[unit]
    return f"{number:.3g} {short_unit}" if number < 1000 else f"{number:,.0f} {short_unit}"


# Details -----------------------------------------------------------------------------


def _failures(study: StudyData, several: bool) -> str:
    if not study.failures:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{text(cause)}</th><td>{count}</td>"
        f"<td class=error>{text(error)}</td></tr>"
        for cause, (count, error) in study.failures.items()
    )
    title = f"Failures of {text(study.name)}" if several else "Failures"
    return (
        f"<section class=card><h2>{title}</h2><table class=plain><thead><tr><th>cause</th>"
        "<th>attempts</th><th>last error</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _configs(studies: Sequence[StudyData]) -> str:
    """Return all configs as one table; keys that differ come first."""
    flats = [{key: _json(v) for key, v in flat(s.about["config"]).items()} for s in studies]
    keys = list(dict.fromkeys(key for config in flats for key in config))
    differ = [key for key in keys if len({config.get(key) for config in flats}) > 1]
    names = "".join(f"<th>{text(study.name)}</th>" for study in studies)
    head = f"<thead><tr><th>key</th>{names}</tr></thead>"
    open_table = f"<table class=plain>{head}<tbody>"
    shown = ""
    if len(studies) > 1:
        rows = _config_rows(differ, flats, " class=differs") or "<tr><td>none</td></tr>"
        shown = f"<h3>Keys that differ</h3>{open_table}{rows}</tbody></table>"
    rest = _config_rows([key for key in keys if key not in differ or len(studies) == 1], flats, "")
    label = "Keys that are the same" if len(studies) > 1 else f"All {len(keys)} keys"
    return (
        f"<section class=card><h2>Config</h2>{shown}<details><summary>{label}</summary>"
        f"{open_table}{rest}</tbody></table></details></section>"
    )


def _config_rows(keys: Iterable[str], flats: Sequence[dict[str, str]], mark: str) -> str:
    return "".join(
        f"<tr{mark}><th scope=row>{text(key)}</th>"
        + "".join(f"<td>{text(config.get(key, '—'), LONGEST_VALUE)}</td>" for config in flats)
        + "</tr>"
        for key in keys
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _versions(studies: Sequence[StudyData]) -> str:
    versions = [
        {"commit": s.about.get("commit"), **s.about["versions"], "host": s.about.get("host"),
         "runner": s.about.get("runner"), "sessions": s.about.get("sessions"),
         "data digest": str(s.about.get("data_digest") or "")[:16]}
        for s in studies
    ]  # fmt: skip
    names = "".join(f"<th>{text(study.name)}</th>" for study in studies)
    keys = list(dict.fromkeys(key for one in versions for key in one))
    rows = "".join(
        f"<tr><th scope=row>{text(key)}</th>"
        + "".join(f"<td>{text(one.get(key) or '—', LONGEST_VALUE)}</td>" for one in versions)
        + "</tr>"
        for key in keys
    )
    return (
        "<section class=card><h2>Versions</h2><table class=plain>"
        f"<thead><tr><th></th>{names}</tr></thead><tbody>{rows}</tbody></table></section>"
    )
