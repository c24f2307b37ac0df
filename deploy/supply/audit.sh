#!/bin/sh
# audit.sh: known faults of everything that is locked, by pip-audit. Exit code 1 when there is one,
# or when a package could not be looked up.
# Where its data can't be had (a machine without the Internet, a mirror without advisories) it says
# so and ends well: the list to look at by hand is docs/dependencies.md.
set -eu
cd "$(dirname "$0")/../.."

# A mirror may answer for a package and not for its versions, where the advisories stand: asked for
# one that is locked.
version=$(sed -n 's/^h11==\([^ ]*\) .*/\1/p' requirements/edge.txt)
index=${AUDIT_DATA:-$("${PYTHON:-python3}" -c \
    'from pip._internal.models.index import PyPI; print(PyPI.url)' 2>/dev/null || true)}

if ! "${PYTHON:-python3}" - "$index" "$version" 2>/dev/null <<'PY'
import json, sys, urllib.request
index, version = sys.argv[1:]
url = f"{index.rstrip('/')}/pypi/h11/{version}/json"
json.load(urllib.request.urlopen(url, timeout=10))["vulnerabilities"]
PY
then
    echo "audit: no data: the package index gives no advisories here. See docs/dependencies.md"
    exit 0
fi

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT INT TERM
"${PYTHON:-python3}" -m venv "$tool"
"$tool/bin/python" -m pip install --quiet --disable-pip-version-check "pip-audit>=2.7,<3"
failed=0
for set_name in edge cloud dev; do
    echo "audit: requirements/$set_name.txt"
    "$tool/bin/pip-audit" --requirement "requirements/$set_name.txt" --require-hashes --strict \
        --disable-pip --progress-spinner off || failed=1
done
exit $failed
