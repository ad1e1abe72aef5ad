"""What is looked up is complete: every field, every setting, every transition, every exit code."""

import inspect
import re
import tomllib
from datetime import UTC, datetime

import attrs
import pytest
from pages import ROOT, blocks_of, pages, tables, text_of

import dsched
from dsched.client import Client
from dsched.config import format_duration, read_settings
from dsched.config.settings import Settings
from dsched.contracts import hookspecs
from dsched.engine.pod import SCHEDULER, WORKER
from dsched.launcher import run
from dsched.loading import load_catalogue
from dsched.model import TaskConfig
from dsched.model.status import BIRTH, TRANSITIONS
from dsched.model.task_config import Reserved

USAGE, CONFIGURATION = ROOT / "docs/usage.md", ROOT / "docs/configuration.md"
SETTINGS = {field.name: field.default for field in attrs.fields(Settings)}
SECTIONS = ("schedule", "worker", "task", "pod", "plugins", "log")
BY_PLUGIN = {"redis": "stores", "sqlite": "stores", "metrics": "services", "api": "services"}


def documented(page, heading):
    """Key to default of the table below a heading."""
    return {row[0].strip("`"): row[1] for row in tables(page, heading)}


def shown(value):
    """A default as the pages write it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if hasattr(value, "total_seconds"):
        return f"`{format_duration(value)}`"
    if isinstance(value, dict) or hasattr(value, "keys"):
        return "`{}`"
    plain = {None: "`null`", "": "`''`", (): "`[]`"}
    return plain.get(value, f"`{value}`")


def test_every_field_of_a_task_is_in_the_table_with_its_default():
    table = documented(USAGE, "## The task file")
    # What makes a workflow has keys and a page of its own.
    not_in_a_file = {"origin", "revision", "created_ms", "updated_ms", "reserved", "workflow"}
    assert set(table) == {field.name for field in attrs.fields(TaskConfig)} - not_in_a_file
    plain = TaskConfig(id="a", executor="x", at=datetime(2026, 1, 1, tzinfo=UTC))
    special = {"id", "executor", "type", "timeout", "retry", "affinity_key", "at"}
    for name in set(table) - special:
        value = getattr(plain, name)
        assert table[name] == ("" if value in (None, "") else shown(value)), name


def test_every_reserved_field_is_named():
    for field in attrs.fields(Reserved):
        assert f"`{field.name}`" in text_of(USAGE)


def fields_of(defaults, above=""):
    """Every setting below a section with its default; a section of its own is walked into."""
    for field in attrs.fields(type(defaults)):
        value = getattr(defaults, field.name)
        if attrs.has(type(value)):
            yield from fields_of(value, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", value


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_in_the_table_with_its_default(section):
    table = documented(CONFIGURATION, f"## `{section}`")
    defaults = getattr(Settings(), section)
    fields = dict(fields_of(defaults))
    if section == "pod":
        assert "`$POD_NAME`" in table["name"]
        fields.pop("name"), table.pop("name")
    assert {name: shown(value) for name, value in fields.items()} == table


def test_every_section_is_on_the_page():
    top = documented(CONFIGURATION, "## Top level")
    named = {*re.findall(r"^## `(\w+)`$", text_of(CONFIGURATION), re.MULTILINE), *top}
    plugins = load_catalogue().sections.keys() - {"memory"}  # it has no options
    assert named == (SETTINGS.keys() - {"sections"}) | {"executors", "balancers"} | plugins
    assert top["store"] == shown(Settings().store)


@pytest.mark.parametrize("section", sorted(BY_PLUGIN))
def test_every_option_of_a_plugins_section_is_in_the_table(section):
    options = getattr(load_catalogue(), BY_PLUGIN[section])[section].provider.options
    table = documented(CONFIGURATION, f"## `{section}`")
    assert set(table) == {field.name for field in attrs.fields(options)}
    for name, value in attrs.asdict(options(), recurse=False).items():
        if not attrs.has(type(value)):
            assert table[name] == shown(value), name


def test_every_option_of_a_balancer_is_in_the_table():
    options = {
        f"{name}.{field.name}": shown(field.default)
        for name, one in load_catalogue().balancers.items()
        for field in attrs.fields(one.provider.options)
    }
    assert options == documented(CONFIGURATION, "## `balancers`")


def test_the_picture_of_states_is_the_table_of_transitions():
    (picture,) = (
        block for block in blocks_of(ROOT / "docs/architecture.md") if block.language == "mermaid"
    )
    drawn = set(re.findall(r"^  (\S+) --> (\w+|\[\*\])(?:: .*)?$", picture.text, re.MULTILINE))
    assert len(drawn) == len(re.findall("-->", picture.text))
    names = {state: "_".join(part for part in state if part) for state in TRANSITIONS}
    expected = {("[*]", names[state]) for state in BIRTH}
    expected |= {(names[a], names[b]) for a, after in TRANSITIONS.items() for b in after}
    expected |= {(names[state], "[*]") for state, after in TRANSITIONS.items() if not after}
    assert drawn == expected


def test_every_exit_code_is_in_the_table():
    codes = {str(code) for code in (run.OK, run.FAILED, run.BAD_CONFIG, run.BAD_PLUGIN)}
    assert {row[0] for row in tables(USAGE, "## Exit codes")} == codes | {str(run.BAD_STORE)}


def called(name):
    """How a method of the client is called: its arguments and their defaults, without types."""
    signature = inspect.signature(getattr(Client, name))
    arguments = [one.replace(annotation=one.empty) for one in signature.parameters.values()][1:]
    plain = signature.replace(parameters=arguments, return_annotation=signature.empty)
    return f"`{name}{plain}`"


def test_every_call_of_the_client_is_in_the_table_with_its_arguments():
    methods = inspect.getmembers(Client, inspect.isfunction)
    calls = [called(name) for name, _ in methods if not name.startswith("_")]
    assert sorted(row[0] for row in tables(USAGE, "### The client")) == sorted(calls)


def test_connect_is_shown_with_its_arguments():
    arguments = list(inspect.signature(dsched.connect).parameters.values())
    shown = ", ".join(f"{one.name}={one.default!r}".replace("'", '"') for one in arguments[1:])
    assert f"`dsched.connect(config, {shown})`" in text_of(USAGE)


def test_every_hook_is_in_the_table():
    hooks = {name for name in vars(hookspecs) if name.startswith("dsched_")}
    rows = tables(ROOT / "docs/writing-a-plugin.md", "## The other kinds")
    assert {row[0].strip("`") for row in rows} == hooks


def test_every_role_and_distribution_is_named():
    roles = {SCHEDULER, WORKER, *load_catalogue().services}
    assert all(f"`{role}`" in text_of(USAGE) for role in roles)
    kinds = ("executors", "balancers", "stores", "observers", "services")
    plugins = [one for kind in kinds for one in getattr(load_catalogue(), kind).values()]
    index = text_of(ROOT / "docs/index.md")
    assert all(f"[{one.distribution}]" in index for one in plugins)
    house = text_of(ROOT / "docs/architecture.md")
    for project in (path for path in ROOT.glob("**/pyproject.toml") if ".venv" not in path.parts):
        named = tomllib.loads(project.read_text()).get("project", {}).get("name", "")
        if "examples" not in project.parts and named.startswith("dsched"):
            assert f"[{named}]" in index, f"{named} is not in docs/index.md"
            assert re.search(rf" {named}(:| |$)", house, re.MULTILINE), f"{named}: no house"


def test_every_redis_key_that_the_deviations_name_is_one():
    rows = tables(ROOT / "docs/deviations.md", "## Redis keys")
    shape = r"`((?:schedule|task|worker|config):[a-z:]+|events)(?:\{\w+\})?`"
    named = set(re.findall(shape, " ".join(cell for row in rows for cell in row)))
    folder = ROOT / "plugins/store-redis/src/dsched_store_redis/scripts"
    scripts = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.lua"))
    assert len(named) >= 12
    for key in named:
        assert f"'{key}'" in scripts or f"'{key}:'" in scripts, key


def test_every_variable_that_the_pages_set_is_a_setting():
    texts = [text_of(page) for page in pages()]
    found = [pair for text in texts for pair in re.findall(r"`(DSCHED_\w+)=(\w+)`", text)]
    assert found
    for name, value in found:
        read_settings(None, {name: value}, {}, load_catalogue())  # raises if it is unknown
