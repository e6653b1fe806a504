"""What is installed: include/broker/*.h, and the list of symbols that the shared library exports."""

import declare
from text import COLUMNS, banner, entry, prefixed, quoted
from model import MODES

API = "BROKER_API "


def header(name, doc, includes, body):
    guard = "BROKER_%s_H" % name.upper()
    file_doc = ["/**", " * @file"] + prefixed(doc, " * ") + [
        " *", " * Generated from schemas/ by tools/generate; do not edit.", " */"]
    lines = file_doc + ["#ifndef " + guard, "#define " + guard, ""]
    lines += ["#include <%s>" % include for include in includes] + [""] * bool(includes)
    if not body:
        return "\n".join(lines + ["#endif", ""])
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", "", ""]
    return "\n".join(lines) + body + "\n".join(["", "#ifdef __cplusplus", "}", "#endif", "#endif", ""])


def members(rows):
    """Lines of an enum or a struct, (text, what it is), with the comments behind them or, if one is too long, above."""
    width = max(len(text) for text, _ in rows)
    lines = ["    %s /**< %s */" % (text.ljust(width), doc) for text, doc in rows]
    if all(len(line) <= COLUMNS for line in lines):
        return "".join(line + "\n" for line in lines)
    above = ["\n".join(prefixed(doc + " */", "    /** ", "     *  ")) + "\n    " + text for text, doc in rows]
    return "".join(line + "\n" for line in above)


def errors_h(schema):
    body = "/** What operations return: 0, a positive notice, or a negative failure. The numbers are stable. */\n"
    body += "typedef enum broker_error {\n"
    body += members([("%s = %d," % (error.constant, error.number), error.text) for error in schema.errors])
    body += """} broker_error;

/**
 * The name of what an operation returned, such as "NOTFOUND"; "OK" for 0, "?" for what is none.
 *
 * @param[in] error  any number
 * @return a text that is valid for ever
 *
 * - Blocks: no.
 * - Threads: any number at a time; also from a signal handler.
 * - Crash: nothing was changed.
 * - Owns: the text is nobody's to free.
 *
 * @code{.c}
 * fprintf(stderr, "%s\\n", broker_error_name(r));
 * @endcode
 */
BROKER_API const char *broker_error_name(int error);

/**
 * A sentence about what an operation returned; broker_last_error() tells what failed, and where.
 *
 * @param[in] error  any number
 * @return a text that is valid for ever
 *
 * - Blocks: no.
 * - Threads: any number at a time; also from a signal handler.
 * - Crash: nothing was changed.
 * - Owns: the text is nobody's to free.
 *
 * @code{.c}
 * fprintf(stderr, "%s\\n", broker_error_text(r));
 * @endcode
 */
BROKER_API const char *broker_error_text(int error);
"""
    return header("errors", "Every answer that an operation can give.", ["broker/types.h"], body)


def options_h(schema):
    body = "/** What opening does when the object is there, and when it is not. */\ntypedef enum broker_mode {\n"
    body += members([("%s = %d," % (mode, number), doc) for number, (mode, doc) in enumerate(MODES.items())])
    body += "} broker_mode;\n"
    for kind in schema.objects:
        body += "\n/** How %s_open() opens or creates. All zero is the default. */\n" % kind.c_name
        body += "typedef struct %s {\n" % kind.options_type
        body += members([(declare.declared(option.kind, option.c_name) + ";", option.doc)
                         for option in schema.options_of(kind)])
        body += "} %s;\n" % kind.options_type
    return header("options", "How objects are opened and created.",
                  ["stdbool.h", "stdint.h", "broker/value.h"], body)


def type_h(schema, kind):
    body, parts = "", []
    if kind.is_object:
        what = kind.doc[0].lower() + kind.doc[1:]
        body = "\n".join(prefixed("A handle: %s */" % what, "/** ", " *  "))
        body += "\ntypedef struct %s %s;\n\n" % (kind.c_name, kind.c_name)
        parts.append(declare.open_comment(schema, kind) + declare.open_prototype(kind, API, ";") + "\n")
        parts.append(declare.open_ref_comment(schema, kind) + declare.open_ref_prototype(kind, API, ";") + "\n")
        parts.append(declare.close_comment(schema, kind) + declare.close_prototype(kind, API, ";") + "\n")
    for operation in kind.operations:
        parts.append(declare.operation_comment(operation) + declare.prototype(operation, API, ";") + "\n")
    includes = ["broker/errors.h", "broker/options.h", "broker/types.h", "broker/value.h"]
    doc = " ".join(filter(None, (kind.doc, kind.detail)))
    doc += " In the examples `r` is an int and `buffer` a broker_buffer."
    return header(kind.header, doc, includes, body + "\n".join(parts))


def objects_h(schema):
    names = sorted(["errors", "options"] + [kind.header for kind in schema.types])
    return header("objects", "All operations on all types of object.",
                  ["broker/%s.h" % name for name in names], "")


def errors_c(schema):
    lines = [banner("What each error is called, and what it says."), "#include <stddef.h>\n",
             "#include <broker/errors.h>\n", "static const struct error {", "    int number;",
             "    const char *name;", "    const char *text;", "} errors[] = {",
             '    {0, "OK", "It is done."},']
    for error in schema.errors:
        lines.append(entry([error.constant, quoted(error.name), quoted(error.text, 8)]))
    lines.append("""};

static const struct error *find(int number)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].number == number)
            return &errors[i];
    }
    return NULL;
}

const char *broker_error_name(int error)
{
    const struct error *e = find(error);

    return e != NULL ? e->name : "?";
}

const char *broker_error_text(int error)
{
    const struct error *e = find(error);

    return e != NULL ? e->text : "This number is no error of the broker.";
}
""")
    return "\n".join(lines)


def public_functions(schema):
    names = list(schema.hand_written)
    for kind in schema.objects:
        names += [kind.c_name + "_open", kind.c_name + "_open_ref", kind.c_name + "_close"]
    return sorted(names + [operation.function for operation in schema.operations])


def version_script(schema):
    names = "".join("        %s;\n" % name for name in public_functions(schema))
    return (banner("What the shared library exports.") +
            "BROKER_0 {\n    global:\n%s    local:\n        *;\n};\n" % names)
