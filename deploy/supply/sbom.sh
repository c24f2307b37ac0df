#!/bin/sh
# sbom.sh [FOLDER]: what a gateway and the city's server have installed, as CycloneDX, one file each.
# The tool lives in a throw-away environment, so that it is never part of the project's own.
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-build}
mkdir -p "$folder"

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT INT TERM
"${PYTHON:-python3}" -m venv "$tool"
"$tool/bin/python" -m pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7,<8"
for set_name in edge cloud; do
    PYTHONWARNINGS=ignore "$tool/bin/cyclonedx-py" requirements "requirements/$set_name.txt" \
        --pyproject pyproject.toml \
        --output-reproducible --output-format JSON --output-file "$folder/sbom-$set_name.json"
    echo "sbom: $folder/sbom-$set_name.json"
done
