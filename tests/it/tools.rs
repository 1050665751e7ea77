//! The doctor, the demo, the benchmark, the fuzz targets, and the repository itself.

mod bench;
mod demo;
mod doctor;
mod fuzz;
mod readme;
mod references;
mod source_tree;
