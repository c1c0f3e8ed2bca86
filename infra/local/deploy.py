"""Talks CloudFormation to an AWS emulator on behalf of `cargo xtask`.

    deploy.py deploy  --endpoint URL --template FILE --stack NAME --code FOLDER [--set Key=Value ...]
    deploy.py environment --endpoint URL --function NAME
    deploy.py logs    --endpoint URL --into FOLDER

`deploy` packs each `FOLDER/<function>/bootstrap` into a zip and uploads it, creates the stack (or updates it) and prints
its outputs as one JSON object. `environment` prints the variables that a deployed function gets. `logs` writes each log
group to a file. All work with any LocalStack-compatible endpoint.
"""

import argparse
import hashlib
import io
import json
import pathlib
import sys
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

BUCKET = "nodeyard-code"


def client(service, endpoint):
    """A client that only ever talks to the given endpoint, with credentials that are worth nothing."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"}),
    )


def pack(program):
    """A zip with an executable `bootstrap`; the same program always gives the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, program.read_bytes())
    return packed.getvalue()


def upload(endpoint, folder):
    """Uploads every function and returns the key prefix, which names their content: CloudFormation sees a new build."""
    zips = {program.parent.name: pack(program) for program in sorted(pathlib.Path(folder).glob("*/bootstrap"))}
    if not zips:
        sys.exit(f"no functions in {folder}")
    prefix = hashlib.sha256(b"".join(zips.values())).hexdigest()[:16]
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket=BUCKET)
    for name, content in zips.items():
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}.zip", Body=content)
    return prefix


def failures(cloudformation, stack):
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]


def deploy(arguments):
    cloudformation = client("cloudformation", arguments.endpoint)
    parameters = dict(pair.split("=", 1) for pair in arguments.set)
    parameters.update(CodeBucket=BUCKET, CodePrefix=upload(arguments.endpoint, arguments.code))
    request = {
        "StackName": arguments.stack,
        "TemplateBody": pathlib.Path(arguments.template).read_text(),
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    try:
        cloudformation.describe_stacks(StackName=arguments.stack)
        known = True
    except ClientError:
        known = False
    waiter = "stack_update_complete" if known else "stack_create_complete"
    try:
        (cloudformation.update_stack if known else cloudformation.create_stack)(**request)
        cloudformation.get_waiter(waiter).wait(
            StackName=arguments.stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
    except WaiterError as error:
        sys.exit("\n".join([str(error), *failures(cloudformation, arguments.stack)]))
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            sys.exit(str(error))
    described = cloudformation.describe_stacks(StackName=arguments.stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    # The host name an emulator gives an API does not resolve everywhere; this path form, which they share, does.
    outputs["ApiUrl"] = f"{arguments.endpoint}/_aws/execute-api/{outputs['ApiId']}"
    secrets = client("secretsmanager", arguments.endpoint)
    outputs["BootstrapSecret"] = secrets.get_secret_value(SecretId=outputs["BootstrapSecretName"])["SecretString"]
    json.dump(outputs, sys.stdout)


def environment(arguments):
    configuration = client("lambda", arguments.endpoint).get_function_configuration(FunctionName=arguments.function)
    json.dump(configuration["Environment"]["Variables"], sys.stdout)


def log_events(service, group):
    """All events of a group. Stream by stream: filtered over a group, ministack ends after 10,000 without saying so."""
    for page in service.get_paginator("describe_log_streams").paginate(logGroupName=group):
        for stream in page["logStreams"]:
            place = {"logGroupName": group, "logStreamName": stream["logStreamName"], "startFromHead": True}
            while (found := service.get_log_events(**place))["events"]:
                yield from found["events"]
                place["nextToken"] = found["nextForwardToken"]


def logs(arguments):
    into = pathlib.Path(arguments.into)
    into.mkdir(parents=True, exist_ok=True)
    service = client("logs", arguments.endpoint)
    for page in service.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            lines = [(event["timestamp"], event["message"].rstrip("\n")) for event in log_events(service, name)]
            if lines:
                file = into / (name.strip("/").replace("/", "-") + ".log")
                file.write_text("".join(f"{message}\n" for _, message in sorted(lines, key=lambda line: line[0])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("deploy")
    verb.add_argument("--endpoint", required=True)
    verb.add_argument("--template", required=True)
    verb.add_argument("--stack", required=True)
    verb.add_argument("--code", required=True)
    verb.add_argument("--set", action="append", default=[], metavar="Key=Value")
    verb.set_defaults(run=deploy)
    verb = verbs.add_parser("environment")
    verb.add_argument("--endpoint", required=True)
    verb.add_argument("--function", required=True)
    verb.set_defaults(run=environment)
    verb = verbs.add_parser("logs")
    verb.add_argument("--endpoint", required=True)
    verb.add_argument("--into", required=True)
    verb.set_defaults(run=logs)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
