"""The events of a run: what must be in them, what never, and that they cannot break a run."""

import importlib.util
import json
import pathlib
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

SOURCE = pathlib.Path(__file__).parents[1] / "callback_plugins/nodeyard_events.py"
spec = importlib.util.spec_from_file_location("nodeyard_events", SOURCE)
nodeyard_events = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nodeyard_events)


def result_of(answer, *, no_log=False, name="Do it", written="Do it"):
    task = SimpleNamespace(
        _uuid="t1", _role=None, no_log=no_log, name=name, action="command", get_ds=lambda: {"name": written}
    )
    return SimpleNamespace(
        task=task,
        host=SimpleNamespace(get_name=lambda: "node-1"),
        result=answer,
        task_name=name,
        is_changed=lambda: bool(answer.get("changed")),
    )


class Events(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "events.jsonl"
        self.plugin = nodeyard_events.CallbackModule()
        self.plugin._display = mock.Mock()
        self.plugin.file = self.path.open("w", encoding="utf-8")
        self.addCleanup(self.plugin.file.close)

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def test_each_line_is_there_at_once(self):
        self.plugin.v2_playbook_on_play_start(SimpleNamespace(get_name=lambda: "Profile base"))
        self.plugin.v2_runner_on_ok(result_of({"changed": True}))
        play, task = self.lines()
        self.assertEqual(play, {"event": "play", "play": "Profile base"})
        self.assertEqual((task["task"], task["host"], task["status"]), ("Do it", "node-1", "changed"))

    def test_a_failure_says_why(self):
        self.plugin.v2_runner_on_failed(result_of({"msg": "non-zero return code", "stderr": "disk full", "rc": 1}))
        (task,) = self.lines()
        self.assertEqual(task["status"], "failed")
        self.assertIn("disk full", task["msg"])

    def test_an_ok_result_leaves_no_trace_of_its_fields(self):
        self.plugin.v2_runner_on_ok(result_of({"stdout": "s3cret", "msg": "s3cret", "content": "s3cret"}))
        self.assertNotIn("s3cret", self.path.read_text())

    def test_hidden_results_and_rendered_names_are_never_written(self):
        hidden = {"msg": "s3cret", "stderr": "s3cret", "item": "s3cret", "_ansible_no_log": True}
        for no_log in (True, False):
            result = result_of(hidden, no_log=no_log, name="Set s3cret", written="Set {{ password }}")
            self.plugin.v2_runner_on_failed(result)
            self.plugin.v2_runner_item_on_failed(result)
        self.assertNotIn("s3cret", self.path.read_text())
        self.assertEqual([line["task"] for line in self.lines()], ["Set {{ password }}"] * 2)

    def test_a_message_is_cut_at_4_kb(self):
        self.plugin.v2_runner_on_unreachable(result_of({"msg": "ü" * 10_000}))
        (task,) = self.lines()
        self.assertEqual(len(task["msg"].encode()), 4096)

    def test_a_result_of_another_shape_does_not_break_the_run(self):
        self.plugin.v2_runner_on_ok(SimpleNamespace())
        self.plugin.v2_runner_on_ok(SimpleNamespace())
        self.plugin.v2_runner_on_ok(result_of({}))
        self.assertEqual(len(self.lines()), 1)
        self.plugin._display.warning.assert_called_once()

    def test_a_full_disk_does_not_break_the_run(self):
        self.plugin.file = mock.Mock(write=mock.Mock(side_effect=OSError("no space left")))
        self.plugin.v2_runner_on_ok(result_of({}))
        self.plugin.v2_runner_on_ok(result_of({}))
        self.plugin._display.warning.assert_called_once()

    def test_the_counts_come_with_the_custom_statistics(self):
        counts = {"ok": 3, "changed": 0, "failures": 0, "unreachable": 0, "skipped": 1, "rescued": 0, "ignored": 0}
        stats = SimpleNamespace(
            processed={"node-1": 1}, summarize=lambda _: counts, custom={"_run": {"host_key_next": "ssh-ed25519 AAAA"}}
        )
        self.plugin.v2_playbook_on_stats(stats)
        (line,) = self.lines()
        self.assertEqual(line["hosts"]["node-1"]["ok"], 3)
        self.assertEqual(line["custom"], {"host_key_next": "ssh-ed25519 AAAA"})


if __name__ == "__main__":
    unittest.main()
