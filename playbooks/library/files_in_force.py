#!/usr/bin/python
"""Ansible module: files are as given, and the unit that reads them was started after their last change."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: files_in_force
short_description: Files are as given, and the unit that reads them runs with them
description:
  - Writes whole files, each in one step, and sees to it that a unit is enabled, active, and started after they
    were last changed. A unit whose own conditions rule it out on this machine counts as active. It looks at the state of the node and not at what this run has changed, so a restart that
    an interrupted run owed is made up for. All in one round trip.
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where., type: path, required: true}
      content: {description: The whole content., type: str, required: true}
      mode: {description: Octal mode., type: str, default: "0644"}
      group: {description: Group; the owner is root., type: str, default: root}
  absent:
    description: Files or links that must not be there.
    type: list
    elements: path
    default: []
  unit:
    description: Full name of the unit that reads the files when it starts.
    type: str
  newer_than:
    description: More files that the unit reads when it starts.
    type: list
    elements: path
    default: []
  check:
    description: Command that validates the files before the unit is stopped for a restart.
    type: str
"""

FILE_OPTIONS = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
    "group": {"type": "str", "default": "root"},
}


# --- files


def is_as_wanted(path, content, mode, uid, gid):
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return False
        with open(path, "rb") as file:
            same = file.read() == content
        return same and (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, uid, gid)
    except FileNotFoundError:
        return False


def put_file(module, wanted):
    """True if it was changed. The temporary name ends in nothing that a service would read."""
    path, content, mode = wanted["path"], wanted["content"].encode(), int(wanted["mode"], 8)
    uid, gid = pwd.getpwnam("root").pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    if is_as_wanted(path, content, mode, uid, gid):
        return False
    if not module.check_mode:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        descriptor, new = tempfile.mkstemp(prefix=".nodeyard.", dir=os.path.dirname(path))
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    return True


def remove(module, path, witness):
    if not os.path.lexists(path):
        return False
    if not module.check_mode:
        # Leaves the trace that a restart is owed, before the removal that would leave none.
        os.utime(witness)
        os.unlink(path)
    return True


# --- the unit


def properties(module, unit):
    names = [
        "LoadState",
        "ActiveState",
        "UnitFileState",
        "NeedDaemonReload",
        "InactiveExitTimestampMonotonic",
        "ConditionResult",
        "ConditionTimestampMonotonic",
    ]
    command = ["systemctl", "show", unit] + ["--property=" + name for name in names]
    _, out, _ = module.run_command(command, check_rc=True)
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def started_at(state):
    """Seconds since the epoch. From the monotonic clock, so that a corrected wall clock does not mislead."""
    since_boot = int(state["InactiveExitTimestampMonotonic"] or 0) / 1_000_000
    return time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + since_boot


def rules_itself_out(state):
    """Its conditions were looked at, and did not hold, such as in a container."""
    return state["ConditionResult"] == "no" and int(state["ConditionTimestampMonotonic"] or 0) > 0


def is_stale(state, files):
    # The inode's change time: moved into place, a file may keep an old modification time.
    return any(os.path.exists(path) and os.stat(path).st_ctime > started_at(state) for path in files)


def due_verbs(module, unit, files):
    state = properties(module, unit)
    if state["NeedDaemonReload"] == "yes" or state["LoadState"] == "not-found":
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        state = properties(module, unit)
    if state["LoadState"] != "loaded":
        module.fail_json(msg=f"{unit} cannot be loaded: {state['LoadState']}")
    verbs = ["enable"] if state["UnitFileState"] == "disabled" else []
    if rules_itself_out(state):
        return verbs
    if state["ActiveState"] not in ("active", "reloading"):
        verbs.append("start")
    elif is_stale(state, files):
        verbs.append("restart")
    return verbs


def converge(module, unit, files, check):
    """Brings the unit there and returns what it took."""
    verbs = due_verbs(module, unit, files)
    if module.check_mode:
        return verbs
    if check and verbs and verbs != ["enable"]:
        code, out, err = module.run_command(check)
        if code != 0:
            module.fail_json(msg=f"{unit} was left as it is: {check} failed: {out.strip()} {err.strip()}")
    for verb in verbs:
        code, _, err = module.run_command(["systemctl", verb, unit])
        if code != 0:
            _, log, _ = module.run_command(["journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat"])
            module.fail_json(msg=f"systemctl {verb} {unit} failed: {err.strip()}\n{log}")
    return verbs


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
            "absent": {"type": "list", "elements": "path", "default": []},
            "unit": {"type": "str"},
            "newer_than": {"type": "list", "elements": "path", "default": []},
            "check": {"type": "str"},
        },
        supports_check_mode=True,
    )
    files, absent, unit, newer_than, check = (
        module.params[name] for name in ("files", "absent", "unit", "newer_than", "check")
    )
    paths = [file["path"] for file in files]
    changes = [file["path"] for file in files if put_file(module, file)]
    changes += [path for path in absent if remove(module, path, paths[0])]
    if unit:
        changes += [f"{verb} {unit}" for verb in converge(module, unit, paths + newer_than, check)]
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
