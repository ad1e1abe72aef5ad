"""Many configs at once: each created or replaced by itself, with an outcome of its own."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from dsched.client import ClientError, ConfigOutcome, check_origin
from dsched.contracts import EntryError
from dsched.contracts.store.configs import StoredConfig
from dsched.model import TaskConfig
from dsched.wording import printable
from dsched_api_http.audit import fingerprint
from dsched_api_http.batch_requests import PutManyQuery
from dsched_api_http.batches import ConfigBatch, ConfigPut, config_problem_of, id_given
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.refused import problem_of
from dsched_api_http.requests import PutBatch
from dsched_api_http.routes.configs import (
    as_it_would_be,
    no_room,
    room_for_configs,
    shown,
    warnings_of,
)
from dsched_api_http.scopes import Scope

AT_ONCE = 10
OUTCOMES = ("created", "changed", "unchanged", "refused")
NAMED = 5  # configs that an entry of the audit names
MAX_OBJECT = 300


async def put_configs(call: Call) -> Answer:
    """Create or replace up to a hundred configs; one that is refused refuses no other."""
    wanted: dict[int, TaskConfig] = {}
    named: set[str] = set()
    found: dict[int, ConfigPut] = {}
    for place, raw in enumerate(call.body.items):
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)  # a batch must not make the pod's other work late
        try:
            config = _judged(call, raw)
            if config.id in named:
                raise invalid("id", f"{config.id} occurs twice in the batch")
        except (Problem, EntryError) as error:
            found[place] = _refused(id_given(raw), problem_of(error))
        else:
            wanted[place] = config
            named.add(config.id)
    outcomes = await _put(call, list(wanted.values()))
    for place, config in wanted.items():
        found[place] = outcomes[config.id]
    items = tuple(found[place] for place in range(len(call.body.items)))
    _note(call, items)
    return Answer(body=ConfigBatch(items=items))


def _judged(call: Call, raw: object) -> TaskConfig:
    """The config of an item; raises `Problem` or `EntryError`."""
    if not isinstance(raw, Mapping):
        raise invalid("", "an item must be a JSON object: the keys of a task file, with its id")
    if not isinstance(raw.get("id"), str):
        raise invalid("id", "is missing, or is not text")
    entry = {name: value for name, value in raw.items() if name != "id"}
    config = call.api.judged.config(raw["id"], entry, dry_run=call.query.dry_run)
    return config.of_origin(call.query.origin)


async def _put(call: Call, configs: Sequence[TaskConfig]) -> dict[str, ConfigPut]:
    """Put what there is room for, or see what would come of it, by id."""
    # Batches overlap, yet each sees how many configs those before it have made.
    async with nullcontext() if call.query.dry_run else call.api.putting:
        outcomes = await _outcomes(call, configs)
    found: dict[str, ConfigPut] = {}
    for place, one in enumerate(outcomes):
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)
        found[one.id] = _item(call, one)
    left = (one.id for one in configs if one.id not in found)
    return found | {name: _refused(name, no_room(call)) for name in left}


async def _outcomes(call: Call, configs: Sequence[TaskConfig]) -> Sequence[ConfigOutcome]:
    """What a put of those that there is room for did, or would do."""
    room = await room_for_configs(call)
    held: dict[str, StoredConfig] = {}
    if call.query.dry_run or room < len(configs):  # else a put need not know them before
        stored = await call.client.get_configs([one.id for one in configs])
        held = {one.config.id: one for one in stored if one is not None}
    new = [one.id for one in configs if one.id not in held]
    too_many = set(new[max(0, room) :])
    allowed = [one for one in configs if one.id not in too_many]
    if call.query.dry_run:
        return [_tried(held.get(one.id), one, adopt=call.query.adopt) for one in allowed]
    return await call.client.put_configs(allowed, adopt=call.query.adopt)


def _tried(old: StoredConfig | None, config: TaskConfig, *, adopt: bool) -> ConfigOutcome:
    """What a put would do."""
    try:
        if not adopt:
            check_origin(old, config.origin)
    except ClientError as error:
        return ConfigOutcome(id=config.id, error=error)
    outcome = "created" if old is None else "unchanged" if old.config == config else "changed"
    return ConfigOutcome(id=config.id, outcome=outcome, stored=as_it_would_be(old, config))


def _item(call: Call, one: ConfigOutcome) -> ConfigPut:
    if one.stored is None:
        error = one.error
        problem = problem_of(error) if isinstance(error, ClientError) else invalid("", str(error))
        return _refused(one.id, problem)
    if call.query.brief and _known(call, one, one.stored):
        return ConfigPut(id=one.id, outcome=one.outcome)
    return ConfigPut(id=one.id, outcome=one.outcome, config=shown(call, one.stored))


def _known(call: Call, one: ConfigOutcome, stored: StoredConfig) -> bool:
    """Whether the caller learns nothing from the config: what a put had to say, its dry run has
    said; and of a dry run it knows what is new, or is there already."""
    if not call.query.dry_run:
        return True
    return one.outcome != "changed" and not warnings_of(stored.config)


def _refused(item_id: str | None, problem: Problem) -> ConfigPut:
    return ConfigPut(id=item_id, outcome="refused", problem=config_problem_of(problem))


def _note(call: Call, items: Sequence[ConfigPut]) -> None:
    """One entry of the audit for all: how many became what, and some of their names."""
    names = [str(one.id) for one in items if one.outcome in ("created", "changed")]
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    counts = Counter(one.outcome for one in items)
    told = ", ".join(f"{counts[word]} {word}" for word in OUTCOMES if counts[word])
    named = f": {', '.join(names[:NAMED])}{more}" if names else ""
    call.act.object = printable(f"{told or 'nothing'}{named}", MAX_OBJECT)
    call.act.after = fingerprint(list(call.body.items))  # a list is written faster than a tuple


ROUTES = (
    Route(
        method="POST",
        path="/configs/batch",
        name="config.put_batch",
        scope=Scope.OPERATE,
        handle=put_configs,
        summary="Create or replace up to 100 configs",
        query=PutManyQuery,
        body=PutBatch,
        answer=ConfigBatch,
        status=207,
        audited=True,
    ),
)
