/* pixgrad: optimizes an image's pixels against a pretrained CNN, on any GPU. MIT OR Apache-2.0 */

#ifndef PIXGRAD_H
#define PIXGRAD_H

/* Written by cbindgen from bindings/c/src. `cargo xtask test bindings` compares it. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Ownership: a function that returns a handle through a pointer gives it to the caller, who frees it with the function
 * of its name: pixgrad_device_free and so on. NULL may be freed. Handles may be freed in any order: a run keeps what it
 * needs of its device, network and recipe.
 *
 * Threads: devices, networks, recipes and pictures may be used by several threads at once. A run is used by one thread
 * at a time. The last error belongs to the thread that called.
 *
 * Errors: every function that can fail returns a pixgrad_status. Where it is not PIXGRAD_OK, nothing has been returned
 * through pointers, and pixgrad_last_error tells in a sentence what is wrong and what would be right. After
 * PIXGRAD_DEVICE_LOST or PIXGRAD_OUT_OF_MEMORY all handles can still be freed, and another device be opened.
 * Arguments that must not be NULL are checked: PIXGRAD_INVALID. No panic crosses this interface.
 */


// What a call came to.
typedef enum {
  // All went well.
  PIXGRAD_OK = 0,
  // An argument is NULL, is not UTF-8, or is not what it must be; or an option or a recipe asks for something that
  // cannot be.
  PIXGRAD_INVALID = 1,
  // A picture cannot be read, or its layout or values are wrong.
  PIXGRAD_PICTURE = 2,
  // A network or a layer is missing or wrong.
  PIXGRAD_NETWORK = 3,
  // There is no such device, or it refuses to open.
  PIXGRAD_DEVICE = 4,
  // The device has failed. Free what is on it and open another.
  PIXGRAD_DEVICE_LOST = 5,
  // The device does not have as much memory. The text tells the largest size that fits, where it is known.
  PIXGRAD_OUT_OF_MEMORY = 6,
  // A fault of the library: please report it with the text.
  PIXGRAD_INTERNAL = 7,
} pixgrad_status;

// What a pixel in the caller's memory is: sRGB-encoded values in the machine's byte order, alpha straight.
typedef enum {
  // Three bytes.
  PIXGRAD_RGB8 = 0,
  // Four bytes.
  PIXGRAD_RGBA8 = 1,
  // Four numbers of 16 bits.
  PIXGRAD_RGBA16 = 2,
  // Three floats in [0, 1].
  PIXGRAD_RGB_FLOAT = 3,
  // Four floats in [0, 1].
  PIXGRAD_RGBA_FLOAT = 4,
  // One byte: gray, as masks are. For reading only.
  PIXGRAD_GRAY8 = 5,
} pixgrad_format;

// A GPU or the processor.
typedef struct pixgrad_device pixgrad_device;

// A trained network on a device.
typedef struct pixgrad_network pixgrad_network;

// A picture of the library.
typedef struct pixgrad_picture pixgrad_picture;

// What a run does.
typedef struct pixgrad_recipe pixgrad_recipe;

// A recipe that is ready to run.
typedef struct pixgrad_run pixgrad_run;

// A picture in memory, and the name by which a recipe or an option has it in place of a path.
typedef struct {
  // UTF-8, ends with 0.
  const char *name;
  // It is copied by reference: the caller may free the handle at once.
  const pixgrad_picture *picture;
} pixgrad_named_picture;

// A completed iteration.
typedef struct {
  // Number of the iteration over all scales, from 0.
  uint64_t iteration;
  // Iterations of all scales together.
  uint64_t iterations;
  // Width in pixels of the scale at work.
  uint32_t width;
  // Its height.
  uint32_t height;
  // The objective at the image before this iteration's step.
  double loss;
  // Estimated seconds until the last iteration is done; negative before there is anything to tell it from.
  double remaining;
  // The weighted value of every term of the recipe.
  const float *terms;
  // How many.
  size_t term_count;
} pixgrad_progress;

// Sees an iteration; what it points to is valid during the call. It returns whether to go on.
typedef bool (*pixgrad_callback)(const pixgrad_progress *progress, void *data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Opens a device. `name` is an index or a part of a name as `pixgrad devices` lists them, "cpu", or NULL for the best
// GPU, else the processor. `memory` is the most that plans may take, such as "600M"; NULL: what there is.
//
// # Safety
// The texts are NULL or end with 0; `device` can be written.
pixgrad_status pixgrad_device_open(const char *name, const char *memory, pixgrad_device **device);

// The name of a device, valid as long as it; NULL for NULL.
//
// # Safety
// `device` is NULL or a device that is not freed.
const char *pixgrad_device_name(const pixgrad_device *device);

// Frees a device.
//
// # Safety
// `device` is NULL or a device that is not freed.
void pixgrad_device_free(pixgrad_device *device);

// Loads a network onto a device: an embedded or installed name, the path of a .safetensors, .onnx or .pth file, or
// "auto".
//
// # Safety
// `device` is a device that is not freed; `model` ends with 0; `network` can be written.
pixgrad_status pixgrad_network_load(const pixgrad_device *device, const char *model, pixgrad_network **network);

// Frees a network.
//
// # Safety
// `network` is NULL or a network that is not freed.
void pixgrad_network_free(pixgrad_network *network);

// Copies a picture of the caller. `pixels` is its first row, `stride` the bytes from a row to the next; 0: rows stand
// without space between them. `format` is a pixgrad_format.
//
// # Safety
// `pixels` points to the rows of the picture; `picture` can be written.
pixgrad_status pixgrad_picture_new(const void *pixels,
                                   uint32_t width,
                                   uint32_t height,
                                   size_t stride,
                                   uint32_t format,
                                   pixgrad_picture **picture);

// Reads a picture file.
//
// # Safety
// `path` ends with 0; `picture` can be written.
pixgrad_status pixgrad_picture_open(const char *path, pixgrad_picture **picture);

// Writes a .png, .jpg, .webp or .tif file, whole or not at all.
//
// # Safety
// `picture` is a picture that is not freed; `path` ends with 0.
pixgrad_status pixgrad_picture_save(const pixgrad_picture *picture, const char *path);

// Width and height of a picture in pixels; either place may be NULL.
//
// # Safety
// `picture` is a picture that is not freed; the places are NULL or can be written.
pixgrad_status pixgrad_picture_size(const pixgrad_picture *picture, uint32_t *width, uint32_t *height);

// Copies a picture into the caller's memory, which has room for rows of its size. What is between rows stays as it is.
//
// # Safety
// `picture` is a picture that is not freed; `pixels` points to `height` rows of `stride` bytes, the last of which may
// end with its last pixel.
pixgrad_status pixgrad_picture_read(const pixgrad_picture *picture, void *pixels, size_t stride, uint32_t format);

// Frees a picture.
//
// # Safety
// `picture` is NULL or a picture that is not freed.
void pixgrad_picture_free(pixgrad_picture *picture);

// Makes a recipe of the text of a recipe file (docs/recipe.md). Relative paths start at the current folder. Where it
// has the name of one of `pictures` in place of a path, it takes that picture.
//
// # Safety
// `toml` ends with 0; `pictures` points to `count` of them, with names that end with 0 and pictures that are not freed;
// `recipe` can be written.
pixgrad_status pixgrad_recipe_from_toml(const char *toml,
                                        const pixgrad_named_picture *pictures,
                                        size_t count,
                                        pixgrad_recipe **recipe);

// Makes a recipe of a method, `style`, `texture`, `invert`, `dream`, `visualize` or `fool`, with options as TOML: those
// of the command line, with `_` between words, and the pictures `content` and `styles`, or `image`. An example:
//
//   content = "photo"            # the name of one of `pictures`, or a path
//   styles = ["painting.jpg"]
//   size = 512
//   style_weight = 2
//
// # Safety
// As of pixgrad_recipe_from_toml.
pixgrad_status pixgrad_recipe_from_method(const char *method,
                                          const char *options,
                                          const pixgrad_named_picture *pictures,
                                          size_t count,
                                          pixgrad_recipe **recipe);

// Frees a recipe.
//
// # Safety
// `recipe` is NULL or a recipe that is not freed.
void pixgrad_recipe_free(pixgrad_recipe *recipe);

// Makes a recipe ready on a device: reads its pictures, plans its memory. `network` is the one to run on, of this
// device; NULL: the recipe's own is loaded.
//
// # Safety
// The handles are not freed; `run` can be written.
pixgrad_status pixgrad_run_new(const pixgrad_recipe *recipe,
                               const pixgrad_device *device,
                               const pixgrad_network *network,
                               pixgrad_run **run);

// Runs at most `iterations`, or all that are left where it is 0. `callback`, which may be NULL, sees each iteration with
// `data` and may end the run by returning false: a few iterations may be completed before it ends. `finished`, which
// may be NULL, is set to whether no iteration is left.
//
// # Safety
// `run` is a run that is not freed and that no other thread uses; `callback` may be called with `data` from this
// thread; `finished` is NULL or can be written.
pixgrad_status pixgrad_run_advance(pixgrad_run *run,
                                   uint64_t iterations,
                                   pixgrad_callback callback,
                                   void *data,
                                   bool *finished);

// Iterations that are done, and all there are; either place may be NULL.
//
// # Safety
// `run` is a run that is not freed; the places are NULL or can be written.
pixgrad_status pixgrad_run_iterations(const pixgrad_run *run, uint64_t *done, uint64_t *all);

// The bytes that the largest scale of a run takes on the device.
//
// # Safety
// `run` is a run that is not freed; `bytes` can be written.
pixgrad_status pixgrad_run_bytes(const pixgrad_run *run, uint64_t *bytes);

// The picture of a run as it is now.
//
// # Safety
// `run` is a run that is not freed and that no other thread uses; `picture` can be written.
pixgrad_status pixgrad_run_picture(const pixgrad_run *run, pixgrad_picture **picture);

// Frees a run.
//
// # Safety
// `run` is NULL or a run that is not freed and that no thread uses.
void pixgrad_run_free(pixgrad_run *run);

// What went wrong in the last call of this thread that failed: UTF-8, empty before the first. It is valid until the
// next call of this thread that fails.
const char *pixgrad_last_error(void);

// The version of the library, such as "0.1.0". It is valid for ever.
const char *pixgrad_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PIXGRAD_H */
