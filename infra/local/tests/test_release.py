"""A release is deployed to the emulator, again, restored and removed: what the deploy guide says, run."""

import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent
ROOT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER))

from cloud import Cloud, find, outputs_of, prefix_of, zips_in  # noqa: E402
from release import image_id, items  # noqa: E402

FUNCTIONS = ("nodeyard-api", "nodeyard-health", "nodeyard-worker")


def emulator(folder):
    """ministack on a free port; it hands its environment to functions, so it gets a clean one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": folder,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    with open(pathlib.Path(folder) / "emulator.log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_ministack/health", timeout=5)
            return process, url
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("the emulator does not answer")


def write_zips(folder, program):
    folder.mkdir(parents=True, exist_ok=True)
    for name in FUNCTIONS:
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, program)


class Release(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.release = pathlib.Path(folder.name) / "release"
        write_zips(self.release / "x86_64", "#!/bin/sh\n")
        process, self.url = emulator(folder.name)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.cloud = Cloud(self.url)

    def call(self, *words, code=0):
        command = [sys.executable, str(FOLDER / "release.py"), *words, "--deployment", "shop", "--endpoint", self.url]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def deploy(self, *more, code=0):
        words = ["--release", str(self.release), "--arch", "x86_64", "--task-image", "image"]
        return self.call("deploy", *words, *more, code=code)

    def stack(self):
        return find(self.cloud, "nodeyard-shop")

    def parameters(self):
        return {it["ParameterKey"]: it["ParameterValue"] for it in self.stack()["Parameters"]}

    def put(self, table, name, status):
        keys = {"pk": f"NODE#{name}", "sk": "node", "list_pk": "NODE", "list_sk": name, "id": name, "status": status}
        item = {key: {"S": value} for key, value in keys.items()}
        self.cloud.client("dynamodb").put_item(TableName=table, Item=item)

    def test_deployed_again_restored_and_removed(self):
        said = self.deploy("--dry-run")
        self.assertIn("would create or update stack nodeyard-shop", said)
        self.assertIsNone(self.stack(), "a dry run did something")

        self.deploy("--set", "LogLevel=debug")
        first, outputs = self.stack()["StackId"], outputs_of(self.stack())
        self.assertEqual(self.parameters()["LogLevel"], "debug")
        self.assertEqual(self.parameters()["CodePrefix"], prefix_of(zips_in(self.release / "x86_64")))
        lambdas = self.cloud.client("lambda")
        variables = lambdas.get_function_configuration(FunctionName="nodeyard-shop-worker")["Environment"]["Variables"]
        self.assertEqual(variables["NODEYARD_TASK_SUBNETS"], outputs["TaskSubnets"])
        self.assertEqual(len(outputs["TaskSubnets"].split(",")), 2)

        # Again, with nothing new; then with another build: parameters that were given stay.
        self.deploy()
        write_zips(self.release / "x86_64", "#!/bin/sh\n# another build\n")
        self.deploy()
        self.assertEqual(self.stack()["StackId"], first)
        self.assertEqual(self.parameters()["LogLevel"], "debug")
        self.assertEqual(self.parameters()["CodePrefix"], prefix_of(zips_in(self.release / "x86_64")))

        # Half a network is refused.
        self.assertIn("Give Subnets and SecurityGroups", self.deploy("--set", "Subnets=subnet-1", code=1))

        # A restore takes back what was changed, added and removed.
        table, dynamodb = outputs["TableName"], self.cloud.client("dynamodb")
        self.put(table, "node-1", "ready")
        self.put(table, "node-2", "ready")
        before = items(self.cloud, table)
        schema = dynamodb.describe_table(TableName=table)["Table"]
        keys = schema["KeySchema"]
        attributes = [{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in keys]
        dynamodb.create_table(
            TableName="backup", KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST"
        )
        for item in before.values():
            dynamodb.put_item(TableName="backup", Item=item)
        self.put(table, "node-1", "released")
        self.put(table, "node-3", "ready")
        dynamodb.delete_item(TableName=table, Key={"pk": {"S": "NODE#node-2"}, "sk": {"S": "node"}})
        self.call("restore", "--from", "backup")
        self.assertEqual(items(self.cloud, table), before)
        for name in FUNCTIONS:
            function = name.replace("nodeyard-", "nodeyard-shop-")
            self.assertNotIn("ReservedConcurrentExecutions", lambdas.get_function_concurrency(FunctionName=function))

        # A node that is left is in the way of a removal.
        self.assertIn("node-1 (ready)", self.call("remove", code=1))
        self.assertIsNotNone(self.stack())
        self.put(table, "node-1", "released")
        self.put(table, "node-2", "failed")
        said = self.call("remove")
        self.assertIn(f"kept: table {table}", said)
        self.assertIn("kept: secret nodeyard/shop/deployment-key", said)
        self.assertIsNone(self.stack())
        self.assertIsNone(find(self.cloud, "nodeyard-shop-bootstrap"))
        self.assertTrue(items(self.cloud, table), "state is kept")

        self.call("remove", "--with-data")
        self.assertEqual(self.cloud.client("s3").list_buckets()["Buckets"], [])
        self.assertEqual(dynamodb.list_tables()["TableNames"], ["backup"])
        self.assertEqual(self.cloud.client("lambda").list_functions()["Functions"], [])
        self.assertEqual(self.cloud.client("ecr").describe_repositories()["repositories"], [])
        self.assertEqual(self.cloud.client("logs").describe_log_groups()["logGroups"], [])
        self.assertEqual(self.cloud.client("secretsmanager").list_secrets()["SecretList"], [])
        self.call("remove", "--with-data")


class Image(unittest.TestCase):
    def test_an_image_is_called_by_its_content(self):
        manifest = json.dumps({"config": {"digest": "sha256:0123"}})
        index = json.dumps({"manifests": [{"digest": "sha256:89ab"}]})
        with tempfile.TemporaryDirectory() as folder:
            archive = pathlib.Path(folder) / "image.tar"
            with tarfile.open(archive, "w") as parts:
                for name, text in (("blobs/sha256/89ab", manifest), ("index.json", index)):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(text)
                    parts.addfile(entry, io.BytesIO(text.encode()))
            self.assertEqual(image_id(archive), "0123")


if __name__ == "__main__":
    unittest.main()
