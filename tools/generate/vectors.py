#!/usr/bin/env python3
"""Write the golden vectors of the protocol: bytes and JSON of messages and values, side by side.

    vectors.py --schemas schemas --out schemas/vectors

The msgpack in here is written from its specification and shares nothing with the C code, which is tested against what
comes out. schemas/vectors/README.md says how to read the files.
"""

import argparse
import base64
import json
import math
import os
import struct
import sys

from schema import SchemaError, load
from text import write_if_changed

VERSION = 1
DEPTH = 32
MAX_VALUES = 16  # arguments of a request
MAX_THREAD = 65535
FIRST_ID = 1


# ---- msgpack ----


class Ext:
    """An extension; 1 is a reference to an object, -1 a timestamp."""

    def __init__(self, number, data):
        self.number, self.data = number, data


class Repeat:
    """A long value of which the files only have a short form: kind is str, bin, array or map."""

    def __init__(self, kind, item, count):
        self.kind, self.item, self.count = kind, item, count


def header(count, short, forms):
    """The shortest header: short is (limit, first byte); forms are (bytes of the number, first byte)."""
    if short is not None and count < short[0]:
        return bytes([short[1] | count])
    for width, first in forms:
        if count < 1 << 8 * width:
            return bytes([first]) + count.to_bytes(width, "big")
    raise ValueError("%d is too long for msgpack" % count)


SHORT = {"str": (32, 0xa0), "bin": None, "array": (16, 0x90), "map": (16, 0x80)}
FORMS = {"str": ((1, 0xd9), (2, 0xda), (4, 0xdb)), "bin": ((1, 0xc4), (2, 0xc5), (4, 0xc6)),
         "array": ((2, 0xdc), (4, 0xdd)), "map": ((2, 0xde), (4, 0xdf))}


def head_of(kind, count):
    return header(count, SHORT[kind], FORMS[kind])


def pack_int(number):
    if number >= 0:
        return header(number, (128, 0), ((1, 0xcc), (2, 0xcd), (4, 0xce), (8, 0xcf)))
    if number >= -32:
        return number.to_bytes(1, "big", signed=True)
    for width, first in ((1, 0xd0), (2, 0xd1), (4, 0xd2), (8, 0xd3)):
        if number >= -1 << 8 * width - 1:
            return bytes([first]) + number.to_bytes(width, "big", signed=True)
    raise ValueError("%d is too small for msgpack" % number)


def pack_ext(ext):
    fixed = {1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}
    size = len(ext.data)
    head = bytes([fixed[size]]) if size in fixed else header(size, None, ((1, 0xc7), (2, 0xc8), (4, 0xc9)))
    return head + ext.number.to_bytes(1, "big", signed=True) + ext.data


def pack_repeat(value):
    if value.kind in ("str", "bin"):
        body = value.item.encode() if value.kind == "str" else value.item
        return head_of(value.kind, value.count * len(body)) + value.count * body
    item = pack(value.item)
    keys = (pack(n) if value.kind == "map" else b"" for n in range(value.count))
    return head_of(value.kind, value.count) + b"".join(key + item for key in keys)


def pack(value):
    """A value as msgpack, in the shortest form."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        return head_of("str", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return head_of("bin", len(value)) + value
    if isinstance(value, list):
        return head_of("array", len(value)) + b"".join(pack(item) for item in value)
    if isinstance(value, dict):
        return head_of("map", len(value)) + b"".join(pack(key) + pack(item) for key, item in value.items())
    return pack_ext(value) if isinstance(value, Ext) else pack_repeat(value)


# ---- the two notations of the files ----


def base64_of(data):
    return base64.b64encode(data).decode()


def to_json(value):
    """What json.dumps() takes: brokerctl's notation, and $repeat for long values."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, bytes):
        return {"$bin": base64_of(value)}
    if isinstance(value, Ext):
        return {"$ext": [value.number, base64_of(value.data)]}
    if isinstance(value, Repeat):
        item = base64_of(value.item) if value.kind == "bin" else to_json(value.item)
        return {"$repeat": [value.kind, item, value.count]}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: to_json(item) for key, item in value.items()}
        return {"$map": [[to_json(key), to_json(item)] for key, item in value.items()]}
    return value


def counted(count, behind):
    """The keys 0 to count - 1, each with the same bytes behind it."""
    limits = (128, 256, 1 << 16, 1 << 32)
    first, pieces = 0, []
    for limit in limits:
        last = min(limit, count) - 1
        if first <= last:
            pieces.append("%s-%s:%s" % (pack(first).hex(), pack(last).hex(), behind.hex()))
        first = last + 1
    return pieces


def to_hex(value):
    """The bytes as text; of long values with pieces that stand for more than they say."""
    if not isinstance(value, Repeat):
        return pack(value).hex()
    if value.kind == "map":
        return " ".join([head_of("map", value.count).hex()] + counted(value.count, pack(value.item)))
    item = pack(value.item)
    if value.kind in ("str", "bin"):
        item = value.item.encode() if value.kind == "str" else value.item
    size = value.count * (len(item) if value.kind in ("str", "bin") else 1)
    return "%s %s*%d" % (head_of(value.kind, size).hex(), item.hex(), value.count)


# ---- values ----


def nested(depth, innermost):
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 == 0 else {"in": value}
    return value


REFERENCE = Ext(1, bytes.fromhex("0000000000000007") + bytes.fromhex("1a2b000000000005"))
TIMES = {
    "timestamp 32": Ext(-1, struct.pack(">I", 1700000000)),
    "timestamp 64": Ext(-1, struct.pack(">Q", 999999999 << 34 | 1700000000)),
    "timestamp 96": Ext(-1, struct.pack(">Iq", 1, -1)),
}


def int_edges():
    widths = (7, 8, 16, 32, 63, 64)
    for bits in widths:
        yield (1 << bits) - 1
        if bits < 64:
            yield 1 << bits
    for least in (-1, -32, -33, -1 << 7, -(1 << 7) - 1, -1 << 15, -(1 << 15) - 1, -1 << 31, -(1 << 31) - 1, -1 << 63):
        yield least


def values():
    """Name and value of every type, at each edge between two encodings."""
    yield "nil", None
    yield "false", False
    yield "true", True
    yield "int 0", 0
    for number in int_edges():
        yield "int %d" % number, number
    for number in (0.0, -0.0, 1.0, -1.5, 0.1, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
                   math.inf, -math.inf, math.nan):
        yield "double %r" % number, number
    yield "str of other scripts", "Zürich, 東京, 🦀"
    yield "str with NUL", "a\0b"
    for kind, item, edges in (("str", "x", (32, 1 << 8, 1 << 16)), ("bin", b"\xfe", (1 << 8, 1 << 16)),
                              ("array", None, (16, 1 << 16)), ("map", None, (16, 1 << 16))):
        for count in [0, 1] + [edge + more for edge in edges for more in (-1, 0)]:
            yield "%s of %d" % (kind, count), Repeat(kind, item, count)
    yield "reference", REFERENCE
    yield from TIMES.items()
    yield "array of every type", [None, True, 1, -1, 0.5, "a", b"b", [], {}, REFERENCE, TIMES["timestamp 32"]]
    yield "map with other keys", {None: 1, False: 2, 7: 3, 1.5: 4, b"k": 5, "k": 6, "$k": 7}
    yield "map of a map", {"outer": {"inner": [1, {"k": "v"}]}}
    yield "nested %d deep" % DEPTH, nested(DEPTH, None)


# ---- messages ----


ARGUMENTS = {"key": "apples", "value": {"left": 3, "where": ["north", 7]}, "map": {"apples": 3, "pears": 4},
             "array": [1, "two", 3.0], "i64": -2, "u64": 1 << 40, "count": 10, "bool": True,
             "duration": 1500000000, "period": 30000000000, "number": 2.5, "string": "colour"}
RESULTS = {"key": "apples", "value": ["job", 17], "map": {"apples": 3}, "array": ["a", "b"], "i64": -7,
           "u64": (1 << 64) - 1, "count": 3, "bool": False, "number": 1.25, "token": 9}
NAMED = {"end": 1, "seen": 3, "token": 9, "cursor": 0, "typecode": "d", "mode": 1}


def example(part, examples):
    return NAMED.get(part.name, examples.get(part.kind.name))


def request(number, operation, target, args):
    return [VERSION, number, operation, target] + args


def opening(schema, kind):
    options = {option.name: example(option, ARGUMENTS) for option in schema.options_of(kind)}
    name = kind.name + ".open"
    yield name, request(FIRST_ID, name, "it", [options]), [FIRST_ID, 0, [1, REFERENCE]]


def calling(operation):
    name = "%s.%s" % (operation.type.name, operation.name)
    target = "it" if operation.type.is_object else None
    results = [example(result, RESULTS) for result in operation.results]
    yield name, request(FIRST_ID, name, target, [example(arg, ARGUMENTS) for arg in operation.args]), [FIRST_ID, 0, results]
    needed = [example(arg, ARGUMENTS) for arg in operation.args if not arg.has_default]
    if len(needed) < len(operation.args):
        yield name + ", defaults", request(FIRST_ID, name, target, needed), [FIRST_ID, 0, results]


def operations(schema):
    """A request and its answer for every operation of the schema."""
    for kind in schema.types:
        if kind.is_object:
            yield from opening(schema, kind)
        for operation in kind.operations:
            if operation.type is kind:
                yield from calling(operation)


SESSION_KEY = bytes(range(16))
AGREED = {"version": 1, "session": SESSION_KEY, "number": 12, "resumed": False, "timeout": 10000000000,
          "max_message": 1 << 20, "max_pending": 256, "arena": bytes(range(16, 32)), "broker": "0.1.0",
          "unsupported": ["array.data", "queue.reserve"]}


def protocol():
    """The protocol's own operations, and what can stand for an object."""
    hello = {"versions": [1, 1], "arena": "default", "access": "rw", "timeout": 10000000000, "client": "vectors",
             "process": 4711}
    rows = [
        ("hello", "session.hello", None, [hello], [AGREED]),
        ("hello, all defaults", "session.hello", None, [], [AGREED]),
        ("hello, resume", "session.hello", None, [{"resume": SESSION_KEY}], [dict(AGREED, resumed=True)]),
        ("ping", "session.ping", None, [], []),
        ("cancel", "session.cancel", None, [1], [True]),
        ("end", "session.end", None, [], []),
        ("close", "object.close", 3, [], []),
        ("wait_any", "object.wait_any", None, [[3, 4], 1000000000], [1]),
        ("open, no name", "queue.open", None, [{"max_items": 5}], [2, REFERENCE]),
        ("open, reference", "queue.open", REFERENCE, [], [2, REFERENCE]),
        ("object: handle", "dict.get", 1, ["k"], [None]),
        ("object: greatest handle", "dict.get", (1 << 32) - 1, ["k"], [None]),
        ("object: name", "dict.get", "stock", ["k"], [None]),
        ("object: reference", "dict.get", REFERENCE, ["k"], [None]),
        ("object and thread: handle", "lock.acquire", [1, 1], [0], [9]),
        ("object and thread: name", "lock.acquire", ["gate", 200], [0], [9]),
        ("object and thread: reference", "lock.acquire", [REFERENCE, MAX_THREAD], [0], [9]),
        ("nil for a default", "queue.put", "jobs", ["x", None], []),
    ]
    for name, operation, target, args, results in rows:
        yield name, request(FIRST_ID, operation, target, args), [FIRST_ID, 0, results]
    greatest = (1 << 64) - 1
    yield "id: greatest", request(greatest, "session.ping", None, []), [greatest, 0, []]


def value_messages():
    """Every value as an argument and as a result, but for the long ones, which values.json has."""
    for name, value in values():
        if not isinstance(value, Repeat):
            yield name, request(FIRST_ID, "list.append", 1, [value]), [FIRST_ID, 0, [value]]


def errors(schema):
    for error in schema.errors:
        yield error.name, [FIRST_ID, error.number, [] if error.number > 0 else error.text]
    yield "id 0", [0, next(e.number for e in schema.errors if e.name == "PROTO"), "This is no request."]


def wider():
    """Messages that do not have the shortest form: what is read, and the message that it is."""
    ping = request(1, "session.ping", None, [])
    get = request(1, "dict.get", 1, ["k"])
    rows = [
        ("array 16", ping, b"\xdc\x00\x04" + pack(ping)[1:]),
        ("array 32", ping, b"\xdd\x00\x00\x00\x04" + pack(ping)[1:]),
        ("str 8", get, pack(get)[:-2] + b"\xd9\x01k"),
        ("str 16", get, pack(get)[:-2] + b"\xda\x00\x01k"),
        ("str 32", get, pack(get)[:-2] + b"\xdb\x00\x00\x00\x01k"),
        ("version uint 8", ping, b"\x94\xcc\x01" + pack(ping)[2:]),
        ("version int 8", ping, b"\x94\xd0\x01" + pack(ping)[2:]),
        ("id uint 64", ping, b"\x94\x01\xcf" + bytes(7) + b"\x01" + pack(ping)[3:]),
        ("id int 64", ping, b"\x94\x01\xd3" + bytes(7) + b"\x01" + pack(ping)[3:]),
        ("handle uint 32", get, pack(get)[:-3] + b"\xce\x00\x00\x00\x01" + pack("k")),
    ]
    add = request(1, "value.set", 1, [0.5])
    rows.append(("float 32", add, pack(add)[:-9] + b"\xca" + struct.pack(">f", 0.5)))
    return rows


# ---- what is refused ----


def malformed_requests():
    """Name, bytes, the error, and the id that the answer has."""
    ping = pack(request(7, "session.ping", None, []))

    def having(target, args=()):
        return pack(request(7, "dict.get", target, list(args)))

    yield "empty", b"", "PROTO", 0
    for name, value in (("nil", None), ("an integer", 1), ("a string", "dict.get"), ("a map", {1: 7}),
                        ("an empty array", []), ("a reference", REFERENCE)):
        yield name, pack(value), "PROTO", 0
    yield "never used byte", b"\xc1", "PROTO", 0
    for version in (None, "1", 1.0, True, -1, [1]):
        yield "version %r" % (version,), pack([version, 7, "session.ping", None]), "PROTO", 0
    for version in (0, 2, 255, (1 << 64) - 1):
        yield "version %d" % version, pack([version, 7, "session.ping", None]), "VERSION", 0
    yield "another version of another form", pack([2, {"anything": 1}]), "VERSION", 0
    yield "only a version", pack([1]), "PROTO", 0
    for number in (None, -1, 1.0, "7", [7], 0):
        yield "id %r" % (number,), pack([1, number, "session.ping", None]), "PROTO", 0
    yield "only an id", pack([1, 7]), "PROTO", 7
    for operation in (None, 3, b"dict.get", ["dict.get"]):
        yield "operation %r" % (operation,), pack([1, 7, operation, None]), "PROTO", 7
    yield "no object", pack([1, 7, "session.ping"]), "PROTO", 7
    for target in (True, 1.0, -1, b"it", {}, {"it": 1}, [], ["it"], ["it", 1, 1], ["it", 0], ["it", MAX_THREAD + 1],
                   ["it", -1], ["it", 1.0], ["it", None], [["it", 1], 1], [True, 1]):
        yield "object %s" % json.dumps(to_json(target)), having(target), "PROTO", 7
    yield "object of another extension", having(Ext(2, bytes(16))), "PROTO", 7
    yield "object that is too short for a reference", having(Ext(1, bytes(8))), "PROTO", 7
    yield "object that is the reference of nothing", having(Ext(1, bytes(16))), "PROTO", 7
    yield "%d arguments" % (MAX_VALUES + 1), having("it", [None] * (MAX_VALUES + 1)), "PROTO", 7
    yield "an argument nests too deep", having("it", [nested(DEPTH + 1, None)]), "PROTO", 7
    yield "a byte behind the message", ping + b"\xc0", "PROTO", 7
    yield "a message behind the message", ping + ping, "PROTO", 7
    yield "an element less than announced", b"\x95" + ping[1:], "PROTO", 7
    yield "an element more than announced", b"\x93" + ping[1:], "PROTO", 7
    yield "2^32 - 1 elements announced", b"\xdd\xff\xff\xff\xff" + ping[1:], "PROTO", 0
    prefix = pack(request(7, "dict.get", "it", [None]))[:-1]
    for name, lie in (("str", b"\xdb\xff\xff\xff\xffx"), ("bin", b"\xc6\xff\xff\xff\xffx"),
                      ("array", b"\xdd\xff\xff\xff\xff\xc0"), ("map", b"\xdf\xff\xff\xff\xff\xc0\xc0"),
                      ("ext", b"\xc9\xff\xff\xff\xff\x01x"), ("map by half", b"\x82\xc0\xc0\xc0")):
        yield "an argument lies about its length: " + name, prefix + lie, "PROTO", 7
    yield "a never used byte in an argument", prefix + b"\xc1", "PROTO", 7
    for size in range(1, len(ping)):  # nothing is read of an array that has more elements than bytes
        yield "cut to %d bytes" % size, ping[:size], "PROTO", 7 if size > 4 else 0


def malformed_answers():
    good = pack([7, 0, [1]])
    for name, message in (("nil", None), ("an array of 2", [7, 0]), ("an array of 4", [7, 0, [], None]),
                          ("id -1", [-1, 0, []]), ("id nil", [None, 0, []]), ("status nil", [7, None, []]),
                          ("status of 64 bits", [7, 1 << 31, []]), ("status of -64 bits", [7, -(1 << 31) - 1, "x"]),
                          ("success with a sentence", [7, 0, "well done"]), ("success with nil", [7, 0, None]),
                          ("failure with results", [7, -1, []]), ("failure with nil", [7, -1, None]),
                          ("%d results" % (MAX_VALUES + 1), [7, 0, [None] * (MAX_VALUES + 1)])):
        yield name, pack(message)
    yield "empty", b""
    yield "a byte behind the answer", good + b"\xc0"
    for size in range(1, len(good)):
        yield "cut to %d bytes" % size, good[:size]


# ---- files ----


def rows_of(pairs):
    """Rows with a request, an answer or both."""
    for name, *messages in pairs:
        row = {"name": name}
        for part, message in zip(("request", "answer") if len(messages) == 2 else ("answer",), messages):
            row[part] = to_json(message)
            row[part + "_hex"] = to_hex(message)
        yield row


def outputs(schema):
    """Rows of every file."""
    return {
        "values.json": [{"name": name, "value": to_json(value), "hex": to_hex(value)} for name, value in values()],
        "operations.json": list(rows_of(operations(schema))),
        "protocol.json": list(rows_of(protocol())),
        "arguments.json": list(rows_of(value_messages())),
        "errors.json": list(rows_of(errors(schema))),
        "wider.json": [{"name": name, "request": to_json(message), "request_hex": data.hex(),
                        "shortest_hex": to_hex(message)} for name, message, data in wider()],
        "malformed_requests.json": [{"name": name, "request_hex": data.hex(), "error": error, "id": number}
                                    for name, data, error, number in malformed_requests()],
        "malformed_answers.json": [{"name": name, "answer_hex": data.hex()} for name, data in malformed_answers()],
    }


def as_text(rows):
    """A field to a line, so that bytes and JSON can be read and compared."""
    def field(item):
        return "   %s: %s" % (json.dumps(item[0]), json.dumps(item[1], ensure_ascii=False))

    return "[\n" + ",\n".join("  {" + ",\n".join(map(field, row.items())).lstrip() + "}" for row in rows) + "\n]\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--schemas", required=True, metavar="DIR", help="folder of operations.json and errors.json")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the vectors go")
    options = parser.parse_args()
    try:
        schema = load(options.schemas)
    except SchemaError as error:
        print("vectors.py: %s" % error, file=sys.stderr)
        return 1
    for name, rows in outputs(schema).items():
        write_if_changed(os.path.join(options.out, name), as_text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
