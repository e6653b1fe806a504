#!/usr/bin/env python3
"""The golden vectors that are committed are those that the schema gives, and they have everything that they must."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT / "schemas"
VECTORS = SCHEMAS / "vectors"


def rows(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


class Vectors(unittest.TestCase):
    def test_committed_vectors_are_what_the_schema_says(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-B", ROOT / "tools/generate/vectors.py", "--schemas", SCHEMAS,
                            "--out", folder], check=True)
            made = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        committed = {path.name: path.read_bytes() for path in VECTORS.glob("*.json")}
        self.assertEqual(sorted(made), sorted(committed))
        for name, content in made.items():
            self.assertTrue(content == committed[name], "%s differs: run tools/generate/vectors.py --schemas schemas "
                            "--out schemas/vectors" % name)

    def test_every_operation_and_every_error_has_one(self):
        schema = json.loads((SCHEMAS / "operations.json").read_text(encoding="utf-8"))
        names = {row["name"] for row in rows("operations.json")}
        for kind in schema["types"]:
            wanted = [operation["name"] for operation in kind["operations"]] + ["open"] * (kind["number"] > 0)
            for name in wanted:
                self.assertIn("%s.%s" % (kind["name"], name), names)
        numbers = {row["answer"][1] for row in rows("errors.json")}
        for error in json.loads((SCHEMAS / "errors.json").read_text(encoding="utf-8"))["errors"]:
            self.assertIn(error["number"], numbers)

    def test_every_operation_of_the_protocol_has_one(self):
        text = (SCHEMAS / "protocol.md").read_text(encoding="utf-8")
        section = text.split("### Operations of the protocol itself")[1].split("\n## ")[0]
        names = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        self.assertGreater(len(names), 4)
        self.assertLessEqual(set(names), {row["request"][2] for row in rows("protocol.json")})

    def test_values_have_every_form(self):
        """Every first byte that the shortest forms begin with."""
        first = {int(row["hex"][:2], 16) for row in rows("values.json")}
        forms = set(range(0xc0, 0xe0)) - {0xc1, 0xc8, 0xc9, 0xca, 0xd4, 0xd5}  # not used, long or other ext, float 32
        self.assertEqual(forms - first, set())
        for low, high in ((0x00, 0x80), (0x80, 0x90), (0x90, 0xa0), (0xa0, 0xc0), (0xe0, 0x100)):
            self.assertTrue(first & set(range(low, high)))


if __name__ == "__main__":
    unittest.main()
