"""Reading the schema: every row is checked here, and the generators rely on that.

What is wrong is refused with a sentence that names the file and the row. A row has no field that is unknown, so that a
misspelt one cannot go unnoticed.
"""

import json
import re
from pathlib import Path

from kinds import KINDS
from model import (CELLS, FOREVER, MAX_RESULTS, MODES, OMITTED, Argument, Closing, Column, Error, Opening, Operation,
                   Option, Result, Schema, Type)

ERROR_CLASSES = {"notice": 1, "answer": -1, "fault": -1, "unknown": -1}  # and the sign of their numbers
EXIT_CODES = range(3, 126)  # 0 is success, 1 brokerctl's own failure, 2 wrong usage; a shell uses those above
MAX_LINE = 95  # of an example, which stands indented in comments and functions
TAKEN_NAMES = {"b", "buffer", "options", "name", "r", "h", "a", "call"}  # variables of the generated functions
C_KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "bool true false class delete new operator private protected public template this throw try namespace".split())
REQUIRED = object()


class SchemaError(Exception):
    pass


class Row:
    """One JSON object of the schema, whose fields are taken one by one."""

    def __init__(self, where, data):
        if not isinstance(data, dict):
            raise SchemaError("%s: expected an object in braces, found %s" % (where, json.dumps(data)))
        self.where = where
        self._left = dict(data)

    def fail(self, message):
        raise SchemaError("%s: %s" % (self.where, message))

    def has(self, name):
        return name in self._left

    def take(self, name, kind, default=REQUIRED):
        if name not in self._left:
            if default is REQUIRED:
                self.fail('the field "%s" is missing' % name)
            return default
        value = self._left.pop(name)
        if type(value) is not kind:
            self.fail('the field "%s" must be %s, not %s' % (name, WORDS[kind], json.dumps(value)))
        return value

    def take_any(self, name):
        return self._left.pop(name)

    def identifier(self, name="name"):
        """A name that stands behind a prefix in C."""
        value = self.take(name, str)
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", value):
            self.fail('"%s" is not a name: lower-case words joined by "_"' % value)
        return value

    def bare_identifier(self, name="name"):
        """A name that stands by itself in C and C++."""
        value = self.identifier(name)
        if value in C_KEYWORDS:
            self.fail('the name "%s" is a word of C or C++' % value)
        return value

    def text(self, name, default=REQUIRED):
        value = self.take(name, str, default)
        if name in ("doc", "crash", "text") and not value.strip():
            self.fail('the field "%s" is empty' % name)
        return plain(self, name, value)

    def sentence(self, name, default=REQUIRED):
        value = self.text(name, default)
        if value and not value.endswith((".", "!", "?")):
            self.fail('the field "%s" must be a sentence that ends with a full stop' % name)
        return value

    def lines(self, name, default=REQUIRED):
        """A line of C, or a list of them."""
        if isinstance(self._left.get(name), str):
            self._left[name] = [self._left[name]]
        value = self.take(name, list, default)
        if not value or not all(isinstance(line, str) and len(line) <= MAX_LINE for line in value):
            self.fail('the field "%s" must be lines of C of at most %d characters' % (name, MAX_LINE))
        return [plain(self, name, line) for line in value]

    def kind(self, allowed):
        name = self.take("kind", str)
        if name not in KINDS or not allowed(KINDS[name]):
            known = ", ".join(kind.name for kind in KINDS.values() if allowed(kind))
            self.fail('the kind "%s" is unknown here; known are %s' % (name, known))
        return KINDS[name]

    def end(self):
        if self._left:
            self.fail('the field "%s" is unknown' % sorted(self._left)[0])


WORDS = {str: "a text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object in braces"}


def plain(row, name, value):
    """Texts go into comments and string literals."""
    if not all(" " <= character <= "~" for character in value) or "*/" in value or "/*" in value:
        row.fail('the field "%s" may only have printable ASCII, and no /* or */' % name)
    return value


def load(folder):
    """The checked schema that is in folder."""
    folder = Path(folder)
    errors = load_errors(folder / "errors.json")
    return load_operations(folder / "operations.json", {error.name: error for error in errors})


def read_json(path):
    def no_duplicates(pairs):
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError('%s: the field "%s" stands twice in one object' % (path, name))
        return dict(pairs)

    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=no_duplicates)
    except OSError as error:
        raise SchemaError("%s: %s" % (path, error.strerror)) from error
    except ValueError as error:
        raise SchemaError("%s: not JSON: %s" % (path, error)) from error


def unique(row, seen, value, what):
    if value in seen:
        row.fail("%s %s is taken by %s" % (what, value, seen[value]))
    seen[value] = row.where.split(": ", 1)[1]


def load_errors(path):
    top = Row(str(path), read_json(path))
    names, numbers, exits, errors = {}, {}, {}, []
    for index, data in enumerate(top.take("errors", list)):
        row = named_row("%s: error" % path, index, data)
        error = Error(row.take("name", str), row.take("number", int), row.take("class", str),
                      row.take("exit", int), row.sentence("text"))
        row.end()
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", error.name):
            row.fail('"%s" is not a name in capitals' % error.name)
        unique(row, names, error.name, "the name")
        unique(row, numbers, error.number, "the number")
        check_error(row, error, exits)
        errors.append(error)
    top.end()
    return sorted(errors, key=lambda error: -error.number)


def check_error(row, error, exits):
    sign = ERROR_CLASSES.get(error.error_class)
    if sign is None:
        row.fail('the class "%s" is unknown; known are %s' % (error.error_class, ", ".join(ERROR_CLASSES)))
    if error.number * sign <= 0:
        row.fail("the number of a %s must be %s" % (error.error_class, "positive" if sign > 0 else "negative"))
    if error.error_class == "notice":
        if error.exit_code != 0:
            row.fail("a notice is a success: its exit code is 0")
        return
    if error.exit_code not in EXIT_CODES:
        row.fail("the exit code must be from %d to %d" % (EXIT_CODES[0], EXIT_CODES[-1]))
    unique(row, exits, error.exit_code, "the exit code")


def named_row(where, index, data):
    """A row called by its name in messages, or by its place when it has none."""
    name = data.get("name") if isinstance(data, dict) else None
    return Row("%s %s" % (where, name if isinstance(name, str) else "number %d" % (index + 1)), data)


def load_operations(path, errors):
    top = Row(str(path), read_json(path))
    common = load_common_errors(top, errors)
    common_options = load_options(top, "common_options", {})
    opening = load_opening(Row("%s: open" % path, top.take("open", dict)), errors)
    closing = load_closing(Row("%s: close" % path, top.take("close", dict)))
    public = {}  # every public identifier, and who has it
    hand_written = load_names(top, "hand_written", public)
    load_names(top, "reserved", public)
    for mode in MODES:
        if mode[len("BROKER_"):] in errors:
            top.fail("the error %s has the name of a mode" % mode)
    names, numbers, headers, types = {}, {}, {"errors": "", "options": "", "objects": ""}, []
    for index, data in enumerate(top.take("types", list)):
        row = named_row("%s: type" % path, index, data)
        kind = load_type(row, common_options, errors)
        unique(row, names, kind.name, "the name")
        unique(row, numbers, kind.number, "the number")
        unique(row, headers, kind.header, "the header")
        claim_names(row, public, kind)
        load_type_operations(path, row, kind, errors, common, public)
        row.end()
        types.append(kind)
    top.end()
    if not types:
        top.fail("there are no types")
    shared = {group: sorted_causes(common[group], errors) for group in ("always", "object", "changes")}
    return Schema(list(errors.values()), types, common_options, hand_written, shared, opening, closing)


def load_names(top, name, public):
    names = top.take(name, list)
    for value in names:
        if not isinstance(value, str) or not re.fullmatch(r"broker(_[a-z0-9]+)*", value):
            top.fail('%s: %s is not a public name' % (name, json.dumps(value)))
        if value in public:
            top.fail('%s: the name %s stands twice' % (name, value))
        public[value] = name
    return names


def causes(row, data, errors, notices=False):
    """{"NOTFOUND": "when"} with every name known."""
    for name, when in data.items():
        if name not in errors:
            row.fail('the error "%s" is not in errors.json' % name)
        if errors[name].number > 0 and not notices:
            row.fail('"%s" is a notice, which not every operation gives' % name)
        if not isinstance(when, str) or not when.strip():
            row.fail('the error "%s" needs a text that tells when it is given' % name)
        plain(row, name, when)
    return data


def sorted_causes(merged, errors):
    return sorted(((errors[name], when) for name, when in merged.items()), key=lambda pair: -pair[0].number)


def load_common_errors(top, errors):
    row = Row(top.where + ": common_errors", top.take("common_errors", dict))
    groups = ["always", "object", "changes", "blocks", "buffer"]
    groups += [kind.name for kind in KINDS.values() if kind.argument]
    common = {group: causes(row, row.take(group, dict, {}), errors) for group in groups}
    row.end()
    return common


def load_options(row, name, taken):
    options, seen = [], dict(taken)
    for index, data in enumerate(row.take(name, list)):
        option_row = named_row("%s: option" % row.where, index, data)
        option = Option(option_row.bare_identifier(), option_row.kind(lambda kind: kind.option), option_row.text("doc"),
                        option_row.take("needed", bool, False))
        option_row.end()
        unique(option_row, seen, option.name, "the name")
        options.append(option)
    return options


def load_opening(row, errors):
    opening = Opening(row.sentence("doc"), row.sentence("detail"), row.text("name_doc"), row.text("options_doc"),
                      row.text("success"), [], row.sentence("crash"))
    opening.errors = sorted_causes(causes(row, row.take("errors", dict), errors), errors)
    row.end()
    return opening


def load_closing(row):
    closing = Closing(row.sentence("doc"), row.sentence("detail"), row.sentence("crash"))
    row.end()
    return closing


def load_type(row, common_options, errors):
    """The type without its operations."""
    name = row.identifier()
    number = row.take("number", int)
    if number < 0:
        row.fail("the number must not be negative; 0 is the arena itself")
    handle = "b" if number == 0 else row.bare_identifier("handle") if row.has("handle") else name
    if number > 0 and handle in TAKEN_NAMES | C_KEYWORDS:
        row.fail('a handle cannot be called "%s"; give it another name in the field "handle"' % handle)
    c_name = row.identifier("c_name")
    if c_name.split("_")[0] != "broker":
        row.fail('the C name "%s" must begin with "broker"' % c_name)
    kind = Type(name, number, c_name, row.identifier("header"), handle, row.sentence("doc"),
                row.sentence("detail", ""), [], [])
    kind.options = load_options(row, "options", {option.name: "every type" for option in common_options})
    kind.own_open = row.take("own_open", bool, False)
    kind.open_errors = causes(row, row.take("open_errors", dict, {}), errors)
    if kind.is_object:
        kind.example = row.lines("example")
    elif kind.options or kind.c_name != "broker":
        row.fail("the arena itself is called broker and has no options: it is not opened by name")
    return kind


def claim_names(row, public, kind):
    if kind.is_object:
        for name in (kind.c_name, kind.options_type, kind.c_name + "_open",
                     kind.c_name + "_open_ref", kind.c_name + "_close"):
            unique(row, public, name, "the C name")


def load_type_operations(path, type_row, kind, errors, common, public):
    for index, data in enumerate(type_row.take("operations", list)):
        row = named_row("%s: %s" % (path, kind.name), index, data)
        operation = load_operation(row, kind)
        unique(row, public, operation.function, "the C name")
        check_operation(row, operation)
        merge_errors(row, operation, errors, common)
        kind.operations.append(operation)
    if not kind.operations:
        type_row.fail("there are no operations")


def load_operation(row, kind):
    name, doc, detail = row.identifier(), row.sentence("doc"), row.sentence("detail", "")
    cli = Row(row.where + ": cli", row.take("cli", dict, {}))
    as_options = cli.take("options", list, [])
    args = [load_argument(named_row("%s: argument" % row.where, index, data), as_options)
            for index, data in enumerate(row.take("args", list))]
    for option in as_options:
        if option not in [arg.name for arg in args]:
            cli.fail('the option "%s" is no argument' % option)
    results = [load_result(named_row("%s: result" % row.where, index, data))
               for index, data in enumerate(row.take("results", list))]
    operation = Operation(
        kind, name, doc, detail, args, results,
        row.text("success", "the outputs are set" if results else "it is done"),
        row.take("blocks", bool), row.take("changes", bool), row.take("errors", dict), row.sentence("crash"),
        cli.take("command", str, name.replace("_", "-")), cli.take("destroys", bool, False), cli.take("creates", bool, False),
        row.lines("example"))
    cli.end()
    row.end()
    return operation


def load_argument(row, as_options):
    name, kind, doc = row.bare_identifier(), row.kind(lambda kind: kind.argument), row.text("doc")
    has_default = row.has("default")
    default = load_default(row, kind) if has_default else None
    row.end()
    return Argument(name, kind, doc, has_default, default,
                    name in as_options or (has_default and kind.name in ("duration", "period")))


def load_default(row, kind):
    value = row.take_any("default")
    if kind.name in ("map", "array"):
        row.fail("a %s cannot have a default" % kind.name)
    if kind.name == "i64" and value == "omitted":
        return OMITTED
    if kind.packed or kind.name == "string":
        wanted, fits = "null", value is None
    elif kind.name == "bool":
        wanted, fits = "true or false", isinstance(value, bool)
    elif kind.name in ("duration", "period"):
        wanted = '"forever" or nanoseconds'
        fits = value == "forever" or (type(value) is int and 0 <= value <= FOREVER)
        value = FOREVER if value == "forever" else value
    else:
        low = -(1 << 63) if kind.name in ("i64", "number") else 0
        wanted, fits = "a whole number", type(value) is int and low < value <= FOREVER
        fits = fits or value == 0
    if not fits:
        row.fail('the default of a %s must be %s' % (kind.name, wanted))
    return value


def load_result(row):
    result = Result(row.identifier(), row.kind(lambda kind: kind.result), row.text("doc"),
                    row.take("optional", bool, False))
    if row.has("columns"):
        if result.kind.name != "array":
            row.fail("only an array can have columns")
        result.columns = [load_column(Row("%s: column number %d" % (row.where, index + 1), data))
                          for index, data in enumerate(row.take("columns", list))]
    row.end()
    return result


def load_column(row):
    column = Column(row.identifier("key"), row.take("kind", str))
    row.end()
    if column.cell not in CELLS:
        row.fail('the kind "%s" of a column is unknown; known are %s' % (column.cell, ", ".join(CELLS)))
    return column


def check_operation(row, operation):
    seen = {operation.type.handle: "the handle", **{name: "the generator" for name in TAKEN_NAMES}}
    if not operation.type.is_object:
        del seen["name"]
    for value in operation.args + operation.results:
        if value.c_name in seen:
            row.fail('the name "%s" is taken by %s' % (value.name, seen[value.c_name]))
        seen[value.c_name] = value.name
    if operation.blocks != any(arg.kind.name == "duration" for arg in operation.args):
        row.fail('an operation has a "duration" if it blocks, and only then')
    must_follow = None
    for arg in operation.args:
        if must_follow and not arg.has_default:
            row.fail('the argument "%s" needs a default because "%s" before it has one' % (arg.name, must_follow))
        must_follow = arg.name if arg.has_default else must_follow
    if len(operation.results) > MAX_RESULTS:
        row.fail("there are more than %d results" % MAX_RESULTS)
    if any(result.optional and result.kind.packed for result in operation.results):
        row.fail("a result that lies in the buffer cannot be optional")


def merge_errors(row, operation, errors, common):
    """What its arguments and results bring with them is specific to an operation; its own causes win."""
    specific = dict(causes(row, operation.own_errors, errors, notices=True))
    groups = [arg.kind.name for arg in operation.args]
    groups += ["blocks"] if operation.blocks else []
    groups += ["buffer"] if operation.has_buffer else []
    for group in groups:
        for name, when in common[group].items():
            specific.setdefault(name, when)
    operation.errors = sorted_causes(specific, errors)
    operation.n_specific = len(specific)
    rest = {}
    for group in common_groups(operation.type, operation.changes):
        rest.update((name, when) for name, when in common[group].items() if name not in specific)
    operation.errors += sorted_causes(rest, errors)


def common_groups(kind, changes):
    return ["always"] + ["object"] * kind.is_object + ["changes"] * changes
