"""The guard must leave either what was proven or what was there before, wherever it is interrupted."""

import getpass
import grp
import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

GUARD = pathlib.Path(__file__).parents[1] / "roles/guard/files/nodeyard-guard"
OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"


class Guard(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.file = self.root / "etc" / "some.conf"
        self.applied = self.root / "applied"
        # systemd is not what is tested here; what it is asked to do is.
        for name in ("systemctl", "systemd-run"):
            stub = self.root / "bin" / name
            stub.parent.mkdir(exist_ok=True)
            stub.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.root}/asked\n')
            stub.chmod(0o755)

    def guard(self, *arguments, content=""):
        path = f"{self.root}/bin:{os.environ['PATH']}"
        environment = {"PATH": path, "NODEYARD_GUARD_STATE": str(self.root / "state")}
        return subprocess.run(
            [GUARD, *arguments], input=content, env=environment, text=True, capture_output=True, timeout=20
        )

    def attempt(self, content, check="true"):
        apply = f"cat {self.file} > {self.applied} 2>/dev/null || echo none > {self.applied}"
        return self.guard("try", "some", str(self.file), OWNER, "0644", "60", check, apply, content=content)

    def state(self, content, live="true"):
        checksum = hashlib.sha256(content.encode()).hexdigest()
        return self.guard("state", "some", str(self.file), checksum, live).stdout.strip()

    def keep_first(self, content):
        self.assertEqual(self.attempt(content).returncode, 0)
        self.assertEqual(self.guard("keep", "some").returncode, 0)

    def test_a_kept_change_is_in_force(self):
        self.keep_first("new\n")
        self.assertEqual(self.file.read_text(), "new\n")
        self.assertEqual(self.applied.read_text(), "new\n")
        self.assertEqual(self.state("new\n"), "in_force")
        self.assertEqual(self.state("other\n"), "differs")
        self.assertEqual(self.state("new\n", live="false"), "differs")

    def test_the_timer_is_armed_with_the_way_back(self):
        self.attempt("new\n")
        asked = (self.root / "asked").read_text()
        self.assertIn("systemd-run --quiet --collect --unit=nodeyard-guard-some --on-active=60", asked)
        self.assertIn(f"{GUARD} undo some", asked)

    def test_a_tried_change_is_not_in_force_until_kept(self):
        self.attempt("new\n")
        self.assertEqual(self.state("new\n"), "differs")

    def test_undo_restores_and_applies_what_was_there(self):
        self.keep_first("old\n")
        self.attempt("new\n")
        self.assertEqual(self.guard("undo", "some").returncode, 0)
        self.assertEqual(self.file.read_text(), "old\n")
        self.assertEqual(self.applied.read_text(), "old\n")
        self.assertEqual(self.state("old\n"), "in_force")

    def test_undo_of_a_first_change_removes_the_file(self):
        self.attempt("new\n")
        self.guard("undo", "some")
        self.assertFalse(self.file.exists())
        self.assertEqual(self.applied.read_text(), "none\n")

    def test_a_change_that_fails_its_check_is_taken_back_at_once(self):
        self.keep_first("old\n")
        refused = self.attempt("bad\n", check="false")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("taken back", refused.stderr)
        self.assertEqual(self.file.read_text(), "old\n")
        self.assertEqual(self.state("old\n"), "in_force")

    def test_a_second_try_goes_back_to_the_last_proven_content(self):
        self.keep_first("old\n")
        self.attempt("unproven\n")
        self.attempt("new\n")
        self.guard("undo", "some")
        self.assertEqual(self.file.read_text(), "old\n")

    def test_keep_after_the_timer_fails(self):
        self.attempt("new\n")
        self.guard("undo", "some")
        late = self.guard("keep", "some")
        self.assertEqual(late.returncode, 1)
        self.assertEqual(self.state("new\n"), "differs")

    def test_an_edit_by_hand_is_seen(self):
        self.keep_first("new\n")
        self.file.write_text("edited\n")
        self.assertEqual(self.state("new\n"), "differs")


if __name__ == "__main__":
    unittest.main()
