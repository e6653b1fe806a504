"""The reference: one page per type, one of all errors, and an index."""

import declare
from ctl import fallback, option_flag, usage
from kinds import KINDS
from model import MODES
from text import prefixed, table

CLASS_DOCS = (
    ("notice", "it worked, and there is something to know"),
    ("answer", "part of normal use; nothing is wrong"),
    ("fault", "something is wrong, with the call, the rights, the memory or the machine"),
    ("unknown", "nobody can tell whether the change happened"),
)
NOTE = "<!-- Generated from schemas/ by tools/generate; do not edit. -->\n\n"


def pages(schema):
    """File name and content of each page."""
    out = {"README.md": index(schema), "errors.md": errors(schema)}
    for kind in schema.types:
        out[kind.name + ".md"] = page(schema, kind)
    return out


def index(schema):
    text = NOTE + "# Reference\n\nEvery operation, on every type of object.\n\n"
    text += table(("page", "what it is"), [("[%s](%s.md)" % (kind.name, kind.name), kind.doc) for kind in schema.types]
                  + [("[errors](errors.md)", "Every answer that an operation can give.")])
    text += "\n## Kinds of arguments and results\n\n"
    return text + table(("kind", "in C", "what it is"),
                        [(kind.name, "`%s`" % kind.c_type, kind.doc) for kind in KINDS.values()])


def errors(schema):
    text = NOTE + """# Errors

Every operation returns an `int`: 0, a positive notice, or one of these negative numbers, which never change. Test for
`r < 0`. `broker_last_error()` tells in a sentence what failed and where; `brokerctl` ends with the exit code.

"""
    for name, doc in CLASS_DOCS:
        rows = [("`%s`" % error.constant, str(error.number), str(error.exit_code), error.text)
                for error in schema.errors if error.error_class == name]
        if rows:
            text += "## %s: %s\n\n%s\n" % (name, doc, table(("name", "number", "exit code", "what it says"), rows))
    text += "## Other exit codes of brokerctl\n\n"
    return text + table(("exit code", "meaning"), [
        ("0", "it worked"), ("1", "brokerctl itself failed, for instance at writing its output; or, with --quiet, the answer is no"),
        ("2", "the command line is wrong")])


def anchor(operation):
    return "[%s](#%s)" % (operation.name, operation.name)


def yes(value):
    return "yes" if value else ""


def page(schema, kind):
    text = NOTE + "# %s\n\n%s\n" % (kind.name, paragraph(kind.doc, kind.detail))
    rows = [(anchor(operation), operation.doc, yes(operation.blocks), yes(operation.changes))
            for operation in kind.operations]
    text += table(("operation", "what it does", "waits", "changes"), rows)
    if kind.is_object:
        text += opening(schema, kind)
    text += "".join(section(operation) for operation in kind.operations)
    return text + "\n## What any operation may return\n\n" + shared_table(schema, kind)


def shared_table(schema, kind):
    groups = (("always", "every operation"), ("object", "every operation"), ("changes", "those that change something"))
    rows = [("`%s`" % error.constant, who, when) for group, who in groups
            if group != "object" or kind.is_object for error, when in schema.shared_errors[group]]
    return table(("returns", "operations", "when"), rows)


def paragraph(*sentences):
    return "\n".join(prefixed(" ".join(filter(None, sentences)), "")) + "\n"


def code(language, *lines):
    return "```%s\n%s\n```\n" % (language, "\n".join(lines))


def cause_table(success, causes):
    rows = [("0", success)] + [("`%s`" % error.constant, when) for error, when in causes]
    return table(("returns", "when"), rows)


def opening(schema, kind):
    text = "\n## Open and close\n\n"
    text += code("c", declare.open_prototype(kind) + ";", declare.open_ref_prototype(kind) + ";",
                 declare.close_prototype(kind) + ";")
    text += "\n" + paragraph(schema.opening.doc.format(type=kind.name), schema.opening.detail) + "\n"
    text += paragraph("An open is ended with `%s_close()`." % kind.c_name, schema.closing.detail) + "\n"
    text += table(("option", "kind", "command line", "what it is"),
                  [(option.name, option.kind.name, "`%s`" % option_flag(option) if option_flag(option) else "",
                    option.doc) for option in schema.options_of(kind)])
    text += "\n" + table(("mode", "what it does"), [("`%s`" % mode, doc) for mode, doc in MODES.items()]) + "\n"
    text += cause_table(schema.opening.success, schema.open_errors_of(kind))
    return text + "\n- Crash: %s\n\n%s" % (schema.opening.crash, code("c", *kind.example))


def section(operation):
    text = "\n## %s\n\n%s" % (operation.name, paragraph(operation.doc, operation.detail))
    text += "\n" + code("c", declare.prototype(operation) + ";")
    text += "\n" + code("sh", "brokerctl " + usage(operation))
    values = [("`%s`" % arg.c_name, arg.kind.name, fallback(arg) or "", arg.doc) for arg in operation.args]
    values += [("`%s`" % result.c_name, result.kind.name, "", declare.result_doc(result).replace("@p ", ""))
               for result in operation.results]
    if values:
        text += "\n" + table(("argument or result", "kind", "default", "what it is"), values)
    text += "\n" + cause_table(operation.success, operation.errors[:operation.n_specific])
    text += "\n- Blocks: %s\n- Crash: %s\n\n" % (declare.blocks_text(operation), operation.crash)
    return text + code("c", *operation.example)
