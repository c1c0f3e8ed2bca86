"""Puts a packaged release on AWS (or on an emulator), and takes a deployment down again, on behalf of `cargo xtask deploy`.

    release.py deploy --deployment NAME --release FOLDER --arch ARCH [--task-image IMAGE] [--set Key=Value ...]
    release.py remove --deployment NAME [--with-data] [--leave-nodes]
    release.py restore --deployment NAME --from TABLE

All take `--region`, `--endpoint` and `--dry-run`. All can be repeated: what is there already is left as it is, what is
gone already is not missed. Run in the repository's root.
"""

import argparse
import base64
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

from botocore.exceptions import ClientError

import cloud as clouds

TEMPLATE = "infra/template.yaml"
BOOTSTRAP = "infra/bootstrap.yaml"
IMAGE = "ansible-task-image.tar"
IMAGE_NAME = "localhost/nodeyard-ansible-task:release"
TAG = "nodeyard-deployment"
# What a node's record says once nothing of it is left at the provider.
ENDED = ("released", "failed")
# The shortest that KMS takes, and Secrets Manager too: time to find out that something was needed after all.
WAITING_DAYS = 7
# The health function's time-out.
LONGEST_SECS = 120


class Plan:
    """What is done, said before it is done; a dry run ends there."""

    def __init__(self, dry):
        self.dry = dry

    def step(self, text, action=lambda: None):
        print(f"{'would ' if self.dry else ''}{text}", flush=True)
        return None if self.dry else action()


def names(deployment):
    return f"nodeyard-{deployment}-bootstrap", f"nodeyard-{deployment}"


def image_id(archive):
    """What an OCI archive's image is called by its content; the archive itself differs from one saving to the next."""
    with tarfile.open(archive) as parts:
        read = lambda name: json.load(parts.extractfile(name))
        manifest = read("index.json")["manifests"][0]["digest"].replace(":", "/")
        return read(f"blobs/{manifest}")["config"]["digest"].removeprefix("sha256:")


def push(cloud, release, repository, uri, plan):
    """Pushes the packaged image, unless it is there, and returns its name by digest."""
    archive = pathlib.Path(release) / IMAGE
    if not archive.is_file():
        sys.exit(f"no {archive}: `cargo xtask package` makes it, or name an image with --task-image")
    tag = image_id(archive)[:16]
    ecr = cloud.client("ecr")
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        return f"{uri}@{found['imageDetails'][0]['imageDigest']}"
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise
    digest = plan.step(f"push the image to {uri}:{tag}", lambda: podman_push(ecr, archive, f"{uri}:{tag}"))
    return f"{uri}@{digest or 'sha256:…'}"


def podman_push(ecr, archive, target):
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, password = base64.b64decode(token).decode().split(":", 1)
    with tempfile.TemporaryDirectory() as folder:
        # Credentials for the registry are good for twelve hours: they go with this folder.
        login, digest = pathlib.Path(folder) / "auth.json", pathlib.Path(folder) / "digest"
        run = lambda *words, **more: subprocess.run(["podman", *words], check=True, **more)
        run("load", "--quiet", "--input", str(archive), stdout=subprocess.DEVNULL)
        words = ["--authfile", str(login), "--username", user, "--password-stdin", target.split("/")[0]]
        run("login", *words, input=password.encode(), stdout=subprocess.DEVNULL)
        run("push", "--quiet", "--authfile", str(login), "--digestfile", str(digest), IMAGE_NAME, target)
        return digest.read_text().strip()


def deploy(arguments):
    plan, cloud = Plan(arguments.dry_run), clouds.Cloud(arguments.endpoint, arguments.region)
    bootstrap, stack = names(arguments.deployment)
    tags = {TAG: arguments.deployment}
    identity = cloud.client("sts").get_caller_identity()
    print(f"account {identity['Account']}, deployment {arguments.deployment}", flush=True)

    base = plan.step(
        f"create or update stack {bootstrap}: bucket and image repository",
        lambda: clouds.apply(cloud, bootstrap, BOOTSTRAP, {"Deployment": arguments.deployment}, tags=tags),
    )
    base = base or clouds.outputs_of(clouds.find(cloud, bootstrap))
    bucket = base.get("CodeBucketName", "(its bucket)")

    zips = clouds.zips_in(pathlib.Path(arguments.release) / arguments.arch)
    prefix = clouds.prefix_of(zips)
    objects = {f"{prefix}/{name}.zip": content for name, content in zips.items()}
    plan.step(
        f"upload {', '.join(zips)} to s3://{bucket}/{prefix}/",
        lambda: clouds.upload(cloud, bucket, objects),
    )

    image = arguments.task_image
    if not image:
        repository = base.get("TaskRepositoryName", f"nodeyard-{arguments.deployment}/ansible-task")
        image = push(cloud, arguments.release, repository, base.get("TaskRepositoryUri", repository), plan)

    parameters = {
        "Deployment": arguments.deployment,
        "Architecture": arguments.arch,
        "CodeBucket": bucket,
        "CodePrefix": prefix,
        "TaskImage": image,
        **dict(pair.split("=", 1) for pair in arguments.set),
    }
    said = ", ".join(f"{key}={value}" for key, value in parameters.items())
    outputs = plan.step(
        f"create or update stack {stack}: {said}",
        lambda: clouds.apply(cloud, stack, TEMPLATE, parameters, bucket, tags),
    )
    if outputs:
        if arguments.endpoint:
            outputs["ApiUrl"] = f"{arguments.endpoint}/_aws/execute-api/{outputs['ApiId']}"
        for key, value in sorted(outputs.items()):
            print(f"{key}={value}")


def items(cloud, table):
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {(item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}


def write(cloud, table, requests):
    dynamodb = cloud.client("dynamodb")
    while requests:
        batch, requests = requests[:25], requests[25:]
        refused = dynamodb.batch_write_item(RequestItems={table: batch}).get("UnprocessedItems", {})
        requests += refused.get(table, [])


def restore(arguments):
    """Makes the deployment's table what another table is, while its functions are kept from running."""
    plan, cloud = Plan(arguments.dry_run), clouds.Cloud(arguments.endpoint, arguments.region)
    _, stack = names(arguments.deployment)
    table = clouds.outputs_of(clouds.find(cloud, stack)).get("TableName")
    if not table:
        sys.exit(f"no stack {stack}")
    functions, lambdas = [f"{stack}-{name}" for name in ("api", "worker", "health")], cloud.client("lambda")

    def pause():
        for function in functions:
            lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        if not cloud.endpoint:
            # What has begun ends within the longest time-out of the three.
            time.sleep(LONGEST_SECS)

    def go_on():
        for function in functions:
            lambdas.delete_function_concurrency(FunctionName=function)

    def copy():
        wanted, there = items(cloud, arguments.source), items(cloud, table)
        write(cloud, table, [{"PutRequest": {"Item": item}} for key, item in wanted.items() if there.get(key) != item])
        keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in there if (pk, sk) not in wanted]
        write(cloud, table, [{"DeleteRequest": {"Key": key}} for key in keys])

    plan.step(f"pause {', '.join(functions)}", pause)
    plan.step(f"make {table} what {arguments.source} is", copy)
    plan.step("let them go on", go_on)
    print("The orphan check only reports until POST /orphans/confirm, if what was restored is older than half an hour.")


def left_nodes(cloud, table):
    """The nodes that something may be left of at the provider."""
    try:
        pages = cloud.client("dynamodb").get_paginator("query").paginate(
            TableName=table,
            IndexName="list",
            KeyConditionExpression="list_pk = :nodes",
            ExpressionAttributeValues={":nodes": {"S": "NODE"}},
        )
        nodes = [item for page in pages for item in page["Items"]]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise
    return [f"{node['id']['S']} ({node['status']['S']})" for node in nodes if node["status"]["S"] not in ENDED]


def secrets_of(cloud, deployment, but):
    pages = cloud.client("secretsmanager").get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": [f"nodeyard/{deployment}/"]}]
    )
    found = [secret for page in pages for secret in page["SecretList"]]
    names_found = {it["Name"] for it in found if it["Name"].startswith(f"nodeyard/{deployment}/")}
    return sorted(names_found - {but})


def kept_by_tag(cloud, deployment, kind):
    """ARNs of what a stack of this deployment has made and may have left."""
    tagging = cloud.client("resourcegroupstaggingapi")
    pages = tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": TAG, "Values": [deployment]}], ResourceTypeFilters=[kind]
    )
    return sorted(found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"])


def key_is_kept(kms, arn):
    return not kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"].startswith("PendingDeletion")


def empty_bucket(cloud, bucket):
    s3 = cloud.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": it["Key"], "VersionId": it["VersionId"]} for it in found]
        if objects:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def empty_repository(cloud, repository):
    ecr = cloud.client("ecr")
    for page in ecr.get_paginator("list_images").paginate(repositoryName=repository):
        if page["imageIds"]:
            ecr.batch_delete_image(repositoryName=repository, imageIds=page["imageIds"])


def drop_table(cloud, table):
    dynamodb = cloud.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.get_waiter("table_exists").wait(TableName=table)
    dynamodb.delete_table(TableName=table)


def remove(arguments):
    plan, cloud = Plan(arguments.dry_run), clouds.Cloud(arguments.endpoint, arguments.region)
    bootstrap, stack = names(arguments.deployment)
    tables = [arn.split("/")[-1] for arn in kept_by_tag(cloud, arguments.deployment, "dynamodb:table")]
    table = clouds.outputs_of(clouds.find(cloud, stack)).get("TableName")
    tables = sorted({*tables, table} - {None})
    left = [node for each in tables for node in left_nodes(cloud, each)]
    if left and not arguments.leave_nodes:
        sys.exit(f"nodes are left, release them first (or --leave-nodes: their servers go on costing): {', '.join(left)}")

    if clouds.find(cloud, stack):
        plan.step(f"delete stack {stack}", lambda: clouds.delete(cloud, stack))
    base = clouds.outputs_of(clouds.find(cloud, bootstrap))
    if base:
        bucket, repository = base["CodeBucketName"], base["TaskRepositoryName"]
        plan.step(f"empty s3://{bucket}", lambda: empty_bucket(cloud, bucket))
        plan.step(f"empty repository {repository}", lambda: empty_repository(cloud, repository))
        plan.step(f"delete stack {bootstrap}", lambda: clouds.delete(cloud, bootstrap))

    secrets, kms = cloud.client("secretsmanager"), cloud.client("kms")
    kept = [(f"table {it}", lambda it=it: drop_table(cloud, it)) for it in tables]
    for arn in kept_by_tag(cloud, arguments.deployment, "kms:key"):
        if key_is_kept(kms, arn):
            forget = lambda arn=arn: kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=WAITING_DAYS)
            kept.append((f"key {arn}", forget))
    # The one that goes with the stack is still there in a dry run.
    gone = f"nodeyard/{arguments.deployment}/bootstrap"
    for name in secrets_of(cloud, arguments.deployment, but=gone):
        forget = lambda name=name: secrets.delete_secret(SecretId=name, RecoveryWindowInDays=WAITING_DAYS)
        kept.append((f"secret {name}", forget))
    for what, forget in kept:
        if arguments.with_data:
            plan.step(f"delete {what}", forget)
        else:
            print(f"kept: {what}")
    if kept and not arguments.with_data:
        print("What is kept costs little and is what a deployment can be restored from; --with-data deletes it too.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    deploying, removing, restoring = (verbs.add_parser(name) for name in ("deploy", "remove", "restore"))
    for verb in (deploying, removing, restoring):
        verb.add_argument("--deployment", required=True)
        verb.add_argument("--region")
        verb.add_argument("--endpoint")
        verb.add_argument("--dry-run", action="store_true")
    deploying.add_argument("--release", required=True)
    deploying.add_argument("--arch", required=True)
    deploying.add_argument("--task-image")
    deploying.add_argument("--set", action="append", default=[], metavar="Key=Value")
    deploying.set_defaults(run=deploy)
    removing.add_argument("--with-data", action="store_true")
    removing.add_argument("--leave-nodes", action="store_true")
    removing.set_defaults(run=remove)
    restoring.add_argument("--from", dest="source", required=True)
    restoring.set_defaults(run=restore)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
