#!/usr/bin/env bash
# PyTables gives None for the attribute 'N.': short texts that end in a dot may be taken for pickles.
#
# Expected: a text that is set as an attribute of an HDF5 file comes back, and the same attribute is
#   the same to every reader.
# Seen: PyTables 3.11.1, h5py 3.16.0 (Python 3.11). PyTables stores what is no text or number as a
#   pickle in a fixed-length ASCII string, and knows it again by its look. The unit 'N.' is the pickle
#   of None, 'N2.' is too, 'No.' is not one and stays. Whether it happens depends on the character
#   set, which h5py does not show: as UTF-8 the same text stays. So pandas, which reads through
#   PyTables, calls an index 'N.' if another program wrote pandas' own "no name" as UTF-8.
# Here: the index of exported HDF5 has no attribute for its name; a test reads it with pandas.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tables==3.11.1 h5py==3.16.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import h5py
import numpy as np
import tables

with tables.open_file('a.h5', 'w') as file:
    file.root._v_attrs.unit = 'N.'
with tables.open_file('a.h5') as file:
    print('set and read by PyTables:', repr(file.root._v_attrs.unit))
    assert file.root._v_attrs.unit == 'N.'

texts = {'newton': 'N.', 'also': 'N2.', 'number': 'No.', 'meter': 'm.'}
with h5py.File('b.h5', 'w') as file:
    for name, text in texts.items():
        file.attrs[f'{name}_ascii'] = np.bytes_(text)
        file.attrs[f'{name}_utf8'] = text
with h5py.File('b.h5') as file:
    assert file.attrs['newton_ascii'] == b'N.'
with tables.open_file('b.h5') as file:
    for name, text in texts.items():
        ascii, utf8 = (file.root._v_attrs[f'{name}_{kind}'] for kind in ('ascii', 'utf8'))
        print(f'{text!r} by h5py, read by PyTables: ASCII {ascii!r}, UTF-8 {utf8!r}')
        # 'N.' by h5py, read by PyTables: ASCII None, UTF-8 np.str_('N.')
        # 'N2.' by h5py, read by PyTables: ASCII None, UTF-8 np.str_('N2.')
        # 'No.' by h5py, read by PyTables: ASCII np.bytes_(b'No.'), UTF-8 np.str_('No.')
        # 'm.' by h5py, read by PyTables: ASCII np.bytes_(b'm.'), UTF-8 np.str_('m.')
        assert utf8 == text
        assert ascii is None if text in ('N.', 'N2.') else ascii == text.encode()
EOF
