"""What the dashboard of examples/grafana asks Prometheus for: its expressions, and the metrics and labels in them."""

import json
import re
from pathlib import Path

import promql_parser

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "grafana"
# What Prometheus adds to every series that it scrapes.
OF_SCRAPING = {"instance", "job"}
# What Grafana puts in the place of its variables; a choice of everything is the pattern `.*`.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$provider": ".*"}


def dashboard():
    return json.loads((FOLDER / "perfhost.json").read_text())


def filled_in(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody fills in: {expression}"
    return expression


def targets():
    """Each panel's title with its expressions, variables filled in, and their legends."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], filled_in(target["expr"]), target["legendFormat"]


def variable_queries():
    """Metric and label of each variable that lists a label's values."""
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()


def names_in(expression):
    """Pairs of sample name and label that an expression uses, the label None for the name alone; and the labels that its
    result is grouped by, None where it keeps all."""
    used, kept = set(), []

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            used.add((node.name, None))
            used.update((node.name, matcher.name) for matcher in node.matchers.matchers)
        elif isinstance(node, promql_parser.AggregateExpr):
            inner, _ = names_in(node.expr.prettify())
            labels = node.modifier.labels if node.modifier else []
            used.update((name, label) for name, nothing in inner if nothing is None for label in labels)
            kept.append(set(labels))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return used, set().union(*kept) if kept else None
