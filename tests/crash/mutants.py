#!/usr/bin/env python3
"""Breaks the guard and the journal on purpose, once in each way that has been thought of, and has the sweep find it.

A mutant is the library's core and objects with one exact text replaced. If the text is not there any more, the mutant is out of date and
the test fails. Usage: mutants.py --source DIR --work DIR --cc CC --flags FLAGS --link FILES... [--only NAME]
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

MUTANTS = {
    # name: (file, text, replacement, operations to sweep)
    "count_before_entry": (
        "core/guard.h",
        "    t->next->where = bri_off(t->o->arena, p);\n",
        "    atomic_store_explicit(&t->o->slot->n_journal, t->n + 1, memory_order_relaxed);\n    bri_order();\n"
        "    t->next->where = bri_off(t->o->arena, p);\n",
        ["dict.delete, middle", "queue.put"]),
    "forward_rollback": (
        "core/guard.c",
        "        for (uint32_t i = count; i-- > 0;) {\n            const struct bri_journal_entry_shm *e = entry_at(o, i);\n\n            sound &=",
        "        for (uint32_t i = 0; i < count; i++) {\n            const struct bri_journal_entry_shm *e = entry_at(o, i);\n\n            sound &=",
        ["dict.update", "dict.add_many"]),
    "unjournalled_store": (
        "objects/items.c",
        "    bri_set64(t, &q->n_bytes, q->n_bytes + bytes);\n}",
        "    *(volatile uint64_t *)&q->n_bytes = q->n_bytes + bytes;\n}",
        ["queue.put"]),
    # What a compiler may make of it without the barriers; gcc 12 happens not to, so it is done by hand.
    "word_before_count": (
        "core/guard.h",
        "    if (!bri_note64(t, p))\n        return;\n    *(volatile uint64_t *)p = value;\n",
        "    uint64_t old = *(volatile uint64_t *)p;\n    *(volatile uint64_t *)p = value;\n    bri_order();\n"
        "    if (bri_note64(t, p))\n        t->next[-1].old = old;\n",
        ["dict.delete, middle", "queue.put"]),
    "sequence_before_reset": (
        "core/guard.c",
        "static inline void happen(struct bri_slot_shm *s)\n{\n",
        "static inline void happen(struct bri_slot_shm *s)\n{\n"
        "    bri_order();\n    atomic_fetch_add_explicit(&s->seq, 1, memory_order_release);\n    bri_order();\n"
        "    atomic_store_explicit(&s->n_journal, 0, memory_order_relaxed);\n    bri_order();\n    return;\n",
        ["dict.delete, middle", "queue.put"]),
}


def make(name, arguments):
    """Compiles the mutant; returns the program."""
    file, text, replacement, _ = MUTANTS[name]
    folder = pathlib.Path(arguments.work) / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pathlib.Path(arguments.source) / "libbroker", folder / "libbroker")
    target = folder / "libbroker" / file
    source = target.read_text()
    if source.count(text) != 1:
        sys.exit(f"{name}: out of date: {file} does not have its text once, but {source.count(text)} times")
    source = source.replace(text, replacement)
    target.write_text(source)
    flags = ["-I" + str(folder / "libbroker"), *arguments.flags.split(), "-O2", "-w"]
    jobs, objects = [], []
    for c in sorted(folder.glob("libbroker/core/*.c")) + sorted(folder.glob("libbroker/objects/*.c")):
        objects.append(str(c) + ".o")
        jobs.append(subprocess.Popen([arguments.cc, *flags, "-c", str(c), "-o", objects[-1]]))
        if len(jobs) == 2 and jobs.pop(0).wait() != 0:
            sys.exit(f"{name}: does not compile")
    if any(job.wait() != 0 for job in jobs):
        sys.exit(f"{name}: does not compile")
    program = folder / "sweep"
    subprocess.run([arguments.cc, "-o", program, *objects, *arguments.link, "-lpthread", "-Wl,-z,now"], check=True)
    return program


def is_caught(name, program):
    for operation in MUTANTS[name][3]:
        result = subprocess.run([program, "--case", operation, "--stop-after", "1"], capture_output=True, text=True, timeout=200)
        bad = [line for line in result.stdout.splitlines() + result.stderr.splitlines() if line.startswith("BAD")]
        if result.returncode != 0 and bad:
            print(f"{name}: caught: {bad[0]}", flush=True)
            return True
    print(f"{name}: NOT CAUGHT", flush=True)
    return False


def main():
    parser = argparse.ArgumentParser()
    for option in ("source", "work", "cc", "flags"):
        parser.add_argument("--" + option, required=True)
    parser.add_argument("--link", nargs="+", required=True)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(MUTANTS)
    missed = [name for name in names if not is_caught(name, make(name, arguments))]
    print(f"{len(names) - len(missed)} of {len(names)} mutants caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
