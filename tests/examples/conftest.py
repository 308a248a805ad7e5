"""A stage for the scenes of the examples: a server, its database and a worker."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from bugtracker.embedded import Cluster
from tests.examples.scene import Stage
from tests.jobs.running import working
from tests.world import World


@pytest.fixture(scope="package")
def stage(
    other_world: Callable[..., AbstractContextManager[World]],
    cluster: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    mails = tmp_path_factory.mktemp("examples")
    with other_world(local_dir=mails) as world, working(world.runtime):
        yield Stage(world, cluster)
