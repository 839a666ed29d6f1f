#!/usr/bin/env python3
"""demo_test.py BINARIES: runs demo/run and reads its table as a person would."""
import os
import re
import subprocess
import sys
import unittest

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo")
BINARIES = sys.argv.pop()


class DemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = subprocess.run([f"{DEMO}/run", BINARIES], capture_output=True, text=True)

    def row(self, variant):
        """Top-1, agreement and SQNR (None in fp32's row), weights and bytes per inference in kB."""
        pattern = rf"^ *{variant} +([\d.]+) % +([\d.]+) % +(?:([\d.]+) dB|—) +[\d.]+ ms +[\d.]+ ms +([\d,]+) kB +([\d,]+) kB$"
        match = re.search(pattern, self.run_.stdout, re.MULTILINE)
        self.assertTrue(match, f"no row of {variant} in:\n{self.run_.stdout}{self.run_.stderr}")
        return [None if text is None else float(text.replace(",", "")) for text in match.groups()]

    def test_ends_well(self):
        self.assertEqual(self.run_.returncode, 0, self.run_.stdout + self.run_.stderr)

    def test_fp32_has_the_accuracy_of_training(self):
        with open(f"{DEMO}/training.log", encoding="utf-8") as log:
            trained = float(re.search(r"on the first 1000: ([\d.]+) %", log.read()).group(1))
        self.assertAlmostEqual(self.row("fp32")[0], trained, delta=0.1)  # one image of a thousand

    def test_lesser_precisions_agree_with_fp32(self):
        # int8 of NNCF on networks of this kind: 97 to 98 % and 19 dB. bf16 keeps 8 bits of each number: about 40 dB.
        for variant, agreement, sqnr_db in (("bf16", 99, 30), ("fp16", 99.5, 50), ("int8", 97, 18)):
            with self.subTest(variant):
                row = self.row(variant)
                self.assertGreaterEqual(row[1], agreement)
                self.assertGreaterEqual(row[2] or 999, sqnr_db)

    def test_int8_holds_fewer_bytes(self):
        fp32, int8 = self.row("fp32"), self.row("int8")
        self.assertLess(int8[3], 0.4 * fp32[3])
        self.assertLess(int8[4], 0.6 * fp32[4])

    def test_says_how_to_go_on(self):
        self.assertIn("./dev serve", self.run_.stdout)
        self.assertIn("./dev run precis infer", self.run_.stdout)


class DemoFailureTest(unittest.TestCase):
    def test_missing_binaries_are_named(self):
        run = subprocess.run([f"{DEMO}/run", "/nowhere"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("/nowhere/precisd is missing", run.stderr)


if __name__ == "__main__":
    unittest.main()
