#!/usr/bin/python3
"""A whole client of the broker in Python: pyzmq, msgpack, and schemas/protocol.md.

    client.py [ADDRESS]        ipc:///run/brokerd/zmq, or another one; does a few things and says what came of them
"""

import os
import sys
import threading
import time

import msgpack
import zmq

SECOND = 10**9
EMPTY, TIMEDOUT, NOTFOUND, FULL = -3, -5, -1, -4


class Failed(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Broker:
    """One session. A thread of its own drives the socket, so any number of threads may ask at a time."""

    def __init__(self, address, **options):
        self.context = zmq.Context()
        self.outbox = self.context.socket(zmq.PAIR)  # to our thread; used under the lock
        self.outbox.bind("inproc://outbox")
        self.lock, self.last_id, self.waiting = threading.Lock(), 0, {}
        self.thread = threading.Thread(target=self._drive, args=(address,), daemon=True)
        self.thread.start()
        self.agreed = self("session.hello", None, {"client": "client.py", "process": os.getpid(), **options})[0]

    def _drive(self, address):
        dealer, inbox = self.context.socket(zmq.DEALER), self.context.socket(zmq.PAIR)
        dealer.linger = 0
        dealer.connect(address)
        inbox.connect("inproc://outbox")
        last_sent = time.monotonic()
        while True:
            ready, _, _ = zmq.select([dealer, inbox], [], [], 1)
            if inbox in ready:
                request = inbox.recv()
                if not request:
                    break
                dealer.send(request)
                last_sent = time.monotonic()
            elif time.monotonic() - last_sent > 3:  # a third of the timeout; answered like any other
                self._send([], "session.ping", None)
            if dealer in ready:
                number, status, result = msgpack.unpackb(dealer.recv(), strict_map_key=False)
                answer, arrived = self.waiting.pop(number)
                answer.extend([status, result])
                arrived.set()
        dealer.close()
        inbox.close()

    def _send(self, answer, *request):
        """The answer will be in the list; the event tells when. Ids go out in their order."""
        arrived = threading.Event()
        with self.lock:
            self.last_id += 1
            self.waiting[self.last_id] = answer, arrived
            self.outbox.send(msgpack.packb([1, self.last_id, *request]))
        return arrived

    def __call__(self, operation, target, *arguments):
        """As in broker("dict.set", "stock", "tickets", 100): the results; of a notice its number before them."""
        answer = []
        self._send(answer, operation, target, *arguments).wait()
        status, result = answer
        if status < 0:
            raise Failed(status, result)
        return result if status == 0 else [status] + result

    def close(self):
        self("session.end", None)
        with self.lock:
            self.outbox.send(b"")
        self.thread.join()
        self.context.destroy()


def status_of(call, *arguments):
    try:
        call(*arguments)
    except Failed as failure:
        return failure.status
    return 0


def main():
    broker = Broker(sys.argv[1] if len(sys.argv) > 1 else "ipc:///run/brokerd/zmq")
    mine = "client.py-%d" % os.getpid()
    broker("dict.open", mine + ".stock")
    broker("dict.set", mine + ".stock", "tickets", 100)
    print("tickets left:", broker("dict.add", mine + ".stock", "tickets", -1)[0])
    print("no such key:", status_of(broker, "dict.get", mine + ".stock", "seats") == NOTFOUND)
    handle, reference = broker("queue.open", mine + ".jobs", {"max_items": 2, "joinable": True})
    broker("queue.put", handle, ["resize", {"width": 640}])
    broker("queue.put", reference, b"\x00\xff")
    print("full:", status_of(broker, "queue.put", handle, "third", 0) == FULL)
    print("jobs:", [broker("queue.get", handle)[0] for _ in range(2)])
    print("empty:", status_of(broker, "queue.get", handle, 0) == EMPTY)
    taker = threading.Thread(target=lambda: print("came while waiting:", broker("queue.get", handle)[0]))
    taker.start()
    broker("queue.put", handle, "late")
    taker.join()
    print("not done yet:", status_of(broker, "queue.join", handle, SECOND // 100) == TIMEDOUT)
    for name in (".stock", ".jobs"):
        broker("broker.destroy", None, mine + name)
    broker.close()


if __name__ == "__main__":
    main()
