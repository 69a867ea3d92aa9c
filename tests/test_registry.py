"""Who is waited for: the sites that are expected by name, or as many nodes as there are sites."""

import secrets
import time
from types import SimpleNamespace

import pytest
from flwr.server.superlink.fleet.vce.vce_api import _register_nodes
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager

from server_app.registry import wait_for

EXPECTED = ("graz", "lyon")


@pytest.fixture
def state():
    """What Flower knows of its nodes, in memory."""
    objects = ObjectStoreFactory()
    return LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), objects)


def grid_of(state):
    return SimpleNamespace(get_nodes=lambda: state.state().get_node_info())


def register(state, *names):
    """Real nodes, by the names that their keys are registered with."""
    for name in names:
        state.state().create_node("id", "us", secrets.token_bytes(8), 30.0, name=name)


def waited(state, expected=EXPECTED, seconds=0.5):
    """How long was waited, for whom, and whether they are virtual."""
    began = time.monotonic()
    names, virtual = wait_for(grid_of(state), expected, 2, seconds)
    return time.monotonic() - began >= seconds, sorted(names.values()), virtual


def test_a_simulations_nodes_are_counted(state):
    _register_nodes(2, state)
    assert waited(state) == (False, ["", ""], True)


def test_nodes_without_a_name_are_not_taken_for_those_that_are_expected(state):
    register(state, None, None)
    assert waited(state) == (True, ["", ""], False)
    register(state, "lyon", "oslo")
    assert waited(state) == (True, ["", "", "lyon"], False)
    register(state, "graz")
    assert waited(state) == (False, ["", "", "graz", "lyon"], False)


def test_nodes_are_counted_where_nobody_is_expected_by_name(state):
    register(state, None, "oslo")
    assert waited(state, ()) == (False, ["", "oslo"], False)
