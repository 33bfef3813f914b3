"""Other people's video networks as backbones: those of transformers and those of torchvision.

Both take grey levels from 0 to 255 and normalize them by the numbers of their own model, so the
data preprocessor of a config has `mean=None, std=None`.

Files read: `config.json`, `preprocessor_config.json` or `video_preprocessor_config.json`, and
`model.safetensors` or `pytorch_model.bin`, as `save_pretrained` of transformers writes them.

Shape letters in this file: B clips, T frames per clip, H and W height and width of frames,
N tokens, D numbers of an embedding.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from mmotion.checkpoint import CheckpointError, find_state_dict, load_checkpoint_file
from mmotion.checkpoint.carried import find_carried
from mmotion.checkpoint.downloads import fetch_file, fetch_from_hub
from mmotion.checks import check_choice
from mmotion.registry import MODELS

# the last layer of each network of torchvision, which an embedding does without
HEADS = {
    **dict.fromkeys(('r3d_18', 'mc3_18', 'r2plus1d_18'), 'fc'),
    's3d': 'classifier',
    **dict.fromkeys(('mvit_v1_b', 'mvit_v2_s', 'swin3d_t', 'swin3d_s', 'swin3d_b'), 'head'),
}
# what these networks were trained with; others of torchvision take any number
MVIT_FRAMES = 16
# of ImageNet, what most processors of transformers have
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
CONFIGS = ('config.json',)
PROCESSORS = ('video_preprocessor_config.json', 'preprocessor_config.json')
WEIGHTS = ('model.safetensors', 'pytorch_model.bin')


@MODELS.register_module()
class TransformersBackbone(nn.Module):
    """A video model of transformers without its classifier: VideoMAE, V-JEPA 2, ViViT, TimeSformer.

    No code of a repository is run: the architecture must be one of the installed transformers. A
    checkpoint of a classifier loads too, with the norm that VideoMAE has between pooling and
    classifier, which `AutoModel` leaves out. Checkpoints of a training carry what was read of
    `source`, so that testing and predicting do without it.

    Args:
        source: A repository of the Hugging Face Hub, 'owner/name', or a folder. Its weights are
            read when training starts. None needs `config`.
        config: The model's own configuration with its `model_type`, in place of a `config.json`.
        processor: How frames are normalized, in place of a `preprocessor_config.json`; those of
            ImageNet if there is neither `source` nor this.
        num_frames: Frames per clip T that the rest of the config gives; None does not say.
        image_size: Their height and width in pixels, likewise.
        lora: Options of `LoraConfig` of peft, such as `dict(r=8)`: low-rank matrices are trained
            beside the weights, which stay.

    Raises:
        ValueError: If neither `source` nor `config` is given, or the model wants other clips.
        ImportError: If transformers, or peft for `lora`, is not installed.
        CheckpointError: If the files of `source` cannot be had.
    """

    def __init__(
        self,
        *,
        source: str | None = None,
        config: dict[str, Any] | None = None,
        processor: dict[str, Any] | None = None,
        num_frames: int | None = None,
        image_size: int | None = None,
        lora: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if source is None and config is None:
            raise ValueError('source or config must be given, got neither; name a folder or model')
        self.source = source
        self.carried: dict[str, Any] = {}
        if config is None:
            config = self._read_json(CONFIGS)
        if processor is None:
            processor = IMAGENET if source is None else self._read_json(PROCESSORS)
        self.body = _build(dict(config))
        own: Any = self.body.config
        size = getattr(own, 'crop_size', None) or own.image_size
        self.image_size = size if isinstance(size, int) else size[0]
        self.num_frames = getattr(own, 'frames_per_clip', None) or own.num_frames
        _check_claims(self, num_frames, image_size)
        self.embed_dim: int = own.hidden_size
        scale = processor.get('rescale_factor', 1 / 255) if processor.get('do_rescale', True) else 1
        shift = float(processor.get('offset', False))
        mean, std = (processor.get(key, IMAGENET[key]) for key in IMAGENET)
        if not processor.get('do_normalize', True):
            mean, std = [0.0] * 3, [1.0] * 3
        _add_normalization(self, [(m + shift) / scale for m in mean], [s / scale for s in std])
        # VideoMAE's classifiers have their only norm behind the mean over the tokens
        has_norm = own.model_type == 'videomae' and own.use_mean_pooling
        self.norm = nn.LayerNorm(self.embed_dim, own.layer_norm_eps) if has_norm else nn.Identity()
        self.takes_class_token = own.model_type in ('vivit', 'timesformer')
        if lora is not None:
            _add_lora(self.body, dict(lora))

    def forward(self, clips: Tensor) -> Tensor:
        """Clips of grey levels (B, 3, T, H, W) to embeddings (B, D).

        Raises:
            ValueError: If they have another number or size of frames, or are normalized already.
        """
        frames = _normalize(self, clips).transpose(1, 2)
        if self.body.main_input_name == 'pixel_values_videos':
            tokens = self.body(pixel_values_videos=frames, skip_predictor=True).last_hidden_state
        else:
            tokens = self.body(pixel_values=frames).last_hidden_state
        # (B, N, D)
        return self.norm(tokens[:, 0] if self.takes_class_token else tokens.mean(1))

    def init_weights(self) -> None:
        """Load the weights of `source`; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or tensors of the model are missing there.
        """
        if self.source is None:
            return
        path = _find(self.source, WEIGHTS)
        state = find_state_dict(load_checkpoint_file(path), source=path)
        # transformers itself translates the names that older versions of it have written
        body, info = type(self.body).from_pretrained(
            None, config=self.body.config, state_dict=dict(state), output_loading_info=True
        )
        # a classifier has no predictor, and an embedding needs no pooler
        missing = [k for k in info['missing_keys'] if not k.startswith(('predictor.', 'pooler.'))]
        if missing or info['mismatched_keys']:
            raise CheckpointError(
                f'checkpoint must hold the weights of {type(self.body).__name__}, got {path} '
                f'without {", ".join(sorted(missing)[:5]) or info["mismatched_keys"]}'
            )
        loaded = body.state_dict()
        with torch.no_grad():
            for name, value in self.body.state_dict().items():
                if 'lora_' not in name:
                    value.copy_(loaded[name.replace('.base_layer.', '.')])
            if 'fc_norm.weight' in state and isinstance(self.norm, nn.LayerNorm):
                self.norm.weight.copy_(state['fc_norm.weight'])
                self.norm.bias.copy_(state['fc_norm.bias'])

    def _read_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The first of some files, as a checkpoint carries it or of the source itself."""
        name = f'{self.source}/{names[0]}'
        found = find_carried(name)
        if found is None:
            found = json.loads(_find(str(self.source), names).read_text(encoding='utf-8'))
        self.carried[name] = found
        return found


@MODELS.register_module()
class TorchvisionBackbone(nn.Module):
    """A video network of torchvision without its last layer.

    Args:
        name: One of `HEADS`.
        weights: What training starts from: the name of an entry of torchvision, such as
            'KINETICS400_V1', which is downloaded once, or a file. None starts from random weights.
        num_frames: Frames per clip T; 16 for the MViTs.
        image_size: Height and width in pixels that the rest of the config gives; None does not say.

    Raises:
        ValueError: If there is no such network, or it wants other clips.

    Example:
        >>> TorchvisionBackbone(name='mc3_18', num_frames=2)(torch.zeros(1, 3, 2, 112, 112)).shape
        torch.Size([1, 512])
    """

    def __init__(
        self,
        *,
        name: str,
        weights: str | None = None,
        num_frames: int = 16,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        check_choice('name', name, tuple(HEADS))
        self.name = name
        self.weights = weights
        entries: Any = get_model_weights(name).__members__
        entry = entries.get(weights) or next(iter(entries.values()))
        transforms = entry.transforms()
        self.image_size: int = transforms.crop_size[0]
        least = entry.meta.get('min_temporal_size', 1)
        self.num_frames = MVIT_FRAMES if name.startswith('mvit') else max(num_frames, least)
        _check_claims(self, num_frames, image_size)
        self.body: Any = get_model(name, weights=None)
        # kept in its place, so that names of files fit
        setattr(self.body, HEADS[name], nn.Identity())
        scaled = [
            [255 * value for value in numbers] for numbers in (transforms.mean, transforms.std)
        ]
        _add_normalization(self, *scaled)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips of grey levels (B, 3, T, H, W) to embeddings (B, D).

        Raises:
            ValueError: If they have another number or size of frames, or are normalized already.
        """
        return self.body(_normalize(self, clips))

    def init_weights(self) -> None:
        """Load the weights that are named; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or are of another network.
        """
        if self.weights is None:
            return
        entry: Any = get_model_weights(self.name).__members__.get(self.weights)
        path = self.weights if entry is None else fetch_file(entry.url)
        state = find_state_dict(load_checkpoint_file(path), source=path)
        own = self.body.state_dict()
        wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
        if wrong:
            raise CheckpointError(
                f'checkpoint must hold the weights of {self.name}, got {path} without '
                f'{", ".join(wrong[:5])}'
            )
        self.body.load_state_dict({k: state[k] for k in own})


def _build(config: dict[str, Any]) -> Any:
    """Build the body of a model of transformers, with random weights."""
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise ImportError(
            'TransformersBackbone needs transformers; pip install "mmotion[transformers]"'
        ) from error
    # never code of a repository, so an architecture that is not installed is an error
    config.pop('auto_map', None)
    body = AutoModel.from_config(AutoConfig.for_model(**config))
    # what an embedding does not pass through would be without gradients
    if hasattr(body, 'predictor'):
        body.predictor = nn.Identity()
    if hasattr(body, 'pooler'):
        body.pooler = None
    return body


def _add_lora(body: nn.Module, lora: dict[str, Any]) -> None:
    """Put low-rank matrices into all linear layers, unless `target_modules` says which."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError('lora needs peft; pip install "mmotion[transformers]"') from error
    inject_adapter_in_model(LoraConfig(**{'target_modules': 'all-linear', **lora}), body)


def _find(source: str, names: tuple[str, ...]) -> Path:
    """The first of some files in a folder or a repository of the hub."""
    if Path(source).is_dir():
        here = [Path(source) / name for name in names if (Path(source) / name).is_file()]
        if here:
            return here[0]
        raise CheckpointError(f'source must hold {" or ".join(names)}, got the folder {source}')
    failures = []
    for name in names:
        try:
            return fetch_from_hub(source, name)
        except CheckpointError as error:
            failures.append(str(error))
    raise CheckpointError(
        f'source must be on this machine or within reach, got {"; ".join(failures)}\n'
        'three ways to get it:\n'
        '  1. with a network: mmotion download --all-for CONFIG\n'
        '  2. on another machine the same, then copy its ~/.cache/huggingface/hub to here, or set '
        'HF_HUB_CACHE to the copy\n'
        f'  3. by hand: download {", ".join(files[0] for files in (CONFIGS, PROCESSORS, WEIGHTS))}'
        f' or such from https://huggingface.co/{source} into a folder, and set '
        'model.backbone.source to it'
    )


def _check_claims(model: Any, num_frames: int | None, image_size: int | None) -> None:
    """Refuse a config that contradicts the model."""
    for name, claim in (('num_frames', num_frames), ('image_size', image_size)):
        if claim not in (None, getattr(model, name)):
            raise ValueError(
                f'{name} must be {getattr(model, name)}, which the model wants, got '
                f'{name}={claim}; set model.backbone.{name} and what the pipelines give'
            )


def _add_normalization(model: nn.Module, mean: list[float], std: list[float]) -> None:
    """Keep mean and deviation in grey levels; they belong to the config, not to the weights."""
    for name, values in (('mean', mean), ('std', std)):
        model.register_buffer(name, torch.tensor(values).view(3, 1, 1, 1), persistent=False)


def _normalize(model: Any, clips: Tensor) -> Tensor:
    """Normalize grey levels (B, 3, T, H, W) by the model's own numbers."""
    want = (3, model.num_frames, model.image_size, model.image_size)
    if clips.ndim != 5 or tuple(clips.shape[1:]) != want:
        raise ValueError(
            f'clips must be (B, {", ".join(map(str, want))}), got {tuple(clips.shape)}; set '
            'num_frames and the size of Resize or the crops in the pipelines'
        )
    low, high = float(clips.min()), float(clips.max())
    if low < 0 or 0 < high <= 1:
        raise ValueError(
            f'clips must hold grey levels from 0 to 255, got {low:.3g} to {high:.3g}; '
            'set mean=None and std=None in model.data_preprocessor, as the backbone normalizes'
        )
    return (clips.float() - model.mean) / model.std
