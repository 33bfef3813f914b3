#!/usr/bin/env bash
# sleap-io loads DeepLabCut's tracks, and its annotations without their images, as nothing, in silence.
#
# Expected: points, or an error or warning, as for COCO files ("images were not found and were
#   skipped").
# Seen: sleap-io 0.9.5 (Python 3.11): `load_file` of a CSV with a row a frame, as DeepLabCut's
#   analyze_videos writes it, gives 0 labeled frames, the skeleton, and no word: rows are taken for
#   paths of images, and rows whose image is not found are passed over. The same for annotations
#   (labeled-data/video/img000.png) whose images are elsewhere.
# Here: the README of the exports says which file to give to sleap-io (COCO, beside the images).
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet sleap-io==0.9.5 pandas==3.1.1 numpy==2.4.6
cd "$work"
cat > tracks.csv <<'CSV'
scorer,DLC_net,DLC_net,DLC_net
bodyparts,nose,nose,nose
coords,x,y,likelihood
0,10.5,20.5,0.9
1,11.5,20.5,0.8
CSV
cat > CollectedData_me.csv <<'CSV'
scorer,me,me
bodyparts,nose,nose
coords,x,y
labeled-data/video/img000.png,10.5,20.5
labeled-data/video/img001.png,11.5,20.5
CSV
venv/bin/python - <<'EOF'
import warnings

import sleap_io

for name in ('tracks.csv', 'CollectedData_me.csv'):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        labels = sleap_io.load_file(name)
    told = [str(warning.message) for warning in caught if 'image' in str(warning.message)]
    print(f'{name}: {len(labels)} frames, nodes {labels.skeleton.node_names}, warnings {told}')
    # tracks.csv: 0 frames, nodes ['nose'], warnings []
    # CollectedData_me.csv: 0 frames, nodes ['nose'], warnings []
    assert len(labels) == 0 and labels.skeleton.node_names == ['nose'] and not told
EOF
