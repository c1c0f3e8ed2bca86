"""Writes what a run does as one JSON object per line, for the program that started it.

It must never break or slow a run: every hook swallows its own faults, each line is flushed,
and a file that cannot be written switches the plugin off. It writes no variables and no
results except a task's message, and nothing at all of a `no_log` result.
"""

from __future__ import annotations

import functools
import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: nodeyard_events
    type: notification
    short_description: machine-readable events of a run
    description:
        - Appends one JSON object per line to a file, for plays, task results and the final counts.
    requirements:
        - enable in configuration
    options:
        events_file:
            description: File the events are appended to. Nothing is written if it is not set.
            type: str
            env:
                - name: NODEYARD_EVENTS_FILE
"""

MSG_MAX_BYTES = 4096


def never_raises(hook):
    """A fault in here must not become a fault of the run."""

    @functools.wraps(hook)
    def guarded(self, *args, **kwargs):
        try:
            return hook(self, *args, **kwargs)
        except Exception as fault:  # noqa: BLE001
            self.warn_once(fault)
            return None

    return guarded


def cut(text: str) -> str:
    """The first 4 KB of a text, cut between characters."""
    return text.encode("utf-8", "replace")[:MSG_MAX_BYTES].decode("utf-8", "ignore")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "nodeyard_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.file = None
        self.warned = False
        self.play = ""
        self.started = {}

    @never_raises
    def set_options(self, task_keys=None, var_options=None, direct=None):
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        path = self.get_option("events_file")
        if path and self.file is None:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")

    def warn_once(self, fault):
        if not self.warned:
            self.warned = True
            self._display.warning(f"nodeyard_events: {type(fault).__name__}: {fault}")

    def write(self, event: dict):
        if self.file is None:
            return
        try:
            self.file.write(json.dumps(event, default=str) + "\n")
            self.file.flush()
        except OSError:
            # A full or vanished volume stays so: say it once and let the run go on.
            self.file = None
            raise

    # --- plays and the start of tasks

    @never_raises
    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name().strip()
        self.write({"event": "play", "play": self.play})

    @never_raises
    def v2_runner_on_start(self, host, task):
        self.started[(host.get_name(), task._uuid)] = time.monotonic()

    # --- results

    @never_raises
    def v2_runner_on_ok(self, result):
        self.write_task(result, "changed" if result.is_changed() else "ok")

    @never_raises
    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write_task(result, "failed", ignored=ignore_errors)

    @never_raises
    def v2_runner_on_unreachable(self, result):
        self.write_task(result, "unreachable")

    @never_raises
    def v2_runner_on_skipped(self, result):
        self.write_task(result, "skipped")

    @never_raises
    def v2_runner_item_on_ok(self, result):
        self.write_task(result, "changed" if result.is_changed() else "ok", is_item=True)

    @never_raises
    def v2_runner_item_on_failed(self, result):
        self.write_task(result, "failed", is_item=True)

    @never_raises
    def v2_runner_item_on_skipped(self, result):
        self.write_task(result, "skipped", is_item=True)

    def write_task(self, result, status, *, is_item=False, ignored=False):
        task, host = result.task, result.host.get_name()
        answer = result.result
        hidden = bool(task.no_log) or bool(answer.get("_ansible_no_log"))
        if hidden and is_item:
            return  # the loop's own event says all that may be said
        key = (host, task._uuid)
        began = self.started.get(key) if is_item else self.started.pop(key, None)
        event = {
            "event": "task",
            "play": self.play,
            "task": written_name(task) if hidden else result.task_name,
            "role": task._role.get_name() if task._role else None,
            "host": host,
            "status": status,
            "seconds": round(time.monotonic() - began, 3) if began else 0.0,
        }
        if ignored:
            event["ignored"] = True
        if not hidden:
            if is_item:
                event["item"] = cut(str(self._get_item_label(answer)))
            message = message_of(answer, status)
            if message:
                event["msg"] = cut(message)
        self.write(event)

    # --- the end

    @never_raises
    def v2_playbook_on_stats(self, stats):
        hosts = {}
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            hosts[host] = {name: counts[name] for name in ("ok", "changed", "failures", "unreachable", "skipped", "rescued")}
        self.write({"event": "stats", "hosts": hosts, "custom": dict(stats.custom.get("_run", {}))})


def written_name(task) -> str:
    """The name as the file has it: a rendered one may hold what `no_log` hides."""
    written = task.get_ds()
    return str(written.get("name") or task.action) if isinstance(written, dict) else str(task.action)


def message_of(answer, status) -> str:
    """What a reader needs of a result: the reason of a failure or a skip, never its other fields."""
    if status == "skipped":
        return str(answer.get("skip_reason") or answer.get("skipped_reason") or "")
    if status not in ("failed", "unreachable"):
        return ""
    parts = [str(answer.get("msg") or "").strip()]
    for name in ("stderr", "module_stderr", "stdout", "module_stdout"):
        text = str(answer.get(name) or "").strip()
        if text and text not in parts[0]:
            # The end of a command's output says why it failed.
            parts.append(f"{name}: {text[-1500:]}")
    return "\n".join(part for part in parts if part)
