#!/usr/bin/env python3
"""The schema generator: what it refuses, what it writes, and that a new type needs nothing but its rows.

Runs the generator within this process, since to start it costs more than what it does; once as the build does. The C
that it makes is compiled by $CC with the project's warnings.
"""

import contextlib
import copy
import filecmp
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/generate"))
import generate as generator  # noqa: E402

SCHEMAS = ROOT / "schemas"
CC = shlex.split(os.environ.get("CC", "cc"))
WARNINGS = ("-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Werror").split()
COLUMNS = 100

# Numbers that programs have compiled in: append, never change.
ERROR_NUMBERS = """OWNER_DIED 1 NOTFOUND -1 EXISTS -2 EMPTY -3 FULL -4 TIMEDOUT -5 CLOSED -6 GONE -7 MISMATCH -8 NOTOWNER -9
NOTLOCKED -10 OVERDONE -11 DEADLOCK -12 WRONGVALUE -13 OVERFLOW -14 INCOMPARABLE -15 INVALID -16 WRONGTYPE -17 BADKEY -18
BADNAME -19 TOODEEP -20 TOOBIG -21 ACCESS -22 NOMEM -23 QUOTA -24 CORRUPT -25 VERSION -26 NODAEMON -27 ADDRESS -28
PROTO -29 LIMIT -30 BUSY -31 SYSTEM -32 INTERNAL -33 UNSUPPORTED -34 UNKNOWN -35 BROKEN -36 ACTION 2""".split()
TYPE_NUMBERS = {"broker": 0, "dict": 1, "queue": 2, "lock": 3, "list": 4, "semaphore": 6, "event": 7, "barrier": 8}


def generate(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = generator.main(list(map(str, arguments)))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def generate_by_itself(*arguments):
    command = [sys.executable, "-B", str(ROOT / "tools/generate/generate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def schema():
    return {name: json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
            for name in ("errors.json", "operations.json")}


def write_schema(folder, files):
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (Path(folder) / name).write_text(text, encoding="utf-8")


def names_in(folder):
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def row(rows, name):
    return next(each for each in rows if each["name"] == name)


def operation(files, kind, name):
    return row(row(files["operations.json"]["types"], kind)["operations"], name)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="broker-schema-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"

    def run_generator(self, schemas, *arguments):
        done = generate("--schemas", schemas, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def compile(self, source):
        folders = (self.out / "include", self.out, ROOT / "libbroker/include", ROOT / "libbroker")
        includes = ["-I%s" % folder for folder in folders]
        command = CC + ["-std=gnu17", "-fsyntax-only", *WARNINGS, *includes, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def compile_examples(self, schemas):
        examples = self.folder / "examples.c"
        self.run_generator(schemas, "--out", self.out, "--examples", examples)
        self.compile(examples)

    def compile_all(self, schemas):
        self.compile_examples(schemas)
        sources = sorted(self.out.glob("*.c"))
        self.assertGreater(len(sources), 5)
        for source in sources:
            with self.subTest(source=source.name):
                self.compile(source)


class Outputs(Case):
    def test_list_names_exactly_what_is_written(self):
        listed = self.run_generator(SCHEMAS, "--list").split()
        self.run_generator(SCHEMAS, "--out", self.out)
        self.assertEqual(sorted(names_in(self.out)), listed)

    def test_program_says_and_writes_the_same(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        done = generate_by_itself("--schemas", SCHEMAS, "--out", self.folder / "again", "--list")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, self.run_generator(SCHEMAS, "--list"))
        again = self.folder / "again"
        done = generate_by_itself("--schemas", SCHEMAS, "--out", again)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        _, differing, missing = filecmp.cmpfiles(self.out, again, names_in(self.out), shallow=False)
        self.assertEqual((differing, missing), ([], []))
        done = generate_by_itself("--schemas", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("generate.py: ", done.stderr)

    def test_list_writes_nothing(self):
        self.run_generator(SCHEMAS, "--out", self.out, "--list")
        self.assertFalse(self.out.exists())

    def test_only_changed_files_are_written_again(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        old = 1_000_000_000
        for path in filter(Path.is_file, self.out.rglob("*")):
            os.utime(path, ns=(old, old))
        changed = self.out / "errors.c"
        content = changed.read_text(encoding="utf-8")
        changed.write_text("something else", encoding="utf-8")
        os.utime(changed, ns=(old, old))
        self.run_generator(SCHEMAS, "--out", self.out)
        newer = [path for path in self.out.rglob("*") if path.is_file() and path.stat().st_mtime_ns != old]
        self.assertEqual(newer, [changed])
        self.assertEqual(changed.read_text(encoding="utf-8"), content)

    def test_same_schema_makes_same_files(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        again = self.folder / "again"
        self.run_generator(SCHEMAS, "--out", again)
        _, differing, missing = filecmp.cmpfiles(self.out, again, names_in(self.out), shallow=False)
        self.assertEqual((differing, missing), ([], []))

    def test_committed_reference_is_what_the_schema_says(self):
        pages = self.folder / "reference"
        self.run_generator(SCHEMAS, "--reference", pages)
        committed = ROOT / "docs/reference"
        names = sorted(os.listdir(pages))
        self.assertEqual(sorted(os.listdir(committed)), names)
        _, differing, missing = filecmp.cmpfiles(committed, pages, names, shallow=False)
        self.assertEqual((differing, missing), ([], []),
                         "run tools/generate/generate.py --schemas schemas --reference docs/reference")

    def test_lines_of_c_fit(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        for path in list(self.out.rglob("*.c")) + list(self.out.rglob("*.h")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                self.assertLessEqual(len(line), COLUMNS, "%s:%d" % (path.name, number))

    def test_exports_are_the_declared_functions_and_the_hand_written_ones(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        declared = set()
        for path in (self.out / "include/broker").glob("*.h"):
            text = path.read_text(encoding="utf-8")
            declared |= set(re.findall(r"^BROKER_API [a-z ]+\*?(broker_\w+)\(", text, re.MULTILINE))
        self.assertIn("broker_dict_get", declared)
        script = (self.out / "libbroker.map").read_text(encoding="utf-8")
        exported = re.findall(r"^ {8}(\w+);$", script, re.MULTILINE)
        hand_written = set(schema()["operations.json"]["hand_written"])
        self.assertEqual(exported, sorted(declared | hand_written))

    def test_every_function_has_the_documentation_of_a_public_one(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        count = 0
        for path in (self.out / "include/broker").glob("*.h"):
            text = path.read_text(encoding="utf-8")
            for comment in re.findall(r"/\*\*((?:(?!\*/).)*)\*/\nBROKER_API ", text, re.DOTALL):
                count += 1
                for line in ("- Blocks: ", "- Threads: ", "- Crash: ", "- Owns: ", "@code", "@param"):
                    self.assertIn(" * " + line, comment, path.name)
            self.assertEqual(text.count("BROKER_API "), len(re.findall(r"\*/\nBROKER_API ", text)), path.name)
        self.assertGreater(count, 40)


class Numbers(unittest.TestCase):
    def test_errors_keep_their_numbers(self):
        found = {error["name"]: error["number"] for error in schema()["errors.json"]["errors"]}
        pinned = dict(zip(ERROR_NUMBERS[::2], map(int, ERROR_NUMBERS[1::2])))
        self.assertEqual({name: found.get(name) for name in pinned}, pinned)

    def test_types_keep_their_numbers(self):
        found = {kind["name"]: kind["number"] for kind in schema()["operations.json"]["types"]}
        self.assertEqual({name: found.get(name) for name in TYPE_NUMBERS}, TYPE_NUMBERS)


class Compiles(Case):
    # All else that is made of the schema is in the build, which has the same warnings.
    def test_examples_of_the_schema(self):
        self.compile_examples(SCHEMAS)

    def test_public_headers_alone_and_in_cxx(self):
        self.run_generator(SCHEMAS, "--out", self.out)
        for path in sorted((self.out / "include/broker").glob("*.h")):
            with self.subTest(header=path.name):
                source = self.folder / "alone.c"
                source.write_text("#include <broker/%s>\n" % path.name, encoding="utf-8")
                self.compile(source)
        probe = self.folder / "probe.cc"
        probe.write_text("#include <stdint.h>\nint i;\n", encoding="utf-8")
        if subprocess.run(CC + ["-fsyntax-only", str(probe)], capture_output=True, check=False).returncode != 0:
            self.skipTest("no C++ compiler")
        probe.write_text("#include <broker/objects.h>\n", encoding="utf-8")
        includes = ["-I%s" % (self.out / "include"), "-I%s" % (ROOT / "libbroker/include")]
        done = subprocess.run(CC + ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", *includes, str(probe)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_made_up_type_needs_nothing_but_its_rows(self):
        files = schema()
        files["operations.json"]["types"].append(MADE_UP)
        write_schema(self.folder, files)
        self.compile_all(self.folder)
        listed = self.run_generator(self.folder, "--list").split()
        for name in ("api_gauge.c", "include/broker/gauge.h", "reference/gauge.md"):
            self.assertIn(name, listed)
        script = (self.out / "libbroker.map").read_text(encoding="utf-8")
        for name in ("open", "close", "swap", "await", "reset"):
            self.assertIn("broker_gauge_%s;" % name, script)
        ops = (self.out / "engine_ops.h").read_text(encoding="utf-8")
        self.assertIn("BRI_TYPE_GAUGE = 77,", ops)
        self.assertIn("BRI_OP_GAUGE_AWAIT,", ops)
        self.assertIn("int bri_gauge_reset(struct bri_handle *h);", ops)
        table = re.sub(r'"\n\s*"', "", (self.out / "ctl_table.c").read_text(encoding="utf-8"))
        self.assertEqual(
            re.findall('"(gauge swap NAME .*)"', table),
            ["gauge swap NAME A-KEY A-VALUE A-MAP A-ARRAY A-I64 A-U64 [A-COUNT] [A-BOOL] "
             "[--a-token N] [--a-string TEXT] [--spare KEY] [--shift N] [--limit N]"])
        page = (self.out / "reference/gauge.md").read_text(encoding="utf-8")
        self.assertRegex(page, r"\| `limit` +\| i64 +\| omitted \|")
        self.assertIn("{.type = BROKER_INT, .i = INT64_MIN}", (self.out / "dispatch.c").read_text(encoding="utf-8"))
        self.assertIn("<broker/gauge.h>", (self.out / "include/broker/objects.h").read_text(encoding="utf-8"))

    def test_schema_of_one_small_type_compiles(self):
        files = schema()
        types = files["operations.json"]["types"]
        lock = row(types, "lock")
        lock["operations"] = [row(lock["operations"], "release")]
        lock["options"] = []
        files["operations.json"]["types"] = [lock, row(types, "broker")]
        write_schema(self.folder, files)
        self.compile_all(self.folder)


def argument(kind, **more):
    return dict({"name": more.pop("name", "a_" + kind), "kind": kind, "doc": "an argument of kind %s" % kind}, **more)


def result(kind, name, **more):
    return dict({"name": name, "kind": kind, "doc": "a result of kind %s" % kind}, **more)


# Every kind in every place that it can have.
MADE_UP = {
    "name": "gauge", "number": 77, "c_name": "broker_gauge", "header": "gauge",
    "doc": "Something that nobody needs.",
    "example": ["broker_gauge *gauge;", "r = broker_gauge_open(b, \"gauge\", NULL, &gauge);"],
    "options": [{"name": kind + "_option", "kind": kind, "doc": "an option of kind " + kind}
                for kind in ("i64", "u64", "count", "bool", "duration", "number", "string")],
    "operations": [
        {
            "name": "swap", "doc": "Take everything and give as much.",
            "args": [argument(kind) for kind in ("key", "value", "map", "array", "i64", "u64")] +
                    [argument("count", default=3), argument("bool", default=True), argument("token", default=0),
                     argument("string", default=None), argument("key", name="spare", default=None),
                     argument("i64", name="shift", default=-5), argument("i64", name="limit", default="omitted")],
            "results": [result("key", "old_key"), result("array", "rest"), result("token", "ticket", optional=True),
                        result("bool", "fresh", optional=True)],
            "blocks": False, "changes": True, "errors": {"OWNER_DIED": "so it is"}, "crash": "nothing of it.",
            "cli": {"options": ["shift", "limit", "spare", "a_string", "a_token"]},
            "example": ["broker_value k, rest;",
                        "r = broker_gauge_swap(gauge, broker_int(1), broker_nil(), broker_nil(),",
                        "    broker_nil(), 1, 2, 3, true, 4, NULL, broker_nil(), 5, 6,",
                        "    &buffer, &k, &rest, NULL, NULL);"],
        },
        {
            "name": "await", "doc": "Wait for a number.",
            "args": [argument("string"), argument("duration", name="timeout", default=5),
                     argument("period", name="span", default="forever"),
                     argument("number", default=-3)],
            "results": [result("i64", "level"), result("u64", "serial"), result("count", "others"),
                        result("number", "weight", optional=True)],
            "blocks": True, "changes": False, "errors": {}, "crash": "nothing of it.",
            "example": ["int64_t level;", "uint64_t serial, others;",
                        "r = broker_gauge_await(", "    gauge, \"x\", 1, 2, broker_int(4), &level, &serial, &others, NULL);"],
        },
        {
            "name": "reset", "doc": "Neither arguments nor results.", "args": [], "results": [],
            "blocks": False, "changes": True, "errors": {}, "crash": "nothing of it.",
            "example": "r = broker_gauge_reset(gauge);",
        },
    ],
}


class Refused(Case):
    """What is wrong is refused, with the file and the row, and nothing is written."""

    def refuse(self, files, *words):
        write_schema(self.folder, files)
        done = generate("--schemas", self.folder, "--out", self.out)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(self.out.exists())

    def refuse_change(self, change, *words):
        files = copy.deepcopy(schema())
        change(files)
        self.refuse(files, *words)

    def test_unknown_kinds(self):
        def argument_kind(files):
            operation(files, "dict", "get")["args"][0]["kind"] = "kye"

        def result_kind(files):
            operation(files, "queue", "get")["results"][0]["kind"] = "duration"

        def option_kind(files):
            row(files["operations.json"]["types"], "queue")["options"][0]["kind"] = "map"

        self.refuse_change(argument_kind, "operations.json: dict get: argument key", '"kye"', "known are key, value")
        self.refuse_change(result_kind, "operations.json: queue get: result value", '"duration"')
        self.refuse_change(option_kind, "operations.json: type queue: option max_items", '"map"')

    def test_unknown_errors(self):
        def of_operation(files):
            operation(files, "dict", "get")["errors"]["NOTFUOND"] = "never"

        def common(files):
            files["operations.json"]["common_errors"]["changes"]["ACESS"] = "never"

        def gone(files):
            errors = files["errors.json"]["errors"]
            errors.remove(row(errors, "OVERDONE"))

        def notice(files):
            files["operations.json"]["common_errors"]["always"]["OWNER_DIED"] = "never"

        def without_text(files):
            operation(files, "dict", "get")["errors"]["NOTFOUND"] = ""

        self.refuse_change(of_operation, "operations.json: dict get", '"NOTFUOND"')
        self.refuse_change(common, "operations.json: common_errors", '"ACESS"')
        self.refuse_change(gone, "operations.json: queue task_done", '"OVERDONE"')
        self.refuse_change(notice, "operations.json: common_errors", '"OWNER_DIED"')
        self.refuse_change(without_text, "operations.json: dict get", '"NOTFOUND"')

    def test_numbers_names_and_exit_codes_twice(self):
        def error(**fields):
            def change(files):
                row(files["errors.json"]["errors"], "EXISTS").update(fields)
            return change

        def type_number(files):
            row(files["operations.json"]["types"], "lock")["number"] = 2

        def operation_twice(files):
            operations = row(files["operations.json"]["types"], "dict")["operations"]
            operations.append(operations[0])

        def like_the_handle(files):
            operation(files, "queue", "shutdown")["name"] = "close"

        def like_a_type(files):
            operation(files, "broker", "objects")["name"] = "dict"

        def hand_written(files):
            operation(files, "broker", "stat")["name"] = "version"

        self.refuse_change(error(number=-1), "errors.json: error EXISTS", "-1 is taken by error NOTFOUND")
        self.refuse_change(error(exit=10), "errors.json: error EXISTS", "10 is taken by error NOTFOUND")
        self.refuse_change(error(name="NOTFOUND"), "errors.json: error NOTFOUND", "the name NOTFOUND is taken")
        self.refuse_change(type_number, "operations.json: type lock", "the number 2 is taken by type queue")
        self.refuse_change(operation_twice, "operations.json: dict get", "broker_dict_get is taken by dict get")
        self.refuse_change(like_the_handle, "queue close", "broker_queue_close is taken by type queue")
        self.refuse_change(like_a_type, "broker dict", "broker_dict is taken by type dict")
        self.refuse_change(hand_written, "broker version", "broker_version is taken by hand_written")

    def test_errors_that_contradict_their_class(self):
        def error(**fields):
            def change(files):
                row(files["errors.json"]["errors"], "EXISTS").update(fields)
            return change

        self.refuse_change(error(number=1000), "error EXISTS", "must be negative")
        self.refuse_change(error(number=0), "error EXISTS", "must be negative")
        self.refuse_change(error(**{"class": "notice"}), "error EXISTS", "must be positive")
        self.refuse_change(error(**{"class": "oops"}), "error EXISTS", '"oops"')
        self.refuse_change(error(exit=2), "error EXISTS", "from 3 to 125")
        self.refuse_change(error(exit=126), "error EXISTS", "from 3 to 125")
        self.refuse_change(error(name="Exists"), "error Exists", "capitals")

    def test_missing_and_unknown_fields(self):
        def without(name):
            def change(files):
                del operation(files, "lock", "owner")[name]
            return change

        for name in ("doc", "args", "results", "blocks", "changes", "errors", "crash", "example"):
            self.refuse_change(without(name), "operations.json: lock owner", '"%s" is missing' % name)
        self.refuse_change(without("name"), "operations.json: lock number 4", '"name" is missing')

        def misspelt(files):
            operation(files, "lock", "owner")["detial"] = "Misspelt."

        def empty(files):
            operation(files, "lock", "owner")["doc"] = "  "

        def wrong_type(files):
            operation(files, "lock", "owner")["blocks"] = "no"

        def no_sentence(files):
            operation(files, "lock", "owner")["doc"] = "who holds it"

        self.refuse_change(misspelt, "operations.json: lock owner", '"detial" is unknown')
        self.refuse_change(empty, "operations.json: lock owner", '"doc" is empty')
        self.refuse_change(wrong_type, "operations.json: lock owner", '"blocks" must be true or false')
        self.refuse_change(no_sentence, "operations.json: lock owner", "full stop")

    def test_texts_that_would_break_the_c(self):
        def comment_end(files):
            operation(files, "dict", "len")["doc"] = "Counts */ things."

        def not_ascii(files):
            operation(files, "dict", "len")["crash"] = "nothing \u2013 at all."

        def word_of_c(files):
            operation(files, "dict", "get")["args"][0]["name"] = "register"

        def taken(files):
            operation(files, "dict", "get")["args"][0]["name"] = "buffer"

        def long_example(files):
            operation(files, "dict", "len")["example"] = "r = 0;" + " " * 100

        self.refuse_change(comment_end, "operations.json: dict len", '"doc"')
        self.refuse_change(not_ascii, "operations.json: dict len", '"crash"')
        self.refuse_change(word_of_c, "operations.json: dict get: argument register", "a word of C")
        self.refuse_change(taken, "operations.json: dict get", '"buffer" is taken')
        self.refuse_change(long_example, "operations.json: dict len", '"example"')

    def test_operations_that_contradict_themselves(self):
        def blocks(files):
            operation(files, "queue", "get")["blocks"] = False

        def default_in_the_middle(files):
            operation(files, "dict", "set")["args"][0]["default"] = None

        def default_of_wrong_kind(files):
            operation(files, "dict", "add")["args"][1]["default"] = "one"

        def omitted_count(files):
            operation(files, "dict", "scan")["args"][1]["default"] = "omitted"

        def negative_timeout(files):
            operation(files, "queue", "get")["args"][0]["default"] = -1

        def default_map(files):
            operation(files, "dict", "update")["args"][0]["default"] = None

        def optional_value(files):
            operation(files, "dict", "get")["results"][0]["optional"] = True

        def results(files):
            operation(files, "dict", "len")["results"] = [result("u64", "n%d" % n) for n in range(5)]

        def option(files):
            operation(files, "dict", "scan")["cli"]["options"] = ["limits"]

        def columns_of_a_number(files):
            result = operation(files, "queue", "browse")["results"][1]
            result["columns"] = [{"key": "state", "kind": "text"}]

        def unknown_column(files):
            operation(files, "queue", "browse")["results"][0]["columns"][0]["kind"] = "colour"

        self.refuse_change(blocks, "operations.json: queue get", '"duration"')
        self.refuse_change(default_in_the_middle, "operations.json: dict set", '"value" needs a default')
        self.refuse_change(default_of_wrong_kind, "dict add: argument delta", "a whole number")
        self.refuse_change(omitted_count, "dict scan: argument limit", "a whole number")
        self.refuse_change(negative_timeout, "queue get: argument timeout", '"forever" or nanoseconds')
        self.refuse_change(default_map, "dict update: argument pairs", "cannot have a default")
        self.refuse_change(optional_value, "operations.json: dict get", "cannot be optional")
        self.refuse_change(results, "operations.json: dict len", "more than 4 results")
        self.refuse_change(option, "operations.json: dict scan: cli", '"limits" is no argument')
        self.refuse_change(columns_of_a_number, "queue browse: result next", "only an array")
        self.refuse_change(unknown_column, "queue browse: result items: column number 1", '"colour"')

    def test_types_that_contradict_themselves(self):
        def options_of_the_arena(files):
            row(files["operations.json"]["types"], "broker")["options"] = [
                {"name": "size", "kind": "u64", "doc": "how large"}]

        def c_name(files):
            row(files["operations.json"]["types"], "dict")["c_name"] = "dict"

        def no_operations(files):
            row(files["operations.json"]["types"], "dict")["operations"] = []

        def common_option(files):
            row(files["operations.json"]["types"], "queue")["options"][0]["name"] = "mode"

        def header(files):
            row(files["operations.json"]["types"], "queue")["header"] = "errors"

        self.refuse_change(options_of_the_arena, "operations.json: type broker", "has no options")
        self.refuse_change(c_name, "operations.json: type dict", '"dict" must begin with "broker"')
        self.refuse_change(no_operations, "operations.json: type dict", "no operations")
        self.refuse_change(common_option, "type queue: option mode", "taken by every type")
        self.refuse_change(header, "operations.json: type queue", "the header errors is taken")

    def test_files_that_are_no_schema(self):
        good = schema()
        self.refuse(dict(good, **{"errors.json": "{"}), "errors.json: not JSON")
        self.refuse(dict(good, **{"errors.json": "[]"}), "errors.json: expected an object")
        self.refuse(dict(good, **{"operations.json": '{"types": [], "types": []}'}), "operations.json", "stands twice")
        (self.folder / "errors.json").unlink()
        (self.folder / "operations.json").unlink()
        done = generate("--schemas", self.folder, "--out", self.out)
        self.assertEqual(done.returncode, 1)
        self.assertIn("errors.json: No such file", done.stderr)


if __name__ == "__main__":
    unittest.main()
