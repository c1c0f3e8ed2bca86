"""Debian's WordPress: installed if it is not there, and taken away again with exactly what came with it."""

import contextlib
import fcntl
import os
import pathlib
import re

from commands import Failed

WANTED = ["wordpress", "wordpress-theme-twentytwentyfive"]
# Written before anything is installed: a smoke that is killed must not leave packages that nobody knows of.
RECORD = pathlib.Path("/var/lib/nysmoke-packages")
LOCK = "/var/lib/dpkg/lock-frontend"
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*(:[a-z0-9]+)?")
APT = ["apt-get", "--yes", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
# The node's own files stay as they are, and the archives go as they came.
QUIETLY = ["-o", "APT::Keep-Downloaded-Packages=false"]
QUIETLY += ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def planned(simulation: str):
    """What a simulation of apt would install anew, and what it would remove."""
    new = re.findall(r"(?m)^Inst (\S+) \(", simulation)
    gone = re.findall(r"(?m)^(?:Remv|Purg) (\S+)", simulation)
    return sorted(set(new)), sorted(set(gone))


def apache(names):
    return [name for name in names if name.startswith(("apache2", "libapache2"))]


def present(commands, names):
    """Those of the packages that dpkg knows anything of."""
    said = commands.run("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n").decode()
    states = dict(row.split(" ", 1) for row in said.splitlines())
    return [name for name in names if states.get(name.split(":")[0], "not-installed") != "not-installed"]


def recorded():
    with contextlib.suppress(FileNotFoundError):
        return [name for name in RECORD.read_text(encoding="utf-8").split() if NAME.fullmatch(name)]
    return []


def install(commands):
    if len(present(commands, WANTED)) == len(WANTED):
        return "they were there"
    commands.run(*APT, "update", timeout=180)
    plan = ["install", "--no-install-recommends", *WANTED]
    new, gone = planned(commands.run(*APT, "--simulate", *plan).decode("utf-8", "replace"))
    if gone or apache(new):
        raise Failed(f"would remove {gone} and install {apache(new)}", commands.shown(["apt-get", *plan]))
    record(sorted({*recorded(), *new}))
    commands.run(*APT, *QUIETLY, *plan, timeout=600, told=["apt-get", *plan])
    return f"{len(new)} installed"


def record(names):
    draft = RECORD.with_suffix(".new")
    with open(draft, "w", encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in names))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(RECORD)


def unlocked():
    """Whether nobody is installing or removing packages."""
    with open(LOCK, "r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def remove_packages(commands):
    """What smokes have installed, and nothing that came to need it since."""
    # The apt of a smoke that was killed goes on by itself: what it will have installed is only known then.
    if recorded() and not commands.waited(unlocked, 300):
        raise Failed("somebody else is installing packages")
    ours = present(commands, recorded())
    if ours:
        with contextlib.suppress(Failed):
            # If it was killed, too, and dpkg is in the middle of its work.
            commands.run("dpkg", "--configure", "--pending", timeout=120)
        told = ["apt-get", "purge", *ours]
        _, gone = planned(commands.run(*APT, "--simulate", "purge", *ours, told=told).decode("utf-8", "replace"))
        if others := sorted(set(gone) - set(ours)):
            raise Failed(f"{', '.join(others)} would go, too", commands.shown(told))
        commands.run(*APT, "purge", *ours, timeout=300, told=told)
    RECORD.unlink(missing_ok=True)
    return f"{len(ours)} removed"
