"""What a probe finds is data: it must name what is wrong, and never break."""

import importlib.util
import pathlib
import unittest
from unittest import mock

SOURCE = pathlib.Path(__file__).parents[1] / "roles/readiness/files/probe.py"
spec = importlib.util.spec_from_file_location("probe", SOURCE)
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)

WANTED = {"binaries": [], "services": [], "pages": [], "disk_free_min_mb": 0, "disk_free_min_percent": 0}


def answering(answers):
    """Stands in for `run`: the longest known beginning of the command wins."""

    def run(*command, **_):
        line = " ".join(command)
        known = [beginning for beginning in answers if line.startswith(beginning)]
        return answers[max(known, key=len)] if known else (127, f"no {command[0]}")

    return mock.patch.object(probe, "run", run)


class Probes(unittest.TestCase):
    def found(self, function, **wanted):
        return probe.finding(function, {**WANTED, **wanted})

    def test_the_codes_are_the_probes(self):
        codes = [function.__name__ for function in probe.PROBES]
        self.assertEqual(
            codes,
            [
                "sudo_unavailable",
                "boot_unfinished",
                "runtime_missing",
                "service_down",
                "firewall_inactive",
                "disk_low",
                "reboot_required",
            ],
        )

    def test_without_sudo_the_firewall_is_not_blamed(self):
        table = '{"nftables": [{"chain": {"name": "input", "hook": "input", "policy": "drop"}}]}'
        for sudo, codes in [((0, ""), ["firewall_inactive"]), ((1, "a password is required"), [])]:
            with answering({"sudo -n true": sudo, "sudo -n nft": (0, table)}):
                found = [it["code"] for it in probe.findings(WANTED)]
            self.assertEqual([code for code in found if code == "firewall_inactive"], codes)
            self.assertIn("sudo_unavailable", found)

    def test_boot(self):
        cases = {
            ("status: done", "running"): True,
            ("status: done", "degraded"): True,
            ("status: running", "running"): False,
            ("status: error", "running"): False,
            ("status: done", "starting"): False,
            ("", "running"): False,
        }
        for (cloud_init, system), ok in cases.items():
            with self.subTest(cloud_init=cloud_init, system=system):
                with answering({"cloud-init": (0, cloud_init), "systemctl": (0, system)}):
                    self.assertIs(self.found(probe.boot_unfinished)["ok"], ok)

    def test_a_stopped_service_is_named(self):
        with answering({"systemctl is-active": (0, "active"), "systemctl is-active redis": (3, "failed")}):
            finding = self.found(probe.service_down, services=["nginx", "redis"])
        self.assertFalse(finding["ok"])
        self.assertEqual(finding["detail"], "redis is failed")

    def test_a_page_that_does_not_answer_is_named(self):
        # Port 9 of the loopback: nobody listens there.
        finding = self.found(probe.service_down, pages=["http://127.0.0.1:9/"])
        self.assertFalse(finding["ok"])
        self.assertIn("http://127.0.0.1:9/", finding["detail"])

    def test_a_firewall_that_accepts_by_default_is_inactive(self):
        def table(policy):
            return '{"nftables": [{"chain": {"name": "input", "hook": "input", "policy": "%s"}}]}' % policy

        for out, ok in ((table("drop"), True), (table("accept"), False), ('{"nftables": []}', False), ("no json", False)):
            with self.subTest(out=out), answering({"sudo -n nft": (0, out)}):
                self.assertIs(self.found(probe.firewall_inactive)["ok"], ok)

    def test_disk(self):
        self.assertTrue(self.found(probe.disk_low)["ok"])
        self.assertFalse(self.found(probe.disk_low, disk_free_min_mb=10**12)["ok"])
        self.assertFalse(self.found(probe.disk_low, disk_free_min_percent=101)["ok"])

    def test_only_a_due_reboot_is_a_warning(self):
        with answering({}):
            warnings = [self.found(function)["code"] for function in probe.PROBES if self.found(function)["warning"]]
        self.assertEqual(warnings, ["reboot_required"])

    def test_a_probe_that_breaks_is_a_finding(self):
        with mock.patch.object(probe.os, "statvfs", side_effect=OSError("gone")):
            finding = self.found(probe.disk_low)
        self.assertFalse(finding["ok"])
        self.assertIn("gone", finding["detail"])


if __name__ == "__main__":
    unittest.main()
