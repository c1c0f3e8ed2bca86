"""Writes down, as CycloneDX, which packages of Debian and of Python are in the image.

    image_sbom.py ROOT.tar OUT.json

Read from the image's own file system: dpkg's status file, and the metadata that Python packages come with.
"""

import datetime
import email.parser
import sys
import tarfile
import uuid

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL


def debian(status):
    """The installed packages of a dpkg status file."""
    for stanza in status.split("\n\n"):
        fields = email.parser.HeaderParser().parsestr(stanza)
        if (fields["Status"] or "").endswith(" installed"):
            name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
            yield name, version, PackageURL("deb", "debian", name, version, {"arch": architecture})


def python(metadata):
    """The package that a METADATA file is of."""
    fields = email.parser.HeaderParser().parsestr(metadata)
    name, version = fields["Name"], fields["Version"]
    return name, version, PackageURL("pypi", None, name.lower(), version)


def packages(root):
    with tarfile.open(root) as archive:
        for member in archive:
            if member.name.endswith("var/lib/dpkg/status"):
                yield from debian(archive.extractfile(member).read().decode())
            elif member.name.endswith(".dist-info/METADATA"):
                yield python(archive.extractfile(member).read().decode())


def main():
    root, out = sys.argv[1:]
    bom = Bom()
    # Nothing of when or where it was made: the same image gives the same document.
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(1, datetime.UTC)
    name = "nodeyard-ansible-task-image"
    bom.metadata.component = Component(name=name, type=ComponentType.CONTAINER, bom_ref=name)
    for name, version, purl in packages(root):
        reference = purl.to_string()
        kind = ComponentType.LIBRARY
        bom.components.add(Component(name=name, version=version, type=kind, purl=purl, bom_ref=reference))
    kinds = {component.purl.type for component in bom.components}
    if kinds != {"deb", "pypi"}:
        sys.exit(f"only {kinds} in {root}")
    contents = " ".join(sorted(component.purl.to_string() for component in bom.components))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, contents)
    bom.register_dependency(bom.metadata.component, bom.components)
    make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_to_file(out, allow_overwrite=True, indent=2)


if __name__ == "__main__":
    main()
