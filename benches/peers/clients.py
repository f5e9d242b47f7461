#!/usr/bin/python3
"""One contender: `clients.py SYSTEM PORTS NUMBER NOTES COUNTER`. Each uses its system's ordinary client."""

import os
import random
import sys
import time
import uuid

sys.dont_write_bytecode = True
import measure

NAME = "bench"
# Far longer than a measurement: what is compared is speed, not expiry.
EXPIRY_SECONDS = 120


class Etcd:
    """The lock service of etcd itself (the RPC behind the recipes of its clients), over its gRPC channel.

    The lock class of python3-etcd3 polls instead of queueing and is much slower.
    """

    def __init__(self, ports, number):
        import etcd3

        client = etcd3.client(port=ports[number % len(ports)])
        lease = client.lease(EXPIRY_SECONDS).id
        # message LockRequest { bytes name = 1; int64 lease = 2; }
        self.request = field(1, NAME.encode()) + b"\x10" + varint(lease)
        same = {"request_serializer": bytes, "response_deserializer": bytes}
        self.lock = client.channel.unary_unary("/v3lockpb.Lock/Lock", **same)
        self.unlock = client.channel.unary_unary("/v3lockpb.Lock/Unlock", **same)
        self.key = b""

    def acquire(self):
        self.key = second_field(self.lock(self.request))

    def release(self):
        # message UnlockRequest { bytes key = 1; }
        self.unlock(field(1, self.key))


def varint(number):
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number, value):
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def second_field(message):
    """`key` of message LockResponse { Header header = 1; bytes key = 2; }; both are short."""
    header = message[1]
    return message[2 + header + 2:]


class ZooKeeper:
    """The lock recipe of kazoo."""

    def __init__(self, ports, number):
        from kazoo.client import KazooClient

        turned = ports[number % len(ports):] + ports[:number % len(ports)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in turned)
        client = KazooClient(hosts=hosts, randomize_hosts=False)
        client.start(30)
        lock = client.Lock("/" + NAME, str(number))
        self.acquire = lock.acquire
        self.release = lock.release


class Redis:
    """The lock of redis-py as it comes: SET NX PX, a script that deletes only its own, and polling."""

    # Its default.
    POLL_SECONDS = 0.1

    def __init__(self, ports, number):
        import redis

        client = redis.Redis(port=ports[0])
        lock = client.lock(NAME, timeout=EXPIRY_SECONDS, sleep=self.POLL_SECONDS)
        self.acquire = lock.acquire
        self.release = lock.release


class EagerRedis(Redis):
    """The same, but polling as often as gave the most hand-offs here."""

    POLL_SECONDS = 0.001


class Redlock:
    """Redlock as its description has it, all servers asked at the same time; Debian packages no client."""

    # Random, so that no two split the servers again and again; as often as gave the most hand-offs here.
    POLL_SECONDS = (0.0005, 0.003)
    RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

    def __init__(self, ports, number):
        import redis

        pools = [redis.Redis(port=port).connection_pool for port in ports]
        self.connections = [pool.get_connection("_") for pool in pools]
        self.value = ""

    def ask(self, *command):
        for connection in self.connections:
            connection.send_command(*command)
        return [connection.read_response() for connection in self.connections]

    def acquire(self):
        while True:
            self.value = uuid.uuid4().hex
            expiry = EXPIRY_SECONDS * 1000
            answers = self.ask("SET", NAME, self.value, "NX", "PX", expiry)
            if sum(answer is not None for answer in answers) * 2 > len(answers):
                return
            self.release()
            time.sleep(random.uniform(*self.POLL_SECONDS))

    def release(self):
        self.ask("EVAL", self.RELEASE, 1, NAME, self.value)


CLIENTS = {"etcd": Etcd, "zookeeper": ZooKeeper, "redis": Redis, "redis-eager": EagerRedis,
           "redlock": Redlock}

if __name__ == "__main__":
    _, system, ports, number, notes, counter = sys.argv
    client = CLIENTS[system]([int(port) for port in ports.split(",")], int(number))
    measure.take_part(client, notes, counter)
    # Threads of some clients would keep the process.
    os._exit(0)
