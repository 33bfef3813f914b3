#!/usr/bin/env bash
# conv3d in bfloat16 on a CPU: over two frames, the gradient of its weights is garbage.
#
# Expected: the gradient of the weights of a convolution in time, 3 x 1 x 1 with padding, is that of
#   float32 to about 1%, for any number of frames.
# Seen: torch 2.14.1 (Python 3.11, AMD EPYC with AVX-512, one thread): so it is for 1, 3, 4 and 8
#   frames. For 2 frames it has numbers of 1e38, infinity or NaN, other ones each time. The output
#   and the gradient of the input are right. A network whose last stages see two frames, such as
#   R(2+1)D on 16 frames, is NaN after one step of training.
# Here: a network with nn.Conv3d trains in float32 on a CPU, whatever is asked for.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 venv/bin/python - <<'EOF'
import torch
import torch.nn.functional as F

assert torch.backends.cpu.get_cpu_capability().startswith('AVX512'), 'needs a CPU with AVX-512'
torch.manual_seed(0)
wrong = {}
for num_frames in (1, 2, 3, 4, 8):
    clip = torch.randn(2, 576, num_frames, 4, 4)
    weight = torch.randn(256, 576, 3, 1, 1) / 40
    into = torch.randn(2, 256, num_frames, 4, 4)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        parameter = weight.clone().to(dtype).detach().requires_grad_()
        output = F.conv3d(clip.to(dtype), parameter, padding=(1, 0, 0))
        output.backward(into.to(dtype))
        gradients.append(parameter.grad.float())
    error = (gradients[1] - gradients[0]).abs().nan_to_num(torch.inf).max()
    wrong[num_frames] = float(error / gradients[0].abs().max())
    print(num_frames, 'frames: the gradient is wrong by', wrong[num_frames], 'of its largest number')
# 1 frames: ... 0.005; 2 frames: ... 8e+36 or inf; 3, 4 and 8 frames: ... 0.005
assert wrong[2] > 1e6
assert all(error < 0.02 for num_frames, error in wrong.items() if num_frames != 2)
EOF
