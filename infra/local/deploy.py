"""Talks CloudFormation to an AWS emulator on behalf of `cargo xtask`.

    deploy.py deploy  --endpoint URL --template FILE --stack NAME --code FOLDER [--set Key=Value ...]
    deploy.py environment --endpoint URL --function NAME
    deploy.py logs    --endpoint URL --into FOLDER

`deploy` uploads each `FOLDER/<function>.zip`, or packs each `FOLDER/<function>/bootstrap` into one, creates the stack (or
updates it) and prints its outputs as one JSON object. `environment` prints the variables that a deployed function gets. `logs` writes each log
group to a file. All work with any LocalStack-compatible endpoint.
"""

import argparse
import json
import pathlib
import sys

from cloud import Cloud, apply, prefix_of, upload, zips_in

BUCKET = "nodeyard-code"


def client(service, endpoint):
    return Cloud(endpoint).client(service)


def deploy(arguments):
    cloud = Cloud(arguments.endpoint)
    zips = zips_in(arguments.code)
    prefix = prefix_of(zips)
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    upload(cloud, BUCKET, {f"{prefix}/{name}.zip": content for name, content in zips.items()})
    parameters = dict(pair.split("=", 1) for pair in arguments.set)
    parameters.update(CodeBucket=BUCKET, CodePrefix=prefix)
    outputs = apply(cloud, arguments.stack, arguments.template, parameters, BUCKET)
    # The host name an emulator gives an API does not resolve everywhere; this path form, which they share, does.
    outputs["ApiUrl"] = f"{arguments.endpoint}/_aws/execute-api/{outputs['ApiId']}"
    secrets = cloud.client("secretsmanager")
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
