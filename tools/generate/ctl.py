"""ctl_table.h and ctl_table.c: all operations and errors as brokerctl presents them."""

from model import FOREVER, OMITTED
from text import banner, entry, quoted

HEADER = """#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>

#include "engine_ops.h"

struct ctl_argument {
    const char *name;
    enum bri_arg kind;
    const char *doc;
    bool option;          /* given as --name and not by its place */
    const char *fallback; /* what stands for it when it is not given; NULL: it must be given */
};

enum ctl_cell {
    CTL_CELL_TEXT,
    CTL_CELL_NUMBER,
    CTL_CELL_BYTES,    /* on a terminal with a unit */
    CTL_CELL_TIME,     /* nanoseconds since 1970; on a terminal a date */
    CTL_CELL_DURATION, /* nanoseconds; on a terminal with units */
};

/* Of a table, whose rows are maps. */
struct ctl_column {
    const char *key;
    const char *title;
    enum ctl_cell kind;
};

struct ctl_result {
    const char *name;
    enum bri_arg kind;
    const char *doc;
    const struct ctl_column *columns; /* of an array of maps that is shown as a table */
    unsigned n_columns;
};

struct ctl_cause {
    enum broker_error error;
    const char *when;
};

struct ctl_operation {
    const char *type;    /* such as "queue" */
    const char *name;    /* as in C: "task_done" */
    const char *command; /* as on the command line: "task-done" */
    const char *usage;   /* "queue task-done NAME" */
    const char *doc;     /* a sentence */
    const char *detail;  /* more of them; may be empty */
    const char *crash;
    enum bri_op op;
    bool blocks;
    bool changes;
    bool destroys; /* what is in the object: to be confirmed */
    bool creates;  /* the object, if it is not there; see ctl_creates() */
    const struct ctl_argument *args;
    unsigned n_args;
    const struct ctl_result *results;
    unsigned n_results;
    const struct ctl_cause *errors; /* its own first, then what all have in common */
    unsigned n_specific;
    unsigned n_errors;
};

/* An option of opening, in the order of bri_dispatch_open(). */
struct ctl_option {
    const char *name; /* "max_items" */
    const char *flag; /* "--max-items"; NULL if it is not given by a flag of its own */
    enum bri_arg kind;
    const char *doc;
    bool needed; /* to create an object */
};

struct ctl_type {
    const char *name;
    uint32_t number; /* enum bri_type; operations of BRI_TYPE_BROKER take no object */
    const char *doc;
    const char *detail;
    const struct ctl_option *options;
    unsigned n_options;
    const struct ctl_operation *operations;
    unsigned n_operations;
};

struct ctl_error {
    enum broker_error error;
    const char *name;
    const char *error_class; /* notice, answer, fault, unknown */
    int exit_code;
    const char *text;
};

extern const struct ctl_type ctl_types[];
extern const unsigned ctl_n_types;
extern const struct ctl_error ctl_errors[];
extern const unsigned ctl_n_errors;

/* Exit codes: these two, and those of ctl_errors. */
#define CTL_EXIT_FAILURE 1
#define CTL_EXIT_USAGE 2

#endif
"""


def ctl_table_h():
    return banner("All operations and errors as brokerctl presents them.") + HEADER


# What the schema says to callers in C, in the words of the command line.
SPOKEN = [("BROKER_OMITTED", "left out"), ("BROKER_FOREVER", "forever"), ("a handle is not open, ", ""),
          ("the handle is not open, ", ""), ("a pointer is NULL that may not be, ", ""), ("a pointer is NULL, ", "")]


def spoken(text):
    for written, said in SPOKEN:
        text = text.replace(written, said)
    return text[len("or "):] if text.startswith("or ") else text


def flag(name):
    return "--" + name.replace("_", "-")


def option_flag(option):
    """A mode is chosen by the command, not by a flag with a number."""
    return None if option.kind.name == "mode" else flag(option.name)


def usage(operation):
    """How the operation is called, without the program's name."""
    kind = operation.type
    words = [kind.name, operation.command, "NAME"] if kind.is_object else [operation.command]
    for arg in operation.args:
        if not arg.as_option:
            word = arg.name.upper().replace("_", "-")
            words.append("[%s]" % word if arg.has_default else word)
    for arg in operation.args:
        if arg.as_option:
            word = "%s %s" % (flag(arg.name), default_word(arg.kind))
            words.append("[%s]" % word if arg.has_default else word)
    return " ".join(words)


def default_word(kind):
    return {"duration": "DURATION", "period": "DURATION", "string": "TEXT", "bool": "true|false", "key": "KEY", "value": "VALUE",
            "map": "MAP", "array": "ARRAY"}.get(kind.name, "N")


def fallback(arg):
    if not arg.has_default:
        return None
    if arg.default is None:
        return "null"
    if isinstance(arg.default, bool):
        return "true" if arg.default else "false"
    if arg.default == OMITTED:
        return "omitted"
    return "forever" if arg.kind.name in ("duration", "period") and arg.default == FOREVER else str(arg.default)


def word(value):
    return "true" if value else "false"


def array(struct, name, rows):
    """A static table, if there is something for it."""
    if not rows:
        return ""
    return "static const struct %s %s[] = {\n%s};\n\n" % (struct, name, "".join("    %s,\n" % row for row in rows))


def members(*values):
    """An initialiser, one member a line: texts are long."""
    return "{\n" + "".join("        %s,\n" % value for value in values) + "    }"


def sized(name, rows):
    return "%s,\n        %d" % (name if rows else "NULL", len(rows))


def ctl_table_c(schema):
    out = banner("All operations and errors as brokerctl presents them.")
    out += '#include "ctl_table.h"\n\n#include <stddef.h>\n\n'
    for kind in schema.types:
        for operation in kind.operations:
            out += operation_parts(operation)
        out += array("ctl_operation", "operations_" + kind.name, [operation_row(each) for each in kind.operations])
        options = schema.options_of(kind) if kind.is_object else []
        out += array("ctl_option", "options_" + kind.name, [option_row(each) for each in options])
    out += "const struct ctl_type ctl_types[] = {\n"
    for kind in schema.types:
        options = schema.options_of(kind) if kind.is_object else []
        out += "    %s,\n" % members(
            quoted(kind.name), kind.constant, quoted(kind.doc, 8), quoted(kind.detail, 8),
            sized("options_" + kind.name, options), sized("operations_" + kind.name, kind.operations))
    out += "};\nconst unsigned ctl_n_types = %d;\n\nconst struct ctl_error ctl_errors[] = {\n" % len(schema.types)
    for error in schema.errors:
        out += entry([error.constant, quoted(error.name), quoted(error.error_class), str(error.exit_code),
                      quoted(error.text, 8)]) + "\n"
    return out + "};\nconst unsigned ctl_n_errors = %d;\n" % len(schema.errors)


def operation_parts(operation):
    name = operation.slot
    return (
        array("ctl_argument", "args_" + name,
              [members(quoted(arg.name), arg.kind.constant, quoted(spoken(arg.doc), 8), word(arg.as_option),
                       quoted(fallback(arg))) for arg in operation.args]) +
        "".join(array("ctl_column", columns_name(operation, result), [column_row(each) for each in result.columns])
                for result in operation.results) +
        array("ctl_result", "results_" + name,
              [members(quoted(result.name), result.kind.constant, quoted(result.doc, 8),
                       sized(columns_name(operation, result), result.columns)) for result in operation.results]) +
        array("ctl_cause", "errors_" + name,
              [entry([error.constant, quoted(spoken(when), 8)]).strip(" ,") for error, when in operation.errors]))


def columns_name(operation, result):
    return "columns_%s_%s" % (operation.slot, result.name)


def column_row(column):
    return entry([quoted(column.key), quoted(column.title), "CTL_CELL_" + column.cell.upper()]).strip(" ,")


def operation_row(operation):
    name = operation.slot
    return members(
        quoted(operation.type.name), quoted(operation.name), quoted(operation.command),
        quoted(usage(operation), 8), quoted(operation.doc, 8), quoted(spoken(operation.detail), 8),
        quoted(operation.crash, 8), operation.constant, word(operation.blocks), word(operation.changes),
        word(operation.destroys), word(operation.creates),
        sized("args_" + name, operation.args), sized("results_" + name, operation.results),
        "errors_" + name, operation.n_specific, len(operation.errors))


def option_row(option):
    return members(quoted(option.name), quoted(option_flag(option)), option.kind.constant, quoted(spoken(option.doc), 8),
                   word(option.needed))
