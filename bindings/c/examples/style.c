/* Paints a picture in the style of another: style CONTENT STYLE OUTPUT [SIZE] [DEVICE] */

#include <pixgrad.h>
#include <stdio.h>
#include <stdlib.h>

static bool show(const pixgrad_progress *progress, void *data) {
    (void)data;
    fprintf(stderr, "\r%llu/%llu: loss %.4f ", (unsigned long long)progress->iteration + 1,
            (unsigned long long)progress->iterations, progress->loss);
    return true; /* false ends the run; the picture so far is kept */
}

static void check(pixgrad_status status) {
    if (status != PIXGRAD_OK) {
        fprintf(stderr, "style: %s\n", pixgrad_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: style CONTENT STYLE OUTPUT [SIZE] [DEVICE]\n");
        return 2;
    }
    pixgrad_device *device;
    check(pixgrad_device_open(argc > 5 ? argv[5] : NULL, NULL, &device));

    pixgrad_picture *content, *painting;
    check(pixgrad_picture_open(argv[1], &content));
    check(pixgrad_picture_open(argv[2], &painting));
    const pixgrad_named_picture pictures[] = {{"content", content}, {"painting", painting}};
    char options[200];
    snprintf(options, sizeof options, "content = 'content'\nstyles = ['painting']\nsize = %d\n",
             argc > 4 ? atoi(argv[4]) : 256);
    pixgrad_recipe *recipe;
    check(pixgrad_recipe_from_method("style", options, pictures, 2, &recipe));

    pixgrad_run *run;
    check(pixgrad_run_new(recipe, device, NULL, &run));
    check(pixgrad_run_advance(run, 0, show, NULL, NULL));
    pixgrad_picture *result;
    check(pixgrad_run_picture(run, &result));
    check(pixgrad_picture_save(result, argv[3]));
    fprintf(stderr, "\n");

    pixgrad_picture_free(result);
    pixgrad_run_free(run);
    pixgrad_recipe_free(recipe);
    pixgrad_picture_free(painting);
    pixgrad_picture_free(content);
    pixgrad_device_free(device);
    return 0;
}
