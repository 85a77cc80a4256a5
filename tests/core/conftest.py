"""How hard the fuzz tests try: always the same few hundred examples, or with --long many thousand new ones."""

from hypothesis import HealthCheck, settings

EXAMPLES = {"short": 60, "long": 3000}


def pytest_configure(config):
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    settings.register_profile("short", derandomize=True, max_examples=EXAMPLES["short"], **quiet)
    settings.register_profile("long", max_examples=EXAMPLES["long"], print_blob=True, **quiet)
    settings.load_profile("long" if config.getoption("--long") else "short")
