"""Inside the library: the engine interface, the shm engine's table, and the public functions."""

import zlib

import declare
from model import MAX_RESULTS
from text import COLUMNS, banner, listed
from kinds import KINDS


def enumeration(name, doc, constants):
    return "/* %s */\nenum %s {\n%s};\n\n" % (doc, name, "".join("    %s,\n" % each for each in constants))


def ops_print(schema):
    """A number that differs if operations are numbered differently."""
    return zlib.crc32(" ".join(name for _, name in schema.operation_constants()).encode())


def engine_ops_h(schema):
    out = banner("The engine interface: every operation, as one way to carry it out sees it.")
    out += """#ifndef BRI_ENGINE_OPS_H
#define BRI_ENGINE_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include <broker/errors.h>
#include <broker/options.h>
#include <broker/types.h>
#include <broker/value.h>

struct bri_address;
struct bri_arena;
struct bri_handle;

#define BRI_MAX_RESULTS %d /* of an operation */

""" % MAX_RESULTS
    out += enumeration("bri_type", "Types of object, and the arena itself. The numbers are stable.",
                       ["%s = %d" % (kind.constant, kind.number) for kind in schema.types])
    out += enumeration("bri_arg", "Kinds of arguments, results and options.",
                       [kind.constant for kind in KINDS.values()])
    out += enumeration("bri_op", "Every operation. The numbers are not stable: names travel.",
                       [constant for constant, _ in schema.operation_constants()] + ["BRI_N_OPS"])
    out += """struct bri_op_info {
    const char *name; /* such as "dict.get" */
    uint32_t type;    /* enum bri_type */
    bool blocks;
    bool changes; /* needs the right to write */
};

extern const struct bri_op_info bri_op_info[BRI_N_OPS];

/* Of all their names, in order: programs with the same one give them the same numbers. */
#define BRI_OPS_PRINT """ + "%#010xu" % ops_print(schema) + """

/* The name of a type, such as "dict"; NULL if the number is none. */
const char *bri_type_name(uint32_t type);

/* The number of the type of object with this name; 0 if there is none. */
uint32_t bri_type_number(const char *name);

/*
 * One engine. What reaches it was checked: no pointer is NULL but a string that the schema says may
 * be, no timeout is negative, and options and their mode are there and valid. Outputs are written
 * on success only.
 */
struct bri_engine_ops {
"""
    for kind in schema.types:
        if kind.is_object:
            params = declare.open_parameters(kind, "struct bri_handle **out")
            out += listed("int (*%s_open)(" % kind.name, params, ");", "    ") + "\n"
        for operation in kind.operations:
            out += listed("int (*%s)(" % operation.slot, declare.engine_parameters(operation), ");", "    ") + "\n"
    out += """    int (*open_ref)(broker *b, uint32_t type, broker_value ref, struct bri_handle **out);
    void (*close)(struct bri_handle *h);
    broker_value (*ref)(const struct bri_handle *h);

    /* Makes a session, of which nobody else knows yet; and ends it, as if it @died. */
    int (*begin)(broker *b, const struct bri_address *address, struct bri_arena *mapped);
    void (*end)(broker *b, bool died);
    bool (*is_connected)(broker *b); /* false: another open makes another session */

    /* In a child after fork, with the broker's mutex: a session of its own; the object in it. */
    int (*reattach)(broker *b);
    int (*reattach_handle)(struct bri_handle *h);
};

/* Over ZeroMQ. */
extern const struct bri_engine_ops bri_engine_remote;

/* The shm engine, and what it is made of. */
extern const struct bri_engine_ops bri_engine_shm;

"""
    for kind in schema.types:
        if kind.is_object:
            params = declare.open_parameters(kind, "struct bri_handle **out")
            out += listed("int bri_%s_open(" % kind.name, params, ");") + "\n"
        for operation in kind.operations:
            out += listed("int bri_%s(" % operation.slot, declare.engine_parameters(operation), ");") + "\n"
    out += "int bri_open_ref(broker *b, uint32_t type, broker_value ref, struct bri_handle **out);\n"
    return out + """void bri_shm_close_handle(struct bri_handle *h);
broker_value bri_shm_ref(const struct bri_handle *h);
int bri_shm_begin(broker *b, const struct bri_address *address, struct bri_arena *mapped);
void bri_shm_end(broker *b, bool died);
bool bri_shm_is_connected(broker *b);
int bri_shm_reattach(broker *b);
int bri_shm_reattach_handle(struct bri_handle *h);

#endif
"""


def engine_ops_c(schema):
    out = banner("The names of operations and types.")
    out += '#include <stddef.h>\n#include <string.h>\n\n#include "engine_ops.h"\n\n'
    out += "const struct bri_op_info bri_op_info[BRI_N_OPS] = {\n"
    for kind in schema.types:
        if kind.is_object:
            out += op_info(kind.open_constant, kind, "open", False, False)
        for operation in kind.operations:
            out += op_info(operation.constant, kind, operation.name, operation.blocks, operation.changes)
    out += "};\n\nconst char *bri_type_name(uint32_t type)\n{\n    switch (type) {\n"
    for kind in schema.types:
        out += "    case %s:\n        return \"%s\";\n" % (kind.constant, kind.name)
    out += "    default:\n        return NULL;\n    }\n}\n\n"
    out += "uint32_t bri_type_number(const char *name)\n{\n"
    for kind in schema.objects:
        out += '    if (strcmp(name, "%s") == 0)\n        return %s;\n' % (kind.name, kind.constant)
    return out + "    return 0;\n}\n"


def op_info(constant, kind, name, blocks, changes):
    words = {True: "true", False: "false"}
    values = ['"%s.%s"' % (kind.name, name), kind.constant, words[blocks], words[changes]]
    return listed("[%s] = {" % constant, values, "},", "    ") + "\n"


def engine_shm_c(schema):
    out = banner("The shm engine: each operation as objects/ carries it out, and the table of types.")
    out += '#include <stddef.h>\n\n#include "engine_ops.h"\n#include "objects/open.h"\n\n'
    for kind in schema.objects:
        out += "extern const struct bri_type_ops bri_%s_type;\n" % kind.name
    out += "\nconst struct bri_type_ops *bri_type_ops(uint32_t number)\n{\n    switch (number) {\n"
    for kind in schema.objects:
        out += "    case %s:\n        return &bri_%s_type;\n" % (kind.constant, kind.name)
    out += "    default:\n        return NULL;\n    }\n}\n"
    for kind in schema.objects:
        if kind.own_open:
            continue
        params = declare.open_parameters(kind, "struct bri_handle **out")
        out += "\n" + listed("int bri_%s_open(" % kind.name, params, ")")
        out += "\n{\n    return bri_open_object(b, name, &bri_%s_type, options, out);\n}\n" % kind.name
    out += "\nconst struct bri_engine_ops bri_engine_shm = {\n"
    for kind in schema.types:
        slots = ["%s_open" % kind.name] if kind.is_object else []
        for slot in slots + [operation.slot for operation in kind.operations]:
            out += "    .%s = bri_%s,\n" % (slot, slot)
    return out + """    .open_ref = bri_open_ref,
    .close = bri_shm_close_handle,
    .ref = bri_shm_ref,
    .begin = bri_shm_begin,
    .end = bri_shm_end,
    .is_connected = bri_shm_is_connected,
    .reattach = bri_shm_reattach,
    .reattach_handle = bri_shm_reattach_handle,
};
"""


def api_c(kind):
    out = banner("The public functions of %s: check the arguments, call the engine." % kind.name)
    out += '#include <stddef.h>\n\n#include <broker/%s.h>\n\n' % kind.header
    out += '#include "client/observe.h"\n#include "engine_ops.h"\n'
    if kind.is_object:
        out += "\n" + open_function(kind) + "\n" + open_ref_function(kind) + "\n" + close_function(kind)
    return out + "".join("\n" + wrapper(operation) for operation in kind.operations)


def open_function(kind):
    return declare.open_prototype(kind) + """
{{
    static const {options} defaults;
    struct bri_handle *h;
    int r = bri_enter_broker(b);

    if (options == NULL)
        options = &defaults;
    if (r >= 0 && (out_{handle} == NULL || (unsigned)options->mode > BROKER_OPEN))
        r = BROKER_INVALID;
    if (r >= 0) {{
        bri_observe(b->monitored);
        r = bri_broker_engine(b)->{name}_open(b, name, options, &h);
        bri_observed(b, r >= 0 ? h : NULL, {op}, r);
    }}
    if (r < 0)
        return bri_fail_broker(b, {op}, name, r);
    *out_{handle} = ({c_name} *)h;
    return r;
}}
""".format(options=kind.options_type, handle=kind.handle, name=kind.name, op=kind.open_constant, c_name=kind.c_name)


def open_ref_function(kind):
    return declare.open_ref_prototype(kind) + """
{{
    struct bri_handle *h;
    int r = bri_enter_broker(b);

    if (r >= 0 && (ref.type != BROKER_REF || out_{handle} == NULL))
        r = BROKER_INVALID;
    if (r >= 0) {{
        bri_observe(b->monitored);
        r = bri_broker_engine(b)->open_ref(b, {constant}, ref, &h);
        bri_observed(b, r >= 0 ? h : NULL, {op}, r);
    }}
    if (r < 0)
        return bri_fail_broker(b, {op}, NULL, r);
    *out_{handle} = ({c_name} *)h;
    return r;
}}
""".format(handle=kind.handle, constant=kind.constant, op=kind.open_constant, c_name=kind.c_name)


def close_function(kind):
    return declare.close_prototype(kind) + """
{
    struct bri_handle *h = (struct bri_handle *)%s;

    if (h != NULL)
        h->engine->close(h);
}
""" % kind.handle


def bad_argument(operation):
    """The C condition under which an argument is refused before any engine sees it."""
    tests = ["%s == NULL" % arg.c_name for arg in operation.args
             if arg.kind.name == "string" and not arg.may_be_null]
    tests += ["%s < 0" % arg.c_name for arg in operation.args if arg.kind.name in ("duration", "period")]
    if operation.has_buffer:
        tests.append("buffer == NULL")
        tests += ["bri_borrows(%s, buffer)" % arg.c_name for arg in operation.args if arg.kind.packed]
    return tests + ["%s == NULL" % result.c_name for result in operation.results if not result.optional]


def engine_arguments(operation, handle):
    given = [handle] + [arg.c_name for arg in operation.args] + (["buffer"] if operation.has_buffer else [])
    for result in operation.results:
        name = result.c_name
        given.append("%s != NULL ? %s : &ignored_%s" % (name, name, result.name) if result.optional else name)
    return given


def named_argument(operation):
    """What the error message of an operation on the arena names."""
    return operation.args[0].c_name if operation.args and operation.args[0].name == "name" else "NULL"


def refusal(tests):
    """The line of the condition, broken behind an "||" where it is full."""
    lines, line = [], "    if (r >= 0 && (" if len(tests) > 1 else "    if (r >= 0 && "
    for number, test in enumerate(tests):
        piece = test + (" ||" if number < len(tests) - 1 else "))" if len(tests) > 1 else ")")
        space = "" if line.endswith((" ", "(")) else " "
        if len(line) + len(space) + len(piece) > COLUMNS:
            lines.append(line)
            line, space = " " * 8 + ("    " if len(tests) > 1 else ""), ""
        line += space + piece
    return "\n".join(lines + [line])


def wrapper(operation):
    kind, lines = operation.type, [declare.prototype(operation), "{"]
    if kind.is_object:
        lines.append("    struct bri_handle *h = (struct bri_handle *)%s;" % kind.handle)
        enter, engine = "bri_enter(h, %s)" % kind.constant, "h->engine->"
        fail, handle = "bri_fail(h, %s, r)" % operation.constant, "h"
    else:
        enter, engine, handle = "bri_enter_broker(b)", "bri_broker_engine(b)->", "b"
        fail = "bri_fail_broker(b, %s, %s, r)" % (operation.constant, named_argument(operation))
    lines += ["    %s ignored_%s;" % (result.kind.c_type, result.name)
              for result in operation.results if result.optional]
    lines += ["    int r = %s;" % enter, ""]
    tests = bad_argument(operation)
    if tests:
        lines.append(refusal(tests))
        lines.append("        r = BROKER_INVALID;")
    about = "h->broker, h" if kind.is_object else "b, NULL"
    lines += ["    if (r >= 0) {", "        bri_observe(%s->monitored);" % handle]
    call = listed("r = %s%s(" % (engine, operation.slot), engine_arguments(operation, handle), ");", "        ")
    lines += [call, "        bri_observed(%s, %s, r);" % (about, operation.constant), "    }"]
    return "\n".join(lines + ["    return r < 0 ? %s : r;" % fail, "}", ""])
