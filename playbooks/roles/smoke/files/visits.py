"""Fetches a site's pages through nginx, by the loopback, and follows redirects on the site's own host only."""

import http.client
import urllib.parse

REDIRECTS_MAX = 5
BODY_MAX = 2_000_000
# nginx serves no page from its cache to somebody whom the site knows, nor keeps one.
KNOWN = "comment_author_smoke=1"


class Astray(Exception):
    """A redirect that must not be followed."""


class Unreachable(Exception):
    """Nobody answered at all."""


def onwards(host, path, location):
    """The path that a redirect leads to on the same host."""
    if not location:
        raise Astray(f"{path} redirects without saying where to")
    if any(ord(sign) <= 32 or ord(sign) == 127 or sign == "\\" for sign in location):
        raise Astray(f"{path} redirects to something that is no URL")
    try:
        url = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{host}{path}", location))
        port = url.port
    except ValueError:
        raise Astray(f"{path} redirects to something that is no URL") from None
    if url.scheme != "http" or (url.hostname or "") != host or port not in (None, 80) or "@" in url.netloc:
        raise Astray(f"{path} redirects away from {host}, to {location}")
    return urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))


class Page:
    """Where a visit ended."""

    def __init__(self, status, body, path, redirects):
        self.status, self.body, self.path, self.redirects = status, body, path, redirects

    def __str__(self):
        followed = f" after {self.redirects} redirect{'s' * (self.redirects != 1)}" if self.redirects else ""
        return f"{self.status}{followed}"


def get(host, path, cookie, secs):
    """Status, target of a redirect, body."""
    line = http.client.HTTPConnection("127.0.0.1", 80, timeout=secs)
    try:
        headers = {"Host": host, "User-Agent": "nodeyard-smoke", "Connection": "close"}
        line.request("GET", path, headers=headers | ({"Cookie": cookie} if cookie else {}))
        answer = line.getresponse()
        return answer.status, answer.getheader("Location"), answer.read(BODY_MAX)
    except (OSError, http.client.HTTPException) as fault:
        raise Unreachable(f"{host}{path}: {type(fault).__name__}: {fault}") from None
    finally:
        line.close()


def visit(host, path, cookie=None, secs=30, getter=get):
    """The page at the end of the redirects."""
    for redirects in range(REDIRECTS_MAX + 1):
        status, location, body = getter(host, path, cookie, secs)
        if status not in (301, 302, 303, 307, 308):
            return Page(status, body.decode("utf-8", "replace"), path, redirects)
        path = onwards(host, path, location)
    raise Astray(f"more than {REDIRECTS_MAX} redirects, the last one to {path}")
