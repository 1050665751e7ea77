//! The doctor, the demo, the benchmark, the fuzz targets, and the source tree.

mod bench;
mod demo;
mod doctor;
mod fuzz;
mod tidy;
