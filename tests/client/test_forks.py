import os

import pytest
from model_sidecar_client.processes.forks import ByPid, mark_process


@pytest.mark.parametrize("make", [ByPid, mark_process])
def test_a_mark_is_set_in_its_process_alone(make: type[ByPid]) -> None:
    mark = make()
    assert mark[0] == 1
    if not (child := os.fork()):
        os._exit(mark[0] + 10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10
    assert mark[0] == 1
