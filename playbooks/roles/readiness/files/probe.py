"""Looks at the node it runs on and prints what is in the way of using it, as a JSON list.

Read-only, and every probe answers: one that cannot look says so as a finding, it does not end the run.
Arguments: one JSON object with `binaries`, `services`, `pages`, `disk_free_min_mb`, `disk_free_min_percent`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

# Where Debian keeps daemons; not on an ordinary user's PATH.
os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command, timeout=15):
    """Exit code and output. 127 if it cannot be run, 124 if it takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return done.returncode, (done.stdout + done.stderr).strip()
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} took longer than {timeout} s"
    except OSError as fault:
        return 127, str(fault)


def sudo_unavailable(_):
    code, out = run("sudo", "-n", "true")
    return code == 0, out or "sudo -n works"


def boot_unfinished(_):
    _, cloud_init = run("cloud-init", "status")
    found = re.search(r"status: (\w[\w ]*)", cloud_init)
    status = found.group(1) if found else cloud_init[:200]
    _, system = run("systemctl", "is-system-running")
    # "degraded" is a unit that failed: a finding of service_down if it is one of ours.
    finished = status in ("done", "disabled") and system in ("running", "degraded")
    return finished, f"cloud-init: {status}; systemd: {system}"


def runtime_missing(wanted):
    missing = [name for name in wanted["binaries"] if shutil.which(name) is None]
    return not missing, "missing: " + ", ".join(missing) if missing else f"{len(wanted['binaries'])} found"


def service_down(wanted):
    down = []
    for name in wanted["services"]:
        _, state = run("systemctl", "is-active", name)
        if state != "active":
            down.append(f"{name} is {state}")
    for url in wanted["pages"]:
        try:
            with urllib.request.urlopen(url, timeout=15) as answer:
                status = answer.status
        except urllib.error.HTTPError as fault:
            status = f"{fault.code} {fault.read(300).decode('utf-8', 'replace').strip()}"
        except OSError as fault:
            status = str(fault)
        if status != 200:
            down.append(f"{url} answers {status}")
    return not down, "; ".join(down) or f"{len(wanted['services'])} services, {len(wanted['pages'])} pages"


def firewall_inactive(_):
    code, out = run("sudo", "-n", "nft", "--json", "list", "table", "inet", "nodeyard")
    if code != 0:
        return False, out[:300]
    chains = [entry["chain"] for entry in json.loads(out)["nftables"] if "chain" in entry]
    dropping = [chain["name"] for chain in chains if chain.get("hook") == "input" and chain.get("policy") == "drop"]
    return bool(dropping), "input is dropped by default" if dropping else "no input chain that drops by default"


def disk_low(wanted):
    disk = os.statvfs("/")
    free_mb = disk.f_bavail * disk.f_frsize // 1_000_000
    free_percent = 100 * disk.f_bavail // max(disk.f_blocks, 1)
    free_inodes_percent = 100 * disk.f_favail // disk.f_files if disk.f_files else 100
    enough = (
        free_mb >= wanted["disk_free_min_mb"]
        and min(free_percent, free_inodes_percent) >= wanted["disk_free_min_percent"]
    )
    return enough, f"/ has {free_mb} MB ({free_percent} %) and {free_inodes_percent} % of its inodes free"


def reboot_required(_):
    if not os.path.exists("/run/reboot-required"):
        return True, "no"
    try:
        with open("/run/reboot-required.pkgs", encoding="utf-8") as file:
            return False, "because of " + ", ".join(sorted(set(file.read().split())))
    except OSError:
        return False, "a package asked for it"


PROBES = [sudo_unavailable, boot_unfinished, runtime_missing, service_down, firewall_inactive, disk_low, reboot_required]


# What these see, they see as root: without sudo they have nothing to say, and what is in the way is told once.
BY_SUDO = [firewall_inactive]


def findings(wanted):
    found = []
    for probe in PROBES:
        is_blind = probe in BY_SUDO and any(it["code"] == "sudo_unavailable" and not it["ok"] for it in found)
        if not is_blind:
            found.append(finding(probe, wanted))
    return found


def finding(probe, wanted):
    try:
        ok, detail = probe(wanted)
    except Exception as fault:  # a probe that breaks has not shown that all is well
        ok, detail = False, f"the probe failed: {type(fault).__name__}: {fault}"
    return {"code": probe.__name__, "ok": ok, "warning": probe is reboot_required, "detail": detail}


if __name__ == "__main__":
    print(json.dumps(findings(json.loads(sys.argv[1]))))
