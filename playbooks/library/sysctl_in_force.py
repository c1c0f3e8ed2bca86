#!/usr/bin/python
"""Ansible module: kernel parameters that are on file for the next boot and in force now."""

from __future__ import annotations

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: sysctl_in_force
short_description: Kernel parameters are on file and in force
options:
  files:
    description: Files below /etc/sysctl.d, each with its values.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      values:
        description: Names and values.
        type: dict
        required: true
      may_be_read_only:
        description: A value that this kernel or container does not let us set is reported and no failure.
        type: bool
        default: false
"""


def write_file(module, path, values, lenient):
    # systemd-sysctl goes on after a failure in a line that begins with a hyphen.
    mark = "-" if lenient else ""
    content = "".join(f"{mark}{name} = {value}\n" for name, value in values.items())
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == content:
                return False
    except FileNotFoundError:
        pass
    if not module.check_mode:
        descriptor, new = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(new, 0o644)
        module.atomic_move(new, path)
    return True


def in_force(live, wanted):
    return live.split() == str(wanted).split()


def put_in_force(module, name, value):
    """True if it had to be set. OSError if it cannot be."""
    path = "/proc/sys/" + name.replace(".", "/")
    with open(path, encoding="utf-8") as file:
        if in_force(file.read(), value):
            return False
    if not module.check_mode:
        with open(path, "w", encoding="utf-8") as file:
            file.write(str(value))
    return True


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "values": {"type": "dict", "required": True},
                    "may_be_read_only": {"type": "bool", "default": False},
                },
            }
        },
        supports_check_mode=True,
    )
    changed, not_settable = [], []
    for file in module.params["files"]:
        lenient = file["may_be_read_only"]
        if write_file(module, file["path"], file["values"], lenient):
            changed.append(file["path"])
        for name, value in file["values"].items():
            try:
                if put_in_force(module, name, value):
                    changed.append(name)
            except FileNotFoundError:
                # No such parameter, such as net.ipv6.* without IPv6: nothing to harden.
                not_settable.append(name)
            except OSError as fault:
                if not lenient:
                    module.fail_json(msg=f"{name} cannot be set: {fault}")
                not_settable.append(name)
    module.exit_json(changed=bool(changed), values_changed=changed, not_settable=not_settable)


if __name__ == "__main__":
    main()
