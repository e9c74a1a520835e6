//! A window that owns the GPU device, and pixgrad on that device: iterations run in command buffers of the window's
//! own, and the picture is a texture that never leaves the GPU.
//!
//!     cargo run --release --package canvas -- [CONTENT STYLE]
//!
//! `CANVAS_SCREENSHOT=FILE.png` paints to the end, writes what the window shows, prints what frames took, and ends: for
//! the test.

mod painter;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};
use eframe::{egui, wgpu};
use painter::{Dial, Painter, dials};

/// What the GPU may spend on painting between two frames.
const BUDGET: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn Error>> {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/images");
    let mut arguments = std::env::args().skip(1);
    let content = arguments.next();
    let content = content.unwrap_or_else(|| format!("{samples}/chelsea.png"));
    let style = arguments.next();
    let style = style.unwrap_or_else(|| format!("{samples}/starry_night.jpg"));

    // The window's own device. What pixgrad asks of it are its limits: those of the adapter. Where it has
    // subgroups, some kernels have faster variants.
    let setup = WgpuSetupCreateNew {
        instance_descriptor: wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        },
        device_descriptor: Arc::new(|adapter| wgpu::DeviceDescriptor {
            label: Some("the window's device"),
            required_features: adapter.features() & wgpu::Features::SUBGROUP,
            required_limits: adapter.limits(),
            ..Default::default()
        }),
        ..WgpuSetupCreateNew::without_display_handle()
    };
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([820.0, 460.0]),
        wgpu_options: WgpuConfiguration {
            wgpu_setup: WgpuSetup::CreateNew(setup),
            ..Default::default()
        },
        ..Default::default()
    };
    let screenshot = std::env::var("CANVAS_SCREENSHOT").ok();
    eframe::run_native(
        "pixgrad canvas",
        options,
        Box::new(move |creation| {
            let state = creation.wgpu_render_state.as_ref().ok_or("no wgpu")?;
            let painter = Painter::new(state, content, style, BUDGET)?;
            Ok(Box::new(Canvas {
                painter,
                dials: dials(),
                frames: Frames::default(),
                screenshot,
                waits: false,
                saved: Arc::default(),
            }))
        }),
    )?;
    Ok(())
}

struct Canvas {
    painter: Painter,
    dials: [Dial; 3],
    frames: Frames,
    /// Where the picture of the window goes.
    screenshot: Option<String>,
    /// Whether the picture was asked for, and what became of it.
    waits: bool,
    saved: Arc<OnceLock<Result<(), String>>>,
}

/// What frames took of the processor.
#[derive(Default)]
struct Frames {
    count: u64,
    longest: Duration,
}

impl eframe::App for Canvas {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let begin = Instant::now();
        // Whatever there is to do is appended to the queue; nothing here waits for the GPU.
        self.painter.advance();
        egui::Panel::right("weights")
            .exact_size(240.0)
            .show(ui, |ui| self.sliders(ui));
        egui::CentralPanel::default().show(ui, |ui| self.picture(ui));
        if self.painter.is_busy() {
            ui.ctx().request_repaint();
        }
        let took = begin.elapsed();
        self.frames.count += 1;
        self.frames.longest = self.frames.longest.max(took);
        self.end_of_test(ui.ctx());
    }
}

impl Canvas {
    fn sliders(&mut self, ui: &mut egui::Ui) {
        ui.add_space(12.0);
        ui.heading("pixgrad");
        ui.add_space(8.0);
        ui.spacing_mut().slider_width = 130.0;
        for dial in &mut self.dials {
            ui.label(dial.name);
            let slider = egui::Slider::new(&mut dial.factor, 0.0..=dial.most).max_decimals(2);
            if ui.add(slider).changed() {
                self.painter.turn(dial);
            }
            ui.add_space(6.0);
        }
        ui.add_space(6.0);
        if ui.button("begin again").clicked() {
            self.painter.begin_again();
        }
        ui.add_space(12.0);
        ui.separator();
        let (done, all) = self.painter.iterations();
        ui.add(
            egui::ProgressBar::new(done as f32 / all.max(1) as f32)
                .text(format!("{done} of {all}")),
        );
        ui.label(self.painter.state());
        ui.label(self.painter.device());
    }

    fn picture(&self, ui: &mut egui::Ui) {
        let Some((texture, width, height)) = self.painter.texture() else {
            ui.centered_and_justified(|ui| ui.spinner());
            return;
        };
        let room = ui.available_size();
        let factor = (room.x / width as f32).min(room.y / height as f32);
        let size = egui::vec2(width as f32, height as f32) * factor;
        ui.centered_and_justified(|ui| ui.image((texture, size)));
    }

    /// Once all is painted, what the test looks into.
    fn end_of_test(&mut self, ctx: &egui::Context) {
        let (done, all) = self.painter.iterations();
        if let Some(error) = self.painter.error()
            && self.screenshot.is_some()
        {
            eprintln!("canvas: {error}");
            std::process::exit(1);
        }
        if self.waits {
            match self.saved.get() {
                Some(Ok(())) => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
                Some(Err(error)) => {
                    eprintln!("canvas: {error}");
                    std::process::exit(1);
                }
                None => ctx.request_repaint(),
            }
            return;
        }
        if self.painter.is_busy() || done < all || all == 0 {
            return;
        }
        let Some(path) = self.screenshot.take() else {
            return;
        };
        println!(
            "{{\"iterations\": {done}, \"frames\": {}, \"longest_ms\": {:.1}}}",
            self.frames.count,
            self.frames.longest.as_secs_f64() * 1e3
        );
        // It is called between two frames, once the GPU has copied what the window shows: so frames must go on.
        let saved = Arc::clone(&self.saved);
        self.waits = true;
        let callback = egui::ScreenshotCallback::new(move |shot| {
            let [width, height] = shot.size;
            let bytes: Vec<u8> = shot.pixels.iter().flat_map(|p| p.to_array()).collect();
            let result = image::save_buffer(
                &path,
                &bytes,
                width as u32,
                height as u32,
                image::ColorType::Rgba8,
            );
            let result = result.map_err(|error| format!("'{path}' cannot be written: {error}"));
            let _ = saved.set(result);
        });
        ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
        ctx.request_repaint();
    }
}
