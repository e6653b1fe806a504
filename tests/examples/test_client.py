#!/usr/bin/python3
"""examples/client.py against a real broker: a small conformance run.

    test_client.py BROKERD CLIENT VECTORS

Ends with 77 where pyzmq or msgpack is missing (Debian's python3-zmq and python3-msgpack).
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

try:
    import msgpack
    import zmq  # noqa: F401
except ImportError as missing:
    print("not run: %s; Debian has it in python3-zmq and python3-msgpack" % missing)
    sys.exit(77)

BROKERD, CLIENT, VECTORS = sys.argv[1:4]
client = importlib.util.module_from_spec(importlib.util.spec_from_file_location("client", CLIENT))
client.__spec__.loader.exec_module(client)
FOREVER = 30 * client.SECOND


def values():
    with open(os.path.join(VECTORS, "values.json"), encoding="utf-8") as file:
        for row in json.load(file):
            if " " not in row["hex"]:
                yield row["name"], bytes.fromhex(row["hex"])


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="broker-client-")
        config = os.path.join(cls.folder, "conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[arena default]\nsize = 16M\npersist = no\n[zmq]\nipc = yes\n")
        cls.daemon = subprocess.Popen([BROKERD, "--instance", "test-client-%d" % os.getpid(), "--config", config,
                                       "--runtime-dir", cls.folder])
        cls.address = "ipc://%s/zmq" % cls.folder

    @classmethod
    def tearDownClass(cls):
        cls.daemon.send_signal(signal.SIGTERM)
        cls.daemon.wait()
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.broker = client.Broker(self.address)
        self.addCleanup(self.broker.close)

    def fails(self, status, *request):
        with self.assertRaises(client.Failed) as caught:
            self.broker(*request)
        self.assertEqual(caught.exception.status, status)
        self.assertTrue(str(caught.exception))

    def test_hello_agrees(self):
        agreed = self.broker.agreed
        self.assertEqual((agreed["version"], agreed["resumed"]), (1, False))
        self.assertEqual((len(agreed["session"]), len(agreed["arena"])), (16, 16))
        self.assertGreater(agreed["max_message"], 0)

    def test_sessions_come_and_go(self):
        for _ in range(50):
            client.Broker(self.address).close()

    def test_every_kind_of_value_comes_back_as_the_same_bytes(self):
        self.broker("dict.open", "values")
        for name, data in values():
            if name in ("reference", "array of every type"):  # the vectors' refers to nothing
                continue
            value = msgpack.unpackb(data, strict_map_key=False, timestamp=0)
            self.broker("dict.set", "values", name, value)
            got = self.broker("dict.get", "values", name)[0]
            self.assertEqual(msgpack.packb(got), data, name)

    def test_failures_have_their_numbers(self):
        self.broker("dict.open", "stock")
        self.fails(client.NOTFOUND, "dict.get", "stock", "nothing")
        self.fails(client.NOTFOUND, "dict.get", "no such dict", "x")
        self.fails(-17, "queue.get", "stock", 0)  # WRONGTYPE
        self.fails(-18, "dict.get", "stock", {})  # BADKEY
        self.fails(-16, "dict.get", "stock")  # INVALID
        self.fails(-16, "dict.fly", "stock")

    def test_options_and_limits(self):
        handle, _ = self.broker("queue.open", "jobs", {"max_items": 1, "joinable": True})
        self.assertEqual(self.broker("queue.open", "jobs")[0], handle)
        self.broker("queue.put", handle, 1)
        self.fails(client.FULL, "queue.put", handle, 2, 0)
        value, token, deliveries = self.broker("queue.lease", handle, 0)
        self.assertEqual((value, deliveries), (1, 1))
        self.fails(client.TIMEDOUT, "queue.join", handle, client.SECOND // 100)
        self.broker("queue.done", handle, token)
        self.broker("queue.join", handle, FOREVER)

    def test_references_are_objects(self):
        _, reference = self.broker("list.open", None)
        self.broker("list.append", reference, "inside")
        self.broker("dict.open", "holder")
        self.broker("dict.set", "holder", "list", reference)
        found = self.broker("dict.get", "holder", "list")[0]
        self.assertEqual(found, reference)
        self.assertEqual(self.broker("list.get", found, 0), ["inside"])

    def test_threads_of_a_client_own_locks_by_themselves(self):
        self.broker("lock.open", "gate")
        self.broker("lock.acquire", ["gate", 1], 0)
        self.fails(-9, "lock.release", ["gate", 2])  # NOTOWNER
        self.fails(client.TIMEDOUT, "lock.acquire", ["gate", 2], 0)
        self.broker("lock.release", ["gate", 1])
        self.broker("lock.acquire", ["gate", 2], 0)

    def test_what_waits_does_not_hold_up_others_and_can_be_cancelled(self):
        self.broker("queue.open", "empty")
        answer = []
        arrived = self.broker._send(answer, "queue.get", "empty")
        waiting = self.broker.last_id
        self.broker("session.ping", None)
        self.assertFalse(arrived.is_set())
        self.assertEqual(self.broker("session.cancel", None, waiting), [True])
        arrived.wait()
        self.assertEqual(answer[0], client.TIMEDOUT)

    def test_another_session_wakes_who_waits(self):
        other = client.Broker(self.address)
        self.addCleanup(other.close)
        got = []
        self.broker("queue.open", "between")
        other("queue.open", "between")
        taker = threading.Thread(target=lambda: got.extend(other("queue.get", "between", FOREVER)))
        taker.start()
        self.broker("queue.put", "between", "hello")
        taker.join()
        self.assertEqual(got, ["hello"])

    def test_an_ended_session_gives_back_what_it_held(self):
        other = client.Broker(self.address)
        other("lock.open", "held")
        other("lock.acquire", "held", 0)
        other.close()
        self.broker("lock.open", "held")
        self.broker("lock.acquire", "held", FOREVER)

    def test_the_example_itself(self):
        done = subprocess.run([sys.executable, CLIENT, self.address], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(), [
            "tickets left: 99", "no such key: True", "full: True",
            "jobs: [['resize', {'width': 640}], b'\\x00\\xff']", "empty: True", "came while waiting: late",
            "not done yet: True"])

    def test_it_is_short(self):
        with open(CLIENT, encoding="utf-8") as file:
            self.assertLess(len(file.readlines()), 120)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
