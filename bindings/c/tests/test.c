/* Tests of the C interface: test FOLDER, where FOLDER holds the sample pictures. Prints what fails; exits 0 if nothing
 * does. tests/run.sh runs it plainly, linked with the static library, and under valgrind. */

#include <math.h>
#include <pixgrad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, #what, pixgrad_last_error());           \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

#define OK(call) EXPECT((call) == PIXGRAD_OK)

/* A call that fails with this status and a text with these words. */
#define FAILS(call, status, words)                                                                                     \
    do {                                                                                                               \
        pixgrad_status got = (call);                                                                                   \
        EXPECT(got == (status));                                                                                       \
        EXPECT(strstr(pixgrad_last_error(), (words)) != NULL);                                                         \
    } while (0)

enum { WIDTH = 48, HEIGHT = 32 };

static pixgrad_picture *gradient(void) {
    unsigned char pixels[HEIGHT][WIDTH + 3][4];
    memset(pixels, 0xab, sizeof pixels);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            unsigned char pixel[4] = {(unsigned char)(x * 5), (unsigned char)(y * 7), (unsigned char)((x ^ y) * 4), 255};
            memcpy(pixels[y][x], pixel, 4);
        }
    pixgrad_picture *picture = NULL;
    OK(pixgrad_picture_new(pixels, WIDTH, HEIGHT, sizeof pixels[0], PIXGRAD_RGBA8, &picture));
    return picture;
}

static void test_pictures(const char *folder) {
    pixgrad_picture *picture = gradient();
    uint32_t width = 0, height = 0;
    OK(pixgrad_picture_size(picture, &width, &height));
    EXPECT(width == WIDTH && height == HEIGHT);
    OK(pixgrad_picture_size(picture, NULL, NULL));

    unsigned char bytes[HEIGHT][WIDTH * 4 + 5];
    memset(bytes, 0x11, sizeof bytes);
    OK(pixgrad_picture_read(picture, bytes, sizeof bytes[0], PIXGRAD_RGBA8));
    EXPECT(bytes[3][2 * 4] == 10 && bytes[3][2 * 4 + 1] == 21 && bytes[3][2 * 4 + 3] == 255);
    EXPECT(bytes[3][WIDTH * 4] == 0x11);
    static float floats[HEIGHT][WIDTH][3];
    OK(pixgrad_picture_read(picture, floats, 0, PIXGRAD_RGB_FLOAT));
    EXPECT(fabsf(floats[3][2][1] - 21 / 255.0f) < 1e-6f);
    static uint16_t words[HEIGHT][WIDTH][4];
    OK(pixgrad_picture_read(picture, words, 0, PIXGRAD_RGBA16));
    EXPECT(words[3][2][1] == 21 * 257);

    FAILS(pixgrad_picture_read(picture, bytes, 3, PIXGRAD_RGBA8), PIXGRAD_PICTURE, "a row has 3 bytes");
    FAILS(pixgrad_picture_read(picture, bytes, 0, PIXGRAD_GRAY8), PIXGRAD_PICTURE, "cannot have 1 values");
    FAILS(pixgrad_picture_read(picture, NULL, 0, PIXGRAD_RGBA8), PIXGRAD_INVALID, "pixels is NULL");
    FAILS(pixgrad_picture_read(NULL, bytes, 0, PIXGRAD_RGBA8), PIXGRAD_INVALID, "picture is NULL");
    FAILS(pixgrad_picture_read(picture, bytes, 0, 77), PIXGRAD_INVALID, "format is 77");
    pixgrad_picture *none = NULL;
    FAILS(pixgrad_picture_new(bytes, 0, 3, 0, PIXGRAD_RGB8, &none), PIXGRAD_PICTURE, "at least 1");
    FAILS(pixgrad_picture_new(NULL, 2, 3, 0, PIXGRAD_RGB8, &none), PIXGRAD_INVALID, "pixels is NULL");
    FAILS(pixgrad_picture_new(bytes, 2, 3, 0, PIXGRAD_RGB8, NULL), PIXGRAD_INVALID, "NULL");
    float wrong[3] = {NAN, 0, 0};
    FAILS(pixgrad_picture_new(wrong, 1, 1, 0, PIXGRAD_RGB_FLOAT, &none), PIXGRAD_PICTURE, "not a finite number");
    FAILS(pixgrad_picture_open("no/such.png", &none), PIXGRAD_PICTURE, "there is no such file");
    FAILS(pixgrad_picture_open("\xff.png", &none), PIXGRAD_INVALID, "not UTF-8");
    EXPECT(none == NULL);

    char path[500];
    snprintf(path, sizeof path, "%s/chelsea.png", folder);
    OK(pixgrad_picture_open(path, &none));
    OK(pixgrad_picture_size(none, &width, &height));
    EXPECT(width == 451 && height == 300);
    pixgrad_picture_free(none);
    FAILS(pixgrad_picture_save(picture, "picture.xyz"), PIXGRAD_PICTURE, "extension");
    pixgrad_picture_free(picture);
    pixgrad_picture_free(NULL);
}

struct seen {
    int calls;
    int stop_after;
    double first, last;
};

static bool see(const pixgrad_progress *progress, void *data) {
    struct seen *seen = data;
    if (seen->calls++ == 0) seen->first = progress->loss;
    seen->last = progress->loss;
    double sum = 0;
    for (size_t i = 0; i < progress->term_count; i++) sum += progress->terms[i];
    EXPECT(fabs(sum - progress->loss) <= 1e-5 * fabs(progress->loss));
    EXPECT(progress->term_count == 3 && progress->width == WIDTH && progress->height == HEIGHT);
    return seen->calls != seen->stop_after;
}

static const char OPTIONS[] = "content = 'photo'\nstyles = ['photo']\ninit = 'gray'\niterations = 6\nmin_size = 48\n";

static void test_runs(pixgrad_device *device) {
    pixgrad_picture *photo = gradient();
    pixgrad_named_picture named = {"photo", photo};
    pixgrad_recipe *recipe = NULL;
    OK(pixgrad_recipe_from_method("style", OPTIONS, &named, 1, &recipe));
    pixgrad_picture_free(photo); /* the recipe keeps what it needs */

    pixgrad_network *network = NULL;
    OK(pixgrad_network_load(device, "squeezenet1_1", &network));
    pixgrad_run *run = NULL;
    OK(pixgrad_run_new(recipe, device, network, &run));
    pixgrad_network_free(network);
    uint64_t done = 9, all = 0, bytes = 0;
    OK(pixgrad_run_iterations(run, &done, &all));
    EXPECT(done == 0 && all == 6);
    OK(pixgrad_run_bytes(run, &bytes));
    EXPECT(bytes > 1000000);

    struct seen seen = {0};
    bool finished = true;
    OK(pixgrad_run_advance(run, 2, see, &seen, &finished));
    EXPECT(seen.calls == 2 && !finished);
    OK(pixgrad_run_advance(run, 0, see, &seen, &finished));
    EXPECT(seen.calls == 6 && finished && seen.last < seen.first);
    pixgrad_picture *picture = NULL;
    OK(pixgrad_run_picture(run, &picture));
    static unsigned char first[HEIGHT][WIDTH][3], second[HEIGHT][WIDTH][3];
    OK(pixgrad_picture_read(picture, first, 0, PIXGRAD_RGB8));
    pixgrad_picture_free(picture);
    pixgrad_run_free(run);

    /* Again, with the recipe's own network, without a callback: the same picture. */
    OK(pixgrad_run_new(recipe, device, NULL, &run));
    OK(pixgrad_run_advance(run, 0, NULL, NULL, NULL));
    OK(pixgrad_run_picture(run, &picture));
    OK(pixgrad_picture_read(picture, second, 0, PIXGRAD_RGB8));
    EXPECT(memcmp(first, second, sizeof first) == 0);
    pixgrad_picture_free(picture);
    pixgrad_run_free(run);

    /* A callback ends a run; it can go on. */
    struct seen few = {.stop_after = 1};
    OK(pixgrad_run_new(recipe, device, NULL, &run));
    OK(pixgrad_run_advance(run, 0, see, &few, &finished));
    EXPECT(few.calls < 6 && !finished);
    OK(pixgrad_run_advance(run, 0, NULL, NULL, &finished));
    EXPECT(finished);
    pixgrad_run_free(run);
    pixgrad_recipe_free(recipe);

    const char toml[] = "model = 'squeezenet1_1'\n[image]\ninit = 'noise'\nwidth = 48\nheight = 32\n"
                        "[[term]]\nkind = 'tv'\n[optimizer]\nkind = 'adam'\nstep_size = 0.02\niterations = 2\n";
    OK(pixgrad_recipe_from_toml(toml, NULL, 0, &recipe));
    OK(pixgrad_run_new(recipe, device, NULL, &run));
    OK(pixgrad_run_advance(run, 0, NULL, NULL, &finished));
    EXPECT(finished);
    pixgrad_run_free(run);
    pixgrad_recipe_free(recipe);
}

static void test_errors(pixgrad_device *device) {
    pixgrad_recipe *recipe = NULL;
    FAILS(pixgrad_recipe_from_toml("colour = 1", NULL, 0, &recipe), PIXGRAD_INVALID, "colour");
    FAILS(pixgrad_recipe_from_toml(NULL, NULL, 0, &recipe), PIXGRAD_INVALID, "toml is NULL");
    FAILS(pixgrad_recipe_from_toml("", NULL, 2, &recipe), PIXGRAD_INVALID, "pictures is NULL");
    FAILS(pixgrad_recipe_from_method("paint", "", NULL, 0, &recipe), PIXGRAD_INVALID, "there is no method `paint`");
    FAILS(pixgrad_recipe_from_method("dream", "imag = 'a'", NULL, 0, &recipe), PIXGRAD_INVALID, "no option `imag`");
    pixgrad_named_picture nameless = {NULL, NULL};
    FAILS(pixgrad_recipe_from_toml("", &nameless, 1, &recipe), PIXGRAD_INVALID, "name of a picture is NULL");
    EXPECT(recipe == NULL);

    pixgrad_network *network = NULL;
    FAILS(pixgrad_network_load(device, "no_such_network", &network), PIXGRAD_NETWORK, "no_such_network");
    FAILS(pixgrad_network_load(NULL, "vgg19", &network), PIXGRAD_INVALID, "device is NULL");
    pixgrad_device *none = NULL;
    FAILS(pixgrad_device_open("no such device", NULL, &none), PIXGRAD_DEVICE, "no device matches");
    FAILS(pixgrad_device_open("cpu", "lots", &none), PIXGRAD_INVALID, "such as 600M");
    EXPECT(none == NULL && network == NULL && pixgrad_device_name(NULL) == NULL);
    FAILS(pixgrad_run_advance(NULL, 1, NULL, NULL, NULL), PIXGRAD_INVALID, "run is NULL");

    /* Out of memory is a status; the handles can be freed, and another device does the work. */
    pixgrad_device *small = NULL;
    OK(pixgrad_device_open("cpu", "1M", &small));
    pixgrad_picture *photo = gradient();
    pixgrad_named_picture named = {"photo", photo};
    OK(pixgrad_recipe_from_method("style", OPTIONS, &named, 1, &recipe));
    pixgrad_run *run = NULL;
    FAILS(pixgrad_run_new(recipe, small, NULL, &run), PIXGRAD_OUT_OF_MEMORY, "needs");
    EXPECT(run == NULL);
    pixgrad_device_free(small);
    OK(pixgrad_run_new(recipe, device, NULL, &run));
    OK(pixgrad_run_advance(run, 1, NULL, NULL, NULL));
    pixgrad_run_free(run);
    pixgrad_recipe_free(recipe);
    pixgrad_picture_free(photo);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    EXPECT(strlen(pixgrad_version()) >= 5);
    EXPECT(strcmp(pixgrad_last_error(), "") == 0);
    test_pictures(argv[1]);
    pixgrad_device *device = NULL;
    OK(pixgrad_device_open(argc > 2 ? argv[2] : "cpu", NULL, &device));
    if (device == NULL) return 1;
    EXPECT(strlen(pixgrad_device_name(device)) > 0);
    test_runs(device);
    test_errors(device);
    pixgrad_device_free(device);
    printf(failures ? "%d failures\n" : "all ok\n", failures);
    return failures != 0;
}
