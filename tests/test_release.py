"""What a release says of itself agrees, and files for others are as their specifications say."""

import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmotion import __version__

CHECKOUT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((CHECKOUT / 'CITATION.cff').read_text())
TEMPLATES = CHECKOUT / '.github' / 'ISSUE_TEMPLATE'
FORMS = sorted(file for file in TEMPLATES.glob('*.yml') if file.stem != 'config')
SCHEMAS = {
    'CITATION.cff': 'vendor.citation-file-format',
    '.github/ISSUE_TEMPLATE/config.yml': 'vendor.github-issue-config',
    '.github/workflows/ci.yml': 'vendor.github-workflows',
    **{str(form.relative_to(CHECKOUT)): 'vendor.github-issue-forms' for form in FORMS},
}


def test_version_citation_and_changelog_agree():
    headings = re.findall(
        r'^## \[(.+?)\](.*)$', (CHECKOUT / 'CHANGELOG.md').read_text(), re.MULTILINE
    )
    released = [(name, text) for name, text in headings if name != 'Unreleased']
    version, text = released[0]
    assert version == __version__ == CITATION['version']
    date = re.fullmatch(r' - (\d{4}-\d\d-\d\d)', text)
    assert date, f'the heading of {version} must have its date, got {text!r}'
    # yaml reads a date as one
    assert datetime.date.fromisoformat(date[1]) == CITATION['date-released']


def test_version_is_semantic():
    assert re.fullmatch(r'\d+\.\d+\.\d+', __version__)


def test_license_is_that_of_the_package():
    assert f"license = '{CITATION['license']}'" in (CHECKOUT / 'pyproject.toml').read_text()


@pytest.mark.parametrize(('file', 'schema'), SCHEMAS.items(), ids=SCHEMAS)
def test_files_are_as_their_specifications_say(file, schema):
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    program = shutil.which('check-jsonschema', path=path)
    if program is None:
        pytest.skip('no check-jsonschema; pip install -r requirements/clients.txt')
    command = [program, '--builtin-schema', schema, '--force-filetype', 'yaml', file]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('form', FORMS, ids=lambda form: form.stem)
def test_who_writes_an_issue_is_asked_for_what_the_doctor_prints(form):
    labels = [
        part['attributes'].get('label', '') for part in yaml.safe_load(form.read_text())['body']
    ]
    assert any('mmotion doctor' in label for label in labels)
