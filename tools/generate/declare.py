"""C prototypes and their Doxygen comments, which several generators share."""

from text import listed, prefixed


def output_parameters(operation):
    out = ["broker_buffer *buffer"] if operation.has_buffer else []
    return out + ["%s *%s" % (result.kind.c_type, result.c_name) for result in operation.results]


def declared(kind, name):
    """A variable of a kind."""
    return kind.c_type + ("" if kind.c_type.endswith("*") else " ") + name


def parameter(arg):
    return declared(arg.kind, arg.c_name)


def parameters(operation, handle):
    return [handle] + [parameter(arg) for arg in operation.args] + output_parameters(operation)


def public_parameters(operation):
    kind = operation.type
    return parameters(operation, "%s *%s" % (kind.c_name, kind.handle))


def engine_parameters(operation):
    return parameters(operation, "struct bri_handle *h" if operation.type.is_object else "broker *b")


def open_parameters(kind, out):
    return ["broker *b", "const char *name", "const %s *options" % kind.options_type, out]


def prototype(operation, before="", after=""):
    return listed("%sint %s(" % (before, operation.function), public_parameters(operation), ")" + after)


def open_prototype(kind, before="", after=""):
    out = "%s **out_%s" % (kind.c_name, kind.handle)
    return listed("%sint %s_open(" % (before, kind.c_name), open_parameters(kind, out), ")" + after)


def open_ref_prototype(kind, before="", after=""):
    parameters = ["broker *b", "broker_value ref", "%s **out_%s" % (kind.c_name, kind.handle)]
    return listed("%sint %s_open_ref(" % (before, kind.c_name), parameters, ")" + after)


def close_prototype(kind, before="", after=""):
    return listed("%svoid %s_close(" % (before, kind.c_name), ["%s *%s" % (kind.c_name, kind.handle)], ")" + after)


def aligned(rows):
    """Doxygen commands in columns: [(command, name, text)]."""
    command_width = max((len(command) for command, _, _ in rows), default=0)
    name_width = max((len(name) for _, name, _ in rows), default=0)
    lines = []
    for command, name, text in rows:
        first = " * %s %s  " % (command.ljust(command_width), name.ljust(name_width))
        lines += prefixed(text, first, " * " + " " * 8)
    return lines


def argument_doc(arg):
    if arg.kind.name == "duration":
        return arg.doc + ", in nanoseconds; 0 does not wait, BROKER_FOREVER waits without end"
    if arg.kind.name == "period":
        return arg.doc + ", in nanoseconds; BROKER_FOREVER is without end"
    if arg.kind.name == "string":
        return arg.doc if arg.may_be_null else arg.doc + ", not NULL"
    return arg.doc


def result_doc(result):
    extra = "; points into @p buffer" if result.kind.packed else ""
    return result.doc + extra + ("; may be NULL" if result.optional else "")


def retvals(success, errors):
    rows = [("@retval", "0", success)]
    return aligned(rows + [("@retval", error.constant, when) for error, when in errors])


def doxygen(paragraphs, fixed, example):
    """A comment of paragraphs (lists of lines that are laid out), the four fixed lines, and an example."""
    out = ["/**"]
    for number, lines in enumerate(paragraphs):
        out += ([" *"] if number > 0 else []) + lines
    out.append(" *")
    for name, text in fixed:
        out += prefixed("%s: %s" % (name, text), " * - ", " *   ")
    out += [" *", " * @code{.c}"] + [" * " + line for line in example] + [" * @endcode", " */"]
    return "\n".join(out) + "\n"


def summary(doc, detail):
    """One sentence first, then the rest."""
    paragraphs = [prefixed(doc, " * ")]
    return paragraphs + [prefixed(detail, " * ")] if detail else paragraphs


def blocks_text(operation):
    if operation.blocks:
        return "up to the given time; 0 does not wait, BROKER_FOREVER waits without end."
    if operation.changes:
        return "only while another client is in the middle of a change of the same object."
    return "no, unless a client that changes the object is in the way."


def threads_text(operation):
    if operation.has_buffer:
        return "any number at a time, also on one handle; each thread with a buffer of its own."
    return "any number at a time, also on one handle."


def owns_text(operation):
    owns = []
    if any(arg.kind.packed or arg.kind.name == "string" for arg in operation.args):
        owns.append("what the arguments point to stays the caller's, and is not looked at after the call")
    if operation.has_buffer:
        owns.append("the buffer is the caller's; outputs in it are valid until it is used again or freed")
    return ("; ".join(owns) or "nothing changes hands") + "."


def operation_comment(operation):
    kind = operation.type
    what = "an open handle, not NULL" if kind.is_object else "an open connection, not NULL"
    rows = [("@param[in]", kind.handle, what)]
    rows += [("@param[in]", arg.c_name, argument_doc(arg)) for arg in operation.args]
    if operation.has_buffer:
        rows.append(("@param[in,out]", "buffer", "memory for the outputs, not NULL"))
    rows += [("@param[out]", result.c_name, result_doc(result)) for result in operation.results]
    paragraphs = summary(operation.doc, operation.detail)
    paragraphs.append(aligned(rows) + retvals(operation.success, operation.errors))
    fixed = [("Blocks", blocks_text(operation)), ("Threads", threads_text(operation)),
             ("Crash", operation.crash), ("Owns", owns_text(operation))]
    return doxygen(paragraphs, fixed, operation.example)


def open_comment(schema, kind):
    opening = schema.opening
    rows = [("@param[in]", "b", "an open connection, not NULL"),
            ("@param[in]", "name", opening.name_doc),
            ("@param[in]", "options", opening.options_doc),
            ("@param[out]", "out_" + kind.handle, "the handle")]
    paragraphs = summary(opening.doc.format(type=kind.name), opening.detail)
    paragraphs.append(aligned(rows) + retvals(opening.success, schema.open_errors_of(kind)))
    fixed = [("Blocks", "only while another client is in the middle of creating or destroying an object."),
             ("Threads", "any number at a time, also on one connection."),
             ("Crash", opening.crash),
             ("Owns", "the handle is the caller's, who ends it with %s_close()." % kind.c_name)]
    return doxygen(paragraphs, fixed, kind.example)


# When opening by reference fails; what else can go wrong is as for opening by name.
OPEN_REF_ERRORS = {
    "GONE": "the object is not there any more",
    "WRONGTYPE": "the object has another type",
    "INVALID": "the value is no reference, or one to an object of another arena, or a pointer is NULL",
}
OPEN_REF_SHARED = ("TIMEDOUT", "CORRUPT", "BUSY", "SYSTEM", "UNSUPPORTED", "LIMIT", "UNKNOWN")


def open_ref_errors(schema, kind):
    own = [(error, OPEN_REF_ERRORS[error.name]) for error in schema.errors if error.name in OPEN_REF_ERRORS]
    shared = [(error, when) for error, when in schema.open_errors_of(kind) if error.name in OPEN_REF_SHARED]
    memory = [(error, "no memory left, in the arena or in this process")
              for error in schema.errors if error.name == "NOMEM"]
    return sorted(own + shared + memory, key=lambda pair: -pair[0].number)


OPEN_REF_DETAIL = ("A reference that was read says which object was meant, but does not keep it: only handles and "
                   "references that are stored do.")


def open_ref_comment(schema, kind):
    rows = [("@param[in]", "b", "an open connection, not NULL"),
            ("@param[in]", "ref", "a reference, as broker_ref() gives it or as it was stored"),
            ("@param[out]", "out_" + kind.handle, "the handle")]
    paragraphs = summary("Open the %s that a value refers to." % kind.name, OPEN_REF_DETAIL)
    paragraphs.append(aligned(rows) + retvals(schema.opening.success, open_ref_errors(schema, kind)))
    fixed = [("Blocks", "only while another client is in the middle of creating or destroying an object."),
             ("Threads", "any number at a time, also on one connection."),
             ("Crash", "nothing was changed."),
             ("Owns", "the handle is the caller's, who ends it with %s_close()." % kind.c_name)]
    example = ["%s *same;" % kind.c_name,
               "r = %s_open_ref(b, broker_ref(%s), &same);" % (kind.c_name, kind.handle),
               "if (r >= 0)", "    %s_close(same);" % kind.c_name]
    return doxygen(paragraphs, fixed, example)


def close_comment(schema, kind):
    closing = schema.closing
    paragraphs = summary(closing.doc, closing.detail)
    paragraphs.append(aligned([("@param[in]", kind.handle, "the handle; NULL does nothing")]))
    fixed = [("Blocks", "only while another client is in the middle of a change of the same object."),
             ("Threads", "any, when no other thread uses this handle any more."),
             ("Crash", closing.crash),
             ("Owns", "the handle is gone after the call.")]
    return doxygen(paragraphs, fixed, kind.example)
