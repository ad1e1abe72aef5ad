"""The commands that change something, as processes against a real pod."""

import json
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow


def test_a_trigger_waits_for_success(pod: "Served"):
    pod.put("triggered")
    done = pod.ok("trigger", "triggered", "--wait", "--exit-status", "-o", "json")
    assert done.data["status"] == "success"
    result = pod.ok("task", "result", done.data["id"], "-o", "json").data
    assert result["data"] == {"hello": "you"}


def test_a_trigger_of_a_run_that_fails_exits_with_1_and_says_why(pod: "Served"):
    pod.put("failing", payload={"function": "boom"}, retry={"max_retries": 0})
    done = pod.run("trigger", "failing", "--exit-status")
    assert done.code == 1
    assert "ended failed" in done.err
    assert "ValueError: evil red" in done.err


def test_no_terminal_escape_of_a_result_reaches_the_terminal(pod: "Served", eventually: Any):
    pod.put("escaping", payload={"function": "boom"}, retry={"max_retries": 0})
    task = pod.run("trigger", "escaping", "--wait", "-o", "json").data
    assert "\x1b[31m" in task["error"]
    eventually(lambda: pod.ok("task", "list", "--of", "escaping", "-o", "json").data)
    for form in ("table", "wide", "json", "jsonl", "yaml", "csv", "name"):
        for args in (("task", "get", task["id"], "--full"), ("task", "list", "--of", "escaping")):
            out = pod.ok(*args, "-o", form).out
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out), (form, args)


def test_the_same_key_triggers_one_run(pod: "Served"):
    pod.put("keyed")
    ids = {pod.ok("trigger", "keyed", "--key", "k1", "-o", "json").data["id"] for _ in range(2)}
    assert len(ids) == 1


def test_a_wait_that_is_over_exits_with_124_and_leaves_the_run_alone(pod: "Served"):
    pod.put("hanging", payload={"function": "hang"})
    task_id = pod.ok("trigger", "hanging", "-o", "json").data["id"]
    done = pod.run("task", "wait", task_id, "--timeout", "200ms")
    assert done.code == 124
    assert "the task goes on" in done.err
    cancelled = pod.ok("task", "cancel", task_id, "--reason", "test", "-o", "json")
    assert cancelled.data["id"] == task_id
    ended = pod.run("task", "wait", task_id, "--exit-status", "--timeout", "40s", "-o", "json")
    assert (ended.code, ended.data["status"]) == (1, "cancelled")


def test_a_run_that_has_ended_cannot_be_cancelled(pod: "Served"):
    pod.put("too-late")
    task_id = pod.ok("trigger", "too-late", "--wait", "-o", "json").data["id"]
    done = pod.run("task", "cancel", task_id, "--reason", "test")
    assert done.code == 5


def test_an_ended_task_is_run_once_more(pod: "Served"):
    pod.put("again")
    first = pod.ok("trigger", "again", "--wait", "-o", "json").data
    second = pod.ok("task", "retry", first["id"], "--wait", "-o", "json").data
    assert second["id"] != first["id"]
    assert second["status"] == "success"


def test_a_task_is_submitted_and_the_same_id_again_changes_nothing(pod: "Served"):
    payload = json.dumps({"function": "hello", "args": {"name": "Ada"}})
    args = ("task", "submit", "--executor", "local", "--payload", payload, "--id", "mine")
    done = pod.ok(*args, "--wait", "--exit-status", "-o", "json")
    assert done.data["status"] == "success"
    assert pod.ok(*args, "-o", "name").out == "mine\n"
    other = pod.run(*args[:4], "--payload", "{}", "--id", "mine")
    assert other.code in (2, 5)


def test_a_payload_comes_from_stdin(pod: "Served"):
    done = pod.ok(
        *("task", "submit", "--executor", "local", "--payload", "-", "--wait", "-o", "json"),
        given='{"function": "hello"}',
    )
    assert done.data["status"] == "success"


def test_a_batch_that_is_refused_in_part_exits_with_8(pod: "Served"):
    lines = [
        {"id": "batch-good", "executor": "local", "payload": {"function": "hello"}},
        {"id": "bad id", "executor": "local", "payload": {"function": "hello"}},
    ]
    path = pod.folder / "batch.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    done = pod.run("task", "submit", "--batch", str(path), "-o", "json")
    assert done.code == 8
    assert [one["outcome"] == "OK" for one in done.data] == [True, False]


def test_pause_and_resume_show_who_and_why(pod: "Served"):
    pod.put("paused")
    missing = pod.run("config", "pause", "paused")
    assert (missing.code, "--reason" in missing.err) == (2, True)
    paused = pod.ok("config", "pause", "paused", "--reason", "move house", "-o", "json").data
    assert paused["paused"]["why"] == "move house"
    assert "paused" in pod.ok("config", "get", "paused").out
    assert pod.ok("config", "resume", "paused", "-o", "json").data["paused"] is None


def test_a_pause_may_end_by_itself(pod: "Served"):
    pod.put("paused")
    end = ["config", "pause", "paused", "--reason", "move house", "--until"]
    assert pod.ok(*end, "2h", "-o", "json").data["paused"]["until"] is not None
    shown = pod.ok(*end, "2999-01-31T09:00:00Z", "-o", "wide").out
    assert "paused until: 2999-01-31" in re.sub(" +", " ", shown)
    assert "until 2999-01-31 09:00:00" in pod.ok("next", "paused", "--tz", "UTC").err
    past = pod.run(*end, "2001-01-31")
    assert past.code != 0
    assert "name an instant that lies ahead" in past.err
    pod.ok("config", "resume", "paused")


def test_a_deletion_off_a_terminal_needs_yes_and_names_what_it_deletes(pod: "Served"):
    pod.put("doomed")
    done = pod.run("config", "delete", "doomed")
    assert done.code == 2
    assert "Delete config doomed?" in done.err
    dry = pod.ok("config", "delete", "doomed", "--dry-run")
    assert "would delete doomed" in dry.err
    pod.ok("config", "get", "doomed")
    pod.ok("config", "delete", "doomed", "--yes", "--reason", "test")
    assert pod.run("config", "get", "doomed").code == 3


def test_a_prefix_is_no_way_to_delete_two(pod: "Served"):
    pod.put("twin-1")
    pod.put("twin-2")
    assert pod.run("config", "delete", "twin-", "--yes").code == 3
    pod.ok("config", "get", "twin-1")


def test_a_token_is_saved_to_a_file_only_its_owner_reads_and_then_opens(pod: "Served"):
    path = pod.folder / "ci.token"
    made = pod.ok("token", "create", "ci", "--scope", "read", "--save", str(path), "-o", "json")
    assert "token" not in made.data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    opened = pod.run("config", "list", "--token", f"@{path}", "-o", "json")
    assert opened.code == 0
    refused = pod.run("config", "pause", "x", "--reason", "r", "--token", f"@{path}")
    assert refused.code == 4
    again = pod.run("token", "create", "ci", "--save", str(path))
    assert (again.code, "does not exist yet" in again.err) == (2, True)
    pod.ok("token", "revoke", made.data["id"], "--yes")
    assert made.data["id"] not in pod.ok("token", "list", "-o", "name").out.split()


def test_the_audit_tells_who_paused_what_and_why(pod: "Served"):
    pod.put("audited")
    pod.ok("config", "pause", "audited", "--reason", "for the audit")
    entries = pod.ok("audit", "list", "-o", "json").data
    (entry,) = [
        one for one in entries if (one["action"], one["object"]) == ("config.pause", "audited")
    ]
    assert entry["reason"] == "for the audit"


def test_draining_needs_a_reason_and_a_worker(pod: "Served"):
    assert pod.run("worker", "drain", "nobody").code == 2
    assert pod.run("worker", "drain", "nobody", "--reason", "r").code == 3


def test_a_drain_gives_back_what_runs_if_it_is_asked_to(pod: "Served", until: Any):
    spec = {"executor": "local", "payload": {"function": "hang"}, "id": "given-back"}
    pod.call("POST", "/tasks", spec)

    def is_(status: str) -> bool:
        return bool(pod.call("GET", "/tasks/given-back")["status"] == status)

    until(lambda: is_("running"))
    worker = pod.call("GET", "/tasks/given-back")["worker_id"]
    try:
        pod.ok("worker", "drain", worker, "--give-back", "--reason", "r")
        until(lambda: is_("pending"))
    finally:
        pod.ok("worker", "resume", worker)
        pod.ok("task", "cancel", "given-back", "--reason", "r")


def test_why_explains_the_last_run(pod: "Served"):
    pod.needs("/tasks/{id}/why")
    pod.put("explained")
    task = pod.ok("trigger", "explained", "--wait", "-o", "json").data
    explanation = pod.ok("why", task["id"], "-o", "json").data
    assert explanation["summary"]
    assert explanation["summary"] in pod.ok("why", task["id"]).out


def test_why_of_nothing_is_not_found(pod: "Served"):
    assert pod.run("why", "no-such-config").code == 3


def test_stats_sum_up_the_runs_of_a_config(pod: "Served", eventually: Any):
    pod.needs("/stats")
    pod.put("counted")
    pod.ok("trigger", "counted", "--wait")

    def counted() -> bool:
        total = pod.ok("stats", "counted", "--total", "-o", "json").data
        return bool(total["success"] == 1)

    eventually(counted)
    pod.put("idle")
    assert pod.ok("stats", "idle", "-o", "json").data == []
    unknown = pod.run("stats", "conted")
    assert (unknown.code, unknown.out) == (3, "")


def test_stats_sum_up_the_runs_of_each_worker(pod: "Served", eventually: Any):
    pod.needs("/stats")
    pod.put("counted-by-worker")
    (worker,) = pod.ok("worker", "list", "-o", "json").data

    def done() -> int:
        (of_worker,) = pod.ok("stats", "--workers", "-o", "json").data
        assert of_worker["worker_id"] == worker["id"]
        assert of_worker["config_id"] is None
        assert of_worker["runs"] >= of_worker["success"]
        return int(of_worker["success"])

    before = done()
    pod.ok("trigger", "counted-by-worker", "--wait")
    eventually(lambda: done() == before + 1)
    total = pod.ok("stats", "--worker", worker["id"], "--total", "-o", "json").data
    assert (total["success"], total["success_rate"] > 0) == (before + 1, True)
    ends = total["success"] + total["failed"] + total["cancelled"]
    assert total["run_ms"]["count"] == ends + total["retries"], "each attempt ran, the first too"
    shown = pod.ok("stats", "--workers").out
    assert worker["id"] in shown
    assert "RUN P95" in shown
    both = pod.run("stats", "counted-by-worker", "--worker", worker["id"])
    assert (both.code, both.out) == (2, "")


def test_logs_show_what_a_run_printed(pod: "Served", eventually: Any):
    pod.needs("/tasks/{id}/logs")
    pod.put("talking", payload={"function": "hello", "args": {"name": "Grace"}})
    task_id = pod.ok("trigger", "talking", "--wait", "-o", "json").data["id"]
    eventually(lambda: "hello Grace" in pod.ok("logs", task_id).out)
    assert "hello Grace" in pod.ok("logs", task_id, "--follow").out


def test_an_instant_is_skipped_before_it_is_due(pod: "Served"):
    pod.needs("/skip")
    pod.put("skipped", cron_expr="0 5 * * *", every=None)
    due = pod.call("GET", "/configs/skipped")["due"]
    done = pod.ok("config", "skip", "skipped", "--at", due, "--reason", "test", "-o", "json")
    assert done.data == {"skipped": 1, "first": due, "last": due}
    again = pod.run("config", "skip", "skipped", "--from", due, "--reason", "half a span")
    assert again.code == 2


def test_it_must_be_clear_what_to_skip(pod: "Served"):
    done = pod.run("config", "skip", "any", "--reason", "r")
    assert (done.code, "--from and --to" in done.err) == (2, True)


def test_a_backfill_shows_its_instants_before_it_runs_them(pod: "Served"):
    pod.needs("/backfill")
    pod.put("filled", cron_expr="0 * * * *", every=None, overlap="allow")
    span = ("--from", "2026-01-01T00:30:00Z", "--to", "2026-01-01T02:30:00Z", "--reason", "test")
    plan = pod.ok("config", "backfill", "filled", *span, "--dry-run", "-o", "json").data
    assert plan["count"] == 2
    only = ("--from", "2026-01-01T00:30:00Z", "--to", "2026-01-01T01:30:00Z", "--reason", "test")
    one = pod.ok("config", "backfill", "filled", *only, "--dry-run")
    assert "1 instant to run: 2026-01-01T01:00:00.000Z\n" in one.err
    assert pod.run("config", "backfill", "filled", *span).code == 2
    done = pod.ok("config", "backfill", "filled", *span, "--yes", "-o", "json").data
    assert len(done["tasks"]) == 2
    again = pod.ok("config", "backfill", "filled", *span, "--yes", "-o", "json").data
    assert (again["tasks"], len(again["known"])) == ([], 2)


def test_a_backfill_of_runs_that_may_not_overlap_stops_or_waits(pod: "Served"):
    pod.needs("/backfill")
    pod.put("careful", cron_expr="0 * * * *", every=None, payload={"function": "hang"})
    span = ("--from", "2026-01-01T00:30:00Z", "--to", "2026-01-01T03:30:00Z", "--reason", "test")
    args = ("config", "backfill", "careful", *span, "--yes", "-o", "json")
    one = pod.run(*args)
    assert one.code == 8
    assert "use --wait" in one.err
    (first,) = one.data["tasks"]
    waited = pod.run(*args, "--wait", "--timeout", "200ms")
    assert (waited.code, first in waited.err) == (124, True)
    pod.ok("task", "cancel", first, "--reason", "test")


def test_terms_and_pods_are_listed(pod: "Served", eventually: Any):
    pod.needs("/cluster/terms")
    eventually(lambda: pod.ok("cluster", "terms", "-o", "json").data)
    assert pod.ok("cluster", "pods", "-o", "json").data


def test_the_format_of_the_store_is_told_and_the_newest_needs_no_migration(pod: "Served"):
    pod.needs("/store")
    found = pod.ok("store", "get", "-o", "json").data
    assert found["format"] == found["newest"]
    for args in (("--dry-run",), ("--yes", "--reason", "test")):
        assert "the newest: nothing to do" in pod.ok("store", "migrate", *args).err


def test_a_result_is_seen_with_the_task_that_answered(pod: "Served"):
    pod.put("answers")
    done = pod.ok("trigger", "answers", "--wait")
    assert "hello=you" in done.out
    task_id = pod.ok("trigger", "answers", "--wait", "-o", "json").data["id"]
    shown = pod.ok("task", "get", task_id)
    assert "hello=you" in shown.out
    assert "spec" not in pod.ok("task", "get", task_id, "-o", "json").data
    assert (
        pod.ok("task", "get", task_id, "--full", "-o", "json").data["spec"]["executor"] == "local"
    )
    assert "hello=you" in pod.ok("task", "wait", task_id).out


def test_a_run_by_hand_that_lives_is_listed_and_found_by_a_short_id(pod: "Served"):
    pod.put("alive", payload={"function": "hang"}, every=None, cron_expr="0 5 1 1 *")
    task_id = pod.ok("trigger", "alive", "--key", "by-hand", "-o", "json").data["id"]
    ended = pod.ok("trigger", "alive", "--key", "over", "-o", "json").data["id"]
    pod.ok("task", "cancel", ended, "--reason", "test")
    pod.run("task", "wait", ended, "--timeout", "40s")
    listed = pod.ok("task", "list", "--of", "alive", "-o", "json").data
    assert [one["id"] for one in listed] == [task_id, ended]
    assert pod.ok("task", "get", "alive@manual-by", "-o", "json").data["id"] == task_id
    assert pod.ok("task", "get", task_id[:8] + task_id[8:-2], "-o", "json").data["id"] == task_id
    pod.ok("task", "cancel", task_id, "--reason", "test")


def test_to_delete_and_cancel_asks_why_and_the_task_is_told(pod: "Served"):
    pod.put("doomed-too", payload={"function": "hang"}, every="1s", cron_expr=None)
    refused = pod.run("config", "delete", "doomed-too", "--cancel", "--yes")
    assert (refused.code, "--cancel needs a reason" in refused.err) == (2, True)
    pod.ok("config", "delete", "doomed-too", "--cancel", "--yes", "--reason", "moved")


def test_a_task_is_submitted_for_an_instant(pod: "Served"):
    payload = '{"function": "hello", "args": ["you"]}'
    args = ("task", "submit", "--executor", "local", "--payload", payload, "-o", "json")
    found = pod.ok(*args, "--id", "at-new-year", "--at", "2999-01-01T00:00:00Z").data
    assert found["scheduled_time"].startswith("2999-01-01T00:00:00")
    wrong = pod.run(*args, "--at", "2999-01-01T00:00:00Z", "--delay", "1h")
    assert wrong.code != 0
    assert "keep one of them" in wrong.err


def test_a_task_that_was_tried_again_is_shown_with_its_attempts(pod: "Served"):
    pod.put("tried", payload={"function": "boom"}, retry={"max_retries": 1, "retry_delay": "10ms"})
    task = pod.run("trigger", "tried", "--wait", "-o", "json").data
    out = pod.ok("task", "get", task["id"]).out
    shown = out.partition("\n\n")[2].splitlines()
    assert shown[0].split() == ["ATTEMPT", "HOW", "WORKER", "START", "TOOK", "CODE", "ERROR"]
    assert [line.split()[:2] for line in shown[1:]] == [["1", "failed"], ["2", "failed"]]
    assert all("ValueError: evil" in line for line in shown[1:])
    found = pod.ok("task", "get", task["id"], "-o", "json").data["attempts"]
    assert [one["number"] for one in found] == [1, 2]


def test_a_list_without_a_filter_shows_the_latest_ended_ones_too(pod: "Served", eventually: Any):
    pod.put("listed")
    ids = [pod.ok("trigger", "listed", "--wait", "-o", "json").data["id"] for _ in range(2)]

    def both() -> bool:
        found = [one["id"] for one in pod.ok("task", "list", "-o", "json").data]
        return [one for one in found if one in ids] == ids[::-1]

    eventually(both)
    assert pod.ok("task", "list", "--home", "lease", "-o", "json").data == []
