#!/usr/bin/python3
"""The commands of a guide do what it says.

    check_guide.py GUIDE BROKERD BROKERCTL CLIENT

Runs what stands behind a `$` in its blocks called console, one after the other in one folder with a broker of its own,
and compares what they print with what stands below; a line `...` is any lines, `...` at the end of one any text. What
`cat FILE` shows is written to that file first. Ends with 77 where a Python module that it needs is missing.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

GUIDE, BROKERD, BROKERCTL, CLIENT = sys.argv[1:5]
PYTHON = "/usr/bin/python3"


def commands(text):
    """(command, lines that it should print)."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        found = None
        for line in block.splitlines():
            if line.startswith("$ "):
                if found:
                    yield found
                found = line[2:], []
            else:
                found[1].append(line)
        yield found


def pattern(lines):
    out = ""
    for line in lines:
        if line == "...":
            out += r"(?:.*\n)*?"
        elif line.endswith("..."):
            out += re.escape(line[:-3]) + r".*\n"
        else:
            out += re.escape(line) + r"\n"
    return re.compile(out)


def fits(lines, printed):
    if printed and not printed.endswith("\n"):
        printed += "\n"  # a string is printed as it is where there is no terminal
    return pattern(lines).fullmatch(printed) is not None


def check(folder, environment, command, wanted):
    shown = re.fullmatch(r"cat (\S+)", command)
    if shown:
        with open(os.path.join(folder, shown.group(1)), "w", encoding="utf-8") as file:
            file.write("\n".join(wanted) + "\n")
        return True
    ran = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if fits(wanted, ran.stdout):
        return True
    print("FAILED: %s\n-- printed:\n%s-- instead of:\n%s" % (command, ran.stdout, "\n".join(wanted)))
    return False


def start(folder):
    bin_dir = os.path.join(folder, "bin")
    os.mkdir(bin_dir)
    os.symlink(BROKERCTL, os.path.join(bin_dir, "brokerctl"))
    os.symlink(PYTHON, os.path.join(bin_dir, "python3"))
    name = "guide-%d" % os.getpid()
    broker = subprocess.Popen([BROKERD, "--instance", name, "--runtime-dir", folder], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    for line in broker.stderr:
        if "is ready" in line:
            break
    environment = dict(os.environ, PATH=bin_dir + ":" + os.environ["PATH"], PYTHONPATH=os.path.dirname(CLIENT),
                       BROKER_ADDRESS="unix:%s/attach" % folder, ADDRESS="ipc://%s/zmq" % folder)
    environment.pop("PYTHONHOME", None)
    return name, broker, environment


def main():
    with open(GUIDE, encoding="utf-8") as file:
        all_commands = list(commands(file.read()))
    if not all_commands:
        sys.exit("%s has no commands" % GUIDE)
    if any("python3" in command for command, _ in all_commands) and \
            subprocess.run([PYTHON, "-c", "import zmq, msgpack"], stderr=subprocess.DEVNULL, check=False).returncode:
        print("not run: needs Debian's python3-zmq and python3-msgpack")
        sys.exit(77)
    folder = tempfile.mkdtemp(prefix="broker-guide-")
    name, broker, environment = start(folder)
    try:
        failed = [each for each in all_commands if not check(folder, environment, *each)]
    finally:
        broker.send_signal(signal.SIGTERM)
        broker.wait()
        subprocess.run([BROKERD, "--instance", name, "--runtime-dir", folder, "--discard"], stderr=subprocess.DEVNULL,
                       check=False)
        shutil.rmtree(folder)
    print("%d commands, %d failed" % (len(all_commands), len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
