"""Laying out text: C declarations and calls within 100 columns, comments, string literals, Markdown tables."""

import functools
import json
import os
import textwrap

COLUMNS = 100


def banner(purpose):
    """First comment of a generated C file."""
    return comment([purpose, "", "Generated from schemas/ by tools/generate; do not edit."])


def comment(lines, indent=""):
    """A block comment; each of lines is a paragraph line that is wrapped, an empty one separates."""
    out = [indent + "/*"]
    for line in lines:
        out += prefixed(line, indent + " * ")
    return "\n".join(out + [indent + " */"]) + "\n"


def prefixed(text, first, rest=None):
    """Lines of text, wrapped, the first one behind first and the others behind rest."""
    if not text:
        return [first.rstrip()]
    return list(wrapped(text, first, first if rest is None else rest))


@functools.lru_cache(maxsize=None)
def wrapped(text, first, rest):
    """A third of the generator's time; its tests run it often, and most texts come in several files."""
    return textwrap.wrap(text, COLUMNS, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)


def listed(before, parts, after, indent=""):
    """before + "a, b, c" + after, broken as clang-format does with DontAlign: behind before, or where it is full."""
    joined = ", ".join(parts) + after
    if len(indent + before + joined) <= COLUMNS:
        return indent + before + joined
    if len(indent) + 4 + len(joined) <= COLUMNS:
        return indent + before.rstrip() + "\n" + indent + "    " + joined
    lines, line = [], indent + before
    for number, part in enumerate(parts):
        piece = part + (after if number == len(parts) - 1 else ",")
        space = "" if line.endswith(("(", "{")) else " "
        if len(line) + len(space) + len(piece) > COLUMNS:
            lines.append(line)
            line, space = indent + "    ", ""
        line += space + piece
    return "\n".join(lines + [line])


def entry(values):
    """A row of a table, its last value on a line of its own if the row is long."""
    line = "    {%s}," % ", ".join(values)
    if len(line) <= COLUMNS and "\n" not in line:
        return line
    return "    {%s,\n        %s}," % (", ".join(values[:-1]), values[-1])


def quoted(text, indent=0):
    """A C string literal, in pieces of a line each when it is long; NULL for None."""
    if text is None:
        return "NULL"
    width = COLUMNS - indent - 4
    pieces = []
    while len(text) > width:
        cut = text.rfind(" ", 0, width) + 1 or width
        pieces.append(text[:cut])
        text = text[cut:]
    pieces.append(text)
    return ("\n" + " " * indent).join(json.dumps(piece, ensure_ascii=True) for piece in pieces)


def table(header, rows):
    """A Markdown table that also reads well as text, without columns that are empty in every row."""
    kept = [n for n in range(len(header)) if any(row[n] for row in rows)]
    lines = [[header[n] for n in kept]] + [[row[n].replace("|", "\\|") for n in kept] for row in rows]
    widths = [max(3, *(len(line[n]) for line in lines)) for n in range(len(kept))]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |\n"
        for line in lines)


def write_if_changed(path, content):
    """Keep the time stamp of a file that is as it should be, so that nothing is compiled again."""
    data = content.encode("utf-8")
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
