#!/usr/bin/env bash
# AutoModel on a fine-tuned VideoMAE gives the body without the classifier's norm.
#
# Expected: AutoModel.from_pretrained(classifier) gives the features that the classifier sees, or
#   says what of them is missing.
# Seen: transformers 5.24.0 (also torch 2.14.1, Python 3.11): a VideoMAE with use_mean_pooling=True,
#   the default and that of the released classifiers, has no norm behind its layers; its only one,
#   fc_norm, stands in VideoMAEForVideoClassification between the mean over the tokens and the linear
#   layer. AutoModel leaves it out. Of the loading, no tensor counts as missing: fc_norm is among the
#   unexpected ones, beside the classifier, where nobody looks. The mean of last_hidden_state is then
#   not what the classifier was trained on: the same linear layer gives other logits.
# Here: TransformersBackbone puts the norm behind the mean and loads it; a test compares the logits.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.24.0 torch==2.14.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import torch
from transformers import AutoModel, VideoMAEConfig, VideoMAEForVideoClassification

torch.manual_seed(0)
config = VideoMAEConfig(
    image_size=32, num_frames=4, hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=48, num_labels=5,
)
classifier = VideoMAEForVideoClassification(config).eval()
for parameter in classifier.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
classifier.save_pretrained('saved')
body, info = AutoModel.from_pretrained('saved', output_loading_info=True)
print('missing', sorted(info['missing_keys']), 'unexpected', sorted(info['unexpected_keys']))
# missing [] unexpected ['classifier.bias', 'classifier.weight', 'fc_norm.bias', 'fc_norm.weight']
clips = torch.randn(1, 4, 3, 32, 32)
with torch.no_grad():
    logits = classifier(clips).logits
    features = body.eval()(clips).last_hidden_state.mean(1)
    bare, normed = classifier.classifier(features), classifier.classifier(classifier.fc_norm(features))
print('logits differ by', float((bare - logits).abs().max()), 'with the norm', float((normed - logits).abs().max()))
assert body.layernorm is None
assert not info['missing_keys'] and 'fc_norm.weight' in info['unexpected_keys']
assert (bare - logits).abs().max() > 0.1
torch.testing.assert_close(normed, logits)
EOF
