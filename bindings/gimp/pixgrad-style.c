/*
 * Filters > Artistic > pixgrad: paints a layer, or the selected part of it, in the style of a picture or a pattern.
 *
 * The result is a new layer above. Nothing is changed before it is complete: Cancel in GIMP's progress bar ends this
 * process, and the image is as it was.
 */

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>
#include <math.h>
#include <pixgrad.h>
#include <string.h>

#define PROCEDURE "plug-in-pixgrad-style"
#define TEXT 1024

/* What is asked for. GIMP keeps it for the next time. */
typedef struct {
    gchar style[TEXT];   /* a file; empty: the pattern */
    gchar pattern[TEXT]; /* a pattern's name */
    gdouble strength;    /* 0 to 100 */
    gdouble strokes;     /* size of the strokes in percent */
    gint32 keep_colours;
    gint32 size;       /* long side of what is painted in pixels; 0: that of the layer or selection */
    gint32 iterations; /* at every scale */
    gchar device[TEXT]; /* empty: the best one */
} Asked;

static Asked asked = {"", "", 50, 100, FALSE, 512, 60, ""};

/* The part of a layer to paint, in pixels of the layer. */
typedef struct {
    gint x, y, width, height;
} Part;

static gboolean ok(pixgrad_status status, GError **error) {
    if (status == PIXGRAD_OK) return TRUE;
    g_set_error_literal(error, g_quark_from_static_string("pixgrad"), status, pixgrad_last_error());
    return FALSE;
}

static bool show(const pixgrad_progress *progress, void *data) {
    (void)data;
    gimp_progress_update((gdouble)(progress->iteration + 1) / (gdouble)progress->iterations);
    return true;
}

/* The pixels of the part, as floats: RGB and alpha. */
static gfloat *pixels_of(gint32 drawable, const Part *part) {
    gfloat *pixels = g_new(gfloat, (gsize)part->width * part->height * 4);
    GeglBuffer *buffer = gimp_drawable_get_buffer(drawable);
    gegl_buffer_get(buffer, GEGL_RECTANGLE(part->x, part->y, part->width, part->height), 1.0,
                    babl_format("R'G'B'A float"), pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
    g_object_unref(buffer);
    return pixels;
}

/* How much of each pixel of the part is selected. */
static gfloat *selection_of(gint32 image, gint32 drawable, const Part *part) {
    gsize count = (gsize)part->width * part->height;
    gfloat *selected = g_new(gfloat, count);
    if (gimp_selection_is_empty(image)) {
        for (gsize i = 0; i < count; i++) selected[i] = 1;
        return selected;
    }
    gint left, top;
    gimp_drawable_offsets(drawable, &left, &top);
    GeglBuffer *buffer = gimp_drawable_get_buffer(gimp_image_get_selection(image));
    gegl_buffer_get(buffer, GEGL_RECTANGLE(part->x + left, part->y + top, part->width, part->height), 1.0,
                    babl_format("Y float"), selected, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
    g_object_unref(buffer);
    return selected;
}

/* The style: a file, or a pattern of GIMP. */
static pixgrad_picture *style_picture(GError **error) {
    pixgrad_picture *picture = NULL;
    if (asked.style[0] != 0) {
        ok(pixgrad_picture_open(asked.style, &picture), error);
        return picture;
    }
    gint width, height, depth, count;
    guint8 *bytes = NULL;
    if (asked.pattern[0] == 0 ||
        !gimp_pattern_get_pixels(asked.pattern, &width, &height, &depth, &count, &bytes)) {
        g_set_error(error, g_quark_from_static_string("pixgrad"), 0,
                    asked.pattern[0] ? "there is no pattern '%s'" : "a style is needed: a file or a pattern%s",
                    asked.pattern);
        return NULL;
    }
    /* Patterns are gray or RGB, with or without alpha; what is transparent in one is its colour all the same. */
    guint8 *rgb = g_new(guint8, (gsize)width * height * 3);
    for (gsize i = 0; i < (gsize)width * height; i++)
        for (gint c = 0; c < 3; c++) rgb[3 * i + c] = bytes[i * depth + (depth >= 3 ? c : 0)];
    ok(pixgrad_picture_new(rgb, width, height, 0, PIXGRAD_RGB8, &picture), error);
    g_free(rgb);
    g_free(bytes);
    return picture;
}

/* Paints a picture in the style. */
static pixgrad_picture *painted(const gfloat *pixels, const Part *part, GError **error) {
    pixgrad_picture *content = NULL, *result = NULL, *style = style_picture(error);
    pixgrad_recipe *recipe = NULL;
    pixgrad_device *device = NULL;
    pixgrad_run *run = NULL;
    gint longest = MAX(part->width, part->height);
    gint size = asked.size > 0 ? MIN(asked.size, longest) : longest;
    /* A strength of 50 is the usual weight; each 12.5 doubles it. */
    gchar weight[G_ASCII_DTOSTR_BUF_SIZE], scale[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_dtostr(weight, sizeof weight, pow(2, (asked.strength - 50) / 12.5));
    g_ascii_dtostr(scale, sizeof scale, asked.strokes / 100);
    gchar *options = g_strdup_printf("content = 'content'\nstyles = ['style']\nsize = %d\niterations = %d\n"
                                     "style_weight = %s\nstyle_scale = %s\npreserve_color = '%s'\n",
                                     size, asked.iterations, weight, scale, asked.keep_colours ? "luma" : "off");
    if (style != NULL &&
        ok(pixgrad_picture_new(pixels, part->width, part->height, 0, PIXGRAD_RGBA_FLOAT, &content), error)) {
        const pixgrad_named_picture pictures[] = {{"content", content}, {"style", style}};
        if (ok(pixgrad_recipe_from_method("style", options, pictures, 2, &recipe), error) &&
            ok(pixgrad_device_open(asked.device[0] ? asked.device : NULL, NULL, &device), error) &&
            ok(pixgrad_run_new(recipe, device, NULL, &run), error)) {
            gimp_progress_init_printf("pixgrad on %s", pixgrad_device_name(device));
            if (ok(pixgrad_run_advance(run, 0, show, NULL, NULL), error))
                ok(pixgrad_run_picture(run, &result), error);
        }
    }
    g_free(options);
    pixgrad_run_free(run);
    pixgrad_device_free(device);
    pixgrad_recipe_free(recipe);
    pixgrad_picture_free(style);
    pixgrad_picture_free(content);
    return result;
}

/* Adds the painting as a layer above the drawable, as opaque as the drawable and as far as it is selected. */
static gint32 add_layer(gint32 image, gint32 drawable, const Part *part, const pixgrad_picture *painting,
                        const gfloat *pixels, const gfloat *selected, GError **error) {
    guint32 width, height;
    if (!ok(pixgrad_picture_size(painting, &width, &height), error)) return -1;
    gfloat *colours = g_new(gfloat, (gsize)width * height * 4);
    if (!ok(pixgrad_picture_read(painting, colours, 0, PIXGRAD_RGBA_FLOAT), error)) {
        g_free(colours);
        return -1;
    }
    /* Opaque while it is enlarged, so that no edge bleeds. */
    for (gsize i = 0; i < (gsize)width * height; i++) colours[4 * i + 3] = 1;
    GimpImageType type = gimp_image_base_type(image) == GIMP_GRAY ? GIMP_GRAYA_IMAGE : GIMP_RGBA_IMAGE;
    gimp_image_undo_group_start(image);
    gint32 layer = gimp_layer_new(image, "pixgrad", width, height, type, 100, gimp_image_get_default_new_layer_mode(image));
    gint32 beside = gimp_item_is_layer(drawable) ? drawable : -1;
    gint32 parent = beside == -1 ? -1 : gimp_item_get_parent(beside);
    gint place = beside == -1 ? 0 : gimp_image_get_item_position(image, beside);
    gimp_image_insert_layer(image, layer, parent, place);
    GeglBuffer *buffer = gimp_drawable_get_buffer(layer);
    gegl_buffer_set(buffer, GEGL_RECTANGLE(0, 0, width, height), 0, babl_format("R'G'B'A float"), colours,
                    GEGL_AUTO_ROWSTRIDE);
    g_object_unref(buffer);
    g_free(colours);
    if ((gint)width != part->width || (gint)height != part->height)
        gimp_layer_scale(layer, part->width, part->height, FALSE);

    gint left, top;
    gimp_drawable_offsets(drawable, &left, &top);
    gimp_layer_set_offsets(layer, left + part->x, top + part->y);
    const Part whole = {0, 0, part->width, part->height};
    colours = pixels_of(layer, &whole);
    for (gsize i = 0; i < (gsize)part->width * part->height; i++)
        colours[4 * i + 3] = CLAMP(pixels[4 * i + 3] * selected[i], 0, 1);
    buffer = gimp_drawable_get_buffer(layer);
    gegl_buffer_set(buffer, GEGL_RECTANGLE(0, 0, part->width, part->height), 0, babl_format("R'G'B'A float"), colours,
                    GEGL_AUTO_ROWSTRIDE);
    g_object_unref(buffer);
    g_free(colours);
    gimp_drawable_update(layer, 0, 0, part->width, part->height);
    gimp_image_undo_group_end(image);
    return layer;
}

/* The layer that was added, or -1. */
static gint32 paint(gint32 image, gint32 drawable, GError **error) {
    Part part;
    if (!gimp_drawable_mask_intersect(drawable, &part.x, &part.y, &part.width, &part.height)) {
        g_set_error_literal(error, g_quark_from_static_string("pixgrad"), 0, "nothing of the layer is selected");
        return -1;
    }
    gimp_progress_init("pixgrad");
    gfloat *pixels = pixels_of(drawable, &part), *selected = selection_of(image, drawable, &part);
    pixgrad_picture *painting = painted(pixels, &part, error);
    gint32 layer = -1;
    if (painting != NULL) layer = add_layer(image, drawable, &part, painting, pixels, selected, error);
    pixgrad_picture_free(painting);
    g_free(selected);
    g_free(pixels);
    gimp_progress_end();
    return layer;
}

/* The dialog. */

static void choose_file(GtkFileChooserButton *button, gpointer is_file) {
    gchar *path = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(button));
    g_strlcpy(asked.style, path ? path : "", TEXT);
    if (path != NULL) gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(is_file), TRUE);
    g_free(path);
}

static void choose_pattern(GtkWidget *widget, const gchar *name, gint width, gint height, gint depth,
                           const guchar *pixels, gboolean closing, gpointer is_pattern) {
    (void)widget, (void)width, (void)height, (void)depth, (void)pixels, (void)closing;
    g_strlcpy(asked.pattern, name, TEXT);
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(is_pattern), TRUE);
}

static GtkObject *scale(GtkWidget *table, gint row, const gchar *label, gdouble value, gdouble least, gdouble most,
                        const gchar *tip) {
    return gimp_scale_entry_new(GTK_TABLE(table), 0, row, label, 200, 6, value, least, most, 1, 10, 0, TRUE, 0, 0, tip,
                                NULL);
}

static gboolean dialog(void) {
    gimp_ui_init("pixgrad-style", FALSE);
    GtkWidget *window = gimp_dialog_new("pixgrad", "pixgrad-style", NULL, 0, gimp_standard_help_func, PROCEDURE,
                                        GTK_STOCK_CANCEL, GTK_RESPONSE_CANCEL, GTK_STOCK_OK, GTK_RESPONSE_OK, NULL);
    gimp_window_set_transient(GTK_WINDOW(window));
    GtkWidget *table = gtk_table_new(7, 3, FALSE);
    gtk_table_set_row_spacings(GTK_TABLE(table), 6);
    gtk_table_set_col_spacings(GTK_TABLE(table), 6);
    gtk_container_set_border_width(GTK_CONTAINER(table), 12);
    gtk_box_pack_start(GTK_BOX(gtk_dialog_get_content_area(GTK_DIALOG(window))), table, TRUE, TRUE, 0);

    GtkWidget *is_file = gtk_radio_button_new_with_mnemonic(NULL, "_Style picture:");
    GtkWidget *is_pattern = gtk_radio_button_new_with_mnemonic_from_widget(GTK_RADIO_BUTTON(is_file), "_Pattern:");
    GtkWidget *file = gtk_file_chooser_button_new("Style picture", GTK_FILE_CHOOSER_ACTION_OPEN);
    GtkFileFilter *pictures = gtk_file_filter_new();
    gtk_file_filter_add_pixbuf_formats(pictures);
    gtk_file_chooser_set_filter(GTK_FILE_CHOOSER(file), pictures);
    if (asked.style[0]) gtk_file_chooser_set_filename(GTK_FILE_CHOOSER(file), asked.style);
    if (asked.pattern[0] == 0) {
        gchar *current = gimp_context_get_pattern();
        g_strlcpy(asked.pattern, current, TEXT);
        g_free(current);
    }
    GtkWidget *pattern = gimp_pattern_select_button_new("Pattern", asked.pattern);
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(asked.style[0] ? is_file : is_pattern), TRUE);
    gtk_table_attach(GTK_TABLE(table), is_file, 0, 1, 0, 1, GTK_FILL, GTK_FILL, 0, 0);
    gtk_table_attach(GTK_TABLE(table), file, 1, 3, 0, 1, GTK_FILL | GTK_EXPAND, GTK_FILL, 0, 0);
    gtk_table_attach(GTK_TABLE(table), is_pattern, 0, 1, 1, 2, GTK_FILL, GTK_FILL, 0, 0);
    gtk_table_attach(GTK_TABLE(table), pattern, 1, 3, 1, 2, GTK_FILL, GTK_FILL, 0, 0);
    g_signal_connect(file, "file-set", G_CALLBACK(choose_file), is_file);
    g_signal_connect(pattern, "pattern-set", G_CALLBACK(choose_pattern), is_pattern);

    GtkObject *strength = scale(table, 2, "S_trength:", asked.strength, 0, 100, "How much of the style is painted");
    GtkObject *strokes = scale(table, 3, "Size of st_rokes (%):", asked.strokes, 10, 200,
                               "Size of the style picture relative to what is painted");
    GtkObject *size = scale(table, 4, "Si_ze (pixels):", asked.size, 64, 4096,
                            "Long side of what is painted; a larger layer is painted at this size and enlarged");
    GtkObject *iterations = scale(table, 5, "_Iterations:", asked.iterations, 1, 500, "At every scale");
    GtkWidget *keep = gtk_check_button_new_with_mnemonic("Preserve _colours");
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(keep), asked.keep_colours);
    gtk_table_attach(GTK_TABLE(table), keep, 0, 3, 6, 7, GTK_FILL, GTK_FILL, 0, 0);

    gtk_widget_show_all(window);
    gboolean go = gimp_dialog_run(GIMP_DIALOG(window)) == GTK_RESPONSE_OK;
    asked.strength = gtk_adjustment_get_value(GTK_ADJUSTMENT(strength));
    asked.strokes = gtk_adjustment_get_value(GTK_ADJUSTMENT(strokes));
    asked.size = (gint32)gtk_adjustment_get_value(GTK_ADJUSTMENT(size));
    asked.iterations = (gint32)gtk_adjustment_get_value(GTK_ADJUSTMENT(iterations));
    asked.keep_colours = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(keep));
    if (gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(is_pattern))) asked.style[0] = 0;
    gtk_widget_destroy(window);
    return go;
}

/* What GIMP calls. */

static void query(void) {
    static const GimpParamDef arguments[] = {
        {GIMP_PDB_INT32, "run-mode", "Interactive, non-interactive"},
        {GIMP_PDB_IMAGE, "image", "The image"},
        {GIMP_PDB_DRAWABLE, "drawable", "The layer to paint"},
        {GIMP_PDB_STRING, "style", "The file of the style picture; empty: the pattern"},
        {GIMP_PDB_STRING, "pattern", "The name of a pattern"},
        {GIMP_PDB_FLOAT, "strength", "How much of the style is painted, 0 to 100"},
        {GIMP_PDB_FLOAT, "strokes", "Size of the strokes in percent, 10 to 200"},
        {GIMP_PDB_INT32, "preserve-colours", "Whether the layer's colours are kept"},
        {GIMP_PDB_INT32, "size", "Long side of what is painted in pixels; 0: the layer's"},
        {GIMP_PDB_INT32, "iterations", "Iterations at every scale"},
        {GIMP_PDB_STRING, "device", "As pixgrad devices lists it; empty: the best one"},
    };
    static const GimpParamDef results[] = {{GIMP_PDB_LAYER, "layer", "The new layer"}};
    gimp_install_procedure(PROCEDURE, "Paint in the style of a picture or a pattern",
                           "Paints the layer, or what is selected of it, in the style of a picture or a pattern, on a "
                           "new layer above it.",
                           "The pixgrad authors", "MIT OR Apache-2.0", "2026", "_pixgrad...", "RGB*, GRAY*", GIMP_PLUGIN,
                           G_N_ELEMENTS(arguments), G_N_ELEMENTS(results), arguments, results);
    gimp_plugin_menu_register(PROCEDURE, "<Image>/Filters/Artistic");
}

static void take_arguments(const GimpParam *p) {
    g_strlcpy(asked.style, p[3].data.d_string ? p[3].data.d_string : "", TEXT);
    g_strlcpy(asked.pattern, p[4].data.d_string ? p[4].data.d_string : "", TEXT);
    asked.strength = CLAMP(p[5].data.d_float, 0, 100);
    asked.strokes = CLAMP(p[6].data.d_float, 10, 200);
    asked.keep_colours = p[7].data.d_int32;
    asked.size = MAX(p[8].data.d_int32, 0);
    asked.iterations = MAX(p[9].data.d_int32, 1);
    g_strlcpy(asked.device, p[10].data.d_string ? p[10].data.d_string : "", TEXT);
}

static void run(const gchar *name, gint count, const GimpParam *param, gint *result_count, GimpParam **results) {
    static GimpParam values[2];
    (void)name;
    *results = values;
    *result_count = 1;
    values[0].type = GIMP_PDB_STATUS;
    values[0].data.d_status = GIMP_PDB_CALLING_ERROR;
    gegl_init(NULL, NULL);
    GimpRunMode mode = param[0].data.d_int32;
    gimp_get_data(PROCEDURE, &asked);
    if (mode == GIMP_RUN_NONINTERACTIVE) {
        if (count != 11) return;
        take_arguments(param);
    } else if (mode == GIMP_RUN_INTERACTIVE && !dialog()) {
        values[0].data.d_status = GIMP_PDB_CANCEL;
        return;
    }
    GError *error = NULL;
    gint32 layer = paint(param[1].data.d_image, param[2].data.d_drawable, &error);
    *result_count = 2;
    if (layer < 0) {
        values[0].data.d_status = GIMP_PDB_EXECUTION_ERROR;
        values[1].type = GIMP_PDB_STRING;
        values[1].data.d_string = g_strdup(error ? error->message : "no layer was made");
        g_clear_error(&error);
        return;
    }
    values[0].data.d_status = GIMP_PDB_SUCCESS;
    values[1].type = GIMP_PDB_LAYER;
    values[1].data.d_layer = layer;
    if (mode != GIMP_RUN_NONINTERACTIVE) {
        gimp_displays_flush();
        gimp_set_data(PROCEDURE, &asked, sizeof asked);
    }
}

const GimpPlugInInfo PLUG_IN_INFO = {NULL, NULL, query, run};

MAIN()
