"""Results on stdout in seven formats; whatever else there is to say goes to stderr."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import attrs
import click

from dsched_cli import table
from dsched_cli.cleaning import clean, clean_json, plain
from dsched_cli.times import show_span_ms, show_time

FORMATS = ("table", "wide", "json", "jsonl", "yaml", "csv", "name")

_COLOURS: Mapping[str, str] = {
    "success": "green",
    "fired": "green",
    "idle": "green",
    "ok": "green",
    "running": "blue",
    "busy": "blue",
    "retrying": "yellow",
    "draining": "yellow",
    "stalled": "yellow",
    "skipped": "yellow",
    "paused": "yellow",
    "late": "yellow",
    "warning": "yellow",
    "failed": "red",
    "missed": "red",
    "silent": "yellow",
    "lost": "red",
    "gone": "red",
    "error": "red",
    "cancelled": "magenta",
    "orphaned": "magenta",
}


@attrs.frozen
class Column:
    """One column: its title, where the value comes from, and how it reads.

    ``source`` is a key, a dotted path, or a function of the record. ``kind``: ``text``, ``time``
    (RFC 3339), ``ms``, ``number``, ``state``, ``block`` (several lines). ``wide`` columns need
    ``-o wide``.
    """

    title: str
    source: str | Callable[[Mapping[str, Any]], object]
    kind: str = "text"
    wide: bool = False

    def value(self, record: Mapping[str, Any]) -> object:
        """The raw value, None where there is none."""
        if callable(self.source):
            return self.source(record)
        found: Any = record
        for part in self.source.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(part)
        return found


@attrs.frozen(kw_only=True)
class Output:
    """How results are written: the format, the zone of times, colour and width if any."""

    format: str = "table"
    zone: tzinfo
    colour: bool = False
    width: int | None = None

    def records(
        self, records: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, key: str = "id"
    ) -> None:
        """Write a list. JSON has the API's fields as they are; a table has the columns."""
        if self.format == "jsonl":
            for record in records:
                _line(clean_json(_dumps(record)))
            return
        found = list(records)
        if self.format == "json":
            _line(clean_json(_dumps(found, indent=2)))
        elif self.format == "yaml":
            _line(_yaml(found).rstrip("\n"))
        elif self.format == "name":
            for record in found:
                _line(clean(record.get(key, "")))
        elif self.format == "csv":
            self._csv(found, columns)
        else:
            self._table(found, columns)

    def record(
        self, record: Mapping[str, Any], columns: Sequence[Column], *, key: str = "id"
    ) -> None:
        """Write one thing: a line a field in a table, the object itself in JSON and YAML."""
        if self.format == "json":
            _line(clean_json(_dumps(record, indent=2)))
        elif self.format == "yaml":
            _line(_yaml(record).rstrip("\n"))
        elif self.format in ("table", "wide"):
            self._fields(record, columns)
        else:
            self.records([record], columns, key=key)

    def state(self, text: str, *, as_state: str | None = None) -> str:
        """A state in its colour, if there are colours."""
        colour = _COLOURS.get((as_state or text).strip())
        return click.style(text, fg=colour) if self.colour and colour else text

    def show(self, column: Column, record: Mapping[str, Any]) -> str:
        """One cell, for people."""
        value = column.value(record)
        if value is None or value == "":
            return "-"
        if column.kind == "time":
            return show_time(value, self.zone)
        if column.kind == "ms":
            return show_span_ms(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dict | list):
            return clean(_short(value))
        return last_line(value) if column.kind == "block" else clean(value)

    def _table(self, records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        shown = [one for one in columns if self.format == "wide" or not one.wide]
        rows = [[self.show(column, record) for column in shown] for record in records]
        lines = table.layout(
            [column.title for column in shown],
            rows,
            right=[column.kind in ("number", "ms") for column in shown],
            max_cells=self.width if self.format == "table" else None,
        )
        for number, cells in enumerate(lines):
            if number == 0:
                line = table.join(cells)
                _line(click.style(line, bold=True) if self.colour else line)
                continue
            coloured = [
                self.state(cell) if column.kind == "state" else cell
                for cell, column in zip(cells, shown, strict=True)
            ]
            _line(table.join(coloured))

    def _fields(self, record: Mapping[str, Any], columns: Sequence[Column]) -> None:
        width = max((table.width_of(one.title) for one in columns), default=0)
        for column in columns:
            text = self.show(column, record)
            if text == "-" and column.wide and self.format != "wide":
                continue
            label = f"{column.title.lower() + ':':<{width + 2}}"
            if column.kind == "block" and text != "-":
                self._block(label, str(column.value(record)))
                continue
            _line(label + (self.state(text) if column.kind == "state" else text))

    def _block(self, label: str, text: str) -> None:
        """A text of several lines, such as a traceback, each cleaned and indented."""
        lines = [clean(line) for line in text.strip().splitlines()]
        _line(label + lines[0])
        for line in lines[1:]:
            _line(" " * len(label) + line)

    def _csv(self, records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([column.title.lower() for column in columns])
        for record in records:
            writer.writerow([_csv_cell(column.value(record)) for column in columns])


def output_for(format_: str, zone: tzinfo) -> Output:
    """An output for this process's stdout."""
    terminal = sys.stdout.isatty()
    dumb = os.environ.get("TERM") == "dumb"
    return Output(
        format=format_,
        zone=zone,
        colour=terminal and not dumb and not os.environ.get("NO_COLOR"),
        width=shutil.get_terminal_size().columns if terminal else None,
    )


def last_line(value: object) -> str:
    """The last line of a text: for a traceback, the error itself."""
    lines = [line for line in str(value).splitlines() if line.strip()]
    return clean(lines[-1].strip()) if lines else "-"


def say(text: str) -> None:
    """A word to the reader, beside the data: on stderr."""
    click.echo(text, err=True)


def write(text: str = "") -> None:
    """A line of data on stdout; the caller has cleaned what came from elsewhere."""
    _line(text)


def write_json(value: Any) -> None:
    """A value as indented JSON."""
    _line(clean_json(_dumps(value, indent=2)))


def yaml_text(value: Any) -> str:
    """A value as YAML in the order of its keys."""
    return _yaml(value)


def _line(text: str) -> None:
    click.echo(text)


def _dumps(value: Any, *, indent: int | None = None) -> str:
    separators = None if indent else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _yaml(value: Any) -> str:
    import yaml  # 25 ms that no other format need pay

    class Dumper(yaml.SafeDumper):
        """Writes shared values out each time: YAML aliases are hard to read."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
            return True

    Dumper.add_representer(str, _scalar)
    text: str = yaml.dump(
        value,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return clean_json(text)  # the escapes of JSON are those of a quoted scalar


def _scalar(dumper: Any, value: str) -> Any:
    """Text; in quotes where an escape may be needed."""
    style = None if clean_json(value) == value else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _short(value: Any) -> str:
    if isinstance(value, dict) and all(isinstance(one, str | int) for one in value.values()):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return _dumps(value)


def _csv_cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return clean_json(_dumps(plain(value)))
    text = clean(value)
    # A spreadsheet would run what begins like a formula; numbers stay numbers.
    if isinstance(value, str) and text[:1] in "=+-@" and text:
        return "'" + text
    return text
