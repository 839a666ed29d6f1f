#!/usr/bin/env python3
"""Writes the software bill of materials of an image: CycloneDX JSON, from the dpkg status file of the image's own root.

    sbom.py --version=VERSION STATUS     to standard output

One component a Debian package, named by its package URL (with the source package, which security trackers go by), and
Precis itself as the thing that depends on them. The same input gives the same document, apart from its time.
"""
import argparse
import hashlib
import sys
import uuid
from collections.abc import Iterator

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL


def installed_packages(status: str) -> Iterator[dict[str, str]]:
    """The stanzas of a dpkg status file (deb822, one package each) whose package is installed."""
    for stanza in status.split("\n\n"):
        fields = {}
        for line in stanza.splitlines():
            if line and not line[0].isspace() and ":" in line:
                name, value = line.split(":", 1)
                fields[name] = value.strip()
        if fields.get("Status", "").endswith(" installed"):
            yield fields


def component(fields: dict[str, str]) -> Component:
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    source, _, source_version = fields.get("Source", name).partition(" ")
    upstream = f"{source}@{source_version.strip('()') or version}"
    purl = PackageURL("deb", "debian", name, version, {"arch": architecture, "distro": "debian-13", "upstream": upstream})
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
                     supplier=OrganizationalEntity(name=fields["Maintainer"]) if "Maintainer" in fields else None,
                     description=fields.get("Description"))


def bill(status: str, version: str) -> Bom:
    bom = Bom(serial_number=uuid.UUID(bytes=hashlib.sha256(f"{version}\n{status}".encode()).digest()[:16], version=4))
    precis = Component(name="precis", version=version, type=ComponentType.APPLICATION, bom_ref="precis",
                       description="gRPC inference server for CPUs that quantizes while loading")
    bom.metadata.component = precis
    packages = [component(fields) for fields in installed_packages(status)]
    if not packages:
        raise ValueError("the status file names no installed package")
    bom.components.update(packages)
    bom.register_dependency(precis, packages)
    return bom


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="of Precis")
    parser.add_argument("status", help="the image's /var/lib/dpkg/status")
    arguments = parser.parse_args()
    try:
        with open(arguments.status, encoding="utf-8") as file:
            bom = bill(file.read(), arguments.version)
    except (OSError, ValueError) as error:
        sys.exit(f"sbom.py: {arguments.status}: {error}")
    print(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2))


if __name__ == "__main__":
    main()
