"""Writes the vectors that tests/statistics compares this crate's statistics with, by published implementations.

Not part of any build or test: the JSON beside this file is, and each file says which versions made it. To make all again,
with Python 3.12 or later:

    python3 -m venv vectors-venv
    vectors-venv/bin/pip install numpy==2.5.5 scipy==1.18.1 matplotlib multiprocess expectation==0.6.1 avinf==1.0.0
    # The C++ part of confseq does not build with today's tools; its Python part is read from the source archive.
    vectors-venv/bin/python make_vectors.py /path/to/confseq-0.0.11/src [NAME ...]

Names are those of the functions below; contrasts and sample_ratios need numpy and scipy only. confseq is by Howard,
Waudby-Smith and Ramdas; expectation by Rostami; avinf by Lindon.
"""

import importlib.metadata
import importlib.util
import json
import pathlib
import sys

import numpy as np
import scipy.special
import scipy.stats

HERE = pathlib.Path(__file__).parent
ALPHA = 0.05


def versions(*names):
    """The packages that made a file."""
    found = {"confseq": "0.0.11 (Python part, from the source archive)"}
    return {name: found.get(name) or importlib.metadata.version(name) for name in names}


def write(name, packages, cases):
    """One file, a line a case, numbers with all their digits."""
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / f"{name}.json").write_text(f'{{"packages": {json.dumps(versions(*packages))}, "cases": [\n{lines}\n]}}\n')


def betting():
    """Capitals against single means and confidence sequences, of Bernoulli and of continuous values."""
    sys.path.insert(0, sys.argv[1])
    np.float_ = np.float64  # The name that confseq knows it by.
    from confseq.betting import betting_cs, betting_lower_cs, betting_mart
    random = np.random.default_rng(20100968)
    samples = {
        "bernoulli": random.binomial(1, 0.8, 400).astype(float),
        "rare": random.binomial(1, 0.02, 400).astype(float),
        "beta": np.round(random.beta(2, 5, 300), 6),
        "constant": np.full(60, 1.0),
    }
    looks = [1, 2, 5, 10, 20, 50, 100, 200, 300, 400]
    cases = []
    for name, values in samples.items():
        at = [look for look in looks if look <= len(values)]
        means = [0.05, 0.25, 0.5, 0.75, 0.9]
        hedged = {
            mean: np.log(betting_mart(values, mean, alpha=ALPHA))[np.array(at) - 1].tolist() for mean in means
        }
        lower, upper = betting_cs(values, alpha=ALPHA, breaks=100)
        running_lower, running_upper = betting_cs(values, alpha=ALPHA, breaks=100, running_intersection=True)
        one_sided = betting_lower_cs(values, alpha=ALPHA, breaks=100)
        pick = lambda sequence: sequence[np.array(at) - 1].tolist()
        cases.append({
            "name": name, "alpha": ALPHA, "breaks": 100, "values": values.tolist(), "looks": at,
            "means": means, "ln_capital": [hedged[mean] for mean in means],
            "lower": pick(lower), "upper": pick(upper),
            "running_lower": pick(running_lower), "running_upper": pick(running_upper),
            "one_sided_lower": pick(one_sided),
        })
    write("betting", ["confseq", "numpy"], cases)


def mixtures():
    """Normal mixtures: values and boundaries, one- and two-sided."""
    from expectation.modules import boundaries
    from expectation.modules.martingales import OneSidedNormalMixture, TwoSidedNormalMixture
    cases = []
    for best_at, alpha in [(1.0, 0.05), (100.0, 0.05), (500.0, 0.025), (12.0, 0.001)]:
        for variance in [0.5, 10.0, 500.0, 1e6, 1e8]:
            sums = [0.0, 0.5 * variance**0.5, 3.0 * variance**0.5, 6.0 * variance**0.5]
            one, two = OneSidedNormalMixture(best_at, alpha), TwoSidedNormalMixture(best_at, alpha)
            cases.append({
                "best_at": best_at, "alpha": alpha, "variance": variance, "sums": sums,
                "one_sided_rho": one.rho, "two_sided_rho": two.rho,
                "one_sided_ln": [float(one.log_superMG(s, variance)) for s in sums],
                "two_sided_ln": [float(two.log_superMG(s, variance)) for s in sums],
                "one_sided_bound": float(boundaries.normal_mixture_bound(variance, alpha, best_at, alpha)),
                "two_sided_bound": float(
                    boundaries.normal_mixture_bound(variance, alpha, best_at, alpha, is_one_sided=False)),
            })
    write("mixtures", ["expectation", "scipy"], cases)


def radii():
    """Two-sided radius of a mean with known variance 1 after n values, prior weight g."""
    # The package's own __init__ has a syntax error in 1.0.0; its modules are sound.
    avinf = importlib.util.find_spec("avinf").submodule_search_locations[0]
    av_lm = importlib.util.spec_from_file_location("av_lm", pathlib.Path(avinf) / "av_lm.py")
    module = importlib.util.module_from_spec(av_lm)
    av_lm.loader.exec_module(module)
    cases = [
        {"g": g, "n": n, "alpha": alpha, "radius": float(module.z_radius(g, n, alpha) / n**0.5)}
        for g in [1.0, 25.0, 500.0] for n in [1, 100, 10_000, 10**8] for alpha in [0.05, 0.001]
    ]
    write("radii", ["avinf"], cases)


def quantiles():
    """Evidence of counts, and intervals of one sample."""
    from expectation.modules import boundaries
    random = np.random.default_rng(19060971)
    evidence = []
    for p, best_at in [(0.5, 100), (0.95, 1000), (0.99, 1000)]:
        for count in [10, 100, 5_000, 10**7]:
            for share in [p - 0.3 * (1 - p), p, p + 0.5 * (1 - p)]:
                hits = round(share * count)
                evidence.append({
                    "p": p, "best_at": best_at, "hits": hits, "count": count,
                    "ln_evidence": float(boundaries.beta_binomial_log_mixture(
                        hits - p * count, p * (1 - p) * count, p * (1 - p) * best_at, p, 1 - p,
                        is_one_sided=False)),
                })
    intervals = []
    for p, size in [(0.5, 400), (0.95, 2_000), (0.99, 5_000)]:
        values = np.sort(np.round(random.lognormal(6, 0.8, size), 1))
        # As in the demonstration that comes with confseq, demo/quantiles.py.
        radius = lambda g, h: float(boundaries.beta_binomial_mixture_bound(
            p * (1 - p) * size, ALPHA, p * (1 - p) * 1_000, g, h, is_one_sided=False))
        low = int(np.floor(size * p - radius(1 - p, p) + 1))
        high = int(np.ceil(size * p + radius(p, 1 - p)))
        intervals.append({
            "p": p, "alpha": ALPHA, "values": values.tolist(), "lower_rank": low, "upper_rank": high,
            "lower": values[low - 1] if low >= 1 else None, "upper": values[high - 1] if high <= size else None,
        })
    for name, cases in [("evidence", evidence), ("intervals", intervals)]:
        write(f"quantile_{name}", ["expectation", "numpy"], cases)


def least_evidence(p, slower, faster):
    """Evidence that one sample's p-quantile lies below the other's: likelihood ratios of binomial counts with tilted
    log-odds, mixed over tilts and over how the two samples share them, smallest over every value that both quantiles
    could be."""
    tilts = 0.05 * 1.5 ** np.arange(10)
    density = tilts * np.exp(-2.5 * tilts)
    density /= density.sum()

    def ratio(hits, size, tilt):
        tilted = scipy.special.expit(scipy.special.logit(p) + tilt)
        return scipy.stats.binom.logpmf(hits, size, tilted) - scipy.stats.binom.logpmf(hits, size, p)

    def evidence(x):
        at_most, below = int((slower <= x).sum()), int((faster < x).sum())
        return scipy.special.logsumexp([
            np.log(share * density) + ratio(at_most, len(slower), -tilts * ours) + ratio(below, len(faster), tilts * theirs)
            for ours, theirs, share in [(0.5, 0.5, 0.4), (0.35, 0.65, 0.35), (0.0, 1.0, 0.2), (1.0, 0.0, 0.05)]
        ])

    return float(min(evidence(x) for x in np.unique(np.concatenate([slower, faster]))))


def contrasts():
    """Two samples as numbers of steps of 1 %, and the evidence that one's quantile lies below the other's."""
    random = np.random.default_rng(19060972)
    cases = []
    for p, size, ratio in [(0.5, 300, 1.0), (0.5, 300, 1.4), (0.95, 1_500, 0.7), (0.95, 1_500, 1.0), (0.95, 2_000, 1.3)]:
        steps = lambda center: np.round(np.log(random.lognormal(center, 0.8, size)) / np.log(1.01)).astype(int)
        control, challenger = steps(6), steps(6 + np.log(ratio))
        cases.append({
            "p": p, "control": control.tolist(), "challenger": challenger.tolist(),
            "ln_below": least_evidence(p, control, challenger), "ln_above": least_evidence(p, challenger, control),
        })
    write("quantile_contrasts", ["scipy", "numpy"], cases)


def sample_ratios():
    """Dirichlet-multinomial Bayes factors of counts in the end."""
    cases = []
    for shares in [[0.5, 0.5], [0.9, 0.1], [0.25, 0.25, 0.5]]:
        for size in [1, 100, 10_000]:
            for tilt in [0.0, 0.1]:
                tilted = np.array(shares) * np.array([1 - tilt] + [1 + tilt * shares[0] / (1 - shares[0])] * (len(shares) - 1))
                counts = np.floor(tilted * size).astype(int)
                counts[0] += size - counts.sum()
                alternative = scipy.stats.dirichlet_multinomial.logpmf(counts, 100.0 * np.array(shares), size)
                null = scipy.stats.multinomial.logpmf(counts, size, shares)
                cases.append({"shares": shares, "counts": counts.tolist(), "ln_evidence": float(alternative - null)})
    write("sample_ratios", ["scipy"], cases)


FILES = [betting, mixtures, radii, quantiles, contrasts, sample_ratios]
for make in FILES:
    if make.__name__ in (sys.argv[2:] or [one.__name__ for one in FILES]):
        make()
