//! What C is told when a device is gone. The test takes it away through the engine, which C cannot; all else is called
//! as C calls it.

use std::ffi::{CStr, CString};
use std::ptr::null_mut;

use crate::*;

/// A device that is no processor, so that it can be lost.
fn open() -> *mut pixgrad_device {
    let devices = pixgrad::engine::device::list();
    let gpu = devices.iter().find(|device| device.backend != "cpu");
    let index = gpu.expect("an adapter, such as llvmpipe").index.to_string();
    let name = CString::new(index).expect("no 0 in it");
    let mut device = null_mut();
    // SAFETY: the text ends with 0, and `device` can be written.
    let status = unsafe { pixgrad_device_open(name.as_ptr(), std::ptr::null(), &mut device) };
    assert_eq!(status, pixgrad_status::PIXGRAD_OK);
    device
}

#[test]
fn a_device_that_is_lost_is_told_and_another_takes_its_place() {
    let recipe_text = c"
        model = 'squeezenet1_1'
        image = { init = 'noise', width = 48, height = 48 }
        term = [{ kind = 'gram', layers = ['fire2/concat'], target = 'cat', weight = 1 }]
        optimizer = { kind = 'adam', iterations = 3 }";
    let pixels = [90_u8; 48 * 48 * 4];
    // SAFETY: each pointer is a handle of this library that is not freed yet, a text that ends with 0, or can be
    // written; the pixels are as many as the layout says.
    unsafe {
        let mut picture = null_mut();
        let data = pixels.as_ptr().cast();
        let status = pixgrad_picture_new(
            data,
            48,
            48,
            48 * 4,
            pixgrad_format::PIXGRAD_RGBA8 as u32,
            &mut picture,
        );
        assert_eq!(status, pixgrad_status::PIXGRAD_OK);
        let named = pixgrad_named_picture {
            name: c"cat".as_ptr(),
            picture,
        };
        let mut recipe = null_mut();
        let status = pixgrad_recipe_from_toml(recipe_text.as_ptr(), &named, 1, &mut recipe);
        assert_eq!(status, pixgrad_status::PIXGRAD_OK, "{}", last_error());

        let device = open();
        let mut run = null_mut();
        let status = pixgrad_run_new(recipe, device, std::ptr::null(), &mut run);
        assert_eq!(status, pixgrad_status::PIXGRAD_OK, "{}", last_error());
        let advance = |run| pixgrad_run_advance(run, 1, None, null_mut(), null_mut());
        assert_eq!(advance(run), pixgrad_status::PIXGRAD_OK);
        (*device)
            .device
            .gpu()
            .expect("an adapter")
            .device()
            .destroy();
        for _ in 0..2 {
            assert_eq!(advance(run), pixgrad_status::PIXGRAD_DEVICE_LOST);
            assert!(last_error().contains("device failed"), "{}", last_error());
        }
        let mut result = null_mut();
        let status = pixgrad_run_picture(run, &mut result);
        assert_eq!(status, pixgrad_status::PIXGRAD_DEVICE_LOST);
        assert!(result.is_null(), "nothing is written");
        pixgrad_run_free(run);
        pixgrad_device_free(device);

        let another = open();
        let status = pixgrad_run_new(recipe, another, std::ptr::null(), &mut run);
        assert_eq!(status, pixgrad_status::PIXGRAD_OK, "{}", last_error());
        assert_eq!(advance(run), pixgrad_status::PIXGRAD_OK);
        assert_eq!(
            pixgrad_run_picture(run, &mut result),
            pixgrad_status::PIXGRAD_OK
        );
        pixgrad_picture_free(result);
        pixgrad_run_free(run);
        pixgrad_device_free(another);
        pixgrad_recipe_free(recipe);
        pixgrad_picture_free(picture);
    }
}

fn last_error() -> String {
    // SAFETY: the text is valid until the next call that fails.
    let text = unsafe { CStr::from_ptr(pixgrad_last_error()) };
    text.to_string_lossy().into_owned()
}
