#!/usr/bin/env bash
# Makes the pictures of the README and of docs/guide-artists.md with the commands printed there. Those of docs/methods
# are made by docs/methods/pictures.sh. Needs Python with Pillow; about ten minutes on two cores. Options are passed on:
# docs/pictures.sh --device llvmpipe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p out
cargo build --release --quiet

device=("$@")
[ ${#device[@]} -gt 0 ] || device=(--device cpu)
pixgrad() { target/release/pixgrad "$@" "${device[@]}"; }

images=samples/images
pixgrad style $images/rocket.jpg $images/starry_night.jpg --model vgg19 -s 640 -o out/rocket.png
pixgrad style $images/chelsea.png $images/starry_night.jpg -o out/style.png
pixgrad style $images/astronaut.jpg $images/starry_night.jpg $images/brick.png --style-weights 2,1 -s 384 \
    -o out/blend.png
pixgrad style $images/coffee.jpg $images/starry_night.jpg --style-scale 0.5 -s 384 -o out/scale.png
pixgrad style $images/rocket.jpg $images/starry_night.jpg --content-weight 4 -s 384 -o out/content.png
pixgrad style $images/coffee.jpg $images/starry_night.jpg --model vgg19 --preserve-color luma -s 384 -o out/luma.png
pixgrad texture $images/gravel.png -o out/texture.png
pixgrad run samples/recipes/texture.toml -o out/run.png
pixgrad texture $images/starry_night.jpg --model vgg19 -s 256 --tileable --optimizer lbfgs -i 60 -o out/tile.png
pixgrad texture $images/starry_night.jpg --model vgg19 --sheet -s 80 --min-size 80 --optimizer lbfgs -i 80 \
    -o docs/texture-sheet.jpg

# strip OUTPUT IMAGE...: the pictures side by side, 240 pixels high.
strip() {
    python3 - "$@" <<'PYTHON'
import sys
from PIL import Image
output, *paths = sys.argv[1:]
height, gap = 240, 8
pictures = [Image.open(path).convert("RGB") for path in paths]
pictures = [p.resize((round(p.width * height / p.height), height), Image.Resampling.LANCZOS) for p in pictures]
sheet = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, height), "white")
left = 0
for picture in pictures:
    sheet.paste(picture, (left, 0))
    left += picture.width + gap
sheet.save(output, quality=88, optimize=True)
PYTHON
}
python3 - <<'PYTHON'
from PIL import Image

Image.open("out/rocket.png").convert("RGB").save("docs/rocket.jpg", quality=92, optimize=True)
PYTHON
python3 - <<'PYTHON'
from PIL import Image
tile = Image.open("out/tile.png").convert("RGB")
tiles = Image.new("RGB", (3 * tile.width, 2 * tile.height))
for x in range(3):
    for y in range(2):
        tiles.paste(tile, (x * tile.width, y * tile.height))
tiles.save("docs/tile.jpg", quality=88, optimize=True)
PYTHON
strip docs/style.jpg $images/chelsea.png $images/starry_night.jpg out/style.png
strip docs/luma.jpg $images/coffee.jpg out/luma.png
strip docs/blend.jpg $images/astronaut.jpg $images/starry_night.jpg $images/brick.png out/blend.png
strip docs/knobs.jpg out/scale.png out/content.png
strip docs/texture.jpg $images/gravel.png out/texture.png out/run.png
ls -l docs/*.jpg
