//! Tests of whole networks; those of one module stand at its end.

mod graphs;
mod weights_files;
