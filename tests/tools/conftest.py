"""Scripts of `tools/analysis` as modules, found where Python looks when one of them is run."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'


@pytest.fixture
def import_script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module
