"""A port that is taken: one line says what, why and what to do; the pod works, and takes it
later."""

import socket
from pathlib import Path

import pytest
from pods import PodProcess, clean_environment, until

pytestmark = pytest.mark.slow

TOKEN = "admin-token-of-the-tests-0123456789"


@pytest.mark.parametrize(("section", "said"), [("API", "the API"), ("METRICS", "the metrics page")])
async def test_a_taken_port_is_one_line_and_is_taken_when_it_is_free(
    tmp_path: Path, section: str, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"DSCHED_API__PORT": "0", "DSCHED_METRICS__PORT": "0"}
        env = clean_environment(
            **ports | {f"DSCHED_{section}__PORT": str(port)},
            DSCHED_SQLITE__PATH=str(tmp_path / "dsched.db"),
            DSCHED_API__ADMIN_TOKEN=TOKEN,
            POD_NAME="pod-a",
        )
        pod = PodProcess("pod-a", ("--log-format", "json", "--log-level", "debug"), tmp_path, env)
        try:
            words = f"{said} cannot listen on 127.0.0.1 port {port}: address already in use. Set"
            await until(lambda: pod.said(words), "it says so", 40, [pod])
            await until(lambda: pod.said("leads from now on"), "the pod works", 40, [pod])
            await until(lambda: len(pod.said(words)) >= 3, "it tries again", 40, [pod])
            levels = [line["level"] for line in pod.said(words)]
            assert levels == ["error", *["debug"] * (len(levels) - 1)]
            text = pod.log_file.read_text()
            assert "Traceback" not in text
            assert "Errno" not in text
            taken.close()
            await until(lambda: pod.said(f"http://127.0.0.1:{port}/"), "it listens", 40, [pod])
        finally:
            pod.end()
