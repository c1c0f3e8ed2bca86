"""What Schemathesis is told about the API that no document says: which secrets are good here, and which two requests
would end the drill. Those are sent with another name; nothing is taken out of what is checked.

    NODEYARD_PROVIDER_TOKEN=… NODEYARD_KEPT_TOKENS=token-…,token-… NODEYARD_TALLY=FILE schemathesis run …
"""

import atexit
import collections
import json
import os

import schemathesis

PROVIDER_TOKEN = os.environ["NODEYARD_PROVIDER_TOKEN"]
KEPT_TOKENS = set(os.environ["NODEYARD_KEPT_TOKENS"].split(","))
TALLY = os.environ["NODEYARD_TALLY"]

answers = collections.Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    route = (case.method.upper(), case.operation.path)
    given = case.path_parameters or {}
    # Without its own token, or the one connection, all that follows would be refused.
    if route == ("DELETE", "/tokens/{id}") and given.get("id") in KEPT_TOKENS:
        case.path_parameters = {**given, "id": "token-" + 32 * "0"}
    if route == ("DELETE", "/providers/{name}") and given.get("name") == "main":
        case.path_parameters = {**given, "name": "another"}
    # The provider knows one token; made-up ones are for the names of other connections.
    if route == ("PUT", "/providers/{name}") and given.get("name") == "main" and isinstance(case.body, dict):
        if isinstance(case.body.get("token"), str):
            # A cap, so that the machine this runs on has a bounded number of nodes to acquire.
            case.body = {**case.body, "token": PROVIDER_TOKEN, "max_nodes": 6, "max_monthly": 1000.0}


@schemathesis.hook
def after_call(context, case, response):
    answers[f"{case.method.upper()} {case.operation.path} {response.status_code}"] += 1


@atexit.register
def write():
    with open(TALLY, "w", encoding="utf-8") as file:
        json.dump(answers, file)
