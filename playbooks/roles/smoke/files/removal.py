"""Finds and removes what smokes make, of this run and of those that were killed. What is there is asked of the node, by
the names that smokes give; nobody's memory of what was made is trusted.
"""

import contextlib
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal

import packages
from commands import Failed
from environment import BLOCKS, CONFIGS, POOLS, SITES, SOCKETS

BACKUPS = pathlib.Path("/var/backups/sites")
PAGES = pathlib.Path("/var/cache/nginx/nodeyard-pages")
# All of it goes into SQL and paths: nothing else is taken for ours.
NAME = re.compile(r"nysmoke-[0-9a-f]{8}(-preview)?")
PAGE_KEY = re.compile(rb"\nKEY: https?(?:GET|HEAD)nysmoke-[0-9a-f]{8}(?:-preview)?\.test/")


def named(folder, before="", after=""):
    """Entries of a folder that are called as a smoke calls them."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(folder.iterdir()):
            name = entry.name.removeprefix(before).removesuffix(after)
            if entry.name == before + name + after and NAME.fullmatch(name):
                found.append(entry)
    return found


def blocks(_):
    return named(BLOCKS, after=".conf")


def pools(_):
    return named(POOLS, after=".conf")


def sockets(_):
    return named(SOCKETS, after=".sock")


def databases(commands):
    return [row[0] for row in commands.sql("SHOW DATABASES LIKE 'nysmoke-%'") if NAME.fullmatch(row[0])]


def accounts(commands):
    rows = commands.sql("SELECT User, Host FROM mysql.global_priv WHERE User LIKE 'nysmoke-%'")
    return [tuple(row) for row in rows if NAME.fullmatch(row[0]) and re.fullmatch(r"[a-z0-9.%]*", row[1])]


def users(_):
    return [entry.pw_name for entry in pwd.getpwall() if NAME.fullmatch(entry.pw_name)]


def groups(_):
    return [entry.gr_name for entry in grp.getgrall() if NAME.fullmatch(entry.gr_name)]


def folders(_):
    return named(SITES) + named(CONFIGS, before="config-", after=".test.php")


def backups(_):
    return named(BACKUPS)


def pages(_):
    """Pages in nginx' cache: its files say on an early line what they are the answer to."""
    found = []
    for folder, _folders, files in os.walk(PAGES):
        for file in files:
            path = pathlib.Path(folder, file)
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as page:
                if PAGE_KEY.search(page.read(4096)):
                    found.append(path)
    return found


def installed(commands):
    return packages.present(commands, packages.recorded()) + [packages.RECORD] * packages.RECORD.exists()


KINDS = [blocks, pools, sockets, databases, accounts, users, groups, folders, backups, pages, installed]


def nothing_left(commands):
    left, unknown = [], []
    for kind in KINDS:
        try:
            left += [f"{kind.__name__}: {found}" for found in kind(commands)]
        except Failed as fault:
            unknown.append(f"{kind.__name__} cannot be looked for: {fault.said}")
    if left or unknown:
        raise Failed(commands.hidden("; ".join(unknown + left)))
    return f"looked for {len(KINDS)} kinds of things"


def remove_blocks(commands):
    found = blocks(commands)
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        commands.run("nginx", "-t")
        # A server that is down stays so: that is not ours to change.
        commands.run("systemctl", "try-reload-or-restart", "nginx")
    return told(found)


def remove_pools(commands):
    found = pools(commands)
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        commands.run("systemctl", "try-reload-or-restart", "php8.4-fpm")
        commands.waited(lambda: not sockets(commands))
    for path in sockets(commands):
        path.unlink(missing_ok=True)
    return told(found)


def remove_databases(commands):
    found = databases(commands) + accounts(commands)
    statements = [f"DROP DATABASE IF EXISTS `{name}`;" for name in databases(commands)]
    statements += [f"DROP USER IF EXISTS '{user}'@'{host}';" for user, host in accounts(commands)]
    if statements:
        commands.sql("\n".join(statements))
    return told(found)


def processes(uid):
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid == uid:
                yield int(entry.name)


def remove_users(commands):
    found = users(commands)
    for name in found:
        uid = pwd.getpwnam(name).pw_uid
        for process in processes(uid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        commands.waited(lambda uid=uid: not any(processes(uid)))
        commands.run("userdel", name)
    for name in groups(commands):
        commands.run("groupdel", name)
    return told(found)


def remove_folders(commands):
    return told([deleted(path) for path in folders(commands)])


def remove_backups(commands):
    return told([deleted(path) for path in backups(commands)])


def remove_pages(commands):
    return told([deleted(path) for path in pages(commands)])


def deleted(path):
    """Links are removed, never followed."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as fault:
        raise Failed(str(fault)) from None
    return path


def told(found):
    return f"{len(found)} removed"


# In this order: what serves a site before what it is made of.
REMOVALS = [
    (remove_blocks, "systemctl reload nginx"),
    (remove_pools, "systemctl reload php8.4-fpm"),
    (remove_databases, "mariadb: DROP DATABASE SITE; DROP USER SITE"),
    (remove_users, "userdel SITE"),
    (remove_folders, "rm -r /var/www/sites/SITE /etc/wordpress/config-SITE.test.php"),
    (remove_backups, "rm -r /var/backups/sites/SITE"),
    (remove_pages, "rm /var/cache/nginx/nodeyard-pages/PAGE"),
    (packages.remove_packages, "apt-get purge PACKAGES"),
]
