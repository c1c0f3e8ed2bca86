"""The parts of the smokes that need no node: moving values between hosts, judging redirects, telling of failures."""

import importlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import unittest
from unittest import mock

import yaml

ROLE = pathlib.Path(__file__).parents[1] / "roles/smoke"
NAMES = yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))[1]["vars"]["smoke_modules"]
with mock.patch.object(sys, "path", [str(ROLE / "files"), *sys.path]):
    serialized, commands, visits, environment, packages, removal, smoke = map(importlib.import_module, NAMES)

OLD, NEW = "shop.test", "shop-preview.test"


def moved(text):
    return serialized.moved(text.encode(), OLD, NEW).decode()


def php(value):
    """A value as PHP serializes it."""
    if isinstance(value, str):
        return f's:{len(value.encode())}:"{value}";'
    if isinstance(value, dict):
        return f"a:{len(value)}:{{{''.join(php(key) + php(of) for key, of in value.items())}}}"
    return {None: "N;", True: "b:1;", False: "b:0;"}.get(
        value
    ) or f"{'d' if isinstance(value, float) else 'i'}:{value};"


class Serialized(unittest.TestCase):
    def test_plain_text(self):
        cases = {
            "http://shop.test": "http://shop-preview.test",
            "see //shop.test/a, https://shop.test.": "see //shop-preview.test/a, https://shop-preview.test.",
            r'{"u":"http:\/\/shop.test\/"}': r'{"u":"http:\/\/shop-preview.test\/"}',
            "?to=http%3A%2F%2Fshop.test%2F": "?to=http%3A%2F%2Fshop-preview.test%2F",
            "HTTP://shop.test/é": "HTTP://shop-preview.test/é",
        }
        for before, after in cases.items():
            with self.subTest(before):
                self.assertEqual(moved(before), after)

    def test_other_places_stay(self):
        for text in (
            "mail smoke@shop.test",
            "//shop.test.example/",
            "//shop.tests/",
            "//my-shop.test",
            "//shop.test:8080/",
            "",
        ):
            with self.subTest(text):
                self.assertEqual(moved(text), text)

    def test_serialized_values_keep_true_lengths(self):
        def value(host):
            return {
                "url": f"http://{host}/ü",
                "deep": {0: {"again": php({"inner": f"//{host}/", "n": 1})}, 1: None, 2: True, 3: 0.5, 4: -7},
                "quotes": f'";s:1:"http://{host}";}}',
            }

        self.assertEqual(moved(php(value(OLD))), php(value(NEW)))
        self.assertEqual(moved(php(value(OLD)) + " \n"), php(value(NEW)) + " \n")

    def test_objects(self):
        text = f"http://{OLD}/"
        before = f'O:8:"stdClass":2:{{s:1:"u";{php(text)}s:4:"self";r:1;}}'
        self.assertEqual(moved(before), before.replace(php(text), php(f"http://{NEW}/")))
        custom = f'C:1:"X":{len(text)}:{{{text}}}'
        self.assertEqual(moved(php({"a": "x"})[:-1]), php({"a": "x"})[:-1])
        self.assertEqual(moved(custom), custom, "only its class knows what is in it")

    def test_keys_are_names(self):
        self.assertEqual(moved(php({f"http://{OLD}": f"http://{OLD}"})), php({f"http://{OLD}": f"http://{NEW}"}))

    def test_what_only_looks_serialized_is_text(self):
        for before in (f's:99:"http://{OLD}";', f'a:2:{{i:0;s:1:"x";}} http://{OLD}', f"i:1;http://{OLD}"):
            with self.subTest(before):
                self.assertEqual(moved(before), before.replace(OLD, NEW))

    def test_too_deep_is_said(self):
        value = f"http://{OLD}"
        for _ in range(serialized.DEPTH_MAX + 2):
            value = {"in": value}
        with self.assertRaises(serialized.TooDeep):
            moved(php(value))


class Redirects(unittest.TestCase):
    def test_on_the_same_host(self):
        cases = {
            "/b": "/b",
            "b?c=1#d": "/a/b?c=1",
            "http://shop.test/b": "/b",
            "http://SHOP.test:80": "/",
            "//shop.test/b": "/b",
            "?p=2": "/a/?p=2",
        }
        for location, path in cases.items():
            with self.subTest(location):
                self.assertEqual(visits.onwards("shop.test", "/a/", location), path)

    def test_elsewhere(self):
        for location in (
            None,
            "",
            "http://shop-preview.test/",
            "//example.org/",
            "https://shop.test/",
            "http://shop.test:8080/",
            "http://shop.test:x/",
            "http://shop.test@example.org/",
            "http://me@shop.test/",
            "http://example.org\\@shop.test/",
            "http://shop.test/\r\nHost: x",
            "ftp://shop.test/",
            "http://[/",
        ):
            with self.subTest(location), self.assertRaises(visits.Astray):
                visits.onwards("shop.test", "/", location)

    def test_the_page_at_the_end(self):
        pages = {"/": (301, "/a", b""), "/a": (302, "http://shop.test/b", b""), "/b": (200, None, b"here")}
        page = visits.visit("shop.test", "/", getter=lambda _host, path, *_: pages[path])
        self.assertEqual((page.status, page.body, page.path, str(page)), (200, "here", "/b", "200 after 2 redirects"))

    def test_a_circle_ends(self):
        asked = []

        def circle(_host, path, *_):
            asked.append(path)
            return 302, "/", b""

        with self.assertRaises(visits.Astray):
            visits.visit("shop.test", "/", getter=circle)
        self.assertEqual(len(asked), visits.REDIRECTS_MAX + 1)

    def test_nobody_is_asked_elsewhere(self):
        asked = []

        def away(host, path, *_):
            asked.append((host, path))
            return 301, "http://shop.test/a", b""

        with self.assertRaisesRegex(visits.Astray, "away from shop-preview.test, to http://shop.test/a"):
            visits.visit("shop-preview.test", "/", getter=away)
        self.assertEqual(asked, [("shop-preview.test", "/")])


class Told(unittest.TestCase):
    def setUp(self):
        self.run = commands.Commands({"nysmoke-1-preview": "PREVIEW", "nysmoke-1": "SITE"}, 60)

    def test_long_output_keeps_both_ends(self):
        told = commands.cut("begin " + "x" * 5000 + " end")
        self.assertEqual(len(told), commands.OUTPUT_MAX)
        self.assertTrue(told.startswith("begin ") and told.endswith(" end"))
        self.assertEqual(commands.cut("x" * commands.OUTPUT_MAX), "x" * commands.OUTPUT_MAX)

    def test_it_is_one_printable_line(self):
        self.assertEqual(commands.cut("a\x1b[31m\n\tb\x00é\u2028c"), "a [31m b é c")

    def test_a_page_is_told_as_it_is_read(self):
        page = "<html><head><title>t</title></head><body><style>x</style><p>Error <b>here</b></p></body></html>"
        self.assertEqual(commands.words_of(page), "Error here")

    def test_commands_are_the_same_in_each_run(self):
        self.assertEqual(self.run.shown(["cp", "/s/nysmoke-1", "/s/nysmoke-1-preview"]), "cp /s/SITE /s/PREVIEW")

    def test_a_failure_names_the_command_and_what_it_said(self):
        with self.assertRaises(commands.Failed) as failed:
            self.run.run("sh", "-c", "echo out; echo wrong >&2; exit 3")
        self.assertEqual(failed.exception.said, "exit code 3: wrong out")
        self.assertEqual(failed.exception.command, "sh -c echo out; echo wrong >&2; exit 3")
        with self.assertRaises(commands.Failed):
            self.run.run("/nonexistent/program")

    def test_a_program_ends_in_time_with_its_children(self):
        with self.assertRaisesRegex(commands.Failed, "took longer"):
            self.run.run("sh", "-c", "sleep 60 & wait", timeout=0.2)

    def test_all_programs_together_end_in_time(self):
        self.run.grant(0)
        with self.assertRaisesRegex(commands.Failed, "used up its time"):
            self.run.run("true")

    def test_secrets_are_in_no_output(self):
        secret = self.run.secret()
        with self.assertRaises(commands.Failed) as failed:
            self.run.run("sh", "-c", f"echo {secret} >&2; exit 1")
        self.assertNotIn(secret, failed.exception.command)
        self.assertNotIn(secret, self.run.hidden(failed.exception.said))
        self.assertNotIn(secret, self.run.shown([secret]))


class Packages(unittest.TestCase):
    def test_what_apt_plans(self):
        said = "Inst wordpress (6.8 Debian:13 [all])\nInst php8.4 [8.4.1] (8.4.2 Debian:13 [all])\n"
        said += "Remv nginx [1.26]\nPurg a [1]\n"
        self.assertEqual(packages.planned(said), (["wordpress"], ["a", "nginx"]))

    def test_apache_is_recognised(self):
        self.assertEqual(
            packages.apache(["libapache2-mod-php8.4", "apache2", "php"]), ["libapache2-mod-php8.4", "apache2"]
        )


class Removal(unittest.TestCase):
    def test_only_names_of_smokes(self):
        ours = ("nysmoke-0123abcd", "nysmoke-0123abcd-preview")
        others = (
            "nysmoke-",
            "nysmoke-0123ABCD",
            "nysmoke-0123abcd-x",
            "shop",
            "nysmoke-0123abcd`; DROP",
            "nysmoke-0123abcd\n",
        )
        for name in ours:
            self.assertTrue(removal.NAME.fullmatch(name), name)
        for name in others:
            self.assertFalse(removal.NAME.fullmatch(name), name)

    def test_pages_of_smokes(self):
        for host, ours in (
            ("nysmoke-0123abcd.test", True),
            ("nysmoke-0123abcd-preview.test", True),
            ("shop.test", False),
        ):
            page = b"\x05\x00binary\nKEY: httpGET" + host.encode() + b"/smoke/\nX-Powered-By: x"
            self.assertIs(removal.PAGE_KEY.search(page) is not None, ours, host)

    def test_links_are_not_followed(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "kept").mkdir()
            (folder / "kept/file").touch()
            (folder / "site").mkdir()
            (folder / "site/link").symlink_to(folder / "kept")
            (folder / "link").symlink_to(folder / "kept")
            removal.deleted(folder / "site")
            removal.deleted(folder / "link")
            self.assertEqual([path.name for path in sorted(folder.rglob("*"))], ["kept", "file"])


class Suites(unittest.TestCase):
    WANTED = {"smoke_id": "0123abcd", "keep": False, "programs": {}}

    def played(self, keep=False, **broken):
        """A smoke in which every step holds, but those that raise what is given here."""
        steps = {
            suite: [(self.standing_in(function.__name__, broken), command) for function, command in steps]
            for suite, steps in smoke.Smoke.SUITES.items()
        }
        removals = [(self.standing_in(function.__name__, broken), command) for function, command in removal.REMOVALS]
        it = smoke.Smoke(self.WANTED)
        it.lock = True
        with (
            mock.patch.object(smoke.Smoke, "SUITES", steps),
            mock.patch.object(removal, "REMOVALS", removals),
            mock.patch.object(removal, "nothing_left", self.standing_in("nothing_left", broken)),
            mock.patch.object(smoke.signal, "signal"),
        ):
            results = it.play(keep)
        self.assertEqual(json.loads(json.dumps(results)), results)
        for result in results:
            self.assertEqual(set(result), {"suite", "step", "ok", "millis", "command", "detail"})
        return results

    @staticmethod
    def standing_in(name, broken):
        def step(_):
            if name in broken:
                raise broken[name]

        step.__name__ = name
        return step

    def test_all_is_well(self):
        results = self.played()
        self.assertTrue(all(result["ok"] for result in results))
        self.assertEqual(len({(result["suite"], result["step"]) for result in results}), len(results))
        self.assertEqual(list(dict.fromkeys(result["suite"] for result in results)), ["site", "backup", "clean_up"])
        self.assertEqual(results[-1]["step"], "nothing_left")
        for result in results:
            self.assertRegex(result["step"], r"\A[a-z]+(_[a-z]+)*\Z")
            self.assertTrue(result["command"].isprintable())
            self.assertNotIn("0123abcd", result["command"])

    def test_the_first_failure_is_the_last_of_its_suite(self):
        for fault in (commands.Failed("said", "program"), KeyError("x"), smoke.Interrupted("ended by SIGTERM")):
            with self.subTest(type(fault).__name__):
                results = self.played(publish_post=fault)
                failed = [result["step"] for result in results if not result["ok"]]
                self.assertEqual(failed, ["publish_post"])
                before = [result for result in results if result["suite"] != "clean_up"]
                self.assertEqual(
                    (before[-1]["step"], {result["suite"] for result in before}), ("publish_post", {"site"})
                )
                self.assertEqual(results[-1]["step"], "nothing_left")

    def test_a_smoke_that_is_ended_cleans_up(self):
        """By real signals: one within a step, one between two."""

        def ended(_):
            signal.raise_signal(signal.SIGTERM)
            self.fail("it went on")

        for lone in (True, False):
            it = smoke.Smoke(self.WANTED)
            it.lock = True
            ended.__name__ = "publish_post"
            before = signal.signal(signal.SIGTERM, it.end)
            try:
                if not lone:
                    signal.raise_signal(signal.SIGTERM)
                with (
                    mock.patch.object(smoke.Smoke, "SUITES", {"site": [(ended, "php")]}),
                    mock.patch.object(removal, "REMOVALS", [(self.standing_in("remove_users", {}), "userdel")]),
                    mock.patch.object(removal, "nothing_left", lambda _: None),
                    mock.patch.object(smoke, "ENDING", [signal.SIGTERM]),
                ):
                    results = it.play(False)
            finally:
                signal.signal(signal.SIGTERM, before)
            told = [(result["step"], result["ok"], result["detail"]) for result in results]
            self.assertEqual(told[0], ("publish_post", False, "ended by SIGTERM"))
            self.assertEqual([ok for _, ok, _ in told[1:]], [True, True])

    def test_a_failure_names_its_command(self):
        results = self.played(back_up=commands.Failed("said", "program"), remove_users=commands.Failed("busy"))
        failed = {result["step"]: (result["command"], result["detail"]) for result in results if not result["ok"]}
        self.assertEqual(failed, {"back_up": ("program", "said"), "remove_users": ("userdel SITE", "busy")})

    def test_kept_if_asked(self):
        self.assertEqual(
            [result["step"] for result in self.played(keep=True) if result["suite"] == "clean_up"], ["kept"]
        )

    def test_a_smoke_beside_another_touches_nothing(self):
        it = smoke.Smoke(self.WANTED)
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(smoke, "SITES", folder),
            mock.patch.object(smoke, "LOCK_SECS", 0),
            mock.patch.object(removal, "REMOVALS", [(self.fail, "rm")]),
            mock.patch.object(smoke.signal, "signal"),
        ):
            other = os.open(folder, os.O_RDONLY)
            self.assertTrue(smoke.locked(other))
            results = it.play(False)
            os.close(other)
        told = [(result["step"], result["ok"], result["detail"]) for result in results]
        self.assertEqual(told, [("remove_left_overs", False, "another smoke still runs on this node")])

    def test_only_ids_are_taken(self):
        for wrong in ("", "0123abc", "0123ABCD", "0123abcde", "0123abcd\n", "../../..", "'; DROP"):
            with self.subTest(wrong), self.assertRaises(SystemExit):
                smoke.main({**self.WANTED, "smoke_id": wrong})

    def test_what_goes_to_the_node_is_all_that_is_there(self):
        given = yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))[1]["vars"]
        there = {path.name for path in (ROLE / "files").iterdir() if path.is_file()}
        self.assertEqual(
            there, {"start.py", *given["smoke_programs"], *(f"{name}.py" for name in given["smoke_modules"])}
        )


if __name__ == "__main__":
    unittest.main()
