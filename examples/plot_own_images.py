"""
Images in files, and in colour
==============================

A folder of PNG files is read and clustered; then patches of two photographs, in colour.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skdepict import DEPICTClustering
from skdepict.datasets import load_image_folder
from skdepict.plotting import ClusterImagesDisplay

# %%
# A folder
# --------
#
# Here it is made from the digits that come with scikit-learn; take one of your own.

with TemporaryDirectory() as folder:
    for number, image in enumerate(load_digits().images[:600]):
        pixels = (image * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(Path(folder) / f"{number:04}.png")
    data = load_image_folder(folder, (8, 8))
print(data.images.shape, data.filenames[:3])

model = DEPICTClustering(n_clusters=10, random_state=0).fit(data.images)
display = ClusterImagesDisplay.from_estimator(model, data.images)
display.figure_.savefig("own_images.png", dpi=150)

# %%
# Patches of photographs
# ----------------------
#
# 1,500 patches of 16x16 pixels in colour, of a temple and of a flower: sky, leaves,
# petals and roofs. Nobody knows how many kinds there are; with more clusters than that
# some kinds are split, which does no harm.

patches = np.concatenate(
    [
        extract_patches_2d(photograph, (16, 16), max_patches=750, random_state=0)
        for photograph in load_sample_images().images
    ]
)
model = DEPICTClustering(n_clusters=8, random_state=0).fit(patches)
display = ClusterImagesDisplay.from_estimator(model, patches)
display.figure_.savefig("patches.png", dpi=150)
plt.show()
