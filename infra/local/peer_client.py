"""Asks for one server with the provider's own Python client, as a script or a tool on top of it would, and prints what
its caller then knows: `{"id": …}`, or `{"error": …}` where there was an exception and no id.

    HCLOUD_TOKEN=… HCLOUD_ENDPOINT=… peer_client.py NAME
"""

import json
import os
import sys

from hcloud import Client
from hcloud.images import Image
from hcloud.server_types import ServerType


def main(name):
    client = Client(token=os.environ["HCLOUD_TOKEN"], api_endpoint=os.environ["HCLOUD_ENDPOINT"])
    try:
        created = client.servers.create(
            name=name, server_type=ServerType(name="cpx22"), image=Image(name="debian-13")
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller has no id
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
    else:
        print(json.dumps({"id": created.server.id}))


if __name__ == "__main__":
    main(sys.argv[1])
