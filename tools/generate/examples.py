"""A C file with every example of the schema in a function of its own: it compiles, or an example is wrong."""

from text import banner


def function(slot, parameters, example):
    lines = ["static int example_%s(%s)" % (slot, parameters), "{", "    broker_buffer buffer = BROKER_BUFFER_INIT;",
             "    int r;", ""] + ["    " + line for line in example]
    return "\n".join(lines + ["    broker_buffer_free(&buffer);", "    return r;", "}", "", ""])


def examples_c(schema):
    out = banner("Every example of the reference.")
    out += "#include <stdio.h>\n\n#include <broker/objects.h>\n\n"
    out += "void broker_buffer_free(broker_buffer *buffer);\n\n"
    names = []
    for kind in schema.types:
        if kind.is_object:
            out += function(kind.name + "_open", "broker *b", kind.example)
            names.append((kind.name + "_open", "b"))
        for operation in kind.operations:
            parameters = "%s *%s" % (kind.c_name, kind.handle)
            out += function(operation.slot, parameters, operation.example)
            names.append((operation.slot, kind.handle))
    handles = ", ".join("%s *%s" % (kind.c_name, kind.handle) for kind in schema.types)
    out += "int examples(%s);\nint examples(%s)\n{\n    int r = 0;\n\n" % (handles, handles)
    out += "".join("    r |= example_%s(%s);\n" % name for name in names)
    return out + "    return r;\n}\n"
