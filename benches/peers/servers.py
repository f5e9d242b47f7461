"""The systems: what they need, how their servers start and stop, what they promise."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import measure

HERE = Path(__file__).resolve().parent
START_SECONDS = 30


class Peer:
    """A system with servers on loopback, and contenders in Python."""

    packages = []
    programs = []
    modules = []
    jars = []
    count = 1
    # Whose processes the servers are; None is whoever runs this.
    user = None
    promises = {}

    def __init__(self, directory, arguments):
        self.directory = directory
        self.arguments = arguments
        self.processes = []
        self.ports = []
        self.facts = dict(self.promises)
        # Figures of what else was measured along with it, by its name.
        self.beside = {}

    @classmethod
    def missing(cls, _arguments):
        programs = [name for name in cls.programs if shutil.which(name) is None]
        modules = [name for name in cls.modules if importlib.util.find_spec(name) is None]
        return programs + modules + [jar for jar in cls.jars if not Path(jar).exists()]

    def start(self):
        self.ports = free_ports(self.count)
        for number in range(self.count):
            (self.directory / f"server-{number}").mkdir()
        for number in range(self.count):
            self.spawn(f"server-{number}", self.command(number))
        for port in self.ports:
            self.wait_until_ready(port)

    def spawn(self, name, command):
        with open(self.directory / f"{name}.log", "wb") as log:
            self.processes.append(subprocess.Popen(
                command, cwd=self.directory / name, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, user=self.user))

    def wait_until_ready(self, port):
        limit = time.monotonic() + START_SECONDS
        while not self.is_ready(port):
            if time.monotonic() > limit or any(process.poll() for process in self.processes):
                logs = [path.read_text(errors="replace")[-500:] for path in self.directory.glob("*.log")]
                raise RuntimeError("a server did not start: " + "\n".join(logs))
            time.sleep(0.1)

    def is_ready(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def contender(self):
        ports = ",".join(map(str, self.ports))
        return [sys.executable, str(HERE / "clients.py"), self.client, ports]

    def measure(self, contenders, directory):
        arguments = self.arguments
        return measure.measure(
            self.contender(), contenders, arguments.seconds, arguments.warm, directory)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Etcd(Peer):
    client = "etcd"
    packages = ["etcd-server", "python3-etcd3"]
    programs = ["etcd"]
    modules = ["etcd3"]
    count = 3
    promises = {"voters": 3, "durable": True, "safe_in_split": True}

    def start(self):
        self.members = free_ports(self.count)
        super().start()

    def command(self, number):
        cluster = [f"m{other}=http://127.0.0.1:{port}" for other, port in enumerate(self.members)]
        client = f"http://127.0.0.1:{self.ports[number]}"
        member = f"http://127.0.0.1:{self.members[number]}"
        return ["etcd", "--name", f"m{number}", "--data-dir", "data", "--logger", "zap",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", member, "--initial-advertise-peer-urls", member,
                "--initial-cluster", ",".join(cluster)]

    def is_ready(self, port):
        import etcd3
        try:
            etcd3.client(port=port, timeout=2).put("ready", "yes")
        except etcd3.exceptions.Etcd3Exception:
            return False
        return True


class ZooKeeper(Peer):
    client = "zookeeper"
    packages = ["zookeeper", "python3-kazoo"]
    programs = ["java"]
    modules = ["kazoo"]
    jars = ["/usr/share/java/zookeeper.jar"]
    count = 3
    promises = {"voters": 3, "durable": True, "safe_in_split": True}

    def start(self):
        self.members = free_ports(2 * self.count)
        super().start()

    def command(self, number):
        home = self.directory / f"server-{number}"
        settings = ["tickTime=2000", "initLimit=10", "syncLimit=5", f"dataDir={home}",
                    f"clientPort={self.ports[number]}", "clientPortAddress=127.0.0.1",
                    "admin.enableServer=false", "4lw.commands.whitelist=srvr"]
        for other in range(self.count):
            follow, elect = self.members[2 * other:2 * other + 2]
            settings.append(f"server.{other + 1}=127.0.0.1:{follow}:{elect}")
        (home / "myid").write_text(str(number + 1))
        (home / "zoo.cfg").write_text("\n".join(settings) + "\n")
        return ["java", "-Xmx256m", "-cp", self.jars[0],
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(home / "zoo.cfg")]

    def is_ready(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                connection.sendall(b"srvr")
                return b"Mode: " in connection.makefile("rb").read()
        except OSError:
            return False


class Redis(Peer):
    client = "redis"
    packages = ["redis-server", "python3-redis"]
    programs = ["redis-server"]
    modules = ["redis"]
    append = ["--appendonly", "no"]
    promises = {"voters": 1, "durable": False, "safe_in_split": False}

    def command(self, number):
        return ["redis-server", "--port", str(self.ports[number]), "--bind", "127.0.0.1",
                "--save", "", *self.append]


class RedisEager(Redis):
    client = "redis-eager"


class RedisDurable(RedisEager):
    append = ["--appendonly", "yes", "--appendfsync", "always"]
    promises = {"voters": 1, "durable": True, "safe_in_split": False}


class Redlock(Redis):
    client = "redlock"
    count = 5
    promises = {"voters": 5, "durable": False, "safe_in_split": False}


class JGroups(Peer):
    """As the package sets it up. No servers: the contenders are the members."""

    packages = ["libjgroups-java", "default-jdk-headless"]
    programs = ["java", "javac"]
    jars = ["/usr/share/java/jgroups.jar"]
    count = 0
    promises = {"voters": 0, "durable": False, "safe_in_split": False}

    def start(self):
        self.ports = free_ports(1)
        subprocess.run(["javac", "-cp", self.jars[0], "-d", str(self.directory),
                        str(HERE / "Contender.java")], check=True, stdout=sys.stderr)

    def contender(self):
        # Each measurement is a group of its own.
        self.ports = free_ports(1)
        return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true",
                "-Djgroups.bind_addr=127.0.0.1", f"-Djgroups.udp.mcast_port={self.ports[0]}",
                "-cp", f"{self.directory}:{self.jars[0]}", "Contender"]


class Roda(Peer):
    """Measures itself, in the same way."""

    promises = {"voters": 3, "durable": True, "safe_in_split": True}

    @classmethod
    def missing(cls, arguments):
        return [] if Path(arguments.roda).exists() else [arguments.roda]

    def start(self):
        pass

    def measure(self, contenders, directory):
        seconds = self.arguments.seconds
        command = [self.arguments.roda, "bench", "lock", "--json", "--runs", "1",
                   "--contenders", str(contenders), "--seconds", str(round(seconds))]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True,
                              timeout=seconds + 120)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return json.loads(done.stdout.splitlines()[-1])


def free_ports(count):
    """Ports that nothing uses now, for TCP on loopback."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


PEERS = {
    "etcd": Etcd,
    "zookeeper": ZooKeeper,
    "redis": Redis,
    "redis-eager": RedisEager,
    "redis-durable": RedisDurable,
    "redlock": Redlock,
    "jgroups": JGroups,
    "roda": Roda,
}
