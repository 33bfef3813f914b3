import pytest

from mmotion.cli.catalog import find_systems, list_entries


def test_configs_are_listed_with_their_comment():
    entries = dict(list_entries('configs'))
    assert entries['example_project_dots'].startswith('The example of docs/add_a_system.md')


def test_systems_are_listed_with_what_they_do():
    assert 'example_project' in find_systems()
    assert dict(list_entries('systems'))['example_project'].startswith('Which way does the dot')


def test_registered_names_are_listed_ours_first():
    entries = list_entries('models')
    names = dict(entries)
    assert names['ClipClassifier'] == 'projects.example_project.models'
    # MMAction2's and mmengine's
    assert 'Recognizer3D' in names
    assert 'BaseDataPreprocessor' in names
    assert entries.index(('ClipClassifier', names['ClipClassifier'])) < list(names).index(
        'Recognizer3D'
    )


def test_an_unknown_kind():
    with pytest.raises(ValueError, match=r"got 'model'; did you mean 'models'\?"):
        list_entries('model')
