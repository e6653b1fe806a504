#!/usr/bin/env python3
"""Breaks the guard, the journal and the sweep itself on purpose, once in each way that has been thought of, and has the sweep find it.

A mutant is a file of the library or of the sweep with one exact text replaced. If the text is not there any more, the
mutant is out of date and the test fails. Usage: mutants.py --source DIR --work DIR --cc CC --flags FLAGS --sweep LIBRARY
--contend LIBRARY --link FILES... [--only NAME]
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

MUTANTS = {
    # name: (file, text, replacement, operations or scenarios, what must find it: any if empty)
    "count_before_entry": (
        "libbroker/core/guard.h",
        "    t->next->where = bri_off(t->o->arena, p);\n",
        "    atomic_store_explicit(&t->o->slot->n_journal, t->n + 1, memory_order_relaxed);\n    bri_order();\n"
        "    t->next->where = bri_off(t->o->arena, p);\n",
        ["dict.delete, middle", "queue.put"], ""),
    "forward_rollback": (
        "libbroker/core/guard.c",
        "        for (uint32_t i = count; i-- > 0;) {\n            const struct bri_journal_entry_shm *e = entry_at(o, i);\n\n            sound &=",
        "        for (uint32_t i = 0; i < count; i++) {\n            const struct bri_journal_entry_shm *e = entry_at(o, i);\n\n            sound &=",
        ["dict.update", "dict.add_many"], ""),
    "unjournalled_store": (
        "libbroker/objects/items.c",
        "    bri_set64(t, &q->n_bytes, q->n_bytes + bytes);\n}",
        "    *(volatile uint64_t *)&q->n_bytes = q->n_bytes + bytes;\n}",
        ["queue.put"], ""),
    # What a compiler may make of it without the barriers; gcc 12 happens not to, so it is done by hand.
    "word_before_count": (
        "libbroker/core/guard.h",
        "    if (!bri_note64(t, p))\n        return;\n    *(volatile uint64_t *)p = value;\n",
        "    uint64_t old = *(volatile uint64_t *)p;\n    *(volatile uint64_t *)p = value;\n    bri_order();\n"
        "    if (bri_note64(t, p))\n        t->next[-1].old = old;\n",
        ["dict.delete, middle", "queue.put"], ""),
    "sequence_before_reset": (
        "libbroker/core/guard.c",
        "static inline void happen(struct bri_slot_shm *s)\n{\n",
        "static inline void happen(struct bri_slot_shm *s)\n{\n"
        "    bri_order();\n    atomic_fetch_add_explicit(&s->seq, 1, memory_order_release);\n    bri_order();\n"
        "    atomic_store_explicit(&s->n_journal, 0, memory_order_relaxed);\n    bri_order();\n    return;\n",
        ["dict.delete, middle", "queue.put"], ""),
    # No memory that is shared changes there: the robust list must be watched too.
    "list_cleared_first": (
        "libbroker/core/lock.c",
        "    v = atomic_exchange_explicit(word, 0, memory_order_release);\n",
        "    self.head->list_op_pending = NULL;\n    barrier();\n"
        "    v = atomic_exchange_explicit(word, 0, memory_order_release);\n",
        ["dict.delete, middle"], "dead, --store"),
    # Nobody is told that the lock is free: only a process that waits for it shows that.
    "unlock_without_wake": (
        "libbroker/core/lock.c",
        "    if (__builtin_expect((v & FUTEX_WAITERS) != 0, 0))\n        bri_futex_wake(word, 1);\n    stop_pending();\n",
        "    (void)v;\n    stop_pending();\n",
        ["guard: owner killed while it unlocks"], "the sleeper sleeps on"),
    # Whoever recovers may not die: only killing it too shows that.
    "journal_dropped_first": (
        "libbroker/core/guard.c",
        "    if (!sound)\n        count = 0;\n",
        "    if (!sound)\n        count = 0;\n    set_count(s, 0);\n    bri_order();\n",
        ["dict.update", "dict.add_many"], "dead in recovery"),
    # The simulated death is not what the kernel does: only a real one shows that.
    "wrong_death": (
        "tests/crash/tracer.c",
        ".word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED};",
        ".word = FUTEX_WAITERS | FUTEX_OWNER_DIED};",
        ["dict.update", "queue.put"], "kernel: "),
    # Walking misses states: only stepping shows that.
    "unseen_stores": (
        "tests/crash/way.c",
        "    *out_changed = follow(s);\n",
        "    *out_changed = follow(s) && (!s->walking || s->n_stores % 4 != 0);\n",
        ["dict.delete, middle"], "watch: "),
    # What is counted twice, in the object and in its session; and what readers see.
    "unjournalled_permit": (
        "libbroker/objects/semaphore.c",
        "        bri_set64(t, taken, *taken - own);\n",
        "        *(volatile uint64_t *)taken = *taken - own;\n",
        ["semaphore.release"], ""),
    "unjournalled_waiter": (
        "libbroker/objects/waiters.c",
        "    bri_set64(t, &w->notified, last);\n",
        "    *(volatile uint64_t *)&w->notified = last;\n",
        ["condition.notify"], ""),
    # Who sleeps while his waker dies.
    "reaping_without_wake": (
        "libbroker/core/attachment.c",
        "            bri_wake(&t, i, BRI_WAKE_ALL);\n",
        "            (void)i;\n",
        ["wake: event.set, wait"], "who sleeps sleeps on"),
    "dead_owner_without_wake": (
        "libbroker/objects/owner.c",
        "    bri_abort(&t); /* the word itself was the change */\n    bri_futex_wake(futex_of(l), INT_MAX);\n",
        "    bri_abort(&t);\n",
        ["wake: lock.release, acquire"], "who sleeps sleeps on"),
    "wake_forgotten": (
        "libbroker/objects/pipe.c",
        "    bri_wake(t, BRI_PIPE_RECEIVE(to), 1);\n",
        "",
        ["wake: pipe.send, recv"], "who sleeps sleeps on"),
}


# What a mutant of a header is compiled into: all that takes part in the operations that find it.
HEADER_USERS = ("libbroker/core/guard.c", "libbroker/core/heap.c", "libbroker/core/runs.c", "libbroker/objects/table.c",
                "libbroker/objects/dict.c", "libbroker/objects/items.c", "libbroker/objects/queue_put.c")


def is_contended(name):
    return MUTANTS[name][4] == "the sleeper sleeps on"


def make(name, arguments):
    """Compiles the mutant; returns the program."""
    file, text, replacement, _, _ = MUTANTS[name]
    folder = pathlib.Path(arguments.work) / name
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("libbroker", "tests/crash"):
        shutil.copytree(pathlib.Path(arguments.source) / part, folder / part)
    target = folder / file
    source = target.read_text()
    if source.count(text) != 1:
        sys.exit(f"{name}: out of date: {file} does not have its text once, but {source.count(text)} times")
    source = source.replace(text, replacement)
    target.write_text(source)
    flags = ["-I" + str(folder / "libbroker"), "-I" + str(pathlib.Path(arguments.source) / "tests"), *arguments.flags.split(), "-O2", "-w"]
    jobs, objects = [], []
    # A linker takes no member of a library for what it has already.
    mutated = [target] if target.suffix == ".c" else [c for pattern in HEADER_USERS for c in sorted(folder.glob(pattern))]
    for c in mutated:
        objects.append(str(c) + ".o")
        jobs.append(subprocess.Popen([arguments.cc, *flags, "-c", str(c), "-o", objects[-1]]))
        if len(jobs) == 2 and jobs.pop(0).wait() != 0:
            sys.exit(f"{name}: does not compile")
    if any(job.wait() != 0 for job in jobs):
        sys.exit(f"{name}: does not compile")
    program = folder / "sweep"
    main = arguments.contend if is_contended(name) else arguments.sweep
    subprocess.run([arguments.cc, "-o", program, *objects, main, *arguments.link, "-lpthread", "-Wl,-z,now"], check=True)
    return program


def is_caught(name, program):
    _, _, _, operations, finder = MUTANTS[name]
    for operation in operations:
        options = ["--scenario", operation] if is_contended(name) else \
            ["--case", operation, "--stepped", "1" if finder == "watch: " else "0", "--stop-after", "1", "--first"]
        result = subprocess.run([program, *options], capture_output=True, text=True, timeout=200)
        bad = [line for line in result.stdout.splitlines() + result.stderr.splitlines() if line.startswith("BAD")]
        if result.returncode != 0 and bad and finder in bad[0]:
            print(f"{name}: caught: {bad[0]}", flush=True)
            return True
    print(f"{name}: NOT CAUGHT", *bad[:1], flush=True)
    return False


def main():
    parser = argparse.ArgumentParser()
    for option in ("source", "work", "cc", "flags", "sweep", "contend"):
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
