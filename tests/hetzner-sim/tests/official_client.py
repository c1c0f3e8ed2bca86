"""The official Python client against the simulator: create, wait, read, list
by label, switch, delete. Ends with a line `official client: ok`."""

import os

from hcloud import APIException, Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

client = Client(
    token=os.environ["HCLOUD_TOKEN"],
    api_endpoint=os.environ["HCLOUD_ENDPOINT"],
    poll_interval=0.05,
)

key = client.ssh_keys.create(name="official", public_key=os.environ["PUBLIC_KEY"])
assert client.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id

created = client.servers.create(
    name="official-1",
    server_type=ServerType(name="cpx22"),
    image=Image(name="debian-13"),
    location=Location(name="nbg1"),
    ssh_keys=[key],
    labels={"made-by": "official-client"},
)
assert created.root_password is None
assert created.server.status == "initializing", created.server.status
for action in [created.action, *created.next_actions]:
    action.wait_until_finished()

server = client.servers.get_by_id(created.server.id)
assert server.status == "running", server.status
assert server.public_net.ipv4.ip.startswith("198.18.0.")
assert server.location.name == "nbg1"
assert server.server_type.name == "cpx22"
assert server.image.os_flavor == "debian"

labelled = client.servers.get_all(label_selector="made-by=official-client")
assert [it.name for it in labelled] == ["official-1"]
assert client.servers.get_all(label_selector="made-by=somebody-else") == []
assert client.servers.get_by_name("official-1").id == server.id

try:
    client.servers.create(
        name="official-1",
        server_type=ServerType(name="cpx22"),
        image=Image(name="debian-13"),
    )
    raise AssertionError("a second server of that name was made")
except APIException as refusal:
    assert refusal.code == "uniqueness_error", refusal.code

server.power_off().wait_until_finished()
assert client.servers.get_by_id(server.id).status == "off"
server.power_on().wait_until_finished()

addresses = client.primary_ips.get_all()
assert {ip.assignee_id for ip in addresses} == {server.id}
assert client.server_types.get_by_name("cax11").architecture == "arm"
assert client.images.get_by_name_and_architecture("debian-13", "arm") is not None
assert len(client.locations.get_all()) == 6

server.delete().wait_until_finished()
assert client.servers.get_by_name("official-1") is None
assert client.primary_ips.get_all() == []
client.ssh_keys.delete(key)
assert client.ssh_keys.get_all() == []

print("official client: ok")
