"""Parts of a picture that are looked at each by itself."""

from mmotion.regions.files import read_regions
from mmotion.regions.regions import MARGIN, CropWindow, Region, RegionResults, check_regions

__all__ = ['MARGIN', 'CropWindow', 'Region', 'RegionResults', 'check_regions', 'read_regions']
