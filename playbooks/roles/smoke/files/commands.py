"""Runs programs on the node, each within its time, and says of one that failed which it was and what it said: cut,
printable and without secrets.
"""

import contextlib
import html
import os
import re
import secrets
import signal
import subprocess
import time

OUTPUT_MAX = 500
# Where Debian keeps daemons; not on everybody's PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Failed(Exception):
    """A step cannot go on. `command` is None if it was not a program that failed."""

    def __init__(self, said, command=None):
        super().__init__(said)
        self.said, self.command = said, command


def cut(text: str, most: int = OUTPUT_MAX) -> str:
    """On one line, printable. Of a long text its beginning and more of its end, where programs say what went wrong."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if len(text) <= most:
        return text
    gap = " ... "
    head = (most - len(gap)) // 3
    return text[:head] + gap + text[-(most - len(gap) - head) :]


def words_of(page: str) -> str:
    """What a reader sees of a page."""
    page = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def end_all(process):
    """Ends a program with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


class Commands:
    """All programs of one smoke. `names` maps the names of this run to words that are the same in each run."""

    def __init__(self, names, secs):
        self.names = sorted(names.items(), key=lambda pair: -len(pair[0]))
        self.secrets = []
        self.grant(secs)

    def grant(self, secs):
        """From now on, all programs together have this long."""
        self.until = time.monotonic() + secs

    def left(self, most):
        left = self.until - time.monotonic()
        if left <= 0:
            raise Failed("the smoke has used up its time")
        return min(left, most)

    def secret(self):
        """A new password. It appears in no output."""
        made = secrets.token_hex(20)
        self.secrets.append(made)
        return made

    def hidden(self, text):
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        return text

    def shown(self, words):
        """A command as evidence has it: the same in each run."""
        line = " ".join(words)
        for name, word in self.names:
            line = line.replace(name, word)
        return cut(self.hidden(line))

    def run(self, *words, stdin=b"", timeout=60, source=None, target=None, env=None, told=None):
        """What it printed. `source` and `target` are open files in place of its input and output; `told` is a
        shorter form of the command."""
        command = self.shown(told or words)
        settings = {"PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
        allowed = self.left(timeout)
        try:
            # A session of its own: what it starts ends with it.
            process = subprocess.Popen(
                words,
                stdin=source or subprocess.PIPE,
                stdout=target or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=settings,
                cwd="/",
                start_new_session=True,
            )
        except OSError as fault:
            raise Failed(str(fault), command) from None
        ended = False
        try:
            printed, complaint = process.communicate(None if source else stdin, timeout=allowed)
            ended = True
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {allowed:.0f} s", command) from None
        finally:
            if not ended:
                end_all(process)
        if process.returncode != 0:
            said = b"\n".join((complaint or b"", printed or b"")).decode("utf-8", "replace")
            raise Failed(f"exit code {process.returncode}: {words_of(said) or 'it said nothing'}", command)
        return printed or b""

    def sql(self, statements, database=None):
        """As root, by the socket. Statements go in by the input, where no list of processes shows them; which step they
        are for says more than how they are put in."""
        words = ["mariadb", "--batch", "--skip-column-names", *([database] if database else [])]
        try:
            rows = self.run(*words, stdin=statements.encode()).decode("utf-8", "replace")
        except Failed as fault:
            raise Failed(f"mariadb: {fault.said}") from None
        return [row.split("\t") for row in rows.splitlines()]

    def waited(self, holds, most=15):
        """Whether it comes true in time."""
        until = time.monotonic() + self.left(most)
        while not holds():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True
