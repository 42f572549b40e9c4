"""Helm by its own SDK, over plain HTTP.

with_helm.py push CHART FOLDER REGISTRY/PATH    packages the chart into FOLDER and pushes the archive
with_helm.py pull REGISTRY/PATH/NAME VERSION FOLDER
"""

import sys

import helm_python as helm

match sys.argv[1:]:
    case ["push", chart, folder, remote]:
        archive = helm.package(chart, destination=folder)
        helm.push(archive, f"oci://{remote}", plain_http=True)
    case ["pull", chart, version, folder]:
        helm.pull(f"oci://{chart}", version=version, destination=folder, plain_http=True)
    case _:
        sys.exit(__doc__)
