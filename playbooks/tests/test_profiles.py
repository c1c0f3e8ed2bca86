"""A profile is a playbook, the schema of its variables and what readiness expects of it: they have to agree."""

import json
import pathlib
import unittest

import yaml
from jinja2 import Environment

PLAYBOOKS = pathlib.Path(__file__).parents[1]
PROFILES = sorted(path.stem for path in (PLAYBOOKS / "profiles").glob("*.yml"))


def read(path):
    return yaml.safe_load((PLAYBOOKS / path).read_text(encoding="utf-8"))


class Profiles(unittest.TestCase):
    def test_there_are_some(self):
        self.assertLessEqual({"base", "web"}, set(PROFILES))

    def test_the_roles_take_what_the_schema_takes(self):
        options = read("roles/profile/meta/argument_specs.yml")["argument_specs"]
        for name in ("base", "web"):
            schema = json.loads((PLAYBOOKS / f"profiles/{name}.vars.json").read_text())
            taken = options[name]["options"]["profile_vars"]["options"]
            self.assertEqual(set(schema["properties"]), set(taken), name)

    def test_variables_beyond_the_schema_are_refused(self):
        for name in PROFILES:
            schema = json.loads((PLAYBOOKS / f"profiles/{name}.vars.json").read_text())
            self.assertIs(schema["additionalProperties"], False, name)

    def test_what_readiness_expects_can_be_read(self):
        for file in (PLAYBOOKS / "profiles").glob("*.ready.json"):
            self.assertIn(file.name.removesuffix(".ready.json"), PROFILES)
            wanted = json.loads(file.read_text())
            self.assertEqual(set(wanted), {"binaries", "services", "pages"}, file.name)

    def test_every_role_says_what_it_takes(self):
        for role in sorted((PLAYBOOKS / "roles").iterdir()):
            with self.subTest(role=role.name):
                spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
                entries = {path.stem for path in (role / "tasks").glob("*.yml")} if (role / "tasks").is_dir() else {"main"}
                self.assertTrue(set(spec) <= entries | {"main"}, (spec.keys(), entries))


class Memory(unittest.TestCase):
    """The shares of MariaDB, Redis and PHP, on machines of the sizes that are sold."""

    def shares(self, memory_mb):
        found = {}
        for name, template in read("roles/web_memory/defaults/main.yml").items():
            found[name] = int(Environment(autoescape=True).from_string(template).render(profile_memory_mb=memory_mb))
        return found

    def test_a_machine_of_2_gb_is_not_promised_twice(self):
        shares = self.shares(1900)
        self.assertEqual(shares["web_memory_mariadb_mb"], 380)
        self.assertEqual(shares["web_memory_redis_mb"], 152)
        self.assertEqual(shares["web_memory_php_processes"], 9)

    def test_something_is_left_for_the_system(self):
        for memory_mb in (1900, 3800, 7700, 15600, 31500, 128000):
            shares = self.shares(memory_mb)
            taken = shares["web_memory_mariadb_mb"] + shares["web_memory_redis_mb"]
            taken += 80 * shares["web_memory_php_processes"]
            with self.subTest(memory_mb=memory_mb):
                self.assertLess(taken, 0.75 * memory_mb)
                # Nobody gets nothing.
                self.assertGreaterEqual(min(shares.values()), 4)


if __name__ == "__main__":
    unittest.main()
