#!/usr/bin/env bash
# Makes every picture of docs/methods with the commands that the pages print. Needs the release build; a few minutes on
# two cores. Options are passed on: docs/methods/pictures.sh --device llvmpipe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p out
device=("$@")
[ ${#device[@]} -gt 0 ] || device=(--device cpu)
pixgrad() { target/release/pixgrad "$@" "${device[@]}"; }

pages=docs/methods
images=samples/images
pixgrad dream $images/coffee.jpg -o $pages/dream.jpg
pixgrad dream $images/rocket.jpg --preset tf1-lapnorm --layer fire8/concat -o $pages/dream-lapnorm.jpg
pixgrad dream $images/astronaut.jpg --guide $images/chelsea.png --layer fire8/concat -o $pages/dream-guided.jpg
pixgrad visualize --class "Egyptian cat,flamingo,volcano,pizza" -s 160 -i 256 -o $pages/visualize-classes.jpg
pixgrad visualize --unit fire5/concat:3,17,42,96 -s 128 -i 256 -o $pages/visualize-channels.jpg
pixgrad visualize --direction 1,2,3,4 --layer fire8/concat -s 128 -i 256 -o $pages/visualize-directions.jpg
pixgrad fool --class "king penguin" -o $pages/fool.png
pixgrad fool --method evolve -s 48 --generations 100 -o $pages/fool-evolve.png
pixgrad invert $images/chelsea.png --model vgg19 --layers relu1_1,relu2_1,relu3_1,relu4_1 -s 128 -i 150 \
    -o $pages/invert.jpg
pixgrad attack $images/chelsea.png --target "king penguin" --method pgd --epsilon 8/255 -o out
cp out/chelsea-panel.png $pages/attack.png
pixgrad search $images --layer fire8/concat --units 3 --directions 3 --top 4 -o $pages/search.jpg
# With networks of your own in PIXGRAD_MODELS, and photographs in PHOTOS:
if [ -n "${PHOTOS:-}" ]; then
    pixgrad transfer "$PHOTOS" --models squeezenet1_1,squeezenet1_1_caffe,squeezenet1_0,googlenet_bvlc \
        -o $pages/transfer.png
    pixgrad invert $images/chelsea.png --model vgg16 --layers relu1_1,relu2_1,relu3_1,relu4_1,relu5_1 -s 96 -i 80 \
        -o $pages/invert-vgg16.jpg
fi
