//! Tests of whole networks; those of one module stand at its end.

mod builder;
mod graphs;
mod pytorch;
mod weights_files;
