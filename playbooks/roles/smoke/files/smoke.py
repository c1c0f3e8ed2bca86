"""Does on the node what a hosting platform does with it: a WordPress site, its clone, its back-up, its restoration; and
removes it all again. Prints what came of each step, as a JSON list.

What it finds is data. The suites below are all there is, always in this order; the first step that fails ends its suite
and those behind it, and cleaning up comes in any case.
"""

import fcntl
import json
import os
import pathlib
import re
import signal
import sys
import time

import packages
import removal
import serialized
import visits
from commands import Commands, Failed, cut, words_of
from environment import SITES, Environment

STEPS_SECS = 1200
CLEAN_UP_SECS = 600
# Until an earlier smoke, whose caller has gone away, has ended by itself.
LOCK_SECS = 300
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TEXT_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{database}'
AND DATA_TYPE IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext') ORDER BY 1, 2
"""


class Interrupted(BaseException):
    """Somebody ends this program: what was made has to go first."""


def locked(folder):
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Smoke:
    def __init__(self, wanted):
        self.name = f"nysmoke-{wanted['smoke_id']}"
        names = {f"{self.name}-preview": "PREVIEW", self.name: "SITE"}
        self.commands = Commands(names, STEPS_SECS)
        self.site = Environment(self.name, self.commands, wanted["programs"])
        self.preview = Environment(f"{self.name}-preview", self.commands, wanted["programs"])
        self.backup = removal.BACKUPS / self.name
        self.lock = None
        self.in_step, self.ended = False, None

    # Suite site.

    def remove_left_overs(self):
        lock = os.open(SITES, os.O_RDONLY | os.O_DIRECTORY)
        if not self.commands.waited(lambda: locked(lock), LOCK_SECS):
            raise Failed("another smoke still runs on this node")
        # From here on, what is called as a smoke calls it is ours to remove.
        self.lock = lock
        found = [f"{function.__name__}: {function(self.commands)}" for function, _ in removal.REMOVALS]
        removal.nothing_left(self.commands)
        return "; ".join(found)

    def install_packages(self):
        return packages.install(self.commands)

    def make_user(self):
        return self.site.make_user()

    def make_folders(self):
        self.site.make_folders()
        self.site.make_content()

    def make_pool(self):
        self.site.make_pool()

    def make_database(self):
        self.site.make_database()

    def make_server_block(self):
        self.site.make_block()

    def write_config(self):
        self.site.write_config()

    def install_wordpress(self):
        self.site.play("install.php", password=self.commands.secret())
        # By its effect, and not by what the program said of itself.
        options = "SELECT option_value FROM wp_options WHERE option_name IN ('siteurl', 'home') ORDER BY option_name"
        try:
            found = [row[0] for row in self.commands.sql(options, self.name)]
        except Failed as fault:
            raise Failed(f"WordPress is not installed: {fault.said}") from None
        if found != [f"http://{self.site.host}"] * 2:
            raise Failed(f"WordPress is not installed: its database says that it lives at {found}")

    def publish_post(self):
        self.marker = self.site.random_marker("published")
        self.post = self.site.play("publish.php", marker=self.marker)["post"]

    def fetch_site(self):
        return self.shows(self.site, self.marker)

    def clone_environment(self):
        self.preview.make_user()
        self.preview.make_folders()
        self.preview.make_pool()
        self.preview.make_database()
        self.preview.make_block()
        self.preview.write_config()

    def clone_content(self):
        self.preview.copy_content(self.site)

    def clone_database(self):
        dump = self.preview.root / "clone.sql"
        self.site.dump(dump)
        self.preview.load(dump)
        dump.unlink()

    def rewrite_clone(self):
        """Each text of the clone's database that names the site's host."""
        changes, wanted = [], []
        for table, column in self.commands.sql(TEXT_COLUMNS.format(database=self.preview.name)):
            # A post's guid is its name for ever and no address, though it looks like one.
            if column != "guid":
                wanted.append(
                    f"SELECT DISTINCT '{table}', '{column}', HEX(`{column}`) FROM `{table}`"
                    f" WHERE `{column}` LIKE '%{self.site.host}%';"
                )
        for table, column, value in self.commands.sql("\n".join(wanted), self.preview.name):
            before = bytes.fromhex(value)
            after = serialized.moved(before, self.site.host, self.preview.host)
            if after != before:
                changes.append(
                    f"UPDATE `{table}` SET `{column}` = UNHEX('{after.hex()}')"
                    f" WHERE CAST(`{column}` AS BINARY) = UNHEX('{value}');"
                )
        self.commands.sql("\n".join(["START TRANSACTION;", *changes, "COMMIT;"]), self.preview.name)
        return f"{len(changes)} values"

    def mark_clone(self):
        self.clone_marker = self.preview.random_marker("cloned")
        self.preview.play("mark.php", post=self.post, marker=self.clone_marker)

    def fetch_preview(self):
        told = self.shows(self.preview, self.clone_marker)
        return f"{told}, the clone's marker"

    def fetch_source_unmarked(self):
        # Past the page cache, which would show what the page was before.
        page = self.visited(self.site, cookie=visits.KNOWN)
        if page.status != 200 or self.marker not in page.body:
            raise Failed(f"{page}, without its own marker: {words_of(page.body)}")
        if self.clone_marker in page.body:
            raise Failed(f"{page}: the source shows what only the clone has")
        return f"{page}, its own marker alone"

    # Suite backup.

    def back_up(self):
        self.backup.mkdir(mode=0o700)
        self.site.dump(self.backup / "database.sql")
        files = ["--file", str(self.backup / "files.tar.gz"), "--directory", str(self.site.root)]
        self.commands.run("tar", "--create", "--gzip", *files, "htdocs", timeout=120)
        sums = self.commands.run("sha256sum", "--", *self.parts()).decode("utf-8", "replace")
        (self.backup / "SHA256SUMS").write_text(sums, encoding="utf-8")
        self.sizes = self.measured()
        lines = [(line[:64], pathlib.Path(line[66:]).name) for line in sums.splitlines()]
        return ", ".join(f"{name} {size} bytes {digest}" for (digest, name), size in zip(lines, self.sizes))

    def parts(self):
        return [str(self.backup / name) for name in ("database.sql", "files.tar.gz")]

    def measured(self):
        return [os.stat(part).st_size for part in self.parts()]

    def verify_backup(self):
        self.commands.run("sha256sum", "--check", "--strict", str(self.backup / "SHA256SUMS"))
        if self.measured() != self.sizes or not all(self.sizes):
            raise Failed(f"{self.measured()} bytes, and {self.sizes} were written")

    def damage_site(self):
        self.commands.sql("DROP TABLE wp_posts", self.name)
        removal.deleted(self.site.content / "uploads")

    def fetch_damaged(self):
        page = self.visited(self.site, cookie=visits.KNOWN)
        if page.status == 200 and self.marker in page.body:
            raise Failed(f"{page}: the damaged site still shows its post")
        file = self.uploaded()
        if file.status == 200:
            raise Failed(f"{file}: the damaged site still has its file")
        return f"{page}, the file {file}: seen to fail"

    def restore_site(self):
        self.verify_backup()
        removal.deleted(self.site.root / "htdocs")
        files = ["--file", str(self.backup / "files.tar.gz"), "--directory", str(self.site.root)]
        self.commands.run("tar", "--extract", "--gzip", "--same-owner", *files, timeout=120)
        self.site.load(self.backup / "database.sql")

    def fetch_restored(self):
        told = self.shows(self.site, self.marker, cookie=visits.KNOWN)
        file = self.uploaded()
        if file.status != 200 or file.body != self.marker:
            raise Failed(f"the file {file}: {words_of(file.body)}")
        return f"{told}, and its file"

    # What several steps need.

    def visited(self, environment, path=None, cookie=None):
        """The post is asked for as none of the site's own links would: it answers by a redirect to where it lives."""
        path = path or f"/?p={self.post}"
        try:
            return visits.visit(environment.host, path, cookie, self.commands.left(30))
        except (visits.Astray, visits.Unreachable) as fault:
            raise Failed(str(fault)) from None

    def uploaded(self):
        return self.visited(self.site, "/wp-content/uploads/smoke.txt")

    def shows(self, environment, marker, cookie=None):
        """The site answers with the marker and with its own URLs."""
        page = self.visited(environment, cookie=cookie)
        if page.status != 200 or marker not in page.body:
            raise Failed(f"{page} without the marker: {words_of(page.body)}")
        if environment is not self.site and f"//{self.site.host}" in page.body.replace("\\", ""):
            raise Failed(f"{page}: the clone's page leads to {self.site.host}: its URLs were not rewritten")
        if f"http://{environment.host}/kept-in-an-array/" not in page.body:
            raise Failed(f"{page}: a URL that is kept in an array is not the site's: {words_of(page.body)}")
        return f"{page}, the marker"

    # Each with the command that tells a reader most of what it does.
    SUITES = {
        "site": [
            (remove_left_overs, "rm nysmoke-*"),
            (install_packages, "apt-get install --no-install-recommends " + " ".join(packages.WANTED)),
            (make_user, "useradd --system SITE"),
            (make_folders, "install -d /var/www/sites/SITE"),
            (make_pool, "systemctl reload php8.4-fpm"),
            (make_database, "mariadb: CREATE DATABASE SITE; CREATE USER SITE"),
            (make_server_block, "systemctl reload nginx"),
            (write_config, "install /etc/wordpress/config-SITE.test.php"),
            (install_wordpress, "runuser -u SITE -- php install.php"),
            (publish_post, "runuser -u SITE -- php publish.php"),
            (fetch_site, "GET http://SITE.test/?p=POST"),
            (
                clone_environment,
                "useradd --system PREVIEW; systemctl reload php8.4-fpm nginx; mariadb: CREATE DATABASE PREVIEW",
            ),
            (clone_content, "cp --archive SITE/htdocs/wp-content PREVIEW/htdocs/wp-content"),
            (clone_database, "mariadb-dump SITE | mariadb PREVIEW"),
            (rewrite_clone, "mariadb PREVIEW: UPDATE"),
            (mark_clone, "runuser -u PREVIEW -- php mark.php"),
            (fetch_preview, "GET http://PREVIEW.test/?p=POST"),
            (fetch_source_unmarked, "GET http://SITE.test/?p=POST"),
        ],
        "backup": [
            (back_up, "mariadb-dump SITE; tar --create SITE/htdocs; sha256sum"),
            (verify_backup, "sha256sum --check SHA256SUMS"),
            (damage_site, "mariadb SITE: DROP TABLE wp_posts; rm -r SITE/htdocs/wp-content/uploads"),
            (fetch_damaged, "GET http://SITE.test/?p=POST"),
            (restore_site, "tar --extract SITE/htdocs; mariadb SITE"),
            (fetch_restored, "GET http://SITE.test/?p=POST"),
        ],
    }

    def play(self, keep):
        results = []
        self.play_suites(results)
        # From here on nobody ends this before it has cleaned up or used up its time.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        self.ended = None
        self.commands.grant(CLEAN_UP_SECS)
        if self.lock is not None:
            results += self.kept() if keep else self.cleaned_up()
        return results

    def play_suites(self, results):
        for suite, steps in self.SUITES.items():
            for function, command in steps:
                results.append(self.attempt(suite, function.__name__, lambda f=function: f(self), command))
                if not results[-1]["ok"]:
                    return

    def cleaned_up(self):
        steps = [(function.__name__, function, command) for function, command in removal.REMOVALS]
        steps.append(("nothing_left", removal.nothing_left, "find nysmoke-*"))
        return [
            self.attempt("clean_up", name, lambda f=function: f(self.commands), command)
            for name, function, command in steps
        ]

    def kept(self):
        there = f"kept as asked until the next smoke: {self.site.host}, {self.preview.host}, {self.backup}"
        return [self.result("clean_up", "kept", True, 0, "true", there)]

    def attempt(self, suite, step, function, command):
        since = time.monotonic()

        def done(ok, command, detail):
            return self.result(suite, step, ok, int(1000 * (time.monotonic() - since)), command, detail)

        try:
            return done(True, command, self.stepped(function) or "done")
        except Failed as fault:
            return done(False, fault.command or command, fault.said)
        except Interrupted as signalled:
            return done(False, command, str(signalled))
        except Exception as fault:  # a step that breaks has not shown that all is well
            return done(False, command, f"{type(fault).__name__}: {fault}")

    def stepped(self, function):
        if self.ended:
            raise Failed(self.ended)
        try:
            self.in_step = True
            return function()
        finally:
            self.in_step = False

    def end(self, number, _frame):
        """A step under way is given up at once, else the next one."""
        self.ended = f"ended by {signal.Signals(number).name}"
        if self.in_step:
            raise Interrupted(self.ended)

    def result(self, suite, step, ok, millis, command, detail):
        detail = cut(self.commands.hidden(detail))
        return {"suite": suite, "step": step, "ok": ok, "millis": millis, "command": command, "detail": detail}


def main(wanted):
    if not re.fullmatch(r"[0-9a-f]{8}", wanted["smoke_id"]):
        sys.exit("smoke_id is 8 lowercase hex digits")
    smoke = Smoke(wanted)
    for number in ENDING:
        signal.signal(number, smoke.end)
    os.umask(0o022)
    print(json.dumps(smoke.play(wanted["keep"])))
