"""dispatch.h and dispatch.c: operations called by number with values, for brokerctl and the wire."""

from kinds import KINDS
from model import FOREVER, OMITTED
from text import banner, listed

HEADER = """#ifndef BRI_DISPATCH_H
#define BRI_DISPATCH_H

#include "engine_ops.h"

struct bri_call {
    broker *broker;            /* for operations of the arena itself */
    struct bri_handle *handle; /* for all others */
    enum bri_op op;            /* but no open */
    const broker_value *args;  /* in the schema's order; those with a default may be left out */
    uint32_t n_args;

    broker_buffer *buffer; /* not NULL if a result is a key, a value, a map or an array */
    broker_value results[BRI_MAX_RESULTS];
    uint32_t n_results; /* 0 on failure */
};

/*
 * Checks number and kinds of the arguments and calls the public function. Nil stands for the
 * default of an argument that has one; durations are nanoseconds. What the operation returns;
 * INVALID for arguments of wrong number or kind, BADNAME for a text that is no name.
 */
int bri_dispatch(struct bri_call *call);

/*
 * Opens or creates an object of a type. Option values come in the schema's order, those of every
 * type first; nil and what is missing stand for the default. What the open returns.
 */
int bri_dispatch_open(broker *b, uint32_t type, const char *name, const broker_value *option_values,
    uint32_t n, struct bri_handle **out);

/* The place of a type's option among the values of bri_dispatch_open(); -1 if it has none of this
 * name. */
int bri_dispatch_option(uint32_t type, const char *name, size_t size);

/* Opens the object of a reference. What the open returns; WRONGTYPE unless @type is its type. */
int bri_dispatch_open_ref(
    broker *b, uint32_t type, broker_value ref, struct bri_handle **out);

/* Closes what these opens gave. NULL does nothing. */
void bri_dispatch_close(struct bri_handle *h);

/* The schema's name of option number @i of a type, in the order in which bri_dispatch_open() takes
 * them; NULL if it has no more. */
const char *bri_dispatch_option_name(uint32_t type, uint32_t i);

#endif
"""

INCLUDES = """#include "dispatch.h"

#include <stddef.h>
#include <string.h>

#include <broker/objects.h>

#include "client/handle.h"

"""

CONVERSION = """
/* One argument after its check: the member that its kind has in C. */
struct argument {
    broker_value value;
    int64_t i;
    uint64_t u;
    bool b;
    const char *text; /* NULL for nil */
    char copy[TEXT_MAX + 1];
};

struct parameter {
    enum bri_arg kind;
    bool has_default;
    broker_value fallback;
};

static int to_i64(const broker_value *v, int64_t *out)
{
    if (v->type != BROKER_INT && (v->type != BROKER_UINT || v->u > INT64_MAX))
        return BROKER_INVALID;
    *out = v->i;
    return 0;
}

static int to_u64(const broker_value *v, uint64_t most, uint64_t *out)
{
    if ((v->type != BROKER_UINT && (v->type != BROKER_INT || v->i < 0)) || v->u > most)
        return BROKER_INVALID;
    *out = v->u;
    return 0;
}

/* Names are NUL-terminated in C and nowhere else. */
static int to_text(const broker_value *v, struct argument *a)
{
    a->text = NULL;
    if (v->type == BROKER_NIL)
        return 0;
    if (v->type != BROKER_STR || (v->data == NULL && v->size > 0))
        return BROKER_INVALID;
    if (v->size > TEXT_MAX || (v->size > 0 && memchr(v->data, '\\0', v->size) != NULL))
        return BROKER_BADNAME;
    if (v->size > 0)
        memcpy(a->copy, v->data, v->size);
    a->copy[v->size] = '\\0';
    a->text = a->copy;
    return 0;
}

/* A map or an array by its first byte: @fix with four bits free, or one of two from @wide. */
static int to_container(const broker_value *v, uint8_t fix, uint8_t wide, broker_value *out)
{
    uint8_t first;

    if (v->type != BROKER_PACKED || v->data == NULL || v->size == 0)
        return BROKER_INVALID;
    first = *(const uint8_t *)v->data;
    if ((first & 0xf0) != fix && (first & 0xfe) != wide)
        return BROKER_INVALID;
    *out = *v;
    return 0;
}

static int convert(enum bri_arg kind, const broker_value *v, struct argument *a)
{
    switch (kind) {
    case BRI_ARG_KEY:
    case BRI_ARG_VALUE:
    case BRI_ARG_NUMBER:
        a->value = *v;
        return 0;
    case BRI_ARG_MAP:
        return to_container(v, 0x80, 0xde, &a->value);
    case BRI_ARG_ARRAY:
        return to_container(v, 0x90, 0xdc, &a->value);
    case BRI_ARG_I64:
    case BRI_ARG_DURATION:
    case BRI_ARG_PERIOD:
        return to_i64(v, &a->i);
    case BRI_ARG_U64:
    case BRI_ARG_COUNT:
    case BRI_ARG_TOKEN:
        return to_u64(v, UINT64_MAX, &a->u);
    case BRI_ARG_MODE:
        return to_u64(v, BROKER_OPEN, &a->u);
    case BRI_ARG_STRING:
        return to_text(v, a);
    case BRI_ARG_BOOL:
        if (v->type != BROKER_BOOL)
            return BROKER_INVALID;
        a->b = v->b;
        return 0;
    }
    return BROKER_INTERNAL;
}

static int convert_all(const struct parameter *parameters, uint32_t n_parameters,
    const broker_value *given, uint32_t n_given, struct argument *out)
{
    if (n_given > n_parameters || (given == NULL && n_given > 0))
        return BROKER_INVALID;
    for (uint32_t i = 0; i < n_parameters; i++) {
        const struct parameter *p = &parameters[i];
        bool absent = i >= n_given || (p->has_default && given[i].type == BROKER_NIL);
        int r;

        if (absent && !p->has_default)
            return BROKER_INVALID;
        r = convert(p->kind, absent ? &p->fallback : &given[i], &out[i]);
        if (r < 0)
            return r;
    }
    return 0;
}
"""

FROM_U64 = """
/* As values out of an object: unsigned only where it must be. */
static broker_value from_u64(uint64_t u)
{
    return u <= INT64_MAX ? broker_int((int64_t)u) : broker_uint(u);
}
"""

ENTRY = """
int bri_dispatch(struct bri_call *call)
{
    struct argument arguments[MAX_ARGUMENTS];
    const struct operation *operation;
    int r;

    call->n_results = 0;
    if ((uint32_t)call->op >= BRI_N_OPS || operations[call->op].run == NULL)
        return BROKER_INVALID;
    operation = &operations[call->op];
    r = convert_all(
        operation->parameters, operation->n_parameters, call->args, call->n_args, arguments);
    if (r < 0 && bri_op_info[call->op].type == BRI_TYPE_BROKER)
        return bri_fail_broker(call->broker, call->op, NULL, r);
    if (r < 0)
        return bri_fail(call->handle, call->op, r);
    r = operation->run(call, arguments);
    if (r >= 0)
        call->n_results = operation->n_results;
    return r;
}

static const struct opener *find_opener(uint32_t type)
{
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
        if (openers[i].type == type)
            return &openers[i];
    return NULL;
}

int bri_dispatch_open(broker *b, uint32_t type, const char *name, const broker_value *option_values,
    uint32_t n, struct bri_handle **out)
{
    struct argument arguments[MAX_ARGUMENTS];
    const struct opener *o = find_opener(type);
    int r;

    if (o == NULL)
        return BROKER_INVALID;
    r = convert_all(o->parameters, o->n_parameters, option_values, n, arguments);
    return r < 0 ? bri_fail_broker(b, o->op, name, r) : o->run(b, name, arguments, out);
}

int bri_dispatch_option(uint32_t type, const char *name, size_t size)
{
    const struct opener *o = find_opener(type);

    for (uint32_t i = 0; o != NULL && i < o->n_parameters; i++)
        if (strlen(o->option_names[i]) == size && memcmp(o->option_names[i], name, size) == 0)
            return (int)i;
    return -1;
}

int bri_dispatch_open_ref(broker *b, uint32_t type, broker_value ref, struct bri_handle **out)
{
    const struct opener *o = find_opener(type);

    return o != NULL ? o->run_ref(b, ref, out) : BROKER_INVALID;
}

void bri_dispatch_close(struct bri_handle *h)
{
    if (h != NULL)
        h->engine->close(h);
}

const char *bri_dispatch_option_name(uint32_t type, uint32_t i)
{
    const struct opener *o = find_opener(type);

    return o != NULL && i < o->n_parameters ? o->option_names[i] : NULL;
}
"""

OPEN_PARAMETERS = ["broker *b", "const char *name", "const struct argument *a", "struct bri_handle **out"]


def dispatch_h():
    return banner("Operations called by number with values, for brokerctl and the wire.") + HEADER


def fallback(arg):
    """Initialiser of a broker_value."""
    if not arg.has_default or arg.default is None:
        return "{.type = BROKER_NIL}"
    if isinstance(arg.default, bool):
        return "{.type = BROKER_BOOL, .b = %s}" % ("true" if arg.default else "false")
    number = {FOREVER: "INT64_MAX", OMITTED: "INT64_MIN"}.get(arg.default, str(arg.default))
    return "{.type = BROKER_INT, .i = %s}" % number


def option_fallback(option):
    """What stands for an option that is not given: all zero in C."""
    return "{.type = %s}" % {"bool": "BROKER_BOOL", "number": "BROKER_NIL", "string": "BROKER_NIL"}.get(
        option.kind.name, "BROKER_INT")


def parameters(name, rows):
    """A table of struct parameter; rows of (kind, has default, fallback)."""
    out = "\nstatic const struct parameter %s[] = {\n" % name
    for kind, has_default, value in rows:
        out += "    {%s, %s, %s},\n" % (kind.constant, "true" if has_default else "false", value)
    return out + "};\n"


def run_function(operation):
    kind = operation.type
    handle = "(%s *)call->handle" % kind.c_name if kind.is_object else "call->broker"
    given = [handle] + ["a[%d].%s" % (n, arg.kind.field) for n, arg in enumerate(operation.args)]
    given += ["call->buffer"] if operation.has_buffer else []
    locals_, stores = [], []
    for number, result in enumerate(operation.results):
        if result.kind.packed:
            given.append("&call->results[%d]" % number)
            continue
        given.append("&" + result.c_name)
        locals_.append("    %s %s;" % (result.kind.c_type, result.c_name))
        stores.append("call->results[%d] = %s;" % (number, result.kind.to_value.format(result.c_name)))
    lines = ["", "static int run_%s(struct bri_call *call, const struct argument *a)" % operation.slot, "{"] + locals_
    unused = [] if operation.args else ["    (void)a;"]
    if not stores:
        lines += unused + [listed("return %s(" % operation.function, given, ");", "    "), "}"]
        return "\n".join(lines) + "\n"
    lines += [listed("int r = %s(" % operation.function, given, ");", "    "), ""] + unused
    lines.append("    if (r >= 0)" + (" {" if len(stores) > 1 else ""))
    lines += ["        " + store for store in stores] + (["    }"] if len(stores) > 1 else [])
    return "\n".join(lines + ["    return r;", "}", ""])


def open_function(schema, kind):
    out = "\n" + listed("static int open_%s(" % kind.name, OPEN_PARAMETERS, ")") + "\n{\n"
    out += "    %s options = {\n" % kind.options_type
    for number, option in enumerate(schema.options_of(kind)):
        value = "a[%d].%s" % (number, option.kind.field)
        if option.kind.name == "mode":
            value = "(broker_mode)" + value
        out += "        .%s = %s,\n" % (option.c_name, value)
    return out + """    };
    %s *object;
    int r = %s_open(b, name, &options, &object);

    if (r >= 0)
        *out = (struct bri_handle *)object;
    return r;
}

static int open_ref_%s(broker *b, broker_value ref, struct bri_handle **out)
{
    %s *object;
    int r = %s_open_ref(b, ref, &object);

    if (r >= 0)
        *out = (struct bri_handle *)object;
    return r;
}
""" % (kind.c_name, kind.c_name, kind.name, kind.c_name, kind.c_name)


def sized(name, rows):
    return "%s, %d" % (name if rows else "NULL", len(rows))


def dispatch_c(schema):
    most = max([1] + [len(operation.args) for operation in schema.operations] +
               [len(schema.options_of(kind)) for kind in schema.objects])
    out = banner("Operations called by number with values: check them, call the public function.") + INCLUDES
    out += "enum { TEXT_MAX = 255, MAX_ARGUMENTS = %d };\n" % most + CONVERSION
    if any("from_u64" in result.kind.to_value for each in schema.operations for result in each.results):
        out += FROM_U64
    for operation in schema.operations:
        if operation.args:
            out += parameters("parameters_" + operation.slot,
                              [(arg.kind, arg.has_default, fallback(arg)) for arg in operation.args])
        out += run_function(operation)
    for kind in schema.objects:
        options = schema.options_of(kind)
        out += parameters("options_" + kind.name,
                          [(option.kind, True, option_fallback(option)) for option in options])
        out += "\n" + listed("static const char *const names_%s[] = {" % kind.name,
                             ['"%s"' % option.name for option in options], "};") + "\n"
        out += open_function(schema, kind)
    return out + operation_table(schema) + opener_table(schema) + ENTRY


def operation_table(schema):
    out = """
static const struct operation {
    int (*run)(struct bri_call *call, const struct argument *a);
    const struct parameter *parameters;
    uint32_t n_parameters;
    uint32_t n_results;
} operations[BRI_N_OPS] = {
"""
    for operation in schema.operations:
        before = "[%s] = {" % operation.constant
        values = ["run_" + operation.slot, sized("parameters_" + operation.slot, operation.args),
                  str(len(operation.results))]
        out += listed(before, values, "},", "    ") + "\n"
    return out + "};\n"


def opener_table(schema):
    out = """
static const struct opener {
    uint32_t type;
    enum bri_op op;
    int (*run)(broker *b, const char *name, const struct argument *a, struct bri_handle **out);
    int (*run_ref)(broker *b, broker_value ref, struct bri_handle **out);
    const char *const *option_names;
    const struct parameter *parameters;
    uint32_t n_parameters;
} openers[] = {
"""
    for kind in schema.objects:
        options = schema.options_of(kind)
        out += listed("{", [kind.constant, kind.open_constant, "open_" + kind.name, "open_ref_" + kind.name,
                            "names_" + kind.name, sized("options_" + kind.name, options)], "},", "    ") + "\n"
    return out + "};\n"


# A kind that the C above does not know would be a hole in the wire.
assert all("case %s:" % kind.constant in CONVERSION for kind in KINDS.values())
