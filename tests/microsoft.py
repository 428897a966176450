"""Microsoft's published specifications, payloads and templates: judged against where they lie, and not ours to carry.

`.ci/run` finds them beside the repository and sets the variable. Elsewhere our own tables and payloads judge the same
code, and what only Microsoft's own files can say is said to be skipped.
"""

import os

import pytest

FOLDER = os.environ.get("POINTSMAN_AZURE_SPECS", "")
WHY_NOT = "POINTSMAN_AZURE_SPECS names no folder with Microsoft's files, which are not ours to carry"
needs_microsoft = pytest.mark.skipif(not FOLDER, reason=WHY_NOT)
