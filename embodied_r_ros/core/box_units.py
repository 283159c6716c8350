"""In what units vision-language models give boxes."""

from __future__ import annotations

# Pixels of the image as it is sent.
PX = 'px'
# Pixels of that image with sides rounded to multiples of 28, to which the processor of Qwen2.5-VL brings it.
PX_OF_28 = 'px_of_28'
# Thousandths of width and height.
PER_MILLE = 'per_mille'
BOX_UNITS = (PX, PX_OF_28, PER_MILLE)
