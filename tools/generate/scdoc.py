"""Markdown, as this project writes it, to scdoc, from which man pages are made."""

import re

LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
MARKED = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<!\w)\*([^*]+)\*(?!\w)")
CELLS = re.compile(r"(?<!\\)\|")


def escaped(text):
    """Plain text in which scdoc sees no formatting."""
    return re.sub(r"([\\*_`#~\[\]|])", r"\\\1", text)


def inline(text):
    """One line or paragraph: code and bold become bold, emphasis is underlined, links are their text."""
    out, at = [], 0
    text = LINK.sub(r"\1", text).replace("\\|", "|")
    for match in MARKED.finditer(text):
        out.append(escaped(text[at:match.start()]))
        mark = "_" if match.group(3) else "*"
        out.append(mark + escaped(match.group(1) or match.group(2) or match.group(3)) + mark)
        at = match.end()
    return "".join(out) + escaped(text[at:])


def paragraph(lines):
    text = inline(" ".join(line.strip() for line in lines))
    # What would begin a list, a table or a directive begins with a character that is not there.
    return ("\\" + text if text[:1] in "-.|[" else text) + "\n"


def cells(line):
    return [cell.strip() for cell in CELLS.split(line.strip())[1:-1]]


def term(cell):
    return inline(cell) if cell.startswith(("`", "**")) else "*%s*" % escaped(LINK.sub(r"\1", cell))


def table(lines):
    """Its rows as terms with what is said of them, which reads well in any width."""
    names, rows = cells(lines[0]), [cells(line) for line in lines[2:]]
    flags = [n for n in range(1, len(names)) if all(row[n] in ("", "yes") for row in rows)]
    out = ["%s:" % inline(names[0].capitalize())] if names[0] else []
    for row in rows:
        told = [n for n in range(1, len(names)) if n not in flags and row[n]]
        aside = [inline(row[n]) if names[n] in ("", "kind") else "%s: %s" % (inline(names[n]), inline(row[n]))
                 for n in told[:-1]] + [inline(names[n]) for n in flags if row[n]]
        head = term(row[0]) + (" (%s)" % "; ".join(aside) if aside else "")
        out.append(head + ("\n\t" + inline(row[told[-1]]) if told else ""))
    return "\n\n".join(out) + "\n\n"


def bullets(lines):
    items = []
    for line in lines:
        if line.startswith("- "):
            items.append([line[2:]])
        else:
            items[-1].append(line)
    return "".join("- %s\n" % inline(" ".join(part.strip() for part in item)) for item in items) + "\n"


def heading(line):
    """scdoc takes headings as they are. The names of a page's sections are upper case by custom."""
    level, text = len(line) - len(line.lstrip("#")), line.lstrip("# ").strip()
    return "# %s\n\n" % text.upper() if level <= 2 else "## %s\n\n" % text


def blocks(text):
    """The text in pieces of one kind each: kind and lines."""
    lines, at = text.split("\n"), 0
    while at < len(lines):
        line, start = lines[at], at
        if line.startswith("```"):
            at = lines.index("```", at + 1) + 1
            yield "code", lines[start + 1:at - 1]
        elif line.startswith("    "):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            yield "code", [each[4:] for each in "\n".join(lines[start:at]).rstrip().split("\n")]
        elif not line.strip() or line.startswith("<!--"):
            at += 1
        elif line.startswith("#"):
            at += 1
            yield "heading", [line]
        else:
            kind = "table" if line.startswith("|") else "bullets" if line.startswith("- ") else "paragraph"
            while at < len(lines) and lines[at].strip() and not lines[at].startswith(("#", "```")):
                at += 1
            yield kind, lines[start:at]


def code(lines):
    return "```\n%s\n```\n\n" % "\n".join(lines)


LAID_OUT = {
    "code": code,
    "heading": lambda lines: heading(lines[0]),
    "table": table,
    "bullets": bullets,
    "paragraph": lambda lines: paragraph(lines) + "\n",
}


def converted(markdown):
    """The body of a page; a title, the first heading of all, is left out."""
    pieces = [(kind, lines) for kind, lines in blocks(markdown)
              if not (kind == "heading" and re.match(r"# ", lines[0]))]
    return "".join(LAID_OUT[kind](lines) for kind, lines in pieces)
