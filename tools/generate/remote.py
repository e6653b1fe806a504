"""engine_remote.c: each operation as a request to a broker behind ZeroMQ, and its answer."""

import re

import declare
from model import FOREVER, OMITTED
from text import banner, listed

INCLUDES = """#include <stddef.h>

#include "engine/remote.h"
#include "engine_ops.h"
"""

# Each is written only where it is used.
HELPERS = """
/* What stands for the default of an argument is nil on the wire. */
static broker_value without(int64_t i, int64_t what_is_default)
{
    return i == what_is_default ? broker_nil() : broker_int(i);
}

static broker_value text(const char *text)
{
    return text == NULL ? broker_nil() : broker_str(text);
}

/* What is no number is to be refused where it arrives, and nil is not to be taken for a default. */
static broker_value number(broker_value v)
{
    switch (v.type) {
    case BROKER_BOOL:
    case BROKER_INT:
    case BROKER_UINT:
    case BROKER_DOUBLE:
        return v;
    case BROKER_PACKED:
        if (v.data != NULL && v.size > 0 && *(const uint8_t *)v.data != 0xc0)
            return v;
        break;
    }
    return broker_str("");
}

/* Options that are zero are not given. */
static broker_value unless_0(int64_t i)
{
    return i == 0 ? broker_nil() : broker_int(i);
}

static broker_value unless_0u(uint64_t u)
{
    return u == 0 ? broker_nil() : broker_uint(u);
}

static broker_value if_true(bool b)
{
    return b ? broker_bool(true) : broker_nil();
}
"""

# The member of a broker_value in which a result comes, by its C type.
MEMBERS = {"int64_t": ".i", "uint64_t": ".u", "bool": ".b", "broker_value": ""}
MAKERS = {"int64_t": "broker_int(%s)", "uint64_t": "broker_uint(%s)", "bool": "broker_bool(%s)",
          "const char *": "text(%s)", "broker_value": "%s"}
OPTIONS = {"int64_t": "unless_0(%s)", "uint64_t": "unless_0u(%s)", "bool": "if_true(%s)", "const char *": "text(%s)",
           "broker_value": "%s", "broker_mode": "unless_0((int64_t)%s)"}
STANDINS = {FOREVER: "BROKER_FOREVER", OMITTED: "BROKER_OMITTED"}


def argument(arg):
    if arg.has_default and arg.kind.c_type == "int64_t" and arg.default in STANDINS:
        return "without(%s, %s)" % (arg.c_name, STANDINS[arg.default])
    if arg.kind.name == "number":
        return "number(%s)" % arg.c_name
    return MAKERS[arg.kind.c_type] % arg.c_name


def shape(operation):
    """What all requests of an operation have in common."""
    required = [number for number, arg in enumerate(operation.args, 1) if not arg.has_default]
    values = [".op = " + operation.constant, ".n_args = %d" % len(operation.args),
              ".n_required = %d" % max(required, default=0)]
    if operation.results:
        kinds = ", ".join(result.kind.constant for result in operation.results)
        values += [".n_results = %d" % len(operation.results), ".results = {%s}" % kinds]
    return listed("static const struct bri_remote_shape shape = {", values, "};", "    ")


def call(operation):
    values = [".shape = &shape"]
    values += [".handle = h"] if operation.type.is_object else [".broker = b"]
    values += [".args = args"] if operation.args else []
    values += [".buffer = buffer"] if operation.has_buffer else []
    values += [".timeout_ns = " + next(arg.c_name for arg in operation.args if arg.kind.name == "duration")
               if operation.blocks else ".timeout_ns = BROKER_FOREVER"]
    return listed("struct bri_remote_call call = {", values, "};", "    ")


def operation_c(operation):
    lines = ["", listed("static int remote_%s(" % operation.slot, declare.engine_parameters(operation), ")"), "{",
             shape(operation)]
    if operation.args:
        lines.append(listed("broker_value args[] = {", [argument(arg) for arg in operation.args], "};", "    "))
    lines.append(call(operation))
    if not operation.results:
        return "\n".join(lines + ["", "    return bri_remote_call(&call);", "}", ""])
    lines += ["    int r = bri_remote_call(&call);", "",
              "    if (r >= 0)" + (" {" if len(operation.results) > 1 else "")]
    for number, result in enumerate(operation.results):
        lines.append("        *%s = call.results[%d]%s;" % (result.c_name, number, MEMBERS[result.kind.c_type]))
    return "\n".join(lines + (["    }"] if len(operation.results) > 1 else []) + ["    return r;", "}", ""])


def option(each):
    value = OPTIONS[each.kind.c_type] % ("options->" + each.c_name)
    return listed("{", ['"%s"' % each.name, value], "},", "        ")


def open_c(schema, kind):
    params = declare.open_parameters(kind, "struct bri_handle **out")
    out = "\n" + listed("static int remote_%s_open(" % kind.name, params, ")")
    out += "\n{\n    const struct bri_remote_option given_options[] = {\n"
    for each in schema.options_of(kind):
        out += option(each) + "\n"
    return out + """    }};
    const struct bri_remote_open open = {{.op = {op},
        .type = {type},
        .mode = (int)options->mode,
        .object = text(name),
        .options = given_options,
        .n_options = sizeof(given_options) / sizeof(given_options[0])}};

    return bri_remote_open(b, &open, out);
}}
""".format(op=kind.open_constant, type=kind.constant)


def open_ref_c(schema):
    out = """
static int remote_open_ref(broker *b, uint32_t type, broker_value ref, struct bri_handle **out)
{
    struct bri_remote_open open = {.type = type, .mode = BROKER_OPEN, .object = ref};

    open.op = bri_remote_opener(type);
    return bri_remote_open(b, &open, out);
}

enum bri_op bri_remote_opener(uint32_t type)
{
    switch (type) {
"""
    for kind in schema.objects:
        out += "    case %s:\n        return %s;\n" % (kind.constant, kind.open_constant)
    return out + "    default:\n        return BRI_N_OPS;\n    }\n}\n"


def helpers(body):
    """Those of HELPERS that the code calls."""
    out = ""
    for each in re.split(r"(?<=\n}\n)", HELPERS):
        name = re.search(r"^static \w+ (\w+)\(", each, re.M)
        if name and re.search(r"\b%s\(" % name.group(1), body):
            out += each
    return out


def engine_remote_c(schema):
    body = operations_c(schema)
    return (banner("The remote engine: each operation as a request to a broker behind ZeroMQ.") + INCLUDES +
            helpers(body) + body)


def operations_c(schema):
    out = ""
    for kind in schema.objects:
        out += open_c(schema, kind)
    for operation in schema.operations:
        out += operation_c(operation)
    out += open_ref_c(schema) + "\nconst struct bri_engine_ops bri_engine_remote = {\n"
    for kind in schema.types:
        slots = ["%s_open" % kind.name] if kind.is_object else []
        for slot in slots + [operation.slot for operation in kind.operations]:
            out += "    .%s = remote_%s,\n" % (slot, slot)
    return out + """    .open_ref = remote_open_ref,
    .close = bri_remote_close_handle,
    .ref = bri_remote_ref,
    .begin = bri_remote_begin,
    .is_connected = bri_remote_is_connected,
    .reattach = bri_remote_reattach,
    .reattach_handle = bri_remote_reattach_handle,
    .end = bri_remote_end,
};
"""
