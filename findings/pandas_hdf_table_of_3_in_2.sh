#!/usr/bin/env bash
# A table that pandas 3 writes by to_hdf(format='table') cannot be read by pandas 2; 'fixed' can.
#
# Expected: HDF5 is the format for keeping; both layouts are read by the version before.
# Seen: pandas 3.1.1 writes, pandas 2.3.3 reads, both with PyTables 3.11.1 and numpy 2.4.6 (Python
#   3.11). 'fixed' gives the numbers; 'table', which DeepLabCut's projects use for annotations, ends
#   in AttributeError: 'NoneType' object has no attribute 'startswith', as if it were damaged.
# Here: exports are in the layout 'fixed'; both layouts of both versions are read, by h5py alone.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for version in 3.1.1 2.3.3; do
    python3 -m venv "venv$version"
    "venv$version/bin/pip" install --quiet "pandas==$version" tables==3.11.1 numpy==2.4.6
done
venv3.1.1/bin/python - <<'EOF'
import pandas as pd

columns = pd.MultiIndex.from_product(
    [['me'], ['nose'], ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
)
frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=columns, index=['img0.png', 'img1.png'])
for layout in ('fixed', 'table'):
    frame.to_hdf(f'{layout}.h5', key='df_with_missing', mode='w', format=layout)
    pd.testing.assert_frame_equal(pd.read_hdf(f'{layout}.h5'), frame)
EOF
venv2.3.3/bin/python - <<'EOF'
import pandas as pd

print('fixed', pd.read_hdf('fixed.h5').to_numpy().tolist())
# fixed [[1.0, 2.0], [3.0, 4.0]]
try:
    pd.read_hdf('table.h5')
except AttributeError as error:
    print('table', error)
    # table 'NoneType' object has no attribute 'startswith'
    assert 'startswith' in str(error)
else:
    raise SystemExit('changed: pandas 2.3.3 reads the table')
EOF
