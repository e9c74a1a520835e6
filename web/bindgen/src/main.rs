//! `pixgrad-bindgen MODULE.wasm FOLDER`: writes the module and the JavaScript that loads it, for web workers and pages.

use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = &args[..] else {
        eprintln!("usage: pixgrad-bindgen MODULE.wasm FOLDER");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    let set_up = bindgen.input_path(module).web(true);
    let made = set_up.and_then(|bindgen| {
        bindgen
            .out_name("pixgrad")
            .typescript(true)
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(Path::new(folder))
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pixgrad-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
