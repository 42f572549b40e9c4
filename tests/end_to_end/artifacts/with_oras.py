"""oras by its own client, over plain HTTP.

with_oras.py push REGISTRY/REPOSITORY:TAG CONFIG FILE…   all but the first as PATH:MEDIA-TYPE; folders are packed
with_oras.py pull REGISTRY/REPOSITORY:TAG FOLDER
"""

import sys

import oras.client

client = oras.client.OrasClient(insecure=True)
match sys.argv[1:]:
    case ["push", reference, config, *files]:
        annotations = {"org.example.made-for": "a test"}
        client.push(reference, manifest_config=config, files=files, manifest_annotations=annotations)
    case ["pull", reference, folder]:
        client.pull(reference, outdir=folder)
    case _:
        sys.exit(__doc__)
