"""OpenCLIP's manners while several models load at once."""

import logging
import warnings

from vifistore.models.hub import quiet


def test_loads_that_overlap_leave_the_log_and_the_warnings_as_they_were():
    before = logging.root.manager.disable, list(warnings.filters)
    first, second = quiet(), quiet()
    first.__enter__()
    second.__enter__()
    assert logging.root.manager.disable == logging.ERROR
    # As a load in another thread ends it, which does not know of the second.
    first.__exit__(None, None, None)
    assert logging.root.manager.disable == logging.ERROR
    second.__exit__(None, None, None)
    assert (logging.root.manager.disable, list(warnings.filters)) == before
