"""Fixtures for every test. Run through `python dev.py test`, which provides the host and the environment."""

import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of servers and other children: as many tests run at once as there are cores

SHARED = ("server", "browser", "batch")
HERE = Path(__file__).parent
FIRST = "test_oldest_host.py"  # a single test, and a long one
BUDGETS = {  # seconds of one core that a suite may take on the machine of CI; printed, not asserted
    FIRST: 900,
    "host": 1500,
    "browser": 1000,
    "batch": 900,
    "server": 300,
    "tools": 180,
    "test_registry.py": 90,
    "core": 30,
}


EXAMPLES = {"short": 60, "long": 3000}  # of every fuzz test: always the same few, or many new ones


def pytest_configure(config):
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    settings.register_profile("short", derandomize=True, max_examples=EXAMPLES["short"], **quiet)
    settings.register_profile("long", max_examples=EXAMPLES["long"], print_blob=True, **quiet)
    settings.load_profile("long" if config.getoption("--long") else "short")


def suite_of(path: Path) -> str:
    return path.relative_to(HERE).parts[0]


def pytest_collection_modifyitems(items):
    """What takes longest comes first."""
    items.sort(key=lambda item: (item.path.name != FIRST, suite_of(item.path) not in SHARED))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests of one file share a worker and its fixtures; so do all server tests, all browser tests and all batch tests,
    which start a server once, or a cluster. Not by xdist_group, which has no effect with this version of pytest."""
    from xdist.scheduler import LoadScopeScheduling

    class BySuite(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            suite = suite_of(HERE.parent / file)
            return suite if suite in SHARED else file

    return BySuite(config, log)


def pytest_terminal_summary(terminalreporter):
    seconds, count = Counter(), Counter()
    reports = [r for reports in terminalreporter.stats.values() for r in reports if hasattr(r, "duration")]
    for report in reports:
        print_at_the_end(terminalreporter, report)
        suite = suite_of(HERE.parent / report.location[0])
        seconds[suite] += report.duration
        count[suite] += report.when == "call"
    terminalreporter.section("seconds by suite, of budget")
    for suite, used in sorted(seconds.items(), key=lambda row: -row[1]):
        of = f" of {BUDGETS[suite]}" if suite in BUDGETS else ""
        terminalreporter.write_line(f"{suite:24} {used:6.0f}{of} s, {count[suite]} tests")


def print_at_the_end(terminalreporter, report):
    """What a test has recorded to be printed; properties reach this process from whichever worker ran it."""
    for name, text in report.user_properties:
        if name == "printed at the end" and report.when == "call":
            terminalreporter.section(report.nodeid.partition("[")[0])
            terminalreporter.write_line(text)


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="all tiny models in every composition, not a few; half an hour"
    )


@pytest.fixture(autouse=True)
def _no_grad():
    """As the host samples."""
    with torch.no_grad():
        yield
