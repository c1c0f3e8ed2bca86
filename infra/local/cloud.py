"""CloudFormation stacks and what they are made from, on AWS or on an emulator of it."""

import hashlib
import io
import pathlib
import sys
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


class Cloud:
    """Where calls go: to an emulator's endpoint, with credentials that are worth nothing, or to AWS, with the person's."""

    def __init__(self, endpoint=None, region=None):
        self.endpoint = endpoint
        self.region = "us-east-1" if endpoint else region

    def client(self, service):
        if not self.endpoint:
            return boto3.client(service, region_name=self.region)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"}),
        )

    def waits(self):
        """How often, and how many times at most, CloudFormation is asked whether it has ended: half an hour."""
        return {"Delay": 1, "MaxAttempts": 1800} if self.endpoint else {"Delay": 5, "MaxAttempts": 360}


def pack(program):
    """A zip with an executable `bootstrap`; the same program always gives the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, program.read_bytes())
    return packed.getvalue()


def zips_in(folder):
    """The functions in a folder, by name: `<function>.zip` as it is, or `<function>/bootstrap` packed."""
    folder = pathlib.Path(folder)
    zips = {file.stem: file.read_bytes() for file in sorted(folder.glob("*.zip"))}
    zips = zips or {program.parent.name: pack(program) for program in sorted(folder.glob("*/bootstrap"))}
    if not zips:
        sys.exit(f"no functions in {folder}")
    return zips


def prefix_of(zips):
    """The key prefix of a build, which names its content: CloudFormation sees a new build, and only that."""
    return hashlib.sha256(b"".join(zips.values())).hexdigest()[:16]


def upload(cloud, bucket, objects):
    """Puts what is not there yet; keys name contents, so what is there is the same. Returns the keys it has put."""
    s3 = cloud.client("s3")
    there = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        there.update(found["Key"] for found in page.get("Contents", []))
    missing = {key: content for key, content in objects.items() if key not in there}
    for key, content in missing.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    return sorted(missing)


def find(cloud, stack):
    """A stack as CloudFormation describes it, or nothing."""
    try:
        return cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def outputs_of(described):
    return {output["OutputKey"]: output["OutputValue"] for output in (described or {}).get("Outputs", [])}


def failures(cloudformation, stack):
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]


def apply(cloud, stack, template, parameters, bucket=None, tags=None):
    """Creates or updates a stack and returns its outputs. Parameters that are not given stay as they are. With a bucket
    the template comes from there, where it may be larger than in a request."""
    cloudformation = cloud.client("cloudformation")
    text = pathlib.Path(template).read_text()
    known = find(cloud, stack)
    if known and known["StackStatus"] in ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"):
        # A creation that failed leaves a stack that can only be deleted.
        delete(cloud, stack)
        known = None
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    for parameter in (known or {}).get("Parameters", []):
        if parameter["ParameterKey"] not in parameters and f"\n  {parameter['ParameterKey']}:\n" in text:
            given.append({"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True})
    request = {
        "StackName": stack,
        "Capabilities": CAPABILITIES,
        "Parameters": given,
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    }
    if bucket:
        key = f"templates/{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
        upload(cloud, bucket, {key: text.encode()})
        request["TemplateURL"] = f"{cloud.client('s3').meta.endpoint_url}/{bucket}/{key}"
    else:
        request["TemplateBody"] = text
    try:
        (cloudformation.update_stack if known else cloudformation.create_stack)(**request)
        waiter = cloudformation.get_waiter("stack_update_complete" if known else "stack_create_complete")
        waiter.wait(StackName=stack, WaiterConfig=cloud.waits())
    except WaiterError as error:
        sys.exit("\n".join([str(error), *failures(cloudformation, stack)]))
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            sys.exit(str(error))
    return outputs_of(find(cloud, stack))


def delete(cloud, stack):
    """Deletes a stack and waits until it is gone."""
    cloudformation = cloud.client("cloudformation")
    described = find(cloud, stack)
    if not described:
        return
    cloudformation.delete_stack(StackName=stack)
    try:
        waiter = cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=described["StackId"], WaiterConfig=cloud.waits())
    except WaiterError as error:
        sys.exit("\n".join([str(error), *failures(cloudformation, described["StackId"])]))
