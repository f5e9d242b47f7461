"""The systems that queue jobs: how each is made as durable as it can be, and what that comes to.

Their clients are in C, in `jobs/`: an interpreter would be slower than some of the servers.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import measure
from servers import HERE, Peer, Redis, Roda, free_ports

# As in `roda bench jobs`.
PRODUCERS = 64
BATCH = 256
# A server that is slow to store so many is measured with what it stored until then.
FILL_SECONDS = 30
# Draining takes longer than pushing where nothing is gathered.
WORK_FACTOR = 10


class QueuePeer(Peer):
    """A system with a server on loopback, and a client compiled for it."""

    source = ""
    libraries = []
    headers = []
    kind = "-"
    # Whether a push is acknowledged only when it survives power loss, and in words what else is.
    durable = True
    durability = ""

    def __init__(self, directory, arguments):
        super().__init__(directory, arguments)
        self.facts = {"durable": self.durable, "durability": self.durability}

    @classmethod
    def missing(cls, arguments):
        headers = [header for header in cls.headers if not Path("/usr/include", header).exists()]
        compiler = [] if shutil.which("cc") else ["cc"]
        return super().missing(arguments) + headers + compiler

    def start(self):
        folders = {f"-I/usr/include/{Path(header).parent}" for header in self.headers}
        sources = [HERE / "jobs" / "client.c", HERE / "jobs" / f"{self.source}.c"]
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", self.directory / "client",
                        *sources, *folders, *self.libraries, "-lpthread"], check=True)
        super().start()

    def measure(self, producers, directory):
        seconds, jobs = self.arguments.seconds, self.arguments.jobs
        self.push("warm", producers, self.arguments.warm, jobs)
        # The disk may be ten times slower a minute later, so it is asked close by.
        syncs = [measure.disk_syncs_per_s(directory)]
        one = self.push("one", 1, seconds)
        syncs.append(measure.disk_syncs_per_s(directory))
        many = self.push("many", producers, seconds)
        filled = self.push("work", producers, FILL_SECONDS, jobs)
        worked = self.work("work", BATCH, seconds * WORK_FACTOR, filled)
        # What the many have pushed is there for it.
        single = self.work("many", 1, seconds, many)
        return {
            "fdatasync_per_s": round(statistics.mean(syncs), 1),
            "push_per_s": one.per_s(),
            "push_many_per_s": many.per_s(),
            "work_per_s": worked.per_s(),
            "work_single_per_s": single.per_s(),
            "jobs": worked.count,
            "client_cores": max(many.cores(), worked.cores()),
        }

    def push(self, name, producers, seconds, jobs=10**9):
        return self.client("push", name, producers, seconds, jobs)

    def work(self, name, batch, seconds, pushed):
        worked = self.client("work", name, batch, seconds)
        has_ended_early = worked.seconds < seconds and worked.count != pushed.count
        if worked.count > pushed.count or has_ended_early:
            raise RuntimeError(f"of {pushed.count} jobs {worked.count} were finished")
        return worked

    def client(self, *order):
        words = [self.ports[0], self.kind, *order]
        done = subprocess.run([self.directory / "client", *map(str, words)], capture_output=True,
                              text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"the client said: {done.stderr[-2000:]}")
        count, seconds, cpu_seconds = map(float, done.stdout.split())
        return Outcome(int(count), seconds, cpu_seconds)


class Outcome:
    """What one call of a client came to."""

    def __init__(self, count, seconds, cpu_seconds):
        self.count = count
        self.seconds = seconds
        self.cpu_seconds = cpu_seconds

    def per_s(self):
        return round(self.count / self.seconds, 1) if self.count else 0.0

    def cores(self):
        """How many the client kept busy."""
        return round(self.cpu_seconds / self.seconds, 2) if self.count else 0.0


class JetStream(QueuePeer):
    """As it comes: a push is acknowledged when the kernel has it."""

    source = "nats"
    packages = ["nats-server", "libnats-dev", "gcc", "libc6-dev"]
    programs = ["nats-server"]
    headers = ["nats/nats.h"]
    libraries = ["-lnats"]
    durable = False
    durability = "push, finish: every 2 min"
    settings = ""

    def command(self, number):
        home = self.directory / f"server-{number}"
        store = home / "store"
        store.mkdir()
        self.prepare(store)
        (home / "nats.conf").write_text(
            f"host: 127.0.0.1\nport: {self.ports[number]}\n"
            f"jetstream {{\n store_dir: {store}\n max_file_store: 10G\n{self.settings}}}\n")
        return ["nats-server", "-c", str(home / "nats.conf")]

    def prepare(self, _store):
        pass


class JetStreamDurable(JetStream):
    """Waits for the disk at every push: by a setting since 2.10, before that by files that are written at once."""

    durable = True
    durability = "push: each message; finish: later"

    def prepare(self, store):
        said = subprocess.run(["nats-server", "--version"], capture_output=True, text=True, check=True)
        version = tuple(map(int, re.findall(r"\d+", said.stdout)[:2]))
        if version >= (2, 10):
            self.settings = " sync_interval: always\n"
            self.facts["durability"] += " (sync_interval: always)"
            return
        # New files inherit it: every write of them is on the disk when it returns.
        set_attribute = subprocess.run(["chattr", "+S", store], capture_output=True, text=True)
        if set_attribute.returncode:
            raise RuntimeError("this version cannot sync each message, and neither can the file "
                               f"system make it: {set_attribute.stderr.strip()}")
        self.facts["durability"] += " (chattr +S)"


class RedisStreams(QueuePeer, Redis):
    source = "redis"
    packages = ["redis-server", "libhiredis-dev", "gcc", "libc6-dev"]
    modules = []
    headers = ["hiredis/hiredis.h"]
    libraries = ["-lhiredis"]
    append = ["--appendonly", "yes", "--appendfsync", "always"]
    durability = "push, claim, finish: group commit"


class RabbitMq(QueuePeer):
    """A quorum queue, of one member: the kind that syncs what it logs, acknowledgements too."""

    source = "rabbitmq"
    kind = "quorum"
    packages = ["rabbitmq-server", "librabbitmq-dev", "gcc", "libc6-dev"]
    programs = ["erl", "epmd"]
    jars = ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
    headers = ["amqp.h"]
    libraries = ["-lrabbitmq"]
    durability = "push, finish: group commit"

    def start(self):
        # Erlang's register of names would go on when the server ends. This one is ended too.
        (self.directory / "names").mkdir()
        self.names, self.distribution = free_ports(2)
        self.spawn("names", ["epmd", "-address", "127.0.0.1", "-port", str(self.names)])
        super().start()

    def command(self, number):
        home = self.directory / f"server-{number}"
        (home / "plugins").write_text("[].\n")
        ours = {
            "HOME": home,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": self.names,
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": home / "none",
            "RABBITMQ_DIST_PORT": self.distribution,
            "RABBITMQ_ENABLED_PLUGINS_FILE": home / "plugins",
            "RABBITMQ_LOG_BASE": home,
            "RABBITMQ_MNESIA_BASE": home,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.ports[number],
            "RABBITMQ_NODENAME": f"peer{os.getpid()}@localhost",
            "RABBITMQ_PID_FILE": home / "pid",
            # The script becomes the server instead of starting it: signals get there.
            "RUNNING_UNDER_SYSTEMD": "yes",
        }
        return ["env", *(f"{name}={value}" for name, value in ours.items()), self.jars[0]]


class RabbitMqClassic(RabbitMq):
    kind = "classic"
    durability = "push: group commit; finish: later"


class Postgres(QueuePeer):
    """FOR UPDATE SKIP LOCKED; claim and finish are one transaction, so a claim costs no sync."""

    source = "postgres"
    packages = ["postgresql", "libpq-dev", "gcc", "libc6-dev"]
    headers = ["postgresql/libpq-fe.h"]
    libraries = ["-lpq"]
    durability = "push, finish: group commit"

    @classmethod
    def programs_directory(cls):
        versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
        found = sorted(versions, key=lambda path: float(path.parts[-3]))
        return found[-1].parent if found else None

    @classmethod
    def missing(cls, arguments):
        return super().missing(arguments) + ([] if cls.programs_directory() else ["initdb"])

    def command(self, number):
        programs, home = self.programs_directory(), self.directory / f"server-{number}"
        if os.geteuid() == 0:
            # It refuses to run as root. The user comes with the package.
            self.user = "postgres"
            shutil.chown(home, "postgres")
            for parent in (self.directory, self.directory.parent):
                parent.chmod(0o711)
        subprocess.run([programs / "initdb", "--pgdata", home / "data", "--username", "postgres",
                        "--auth", "trust"], user=self.user, cwd=home, check=True,
                       stdout=subprocess.DEVNULL)
        settings = ["fsync=on", "synchronous_commit=on", "listen_addresses=127.0.0.1",
                    "unix_socket_directories=", f"max_connections={PRODUCERS + 10}"]
        return [str(programs / "postgres"), "-D", str(home / "data"), "-p", str(self.ports[number]),
                *(word for setting in settings for word in ("-c", setting))]


class RodaJobs(Roda):
    """Measures itself in the same way, and SQLite as its yardstick."""

    def __init__(self, directory, arguments):
        super().__init__(directory, arguments)
        self.facts = {"durable": True, "durability": "push, claim, finish: group commit"}

    def measure(self, _producers, directory):
        seconds = round(self.arguments.seconds)
        command = [self.arguments.roda, "bench", "jobs", "--json", "--runs", "1",
                   "--seconds", str(seconds), "--jobs", str(self.arguments.jobs)]
        # Its data is where the others have theirs.
        done = subprocess.run(command, cwd=directory, env=os.environ | {"TMPDIR": str(directory)},
                              capture_output=True, text=True, timeout=seconds * 4 + 300)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        figures = json.loads(done.stdout.splitlines()[-1])
        self.beside["sqlite"] = {
            "durable": True,
            "durability": "push: group commit",
            "fdatasync_per_s": figures["fdatasync_per_s"],
            "push_per_s": figures.pop("sqlite_push_per_s", None),
            "push_many_per_s": figures.pop("sqlite_push_many_per_s", None),
        }
        return figures | {"jobs": self.arguments.jobs}


PEERS = {
    "roda": RodaJobs,
    "jetstream": JetStream,
    "jetstream-durable": JetStreamDurable,
    "redis-streams": RedisStreams,
    "rabbitmq-quorum": RabbitMq,
    "rabbitmq-classic": RabbitMqClassic,
    "postgres": Postgres,
}
