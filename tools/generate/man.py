#!/usr/bin/env python3
"""Make the man pages that repeat what stands elsewhere: in the schema, in the protocol, in the example configuration.

    man.py --schemas schemas --header libbroker/include/broker.h FILE... --list [--aliases]
    man.py --schemas schemas --header libbroker/include/broker.h FILE... --config packaging/brokerd.conf
           --pages packaging/man --brokerctl PROGRAM --out DIR

The pages are scdoc. Those of --pages are written by hand; a line "; WORD" in them stands for what WORDS knows to put there.
"""

import argparse
import os
import re
import subprocess
import sys

import public
import reference
from schema import load
from scdoc import converted, escaped, inline, paragraph
from text import write_if_changed

PACKAGE = "broker"


def page(name, section, purpose, body, see):
    text = '%s(%d) "%s"\n\n; Made by tools/generate/man.py; do not edit.\n' % (name, section, PACKAGE)
    text += "# NAME\n\n%s - %s\n\n" % (escaped(name), escaped(purpose))
    see_also = ", ".join("*%s*(%d)" % (escaped(each), number) for each, number in see)
    return text + body + "# SEE ALSO\n\n%s\n" % see_also


def sentence_as_purpose(doc):
    return doc[0].lower() + doc[1:].rstrip(".")


def type_page(schema, kind):
    """The reference of a type. Its operations are parts of one section, in the case that they have."""
    text, first = reference.page(schema, kind), "\n## %s\n" % kind.operations[0].name
    text = text.replace(first, "\n## Operations\n" + first, 1)
    for operation in kind.operations:
        text = text.replace("\n## %s\n" % operation.name, "\n### %s\n" % operation.name, 1)
    name = kind.c_name if kind.is_object else "broker_inspect"
    body = "# SYNOPSIS\n\n*#include <broker/%s.h>*++\n*cc* ... *$(pkg-config --cflags --libs libbroker)*\n\n" % kind.header
    return name, page(name, 3, sentence_as_purpose(kind.doc), body + "# DESCRIPTION\n\n" + converted(text),
                      [("libbroker", 3), ("broker_errors", 3), ("brokerctl", 1)])


def config_body(text):
    """Keys, which are commented out, are terms with the comment before them; keys behind each other share it."""
    body, said, keys = "# DESCRIPTION\n\n", [], []
    for line in text.split("\n") + [""]:
        key = re.match(r"#(\w+ =.*)$", line)
        if key:
            keys.append(key.group(1))
            continue
        if keys:
            body += "++\n".join("*%s*" % escaped(each) for each in keys) + "\n"
            body += "".join("\t%s\n\n" % inline(" ".join(part)) for part in paragraphs(said))
            said, keys = [], []
        if line.startswith("#"):
            said.append(line[1:].strip())
        else:
            body += "".join(paragraph(part) + "\n" for part in paragraphs(said))
            said = []
        if line.startswith("["):
            body += "# SECTION %s\n\n" % line.strip("[]").upper()
    return body


def paragraphs(lines):
    parts = [[]]
    for line in lines:
        if line:
            parts[-1].append(line)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def help_of(program, *words):
    """What `brokerctl help` says, as it is on a terminal of 80 columns."""
    environment = dict(os.environ, COLUMNS="80", LC_ALL="C.UTF-8")
    return subprocess.run([program, "help", *words], check=True, stdout=subprocess.PIPE, env=environment,
                          universal_newlines=True).stdout


def literal(text):
    return "```\n%s\n```\n" % text.rstrip().replace("```", "")


def commands(program):
    """Each command with its help, without the options that all have."""
    listed = re.search(r"^Commands:\n(.*?)\n\n", help_of(program), re.M | re.S).group(1)
    out = ""
    for name in re.findall(r"^  (?!help\b)([a-z]\S*)", listed, re.M):
        text = re.sub(r"\n Options of every command:\n.*?\n\n(?=\S|\Z| *-)", "\n", help_of(program, name), flags=re.S)
        text = re.sub(r"\n *-\?, --help.*\n *--usage.*\n", "\n", text)
        out += "## %s\n\n%s\n" % (name, literal(re.sub(r"\n{3,}", "\n\n", text)))
    everywhere = re.search(r" Options of every command:\n(.*?)\n\n", help_of(program, "ls"), re.S).group(1)
    return out + "## Options of every command\n\n%s" % literal(everywhere)


def types(schema):
    return "".join("*%s*(3)\n\t%s\n\n" % (escaped(type_page(schema, kind)[0]), inline(kind.doc))
                   for kind in schema.types)


DOCUMENTED = re.compile(r"/\*\*\n((?: \*.*\n)+?) \*/\nBROKER_API ([^;]*\b(broker_\w+)\([^;]*;)")
TAG = re.compile(r"@(param(?:\[[\w,]+\])?|retval|return|code|endcode)\s*(\w+)?\s*")


def comment_body(lines):
    """A documentation comment: sentences, code, and tags, each of which is a term."""
    body, part, in_code = "", [], False

    def finish():
        text = " ".join(part).replace("@p ", "")
        part.clear()
        tag = TAG.match(text)
        if not tag:
            return paragraph([text]) + "\n" if text else ""
        told = text[tag.end():] if tag.group(1) != "return" else text[len("@return "):]
        term = "Returns" if tag.group(1) == "return" else "*%s*" % escaped(tag.group(2))
        return "%s\n\t%s\n\n" % (term, inline(told[:1].upper() + told[1:] if term == "Returns" else told))

    for line in lines + [""]:
        if line.startswith("@code") or line.startswith("@endcode"):
            body += finish() + "```\n"
            in_code = not in_code
        elif in_code:
            body += line + "\n"
        elif not line or line.startswith("@"):
            body += finish()
            part.extend([line] if line else [])
        else:
            part.append(line.strip())
    return body


def functions(header):
    """The functions that are not in the schema, out of their documentation comments."""
    out = ""
    for comment, prototype, name in DOCUMENTED.findall(header):
        lines = [line[3:] for line in comment.rstrip("\n").split("\n")]
        out += "## %s\n\n```\n%s\n```\n\n%s" % (name, prototype, comment_body(lines))
    return out


WORDS = {
    "COMMANDS": lambda schema, header, program: commands(program),
    "VALUES": lambda schema, header, program: literal(help_of(program, "values")),
    "EXIT-CODES": lambda schema, header, program: literal(help_of(program, "exit-codes")),
    "TYPES": lambda schema, header, program: types(schema),
    "FUNCTIONS": lambda schema, header, program: functions(header),
}


def hand_written(schema, header, folder, program):
    out = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            out[name[:-len(".scd")]] = re.sub(
                r"^; ([A-Z-]+)$",
                lambda match: WORDS[match.group(1)](schema, header, program).rstrip("\n"),
                file.read(), flags=re.M)
    return out


def aliases(schema, documented):
    """So that each function leads to its page."""
    out = {match[2] + ".3": ".so man3/libbroker.3\n" for match in DOCUMENTED.findall(documented)}
    for kind in schema.types:
        own = [operation.function for operation in kind.operations]
        if kind.is_object:
            own += [kind.c_name + ending for ending in ("_open", "_open_ref", "_close")]
        for function in own:
            out[function + ".3"] = ".so man3/%s.3\n" % type_page(schema, kind)[0]
    return out


def made_pages(schema, folder, config):
    """File name and content of each page; without a configuration only the names are good for anything."""
    out = {}
    for kind in schema.types:
        name, content = type_page(schema, kind)
        out[name + ".3"] = content
    out["broker_errors.3"] = page("broker_errors", 3, "what operations answer", "# DESCRIPTION\n\n" +
                                  converted(reference.errors(schema)), [("libbroker", 3), ("brokerctl", 1)])
    with open(os.path.join(folder, "protocol.md"), encoding="utf-8") as file:
        out["broker-protocol.7"] = page("broker-protocol", 7, "how clients talk to a broker over ZeroMQ",
                                        "# DESCRIPTION\n\n" + converted(file.read()), [("brokerd", 8), ("libbroker", 3)])
    out["brokerd.conf.5"] = page("brokerd.conf", 5, "configuration of brokerd", config_body(config),
                                 [("brokerd", 8), ("brokerctl", 1)])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--schemas", required=True, metavar="DIR", help="folder of the schema and the protocol")
    parser.add_argument("--config", metavar="FILE", help="the example configuration, which documents every key")
    parser.add_argument("--header", required=True, nargs="+", metavar="FILE",
                        help="broker.h and others, which document the other functions")
    parser.add_argument("--pages", metavar="DIR", help="folder of the pages that are written by hand")
    parser.add_argument("--brokerctl", metavar="PROGRAM", help="whose help goes into its page")
    parser.add_argument("--out", metavar="DIR", help="where the pages go")
    parser.add_argument("--list", action="store_true", help="print the names of the pages made, and write nothing")
    parser.add_argument("--aliases", action="store_true", help="with --list: those that only lead to another page")
    options = parser.parse_args()
    schema = load(options.schemas)
    documented = public.errors_h(schema)
    for name in reversed(options.header):
        with open(name, encoding="utf-8") as file:
            documented = file.read() + documented
    if options.list:
        print("\n".join(sorted(aliases(schema, documented) if options.aliases else made_pages(schema, options.schemas, ""))))
        return 0
    with open(options.config, encoding="utf-8") as file:
        made = made_pages(schema, options.schemas, file.read())
    made.update(hand_written(schema, documented, options.pages, options.brokerctl))
    for name, content in made.items():
        write_if_changed(os.path.join(options.out, name + ".scd"), content)
    for name, content in aliases(schema, documented).items():
        write_if_changed(os.path.join(options.out, name), content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
