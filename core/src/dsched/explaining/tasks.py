"""Why a task is where it is, or ended as it did."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs

from dsched.contracts.store.history import Break
from dsched.explaining.breaks import told_of_task
from dsched.explaining.decisions import SHOWN_OF_ANOTHER, jitter_words
from dsched.explaining.explanation import Answer, Explanation
from dsched.explaining.limits import LimitFacts, full_of, summary_of, told_of_limits
from dsched.explaining.runs import run_told
from dsched.explaining.words import last_line, plural, span
from dsched.model import (
    Ability,
    Decision,
    Home,
    MemberLine,
    Task,
    TaskConfig,
    TaskStatus,
    Worker,
    Workflow,
    need_in_words,
    need_of,
    rfc3339_ms,
    run_of,
)
from dsched.model.pins import demanded_in_words, pin_of
from dsched.model.progress import WAITS, WAITS_FOR_CALLBACK

SHOWN = 5  # workers or tasks that a sentence names


@attrs.frozen(kw_only=True)
class TaskFacts:
    """What the store says about a task, read with its spec; and about what it may wait for.

    ``decision`` is that of its fire, if a fire made it, ``config`` the config as it is now;
    ``live`` are the live tasks of its config, and ``in_the_way`` is about the first of them that a
    held task waits for. ``breaks`` are those of the store's
    history. ``abilities`` are those of the workers, by digest, ``lines`` the member log of a run,
    ``limits`` those that a ready task names, ``lists`` how many items the lists of a run have.
    """

    task: Task
    now_ms: int
    workers: Sequence[Worker] = ()
    fence: str | None = None
    decision: Decision | None = None
    live: Sequence[Task] = ()
    config: TaskConfig | None = None
    in_the_way: Explanation | None = None
    breaks: Sequence[Break] = ()
    abilities: Mapping[str, Ability] = attrs.field(factory=dict)
    lines: Sequence[MemberLine] = ()
    limits: Sequence[LimitFacts] = ()
    lists: Mapping[str, int] = attrs.field(factory=dict)


def explain_task(facts: TaskFacts) -> Explanation:
    """Why the task waits, runs or ended."""
    task = facts.task
    match task.status:
        case _ if (flow := _flow(task)) is not None and task.home is not Home.HELD:
            summary, because = run_told(task, flow, facts.lines, facts.now_ms, lists=facts.lists)
            verdict = Answer(task.status.value)
        case TaskStatus.PENDING:
            verdict, summary, because = Answer.PENDING, *_pending(facts)
        case TaskStatus.RUNNING:
            verdict, summary, because = Answer.RUNNING, *_running(facts)
        case TaskStatus.RETRYING:
            verdict, summary, because = Answer.RETRYING, *_retrying(task)
        case _:
            verdict, summary, because = Answer(task.status.value), *_ended(facts)
    broken = told_of_task(facts.breaks, task, facts.now_ms)
    return Explanation(
        subject=task.id,
        at_ms=facts.now_ms,
        verdict=verdict,
        summary=summary,
        because=tuple(text for text in (*because, *_origin(facts), *broken) if text),
        decision=facts.decision,
        task=task,
    )


def _flow(task: Task) -> Workflow | None:
    """The workflow of a run, None for a task."""
    return None if task.spec is None else task.spec.workflow


_Told = tuple[str, list[str]]  # the summary, and what it follows from


# --- waiting --------------------------------------------------------------------------------------


def _pending(facts: TaskFacts) -> _Told:
    task = facts.task
    moved = [_moved(task)] if task.reason else []
    match task.home:
        case Home.DELAYED:
            return _delayed(facts)
        case Home.READY if full := full_of(facts.limits):
            summary = summary_of(task.id, full[0])
            return summary, [*moved, *told_of_limits(full)]
        case Home.READY:
            return f"Task {task.id} is ready and waits{_for_whom(facts)}.", [*moved, *_fit(facts)]
        case Home.QUEUE:
            return f"Task {task.id} waits in the queue of {task.worker_id}.", _queued(facts)
        case Home.HELD:
            others = [other.id for other in facts.live if other.id != task.id]
            shown = ", ".join(others[:SHOWN]) + (" ..." if len(others) > SHOWN else "")
            earlier = f"These have not ended: {shown}." if others else ""
            summary = f"Task {task.id} is held until the earlier tasks of its config have ended."
            told = ["The overlap policy of its config allows one at a time.", earlier]
            if facts.in_the_way is not None:
                told += [facts.in_the_way.summary, *facts.in_the_way.because[:SHOWN_OF_ANOTHER]]
            return summary, told
    return f"Task {task.id} is pending.", moved


def _for_whom(facts: TaskFacts) -> str:
    """For which workers a ready task waits; of one that demands nothing any will do."""
    needed = {} if facts.task.spec is None else facts.task.spec.required_labels
    wanted = demanded_in_words(needed)
    there = [one for one in facts.workers if not (one.gone or one.draining)]
    matching = [one for one in there if one.matches(needed)]
    able = [one for one in matching if _runs(facts, one)]
    if not there:
        return " for a worker"
    pin = pin_of(needed)
    if pin is not None and all(one.id != pin for one in there):
        return f": worker {pin}, which alone may run it, is not there"
    if not matching:
        return f": no worker has {wanted}"
    if not able:
        among = f" with {wanted}" if wanted else ""
        return f": no worker{among} has {need_in_words(_need(facts))}"
    load, limit = sum(one.load for one in able), sum(one.limit for one in able)
    if load < limit or len(able) == len(there):
        return " for a worker"
    whom = f"with {wanted}" if wanted else f"that have {need_in_words(_need(facts))}"
    return f": all workers {whom} are full, {load} of {limit}"


def _delayed(facts: TaskFacts) -> _Told:
    task = facts.task
    if task.reason.startswith("deferred"):
        summary = f"Task {task.id} was put off: {task.reason.removeprefix('deferred: ')}."
        return summary, ["It is tried again every second or two.", *_fit(facts)]
    if task.reason:
        return f"Task {task.id} waits before it runs again.", [_moved(task)]
    wait_ms = task.scheduled_ms - facts.now_ms
    jitter = _jitter(facts)
    if jitter:
        when = jitter
    elif wait_ms > 0:
        when = f"It is wanted at {rfc3339_ms(task.scheduled_ms)}, in {span(wait_ms)}."
    else:
        when = f"Its instant is {rfc3339_ms(task.scheduled_ms)}; a jitter or a delay holds it back."
    return f"Task {task.id} may not start yet.", [when]


def _jitter(facts: TaskFacts) -> str:
    """What the jitter of its config, if that is still the same, does to a fire's task."""
    task, config = facts.task, facts.config
    if config is None or task.fire_ms is None or task.spec is None:
        return ""
    same = task.spec.revision == config.revision
    return jitter_words(config, task.fire_ms) if same else ""


def _fit(facts: TaskFacts) -> list[str]:
    """What the workers have to offer for this task."""
    needed = {} if facts.task.spec is None else facts.task.spec.required_labels
    wanted = demanded_in_words(needed)
    present = [w for w in facts.workers if not (w.gone or w.draining)]
    matching = [w for w in present if w.matches(needed)]
    able = [w for w in matching if _runs(facts, w)]
    matching = [w for w in able if not w.silent] or able
    free = [w for w in matching if not w.stalled and w.load < w.limit]
    told = [] if facts.fence else ["No pod holds the leader lock, so nothing is sent to workers."]
    if not facts.workers:
        return [*told, "No worker is registered."]
    pin = pin_of(needed)
    if pin is not None and all(one.id != pin for one in present):
        return [*told, _told_of_pin(facts, pin)]
    if not present:
        return [*told, f"All {plural(len(facts.workers), 'worker')} are gone or draining."]
    if not able and any(w.matches(needed) for w in present):
        return [*told, _nobody_runs(facts, present, wanted)]
    if not matching:
        have = f"none of the {plural(len(present), 'worker')} present has"
        return [*told, f"It needs the labels {wanted}; {have} them."]
    if not free:
        shown = ", ".join(f"{w.id} {w.load}/{w.limit}" for w in matching[:SHOWN])
        stalled = sum(w.stalled for w in matching)
        note = f" ({stalled} stalled: given work they did not claim)" if stalled else ""
        which = "that match" if wanted else "present"
        return [*told, f"The {plural(len(matching), 'worker')} {which} are full: {shown}{note}."]
    shown = ", ".join(f"{w.id} {w.load}/{w.limit}" for w in free[:SHOWN])
    return [*told, f"There is room at {shown}; higher priorities and earlier tasks go first."]


def _told_of_pin(facts: TaskFacts, pin: str) -> str:
    """Why the one worker that may run it does not."""
    known = next((one for one in facts.workers if one.id == pin), None)
    state = "not registered" if known is None else "gone" if known.gone else "draining"
    begun = facts.task.attempt > 0
    if begun and state == "draining":
        return f"It began at worker {pin}, which is draining, and waits until that takes tasks."
    what = "given up, as it had begun there" if begun else "let off, and fails nothing"
    return f"It is for worker {pin} alone, which is {state}: it is {what}."


def _need(facts: TaskFacts) -> str:
    spec = facts.task.spec
    return "" if spec is None else need_of(spec.executor, spec.payload)


def _runs(facts: TaskFacts, worker: Worker) -> bool:
    """Whether a worker can run it, as far as is known."""
    ability = facts.abilities.get(worker.ability)
    return ability is None or ability.runs(_need(facts))


def _nobody_runs(facts: TaskFacts, present: Sequence[Worker], wanted: str) -> str:
    need = need_in_words(_need(facts))
    among = f" with {wanted}" if wanted else ""
    remedy = (
        "start one with the --app module that registers it"
        if need.startswith("function")
        else "install its plugin at one"
    )
    whole = plural(len(present), "worker")
    return f"No worker{among} has {need}, of {whole} present: {remedy}. No attempt is spent."


def _queued(facts: TaskFacts) -> list[str]:
    worker = _worker(facts)
    if worker is None:
        return ["That worker is not registered: the leader takes the task back soon."]
    if worker.gone:
        return ["That worker is silent: the leader takes the task back soon."]
    if worker.draining:
        return ["That worker is draining: its queue goes to others."]
    if worker.silent:
        return [
            "That worker has missed a heartbeat: if it is dead, the leader takes the task back."
        ]
    if worker.running < worker.capacity:
        return [f"It runs {worker.running} of {worker.capacity}: it should claim it at once."]
    return [f"It runs {worker.running} of {worker.capacity} and has {worker.queued} waiting."]


def _worker(facts: TaskFacts) -> Worker | None:
    return next((w for w in facts.workers if w.id == facts.task.worker_id), None)


_MOVES = {
    "recalled": "It was taken back from a worker's queue that did not get to it.",
    "displaced": "It gave its place in a full worker's queue to a task of higher priority.",
    "crashed": "The worker that ran it fell silent.",
}


def _moved(task: Task) -> str:
    told = _MOVES.get(task.reason, f"The last word about it: {task.reason}.")
    return told + (f" {last_line(task.error)}" if task.reason == "crashed" and task.error else "")


# --- running --------------------------------------------------------------------------------------


def _running(facts: TaskFacts) -> _Told:
    task = facts.task
    for_ms = max(0, facts.now_ms - (task.start_ms or facts.now_ms))
    summary = f"Task {task.id} runs on {task.worker_id} since {span(for_ms)}."
    told = [f"This is attempt {task.attempt}."]
    if isinstance(task.progress, Mapping) and task.progress.get(WAITS) == WAITS_FOR_CALLBACK:
        summary = f"Task {task.id} waits for its target's callback since {span(for_ms)}."
        told.append(f"Its target was told on {task.worker_id}, and has not said yet how it ended.")
    if task.spec is not None:
        told.append(f"It may take {span(task.spec.timeout // timedelta(milliseconds=1))}.")
    worker = _worker(facts)
    if worker is None or worker.gone or worker.silent:
        told.append("Its worker is silent: once the lease is over it runs again elsewhere.")
    if task.cancel_requested:
        told.append("Its cancellation was asked for; the worker has not stopped it yet.")
    return summary, told


def _retrying(task: Task) -> _Told:
    crashed = task.reason == "crashed"
    limit = "" if task.spec is None else f" of {task.spec.retry.max_retries}"
    summary = f"Task {task.id} waits before attempt {task.attempt + 1}."
    if crashed:
        return summary, [f"Its worker fell silent, {plural(task.crash_count, 'time')} so far."]
    failed = last_line(task.error)
    return summary, [
        f"Attempt {task.attempt} failed" + (f": {failed}" if failed else "."),
        f"It is retry {task.retry_count}{limit}.",
    ]


# --- ended ----------------------------------------------------------------------------------------


def _ended(facts: TaskFacts) -> _Told:
    task = facts.task
    on = f" on {task.worker_id}" if task.worker_id else ""
    match task.status:
        case TaskStatus.SUCCESS:
            return f"Task {task.id} succeeded in attempt {task.attempt}{on}.", [_took(task)]
        case TaskStatus.FAILED:
            error = last_line(task.error)
            summary = f"Task {task.id} failed: {error or task.reason or 'no reason was given'}"
            return summary.rstrip(".") + ".", [_failure(task), _attempts(task)]
    summary = f"Task {task.id} was cancelled" + (f": {task.reason}." if task.reason else ".")
    return summary, [_cancellation(task), _attempts(task)]


def _took(task: Task) -> str:
    if task.start_ms is None or task.end_ms is None:
        return ""
    waited_ms = max(0, task.start_ms - task.scheduled_ms)
    return (
        f"It waited {span(waited_ms)} and its last attempt took "
        f"{span(max(0, task.end_ms - task.start_ms))}."
    )


def _failure(task: Task) -> str:
    match task.reason:
        case "poison":
            return (
                f"Its worker fell silent under it {plural(task.crash_count, 'time')}, "
                "whether it died or was cut off for long: it is not run again."
            )
        case "crashed":
            return "Its worker fell silent, and on_crash is fail."
        case "released":
            return "Its worker stopped it on leaving, and on_crash is fail."
        case "retries exhausted":
            return f"All its retries ({task.retry_count}) were used."
        case "not retryable":
            return "The failure is of a kind that is not retried."
        case "timeout":
            return "It took longer than its timeout."
    return f"The recorded reason is {task.reason!r}." if task.reason else ""


def _attempts(task: Task) -> str:
    if not task.attempt:
        return "It never started."
    on = f", the last on {task.worker_id}" if task.worker_id else ""
    return f"There were {plural(task.attempt, 'attempt')}{on}."


def _cancellation(task: Task) -> str:
    match task.reason:
        case "expired":
            limit = None if task.spec is None else task.spec.start_deadline
            of = "" if limit is None else f" of {span(limit // timedelta(milliseconds=1))}"
            return f"It was not started within its start_deadline{of}."
        case "superseded":
            return "A later fire of its config took its place (overlap: cancel_previous)."
    return "Somebody asked for it."


# --- where it came from ---------------------------------------------------------------------------


def _origin(facts: TaskFacts) -> list[str]:
    task, decision = facts.task, facts.decision
    told = []
    if decision is not None and decision.worker_why and decision.worker_id:
        told.append(f"Worker {decision.worker_id} was chosen by {decision.worker_why}.")
    run_id = run_of(task.id)
    if run_id is not None:
        told.append(f"It is a member of run {run_id}, which `dsched why {run_id}` tells about.")
    elif task.fire_ms is not None:
        late = f", {span(decision.late_ms)} late" if decision is not None else ""
        told.append(f"Config {task.config_id} fired it for {rfc3339_ms(task.fire_ms)}{late}.")
    elif task.config_id is not None:
        told.append(f"It was triggered by hand, from config {task.config_id}.")
    return told
