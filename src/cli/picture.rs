//! The picture that a command writes: where it goes, its format, and what its file carries.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use pixgrad::engine::image::{
    self, BitDepth, OutputFormat, SaveOptions, SaveWarning, check_file, check_writable, is_of_rgb,
    is_stdout,
};
use pixgrad::engine::methods::options::parse;
use pixgrad::engine::run::MadeByCommand;
use pixgrad::{Embedded, Finish, Image, ImageError, MadeOf, Network, Recipe, Run};

use super::output::numbered;
use super::{Global, Usage, terminal};

/// Options of every command that writes one picture.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// The image to write: .png, .jpg, .webp or .tif, or - for standard output, where reports then go to stderr
    /// [default: NAME-pixgrad.png in the current folder, where NAME is the input's]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The format of the image [default: that of the extension]
    #[arg(long, value_enum, ignore_case = true)]
    format: Option<FormatName>,

    /// Bits per channel, 8 or 16: PNG and TIFF have either, JPEG and WebP 8 [default: 8; TIFF: 16]
    #[arg(long, value_name = "BITS", value_parser = depth)]
    depth: Option<BitDepth>,

    /// Keep the ICC profile of the content, or of the start picture: the colours are converted to it. Without this
    /// option they are sRGB
    #[arg(long)]
    keep_profile: bool,

    /// The colour behind what is transparent, for JPEG: white, black, #RRGGBB, or R,G,B from 0 to
    /// 255 [default: white]
    #[arg(long, value_name = "COLOUR", value_parser = parse::colour)]
    background: Option<[f32; 3]>,

    /// Write neither the recipe nor the content's EXIF data into the image
    #[arg(long)]
    no_metadata: bool,
}

/// The option of commands whose pictures no recipe makes.
#[derive(Debug, Clone, Args)]
pub struct MetadataArgs {
    /// Do not write into the images what made them: the command line, the networks and hashes
    #[arg(long)]
    no_metadata: bool,
}

impl MetadataArgs {
    /// How the command's pictures are saved.
    pub fn options(&self, networks: &[&Network], pictures: Vec<MadeOf>) -> SaveOptions {
        let with = || command_text(networks, pictures);
        SaveOptions {
            text: (!self.no_metadata).then(with).flatten(),
            ..SaveOptions::default()
        }
    }
}

/// What a picture carries that this command line has made: the command as it was typed.
fn command_text(networks: &[&Network], pictures: Vec<MadeOf>) -> Option<String> {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    MadeByCommand::new(arguments.collect(), networks, pictures).to_text()
}

/// A format by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    Png,
    #[value(alias = "jpg")]
    Jpeg,
    Webp,
    #[value(alias = "tif")]
    Tiff,
}

impl From<FormatName> for OutputFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Png => Self::Png,
            FormatName::Jpeg => Self::Jpeg,
            FormatName::Webp => Self::WebP,
            FormatName::Tiff => Self::Tiff,
        }
    }
}

fn depth(text: &str) -> Result<BitDepth, String> {
    match text {
        "8" => Ok(BitDepth::Eight),
        "16" => Ok(BitDepth::Sixteen),
        _ => Err("it must be 8 or 16".to_string()),
    }
}

/// The picture that a command writes.
#[derive(Debug, Clone)]
pub struct Output {
    /// `-` is standard output.
    pub path: PathBuf,
    /// What does not depend on the run.
    options: SaveOptions,
    keep_profile: bool,
    metadata: bool,
    background_given: bool,
    /// Whether warnings are left to the last picture, which has the same.
    is_silent: bool,
    /// Where absolute paths in the recipe are not the user's: see `Made::hide`.
    hidden: Vec<PathBuf>,
}

impl OutputArgs {
    /// The format that was asked for.
    pub fn format(&self) -> Option<OutputFormat> {
        self.format.map(OutputFormat::from)
    }

    /// A picture at a place of the program's choice.
    pub fn at(&self, path: &Path) -> anyhow::Result<Output> {
        let output = None;
        Self {
            output,
            ..self.clone()
        }
        .picture(path.to_path_buf())
    }

    /// Where the picture goes; `default` if nobody says.
    ///
    /// # Errors
    /// What can be said against the options without looking at the place.
    pub fn picture(&self, default: PathBuf) -> anyhow::Result<Output> {
        let path = self.output.clone().unwrap_or(default);
        let asked = self.format();
        if is_stdout(&path) && asked.is_none() {
            bail!(Usage(
                "standard output has no extension: --format png, jpeg, webp or tiff is needed"
                    .into()
            ));
        }
        let by_name = OutputFormat::from_path(&path).ok();
        if let (Some(depth), Some(format)) = (self.depth, asked.or(by_name))
            && !format.holds(depth)
        {
            bail!(Usage(format!(
                "--depth 16: {} has 8 bits per channel; PNG and TIFF can have 16",
                format.name()
            )));
        }
        let mut options = SaveOptions {
            format: asked,
            bit_depth: self.depth,
            ..SaveOptions::default()
        };
        if let Some(colour) = self.background {
            options.background = colour;
        }
        Ok(Output {
            path,
            options,
            keep_profile: self.keep_profile,
            metadata: !self.no_metadata,
            background_given: self.background.is_some(),
            is_silent: false,
            hidden: Vec::new(),
        })
    }
}

impl Output {
    /// Whether the picture goes to standard output.
    pub fn is_stdout(&self) -> bool {
        is_stdout(&self.path)
    }

    /// Fails before the long run where it would fail after it.
    pub fn check(&self, global: &Global) -> anyhow::Result<()> {
        if self.is_stdout() && global.json {
            bail!(Usage(
                "--json and the image would both go to standard output: write the image to a file"
                    .into()
            ));
        }
        let Some(format) = self.options.format else {
            check_writable(&self.path)?;
            return Ok(());
        };
        check_file(&self.path)?;
        if OutputFormat::from_path(&self.path).is_ok_and(|by_name| by_name != format) {
            let (path, format) = (self.path.display(), format.name());
            global.note(format_args!(
                "note: '{path}' is written as {format}, as --format says"
            ));
        }
        Ok(())
    }

    /// Whether the format can hold a picture of this size.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), ImageError> {
        let format = self.options.format;
        let format = format.map_or_else(|| OutputFormat::from_path(&self.path), Ok)?;
        format.check_size(&self.path, width, height)
    }

    /// Whether the profile that is to be kept is one that colours can be converted to.
    pub fn check_profile(&self, embedded: &Embedded, global: &Global) -> anyhow::Result<()> {
        if !self.keep_profile {
            return Ok(());
        }
        match &embedded.icc_profile {
            None => global.note("note: the content has no ICC profile to keep: the image is sRGB"),
            Some(profile) if !is_of_rgb(profile) => bail!(
                "--keep-profile: the content's ICC profile is not one that RGB colours can be converted to; without \
                 the option the image is sRGB"
            ),
            Some(_) => {}
        }
        Ok(())
    }

    /// The recipe that the picture carries tells no absolute paths, but paths within these folders.
    pub fn hide(&mut self, folders: Vec<PathBuf>) {
        self.hidden = folders;
    }

    /// The same for the picture of an iteration before the last.
    pub fn numbered(&self, number: u64) -> Self {
        Self {
            path: numbered(&self.path, number),
            is_silent: true,
            ..self.clone()
        }
    }

    /// Writes a picture that no single recipe makes, such as a sheet. It carries the command line, the network and
    /// hashes of the pictures that it was made of.
    pub fn save(
        &self,
        picture: &Image,
        network: &Network,
        of: Vec<MadeOf>,
        global: &Global,
    ) -> anyhow::Result<()> {
        let mut options = self.options.clone();
        if self.metadata {
            options.text = command_text(&[network], of);
        }
        self.save_with(picture, options, global)
    }

    /// Writes a picture that a run made. `recipe` is that of the run, with the paths that are told.
    pub fn save_run(
        &self,
        picture: &Image,
        run: &Run,
        recipe: &Recipe,
        finish: Option<Finish>,
        global: &Global,
    ) -> anyhow::Result<()> {
        self.save_with(
            picture,
            self.options_of(run, recipe, finish, run.embedded()),
            global,
        )
    }

    /// Writes the image of a run as it is now.
    pub fn save_image_of(&self, run: &Run, global: &Global) -> anyhow::Result<()> {
        self.save_run(&run.image()?, run, run.recipe(), None, global)
    }

    /// What goes into the file of a picture that a run has made of another, `embedded` being of that one's file.
    pub fn options_of(
        &self,
        run: &Run,
        recipe: &Recipe,
        finish: Option<Finish>,
        embedded: &Embedded,
    ) -> SaveOptions {
        let mut options = self.options.clone();
        if self.keep_profile {
            options.icc_profile.clone_from(&embedded.icc_profile);
        }
        if self.metadata {
            let mut made = run.made(recipe, finish);
            if !self.hidden.is_empty() {
                made.hide(&self.hidden);
            }
            options.exif.clone_from(&embedded.exif);
            // There is none of a recipe with pictures in memory.
            options.text = made.to_text().ok();
        }
        options
    }

    /// Writes a picture with options of [`Output::options_of`].
    pub fn save_with(
        &self,
        picture: &Image,
        options: SaveOptions,
        global: &Global,
    ) -> anyhow::Result<()> {
        for warning in image::save(&self.path, picture, options)? {
            // Who names the background knows.
            let is_known = warning == SaveWarning::Flattened && self.background_given;
            if !(is_known || self.is_silent) {
                global.note(format_args!("warning: {warning}"));
            }
        }
        Ok(())
    }

    /// Lines of the report: on stdout, or on stderr where the picture goes to stdout.
    pub fn report(&self, lines: impl std::fmt::Display) -> io::Result<()> {
        if self.is_stdout() {
            terminal::note(lines);
            return Ok(());
        }
        terminal::print(lines)
    }
}
