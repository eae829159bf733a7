"""The rules by which `promtool check metrics` judges an exposition (client_golang's promlint), for machines without it.

Each rule of https://github.com/prometheus/client_golang/tree/main/prometheus/testutil/promlint/validations is one function.
That the text is well formed is the business of host/perfhost-telemetry/tests/exposition.rs.
"""

import re
from dataclasses import dataclass, field

# What a name's unit should be counted in, by unit.
BASE_UNITS = {
    **{unit: unit for unit in "amperes bytes celsius grams joules kelvin meters metres seconds volts".split()},
    **dict.fromkeys("minutes hours days weeks".split(), "seconds"), "kelvins": "kelvin", "fahrenheit": "celsius", "rankine": "celsius",
    "inches": "meters", "yards": "meters", "miles": "meters", "bits": "bytes", "calories": "joules", "pounds": "grams", "ounces": "grams",
}
PREFIXES = "pico nano micro milli centi deci deca hecto kilo kibi mega mibi giga gibi tera tebi peta pebi".split()
ABBREVIATIONS = "s ms us ns sec b kb mb gb tb pb m h d".split()
KINDS = ("counter", "gauge", "summary", "histogram")
CAMEL_CASE = re.compile(r"[a-z][A-Z]")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"')


@dataclass
class Family:
    """What the exposition says of one metric."""

    name: str
    help: str = ""
    kind: str = "untyped"
    # The names that its samples have, each with the labels that were seen with it.
    samples: dict = field(default_factory=dict)

    def labels(self):
        return set().union(*self.samples.values()) if self.samples else set()


def families(text):
    """Every family of an exposition, in its order."""
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            _, word, name, rest = (*line.split(" ", 3), "")[:4]
            current = found.setdefault(name, Family(name))
            setattr(current, "help" if word == "HELP" else "kind", rest)
        elif line and not line.startswith("#"):
            name = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line)[0]
            if current is None or not name.startswith(current.name):
                current = found.setdefault(name, Family(name))
            labels = {label[1] for label in LABEL.finditer(line)}
            current.samples[name] = current.samples.get(name, set()) | labels
    return list(found.values())


def has_help(family):
    if not family.help:
        yield "no help text"


def counts_in_base_units(family):
    for part in family.name.split("_"):
        bare = next((part[len(prefix):] for prefix in PREFIXES if part.startswith(prefix) and part[len(prefix):] in BASE_UNITS), None)
        base = BASE_UNITS.get(part) or BASE_UNITS.get(bare)
        if base:
            if base != part:
                yield f"use base unit {base} instead of {part}"
            return


def ends_in_total_if_a_counter(family):
    if (family.kind == "counter") != family.name.endswith("_total"):
        yield "counters, and only counters, should end in _total"


def leaves_reserved_names_to_their_kinds(family):
    if family.kind == "untyped":
        return
    if family.kind != "histogram" and (family.name.endswith("_bucket") or "le" in family.labels()):
        yield "_bucket and the label le are for histograms"
    if family.kind != "summary" and "quantile" in family.labels():
        yield "the label quantile is for summaries"
    if family.kind not in ("histogram", "summary") and family.name.endswith(("_count", "_sum")):
        yield "_count and _sum are for histograms and summaries"


def has_no_kind_in_its_name(family):
    for kind in KINDS if family.kind != "untyped" else ():
        if f"_{kind}_" in family.name.lower() or family.name.lower().endswith(f"_{kind}"):
            yield f"the name should not include the type {kind}"


def has_no_colon(family):
    if ":" in family.name:
        yield "colons are for recording rules"


def is_in_snake_case(family):
    for name in [family.name, *sorted(family.labels())]:
        if CAMEL_CASE.search(name):
            yield f"{name} should be in snake_case"


def spells_units_out(family):
    for short in ABBREVIATIONS:
        if f"_{short}_" in family.name.lower() or family.name.lower().endswith(f"_{short}"):
            yield f"the unit {short} should be spelled out"


RULES = (has_help, counts_in_base_units, ends_in_total_if_a_counter, leaves_reserved_names_to_their_kinds, has_no_kind_in_its_name,
         has_no_colon, is_in_snake_case, spells_units_out)


def problems(text):
    """What promtool would object to: metric and sentence."""
    return [(family.name, problem) for family in families(text) for rule in RULES for problem in rule(family)]
