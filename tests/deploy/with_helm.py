"""Helm by its own SDK.

with_helm.py lint CHART      what is wrong with the chart and these values
with_helm.py render CHART    what an installation of the release "regferry" makes, by template
with_helm.py show CHART      the chart's metadata and its own values

On the standard input is a list of values, each as YAML in a text, in JSON. What is printed has for each of them
{"Ok": result} or {"Err": reason}.
"""

import json
import sys

import helm_python as helm


def lint(chart, values):
    return helm.lint(chart, values, strict=True)


def render(chart, values):
    return helm.Chart.load(chart).render(values, name="regferry", namespace="mirror")


def show(chart, values):
    loaded = helm.Chart.load(chart)
    return {"metadata": loaded.metadata, "values": loaded.merge_values(values)}


def result(act, chart, values):
    try:
        return {"Ok": act(chart, helm.values_from_yaml(values))}
    except helm.HelmError as error:
        return {"Err": str(error)}


match sys.argv[1:]:
    case [("lint" | "render" | "show") as name, chart]:
        act = {"lint": lint, "render": render, "show": show}[name]
        json.dump([result(act, chart, values) for values in json.load(sys.stdin)], sys.stdout)
    case _:
        sys.exit(__doc__)
