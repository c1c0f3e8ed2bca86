"""Acquires a node with the client that was generated from the API's document, waits until it is ready, and releases it.
Prints what it saw as JSON.

    NODEYARD_URL=… NODEYARD_TOKEN=… PYTHONPATH=FOLDER-OF-THE-CLIENT acquire.py
"""

import json
import os
import time

from nodeyard_client import AuthenticatedClient
from nodeyard_client.api.jobs import get_job
from nodeyard_client.api.nodes import create_node, get_node, list_nodes, release_node
from nodeyard_client.models import Accepted, Job, ListNodesStatus, NewNode, Node

PATIENCE_SECS = 180


def finished(client, job_id):
    """The job at its end. The answer is held back by the API while nothing changes."""
    deadline = time.monotonic() + PATIENCE_SECS
    while time.monotonic() < deadline:
        job = get_job.sync(job_id, client=client, prefer="wait=5")
        assert isinstance(job, Job), job
        if job.done:
            assert job.state == "succeeded", job
            return job
    raise TimeoutError(f"{job_id} has not ended within {PATIENCE_SECS} s")


def main():
    client = AuthenticatedClient(
        base_url=os.environ["NODEYARD_URL"], token=os.environ["NODEYARD_TOKEN"], timeout=30.0
    )
    started = time.monotonic()
    accepted = create_node.sync(
        client=client, body=NewNode(name="by-client", profile="base"), idempotency_key="by-client-1"
    )
    assert isinstance(accepted, Accepted), accepted
    again = create_node.sync(
        client=client, body=NewNode(name="by-client", profile="base"), idempotency_key="by-client-1"
    )
    assert again.job.id == accepted.job.id, again
    finished(client, accepted.job.id)
    node = get_node.sync(accepted.node.id, client=client)
    assert isinstance(node, Node) and node.status == "ready" and node.readiness.ready, node
    ready_secs = time.monotonic() - started
    assert [it.id for it in list_nodes.sync(client=client, status=ListNodesStatus.READY).items] == [node.id]
    released = release_node.sync(node.id, client=client)
    assert isinstance(released, Accepted), released
    finished(client, released.job.id)
    gone = get_node.sync(node.id, client=client)
    assert gone.status == "released", gone
    refused = release_node.sync_detailed(node.id, client=client)
    assert refused.status_code == 409 and refused.parsed.code == "node_gone", refused
    print(json.dumps({"node": node.id, "ready_secs": round(ready_secs, 1)}))


if __name__ == "__main__":
    main()
