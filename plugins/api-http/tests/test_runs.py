"""Runs of many tasks over HTTP: put, triggered, and read with their members."""

from typing import Any

ETL = {
    "every": "1h",
    "steps": {
        "load": {"executor": "echo", "payload": {"rows": 3}},
        "parts": {
            "needs": ["load"],
            "executor": "echo",
            "payload": {"of": "${needs.load.data.rows}"},
            "shards": 2,
        },
    },
}


async def test_a_run_and_its_members_are_found_by_their_ids(cluster: Any) -> None:
    assert (await cluster.ask("PUT", "/configs/etl", ETL)).status == 201
    made = await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})
    run_id = made.body["id"]
    ended = await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    for name, data in (("load", {"rows": 3}), ("parts~0", {"of": 3}), ("parts~1", {"of": 3})):
        member = await cluster.ask("GET", f"/tasks/{run_id}~{name}")
        assert (member.status, member.body["status"]) == (200, "success")
        assert (await cluster.ask("GET", f"/tasks/{run_id}~{name}/result")).body["data"] == data
    for name in ("", "~", "Load", "load~x", "load~1~2", "parts~2"):
        assert (await cluster.ask("GET", f"/tasks/{run_id}~{name}")).status == 404
