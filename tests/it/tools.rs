//! The doctor, the demo, the benchmark, the fuzz targets, clients of others, the features, and the repository itself.

mod bench;
pub mod clients;
mod demo;
mod doctor;
mod faulttest;
mod features;
mod fuzz;
mod guarantees;
mod planted;
mod readme;
mod references;
mod source_tree;
