"""F5: the frontend restores its draft of the workflow, and the timeline shows what ran in it."""

import pytest
from frontend import one_picture, opened
from frontend.timeline import wait_for

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("vue", [False, True], ids=["classic", "nodes 2.0"])
def test_after_f5_the_run_is_there(server, chromium, vue):
    with opened(server.url, chromium, vue, Comfy_Workflow_Persist=True) as tab:
        tab.open_anew(one_picture.example())
        workflow = tab.evaluate("() => app.rootGraph.id")
        tab.queue()
        tab.wait_until_idle()
        ran = wait_for(tab, "20 of 50 computed")
        tab.page.wait_for_timeout(2000)  # until the frontend has kept its draft
        tab.load()
        tab.page.wait_for_function("id => app.rootGraph.id === id && patchNode()", arg=workflow)
        assert wait_for(tab, "20 of 50 computed") == ran
