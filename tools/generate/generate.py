#!/usr/bin/env python3
"""Make from the schema everything that can be made from it.

    generate.py --schemas schemas --out DIR [--reference docs/reference] [--examples FILE]
    generate.py --schemas schemas --list

A file is written only if its content changes. --list prints the files that --out writes, relative to DIR.
"""

import argparse
import os
import sys

import ctl
import dispatch
import engine
import examples
import public
import reference
import remote
from schema import SchemaError, load
from text import write_if_changed


def outputs(schema):
    """Path, relative to the output folder, and content of every file."""
    files = {
        "include/broker/errors.h": public.errors_h(schema),
        "include/broker/objects.h": public.objects_h(schema),
        "include/broker/options.h": public.options_h(schema),
        "errors.c": public.errors_c(schema),
        "libbroker.map": public.version_script(schema),
        "engine_ops.h": engine.engine_ops_h(schema),
        "engine_ops.c": engine.engine_ops_c(schema),
        "engine_shm.c": engine.engine_shm_c(schema),
        "engine_remote.c": remote.engine_remote_c(schema),
        "dispatch.h": dispatch.dispatch_h(),
        "dispatch.c": dispatch.dispatch_c(schema),
        "ctl_table.h": ctl.ctl_table_h(),
        "ctl_table.c": ctl.ctl_table_c(schema),
    }
    for kind in schema.types:
        files["include/broker/%s.h" % kind.header] = public.type_h(schema, kind)
        files["api_%s.c" % kind.name] = engine.api_c(kind)
    for name, content in reference.pages(schema).items():
        files["reference/" + name] = content
    return files


def write_all(folder, files):
    for name, content in files.items():
        write_if_changed(os.path.join(folder, name), content)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--schemas", required=True, metavar="DIR", help="folder of operations.json and errors.json")
    parser.add_argument("--out", metavar="DIR", help="where everything goes that is made at build time")
    parser.add_argument("--reference", metavar="DIR", help="where the pages of the reference go as well")
    parser.add_argument("--examples", metavar="FILE", help="write all examples to a C file, to be compiled")
    parser.add_argument("--list", action="store_true", help="print what --out writes, and write nothing")
    options = parser.parse_args(arguments)
    try:
        schema = load(options.schemas)
    except SchemaError as error:
        print("generate.py: %s" % error, file=sys.stderr)
        return 1
    files = outputs(schema)
    if options.list:
        print("\n".join(sorted(files)))
        return 0
    if options.out is not None:
        write_all(options.out, files)
    if options.reference is not None:
        write_all(options.reference, reference.pages(schema))
    if options.examples is not None:
        write_if_changed(options.examples, examples.examples_c(schema))
    return 0


if __name__ == "__main__":
    sys.exit(main())
