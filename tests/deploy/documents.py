"""Reads YAML documents of Kubernetes.

documents.py [VERSION…]      VERSION: also holds them against this version of Kubernetes, as 1.37

On the standard input is a list of texts, in JSON; what is printed has for each {"Ok": [document…]} or {"Err": reason}.
Nothing is passed over: a key that is there twice, a field that the schema does not know, and a kind without a schema are
errors.
"""

import functools
import json
import sys

import yaml


class Loader(yaml.CSafeLoader):
    """YAML forbids a key that is there twice; PyYAML takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"{twice} is there twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def read(text):
    documents = [document for document in yaml.load_all(text, Loader) if document]
    for document in documents:
        for version in sys.argv[1:]:
            hold(document, version)
    return documents


def hold(document, version):
    if document["apiVersion"] == "monitoring.coreos.com/v1":
        hold_of_prometheus_operator(document)
    else:
        hold_of_kubernetes(document, version)


def hold_of_kubernetes(document, version):
    validator = kubernetes_validate()
    try:
        validator.validate(document, version, strict=True)
    except validator.ValidationError as error:
        place = ".".join(map(str, error.path))
        raise ValueError(f"{document['kind']}, Kubernetes {version}: {place}: {error.message}") from error


@functools.cache
def kubernetes_validate():
    from kubernetes_validate import utils

    # It reads all definitions again for each document.
    utils.schema_contents = functools.cache(utils.schema_contents)
    return utils


def hold_of_prometheus_operator(document):
    from cloudcoil.models.prometheus_operator import v1

    read = getattr(v1, document["kind"]).model_validate(document)
    # The types pass over what they do not know: it is not there any more when they are written again.
    written = json.loads(read.model_dump_json(by_alias=True, exclude_unset=True))
    if written != document:
        raise ValueError(f"{document['kind']}: it has fields that are not known: {document}, not {written}")


def result(text):
    try:
        return {"Ok": read(text)}
    except Exception as error:
        return {"Err": str(error)}


json.dump([result(text) for text in json.load(sys.stdin)], sys.stdout)
