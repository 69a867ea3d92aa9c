"""What the red team's tests have in common with those of `tests/reliability`."""

from tests.reliability import conftest as reliability
from tests.reliability.conftest import factories, figure, needs_nginx

__all__ = ["factories", "figure", "needs_nginx"]


def pytest_terminal_summary(terminalreporter, config):
    """The figures, where the other folder's own hook does not print them."""
    if not config.pluginmanager.is_registered(reliability):
        reliability.pytest_terminal_summary(terminalreporter, config)
